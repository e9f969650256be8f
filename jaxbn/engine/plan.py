"""What a sweep will run: which programs, which tiles, and what they will cost. Nothing here runs anything.

Padding and tile sizes follow from the space, the budget and the kind of machine, never from the configurations that
happened to be sampled: the planner looks at a fixed set of probe configurations of the space instead.
"""

import dataclasses
import functools
import itertools
import math
from collections import defaultdict
from collections.abc import Callable, Sequence

import jax
import numpy as np

from jaxbn.engine import cost
from jaxbn.engine.programs import Problem, Program, of_evaluate
from jaxbn.nn.types import Hyperparams, Spec
from jaxbn.search import LADDER, Band, Config, Padding, Space, pad, split
from jaxbn.search.propose import random

NUM_PROBES = 512
PROBE_SEED = 2015


@dataclasses.dataclass(frozen=True, eq=False)
class Tile:
    """Members that train together: one program, one batch size.

    Attributes:
        program: the epoch program.
        trials: trial numbers of the members in use; the tile is filled up with copies of the first.
        hyperparams: NumPy arrays [T, ...].
    """

    program: Program
    trials: tuple[int, ...]
    hyperparams: Hyperparams


@dataclasses.dataclass(frozen=True, eq=False)
class Plan:
    """Programs, tiles and an estimate. Print it to read it.

    Attributes:
        problem: sizes of the data.
        num_rows: training rows.
        num_epochs: epochs that each trial trains.
        padding: what unlike configurations share.
        programs: the epoch programs, longest first.
        tiles: in the order in which they start.
        rates: what the estimate assumes of the machine.
    """

    problem: Problem
    num_rows: int
    num_epochs: int
    padding: Padding
    programs: tuple[Program, ...]
    tiles: tuple[Tile, ...]
    rates: cost.Rates

    @property
    def num_trials(self) -> int:
        """Trials in all tiles."""
        return sum(len(tile.trials) for tile in self.tiles)

    def train_seconds(self, program: Program) -> float:
        """Estimated seconds, with all workers busy, that the tiles of a program train."""
        tiles = [tile for tile in self.tiles if tile.program == program]
        return self.num_epochs * sum(self._epoch_seconds(tile) for tile in tiles) / self.rates.workers

    def _epoch_seconds(self, tile: Tile) -> float:
        spec, size = tile.program.spec, tile.program.tile_size
        member = cost.member_step_seconds(spec, spec.batch_size, sizes_of(self.problem), self.rates)
        return self._steps(tile) * (self.rates.step + size * member)

    def _steps(self, tile: Tile) -> int:
        return math.ceil(self.num_rows / tile.hyperparams.batch_size[0])

    @property
    def compile_seconds(self) -> float:
        """Estimated seconds to compile everything, the small programs too."""
        small = {of_evaluate(program) for program in self.programs}
        return self.rates.compile * len(self.programs) + self.rates.compile_small * len(small)

    @property
    def total_train_seconds(self) -> float:
        """Estimated seconds of training."""
        return sum(self.train_seconds(program) for program in self.programs)

    @property
    def flops(self) -> float:
        """Operations of matrix products, padding included."""
        return self.num_epochs * sum(
            self._steps(tile)
            * tile.program.spec.batch_size
            * tile.program.tile_size
            * cost.flops_per_row(tile.program.spec, sizes_of(self.problem))
            for tile in self.tiles
        )

    @property
    def useful_flops(self) -> float:
        """Operations that the configurations need without padding."""
        exact = (
            dataclasses.replace(tile.program.spec, widths=tuple(tile.hyperparams.hidden_units[member].tolist()))
            for tile in self.tiles
            for member in range(len(tile.trials))
        )
        per_row = sum(cost.flops_per_row(spec, sizes_of(self.problem)) for spec in exact)
        return self.num_epochs * self.num_rows * per_row

    @property
    def bytes(self) -> int:
        """Bytes of device memory: the data, and the state of the tiles that train at once, doubled while they step."""
        problem = self.problem
        data = 4 * (problem.train_rows + problem.valid_rows) * (problem.num_inputs + 2)
        tiles = (p.tile_size * cost.bytes_per_member(p.spec, sizes_of(problem)) for p in self.programs)
        largest = sorted(tiles, reverse=True)
        return data + 2 * sum(largest[: self.rates.workers])

    def __str__(self) -> str:
        """The plan as a table, one line a program."""
        header = ("program", "hidden", "batch", "optimizer", "T", "trials", "tiles", "train s")
        lines: list[tuple[str, ...]] = [header]
        for number, program in enumerate(self.programs):
            tiles = [tile for tile in self.tiles if tile.program == program]
            spec = program.spec
            lines.append(
                (
                    str(number),
                    "-".join(map(str, spec.widths)) or "none",
                    str(spec.batch_size),
                    "|".join(spec.optimizers),
                    str(program.tile_size),
                    str(sum(len(tile.trials) for tile in tiles)),
                    str(len(tiles)),
                    f"{self.train_seconds(program):.1f}",
                )
            )
        widths = [max(len(line[column]) for line in lines) for column in range(len(header))]
        table = ["  ".join(cell.rjust(w) for cell, w in zip(line, widths, strict=True)) for line in lines]
        padded = 1 - self.useful_flops / self.flops if self.flops else 0.0
        return "\n".join(
            [
                *table,
                f"{self.num_trials} trials x {self.num_epochs} epochs in {len(self.tiles)} tiles of "
                f"{len(self.programs)} programs",
                f"estimate: {self.flops / 1e12:.3g} TFLOP ({padded:.0%} padding), {self.bytes / 1e6:.0f} MB, "
                f"compile {self.compile_seconds:.0f} s, train {self.total_train_seconds:.0f} s",
            ]
        )

    def _repr_pretty_(self, printer: object, cycle: bool) -> None:
        del cycle
        printer.text(str(self))  # type: ignore[attr-defined]


