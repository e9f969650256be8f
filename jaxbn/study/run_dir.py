"""The run directory: what a sweep leaves on the disk.

NAME/
  run.json          what was asked for, where it ran, the plan, the figures
  trials.parquet    a row per trial
  curves.parquet    a row per trial and epoch
  lineage.parquet   how hyperparameters changed while training; without rows where they did not
  best/             model.safetensors and model.json: everything prediction needs
  report.html       where somebody asked for it; it goes when the run goes on
  exported/         likewise
  models/           trials of it that were trained again
  states/           if they are kept: a checkpoint of the end, from which all trials can train on
  checkpoints/      while it is not finished: what it can be resumed from
  lock              while somebody writes it

`run.json` is there from the beginning, and says whether the run is finished: it is written last.
"""

import contextlib
import dataclasses
import io
import shlex
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from jaxbn.data.content import read_bytes
from jaxbn.data.files import read_parquet
from jaxbn.errors import UserError
from jaxbn.nn.types import Architecture
from jaxbn.study.architecture import recorded
from jaxbn.study.files import check_holds, check_place, new_folder, read_json, write, write_json
from jaxbn.study.fitted import FittedModel
from jaxbn.study.lock import locked
from jaxbn.study.per_config import columns_of
from jaxbn.study.summary import Request, Summary
from jaxbn.study.typed import misfit

if TYPE_CHECKING:
    import polars as pl

FORMAT, VERSION = "jaxbn-run", 2
TABLES = ("trials", "curves", "lineage")
CHECKPOINTS, STATES, LOCK, REPORT = "checkpoints", "states", "lock", "report.html"
MODELS, EXPORTED = "models", "exported"
OWN = ("run.json", *(f"{name}.parquet" for name in TABLES), "best", CHECKPOINTS, STATES, LOCK, REPORT, MODELS, EXPORTED)
"""What a run owns of its folder."""
BEFORE = "before"
"""In the record of a run that was finished and is being added to: the record that it had."""


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
    if folder.is_symlink() or (folder.exists() and not abandoned(folder)):
        if not overwrite:
            raise UserError(f"{str(folder)!r} exists already: choose another name, or add overwrite=True")
        if folder.is_symlink() or not (folder / "run.json").is_file():
            raise UserError(f"{str(folder)!r} is no folder with a run, so it is not overwritten: choose another name")
    check_place(folder)


def abandoned(folder: Path) -> bool:
    """Whether a sweep was killed here before its first file was whole."""
    return folder.is_dir() and all(path.name == LOCK or _is_partial(path) for path in folder.iterdir())


def _is_partial(path: Path) -> bool:
    return path.name.startswith(".") and path.suffix == ".tmp"


@contextlib.contextmanager
def begun(folder: str | Path, request: Request, *, overwrite: bool = False) -> Iterator[Path]:
    """The run directory of a sweep that begins: from now on it can be resumed, and nobody else may write it.

    Raises:
        UserError: the folder exists, or cannot be written.
    """
    folder = Path(folder)
    check_free(folder, overwrite=overwrite)
    with contextlib.ExitStack() as stack:
        with told(folder):
            folder.mkdir(parents=True, exist_ok=True)
            stack.enter_context(locked(folder / LOCK))
            check_free(folder, overwrite=overwrite)  # Again: somebody may have been here a moment ago.
            # In this order: a run that has only a part of this must not go on from what another one left.
            _remove(folder / CHECKPOINTS, folder / STATES)
            write_json(folder / "run.json", _record(request, None))
            _remove(folder / MODELS)
            clear(folder)
        yield folder


def ended(folder: Path) -> bool:
    """Whether a run is finished, and nobody died while tidying up behind it.

    Raises:
        UserError: there is none, or it is not whole.
    """
    return request_in(folder)[1] and not (folder / CHECKPOINTS).exists() and not (folder / LOCK).exists()


