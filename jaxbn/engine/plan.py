"""What a sweep will run: which programs, which tiles, and what they will cost. Nothing here runs anything.

Padding and tile sizes follow from the space, the budget and the kind of machine, never from the configurations that
happened to be sampled: the planner looks at a fixed set of probe configurations of the space instead.
"""

import dataclasses
import math
from collections import defaultdict
from collections.abc import Callable, Sequence

import jax
import numpy as np

from jaxbn.engine import cost
from jaxbn.engine.programs import Problem, Program, of_evaluate, of_init
from jaxbn.nn.types import Hyperparams, Spec
from jaxbn.search import LADDER, Config, Padding, Space, pad, split
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
        padding: ladders of widths and batch sizes.
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
        program, sizes = tile.program, (self.problem.num_inputs, self.problem.num_outputs)
        steps = math.ceil(self.num_rows / tile.hyperparams.batch_size[0])
        return steps * cost.tile_step_seconds(
            program.spec, program.spec.batch_size, program.tile_size, *sizes, self.rates
        )

    @property
    def compile_seconds(self) -> float:
        """Estimated seconds to compile everything, the small programs too."""
        small = {of_init(p) for p in self.programs} | {of_evaluate(p) for p in self.programs}
        return self.rates.compile * (len(self.programs) + 0.5 * len(small))

    @property
    def total_train_seconds(self) -> float:
        """Estimated seconds of training."""
        return sum(self.train_seconds(program) for program in self.programs)

    @property
    def flops(self) -> float:
        """Operations of matrix products, padding included."""
        total = 0.0
        for tile in self.tiles:
            steps = math.ceil(self.num_rows / tile.hyperparams.batch_size[0])
            rows = steps * tile.program.spec.batch_size * tile.program.tile_size
            total += rows * cost.flops_per_row(
                tile.program.spec, self.problem.num_inputs, self.problem.num_outputs
            )
        return total * self.num_epochs

    @property
    def useful_flops(self) -> float:
        """Operations that the configurations need without padding."""
        total = 0.0
        for tile in self.tiles:
            for member in range(len(tile.trials)):
                widths = tuple(int(width) for width in tile.hyperparams.hidden_units[member])
                exact = dataclasses.replace(tile.program.spec, widths=widths)
                total += self.num_rows * cost.flops_per_row(
                    exact, self.problem.num_inputs, self.problem.num_outputs
                )
        return total * self.num_epochs

    @property
    def bytes(self) -> int:
        """Bytes of device memory: the data, and the state of the tiles that train at once, doubled while they step."""
        problem = self.problem
        data = 4 * (problem.train_rows + problem.valid_rows) * (problem.num_inputs + 2)
        largest = sorted(
            (
                p.tile_size * cost.bytes_per_member(p.spec, problem.num_inputs, problem.num_outputs)
                for p in self.programs
            ),
            reverse=True,
        )
        return data + 2 * sum(largest[: self.rates.workers])

    def __str__(self) -> str:
        """The plan as a table, one line a program."""
        header = ("program", "hidden", "batch", "optimizer", "T", "trials", "tiles", "train s")
        lines = [header]
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


def plan_tiles(
    configs: Sequence[Config],
    space: Space,
    problem: Problem,
    *,
    num_rows: int,
    num_epochs: int,
    rates: cost.Rates,
    extra: Sequence[Config] = (),
    tile_size: int | None = None,
) -> Plan:
    """Decide programs and tiles for configurations of a space.

    Args:
        configs: what to train; trial numbers are their positions.
        space: where they come from; padding follows from it.
        problem: sizes of the data.
        num_rows: training rows.
        num_epochs: epochs of each trial.
        rates: of the machine.
        extra: more configurations, known beforehand, that do not come from the space; their trial numbers follow.
        tile_size: T of every tile, instead of the planner's choice.

    Returns:
        The plan.
    """
    probes = random(PROBE_SEED, space, None, NUM_PROBES) if space.domains else [space.config({})]
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

    largest: dict[Spec, float] = {}
    for (spec, _), count in expected.items():
        largest[spec] = max(largest.get(spec, 0.0), count)
    tiles = []
    for (spec, _), group in members.items():
        # A specification that no probe has is rare: about one configuration of it is to be expected.
        size = tile_size or choose_tile_size(spec, largest.get(spec, 1.0), problem, rates)
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


