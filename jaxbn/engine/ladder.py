"""How many members a tile should have, from rung to rung."""

import math
from collections.abc import Mapping, Sequence

import numpy as np
from scipy import special

from jaxbn.engine import cost
from jaxbn.engine.programs import Problem, sizes_of
from jaxbn.engine.work import work_of
from jaxbn.nn.types import Spec

ALONE = 1.15
"""How much longer a member takes in a tile of its own, whose products are small: measured on a CPU."""


def expected_tiles(members: float, tile_size: int) -> float:
    """How many tiles a group needs whose size is a Poisson number of that mean.

    Example:
        >>> round(expected_tiles(0.01, 8), 3), round(expected_tiles(800, 8), 1), expected_tiles(3.5, 1)
        (0.01, 100.4, 3.5)
    """
    if tile_size == 1:
        return members
    most = members + 10 * math.sqrt(members) + 10
    return float(special.pdtrc(np.arange(0, most, tile_size), members).sum())


def tile_step_seconds(spec: Spec, tile_size: int, sizes: cost.Sizes, rates: cost.Rates) -> float:
    """Estimated seconds that a step of a tile takes one worker."""
    member = cost.member_step_seconds(spec, spec.batch_size, sizes, rates)
    return rates.step + tile_size * member * (ALONE if tile_size == 1 else 1.0)


def choose_ladder(
    groups: Mapping[tuple[Spec, int], float],
    problem: Problem,
    *,
    num_rows: int,
    alive: Sequence[float],
    epochs: Sequence[int],
    repeats: int,
    rates: cost.Rates,
) -> tuple[int, ...]:
    """T up to each rung, for networks of one shape: T for the first, then T, T / 4 or 1 as survivors get fewer.

    A smaller T wastes fewer slots and costs another program. Every way to step down is weighed.

    Args:
        groups: by specification and batch size, the expected number of members of a replicate and fold.
        problem: sizes of the data.
        num_rows: training rows.
        alive: share of the members that train up to each rung.
        epochs: of each rung, from the one before.
        repeats: replicates x folds x rounds.
        rates: of the machine.

    Returns:
        T for each rung, at least 1, never rising.
    """
    sizes = sizes_of(problem)

    def train_seconds(rung: int, tile_size: int) -> float:
        per_epoch = sum(
            math.ceil(num_rows / batch_size)
            * expected_tiles(count * alive[rung], tile_size)
            * tile_step_seconds(spec, tile_size, sizes, rates)
            for (spec, batch_size), count in groups.items()
        )
        return repeats * epochs[rung] * per_epoch / rates.workers

    def first_size(rungs: int) -> int:
        return choose_tile_size(groups, problem, num_rows=num_rows, alive=alive[:rungs], epochs=epochs, rates=rates)

    if min(alive) == 1:
        alone = len(groups) == 1 and repeats == 1
        return (even_tile_size(groups, sizes, rates) if alone else first_size(1),) * len(alive)
    one_size = rates.compile * len({spec for spec, _ in groups}) + rates.compile_small
    choices = []
    for first in range(1, len(alive) + 1):
        size = first_size(first)
        for second in range(first, len(alive) + 1):
            ladder = (size,) * first + (max(size // 4, 1),) * (second - first) + (1,) * (len(alive) - second)
            seconds = sum(train_seconds(rung, tile_size) for rung, tile_size in enumerate(ladder))
            choices.append((seconds + one_size * len(set(ladder)), ladder))
    return min(choices)[1]


def choose_tile_size(
    groups: Mapping[tuple[Spec, int], float],
    problem: Problem,
    *,
    num_rows: int,
    rates: cost.Rates,
    alive: Sequence[float] = (1.0,),
    epochs: Sequence[int] = (1,),
) -> int:
    """How many members the tiles of networks of one shape should have.

    A step of T members takes a + T m seconds, and the last tile of a group is half empty on average. A group of n
    members that take s steps an epoch costs s (n / T + 1/2) (a + T m), and the sum over groups is least at
    T = sqrt(2 a sum(s n) / sum(s m)). Where fewer and fewer members train on, n is their mean over the epochs. A tile
    must also fit the cache, and need not hold more than there are.

    Args:
        groups: by specification and batch size, the expected number of members.
        problem: sizes of the data.
        num_rows: training rows.
        rates: of the machine.
        alive: share of the members that train up to each rung.
        epochs: of each rung, from the one before.

    Returns:
        T, at least 1.
    """
    sizes = sizes_of(problem)
    steps = {(spec, batch_size): math.ceil(num_rows / batch_size) for spec, batch_size in groups}
    total = sum(length for _, length in zip(alive, epochs, strict=False))
    present = sum(share * length for share, length in zip(alive, epochs, strict=False)) / total
    members = sum(steps[group] * count * present for group, count in groups.items())
    seconds = sum(
        steps[group] * cost.member_step_seconds(group[0], group[0].batch_size, sizes, rates) for group in groups
    )
    best = math.sqrt(2 * rates.step * members / seconds)
    # One member alone leaves the products of a tile too small: measured 15 % and more per member.
    return min(max(round(best), 2), largest_tile_size(groups, sizes, rates))


def even_tile_size(groups: Mapping[tuple[Spec, int], float], sizes: cost.Sizes, rates: cost.Rates) -> int:
    """T for a single group, whose number is not left to chance: few tiles, alike, and as many for each worker."""
    members, largest = math.ceil(sum(groups.values())), largest_tile_size(groups, sizes, rates)
    rounds = math.ceil(members / (rates.workers * largest))
    return max(math.ceil(members / (rates.workers * rounds)), min(2, largest))


def largest_tile_size(groups: Mapping[tuple[Spec, int], float], sizes: cost.Sizes, rates: cost.Rates) -> int:
    """T beyond which a tile does not fit the cache, or holds more members than there are."""
    fits = min(max(rates.cache // cost.bytes_per_member(spec, sizes), 2) for spec, _ in groups)
    convolves = any(work_of(spec, sizes).convolves for spec, _ in groups)
    most = rates.largest_convolving if convolves else rates.largest_tile
    return min(fits, math.ceil(max(groups.values())), most)
