"""A plan as tables, for people: a line for each program, and, where there are several, one for each rung."""

from typing import TYPE_CHECKING

from jaxbn import markup
from jaxbn.nn.types import Spec

if TYPE_CHECKING:
    from jaxbn.engine.plan import Plan

Lines = list[tuple[str, ...]]
"""Of a table; the first one names the columns."""


def as_text(plan: "Plan") -> str:
    """The tables and the estimate, for a terminal."""
    parts = [line for lines in _tables(plan) for line in (*_aligned(lines), "")]
    return "\n".join([*parts, *_in_all(plan)])


def as_html(plan: "Plan") -> str:
    """The same for a notebook."""
    return "".join([*map(markup.table, _tables(plan)), *map(markup.line, _in_all(plan))])


def _tables(plan: "Plan") -> list[Lines]:
    return [_programs(plan), *([_rungs(plan)] if len(plan.rungs) > 1 else [])]


def _programs(plan: "Plan") -> Lines:
    lines: Lines = [("program", "hidden", "batch", "optimizer", "T", "trials", "tiles", "train s")]
    for number, program in enumerate(plan.programs):
        loads = [load for load in plan.loads if load.program == program]
        spec, first = program.spec, min((load.rung for load in loads), default=0)
        lines.append(
            (
                str(number),
                _network(spec),
                str(spec.batch_size),
                "|".join(spec.optimizers),
                str(program.tile_size),
                f"{sum(load.members for load in loads if load.rung == first):.0f}",
                f"{sum(load.tiles for load in loads if load.rung == first):.0f}",
                f"{plan.train_seconds(program):.1f}",
            )
        )
    return lines


def _rungs(plan: "Plan") -> Lines:
    brackets = len(plan.rungs[0].survivors)
    named = [f"bracket {b}" for b in range(brackets)] if brackets > 1 else []
    lines: Lines = [("rung", "epochs", "configs", *named, "tiles", "train s")]
    for place, rung in enumerate(plan.rungs):
        loads = [load for load in plan.loads if load.rung == place]
        lines.append(
            (
                str(place),
                str(rung.epochs),
                str(sum(rung.survivors)),
                *(map(str, rung.survivors) if named else ()),
                f"{sum(load.tiles for load in loads):.0f}",
                f"{sum(plan.seconds(load) for load in loads):.1f}",
            )
        )
    return lines


def _in_all(plan: "Plan") -> list[str]:
    padded = 1 - plan.useful_flops / plan.flops if plan.flops else 0.0
    return [
        f"{plan.num_trials} trials x at most {plan.num_epochs} epochs in {len(plan.programs)} "
        f"program{'s' * (len(plan.programs) != 1)}",
        f"estimate: {plan.flops / 1e12:.3g} TFLOP ({padded:.0%} padding), {plan.bytes / 1e6:.0f} MB on "
        f"the device and {plan.host_bytes / 1e6:.0f} MB on the host, "
        f"compile {plan.compile_seconds:.0f} s, train {plan.total_train_seconds:.0f} s",
        *([f"states to train on from: {plan.kept_bytes / 1e6:.1f} MB on the disk"] if plan.keeps else []),
    ]


def _aligned(lines: Lines) -> list[str]:
    widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
    return ["  ".join(cell.rjust(w) for cell, w in zip(line, widths, strict=True)) for line in lines]


def _network(spec: Spec) -> str:
    """What tells networks apart: widths of hidden layers, or what shapes an architecture."""
    if spec.architecture is None:
        return "-".join(map(str, spec.widths)) or "none"
    return ", ".join(f"{name} {value}" for name, value in spec.own) or spec.architecture.name
