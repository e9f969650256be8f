"""The programs of a finished sweep, from its record."""

from collections.abc import Sequence
from typing import Any

from jaxbn.engine.machine import machine
from jaxbn.engine.plan import Plan
from jaxbn.engine.programs import Problem, Program, of_evaluate
from jaxbn.engine.tiles import fitting
from jaxbn.search import Band, Padding, Rung, split
from jaxbn.study.line import Schedule
from jaxbn.study.summary import Request


def recorded_plan(
    request: Request,
    schedule: Schedule,
    problems: Sequence[Problem],
    *,
    num_rows: int,
    padding: Padding,
    tile_size: int | None = None,
) -> Plan:
    """The programs of a sweep, for one trial.

    Args:
        request: the record of the sweep.
        schedule: of the trial.
        problems: sizes of the data, for each fold.
        num_rows: training rows of the trial.
        padding: of the sweep.
        tile_size: T; None is that of the sweep for networks of this shape.

    Returns:
        A plan in which nothing is to be estimated.
    """
    rungs = tuple(Rung(rung["epochs"], (1,)) for rung in request.rungs)
    ladders = {}
    for segment in schedule:
        spec = split(fitting(segment.config, num_rows), padding=padding)[0]
        shape = of_evaluate(Program("epoch", spec, 0, problems[0]))
        ladders[shape] = (tile_size or recorded_tile_size(request, shape),) * len(rungs)
    folds = len(problems)
    return Plan(tuple(problems), (num_rows,) * folds, rungs, padding, ladders, (), (), (), machine())


def recorded_padding(request: Request) -> Padding:
    """What the configurations of a sweep were padded to, from the programs that it had."""
    if request.architecture is not None and not request.architecture["masks_rows"]:
        return Padding(precision=request.precision)
    sizes: dict[tuple[int, int], set[int]] = {}
    for program in request.programs:
        widths = program["widths"] or [0]
        for width in widths:
            sizes.setdefault((len(program["widths"]), width), set())
        sizes[len(program["widths"]), max(widths)].add(program["batch_size"])
    merged = max((tuple(program["optimizers"]) for program in request.programs), key=len, default=())
    bands = (Band(depth, width, tuple(sorted(sizes[depth, width]))) for depth, width in sorted(sizes))
    return Padding(tuple(bands), merged if len(merged) > 1 else (), request.precision)


def recorded_tile_size(request: Request, shape: Program) -> int:
    """T of the first program of a sweep with a shape: with the widths, activation and normalisation of a network.

    A record that does not name all of these is matched by those that it names.
    """
    for program in request.programs:
        named = {name: program[name] for name in ("widths", "activation", "normalization") if name in program}
        same = program.get("architecture") == (shape.spec.architecture and shape.spec.architecture.name)
        same = same and program.get("own", {}) == dict(shape.spec.own)
        if same and all(_plain(getattr(shape.spec, name)) == value for name, value in named.items()):
            return program["tile_size"]
    return 2


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value
