"""Which lead is real: against SciPy's paired test, a case by hand, and the definition of Holm's adjustment."""

import math
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import polars as pl
import pytest
from scipy import stats

from jaxbn.errors import UserError
from jaxbn.search import HYPERPARAMETERS
from jaxbn.study.compare import compare, holm
from jaxbn.study.results import Results


def swept(scores, *, greater_is_better=True, status=None):
    """Results of a sweep that never ran, of scores [configs, replicates, folds]; NaN is no score."""
    scores = np.asarray(scores, float)
    config, replicate, fold = (axis.ravel() for axis in np.indices(scores.shape))
    n, status = scores.size, status or {}
    trials = pl.DataFrame(
        {
            "trial": np.arange(n),
            "config": config,
            "replicate": replicate,
            "fold": fold,
            **{name: pl.Series([None] * n, dtype=pl.Float64) for name in HYPERPARAMETERS},
            "status": [status.get(trial, "ok") for trial in range(n)],
            "epochs": np.ones(n, int),
            "train_loss": np.ones(n),
            "valid_loss": np.ones(n),
            "valid_score": [None if math.isnan(score) else score for score in scores.ravel().tolist()],
            "train_seconds": np.ones(n),
        }
    )
    request: Any = SimpleNamespace(replicates=scores.shape[1], folds=scores.shape[2])
    summary: Any = SimpleNamespace(metric="score", greater_is_better=greater_is_better)
    return Results(request, trials, trials, trials, summary, ())


def drawn(num_configs, replicates, folds, seed=0):
    rng = np.random.default_rng(seed)
    lead = np.linspace(0.3, 0, num_configs)[:, None, None]
    return (
        lead + 0.1 * rng.normal(size=(1, replicates, folds)) + 0.1 * rng.normal(size=(num_configs, replicates, folds))
    )


def by_definition(p_values):
    """Holm (1979): the k-th smallest of m times m - k + 1, at least what any smaller one has, at most 1."""
    ordered, m = sorted(p_values), len(p_values)
    return [
        min(1.0, max((m - k) * q for k, q in enumerate(ordered) if q <= p or k == ordered.index(p))) for p in p_values
    ]


@pytest.mark.parametrize("greater_is_better", [True, False])
@pytest.mark.parametrize("replicates", [2, 7])
def test_replicates_are_a_paired_t_test(replicates, greater_is_better):
    scores = drawn(4, replicates, 1)
    found = compare(swept(scores, greater_is_better=greater_is_better), 4)
    sign = 1 if greater_is_better else -1
    order = np.argsort(-sign * scores.mean((1, 2)))
    tests = [stats.ttest_rel(sign * scores[order[0], :, 0], sign * scores[other, :, 0]) for other in order[1:]]
    assert [one.config for one in found] == order[1:].tolist()
    adjusted = by_definition([cast(Any, test).pvalue for test in tests])
    for one, test, p_value in zip(found, cast(Any, tests), adjusted, strict=True):
        interval = test.confidence_interval(0.95)
        assert one.mean == pytest.approx(sign * (scores[order[0]] - scores[one.config]).mean()) and one.mean > 0
        assert (one.low, one.high) == pytest.approx((interval.low, interval.high))
        assert one.p_value == pytest.approx(p_value) and one.real == (p_value < 0.05)


def test_folds_are_corrected_for_the_rows_that_they_share():
    # By hand: differences 0.04, 0.06, 0.08, 0.02 have mean 0.05 and variance 0.002 / 3; K = 4, so the variance of the
    # mean is 0.002 / 3 (1/4 + 1/3) = 0.0035 / 9 and t = 0.05 / 0.019720 = 2.53546, with three degrees of freedom.
    winner, other = [0.90, 0.92, 0.91, 0.88], [0.86, 0.86, 0.83, 0.86]
    (one,) = compare(swept([[winner], [other]]))
    assert one.mean == pytest.approx(0.05)
    t, quantile = 2.5354628, 3.1824463
    assert one.high - one.mean == pytest.approx(quantile * 0.0197203, rel=1e-5)
    # The distribution function of t with three degrees of freedom has a closed form.
    x = t / math.sqrt(3)
    assert one.p_value == pytest.approx(1 - 2 / math.pi * (math.atan(x) + x / (1 + x * x)), rel=1e-5)
    assert 0.05 < one.p_value < 0.1 and not one.real