@contextlib.contextmanager
def taken_up(folder: Path) -> Iterator[tuple[Request, bool]]:
    """The run directory of a sweep that goes on, which nobody else may write meanwhile.

    Yields:
        What was asked for, and whether the run is finished.

    Raises:
        UserError: there is none, or somebody else writes it.
    """
    request_in(folder)
    with told(folder):
        lock = contextlib.ExitStack()
        lock.enter_context(locked(folder / LOCK))
    with lock:
        request, finished = request_in(folder)
        if finished:
            shutil.rmtree(folder / CHECKPOINTS, ignore_errors=True)
        elif BEFORE not in _read_record(folder):
            with told(folder):
                clear(folder)
        yield request, finished


def clear(folder: Path) -> None:
    """Remove what does not belong to a run that is not finished: half-written files, or those of an older run."""
    partial = filter(_is_partial, folder.iterdir())
    tables = (folder / f"{name}.parquet" for name in TABLES)
    _remove(*partial, *(folder / name for name in ("best", REPORT, EXPORTED)), *tables)


def discard(folder: Path) -> None:
    """Remove a run of which nothing came, and its folder unless somebody keeps something else there.

    Raises:
        UserError: it cannot be removed.
    """
    with told(folder):
        clear(folder)
        _remove(folder / CHECKPOINTS, folder / STATES, folder / "run.json", folder / LOCK)
        with contextlib.suppress(OSError):
            folder.rmdir()


def _remove(*paths: Path) -> None:
    for path in paths:
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)


def save(folder: str | Path, run: Run, *, overwrite: bool = False) -> None:
    """Write a run directory, whole or not at all.

    Raises:
        UserError: the folder exists, cannot be written, or is to be replaced and holds something else, or somebody
            writes there.
    """
    folder = Path(folder)
    check_free(folder, overwrite=overwrite)
    with told(folder):
        if folder.exists():
            check_holds(folder, (*OWN, *(path.name for path in folder.iterdir() if _is_partial(path))))
            with locked(folder / LOCK):
                pass
        with new_folder(folder) as partial:
            _fill(partial, run)


def finish(folder: Path, run: Run) -> None:
    """Write what came of a sweep into its run directory. Until that is done it can be resumed.

    Raises:
        UserError: the folder cannot be written.
    """
    with told(folder):
        clear(folder)
        _fill(folder, run)
        shutil.rmtree(folder / CHECKPOINTS, ignore_errors=True)


def note_request(folder: Path, request: Request) -> None:
    """Write that a sweep is under way, and goes on otherwise than it began.

    Raises:
        UserError: the folder cannot be written.
    """
    record = _read_record(folder)
    # What was finished before it was added to, until what comes of that is written: nothing may.
    before = record if record.get("finished", True) is True else record.get(BEFORE)
    with told(folder):
        write_json(folder / "run.json", _record(request, None) | ({} if before is None else {BEFORE: before}))


def put_back(folder: Path) -> bool:
    """Let a run that was added to be again what it was; whether there is such a one.

    Raises:
        UserError: the folder cannot be written.
    """
    before = _read_record(folder).get(BEFORE)
    if before is None:
        return False
    with told(folder):
        write_json(folder / "run.json", before)
        shutil.rmtree(folder / CHECKPOINTS, ignore_errors=True)
    return True


def _fill(folder: Path, run: Run) -> None:
    for name in TABLES:
        content = io.BytesIO()
        getattr(run, name).write_parquet(content)
        write(folder / f"{name}.parquet", content.getvalue())
    run.best_model.save(folder / "best")
    write_json(folder / "run.json", _record(run.request, run.summary))


def _record(request: Request, summary: Summary | None) -> dict[str, Any]:
    return {
        "format": FORMAT,
        "version": VERSION,
        "finished": summary is not None,
        "request": dataclasses.asdict(request),
        **({} if summary is None else summary.to_json()),
    }


