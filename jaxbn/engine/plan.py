"""What a sweep will run: which programs, which tiles, and what they will cost. Nothing here runs anything.

Padding and tile sizes follow from the space, the budget and the kind of machine, never from the configurations that
happened to be sampled: the planner looks at a fixed set of probe configurations of the space instead.
"""

import dataclasses
import itertools
import math
from collections import defaultdict
from collections.abc import Sequence

from jaxbn.engine import cost
from jaxbn.engine.ladder import choose_ladder, expected_tiles, tile_step_seconds
from jaxbn.engine.padding import choose_padding
from jaxbn.engine.programs import Problem, Program, of_evaluate, sizes_of
from jaxbn.engine.tiles import Member, Tile, fitting, pack
from jaxbn.nn.types import Spec
from jaxbn.search import Config, Padding, Rung, Space, split
from jaxbn.search.propose import random

NUM_PROBES = 512
PROBE_SEED = 2015
HELD = 1.25
"""For each that will survive a rung, so many states of trained trials are held until those that cannot are let go."""
TRIAL_BYTES = 10_000
"""What is kept on the host of a trial beside its curve: configuration, tile, rows of tables; measured."""


@dataclasses.dataclass(frozen=True)
class Load:
    """What one program has to do between two rungs with mini-batches of one size; expected, after the first rung.

    Attributes:
        program: which one.
        rung: the place of the rung that it leads to.
        batch_size: in use, not padded.
        epochs: from rung to rung.
        tiles: how many.
        members: in all of them together.
        flops_per_row: operations of the members' matrix products on a row, without padding.
    """

    program: Program
    rung: int
    batch_size: int
    epochs: int
    tiles: float
    members: float
    flops_per_row: float