def sizes_of(problem: Problem) -> cost.Sizes:
    """Inputs and outputs of a problem's networks."""
    return cost.Sizes(problem.num_inputs, problem.num_outputs)


def plan_tiles(
    configs: Sequence[Config],
    space: Space | None,
    problem: Problem,
    *,
    num_rows: int,
    num_epochs: int,
    rates: cost.Rates,
    probes: Sequence[Config] | None = None,
    extra: Sequence[Config] = (),
    tile_size: int | None = None,
) -> Plan:
    """Decide programs and tiles for configurations of a space.

    Args:
        configs: what to train; trial numbers are their positions.
        space: where they come from; padding follows from it. None where they were listed.
        problem: sizes of the data.
        num_rows: training rows.
        num_epochs: epochs of each trial.
        rates: of the machine.
        probes: configurations that stand for the space; by default a fixed sample of it.
        extra: more configurations, known beforehand, that do not come from the space; their trial numbers follow.
        tile_size: T of every tile, instead of the planner's choice.

    Returns:
        The plan.
    """
    if probes is None:
        probes = random(PROBE_SEED, space, None, NUM_PROBES) if space is not None and space.domains else configs[:1]

    def fitting(configs: Sequence[Config]) -> list[Config]:
        """A batch size above the number of rows means a full batch."""
        return [dataclasses.replace(c, batch_size=min(c.batch_size, num_rows)) for c in configs]

    configs, probes, extra = fitting(configs), fitting(probes), fitting(extra)
    share = len(configs) / len(probes)
    padding = choose_padding(probes, problem, share, num_rows=num_rows, num_epochs=num_epochs, rates=rates)

    expected: dict[tuple[Spec, int], float] = defaultdict(float)
    for probe in probes:
        expected[split(probe, padding=padding)[0], probe.batch_size] += share
    for config in extra:
        expected[split(config, padding=padding)[0], config.batch_size] += 1

    members: dict[tuple[Spec, int], list[tuple[int, Hyperparams]]] = {}
    for number, config in enumerate([*configs, *extra]):
        spec, hyperparams = split(config, num_epochs=num_epochs, padding=padding)
        members.setdefault((spec, config.batch_size), []).append((number, hyperparams))

    groups: dict[Program, list[tuple[Spec, int, float]]] = defaultdict(list)
    for (spec, batch_size), count in expected.items():
        groups[of_evaluate(Program("epoch", spec, 0, problem))].append((spec, batch_size, count))
    tiles = []
    for (spec, _), group in members.items():
        shape = of_evaluate(Program("epoch", spec, 0, problem))
        # A shape that no probe has is rare: one configuration of it is to be expected.
        alike = groups.get(shape, [(spec, spec.batch_size, 1.0)])
        size = tile_size or choose_tile_size(alike, problem, num_rows=num_rows, rates=rates)
        program = Program("epoch", spec, size, problem)
        for start in range(0, len(group), size):
            tiles.append(_tile(program, group[start : start + size]))

    unordered = Plan(problem, num_rows, num_epochs, padding, (), tuple(tiles), rates)
    programs = sorted({tile.program for tile in tiles}, key=lambda p: (-unordered.train_seconds(p), repr(p)))
    place = {program: number for number, program in enumerate(programs)}
    ordered = sorted(tiles, key=lambda tile: (place[tile.program], tile.trials))
    return dataclasses.replace(unordered, programs=tuple(programs), tiles=tuple(ordered))


