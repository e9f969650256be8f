"""The efficiency curve against every subset, one by one."""

import itertools

import numpy as np
import polars as pl
import pytest

from jaxbn.errors import UserError
from jaxbn.search import Float, Space
from jaxbn.study.efficiency import efficiency
from tests.study.synthetic import sweep

SPACE = Space(learning_rate=Float(1e-4, 1, scale="log"))


@pytest.mark.parametrize("greater_is_better", [True, False])
@pytest.mark.parametrize("num_configs", [1, 2, 7, 12])
def test_it_is_the_mean_and_quantiles_over_all_subsets(num_configs, greater_is_better):
    def score(config, rng):
        return round(rng.random(), 1)  # Ties included.

    results = sweep(SPACE, score, num_configs=num_configs, greater_is_better=greater_is_better)
    scores = results.trials["valid_accuracy"].to_numpy()
    curve = efficiency(results)
    assert curve.sizes.tolist() == {1: [1], 2: [1, 2], 7: [1, 2, 4, 7], 12: [1, 2, 4, 8, 12]}[num_configs]
    best = max if greater_is_better else min
    for place, size in enumerate(curve.sizes.tolist()):
        winners = [best(subset) for subset in itertools.combinations(scores.tolist(), size)]
        assert curve.mean[place] == pytest.approx(np.mean(winners), rel=1e-12)
        assert curve.low[place] == np.quantile(winners, 0.05, method="inverted_cdf")
        assert curve.high[place] == np.quantile(winners, 0.95, method="inverted_cdf")


def test_of_uniform_scores_the_best_of_s_is_s_over_s_plus_one():
    results = sweep(SPACE, lambda config, rng: rng.random(), num_configs=4096)
    curve = efficiency(results)
    np.testing.assert_allclose(curve.mean, curve.sizes / (curve.sizes + 1), atol=0.02)
    assert (np.diff(curve.mean) > 0).all() and curve.mean[-1] == curve.low[-1] == curve.high[-1]
    assert (curve.metric, curve.greater_is_better) == ("accuracy", True)


def test_what_diverged_counts_as_the_worst():
    results = sweep(
        SPACE,
        lambda config, rng: 1.0 if config.learning_rate < 0.1 else 0.5,
        num_configs=64,
        status=lambda config, score: "diverged" if config.learning_rate < 1e-3 else "ok",
    )
    good = sum(1e-3 <= rate < 0.1 for rate in results.trials["learning_rate"]) / 64
    assert 0.3 < good < 0.7
    assert efficiency(results).mean[0] == pytest.approx(0.5 + 0.5 * good)


def test_what_was_enqueued_is_no_draw():
    results = sweep(SPACE, lambda config, rng: rng.random(), num_configs=12, replicates=2)
    drawn = sweep(SPACE, lambda config, rng: rng.random(), num_configs=12, replicates=2)
    # As if the first four were a person's; one of them did not train, nor did one of the others.
    untrained = pl.when(pl.col("config").is_in([1, 7])).then(0).otherwise(1)
    results.trials = results.trials.with_columns(epochs=untrained)
    results.request.enqueued = 4
    drawn.trials = drawn.trials.filter((pl.col("config") >= 4) & (pl.col("config") != 7))
    curve, expected = efficiency(results), efficiency(drawn)
    assert curve.sizes.tolist() == [1, 2, 4, 7]
    np.testing.assert_array_equal(curve.mean, expected.mean)
    np.testing.assert_array_equal(curve.low, expected.low)
    results.request.enqueued = 12
    with pytest.raises(UserError, match="the 10 configurations that trained were all enqueued"):
        efficiency(results)