@dataclasses.dataclass(frozen=True, eq=False)
class Plan:
    """Rungs, programs, tiles and an estimate. Print it to read it.

    Attributes:
        problems: sizes of the data, for each fold.
        num_rows: training rows, for each fold.
        rungs: when configurations are ranked, and how many train on.
        padding: what unlike configurations share.
        ladders: by shape (the evaluation program of one member), T up to each rung.
        programs: all epoch programs, in the order in which they are compiled.
        tiles: of the first round up to the first rung, in the order in which they start.
        loads: of the whole sweep.
        rates: what the estimate assumes of the machine.
    """

    problems: tuple[Problem, ...]
    num_rows: tuple[int, ...]
    rungs: tuple[Rung, ...]
    padding: Padding
    ladders: dict[Program, tuple[int, ...]]
    programs: tuple[Program, ...]
    tiles: tuple[Tile, ...]
    loads: tuple[Load, ...]
    rates: cost.Rates

    @property
    def problem(self) -> Problem:
        """Sizes of the data of the first fold."""
        return self.problems[0]

    @property
    def num_epochs(self) -> int:
        """Epochs of the last rung."""
        return self.rungs[-1].epochs

    @property
    def num_trials(self) -> int:
        """Trials that start."""
        return round(sum(load.members for load in self.loads if load.rung == 0))

    def program(self, spec: Spec, fold: int, rung: int) -> Program:
        """The epoch program of a specification up to a rung."""
        problem = self.problems[fold]
        ladder = self.ladders.get(_shape(spec, self.problem))
        # A shape that no probe has is rare: a tile of two does.
        return Program("epoch", spec, ladder[rung] if ladder else 2, problem)

    def pack(self, members: Sequence[Member], *, rung: int, start: int, until: int) -> list[Tile]:
        """Tiles that train members between two epochs with the tile sizes of a rung, in the order of the programs."""
        tiles = pack(
            members,
            lambda spec, fold: self.program(spec, fold, rung),
            padding=self.padding,
            num_rows=self.num_rows,
            num_epochs=self.num_epochs,
            start=start,
            until=until,
        )
        place = {program: number for number, program in enumerate(self.programs)}
        return sorted(tiles, key=lambda tile: place.get(tile.program, len(place)))

    def seconds(self, load: Load) -> float:
        """Estimated seconds of a load, with all workers busy."""
        spec, size = load.program.spec, load.program.tile_size
        one = tile_step_seconds(spec, size, sizes_of(load.program.problem), self.rates)
        return load.epochs * self._steps(load) * load.tiles * one / self.rates.workers

    def _steps(self, load: Load) -> int:
        return math.ceil(self.num_rows[0] / load.batch_size)

    def train_seconds(self, program: Program) -> float:
        """Estimated seconds, with all workers busy, that the tiles of a program train."""
        return sum(self.seconds(load) for load in self.loads if load.program == program)

    @property
    def compile_seconds(self) -> float:
        """Estimated seconds to compile everything, the small programs too."""
        small = {of_evaluate(program) for program in self.programs}
        return self.rates.compile * len(self.programs) + self.rates.compile_small * len(small)

    @property
    def total_train_seconds(self) -> float:
        """Estimated seconds of training."""
        return sum(self.seconds(load) for load in self.loads)

    @property
    def flops(self) -> float:
        """Operations of matrix products, padding included."""
        return sum(
            load.epochs
            * self._steps(load)
            * load.program.spec.batch_size
            * load.program.tile_size
            * load.tiles
            * cost.flops_per_row(load.program.spec, sizes_of(load.program.problem))
            for load in self.loads
        )

    @property
    def useful_flops(self) -> float:
        """Operations that the configurations need without padding."""
        return sum(load.epochs * self.num_rows[0] * load.flops_per_row for load in self.loads)

    @property
    def bytes(self) -> int:
        """Bytes of device memory: the data, and the state of the tiles that train at once, doubled while they step."""
        return self._data_bytes + self.rates.workers * self._tile_bytes

    @property
    def bytes_of_one_worker(self) -> int:
        """The same on a device that has one worker: an accelerator."""
        return self._data_bytes + self._tile_bytes

    @property
    def _data_bytes(self) -> int:
        return sum(4 * (p.train_rows + p.valid_rows) * (p.num_inputs + 2) for p in self.problems)

    @property
    def _tile_bytes(self) -> int:
        """Of the largest."""
        tiles = (p.tile_size * cost.bytes_per_member(p.spec, sizes_of(p.problem)) for p in self.programs)
        return 2 * max(tiles, default=0)

    @property
    def waiting_bytes(self) -> int:
        """Bytes of the states that wait on the host for a decision, at the most; none where nobody decides.

        Those that train on from the last rung, and those that have trained and may survive the next one. Programs that
        train longest come first, so the largest states wait for the others. Where configurations have several trials,
        which of them survives is known only when all have trained.
        """
        survivors, sizes = [sum(rung.survivors) for rung in self.rungs], sizes_of(self.problem)
        states = sorted(
            (cost.bytes_per_member(tile.program.spec, sizes) for tile in self.tiles for _ in range(len(tile.trials))),
            reverse=True,
        )
        several = len(states) > survivors[0]
        waiting = [
            (before if place else 0) + (before if several else min(HELD * after, before))
            for place, (before, after) in enumerate(itertools.pairwise(survivors))
        ]
        most = max(waiting, default=0) * len(states) / max(survivors[0], 1)
        return round(sum(states[: math.ceil(most)]) * max(most / max(len(states), 1), 1))

    @property
    def host_bytes(self) -> int:
        """Bytes of host memory that grow with the number of trials."""
        # Four times, because tables are made of it.
        curve = 4 * 8 * self.num_epochs * (1 + len(self.problem.metrics))
        return self.num_trials * (TRIAL_BYTES + curve) + self.waiting_bytes

    def __str__(self) -> str:
        """The plan as tables: a line for each program, and, where there are several, one for each rung."""
        header = ("program", "hidden", "batch", "optimizer", "T", "trials", "tiles", "train s")
        lines: list[tuple[str, ...]] = [header]
        for number, program in enumerate(self.programs):
            loads = [load for load in self.loads if load.program == program]
            spec, first = program.spec, min((load.rung for load in loads), default=0)
            lines.append(
                (
                    str(number),
                    "-".join(map(str, spec.widths)) or "none",
                    str(spec.batch_size),
                    "|".join(spec.optimizers),
                    str(program.tile_size),
                    f"{sum(load.members for load in loads if load.rung == first):.0f}",
                    f"{sum(load.tiles for load in loads if load.rung == first):.0f}",
                    f"{self.train_seconds(program):.1f}",
                )
            )
        padded = 1 - self.useful_flops / self.flops if self.flops else 0.0
        return "\n".join(
            [
                *_table(lines),
                *([] if len(self.rungs) == 1 else ["", *_table(self._rung_lines())]),
                "",
                f"{self.num_trials} trials x at most {self.num_epochs} epochs in {len(self.programs)} programs",
                f"estimate: {self.flops / 1e12:.3g} TFLOP ({padded:.0%} padding), {self.bytes / 1e6:.0f} MB on "
                f"the device and {self.host_bytes / 1e6:.0f} MB on the host, "
                f"compile {self.compile_seconds:.0f} s, train {self.total_train_seconds:.0f} s",
            ]
        )

    def _rung_lines(self) -> list[tuple[str, ...]]:
        brackets = len(self.rungs[0].survivors)
        named = [f"bracket {b}" for b in range(brackets)] if brackets > 1 else []
        lines: list[tuple[str, ...]] = [("rung", "epochs", "configs", *named, "tiles", "train s")]
        for place, rung in enumerate(self.rungs):
            loads = [load for load in self.loads if load.rung == place]
            lines.append(
                (
                    str(place),
                    str(rung.epochs),
                    str(sum(rung.survivors)),
                    *(map(str, rung.survivors) if named else ()),
                    f"{sum(load.tiles for load in loads):.0f}",
                    f"{sum(self.seconds(load) for load in loads):.1f}",
                )
            )
        return lines

    def _repr_pretty_(self, printer: object, cycle: bool) -> None:
        del cycle
        printer.text(str(self))  # type: ignore[attr-defined]


