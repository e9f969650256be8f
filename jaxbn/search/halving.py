"""Successive halving and Hyperband: rungs at which only the highest-ranked train on."""

import math

import numpy as np

from jaxbn.errors import UserError
from jaxbn.search.history import History
from jaxbn.search.schedule import Cohort, Edit, Rung

LEAST_FACTOR = 1.1
"""With less nearly everything would train on at each of hundreds of rungs."""


def best_of(cohort: Cohort, history: History, survivors: tuple[int, ...]) -> np.ndarray:
    """Places of the highest-ranked of each bracket, ascending. What failed never goes on."""
    alive = ~np.isnan(history.objective[cohort.numbers])
    kept = []
    for bracket, count in enumerate(survivors):
        places = np.flatnonzero(alive & (cohort.brackets == bracket))
        kept.append(places[np.argsort(history.rank[cohort.numbers[places]])][:count])
    return np.sort(np.concatenate(kept))


def keep_best(seed: int, cohort: Cohort, history: History, rung: Rung) -> Edit:
    """Successive halving's decision: the highest-ranked train on, as they are."""
    del seed
    keep = best_of(cohort, history, rung.survivors)
    return Edit(keep, keep, tuple(cohort.configs[place] for place in keep))


def to_the_end(num_configs: int, num_epochs: int) -> tuple[Rung, ...]:
    """Everything trains for all epochs."""
    return (Rung(num_epochs, (num_configs,)),)


def halving_rungs(num_configs: int, num_epochs: int, *, factor: float = 3, min_epochs: int = 1) -> tuple[Rung, ...]:
    """The rungs of successive halving (Jamieson and Talwalkar 2016).

    Each keeps one configuration in `factor` for `factor` times as many epochs.

    Example:
        >>> [(rung.epochs, rung.survivors) for rung in halving_rungs(1024, 27)]
        [(1, (1024,)), (3, (341,)), (9, (113,)), (27, (37,))]
    """
    return _bracket(num_configs, budgets(num_epochs, factor, min_epochs), factor)


def _bracket(num_configs: int, epochs: tuple[int, ...], factor: float) -> tuple[Rung, ...]:
    # A small factor makes budgets that round to the same epochs, so that a rung may be several divisions further on.
    divided = [round(math.log(e / epochs[0]) / math.log(factor)) for e in epochs[:-1]]
    divided.append(divided[-1] + 1 if divided else 0)
    return tuple(Rung(e, (max(int(num_configs / factor**i + 1e-9), 1),)) for e, i in zip(epochs, divided, strict=True))


def hyperband_rungs(num_configs: int, num_epochs: int, *, factor: float = 3, min_epochs: int = 1) -> tuple[Rung, ...]:
    """The rungs of Hyperband (Li et al. 2018): brackets of successive halving that start to prune later and later.

    With s + 1 budgets, bracket i has a share of the configurations in proportion to ceil((s + 1) / (s - i + 1)
    factor^(s - i)), so that each costs about as much. All brackets train in step, as one population.

    Example:
        >>> for rung in hyperband_rungs(49, 27):
        ...     print(rung.epochs, rung.survivors)
        1 (27, 12, 6, 4)
        3 (9, 12, 6, 4)
        9 (3, 4, 6, 4)
        27 (1, 1, 2, 4)
    """
    epochs = budgets(num_epochs, factor, min_epochs)
    last = len(epochs) - 1
    shares = [math.ceil((last + 1) / (s + 1) * factor**s - 1e-9) for s in range(last, -1, -1)]
    sizes = _apportion(num_configs, shares)
    brackets = [_bracket(size, epochs[start:], factor) if size else () for start, size in enumerate(sizes)]
    rungs = []
    for place, budget in enumerate(epochs):
        survivors = (
            (rungs_of[max(place - start, 0)].survivors[0] if rungs_of else 0) for start, rungs_of in enumerate(brackets)
        )
        rungs.append(Rung(budget, tuple(survivors)))
    return tuple(rungs)


def _apportion(total: int, shares: list[int]) -> list[int]:
    """Whole numbers in proportion to shares that add up to a total; the largest remainders are rounded up."""
    exact = [total * share / sum(shares) for share in shares]
    whole = [int(number + 1e-9) for number in exact]
    by_remainder = sorted(range(len(shares)), key=lambda i: (whole[i] - exact[i], i))
    for place in by_remainder[: total - sum(whole)]:
        whole[place] += 1
    return whole


def budgets(num_epochs: int, factor: float, min_epochs: int) -> tuple[int, ...]:
    """Epochs of the rungs: `min_epochs`, and `factor` times as many each time, up to `num_epochs`.

    A rung that would come too close to the last is left out.

    Raises:
        UserError: the factor does not shrink, or the smallest budget is not within the largest.

    Example:
        >>> budgets(27, 3, 1), budgets(20, 3, 1), budgets(10, 3, 1), budgets(100, 4, 5)
        ((1, 3, 9, 27), (1, 3, 9, 20), (1, 3, 10), (5, 20, 100))
    """
    if not (math.isfinite(factor) and factor >= LEAST_FACTOR):
        raise UserError(
            f"a reduction factor of {factor:.10g} stops hardly any: give {LEAST_FACTOR:g} or more, such as 3"
        )
    if not 1 <= min_epochs <= num_epochs:
        raise UserError(
            f"a first rung after {min_epochs} epochs does not lie within the {num_epochs} epochs of the last: "
            "give a whole number between 1 and num_epochs"
        )
    below, budget = [], float(min_epochs)
    while budget * math.sqrt(factor) <= num_epochs:
        below.append(round(budget))
        budget *= factor
    return tuple(dict.fromkeys((*below, num_epochs)))