def choose_tile_size(spec: Spec, expected: float, problem: Problem, rates: cost.Rates) -> int:
    """How many members a tile should have.

    A step of T members takes a + T m seconds, and the last tile of a group is half empty on average, so a group of n
    costs (n / T + 1/2) (a + T m): least at T = sqrt(2 n a / m). A tile must also fit the cache.

    Args:
        spec: padded sizes.
        expected: how many members of one batch size are to be expected.
        problem: sizes of the data.
        rates: of the machine.

    Returns:
        T, at least 1.
    """
    sizes = (problem.num_inputs, problem.num_outputs)
    fits = min(max(rates.cache // cost.bytes_per_member(spec, *sizes), 2), rates.largest_tile)
    member = cost.member_step_seconds(spec, spec.batch_size, *sizes, rates)
    best = math.sqrt(2 * expected * rates.step / member)
    return max(1, min(round(best), fits, math.ceil(expected)))


def choose_padding(
    probes: Sequence[Config],
    problem: Problem,
    share: float,
    *,
    num_rows: int,
    num_epochs: int,
    rates: cost.Rates,
) -> Padding:
    """Which sizes share a padded program: the choice with the least estimated seconds of compiling and training.

    Args:
        probes: configurations that stand for the space.
        problem: sizes of the data.
        share: configurations to be trained per probe.
        num_rows: training rows.
        num_epochs: epochs of each trial.
        rates: of the machine.

    Returns:
        Ladders of widths and of batch sizes.
    """
    sizes = (problem.num_inputs, problem.num_outputs)

    def seconds(probe: Config, widths: tuple[int, ...], batch_size: int) -> float:
        spec = dataclasses.replace(split(probe)[0], widths=widths)
        steps = num_epochs * math.ceil(num_rows / min(probe.batch_size, num_rows))
        return share * steps * cost.member_step_seconds(spec, batch_size, *sizes, rates) / rates.workers

    def shapes(probes: Sequence[Config]) -> int:
        """Programs that the probes need beside differences in width and batch size."""
        specs = {split(probe)[0] for probe in probes}
        return len({dataclasses.replace(s, widths=(len(s.widths),), batch_size=0) for s in specs})

    hidden = [probe for probe in probes if probe.widths]
    widths: tuple[int, ...] = ()
    batch_sizes: tuple[int, ...] = ()
    for _ in range(2):  # Each choice depends on the other; the second round starts from both.
        if hidden:
            per_band = rates.compile * shapes(hidden) * max(len(batch_sizes), 1)
            widths = best_bands(
                [max(probe.widths) for probe in hidden],
                lambda i, rung, ladder=batch_sizes: seconds(
                    hidden[i], (rung,) * len(hidden[i].widths), pad(hidden[i].batch_size, ladder)
                ),
                per_band,
            )
        per_band = rates.compile * shapes(probes) * max(len(widths), 1)
        batch_sizes = best_bands(
            [min(probe.batch_size, num_rows) for probe in probes],
            lambda i, rung, ladder=widths: seconds(
                probes[i], tuple(pad(width, ladder) for width in probes[i].widths), rung
            ),
            per_band,
        )
    return Padding(widths, batch_sizes)


def best_bands(
    values: Sequence[int], seconds: Callable[[int, int], float], per_band: float
) -> tuple[int, ...]:
    """The rungs of the ladder that hold all values at the least cost.

    Args:
        values: a size for each probe.
        seconds: `(probe, rung) -> seconds` that the probe costs when it is padded to the rung.
        per_band: seconds that a rung costs by itself.

    Returns:
        The rungs in use, ascending. The choice is exact: every way to cut the ladder is weighed.

    Example:
        >>> best_bands([16, 17, 256], lambda probe, rung: rung / 100, per_band=1.0)
        (24, 256)
    """
    ladder = sorted({pad(value, LADDER) for value in values})
    held = [[i for i, value in enumerate(values) if pad(value, LADDER) == rung] for rung in ladder]
    best: list[tuple[float, tuple[int, ...]]] = [(0.0, ())]
    for top, rung in enumerate(ladder):
        choices = []
        cost_of_band = per_band
        for bottom in range(top, -1, -1):
            cost_of_band += sum(seconds(i, rung) for i in held[bottom])
            choices.append((best[bottom][0] + cost_of_band, (*best[bottom][1], rung)))
        best.append(min(choices))
    return best[-1][1]