def _tile(program: Program, group: list[tuple[int, Hyperparams]]) -> Tile:
    trials = tuple(number for number, _ in group)
    filled = [hyperparams for _, hyperparams in group]
    filled += filled[:1] * (program.tile_size - len(filled))
    return Tile(program, trials, jax.tree.map(lambda *leaves: np.stack(leaves), *filled))


def choose_tile_size(
    groups: Sequence[tuple[Spec, int, float]], problem: Problem, *, num_rows: int, rates: cost.Rates
) -> int:
    """How many members the tiles of networks of one shape should have.

    A step of T members takes a + T m seconds, and the last tile of a group is half empty on average. A group of n
    members that take s steps an epoch costs s (n / T + 1/2) (a + T m), and the sum over groups is least at
    T = sqrt(2 a sum(s n) / sum(s m)). A tile must also fit the cache, and need not hold more than there are.

    Args:
        groups: specification, batch size, and expected number of members.
        problem: sizes of the data.
        num_rows: training rows.
        rates: of the machine.

    Returns:
        T, at least 1.
    """
    sizes = sizes_of(problem)
    fits = min(max(rates.cache // cost.bytes_per_member(spec, sizes), 2) for spec, _, _ in groups)
    steps = [math.ceil(num_rows / batch_size) for _, batch_size, _ in groups]
    members = sum(s * count for s, (_, _, count) in zip(steps, groups, strict=True))
    seconds = sum(
        s * cost.member_step_seconds(spec, spec.batch_size, sizes, rates)
        for s, (spec, _, _) in zip(steps, groups, strict=True)
    )
    best = math.sqrt(2 * rates.step * members / seconds)
    most = math.ceil(max(count for _, _, count in groups))
    # One member alone leaves the products of a tile too small: measured 15 % and more per member.
    return min(max(round(best), 2), fits, most, rates.largest_tile)


def choose_padding(
    probes: Sequence[Config],
    problem: Problem,
    share: float,
    *,
    num_rows: int,
    num_epochs: int,
    rates: cost.Rates,
) -> Padding:
    """What shares a program: the choice with the least estimated seconds of compiling and training.

    Args:
        probes: configurations that stand for the space.
        problem: sizes of the data.
        share: configurations to be trained per probe.
        num_rows: training rows.
        num_epochs: epochs of each trial.
        rates: of the machine.

    Returns:
        Bands of widths and batch sizes for each depth, and the optimizers that are merged.
    """
    kinds = tuple(sorted({kind for probe in probes for kind in split(probe)[0].optimizers}))
    choices = []
    for optimizers in sorted({(), kinds if len(kinds) > 1 else ()}):
        cores = [split(probe, padding=Padding(optimizers=optimizers))[0] for probe in probes]
        total, bands = 0.0, []
        for depth in sorted({probe.num_layers for probe in probes}):
            alike = [i for i, probe in enumerate(probes) if probe.num_layers == depth]
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
    num_epochs: int,
    rates: cost.Rates,
) -> tuple[float, list[Band]]:
    """The best widths for networks of one depth, and for each the best batch sizes.

    Args:
        probes: configurations of one depth.
        cores: their specifications without padding.
        problem: sizes of the data.
        share: configurations to be trained per probe.
        num_rows: training rows.
        num_epochs: epochs of each trial.
        rates: of the machine.

    Returns:
        Estimated seconds of compiling and training, and the bands. The choice is exact: every way to cut the ladder of
        widths, and within each band that of batch sizes, is weighed.
    """
    depth = probes[0].num_layers
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
    compile_epoch = rates.compile * len(shapes)
    compile_small = rates.compile_small * len({(spec.activation, spec.normalization) for spec in shapes})

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
