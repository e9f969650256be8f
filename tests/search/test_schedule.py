"""Schedulers as tables a person can read, and decisions that lose nothing and let no failure through."""

import dataclasses
import itertools
import math
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jaxbn.errors import UserError
from jaxbn.search import Choice, Cohort, Config, Float, History, Int, Rung, Space, from_values, pbt, scheduler, split
from jaxbn.search.halving import budgets, halving_rungs, hyperband_rungs, keep_best
from jaxbn.search.patience import with_patience
from jaxbn.search.pbt import exploit_and_explore, explore, pbt_rungs
from jaxbn.search.schedule import brackets_of

SIZES = st.integers(1, 5000)
EPOCHS = st.integers(1, 300)
FACTORS = st.sampled_from([1.5, 2.0, 3.0, 4.0, math.e])


def spec_of(config):
    """As with a planner that pads mini-batches to 64 or more, and layers to 64."""
    padded = {"batch_size": max(config.batch_size, 64), "widths": (64,) * config.num_layers}
    return dataclasses.replace(split(config)[0], **padded)


def cohort_of(num, *, brackets=None, configs=None, epoch=1, space=None):
    brackets = np.zeros(num, int) if brackets is None else brackets
    return Cohort(np.arange(num), brackets, configs or (Config(),) * num, spec_of, epoch, space)


def history_of(objective, configs=None, best_epochs=None, epochs=1):
    objective = np.asarray(objective, float)
    order = np.lexsort((np.arange(len(objective)), objective))  # NaN sorts last
    rank = np.empty(len(objective), int)
    rank[order] = np.arange(len(objective))
    whole = np.ones(len(objective), int)
    best = whole * epochs if best_epochs is None else np.asarray(best_epochs)
    return History(configs or (Config(),) * len(objective), objective, rank, whole * epochs, best, whole * 0)


def table(rungs):
    return [(rung.epochs, *rung.survivors) for rung in rungs]


def test_no_rung_comes_twice():
    assert budgets(2, 1.5, 1) == (1, 2)
    assert budgets(6, 1.1, 1) == (1, 2, 3, 4, 5, 6)


def test_halving_as_a_table():
    assert table(halving_rungs(1024, 27)) == [(1, 1024), (3, 341), (9, 113), (27, 37)]
    assert table(halving_rungs(100, 20, factor=2, min_epochs=5)) == [(5, 100), (10, 50), (20, 25)]
    assert table(halving_rungs(2, 81)) == [(1, 2), (3, 1), (9, 1), (27, 1), (81, 1)]
    assert table(halving_rungs(7, 1)) == [(1, 7)]


def test_hyperband_as_in_the_paper():
    # Li et al. 2018, table 1, R = 81 and factor 3: n and r of each bracket.
    rungs = hyperband_rungs(81 + 34 + 15 + 8 + 5, 81)
    assert table(rungs) == [
        (1, 81, 34, 15, 8, 5),
        (3, 27, 34, 15, 8, 5),
        (9, 9, 11, 15, 8, 5),
        (27, 3, 3, 5, 8, 5),
        (81, 1, 1, 1, 2, 5),
    ]


@given(SIZES, EPOCHS, FACTORS, st.integers(1, 9))
def test_halving_keeps_its_promises(num_configs, num_epochs, factor, min_epochs):
    min_epochs = min(min_epochs, num_epochs)
    rungs = halving_rungs(num_configs, num_epochs, factor=factor, min_epochs=min_epochs)
    epochs = [rung.epochs for rung in rungs]
    survivors = [rung.survivors[0] for rung in rungs]
    assert epochs == sorted(set(epochs)) and epochs[-1] == num_epochs and epochs[0] in (min_epochs, num_epochs)
    assert survivors[0] == num_configs and survivors == sorted(survivors, reverse=True) and survivors[-1] >= 1
    # Never more than training everything to the end.
    spent = sum(n * (e - before) for n, e, before in zip(survivors, epochs, [0, *epochs], strict=False))
    assert spent <= num_configs * num_epochs
    for before, after in itertools.pairwise(survivors):
        assert after * factor <= before + factor and after >= min(1, before)


