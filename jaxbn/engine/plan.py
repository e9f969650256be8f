"""What a sweep will run: which programs, which tiles, and what they will cost. Nothing here runs anything."""

import dataclasses
import functools
import itertools
import math
from collections.abc import Sequence

import jax

from jaxbn.engine import cost, described
from jaxbn.engine.ladder import tile_step_seconds
from jaxbn.engine.programs import Problem, Program, arguments, of_evaluate, sizes_of
from jaxbn.engine.tiles import Member, Tile, pack
from jaxbn.nn.types import Spec
from jaxbn.search import Padding, Rung

HELD = 1.25
"""For each that will survive a rung, so many states of trained trials are held until those that cannot are let go."""
TRIAL_BYTES = 10_000
"""What is kept on the host of a trial beside its curve: configuration, tile, rows of tables; measured."""
NAME_BYTES = 120
"""What a file takes to name an array and say where it is; measured."""


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
        counted: specifications and batch sizes whose programs are compiled for the number of steps in an epoch.
        keeps: whether the states of all trials that train to the last rung are held until everything has ended.
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
    counted: frozenset[tuple[Spec, int]] = frozenset()
    keeps: bool = False

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

    def tile_size(self, spec: Spec, rung: int) -> int:
        """T of a specification up to a rung."""
        ladder = self.ladders.get(shape_of(spec, self.problem))
        # A shape that no probe has is rare: a tile of two does. Rungs that were added later take the last T.
        return ladder[min(rung, len(ladder) - 1)] if ladder else 2

    def program(self, spec: Spec, batch_size: int, fold: int, rung: int) -> Program:
        """The epoch program of a specification and batch size up to a rung."""
        steps = math.ceil(self.num_rows[fold] / batch_size) if (spec, batch_size) in self.counted else 0
        return Program("epoch", spec, self.tile_size(spec, rung), self.problems[fold], steps)

    def pack(self, members: Sequence[Member], *, rung: int, start: int, until: int) -> list[Tile]:
        """Tiles that train members between two epochs with the tile sizes of a rung, in the order of the programs."""
        tiles = pack(
            members,
            functools.partial(self.program, rung=rung),
            padding=self.padding,
            num_rows=self.num_rows,
            num_epochs=self.num_epochs,
            start=start,
            until=until,
        )
        place = {program: number for number, program in enumerate(self.programs)}
        return sorted(tiles, key=lambda tile: place.get(tile.program, len(place)))

    def halved(self) -> "Plan":
        """The same with tiles of half the size, for a device whose memory does not hold them; tiles of one stay."""

        def half(program: Program) -> Program:
            return dataclasses.replace(program, tile_size=max(program.tile_size // 2, 1))

        def more(load: Load) -> Load:
            halved = half(load.program)
            tiles = load.tiles * load.program.tile_size / halved.tile_size
            return dataclasses.replace(load, program=halved, tiles=tiles)

        return dataclasses.replace(
            self,
            ladders={shape: tuple(max(size // 2, 1) for size in sizes) for shape, sizes in self.ladders.items()},
            programs=tuple(dict.fromkeys(half(program) for program in self.programs)),
            loads=tuple(map(more, self.loads)),
        )

    def repeated(self, times: float) -> "Plan":
        """The same with more rounds: what it all costs is so many times what it was."""
        return dataclasses.replace(
            self,
            loads=tuple(
                dataclasses.replace(
                    load,
                    tiles=load.tiles * times,
                    members=load.members * times,
                    flops_per_row=load.flops_per_row * times,
                )
                for load in self.loads
            ),
        )

    def lengthened(self, rungs: Sequence[Rung]) -> "Plan":
        """The same for more epochs: all that train to its last rung are held there and train on.

        Args:
            rungs: as many epochs and survivors as it has, up to its last one; then others.
        """
        last, longer = len(self.rungs) - 1, rungs[len(self.rungs) - 1].epochs - self.num_epochs
        ends = [load for load in self.loads if load.rung == last]
        loads = [load for load in self.loads if load.rung != last]
        loads += [dataclasses.replace(load, epochs=load.epochs + longer) for load in ends]
        for place in range(last + 1, len(rungs)):
            share = sum(rungs[place].survivors) / max(sum(self.rungs[-1].survivors), 1)
            loads += [
                dataclasses.replace(
                    load,
                    rung=place,
                    epochs=rungs[place].epochs - rungs[place - 1].epochs,
                    tiles=load.tiles * share,
                    members=load.members * share,
                    flops_per_row=load.flops_per_row * share,
                )
                for load in ends
            ]
        return dataclasses.replace(self, rungs=tuple(rungs), loads=tuple(loads), keeps=True)

    @property
    def largest_tile(self) -> int:
        """Members of the largest tile."""
        return max((program.tile_size for program in self.programs), default=0)

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
        """Bytes of device memory: the data, and the tiles that train at once.

        While a tile steps, its state is there twice, and a mini-batch with what becomes of it.
        """
        return self.data_bytes + self.rates.workers * self._tile_bytes

    @property
    def bytes_of_one_worker(self) -> int:
        """The same on a device that has one worker: an accelerator."""
        return self.data_bytes + self._tile_bytes

    @property
    def data_bytes(self) -> int:
        """Bytes of the rows of all folds."""
        # Beside its inputs and its weight a row has a label, or numbers as targets.
        targets = 1 if self.problem.task == "classification" else self.problem.num_outputs
        return sum(4 * (p.train_rows + p.valid_rows) * (p.num_inputs + targets + 1) for p in self.problems)

    @property
    def _tile_bytes(self) -> int:
        """Of the largest."""
        sizes = sizes_of(self.problem)
        tiles = (
            p.tile_size * (2 * cost.bytes_per_member(p.spec, sizes) + cost.bytes_of_step(p.spec, sizes))
            for p in self.programs
        )
        return max(tiles, default=0)

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
    def kept_bytes(self) -> int:
        """Bytes of the states that are held to the end, as files hold them; none where none are."""
        if not self.keeps:
            return 0
        ends = (load for load in self.loads if load.rung == len(self.rungs) - 1)
        return round(sum(load.members * _state_bytes(load.program) for load in ends))

    @property
    def host_bytes(self) -> int:
        """Bytes of host memory that grow with the number of trials."""
        # Four times, because tables are made of it.
        curve = 4 * 8 * self.num_epochs * (1 + len(self.problem.metrics))
        return self.num_trials * (TRIAL_BYTES + curve) + self.waiting_bytes + self.kept_bytes

    def __str__(self) -> str:
        return described.as_text(self)

    def __repr__(self) -> str:
        programs = f"{len(self.programs)} program{'s' * (len(self.programs) != 1)}"
        return f"Plan({self.num_trials:,} trials x at most {self.num_epochs} epochs in {programs})"

    def _repr_pretty_(self, printer: object, cycle: bool) -> None:
        del cycle
        printer.text(str(self))  # type: ignore[attr-defined]

    def _repr_html_(self) -> str:
        return described.as_html(self)


def _state_bytes(program: Program) -> int:
    """Bytes of the state of one member in a file."""
    state = arguments(dataclasses.replace(program, tile_size=1))[1]
    return sum(leaf.size * leaf.dtype.itemsize + NAME_BYTES for leaf in jax.tree.leaves(state))


def shape_of(spec: Spec, problem: Problem) -> Program:
    """What programs share that have one ladder of tile sizes."""
    return of_evaluate(Program("epoch", spec, 0, problem))
