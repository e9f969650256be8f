"""Which differences between the highest-ranked configurations are real: paired, on common random numbers."""

import dataclasses
import math
from typing import TYPE_CHECKING

import numpy as np

from jaxbn.errors import UserError

if TYPE_CHECKING:
    from jaxbn.study.results import Results


@dataclasses.dataclass(frozen=True)
class Difference:
    """How far a configuration is behind the winner.

    Attributes:
        config: its number.
        mean: of the differences, winner minus configuration in the direction that is better, over replicates and folds.
        low: of the 95 % interval.
        high: of the 95 % interval.
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
    too: the variance is corrected for it (Nadeau and Bengio 2003). The winner was chosen as the best of many, so that
    its lead is a little too large.

    Args:
        results: of a sweep with replicates or folds.
        top: how many configurations, the winner included.

    Returns:
        The configurations behind the winner, in the order of the ranking.

    Raises:
        UserError: each configuration has one trial only.

    Example:
        >>> from jaxbn import Float, Space, sweep
        >>> space = Space(learning_rate=Float(1e-4, 1, scale="log"), hidden_units=8, num_layers=1)
        >>> swept = sweep(space, "iris", num_configs=3, num_epochs=2, replicates=3)
        >>> [difference.mean >= 0 for difference in compare(swept, 3)]
        [True, True]
    """
    from scipy import stats

    repeats = results.request.replicates * results.request.folds
    if repeats < 2:
        raise UserError(
            "each configuration was trained once, which says nothing about chance: sweep with replicates or folds"
        )
    score = f"valid_{results.summary.metric}"
    sign = 1.0 if results.summary.greater_is_better else -1.0
    board = results.leaderboard(top)
    numbers = board["config"].to_list()
    by_config = dict(results.trials.select("config", score).group_by("config").agg(score).iter_rows())
    winner = np.asarray(by_config[numbers[0]], float)
    # What share of the variance of a difference comes back with every other split: none with replicates of one split.
    shared = 1 / (results.request.folds - 1) if results.request.folds > 1 else 0.0
    found = []
    for number in numbers[1:]:
        other = np.asarray(by_config[number], float)
        differences = sign * (winner - other)
        if not np.isfinite(differences).all() or results.trials["status"][number * repeats] != "ok":
            continue
        error = math.sqrt(differences.var(ddof=1) * (1 / repeats + shared))
        mean = float(differences.mean())
        reach = float(stats.t.ppf(0.975, repeats - 1)) * error
        chance = 2 * float(stats.t.sf(abs(mean) / error, repeats - 1)) if error > 0 else float(mean == 0)
        found.append((number, mean, mean - reach, mean + reach, chance))
    adjusted = holm([chance for *_, chance in found])
    return [
        Difference(number, mean, low, high, p_value, p_value < 0.05)
        for (number, mean, low, high, _), p_value in zip(found, adjusted, strict=True)
    ]


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