@given(SIZES, EPOCHS, FACTORS)
def test_hyperband_loses_nobody_and_prunes_no_bracket_before_its_time(num_configs, num_epochs, factor):
    rungs = hyperband_rungs(num_configs, num_epochs, factor=factor)
    survivors = np.array([rung.survivors for rung in rungs])
    assert survivors[0].sum() == num_configs
    assert (np.diff(survivors, axis=0) <= 0).all()
    for bracket, column in enumerate(survivors.T):
        assert (column[: bracket + 1] == column[0]).all(), "a bracket does not prune before its first rung"
        assert (column[-1] >= 1) == (column[0] >= 1)


def test_a_rung_too_near_the_last_is_left_out():
    assert budgets(10, 3, 1) == (1, 3, 10)
    assert budgets(17, 3, 1) == (1, 3, 9, 17)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"factor": 1.0}, "reduction factor of 1 .* give 1.1 or more"),
        ({"factor": float("nan")}, "reduction factor"),
        ({"min_epochs": 10}, "first rung after 10 epochs does not lie within the 9"),
        ({"min_epochs": 0}, "first rung after 0 epochs"),
    ],
)
@pytest.mark.parametrize("name", ["halving", "hyperband"])
def test_tables_that_make_no_sense(name, options, message):
    with pytest.raises(UserError, match=message):
        scheduler(name, num_epochs=9, **options)


def test_unknown_scheduler():
    with pytest.raises(UserError, match=r"unknown scheduler 'halvin'.*'halving'"):
        scheduler("halvin", num_epochs=9)


@given(
    st.lists(st.one_of(st.just(float("nan")), st.floats(-5, 5)), min_size=1, max_size=40),
    st.integers(1, 4),
    st.data(),
)
def test_nan_never_survives_and_the_best_do(objective, num_brackets, data):
    num = len(objective)
    brackets = np.array(data.draw(st.lists(st.integers(0, num_brackets - 1), min_size=num, max_size=num)))
    survivors = tuple(data.draw(st.lists(st.integers(0, num), min_size=num_brackets, max_size=num_brackets)))
    history, cohort = history_of(objective), cohort_of(num, brackets=brackets)
    edit = keep_best(0, cohort, history, Rung(3, survivors))
    again = keep_best(0, cohort, history, Rung(3, survivors))
    assert edit.keep.tolist() == again.keep.tolist() == edit.source.tolist()
    for bracket, count in enumerate(survivors):
        places = np.flatnonzero(brackets == bracket)
        finite = [place for place in places if not math.isnan(objective[place])]
        kept = [place for place in edit.keep if brackets[place] == bracket]
        assert len(kept) == min(count, len(finite)) and set(kept) <= set(finite)
        left = set(finite) - set(kept)
        assert all(objective[k] <= objective[other] for k in kept for other in left)


def test_brackets_are_shuffled_and_whole():
    rungs = hyperband_rungs(49, 27)
    brackets = brackets_of(3, rungs)
    assert np.bincount(brackets).tolist() == [27, 12, 6, 4]
    assert brackets.tolist() == brackets_of(3, rungs).tolist() != sorted(brackets.tolist())


# Population-based training

SPACE = Space(
    learning_rate=Float(1e-4, 1, scale="log"),
    b1=Float(0.8, 0.99, scale="one_minus_log"),
    b2=Float(0.9, 0.9999, scale="one_minus_log"),
    hidden_units=Int(8, 64, scale="log"),
    init_scale=Float(0.5, 2, scale="log"),
    dropout=Float(0, 0.5),
    decay_kind=Choice("none", "cosine"),
    num_layers=Choice(1, 2),
    batch_size=Int(16, 128, scale="power_of_two"),
)


def population(num, seed=0):
    draws = np.random.default_rng(seed).random((num, len(SPACE.domains)))
    configs = tuple(SPACE.config(dict(zip(SPACE.domains, row, strict=True))) for row in draws.tolist())
    return cohort_of(num, configs=configs, space=SPACE)