@contextlib.contextmanager
def told(folder: Path) -> Iterator[None]:
    """Say in words that a run cannot be written."""
    try:
        yield
    except OSError as error:
        raise UserError(f"cannot write the run to {str(folder)!r}: {error.strerror or error}") from error


def request_in(folder: str | Path) -> tuple[Request, bool]:
    """What a run was asked for, and whether it is finished.

    Raises:
        UserError: there is none, or it is not whole.
    """
    record = _read_record(Path(folder))
    return _whole(Path(folder), lambda: Request(**record["request"])), record.get("finished", True) is True


def load(folder: str | Path, architecture: Architecture | None = None) -> Run:
    """Read a run directory.

    Args:
        folder: where it is.
        architecture: what the run trained, where that is no MLP.

    Raises:
        UserError: it is not there, not whole, not finished, or of another version.
    """
    folder = Path(folder)
    record = _read_record(folder)
    request = _whole(folder, lambda: Request(**record.pop("request")))
    if not record.pop("finished", True):
        raise unfinished(folder)
    summary = _whole(
        folder,
        lambda: Summary.from_json({k: v for k, v in record.items() if k not in ("format", "version")}),
    )
    paths = [folder / f"{name}.parquet" for name in TABLES]
    trials, curves, lineage = (read_parquet(read_bytes(path), str(path)) for path in paths)
    scores = summary.best.validation
    others = (summary.test, *(b.validation for b in summary.baselines), *(b.test for b in summary.baselines))
    model = FittedModel.load(folder / "best", architecture)
    known = set(columns_of(model.config.architecture))
    columns = {"trial", "config", "status", *known, *(f"valid_{name}" for name in scores)}
    if (
        not {"loss", summary.metric} <= set(scores)
        or any(set(other) != set(scores) for other in others)
        or not columns <= set(trials.columns)
        or len(trials) != summary.num_trials
        or not 0 <= summary.best.trial < summary.num_trials
        or recorded(model.config.architecture) != request.architecture
        or not set(request.space or ()) <= known
    ):
        raise UserError(f"the files of {str(folder)!r} do not go together: run the sweep again")
    return Run(request, summary, trials, curves, lineage, model)


def best_in(folder: Path) -> Path:
    """Where the winner of a run is.

    Raises:
        UserError: there is no run, it is not whole, or not finished.
    """
    if not request_in(folder)[1]:
        raise unfinished(folder)
    return folder / "best"


def how_to_go_on(folder: Path) -> str:
    """What to type to go on with a run; a command cannot hand over what no file holds."""
    request = request_in(folder)[0]
    if request.source is None or request.architecture is not None or request.sampler.endswith("()"):
        return f"sweep with the same arguments, run_dir={str(folder)!r} and resume=True"
    return f"jaxbn resume {shlex.quote(str(folder))}"


def unfinished(folder: Path) -> UserError:
    """What to say of a run that has no results yet."""
    how = how_to_go_on(folder)
    return UserError(f"the run in {str(folder)!r} is not finished: go on with it by {how}")


def _read_record(folder: Path) -> dict[str, Any]:
    with contextlib.suppress(OSError):  # Which reading tells too, in words.
        if not (folder / "run.json").is_file():
            what = "holds no run" if folder.exists() else "is not there"
            raise UserError(f"{str(folder)!r} {what}: give a folder that jaxbn sweep wrote")
    return read_json(folder / "run.json", format=FORMAT, version=VERSION)


Part = TypeVar("Part", Request, Summary)


def _whole(folder: Path, read: Callable[[], Part]) -> Part:
    """A part of the record, if it is what its declaration says."""
    try:
        part = read()
        wrong = misfit(part)
        if wrong is not None:
            raise ValueError(f"{wrong} is {getattr(part, wrong)!r:.80}")
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise UserError(f"{folder / 'run.json'} is broken ({error}): run the sweep again") from error
    return part
