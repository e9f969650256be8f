"""What mattered: the hyperparameter that does, ranked first; main effects that recover a known function."""

import numpy as np
import polars as pl
import pytest

from jaxbn.errors import UserError
from jaxbn.search import Choice, Config, Float, Int, Space, from_values
from jaxbn.study.importance import importance, main_effects, share_near_best
from jaxbn.study.per_config import per_config
from tests.study.synthetic import sweep

SPACE = Space(
    learning_rate=Float(1e-4, 1, scale="log"),
    dropout=Float(0, 0.5),
    num_layers=Int(1, 3),
    hidden_units=Int(16, 256, scale="log"),
    optimizer=Choice("momentum", "adam"),
    momentum=Float(0.9, 0.999, scale="one_minus_log"),
    label_smoothing=0.1,
)


def bowl(config, rng):
    """Only the learning rate matters, best at 0.01."""
    return 1 - (np.log10(config.learning_rate) + 2) ** 2 / 4 + 0.01 * rng.normal()


@pytest.fixture(scope="module")
def only_rate():
    return sweep(SPACE, bowl, num_configs=300)


@pytest.mark.parametrize("method", ["ped_anova", "fanova"])
def test_the_one_that_matters_is_ranked_first(only_rate, method):
    pytest.importorskip("optuna")
    shares = importance(only_rate, method=method)
    assert set(shares) == set(SPACE.domains)
    assert next(iter(shares)) == "learning_rate" and shares["learning_rate"] > 0.8
    assert list(shares.values()) == sorted(shares.values(), reverse=True)
    assert sum(shares.values()) == pytest.approx(1)


def test_the_same_seed_gives_the_same_shares():
    pytest.importorskip("optuna")
    few = sweep(SPACE, bowl, num_configs=30)
    assert importance(few, method="fanova") == importance(few, method="fanova")
    assert importance(few, method="fanova") != importance(few, method="fanova", seed=1)


@pytest.mark.parametrize("method", ["ped_anova", "fanova"])
def test_a_loss_and_a_choice_and_a_conditional_one(method):
    pytest.importorskip("optuna")

    def loss(config, rng):
        return (config.optimizer == "adam") * 2 + (1 - config.momentum) * (config.optimizer == "momentum")

    shares = importance(sweep(SPACE, loss, greater_is_better=False), method=method)
    # What explains most of the variance is the optimizer; what only the best tenth has in common is a high momentum.
    assert next(iter(shares)) == {"fanova": "optimizer", "ped_anova": "momentum"}[method]
    assert shares["optimizer"] + shares["momentum"] > 0.8


def test_divergence_counts_as_the_worst_score_and_so_makes_its_cause_important():
    pytest.importorskip("optuna")

    def results(status):
        return sweep(SPACE, lambda config, rng: 0.5 + 0.01 * rng.normal(), status=status, num_configs=100)

    broken = results(lambda config, score: "diverged" if config.learning_rate > 0.1 else "ok")
    assert next(iter(importance(broken, method="fanova"))) == "learning_rate"
    quiet = results(lambda config, score: "ok")
    assert importance(quiet, method="fanova")["learning_rate"] < 0.5
    effect = main_effects(broken, num_bins=4)["learning_rate"]
    assert effect.mean[3] == pytest.approx(per_config(broken).score.min()) and effect.mean[3] < effect.mean[:3].min()
    assert effect.std[3] == pytest.approx(0, abs=1e-12)


def test_replicates_are_averaged_and_one_that_diverged_drags_its_mean():
    def status(config, score):
        return "diverged" if score > 0.9 else "ok"

    results = sweep(SPACE, lambda config, rng: rng.random(), replicates=4, num_configs=50, status=status)
    table = per_config(results)
    trials = results.trials
    lowest = trials.filter(pl.col("status") == "ok")["valid_accuracy"].min()
    for number in range(50):
        rows = trials.filter(pl.col("config") == number)["valid_accuracy"].to_list()
        assert table.score[number] == pytest.approx(np.mean([lowest if row is None else row for row in rows]))


def test_what_no_configuration_uses_is_left_out():
    pytest.importorskip("optuna")
    space = Space(learning_rate=Float(1e-4, 1, scale="log"), b1=Float(0.8, 0.99), optimizer="momentum")
    results = sweep(space, bowl, num_configs=50)
    assert set(importance(results)) == set(main_effects(results)) == {"learning_rate"}


