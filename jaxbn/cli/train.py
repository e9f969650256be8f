"""`jaxbn train`: one trial of a sweep again, by itself."""

import dataclasses
from pathlib import Path
from shlex import quote
from typing import Annotated

from rich.text import Text
from tyro.conf import Positional, arg

from jaxbn.cli import board
from jaxbn.cli.options import Flag
from jaxbn.errors import UserError
from jaxbn.study.progress import Progress, display


@dataclasses.dataclass(frozen=True)
class Arguments:
    """The arguments; the docstring of each is its help."""

    trial: Annotated[Positional[str], arg(metavar="RUN#TRIAL", help_behavior_hint="")]
    """The folder that a sweep wrote, and the number of a trial; without a number, the best trial."""
    data: Annotated[Positional[str | None], arg(metavar="[DATA]", help_behavior_hint="(default: where they were)")] = (
        None
    )
    """Its data, if they are somewhere else now."""
    refit: Flag = False
    """Train on training and validation rows together."""
    out: Annotated[
        Path | None, arg(metavar="DIR", help_behavior_hint="(default: RUN/models/TRIAL, or TRIAL-refit)")
    ] = None
    """Where to write the model."""
    overwrite: Flag = False
    """Replace a model that is there."""


def run(arguments: Arguments) -> int:
    """Train, print the scores, and write the model.

    Args:
        arguments: which trial, and how.

    Returns:
        Exit status 0.

    Raises:
        UserError: there is no such trial, its data are gone, or it diverged; nothing has been written.
    """
    folder, number = trial_of(arguments.trial)
    with display("Starting JAX and reading the run") as shown:
        from jaxbn.engine.cache import keep_programs
        from jaxbn.study.files import check_holds, check_place, new_folder
        from jaxbn.study.fitted import FILES
        from jaxbn.study.results import Results
        from jaxbn.study.retrain import retrain
        from jaxbn.study.run_dir import EXPORTED
        from jaxbn.study.score import choose_metrics

        results = Results.load(folder)
        trial = results.best.trial if number is None else number
        out = arguments.out or folder / "models" / (f"{trial}-refit" if arguments.refit else str(trial))
        if out.exists() and not arguments.overwrite:
            raise UserError(f"{str(out)!r} exists already: choose another --out, or add --overwrite")
        if out.exists() and not (out / "model.json").is_file():
            raise UserError(f"{str(out)!r} holds no model, so it is not overwritten: choose another --out")
        if out.exists():
            check_holds(out, (*FILES, EXPORTED))
        if (out.parent / "run.json").is_file() and out.name == "best":
            raise UserError(f"{str(out)!r} is for the winner of the run as it was swept: choose another --out")
        check_place(out)
        keep_programs()
        metrics, rank_by = choose_metrics(results.summary.metric, results.summary.task)
        epochs = results.request.num_epochs
        shown.follow(Progress(1, epochs, (epochs,), 1, metrics[rank_by], rank_by))
        model, scores = retrain(results, trial, data=arguments.data, refit=arguments.refit, on_event=shown.record)
        try:
            with new_folder(out) as partial:
                model.save(partial)
        except OSError as error:
            raise UserError(f"cannot write the model to {str(out)!r}: {error.strerror or error}") from error
    console = board.stdout()
    rows = "training and validation rows" if arguments.refit else "the training rows, as in the sweep"
    console.print(Text(f"Trial {trial}, trained on {rows}:\n"))
    console.print(board.scores(scores), Text())
    console.print(Text.assemble("The model is in ", (str(out), "bold"), ". Next:\n"))
    console.print(Text(f"  jaxbn predict {quote(str(out))} DATA --out predictions.csv"), soft_wrap=True)
    return 0


def trial_of(given: str) -> tuple[Path, int | None]:
    """The run and the trial that `RUN#TRIAL` names; no number is the best trial.

    Raises:
        UserError: what follows the # is no number.

    Example:
        >>> trial_of("runs/digits#12")[1], trial_of("runs/digits")[1]
        (12, None)
    """
    run, mark, number = given.rpartition("#")
    if not mark:
        return Path(given), None
    if not (number.isascii() and number.isdigit()):
        raise UserError(f"{given!r} names no trial: write RUN#TRIAL with the number of a trial, such as {run}#12")
    return Path(run), int(number)
