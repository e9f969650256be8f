"""Rounds that zoom: inside the space, round the best, ever smaller."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jaxbn.search import Choice, Float, History, Int, Space, sampler
from jaxbn.search.coarse_to_fine import SHRINK, box, coarse_to_fine
from jaxbn.search.propose import random

SPACE = Space(
    learning_rate=Float(1e-4, 1, scale="log"),
    momentum=Float(0.9, 0.999, scale="one_minus_log"),
    hidden_units=Int(16, 256, scale="log"),
    optimizer=Choice("momentum", "adam", "sgd", "rmsprop"),
    num_layers=Int(1, 3),
    eps=Float(1e-10, 1e-4, scale="log", when={"optimizer": "adam"}),
)


def told(configs, objective, rounds):
    objective = np.asarray(objective, float)
    rank = np.empty(len(objective), int)
    rank[np.argsort(objective)] = np.arange(len(objective))
    return History(
        tuple(configs), objective, rank, np.ones(len(configs), int), np.ones(len(configs), int), np.asarray(rounds)
    )


@given(st.floats(0, 1), st.floats(1e-6, 1))
def test_a_box_never_leaves_the_space(middle, width):
    low, high = box(middle, width)
    assert 0 <= low <= high <= 1
    assert high - low == pytest.approx(width)
    assert low - 1e-12 <= middle <= high + 1e-12


@given(st.integers(0, 50), st.integers(1, 4), st.integers(1, 40))
def test_configurations_of_later_rounds_lie_in_boxes_round_the_best(seed, number, count):
    configs = random(seed, SPACE, None, 32)
    history = told(configs, np.random.default_rng(seed).random(32), [number - 1] * 32)
    best = [SPACE.point(configs[place]) for place in np.argsort(history.rank)[:2]]
    proposed = coarse_to_fine(seed, SPACE, history, count)
    assert proposed == coarse_to_fine(seed, SPACE, history, count) and len(proposed) == count
    for config in proposed:
        point = SPACE.point(config)
        for name, u in point.items():
            assert 0 <= u <= 1
            if isinstance(SPACE.domains[name], Float):
                around = [middle[name] for middle in best if name in middle]
                # Half a box, or a whole one at the edge of the space.
                near = any(abs(u - middle) <= SHRINK**number + 1e-9 for middle in around)
                assert near or len(around) < len(best)
        assert config.optimizer in {configs[place].optimizer for place in np.argsort(history.rank)[:2]}


def test_it_finds_a_minimum_more_closely_than_random_draws():
    space = Space(learning_rate=Float(1e-4, 1, scale="log"), dropout=Float(0, 0.5))

    def distance(config):
        point = space.point(config)
        return abs(point["learning_rate"] - 0.3) + abs(point.get("dropout", 0) - 0.8)

    better = 0
    for seed in range(20):
        configs = coarse_to_fine(seed, space, None, 16)
        rounds = [0] * 16
        for number in range(1, 4):
            history = told(configs, [distance(c) for c in configs], rounds)
            configs = configs + coarse_to_fine(seed, space, history, 16)
            rounds += [number] * 16
        alone = random(seed, space, None, 64)
        better += min(map(distance, configs)) < min(map(distance, alone))
    assert better >= 17


def test_failures_are_no_middles():
    configs = random(0, SPACE, None, 4)
    history = told(configs, [np.nan, np.nan, np.nan, np.nan], [0] * 4)
    assert coarse_to_fine(0, SPACE, history, 3) == random(0, SPACE, history, 3)


def test_random_and_sobol_go_on_where_they_were():
    for name in ("random", "sobol"):
        propose = sampler(name).propose
        whole = propose(5, SPACE, None, 24)
        history = told(whole[:10], np.arange(10), [0] * 10)
        assert propose(5, SPACE, history, 14) == whole[10:]
