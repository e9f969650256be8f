"""What unlike configurations share: widths, batch sizes and optimizers that a program is padded to.

The choice with the least estimated seconds of compiling and training, for a space and a budget.
"""

import dataclasses
import functools
import itertools
import math
from collections.abc import Callable, Sequence

import numpy as np

from jaxbn.engine import cost
from jaxbn.engine.programs import Problem, sizes_of
from jaxbn.nn.types import Spec
from jaxbn.search import LADDER, Band, Config, Padding, pad, split

SHARE = 0.4
"""Of the seconds of compiling that a sweep is charged with: kept programs serve the sweeps that follow, and around the
optimum the sum of compiling and training hardly changes."""


def choose_padding(
    probes: Sequence[Config],
    problem: Problem,
    share: float,
    *,
    num_rows: int,
    num_epochs: float,
    rates: cost.Rates,
) -> Padding:
    """What shares a program: the choice with the least estimated seconds of compiling and training.

    Args:
        probes: configurations that stand for the space.
        problem: sizes of the data.
        share: configurations to be trained per probe.
        num_rows: training rows.
        num_epochs: epochs of each trial, in the mean.
        rates: of the machine.

    Returns:
        Bands of widths and batch sizes for each depth, and the optimizers that are merged.
    """
    kinds = tuple(sorted({kind for probe in probes for kind in split(probe)[0].optimizers}))
    if any(probe.architecture is not None and not probe.architecture.masks_rows for probe in probes):
        return Padding()  # What cannot leave rows out has mini-batches of the size that they are.
    choices = []
    for optimizers in sorted({(), kinds if len(kinds) > 1 else ()}):
        cores = [split(probe, padding=Padding(optimizers=optimizers))[0] for probe in probes]
        total, bands = 0.0, []
        for depth in sorted({len(probe.widths) for probe in probes}):
            alike = [i for i, probe in enumerate(probes) if len(probe.widths) == depth]
            seconds, of_depth = choose_bands(
                [probes[i] for i in alike],
                [cores[i] for i in alike],
                problem,
                share,
                num_rows=num_rows,
                num_epochs=num_epochs,
                rates=rates,
            )
            total += seconds
            bands += of_depth
        choices.append((total, Padding(tuple(bands), optimizers)))
    return min(choices, key=lambda choice: choice[0])[1]


def choose_bands(
    probes: Sequence[Config],
    cores: Sequence[Spec],
    problem: Problem,
    share: float,
    *,
    num_rows: int,
    num_epochs: float,
    rates: cost.Rates,
) -> tuple[float, list[Band]]:
    """The best widths for networks of one depth, and for each the best batch sizes.

    Args:
        probes: configurations of one depth.
        cores: their specifications without padding.
        problem: sizes of the data.
        share: configurations to be trained per probe.
        num_rows: training rows.
        num_epochs: epochs of each trial, in the mean.
        rates: of the machine.

    Returns:
        Estimated seconds of compiling and training, and the bands. The choice is exact: every way to cut the ladder of
        widths, and within each band that of batch sizes, is weighed.
    """
    depth = len(probes[0].widths)
    batch_of = [probe.batch_size for probe in probes]
    widths = sorted({pad(max(probe.widths, default=0), LADDER) if depth else 0 for probe in probes})
    batches = sorted({pad(batch, LADDER) for batch in batch_of})
    # Seconds of training the probes in a cell of the two ladders, if they are padded to a given width and batch size.
    cells = np.zeros((len(widths), len(batches), len(widths), len(batches)))
    for probe, core, batch in zip(probes, cores, batch_of, strict=True):
        w = widths.index(pad(max(probe.widths), LADDER)) if depth else 0
        b = batches.index(pad(batch, LADDER))
        steps = share * num_epochs * math.ceil(num_rows / batch) / rates.workers
        for i, j in itertools.product(range(w, len(widths)), range(b, len(batches))):
            spec = dataclasses.replace(core, widths=(widths[i],) * depth)
            cells[w, b, i, j] += steps * cost.member_step_seconds(spec, batches[j], sizes_of(problem), rates)

    shapes = {dataclasses.replace(core, widths=(), batch_size=0) for core in cores}
    compile_epoch = SHARE * rates.compile * len(shapes)
    compile_small = SHARE * rates.compile_small * len({(spec.activation, spec.normalization) for spec in shapes})

    @functools.cache
    def of_width(first: int, last: int) -> tuple[float, tuple[int, ...]]:
        """The best batch sizes for the widths from first to last, all padded to the last."""
        held = cells[first : last + 1, :, last].sum(0)
        return best_cuts(len(batches), lambda low, top: compile_epoch + held[low : top + 1, top].sum())

    total, tops = best_cuts(len(widths), lambda low, top: compile_small + of_width(low, top)[0])
    bands, first = [], 0
    for top in tops:
        bands.append(Band(depth, widths[top], tuple(batches[b] for b in of_width(first, top)[1])))
        first = top + 1
    return total, bands


def best_cuts(count: int, seconds: Callable[[int, int], float]) -> tuple[float, tuple[int, ...]]:
    """Cut a row of cells into bands at the least cost.

    Args:
        count: how many cells.
        seconds: `(first, last) -> cost` of a band that holds the cells from first to last.

    Returns:
        The cost, and the last cell of each band.

    Example:
        >>> best_cuts(3, lambda first, last: 1.0 + (last - first) ** 2)
        (3.0, (0, 1, 2))
        >>> best_cuts(3, lambda first, last: 3.0 + (last - first))
        (5.0, (2,))
    """
    best: list[tuple[float, tuple[int, ...]]] = [(0.0, ())]
    for last in range(count):
        choices = ((best[first][0] + float(seconds(first, last)), (*best[first][1], last)) for first in range(last + 1))
        best.append(min(choices))
    return best[-1]