def test_main_effects_recover_a_known_function(only_rate):
    effects = main_effects(only_rate, num_bins=8)
    assert list(effects) == list(SPACE.domains)
    rate = effects["learning_rate"]
    np.testing.assert_allclose(np.log10(rate.values), -4 + 4 * (np.arange(8) + 0.5) / 8)
    # The mean of the bowl over a bin is its value in the middle and a twelfth of the squared width, here a 48th.
    expected = 1 - ((np.log10(rate.values) + 2) ** 2 + 0.5**2 / 12) / 4
    np.testing.assert_allclose(rate.mean, expected, atol=0.05)
    assert rate.count.sum() == 300 and rate.count.min() > 20
    assert effects["num_layers"].values == (1, 2, 3) and effects["optimizer"].values == ("momentum", "adam")
    assert np.ptp(effects["dropout"].mean) < np.ptp(rate.mean) / 3
    # Within a bin of another hyperparameter remains what the learning rate does.
    assert effects["optimizer"].std.min() > 0.2 > rate.std[3:5].max()
    assert effects["momentum"].count.sum() == effects["optimizer"].count[0]


def test_bins_that_hold_nothing_are_left_out():
    configs = [Config(learning_rate=rate) for rate in (1e-4, 1e-4 * 1.01, 1.0)]
    results = sweep(None, lambda config, rng: config.learning_rate, configs=configs)
    effect = main_effects(results, num_bins=4)["learning_rate"]
    assert effect.count.tolist() == [2, 1] and effect.shares.tolist() == [0.125, 0.875]


def test_listed_configurations_have_the_space_that_they_span():
    pytest.importorskip("optuna")
    rng = np.random.default_rng(0)
    configs = [
        from_values(learning_rate=10 ** rng.uniform(-4, 0), hidden_units=[(32, 16), (64, 64)][place % 2])
        for place in range(40)
    ]
    results = sweep(None, bowl, configs=configs)
    shares = importance(results)
    assert list(shares) == ["learning_rate", "hidden_units"]
    assert set(main_effects(results)["hidden_units"].values) == {(32, 16), (64, 64)}


def test_share_near_best_is_the_share_of_the_space():
    space = Space(dropout=Float(0, 0.5), label_smoothing=Float(0, 0.2))
    results = sweep(space, lambda config, rng: 1 - 2 * config.dropout, num_configs=2000)
    assert share_near_best(results, 10) == pytest.approx(0.1, abs=0.02)
    assert share_near_best(results, 0) == 1 / 2000
    loss = sweep(space, lambda config, rng: 1 + 2 * config.dropout, num_configs=2000, greater_is_better=False)
    assert share_near_best(loss, 10) == pytest.approx(0.1, abs=0.02)


def test_share_near_best_looks_at_the_first_round_of_a_sampler_that_zooms_in():
    results = sweep(SPACE, lambda config, rng: 1.0, num_configs=40, sampler="coarse_to_fine")
    later = results.trials["trial"] >= 10
    score = pl.when(later).then(1.0).otherwise(pl.when(pl.col("trial") < 5).then(0.995).otherwise(0.2))
    results.trials = results.trials.with_columns(later.cast(int).alias("round"), score.alias("valid_accuracy"))
    assert share_near_best(results, 1) == 0.5


@pytest.mark.parametrize("sampler", ["random", "coarse_to_fine"])
def test_share_near_best_leaves_out_what_was_enqueued(sampler):
    results = sweep(SPACE, lambda config, rng: 0.2, num_configs=20, sampler=sampler, enqueued=4)
    place = pl.col("config")
    # All that a person gave are near the best, which is one of them, and so are 4 of the 16 draws.
    score = pl.when(place == 0).then(1.0).when(place < 8).then(0.995).otherwise(0.2)
    results.trials = results.trials.with_columns(score.alias("valid_accuracy"))
    assert share_near_best(results, 1) == 4 / 16
    results.request.enqueued = 0
    assert share_near_best(results, 1) == 8 / 20
    results.request.enqueued = 20
    with pytest.raises(UserError, match="the 20 configurations that trained were all enqueued"):
        share_near_best(results, 1)


def test_bad_input_is_refused_in_a_sentence(only_rate):
    pytest.importorskip("optuna")
    with pytest.raises(UserError, match=r"unknown method of importance 'anova' \(did you mean 'fanova'"):
        importance(only_rate, method="anova")
    with pytest.raises(UserError, match="importance needs 10 or more trained configurations and this sweep has 5"):
        importance(sweep(SPACE, bowl, num_configs=5))
    with pytest.raises(UserError, match="no trial of this sweep has a finite valid_accuracy"):
        importance(sweep(SPACE, bowl, status=lambda config, score: "diverged"))
    with pytest.raises(UserError, match="num_bins = 0"):
        main_effects(only_rate, num_bins=0)
    with pytest.raises(UserError, match="percent = -1"):
        share_near_best(only_rate, -1)
