"""Which differences between the highest-ranked configurations are real: paired, on common random numbers."""

import dataclasses
import math
from typing import TYPE_CHECKING

import numpy as np

from jaxbn.errors import UserError

if TYPE_CHECKING:
    import polars as pl

    from jaxbn.study.results import Results

ROUNDING = 1e-6
"""Of a score's size: differences that scatter by less, as those of 32-bit scores do by rounding, are all alike."""


@dataclasses.dataclass(frozen=True)
class Difference:
    """How far a configuration is behind the winner.

    Attributes:
        config: its number.
        mean: of the differences, winner minus configuration in the direction that is better, over replicates or folds.
        low: of the 95 % interval; minus infinity where the differences do not tell how much they scatter.
        high: of the 95 % interval; infinity in that case.
        p_value: that a difference so large comes of chance, two-sided, adjusted for all configurations that are
            compared (Holm 1979).
        real: whether that is below 0.05.
    """

    config: int
    mean: float
    low: float
    high: float
    p_value: float
    real: bool


def compare(results: "Results", top: int = 5) -> list[Difference]:
    """Compare the winner with the configurations that rank next.

    Trials of one replicate and fold share rows, initial draws and the order of the data, so that differences within
    them scatter less than scores do. Folds share training rows, so that their differences are alike for that reason
    too: the variance is corrected for it (Nadeau and Bengio 2003), and replicates on a fold, which share its rows, are
    averaged to one difference first. Few rows give scores of few values, and differences that are all the same: they
    say nothing about chance, so then nothing is shown, with a p-value of 1 and an interval without bounds. The winner
    was chosen as the best of many, so that its lead is a little too large.

    Args:
        results: of a sweep with replicates or folds.
        top: how many configurations, the winner included.

    Returns:
        The configurations behind the winner, in the order of the ranking; those that did not train to their end, or
        lack a score, are left out.

    Raises:
        UserError: each configuration has one trial only.

    Example:
        >>> from jaxbn import Float, Space, sweep
        >>> space = Space(learning_rate=Float(1e-4, 1, scale="log"), hidden_units=8, num_layers=1)
        >>> swept = sweep(space, "iris", num_configs=3, num_epochs=2, replicates=3)
        >>> [difference.mean >= 0 for difference in compare(swept, 3)]
        [True, True]
    """
    folds = results.request.folds
    if results.request.replicates * folds < 2:
        raise UserError(
            "each configuration was trained once, which says nothing about chance: sweep with replicates or folds"
        )
    score = f"valid_{results.summary.metric}"
    sign = 1.0 if results.summary.greater_is_better else -1.0
    board = results.leaderboard(top)
    by_config = blocks(results.trials, score, folds).group_by("config", maintain_order=True).agg(score)
    scores = {number: np.asarray(values, float) for number, values in by_config.iter_rows()}
    first, *others = board["config"].to_list()
    _, *statuses = board["status"].to_list()
    found = []
    for number, status in zip(others, statuses, strict=True):
        differences = sign * (scores[first] - scores[number])
        if status == "ok" and np.isfinite(differences).all():
            size = float(np.abs([scores[first], scores[number]]).max())
            found.append((number, *_paired(differences, folds, ROUNDING * size)))
    adjusted = holm([chance for *_, chance in found])
    return [
        Difference(number, mean, low, high, p_value, p_value < 0.05)
        for (number, mean, low, high, _), p_value in zip(found, adjusted, strict=True)
    ]


def blocks(trials: "pl.DataFrame", score: str, folds: int) -> "pl.DataFrame":
    """The scores of each configuration that may be counted, in the order of replicates or folds.

    Args:
        trials: the table of trials.
        score: the column to average.
        folds: of the cross-validation; 1 without.

    Returns:
        Columns config, replicate and `score`; with folds, columns config, fold and `score`, which is the mean of the
        replicates on that fold: they share its rows, so that counting them would count one split as many. Null where a
        trial has no score.
    """
    import polars as pl

    block = "fold" if folds > 1 else "replicate"
    mean = pl.when(pl.col(score).null_count() == 0).then(pl.col(score).mean())
    return trials.group_by("config", block).agg(mean.alias(score)).sort("config", block)


def _paired(differences: np.ndarray, folds: int, rounding: float) -> tuple[float, float, float, float]:
    """The mean of n differences, its 95 % interval and two-sided p-value, by the t distribution with n - 1 degrees."""
    from scipy import stats

    n, mean = len(differences), float(differences.mean())
    if np.ptp(differences) <= rounding:
        return mean, -math.inf, math.inf, 1.0
    # Rows to test on against rows to train on: what of the variance comes back with every other split.
    shared = 1 / (folds - 1) if folds > 1 else 0.0
    error = math.sqrt(differences.var(ddof=1) * (1 / n + shared))
    reach = float(stats.t.ppf(0.975, n - 1)) * error
    return mean, mean - reach, mean + reach, 2 * float(stats.t.sf(abs(mean) / error, n - 1))


def holm(p_values: list[float]) -> list[float]:
    """P-values of several tests, adjusted so that the chance of one false alarm among all is kept (Holm 1979).

    Example:
        >>> holm([0.01, 0.04, 0.03])
        [0.03, 0.06, 0.06]
    """
    adjusted, largest = [0.0] * len(p_values), 0.0
    for place, number in enumerate(sorted(range(len(p_values)), key=lambda i: p_values[i])):
        largest = max(largest, min((len(p_values) - place) * p_values[number], 1.0))
        adjusted[number] = largest
    return adjusted