def _table(lines: list[tuple[str, ...]]) -> list[str]:
    widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
    return ["  ".join(cell.rjust(w) for cell, w in zip(line, widths, strict=True)) for line in lines]


def _shape(spec: Spec, problem: Problem) -> Program:
    """What programs share that have one ladder of tile sizes."""
    return of_evaluate(Program("epoch", spec, 0, problem))


def plan_tiles(
    configs: Sequence[Config],
    space: Space | None,
    problems: Sequence[Problem],
    *,
    num_rows: Sequence[int],
    rungs: Sequence[Rung],
    rates: cost.Rates,
    num_rounds: int = 1,
    num_replicates: int = 1,
    probes: Sequence[Config] | None = None,
    extra: Sequence[Config] = (),
    tile_size: int | None = None,
    precision: str = "float32",
) -> Plan:
    """Decide programs and tiles for configurations of a space.

    Args:
        configs: of the first round; trial numbers go through their replicates, and for each of these through its folds.
        space: where they come from; padding follows from it. None where they were listed.
        problems: sizes of the data, for each fold.
        num_rows: training rows, for each fold.
        rungs: of the first round.
        rates: of the machine.
        num_rounds: rounds like the first one.
        num_replicates: seeds of each configuration.
        probes: configurations that stand for the space; by default a fixed sample of it.
        extra: more configurations, known beforehand, that do not come from the space and train to the end; they are in
            the estimate and among the programs, but not in the tiles.
        tile_size: T of every tile, instead of the planner's choice.
        precision: of matrix products.

    Returns:
        The plan.
    """
    problem, rows, rungs = problems[0], num_rows[0], tuple(rungs)
    if probes is None:
        probes = random(PROBE_SEED, space, None, NUM_PROBES) if space is not None and space.domains else configs[:1]
    probes, extra = ([fitting(config, rows) for config in some] for some in (probes, extra))
    repeats = num_replicates * len(problems)
    share = len(configs) / len(probes)
    alive = [sum(rung.survivors) / max(sum(rungs[0].survivors), 1) for rung in rungs]
    epochs = [rung.epochs - before for rung, before in zip(rungs, [0, *(rung.epochs for rung in rungs)], strict=False)]
    mean_epochs = sum(part * e for part, e in zip(alive, epochs, strict=True))
    padding = choose_padding(
        probes,
        problem,
        share * repeats * num_rounds,
        num_rows=rows,
        num_epochs=mean_epochs,
        rates=rates,
    )
    padding = dataclasses.replace(padding, precision=precision)

    expected: dict[tuple[Spec, int], float] = defaultdict(float)
    for probe in probes:
        expected[split(probe, padding=padding)[0], probe.batch_size] += share
    others: dict[tuple[Spec, int], float] = defaultdict(float)
    for config in extra:
        others[split(config, padding=padding)[0], config.batch_size] += 1

    groups: dict[Program, dict[tuple[Spec, int], float]] = defaultdict(dict)
    for (spec, batch_size), count in [*expected.items(), *others.items()]:
        groups[_shape(spec, problem)][spec, batch_size] = count
    for config in configs:
        # A shape that no probe has is rare: one configuration of it is to be expected.
        spec = split(fitting(config, rows), padding=padding)[0]
        groups.setdefault(_shape(spec, problem), {}).setdefault((spec, spec.batch_size), 1.0)
    ladders = {
        shape: (tile_size,) * len(rungs)
        if tile_size
        else choose_ladder(
            group,
            problem,
            num_rows=rows,
            alive=alive,
            epochs=epochs,
            repeats=repeats * num_rounds,
            rates=rates,
        )
        for shape, group in groups.items()
    }
    plan = Plan(tuple(problems), tuple(num_rows), rungs, padding, ladders, (), (), (), rates)
    members = [
        Member((number * num_replicates + replicate) * len(problems) + fold, config, replicate=replicate, fold=fold)
        for number, config in enumerate(configs)
        for replicate in range(num_replicates)
        for fold in range(len(problems))
    ]
    loads = _loads(
        plan,
        configs,
        probes,
        extra,
        num_rounds=num_rounds,
        num_replicates=num_replicates,
        alive=alive,
        epochs=epochs,
    )
    unordered = dataclasses.replace(plan, loads=tuple(loads))
    # The longest first, so that few workers wait at the end; what later rungs need comes after all of the first.
    first = {load.program for load in loads if load.rung == 0}
    programs = sorted(
        {load.program for load in loads}, key=lambda p: (p not in first, -unordered.train_seconds(p), repr(p))
    )
    planned = dataclasses.replace(unordered, programs=tuple(programs))
    return dataclasses.replace(planned, tiles=tuple(planned.pack(members, rung=0, start=0, until=rungs[0].epochs)))