def test_replicates_within_folds_are_one_difference():
    scores = drawn(3, 6, 4)
    averaged = scores.mean(1, keepdims=True)
    found, expected = compare(swept(scores)), compare(swept(averaged))
    for one, same in zip(found, expected, strict=True):
        assert (one.mean, one.low, one.high, one.p_value) == pytest.approx(
            (same.mean, same.low, same.high, same.p_value)
        )
    # More replicates of the same scores say no more.
    again = compare(swept(np.concatenate([scores, scores, scores], 1)))
    assert [one.p_value for one in again] == pytest.approx([one.p_value for one in found])


@pytest.mark.parametrize(
    ("winner", "other"),
    [
        ([1.0, 1.0], [35 / 36, 35 / 36]),
        # Alike but for rounding.
        ([0.9, 0.8, 0.7], [0.8, 0.7, 0.6]),
        (np.float32([0.9, 0.8, 0.3]), np.float32([0.8, 0.7, 0.2])),
        ([0.5, 0.5], [0.5, 0.5]),
    ],
)
@pytest.mark.parametrize("over", ["replicates", "folds"])
def test_differences_that_are_all_alike_show_nothing(winner, other, over):
    scores = np.array([winner, other], float)
    (one,) = compare(swept(scores[:, :, None] if over == "replicates" else scores[:, None, :]))
    assert one.mean == pytest.approx(scores[0, 0] - scores[1, 0], abs=1e-6)
    assert (one.low, one.high, one.p_value, one.real) == (-math.inf, math.inf, 1.0, False)


def test_a_small_lead_that_scatters_less_is_real():
    scores = np.array([[0.9, 0.8, 0.7, 0.6], [0.8, 0.701, 0.6, 0.499]])
    (one,) = compare(swept(scores[:, :, None]))
    assert one.real and one.low > 0.09 and one.high < 0.11


def test_what_failed_or_was_stopped_is_left_out():
    scores = drawn(5, 3, 1)
    scores[1, 2] = np.nan
    status = {3 * 2 + 1: "diverged", **dict.fromkeys(range(9, 12), "pruned")}
    found = compare(swept(scores, status=status), 5)
    assert [one.config for one in found] == [4]
    # Nor is it counted as a comparison.
    pair = cast(Any, stats.ttest_rel(scores[0, :, 0], scores[4, :, 0]))
    assert found[0].p_value == pytest.approx(pair.pvalue)
    # A fold without one of its replicates has no score.
    scores = drawn(3, 2, 3)
    scores[2, 1, 1] = np.nan
    assert [one.config for one in compare(swept(scores))] == [1]


def test_one_trial_of_each_is_refused():
    with pytest.raises(UserError, match="trained once"):
        compare(swept(drawn(3, 1, 1)))


def test_the_interval_holds_the_truth_as_often_as_it_says():
    rng = np.random.default_rng(0)
    held = 0
    for _ in range(400):
        # A lead so large that who wins is not chance.
        scores = np.stack([5 + rng.normal(size=(5, 1)), rng.normal(size=(5, 1))])
        (one,) = compare(swept(scores))
        held += one.low <= 5 <= one.high
    assert 0.92 < held / 400 < 0.98


def test_holm_is_its_definition():
    rng = np.random.default_rng(0)
    for size in (0, 1, 2, 9):
        p_values = (rng.random(size) ** 3).tolist()
        assert holm(p_values) == pytest.approx(by_definition(p_values))
    assert holm([0.02, 0.02, 0.9, 1.0]) == pytest.approx([0.08, 0.08, 1.0, 1.0])
