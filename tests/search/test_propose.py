"""Samplers: deterministic in the seed, stable when more configurations are asked for, and spread as they should be."""

import dataclasses
import importlib.util

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from jaxbn.errors import UserError
from jaxbn.search import SAMPLERS, Choice, Float, Int, Space, propose, sampler
from jaxbn.search.propose import grid

DEFAULT = Space.default()

NEEDS = {"tpe": ("optuna",), "cmaes": ("optuna", "cmaes"), "gp": ("optuna", "torch")}
INSTALLED = [name for name in SAMPLERS if all(map(importlib.util.find_spec, NEEDS.get(name, ())))]
"""What is said without what a sampler needs is tested beside it."""


@pytest.mark.parametrize("name", ["random", "sobol"])
@settings(max_examples=15)
@given(seed=st.integers(0, 2**31), few=st.integers(1, 40), more=st.integers(0, 40))
def test_the_first_configurations_stay_when_more_are_asked_for(name, seed, few, more):
    propose_ = sampler(name).propose
    assert propose_(seed, DEFAULT, None, few + more)[:few] == propose_(seed, DEFAULT, None, few)


@pytest.mark.parametrize("name", INSTALLED)
def test_samplers_are_deterministic_in_the_seed(name):
    space = Space(learning_rate=Float(1e-4, 1, scale="log"), optimizer=Choice("momentum", "adam"))
    a, b, other = (SAMPLERS[name].propose(seed, space, None, 12) for seed in (3, 3, 4))
    assert a == b
    assert (a == other) == (name == "grid")


def test_one_more_hyperparameter_changes_no_other_of_random_draws():
    fewer = Space(learning_rate=Float(1e-4, 1, scale="log"), momentum=Float(0.8, 0.99))
    more = Space(num_layers=Int(1, 3), momentum=Float(0.8, 0.99), learning_rate=Float(1e-4, 1, scale="log"))
    for a, b in zip(propose.random(0, fewer, None, 20), propose.random(0, more, None, 20), strict=True):
        assert dataclasses.replace(b, num_layers=a.num_layers) == a


def columns(name, num_configs, seed=0):
    space = Space(learning_rate=Float(1e-4, 1, scale="log"), dropout=Float(0, 0.5), label_smoothing=Float(0, 0.2))
    configs = SAMPLERS[name].propose(seed, space, None, num_configs)
    return np.array([(np.log10(c.learning_rate) / 4 + 1, c.dropout * 2, c.label_smoothing * 5) for c in configs])


@pytest.mark.parametrize("name", ["random", "sobol"])
def test_draws_are_uniform_on_each_scale_and_independent(name):
    cube = columns(name, 2048)
    for column in cube.T:
        assert stats.kstest(column, "uniform").pvalue > 1e-3
    assert np.abs(np.corrcoef(cube.T) - np.eye(3)).max() < 4 / np.sqrt(2048)


def test_n_random_points_try_n_values_of_each_and_a_grid_few():
    random, grid = columns("random", 64), columns("grid", 64)
    assert [len(np.unique(column)) for column in random.T] == [64] * 3
    assert len(grid) == 64 and [len(np.unique(column)) for column in grid.T] == [4] * 3


def test_sobol_points_fill_every_cell_of_a_binary_net():
    cube = columns("sobol", 64)
    for column in cube.T:
        assert np.bincount((column * 64).clip(0, 63).astype(int), minlength=64).tolist() == [1] * 64
    # And more evenly than random ones.
    assert stats.qmc.discrepancy(cube) < stats.qmc.discrepancy(columns("random", 64)) / 3


@pytest.mark.parametrize("name", INSTALLED)
def test_a_space_of_plain_values_has_one_configuration(name):
    configs = SAMPLERS[name].propose(0, Space(learning_rate=0.1), None, 1)
    assert [config.learning_rate for config in configs] == [0.1]


def test_a_grid_is_every_combination_of_evenly_spaced_values_on_the_scale():
    space = Space(learning_rate=Float(1e-4, 1, scale="log"), optimizer=Choice("sgd", "adam"), num_layers=Int(1, 3))
    configs = propose.grid(0, space, None, 30)
    rates = sorted({config.learning_rate for config in configs})
    np.testing.assert_allclose(np.diff(np.log10(rates)), 4 / (len(rates) - 1))
    assert rates[0] == 1e-4 and rates[-1] == 1
    assert {config.num_layers for config in configs} == {1, 2, 3}
    assert len(configs) == len(set(configs)) == len(rates) * 2 * 3 == 30


@settings(max_examples=40)
@given(
    num_configs=st.integers(8, 300),
    layers=st.integers(2, 5),
    power=st.integers(6, 9),
)
def test_a_grid_never_exceeds_what_was_asked_and_could_not_grow(num_configs, layers, power):
    space = Space(dropout=Float(0, 0.5), num_layers=Int(1, layers), batch_size=Int(32, 2**power, scale="power_of_two"))
    configs = propose.grid(0, space, None, num_configs)
    levels = [len({getattr(c, name) for c in configs}) for name in space]
    assert len(configs) == np.prod(levels) <= num_configs
    most = [np.inf, layers, power - 4]
    for level, limit in zip(levels, most, strict=True):
        assert level == limit or len(configs) // level * (level + 1) > num_configs


def test_a_grid_lists_once_what_a_condition_makes_equal():
    space = Space(optimizer=Choice("sgd", "momentum"), momentum=Float(0.8, 0.99, when={"optimizer": "momentum"}))
    configs = propose.grid(0, space, None, 10)
    assert [c.momentum for c in configs if c.optimizer == "sgd"] == [0.9]
    assert len([c for c in configs if c.optimizer == "momentum"]) == 5


def test_a_grid_that_cannot_be_that_small_says_how_large_it_is():
    with pytest.raises(UserError, match="at least 1024 configurations, more than num_configs = 100"):
        propose.grid(0, DEFAULT, None, 100)


def test_an_unknown_sampler_is_named_with_the_nearest():
    with pytest.raises(UserError, match=r"unknown sampler 'sobl'.*'sobol'"):
        sampler("sobl")


def test_a_grid_that_has_room_for_every_whole_number_holds_each():
    for domain in (Int(1, 8, scale="log"), Int(3, 9), Int(1, 64, scale="power_of_two"), Int(1, 64, scale="log")):
        configs = grid(0, Space(hidden_units=domain), None, domain.num_values)
        assert sorted(config.hidden_units for config in configs) == sorted(
            {domain.at(u) for u in np.linspace(0, 1, 9999)}
        )


def test_a_sampler_of_one_s_own_returns_configs():
    with pytest.raises(UserError, match="sampler = 5 is neither a name nor a function"):
        sampler(5)
    space = Space(hidden_units=Int(4, 8))
    for found in (None, 3, "ab", {"learning_rate": 0.1}, [{"learning_rate": 0.1}], [None]):
        with pytest.raises(UserError, match=r"the sampler '<lambda>\(\)' returned .* which is no list of configs"):
            sampler(lambda *given, found=found: found).propose(0, space, None, 1)
    config = space.config({"hidden_units": 0.5})
    for found in ([config], (config,), np.array([config], object), iter([config])):
        assert sampler(lambda *given, found=found: found).propose(0, space, None, 1) == [config]
