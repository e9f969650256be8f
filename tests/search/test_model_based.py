"""Samplers that model what they have seen: they learn, from failures too, and their batches repeat nothing."""

import importlib.util

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import cdist, pdist

from jaxbn.errors import UserError
from jaxbn.search import Choice, Float, History, Int, Space, propose
from jaxbn.search.apart import embed, radius

pytest.importorskip("optuna")
pytest.importorskip("cmaes")

from jaxbn.search import model_based

HAS_TORCH = importlib.util.find_spec("torch") is not None
SAMPLERS = [model_based.tpe, model_based.cmaes]
RATE = Float(1e-4, 1, scale="log")
DEFAULT = Space.default()
MIXED = Space(
    learning_rate=RATE,
    optimizer=Choice("momentum", "adam", "sgd"),
    momentum=Float(0.9, 0.999, scale="one_minus_log", when={"optimizer": "momentum"}),
    batch_size=Int(32, 256, scale="power_of_two"),
    hidden_units=Int(16, 256, scale="log"),
)


def history_of(configs, objective, *, epochs=None, rounds=None):
    objective = np.array(objective, float)
    rank = np.argsort(np.argsort(np.where(np.isnan(objective), np.inf, objective), kind="stable"), kind="stable")
    whole = np.zeros(len(configs), int)
    epochs = whole + 5 if epochs is None else np.array(epochs)
    return History(tuple(configs), objective, rank, epochs, epochs, whole if rounds is None else np.array(rounds))


def off(config):
    """Decades from a learning rate of 0.01."""
    return abs(np.log10(config.learning_rate) + 2)


def seen(space, n=60, objective=off, seed=1):
    configs = propose.random(seed, space, None, n)
    return history_of(configs, [objective(config) for config in configs])


@pytest.mark.parametrize("sample", SAMPLERS)
@pytest.mark.parametrize("space", [DEFAULT, MIXED], ids=["default", "mixed"])
def test_batches_are_pure_and_without_near_duplicates(sample, space):
    past = seen(space)
    batch = sample(3, space, past, 16)
    assert batch == sample(3, space, past, 16) != sample(4, space, past, 16)
    assert len(batch) == 16
    points, old = embed(space, batch), embed(space, past.configs)
    assert pdist(points).min() > 0.01 and cdist(points, old).min() > 0.01


DOMAINS = {
    "learning_rate": RATE,
    "momentum": Float(0.9, 0.999, scale="one_minus_log"),
    "b1": Float(0.8, 0.99, scale="one_minus_log", when={"optimizer": ["adam"]}),
    "batch_size": Int(32, 256, scale="power_of_two"),
    "hidden_units": Int(16, 256, scale="log"),
    "num_layers": Int(1, 3),
    "optimizer": Choice("momentum", "adam", "sgd"),
}


@pytest.mark.parametrize("sample", SAMPLERS)
@settings(max_examples=8)
@given(
    names=st.sets(st.sampled_from(list(DOMAINS)), min_size=1),
    seed=st.integers(0, 2**31),
    past=st.integers(0, 60),
    num_configs=st.integers(1, 16),
    failing=st.floats(0, 1),
)
def test_whatever_the_space_and_the_past_a_batch_repeats_nothing(sample, names, seed, past, num_configs, failing):
    space = Space(**{name: DOMAINS[name] for name in DOMAINS if name in names})
    rng = np.random.default_rng(seed)
    tried = propose.random(seed, space, None, past)
    history = history_of(tried, np.where(rng.random(past) < failing, np.nan, rng.random(past)))
    before = (list(history.configs), history.objective.copy())
    batch = sample(seed, space, history, num_configs)
    assert batch == sample(seed, space, history, num_configs) and len(batch) == num_configs
    assert list(history.configs) == before[0] and np.array_equal(history.objective, before[1], equal_nan=True)
    points = embed(space, batch)
    apart = pdist(points).min(initial=np.inf)
    real = [isinstance(domain, Float) for domain in space.domains.values()]
    if (points[:, real] >= 0).any():
        assert apart >= radius(space, num_configs)
    elif not any(real):
        everything = {tuple(row) for row in embed(space, propose.random(seed, space, None, 20_000)).tolist()}
        old = {tuple(row) for row in embed(space, tried).tolist()}
        fresh = {tuple(row) for row in points.tolist()} - old
        assert len(fresh) == min(num_configs, len(everything - old))


