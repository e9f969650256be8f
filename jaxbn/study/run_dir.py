"""The run directory: what a sweep leaves on the disk.

NAME/
  run.json          what was asked for, where it ran, the plan, the figures
  trials.parquet    a row per trial
  curves.parquet    a row per trial and epoch
  lineage.parquet   how hyperparameters changed while training; without rows where they did not
  best/             model.safetensors and model.json: everything prediction needs
"""

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from jaxbn.errors import UserError
from jaxbn.search import HYPERPARAMETERS
from jaxbn.study.files import check_place, new_folder, read_json, write_json
from jaxbn.study.fitted import FittedModel
from jaxbn.study.summary import Request, Summary
from jaxbn.study.typed import misfit

if TYPE_CHECKING:
    import polars as pl

FORMAT, VERSION = "jaxbn-run", 2


class Run(NamedTuple):
    """What a run directory holds: what was asked for, the figures, the tables, the winner."""

    request: Request
    summary: Summary
    trials: "pl.DataFrame"
    curves: "pl.DataFrame"
    lineage: "pl.DataFrame"
    best_model: FittedModel


def check_free(folder: str | Path, *, overwrite: bool) -> None:
    """Refuse a folder that a run cannot be written to, before any work is done.

    Raises:
        UserError: it exists and may not be replaced, or it cannot be made.
    """
    folder = Path(folder)
    if folder.exists() or folder.is_symlink():
        if not overwrite:
            raise UserError(f"{str(folder)!r} exists already: choose another name, or add --overwrite (overwrite=True)")
        if folder.is_symlink() or not (folder / "run.json").is_file():
            raise UserError(f"{str(folder)!r} is no folder with a run, so it is not overwritten: choose another name")
    check_place(folder)


def save(folder: str | Path, run: Run, *, overwrite: bool = False) -> None:
    """Write a run directory, whole or not at all.

    Raises:
        UserError: the folder exists, or cannot be written.
    """
    folder = Path(folder)
    check_free(folder, overwrite=overwrite)
    record = {
        "format": FORMAT,
        "version": VERSION,
        "request": dataclasses.asdict(run.request),
        **run.summary.to_json(),
    }
    try:
        with new_folder(folder) as partial:
            run.trials.write_parquet(partial / "trials.parquet")
            run.curves.write_parquet(partial / "curves.parquet")
            run.lineage.write_parquet(partial / "lineage.parquet")
            run.best_model.save(partial / "best")
            write_json(partial / "run.json", record)
    except OSError as error:
        raise UserError(f"cannot write the run to {str(folder)!r}: {error.strerror or error}") from error


def load(folder: str | Path) -> Run:
    """Read a run directory.

    Raises:
        UserError: it is not there, not whole, or of another version.
    """
    folder = Path(folder)
    record = read_json(folder / "run.json", format=FORMAT, version=VERSION)
    try:
        request = Request(**record.pop("request"))
        summary = Summary.from_json({k: v for k, v in record.items() if k not in ("format", "version")})
        for part in (request, summary):
            wrong = misfit(part)
            if wrong is not None:
                raise ValueError(f"{wrong} is {getattr(part, wrong)!r:.80}")
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise UserError(f"{folder / 'run.json'} is broken ({error}): run the sweep again") from error
    trials, curves, lineage = (_read(folder / f"{name}.parquet") for name in ("trials", "curves", "lineage"))
    scores = summary.best.validation
    others = (summary.test, *(b.validation for b in summary.baselines), *(b.test for b in summary.baselines))
    columns = {"trial", "config", "status", *HYPERPARAMETERS, *(f"valid_{name}" for name in scores)}
    if (
        not {"loss", summary.metric} <= set(scores)
        or any(set(other) != set(scores) for other in others)
        or not columns <= set(trials.columns)
        or len(trials) != summary.num_trials
        or not 0 <= summary.best.trial < summary.num_trials
        or not set(request.space or ()) <= set(HYPERPARAMETERS)
    ):
        raise UserError(f"the files of {str(folder)!r} do not go together: run the sweep again")
    return Run(request, summary, trials, curves, lineage, FittedModel.load(folder / "best"))


def _read(path: Path) -> "pl.DataFrame":
    import polars as pl

    try:
        return pl.read_parquet(path)
    except (OSError, pl.exceptions.PolarsError) as error:
        raise UserError(f"{path} cannot be read ({error}): run the sweep again") from error
