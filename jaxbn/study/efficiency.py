"""What fewer trials would have found: the random-experiment efficiency curve of Bergstra and Bengio (2012)."""

import dataclasses
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import gammaln

from jaxbn.errors import UserError
from jaxbn.study.per_config import per_config

if TYPE_CHECKING:
    from jaxbn.study.results import Results

LOW, HIGH = 0.05, 0.95


@dataclasses.dataclass(frozen=True, eq=False)
class Efficiency:
    """The distribution of the winner's validation score, of searches of s configurations, for K values of s.

    Attributes:
        metric: what the score is.
        greater_is_better: its direction.
        sizes: int [K], s = 1, 2, 4, ..., n.
        mean: float [K], of the winner's score.
        low: float [K], its 5 % quantile: the smallest score that at least 5 % of searches do not exceed.
        high: float [K], its 95 % quantile.
    """

    metric: str
    greater_is_better: bool
    sizes: np.ndarray
    mean: np.ndarray
    low: np.ndarray
    high: np.ndarray


def efficiency(results: "Results") -> Efficiency:
    """How good the best of s configurations is, for s = 1, 2, 4, ... up to all n that a finished sweep drew.

    Exact by order statistics: of all choices of s of the n configurations without replacement, a share
    C(i, s - 1) / C(n, s) has as its best the one that i others are worse than. Bergstra and Bengio (section 2.2, figure
    5) split one experiment into n / s and weight the test scores of near-winners; here only the overall winner's test
    score is known, so the curve is that of the validation score, which flatters a winner the more the larger s is.

    It says what a smaller search would have found where configurations were drawn independently of each other, as by
    the random sampler; those of a sampler that learns are better than draws of the space. Those that were enqueued are
    no draws and left out. A trial that diverged counts as the worst score; with replicates or folds a configuration's
    mean counts.

    Raises:
        UserError: no trial has a score, or all were enqueued.
    """
    table = per_config(results)
    scores = table.score[num_given(results) :]
    n = len(scores)
    sizes = np.array([*(1 << power for power in range((n - 1).bit_length())), n])
    ascending = np.sort(scores)
    better = ascending if table.greater_is_better else ascending[::-1]
    chance = np.stack([_chance_of_best(n, int(size)) for size in sizes])
    below = np.cumsum(chance if table.greater_is_better else chance[:, ::-1], 1)
    # Sums of rounded shares may miss a quantile that they reach exactly.
    low, high = ((below < quantile - 1e-9).sum(1) for quantile in (LOW, HIGH))
    return Efficiency(table.metric, table.greater_is_better, sizes, chance @ better, ascending[low], ascending[high])


def num_given(results: "Results") -> int:
    """How many configurations of `per_config`, its first ones, were enqueued: chosen by a person, not drawn.

    Raises:
        UserError: all of them, so that none tells of the space.
    """
    import polars as pl

    trained = results.trials.filter(pl.col("epochs") > 0)["config"].unique()
    given = int((trained < results.request.enqueued).sum())
    if given == len(trained):
        raise UserError(
            f"the {given} configurations that trained were all enqueued, so none tells of the space: "
            "sweep with a larger num_configs"
        )
    return given


def _chance_of_best(n: int, size: int) -> np.ndarray:
    """For each of n configurations from the worst, the share of all choices of `size` that it is the best of."""
    worse = np.arange(n)
    enough = worse >= size - 1
    i = worse[enough]
    log = gammaln(i + 1) - gammaln(size) - gammaln(i - size + 2)
    log -= gammaln(n + 1) - gammaln(size + 1) - gammaln(n - size + 1)
    chance = np.zeros(n)
    chance[enough] = np.exp(log)
    return chance