@pytest.mark.parametrize("sample", SAMPLERS + [model_based.gp] * HAS_TORCH)
def test_the_first_batch_covers_the_cube(sample):
    batch = sample(0, DEFAULT, None, 64)
    assert batch == sample(0, DEFAULT, History.empty(), 64)
    rates = np.sort([np.log10(c.learning_rate) / 4 + 1 for c in batch])
    # Sobol points: one in each 64th.
    assert np.abs(rates - (np.arange(64) + 0.5) / 64).max() <= 0.5 / 64
    assert pdist(embed(DEFAULT, batch)).min() > 0.05
    # A search that has hardly begun goes on elsewhere.
    few = history_of(batch[:5], range(5))
    assert not set(sample(0, DEFAULT, few, 8)) & set(batch[:5])


@pytest.mark.parametrize("sample", SAMPLERS)
def test_what_did_well_is_searched_more_densely(sample):
    space = Space(learning_rate=RATE, dropout=Float(0, 0.5))
    batch = sample(0, space, seen(space), 16)
    assert np.median([off(config) for config in batch]) < 0.5  # Uniform draws have 1.


@pytest.mark.parametrize("sample", SAMPLERS)
def test_failures_are_learned_from(sample):
    space = Space(learning_rate=RATE, dropout=Float(0, 0.5))
    rng = np.random.default_rng(0)
    past = seen(space, 80, lambda config: np.nan if config.learning_rate > 0.1 else rng.random())
    assert np.isnan(past.objective).mean() > 0.15
    batches = [sample(seed, space, past, 16) for seed in range(3)]
    failing = np.mean([config.learning_rate > 0.1 for batch in batches for config in batch])
    assert failing < 0.13  # A sampler that forgets failures, or never saw them, proposes a quarter.


@pytest.mark.parametrize("sample", SAMPLERS)
def test_a_choice_is_learned(sample):
    past = seen(MIXED, objective=lambda config: {"momentum": 0, "adam": 1, "sgd": 2}[config.optimizer])
    batch = sample(0, MIXED, past, 16)
    assert np.mean([config.optimizer == "momentum" for config in batch]) > 0.6
    assert all(config.momentum == 0.9 for config in batch if config.optimizer != "momentum")
    assert len({config.momentum for config in batch if config.optimizer == "momentum"}) > 5


@pytest.mark.parametrize("sample", SAMPLERS)
def test_a_line_of_real_numbers_holds_a_batch_without_near_duplicates(sample):
    space = Space(learning_rate=RATE)
    batch = sample(0, space, seen(space, 30), 16)
    assert pdist(embed(space, batch)).min() >= radius(space, 16) > 0.005


@pytest.mark.parametrize("sample", SAMPLERS)
def test_a_discrete_space_is_tried_whole_before_anything_twice(sample):
    space = Space(
        optimizer=Choice("momentum", "adam"), num_layers=Int(1, 3), batch_size=Int(32, 256, scale="power_of_two")
    )
    everything = set(propose.grid(0, space, None, 24))
    tried = []
    for _ in range(3):
        tried += sample(0, space, history_of(tried, [c.num_layers for c in tried]), 8)
    assert len(tried) == 24 and set(tried) == everything
    again = sample(0, space, history_of(tried, [c.num_layers for c in tried]), 4)
    assert len(again) == 4 and set(again) <= everything


def test_what_has_not_trained_is_avoided_but_not_learned_from():
    past = seen(MIXED, 40)
    batch = model_based.tpe(0, MIXED, past, 8)
    waiting = batch[0]
    with_one = history_of(
        [*past.configs, waiting], [*past.objective, np.nan], epochs=[*past.epochs, 0], rounds=[*past.rounds, 1]
    )
    assert waiting not in model_based.tpe(0, MIXED, with_one, 8)
    only_waiting = history_of(past.configs, [np.nan] * 40, epochs=[0] * 40)
    assert len({c.optimizer for c in model_based.tpe(0, MIXED, only_waiting, 8)}) == 3


