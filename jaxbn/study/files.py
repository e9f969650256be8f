"""Files that are there whole or not at all."""

import contextlib
import errno
import json
import os
import shutil
import tempfile
import threading
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

from jaxbn.errors import UserError


def write(path: Path, content: bytes) -> None:
    """Write a file so that a reader, or a crash, never meets half of it.

    A temporary file beside it is written, flushed to the disk and renamed over it; then the folder is flushed, because
    a rename is lost with the folder's own entry.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with open(temporary, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
    _flush(path.parent)


def _flush(folder: Path) -> None:
    """Make sure of the names in a folder."""
    number = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(number)
    finally:
        os.close(number)


def check_place(folder: Path) -> None:
    """Refuse a place where a folder cannot be made, before any work is done for it. Tries nothing out.

    Raises:
        UserError: the nearest folder above it that exists cannot be written to.
    """
    above = folder.absolute().parent
    while not above.exists():
        above = above.parent
    wrong = None if above.is_dir() else errno.ENOTDIR
    if wrong is None and not os.access(above, os.W_OK | os.X_OK):
        wrong = errno.EACCES
    if wrong is not None:
        raise UserError(f"cannot write to {str(above)!r}: {os.strerror(wrong)}; choose another place")


def check_holds(folder: Path, names: Collection[str]) -> None:
    """Refuse to replace a folder in which somebody keeps something else.

    Args:
        folder: that is to be replaced.
        names: what may be in it.

    Raises:
        UserError: something else is.
    """
    others = sorted(path.name for path in folder.iterdir() if path.name not in names)
    if others:
        raise UserError(
            f"{str(folder)!r} holds {others[0]!r} too, so it is not replaced: choose another name, or move that away"
        )


@contextlib.contextmanager
def new_folder(folder: Path) -> Iterator[Path]:
    """A folder to fill, which appears under its name when it is whole, in the place of one that is there.

    Args:
        folder: its name.

    Yields:
        Where to write what is to be in it.

    Raises:
        OSError: it cannot be made or renamed.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    partial = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
    try:
        partial.chmod(0o777 & ~_umask())
        yield partial
        if folder.exists():
            # The old one makes way whole, and goes when the new one stands.
            old = folder.rename(partial.with_name(f"{partial.name}.old"))
            partial.rename(folder)
            _flush(folder.parent)
            shutil.rmtree(old)
        else:
            partial.rename(folder)
            _flush(folder.parent)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _umask() -> int:
    """What the user takes away from new files; asking changes it for a moment."""
    with _ASKING:
        mask = os.umask(0o077)
        os.umask(mask)
    return mask


_ASKING = threading.Lock()


def write_json(path: Path, record: Mapping[str, Any]) -> None:
    """Write a record as strict JSON: no NaN, no infinity."""
    write(path, (json.dumps(record, indent=1, allow_nan=False) + "\n").encode())


def read_json(path: Path, *, format: str, version: int) -> dict[str, Any]:
    """Read a record that names its format and version.

    Raises:
        UserError: there is no such file, or it is not what it should be.
    """
    try:
        record = json.loads(path.read_bytes())
    except OSError as error:
        raise UserError(
            f"cannot read {str(path)!r}: {error.strerror or error}; give a folder that jaxbn wrote"
        ) from error
    except (UnicodeDecodeError, json.JSONDecodeError, RecursionError) as error:
        raise UserError(f"{path} is broken: it is not JSON ({error}); write it again") from error
    if not isinstance(record, dict) or record.get("format") != format:
        raise UserError(f"{path} is not a {format} file: give a folder that jaxbn wrote")
    if record.get("version") != version:
        raise UserError(
            f"{path} is of version {record.get('version')!r} and this jaxbn reads version {version}: "
            "use the jaxbn that wrote it, or write it again"
        )
    return record
