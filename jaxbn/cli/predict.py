"""`jaxbn predict`: the rows of a file, by the winner of a sweep or a saved model."""

import dataclasses
import io
import sys
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Annotated, Any

from tyro.conf import Positional, arg

from jaxbn.cli.options import Flag
from jaxbn.errors import UserError

if TYPE_CHECKING:
    import polars as pl

    from jaxbn.study.fitted import FittedModel

ENDINGS = (".csv", ".parquet", ".pq")


@dataclasses.dataclass(frozen=True)
class Arguments:
    """The arguments; the docstring of each is its help."""

    run: Annotated[Positional[Path], arg(metavar="RUN", help_behavior_hint="")]
    """The folder that a sweep wrote, for its winner; or the folder of a saved model."""
    data: Annotated[Positional[str], arg(metavar="DATA", help_behavior_hint="")]
    """Rows like those of the training data, with or without the target."""
    out: Annotated[Path | None, arg(metavar="FILE", help_behavior_hint="(default: CSV on stdout)")] = None
    """Where to write, as CSV or Parquet by its ending: a row per record."""
    overwrite: Flag = False
    """Replace a file that is there."""


def run(arguments: Arguments) -> int:
    """Predict, and write the predictions.

    Args:
        arguments: by what, for what, and where to.

    Returns:
        Exit status 0.

    Raises:
        UserError: there is no such model, the rows are not like its training data, or the file exists.
    """
    out = arguments.out
    if out is not None:
        if out.suffix.lower() not in ENDINGS:
            raise UserError(f"--out {str(out)!r} is of no kind that can be written: give a name in .csv or .parquet")
        if out.exists() and not arguments.overwrite:
            raise UserError(f"{str(out)!r} exists already: choose another --out, or add --overwrite")
        if out.is_dir():
            raise UserError(f"{str(out)!r} is a folder: choose another --out")
    folder = model_folder(arguments.run)
    from jaxbn.study.files import write
    from jaxbn.study.fitted import FittedModel
    from jaxbn.study.tables import csv_of

    frame = predictions(FittedModel.load(folder), arguments.data)
    if out is None:
        sys.stdout.write(csv_of(frame))
        return 0
    content = io.BytesIO()
    if out.suffix.lower() == ".csv":
        content.write(csv_of(frame).encode())
    else:
        frame.write_parquet(content)
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        write(out, content.getvalue())
    except OSError as error:
        raise UserError(f"cannot write {str(out)!r}: {error.strerror or error}; choose another --out") from error
    print(f"{len(frame):,} predictions are in {out}")
    return 0


def model_folder(given: Path) -> Path:
    """The folder of the model that is meant: of the winner, where a run is given.

    Raises:
        UserError: there is no model.
    """
    if (given / "run.json").is_file():
        from jaxbn.study.run_dir import best_in

        return best_in(given)
    if (given / "model.json").is_file():
        return given
    run, mark, _ = str(given).rpartition("#")
    if mark and Path(run).is_dir():
        raise UserError(
            f"{str(given)!r} is a trial, and a run keeps its winner's model: jaxbn train {quote(str(given))} first"
        )
    what = "holds neither a run nor a model" if given.exists() else "is not there"
    raise UserError(f"{str(given)!r} {what}: give a folder that jaxbn sweep or jaxbn train wrote")


def predictions(model: "FittedModel", rows: Any) -> "pl.DataFrame":
    """A row per record: what is predicted, and the probability of each class."""
    import polars as pl

    outputs = model.outputs(model.inputs(rows))
    decided = model.decide(outputs)
    if decided.ndim == 2:
        return pl.DataFrame({f"prediction_{k}": column for k, column in enumerate(decided.T)})
    columns = {"prediction": decided}
    if model.task == "classification":
        probabilities = model.probabilities(outputs)
        columns |= {f"probability_{name}": probabilities[:, k] for k, name in enumerate(model.classes)}
    return pl.DataFrame(columns)
