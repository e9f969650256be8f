"""`jaxbn sweep`: train a population and rank it."""

import contextlib
import json
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from rich.text import Text

from jaxbn.cli import board
from jaxbn.cli.doctor import examine
from jaxbn.cli.experiment import Experiment, dataset_of, settings_of, space_of
from jaxbn.cli.progress import Progress, display
from jaxbn.study.interrupt import interrupts

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
    out = experiment.out or free_name(experiment.data, time.strftime("%Y%m%d-%H%M%S"))
    with display(f"Starting JAX and reading {experiment.data}") as shown:
        with interrupts():  # In the middle of an import one may be lost, or make an error.
            from jaxbn.engine.cache import keep_programs
            from jaxbn.engine.machine import machine
            from jaxbn.study import run_dir
            from jaxbn.study.sweep import sweep

        run_dir.check_free(out, overwrite=experiment.overwrite)
        keep_programs()
        examine(strict=experiment.strict)
        machine(experiment.devices)  # Measured here, it is inside what a time budget has to pay for.

        space, dataset, settings = space_of(experiment), dataset_of(experiment), settings_of(experiment)
        with resumable(out):
            results = sweep(
                space,
                dataset,
                run_dir=out,
                overwrite=experiment.overwrite,
                on_start=lambda setup: shown.follow(progress_of(setup)),
                on_event=shown.record,
                import_seconds=time.perf_counter() - started,
                **vars(settings),
            )
    tell(results, out, as_json=experiment.json)
    return 0


def tell(results: "Results", out: Path, *, as_json: bool) -> None:
    """Print what came of a sweep: a report, or one JSON object."""
    if as_json:
        print(json.dumps({**results.summary.to_json(), "run": str(out)}, allow_nan=False))
    else:
        report(results, out)


@contextlib.contextmanager
def resumable(out: Path) -> Iterator[None]:
    """Let an interrupt say how to go on, if there is a run to go on with."""
    try:
        yield
    except KeyboardInterrupt as stop:
        if stop.args or not (out / "run.json").is_file():
            raise
        raise KeyboardInterrupt(f"interrupted; go on with it by jaxbn resume {out}") from stop


def progress_of(setup: "Setup") -> Progress:
    """What is to be shown of a sweep."""
    repeats, segments = setup.settings.repeats, []
    for leg in setup.legs:
        before = leg.start
        for rung in setup.planned(leg):
            segments.append(sum(rung.survivors) * repeats * (rung.epochs - before))
            before = rung.epochs
    return Progress(
        num_trials=sum(setup.rounds) * repeats,
        num_epochs=setup.plan.num_epochs,
        segments=tuple(segments),
        num_programs=len(setup.plan.programs),
        metric=setup.metric,
        rank_by=setup.rank_by,
    )


def free_name(data: str, stamp: str) -> Path:
    """A folder under `runs` that is not there yet, named after the data and the time.

    Example:
        >>> free_name("../adult data.csv.gz", "20150403-120000").as_posix()
        'runs/adult-data-20150403-120000'
    """
    stem = re.sub(r"[^\w.-]+", "-", Path(data).name.partition(".")[0]) or "data"
    first = Path("runs", f"{stem}-{stamp}")
    name, number = first, 1
    while name.exists():
        number += 1
        name = first.with_name(f"{first.name}-{number}")
    return name


def report(results: "Results", out: Path) -> None:
    """Print what came of a sweep."""
    console = board.stdout()
    if results.summary.notes:
        console.print(board.notes(results.summary.notes), Text())
    console.print(board.ranking(results, TOP, console.width), Text())
    console.print(board.comparison(results.summary), Text())
    console.print(Text(board.duration(results.seconds)))
    console.print(Text.assemble("The run is in ", (str(out), "bold"), ". Next:\n"))
    for command in (
        f"jaxbn leaderboard {out} --top 20",
        f"jaxbn predict {out} DATA --out predictions.csv",
        f"jaxbn train {out}#{results.best.trial} --refit",
    ):
        console.print(Text(f"  {command}", no_wrap=True, overflow="ignore"), soft_wrap=True)
