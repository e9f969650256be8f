"""Opening a source by what it is: a built-in name, a file of some kind, a folder, a data frame."""

import contextlib
import io
import os
import sys
import threading
import tokenize
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from jaxbn.data.builtin import BUILTIN, read_builtin
from jaxbn.data.content import check_growth, read_bytes
from jaxbn.data.delimited import read_delimited
from jaxbn.data.idx import read_idx_folder
from jaxbn.data.sheet import Sheet, is_frame, sheet_of_array, sheet_of_frame
from jaxbn.errors import UserError, unknown

if TYPE_CHECKING:
    import polars as pl

# What numpy, zipfile and zlib raise for an archive that is no archive, cut off, or encrypted.
_NPZ_ERRORS = (
    *(ValueError, TypeError, KeyError, OSError, EOFError, MemoryError, RuntimeError),
    *(zipfile.BadZipFile, zlib.error, tokenize.TokenError),
)

_STDERR = threading.Lock()
"""Held while the process's stderr leads nowhere: who came second would keep that as what it was."""


def open_source(source: Any, *, header: bool | None = None, labels: bool = False) -> Sheet:
    """Opens a built-in data set, a file, a folder of IDX files, or a data frame.

    Args:
        source: a built-in name, a path, or a frame of any kind that narwhals knows.
        header: whether the first row of a text file holds names; None to find out.
        labels: whether an archive of arrays must hold y beside x.

    Returns:
        The sheet.

    Raises:
        UserError: there is no such source, or it is broken.
    """
    if is_frame(source):
        return sheet_of_frame(source)
    if not isinstance(source, str | Path):
        raise UserError(
            f"data of type {type(source).__name__} cannot be read: give a path, arrays (x, y) or a data frame"
        )
    if source in BUILTIN:
        return read_builtin(str(source))
    path = path_of(source)
    if path.is_dir():
        return read_idx_folder(path)
    if str(source) in BUILTIN and not path.exists():
        raise UserError(f"there is no file {str(path)!r}: write the name of the built-in data set as a string")
    if not path.exists() and len(path.parts) == 1 and not path.suffix:
        raise unknown("data set or file", source, BUILTIN)
    return _read_file(path, header, labels)


def path_of(source: str | Path) -> Path:
    """A path, with the folder of a user in the place of ~.

    Raises:
        UserError: there is no such user.
    """
    try:
        return Path(source).expanduser()
    except RuntimeError:
        raise UserError(f"the home folder in {str(source)!r} is not known: write the path in full") from None


def _read_file(path: Path, header: bool | None, labels: bool) -> Sheet:
    data = read_bytes(path)
    suffixes = [suffix.lower() for suffix in path.suffixes]
    kind = next((suffix for suffix in reversed(suffixes) if suffix != ".gz"), "")
    if data.startswith(b"PAR1") or kind in (".parquet", ".pq"):
        return sheet_of_frame(read_parquet(data, str(path)))
    if kind == ".npz":
        return _read_npz(data, str(path), labels)
    if data.startswith(b"\0\0"):
        raise UserError(f"{str(path)!r} is no table of text: give the folder that holds the IDX files, not one of them")
    return read_delimited(data, str(path), header=header, separator="\t" if kind in (".tsv", ".tab") else None)


def read_parquet(data: bytes, name: str) -> "pl.DataFrame":
    """A table from the content of a file.

    Args:
        data: the content.
        name: what to call the file in errors.

    Raises:
        UserError: it is broken.
    """
    import polars as pl

    try:
        with _STDERR, _without_panics():
            return pl.read_parquet(io.BytesIO(data))
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError, ValueError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise UserError(f"{name} is broken Parquet ({reason}): write or fetch it again") from None


@contextlib.contextmanager
def _without_panics() -> Iterator[None]:
    """Keep what polars prints about a broken file, a page of Rust's stack, from the process's stderr."""
    if sys.__stderr__ is None:  # It was closed when Python started, and 2 is somebody else's file now.
        yield
        return
    kept = os.dup(2)
    with open(os.devnull, "wb") as nowhere:
        os.dup2(nowhere.fileno(), 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)


def _read_npz(data: bytes, name: str, labels: bool) -> Sheet:
    try:
        if zipfile.is_zipfile(io.BytesIO(data)):
            with zipfile.ZipFile(io.BytesIO(data)) as members:
                check_growth(sum(member.file_size for member in members.infolist()), len(data), name)
        with np.load(io.BytesIO(data), allow_pickle=False) as archive:
            found = archive.files if isinstance(archive, np.lib.npyio.NpzFile) else []
            arrays = {key: archive[key] for key in ("x", "y") if key in found}
    except _NPZ_ERRORS as error:
        raise UserError(f"{name} cannot be read as NPZ ({error}): save plain arrays x and y with numpy.savez") from None
    if not arrays.keys() >= ({"x", "y"} if labels else {"x"}):
        raise UserError(f"{name} holds {', '.join(found) or 'no named arrays'}: save arrays x and y with numpy.savez")
    return sheet_of_array(arrays["x"], arrays.get("y"))