def test_pbt_rungs():
    assert table(pbt_rungs(8, 7, interval=3)) == [(3, 8), (6, 8), (7, 8)]


def test_the_worst_take_over_from_the_best_of_their_spec():
    configs = tuple(from_values(learning_rate=1e-3 * (i + 1), num_layers=1 + i // 4) for i in range(8))
    space = Space(learning_rate=Float(1e-4, 1, scale="log"), num_layers=Choice(1, 2))
    cohort = cohort_of(8, configs=configs, space=space)
    edit = exploit_and_explore(0, cohort, history_of([0.1, 0.2, 0.3, 0.4, 0.9, 0.8, 0.7, np.nan]), Rung(2, (8,)))
    assert edit.keep.tolist() == list(range(8))
    assert edit.source.tolist() == [0, 1, 2, 0, 4, 5, 6, 6]
    for place in (0, 1, 2, 4, 5, 6):
        assert edit.configs[place] == configs[place]
    for child, parent in ((3, 0), (7, 6)):
        assert edit.configs[child].learning_rate != configs[child].learning_rate
        assert dataclasses.replace(edit.configs[child], learning_rate=configs[parent].learning_rate) == configs[parent]


@given(st.integers(2, 40), st.integers(0, 9), st.data())
def test_pbt_takes_nothing_over_from_a_failure_nor_across_specs(num, seed, data):
    cohort = population(num, seed)
    objective = data.draw(st.lists(st.one_of(st.just(float("nan")), st.floats(0, 1)), min_size=num, max_size=num))
    history = history_of(objective, cohort.configs)
    edit = exploit_and_explore(seed, cohort, history, Rung(9, (num,)))
    again = exploit_and_explore(seed, cohort, history, Rung(9, (num,)))
    assert edit.configs == again.configs and edit.source.tolist() == again.source.tolist()
    for place, source, config in zip(edit.keep.tolist(), edit.source.tolist(), edit.configs, strict=True):
        assert not math.isnan(objective[source])
        assert spec_of(cohort.configs[place]) == spec_of(cohort.configs[source]) == spec_of(config)
        if source != place:
            assert math.isnan(objective[place]) or objective[source] <= objective[place]
        else:
            assert config == cohort.configs[place]
    # Who is not kept has failed, and so has everybody of its spec.
    for place in set(range(num)) - set(edit.keep.tolist()):
        spec = spec_of(cohort.configs[place])
        assert all(math.isnan(objective[p]) for p in range(num) if spec_of(cohort.configs[p]) == spec)


def test_pbt_lets_everybody_who_failed_take_over_from_the_one_who_did_not():
    objective = [0.1] + [float("nan")] * 7
    cohort = cohort_of(8, space=Space(learning_rate=Float(1e-4, 1, scale="log")))
    edit = exploit_and_explore(0, cohort, history_of(objective), Rung(9, (8,)))
    assert edit.keep.tolist() == list(range(8)) and edit.source.tolist() == [0] * 8


@given(st.integers(0, 300))
def test_exploring_draws_anew_what_has_come_to_hold_and_lets_go_of_what_no_longer_does(seed):
    space = Space(
        decay_kind=Choice("none", "exponential"),
        learning_rate_decay=Float(1e-3, 1, scale="log", when={"decay_kind": "exponential"}),
        warmup_epochs=Float(1, 2, when={"decay_kind": "none"}),
    )
    parent = space.config({"decay_kind": seed % 2, "learning_rate_decay": 0.5, "warmup_epochs": 0.5})
    child = explore(np.random.default_rng(seed), parent, space, spec_of)
    assert (child.learning_rate_decay >= 1e-3) == (child.decay_kind == "exponential")
    assert child.learning_rate_decay == 0 or child.decay_kind == "exponential"
    assert (child.warmup_epochs >= 1) == (child.decay_kind == "none")


def test_exploring_changes_nothing_of_which_a_drawn_weight_depends():
    space = Space(
        decay_kind=Choice("none", "exponential"), init_scale=Float(0.5, 0.6, when={"decay_kind": "exponential"})
    )
    parent = space.config({"decay_kind": 0, "init_scale": 0.5})
    assert all(explore(np.random.default_rng(seed), parent, space, spec_of) == parent for seed in range(50))


@given(st.integers(0, 200))
def test_explored_values_stay_in_the_space_and_true_to_the_state(seed):
    parent = population(1, seed).configs[0]
    child = explore(np.random.default_rng(seed), parent, SPACE, spec_of)
    for name in ("b2", "hidden_units", "init_scale", "num_layers", "optimizer"):
        assert getattr(child, name) == getattr(parent, name)
    for name, u in SPACE.point(child).items():
        assert 0 <= u <= 1
        assert SPACE.domains[name].at(u) == pytest.approx(getattr(child, name))
    assert spec_of(child) == spec_of(parent)
    assert max(child.batch_size, 64) == max(parent.batch_size, 64)


def test_hyperband_spends_about_as_much_on_every_bracket():
    rungs = hyperband_rungs(10_000, 81)
    epochs = np.array([rung.epochs for rung in rungs])
    survivors = np.array([rung.survivors for rung in rungs])
    spent = (survivors * np.diff(epochs, prepend=0)[:, None]).sum(0)
    assert spent.max() / spent.min() < 1.5


# Patience


def test_patience_ends_who_gets_no_better_and_leaves_the_pruned_pruned():
    method = with_patience(scheduler("halving", num_epochs=9), 2)
    cohort = dataclasses.replace(cohort_of(4), epoch=3)
    history = history_of([0.1, 0.2, 0.3, 0.4], best_epochs=[3, 1, 3, 1], epochs=3)
    edit = method.decide(0, cohort, history, Rung(9, (2,)))
    assert edit.keep.tolist() == [0] and edit.ended.tolist() == [1]
    assert edit.source.tolist() == [0] and len(edit.configs) == 1


def test_patience_makes_rungs_where_there_are_none():
    assert table(with_patience(scheduler("none", num_epochs=7), 3).rungs(5, 7)) == [(3, 5), (6, 5), (7, 5)]
    assert table(with_patience(scheduler("halving", num_epochs=9), 2).rungs(9, 9)) == [(1, 9), (3, 3), (9, 1)]


@pytest.mark.parametrize(("low", "high", "value"), [(32, 256, 64), (16, 256, 64), (1, 128, 2)])
def test_powers_of_two_are_perturbed_both_ways_alike(low, high, value):
    space = Space(batch_size=Int(low, high, scale="power_of_two"))
    config = from_values(batch_size=value)
    found = Counter(
        explore(np.random.default_rng(seed), config, space, lambda config: None).batch_size for seed in range(2000)
    )
    drawn_anew = 2000 * pbt.RESAMPLE / space.domains["batch_size"].num_values
    for neighbour in (value // 2, value * 2):
        assert found[neighbour] == pytest.approx(2000 * (1 - pbt.RESAMPLE) / 2 + drawn_anew, rel=0.1)


@pytest.mark.parametrize("domain", [Int(1, 4), Int(1, 9, scale="log"), Int(1, 200, scale="log"), Int(0, 255)])
def test_whole_numbers_are_perturbed_to_others_within_the_domain(domain):
    for value in range(max(domain.low, 1), domain.high + 1):
        down, up = (pbt.beside(domain, domain.share(value), step) for step in (-pbt.PERTURB, pbt.PERTURB))
        assert domain.low <= down <= value <= up <= domain.high
        assert down < value or value == domain.low
        assert up > value or value == domain.high


def test_a_small_factor_keeps_in_proportion_to_the_epochs():
    rungs = halving_rungs(100, 10, factor=1.2)
    for one, other in itertools.pairwise(rungs[:-1]):
        kept = other.survivors[0] / one.survivors[0]
        assert kept == pytest.approx(one.epochs / other.epochs, rel=0.25)
    with pytest.raises(UserError, match=r"a reduction factor of 1\.000001 stops hardly any: give 1\.1"):
        halving_rungs(100, 10, factor=1 + 1e-6)