@pytest.mark.parametrize("sample", SAMPLERS)
def test_trusted_configurations_from_outside_of_the_space_do_no_harm(sample):
    space = Space(learning_rate=Float(1e-3, 1e-1, scale="log"), optimizer=Choice("momentum", "adam"))
    elsewhere = Space(learning_rate=RATE, optimizer=Choice("sgd", "rmsprop")).config
    trusted = [elsewhere({"learning_rate": u, "optimizer": u}) for u in (0.0, 1.0)]
    past = seen(space, 30)
    batch = sample(0, space, history_of([*trusted, *past.configs], [5, 6, *past.objective]), 8)
    assert all(1e-3 <= c.learning_rate <= 1e-1 and c.optimizer in ("momentum", "adam") for c in batch)


@pytest.mark.skipif(not HAS_TORCH, reason="Optuna's Gaussian process needs torch")
def test_gp_learns_from_good_and_bad_and_repeats_nothing():
    rng = np.random.default_rng(0)
    past = seen(MIXED, 40, lambda config: np.nan if config.learning_rate > 0.1 else off(config) + 0.3 * rng.random())
    batch = model_based.gp(0, MIXED, past, 6)
    assert batch == model_based.gp(0, MIXED, past, 6)
    assert np.median([off(config) for config in batch]) < 0.5
    assert sum(config.learning_rate > 0.1 for config in batch) <= 1
    assert pdist(embed(MIXED, [*batch, *past.configs])).min() > 0.01


def test_cmaes_takes_a_round_as_a_generation_and_converges():
    space = Space(learning_rate=RATE, dropout=Float(0, 0.5), label_smoothing=Float(0, 0.2), num_layers=Int(1, 9))
    target = np.array([0.7, 0.3, 0.6, 0.5])

    def objective(config):
        return ((embed(space, [config])[0] - target) ** 2).sum()

    configs, rounds = [], []
    for number in range(8):
        past = history_of(configs, [objective(config) for config in configs], rounds=rounds)
        configs += model_based.cmaes(0, space, past, 24)
        rounds += [number] * 24
    loss = np.array([objective(config) for config in configs]).reshape(8, 24)
    assert np.median(loss[-1]) < np.median(loss[0]) / 10
    # Whole numbers do not freeze at the first that did well.
    assert np.mean([config.num_layers == 5 for config in configs[-24:]]) > 0.3


def test_rounds_of_unlike_size_are_told_whole_and_small_ones_wait():
    def rounds_told(sizes, population):
        rounds = np.repeat(np.arange(len(sizes)), sizes)
        each = [model_based._Seen({}, place, int(number)) for place, number in enumerate(rounds)]
        return [len(generation) for generation in model_based._generations(each, population)]

    assert rounds_told([64, 64, 10], 64) == [64, 64]
    assert rounds_told([64, 48, 47, 5, 64], 64) == [64, 48, 52, 64]
    assert rounds_told([1] * 20, 8) == [6, 6, 6]


def test_a_long_history_is_thinned_to_the_best_and_a_draw_of_the_others():
    rng = np.random.default_rng(0)
    places = rng.permutation(1000)
    thin = model_based._thin([model_based._Seen({}, int(p), n) for n, p in enumerate(places)], rng)
    kept = np.array([one.place for one in thin])
    assert len(thin) == 250 and np.sort(kept)[:25].tolist() == list(range(25))
    assert np.diff([one.round for one in thin]).min() > 0
    assert abs(kept[kept >= 25].mean() - 512) < 4 * 281 / np.sqrt(225)


def test_optuna_stays_silent_and_as_loud_as_it_was(capfd):
    import optuna

    before = optuna.logging.get_verbosity()
    model_based.tpe(0, MIXED, seen(MIXED, 20), 4)
    assert optuna.logging.get_verbosity() == before
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("name", "missing", "said"),
    [
        ("tpe", "optuna", r'the tpe sampler needs optuna.*pip install "jaxbn\[optuna\]"'),
        ("cmaes", "cmaes", r'the cmaes sampler needs cmaes.*pip install "jaxbn\[optuna\]"'),
        ("gp", "torch", r"the gp sampler needs PyTorch.*pip install torch"),
    ],
)
def test_a_missing_package_is_named_with_what_to_install(monkeypatch, name, missing, said):
    there = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda package: None if package == missing else there(package))
    with pytest.raises(UserError, match=said):
        getattr(model_based, name)(0, DEFAULT, None, 4)
