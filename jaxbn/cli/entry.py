"""The way into the command line: which command, and what becomes of it."""

import dataclasses
import os
import signal
import sys
import time
import warnings
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from rich.console import Console
from rich.table import Table
from rich.text import Text

import jaxbn
from jaxbn.cli import (
    babysit,
    conventions,
    doctor,
    export,
    leaderboard,
    plan,
    predict,
    report,
    resume,
    space,
    sweep,
    train,
)
from jaxbn.cli.experiment import Experiment
from jaxbn.cli.options import as_flags, parse
from jaxbn.errors import UserError, unknown

STARTED = time.perf_counter()
"""When the process started, or nearly: nothing that takes long has been imported yet."""

MISTAKE, INTERRUPTED, TERMINATED, PIPE_CLOSED = 2, 130, 143, 141
"""Exit statuses, beside 0 and the 1 of a doctor who found something."""


class Command(NamedTuple):
    """A command: its arguments, what it does with them, and how its help begins."""

    arguments: type
    run: Callable[[Any], int]
    help: str


COMMANDS = {
    "sweep": Command(
        Experiment,
        lambda arguments: sweep.run(arguments, started=STARTED),
        "Train many networks at once, each with its own hyperparameters.\n\n"
        "Hyperparameters and their ranges: jaxbn space. A space to edit: jaxbn space --toml.",
    ),
    "resume": Command(
        resume.Arguments,
        lambda arguments: resume.run(arguments, started=STARTED),
        "Go on with a sweep that was interrupted or killed, or add configs or epochs to one.\n\n"
        "On the same machine what comes of it is what would have come of it, bit for bit.",
    ),
    "plan": Command(
        Experiment,
        plan.run,
        "Show what a sweep with these arguments would run and cost.\n\nNo trial is trained and no run is written. The "
        "first time on a machine its speed is measured, which takes a few seconds, and remembered with the programs.",
    ),
    "leaderboard": Command(leaderboard.Arguments, leaderboard.run, "Show the ranking of a finished sweep."),
    "report": Command(
        report.Arguments,
        report.run,
        "Write a finished sweep as one HTML file, for a browser.\n\n"
        "Tables and pictures that are filtered together, and how to run it again. It works offline.",
    ),
    "train": Command(
        train.Arguments,
        train.run,
        "Train one trial of a sweep again and keep its model.\n\n"
        "With --refit on training and validation rows together, as for a model that will be used.",
    ),
    "babysit": Command(
        babysit.Arguments,
        babysit.run,
        "Tend one network: train on, look, change a hyperparameter, go back.\n\n"
        "It asks what to do, line by line; help shows what can be typed. Lines may also be piped in.",
    ),
    "predict": Command(predict.Arguments, predict.run, "Predict rows with the winner of a sweep or a saved model."),
    "export": Command(
        export.Arguments,
        export.run,
        "Write the winner of a sweep, or a saved model, for those who serve it without JAX.\n\n"
        "Batch normalisation is folded into the layers, and preprocessing goes along.",
    ),
    "space": Command(space.Arguments, space.run, "Show every hyperparameter, or print a space to be edited."),
    "conventions": Command(
        conventions.Arguments,
        conventions.run,
        "Show what other frameworks mean by batch normalisation, optimizers and initial weights.",
    ),
    "doctor": Command(
        doctor.Arguments,
        doctor.run,
        "Check that the installed JAX computes the right numbers.\n\nThe exit status is 1 if it does not.",
    ),
}


NAMES = {field.name for command in COMMANDS.values() for field in dataclasses.fields(command.arguments)}
"""Of all arguments, as Python has them."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command.

    Args:
        argv: its name and arguments; those of the process if not given.

    Returns:
        The exit status: 0; 1 where `doctor` found something wrong, 2 for a user's mistake, 130 when
        interrupted, 143 when told to terminate, 141 when nobody reads the output any more.
    """
    # JAX reads it when it is imported; without it, some releases talk about their compiler on stderr.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    warnings.showwarning = _warn
    try:
        status = _run(list(sys.argv[1:] if argv is None else argv))
        sys.stdout.flush()
        return status
    except UserError as error:
        print(f"jaxbn: {as_flags(str(error), NAMES)}", file=sys.stderr)
        return MISTAKE
    except KeyboardInterrupt as stop:
        print(f"jaxbn: {stop}" if stop.args else "jaxbn: interrupted; nothing was written", file=sys.stderr, flush=True)
        status = TERMINATED if getattr(stop, "signal", None) == signal.SIGTERM else INTERRUPTED
        if argv is None:
            # A thread may still be compiling; nobody waits for it.
            os._exit(status)
        return status
    except BrokenPipeError:
        # The reader, such as `head`, has seen enough. What is still buffered has nowhere to go.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return PIPE_CLOSED
    except OSError as error:
        if error.filename is None:
            raise
        # A path that may not be looked at, say: who owns it knows what to do.
        print(f"jaxbn: {error.filename!r}: {error.strerror}; choose another place", file=sys.stderr)
        return MISTAKE


def _run(argv: list[str]) -> int:
    if not argv or argv[0] in ("-h", "--help"):
        _help()
        return 0
    name, *rest = argv
    if name == "--version":
        print(f"jaxbn {jaxbn.__version__}")
        return 0
    if name not in COMMANDS:
        raise unknown("command", name, COMMANDS)
    command = COMMANDS[name]
    arguments = parse(command.arguments, rest, prog=f"jaxbn {name}", description=command.help)
    return 0 if arguments is None else command.run(arguments)


def _warn(message: Warning | str, category: type[Warning], *where: object) -> None:
    """A warning as a person reads it, without the line of code that it came from."""
    del category, where
    print(f"jaxbn: {message}", file=sys.stderr)


def _help() -> None:
    console = Console(highlight=False)
    table = Table.grid(padding=(0, 2))
    for name, command in COMMANDS.items():
        table.add_row("", Text(name, style="bold"), Text(command.help.split("\n")[0]))
    console.print("usage: jaxbn COMMAND [ARGUMENTS]\n", markup=False)
    console.print("Train a whole population of batch-normalised networks at once.\n")
    console.print(table)
    console.print("\nMore about a command: jaxbn COMMAND --help. To begin: jaxbn sweep")
