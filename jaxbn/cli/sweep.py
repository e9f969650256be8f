"""`jaxbn sweep`: train a population and rank it."""

import contextlib
import itertools
import json
import re
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING

from rich.text import Text

from jaxbn.cli import board
from jaxbn.cli.doctor import examine
from jaxbn.cli.experiment import Experiment, dataset_of, settings_of, space_of
from jaxbn.errors import UserError
from jaxbn.study.interrupt import interrupts
from jaxbn.study.progress import Display, Progress, display

if TYPE_CHECKING:
    from jaxbn.study.results import Results
    from jaxbn.study.setup import Setup

TOP = 5


def run(experiment: Experiment, *, started: float) -> int:
    """Sweep, write the run, and print what came of it.

    Args:
        experiment: what was asked for.
        started: when the process started, by `time.perf_counter`.

    Returns:
        Exit status 0.

    Raises:
        UserError: what was asked for cannot be done; nothing has been written.
    """
    with display(f"Starting JAX and reading {experiment.data}") as shown:
        with interrupts():  # In the middle of an import one may be lost, or make an error.
            from jaxbn.engine.cache import keep_programs
            from jaxbn.engine.machine import machine
            from jaxbn.study.sweep import sweep

        with place_of(experiment) as out:
            # What takes no time is looked at before what does.
            space, settings = space_of(experiment), settings_of(experiment)
            keep_programs()
            examine(strict=experiment.strict)
            machine(experiment.devices)  # Measured here, it is inside what a time budget has to pay for.
            dataset = dataset_of(experiment)
            with resumable(out):
                results = sweep(
                    space,
                    dataset,
                    run_dir=out,
                    overwrite=experiment.overwrite,
                    on_start=lambda setup: begin(shown, setup),
                    on_event=shown.record,
                    import_seconds=time.perf_counter() - started,
                    **vars(settings),
                )
    tell(results, out, shown.noted, as_json=experiment.json)
    return 0


def begin(shown: Display, setup: "Setup") -> None:
    """Print what was noticed about the data, while it is early enough to stop, and show progress from now on."""
    for note in setup.notes:
        shown.console.print(Text(f"note: {note}"), soft_wrap=True)
    shown.noted = setup.notes
    shown.follow(Progress.of(setup))


def tell(results: "Results", out: Path, noted: Sequence[str], *, as_json: bool) -> None:
    """Print what came of a sweep: a report without what has been noted before, or one JSON object."""
    if as_json:
        print(json.dumps({**results.summary.to_json(), "run": str(out)}, allow_nan=False))
    else:
        report(results, out, [note for note in results.summary.notes if note not in noted])


@contextlib.contextmanager
def resumable(out: Path) -> Iterator[None]:
    """Let an interrupt say how to go on, if there is a run to go on with."""
    before = is_finished(out)
    try:
        yield
    except KeyboardInterrupt as stop:
        finished = is_finished(out)
        if stop.args or finished is None or (finished and before):
            raise
        told = f"the run in {out} is finished" if finished else f"go on with it by jaxbn resume {quote(str(out))}"
        raise KeyboardInterrupt(f"interrupted; {told}") from stop


def is_finished(out: Path) -> bool | None:
    """Whether a run is finished; None where there is none."""
    from jaxbn.study.run_dir import request_in

    try:
        return request_in(out)[1]
    except UserError:
        return None


@contextlib.contextmanager
def place_of(experiment: Experiment) -> Iterator[Path]:
    """Where the run will be: the folder that was asked for, or a new one.

    Raises:
        UserError: a run cannot be written there.
    """
    from jaxbn.study.run_dir import check_free, told

    if experiment.out is not None:
        check_free(experiment.out, overwrite=experiment.overwrite)
        yield experiment.out
        return
    wanted = usual_name(experiment.data, time.strftime("%Y%m%d-%H%M%S"))
    above = [] if wanted.parent.exists() else [wanted.parent]
    with told(wanted):
        out = new_place(wanted)
    try:
        yield out
    finally:
        # Where nothing was written, nothing is left behind.
        with contextlib.suppress(OSError):
            for folder in (out, *above):
                folder.rmdir()


def usual_name(data: str, stamp: str) -> Path:
    """A folder under `runs`, named after the data and the time.

    Example:
        >>> usual_name("../adult data.csv.gz", "20150403-120000").as_posix()
        'runs/adult-data-20150403-120000'
    """
    stem = re.sub(r"[^\w.-]+", "-", Path(data).name.partition(".")[0]) or "data"
    return Path("runs", f"{stem}-{stamp}")


def new_place(wanted: Path) -> Path:
    """A folder of that name, or with a number after it, that was not there and now is: nobody else gets it.

    Raises:
        OSError: it cannot be made.
    """
    for number in itertools.count(1):
        place = wanted if number == 1 else wanted.with_name(f"{wanted.name}-{number}")
        with contextlib.suppress(FileExistsError):
            place.mkdir(parents=True)
            return place
    raise AssertionError


def report(results: "Results", out: Path, notes: Sequence[str]) -> None:
    """Print what came of a sweep."""
    console = board.stdout()
    if notes:
        console.print(board.notes(notes), Text())
    console.print(board.ranking(results, TOP, console.width), Text())
    console.print(board.comparison(results), Text())
    console.print(Text(board.duration(results.seconds)))
    console.print(Text.assemble("The run is in ", (str(out), "bold"), ". Next:\n"))
    for command in (
        f"jaxbn leaderboard {quote(str(out))} --top 20",
        f"jaxbn predict {quote(str(out))} DATA --out predictions.csv",
        f"jaxbn train {quote(str(out))}#{results.best.trial} --refit",
    ):
        console.print(Text(f"  {command}", no_wrap=True, overflow="ignore"), soft_wrap=True)
