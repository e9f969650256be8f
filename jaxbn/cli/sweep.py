"""`jaxbn sweep`: train a population and rank it."""

import json
import re
import time
from pathlib import Path
from typing import TYPE_CHECKING

from rich.text import Text

from jaxbn.cli import board
from jaxbn.cli.experiment import Experiment, dataset_of, space_of
from jaxbn.cli.progress import Progress, display

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
    stamp = time.strftime("%Y%m%d-%H%M%S")
    with display(f"Starting JAX and reading {experiment.data}") as shown:
        from jaxbn.study import run_dir
        from jaxbn.study.sweep import sweep

        out = experiment.out or free_name(experiment.data, stamp)
        run_dir.check_free(out, overwrite=experiment.overwrite)

        def on_start(setup: "Setup") -> None:
            shown.follow(
                Progress(
                    len(setup.configs),
                    setup.num_epochs,
                    len(setup.plan.programs),
                    setup.metric,
                    setup.rank_by,
                )
            )

        space, dataset = space_of(experiment), dataset_of(experiment)
        results = sweep(
            space,
            dataset,
            num_configs=experiment.num_configs,
            num_epochs=experiment.num_epochs,
            sampler=experiment.sampler,
            metric=experiment.metric,
            seed=experiment.seed,
            valid_fraction=experiment.valid_fraction,
            test_fraction=experiment.test_fraction,
            class_weight=experiment.class_weight,  # type: ignore[arg-type]
            on_start=on_start,
            on_event=shown.record,
            import_seconds=time.perf_counter() - started,
        )
        # Another sweep that started in the same second may have taken the name meanwhile.
        out = experiment.out or free_name(experiment.data, stamp)
        results.save(out, overwrite=experiment.overwrite)
    if experiment.json:
        print(json.dumps({**results.summary.to_json(), "run": str(out)}, allow_nan=False))
    else:
        report(results, out)
    return 0


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