def _loads(
    plan: Plan,
    configs: Sequence[Config],
    probes: Sequence[Config],
    extra: Sequence[Config],
    *,
    num_rounds: int,
    num_replicates: int,
    alive: Sequence[float],
    epochs: Sequence[int],
) -> list[Load]:
    """The work that the configurations of the first round are, and that as many like the probes will be."""
    loads: dict[tuple[Program, int, int, int], Load] = {}

    def add(some: Sequence[Config], each: float, times: int, rungs: Sequence[tuple[int, float, int]]) -> None:
        """Count configurations of which each stands for so many of a round, and the round for so many rounds."""
        groups: dict[tuple[Spec, int], list[Config]] = defaultdict(list)
        for config in some:
            config = fitting(config, plan.num_rows[0])
            groups[split(config, padding=plan.padding)[0], config.batch_size].append(config)
        for (spec, batch_size), group in groups.items():
            for (rung, share, length), fold in itertools.product(rungs, range(len(plan.problems))):
                program = plan.program(spec, fold, rung)
                sizes = sizes_of(program.problem)
                count = len(group) * each * share
                # What is known is counted; what is to come is expected.
                known = rung == 0 and each == 1
                tiles = math.ceil(count / program.tile_size) if known else expected_tiles(count, program.tile_size)
                rows = sum(cost.flops_per_row(dataclasses.replace(spec, widths=c.widths), sizes) for c in group)
                repeats = num_replicates * times
                key = (program, rung, batch_size, length)
                old = loads.get(key, Load(*key[:3], length, 0.0, 0.0, 0.0))
                loads[key] = dataclasses.replace(
                    old,
                    tiles=old.tiles + tiles * repeats,
                    members=old.members + count * repeats,
                    flops_per_row=old.flops_per_row + rows * each * share * repeats,
                )

    rungs = [(rung, share, length) for rung, (share, length) in enumerate(zip(alive, epochs, strict=True))]
    add(configs, 1, 1, rungs)
    add(extra, 1, 1, [(0, 1.0, plan.num_epochs)])
    if num_rounds > 1:
        add(probes, len(configs) / len(probes), num_rounds - 1, rungs)
    return list(loads.values())
