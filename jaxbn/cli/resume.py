"""`jaxbn resume`: go on with a sweep that was interrupted or killed, or add configs or epochs to one."""

import dataclasses
import sys
import time
from pathlib import Path
from typing import Annotated

from tyro.conf import Positional, arg

from jaxbn.cli.doctor import examine
from jaxbn.cli.options import Flag, MaybeCount
from jaxbn.cli.sweep import begin, resumable, tell
from jaxbn.study.interrupt import interrupts
from jaxbn.study.progress import display


@dataclasses.dataclass(frozen=True)
class Arguments:
    """The arguments; the docstring of each is its help."""

    run: Annotated[Positional[Path], arg(metavar="RUN")]
    """The folder of the run."""
    data: Annotated[Positional[str | None], arg(metavar="[DATA]", help_behavior_hint="(default: where they were)")] = (
        None
    )
    """Its data, if they are somewhere else now."""
    num_configs: Annotated[MaybeCount, arg(help_behavior_hint="(default: as many as it was asked for)")] = None
    """How many configs it is to have in all: more than it has, also where it is finished."""
    num_epochs: Annotated[MaybeCount, arg(help_behavior_hint="(default: as many as it was asked for)")] = None
    """How many epochs each trial is to have in all: more than it has. Where it is finished it must have been swept with
    --keep-states."""
    devices: Annotated[MaybeCount, arg(help_behavior_hint="(default: as many as it was asked for)")] = None
    """How many of the local devices train at once."""
    json: Flag = False
    """Print one JSON object on one line, and nothing else."""


def run(arguments: Arguments, *, started: float) -> int:
    """Go on, write the run, and print what came of it.

    Args:
        arguments: which run.
        started: when the process started, by `time.perf_counter`.

    Returns:
        Exit status 0.

    Raises:
        UserError: it cannot be gone on with.
    """
    with display(f"Starting JAX and reading {arguments.run}") as shown:
        with interrupts():
            from jaxbn.engine.cache import keep_programs
            from jaxbn.study.run_dir import request_in
            from jaxbn.study.sweep import resume

        request, finished = request_in(arguments.run)
        keep_programs()
        examine(strict=False)
        with resumable(arguments.run):
            results = resume(
                arguments.run,
                arguments.data,
                num_configs=arguments.num_configs,
                num_epochs=arguments.num_epochs,
                devices=arguments.devices,
                on_start=lambda setup: begin(shown, setup),
                on_event=shown.record,
                import_seconds=time.perf_counter() - started,
            )
    there = arguments.num_configs in (None, request.num_configs), arguments.num_epochs in (None, request.num_epochs)
    if finished and all(there):
        print(f"{arguments.run} is finished: nothing was trained.", file=sys.stderr)
    tell(results, arguments.run, shown.noted, as_json=arguments.json)
    return 0
