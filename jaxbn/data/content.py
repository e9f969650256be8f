"""The content of a file, whatever may have happened to the file."""

import gzip
import io
import zlib
from pathlib import Path

from jaxbn.errors import UserError

EXPANDED, TIMES = 1 << 30, 100
"""What is compressed may grow to so many bytes, or so many times its own, whichever is more: real tables grow less, and
a few kilobytes made to fill the memory grow a thousandfold."""

CHUNK = 1 << 24


def read_bytes(path: Path) -> bytes:
    """The bytes of a file, decompressed if it is gzip, which is told by its first bytes and not by its name.

    Args:
        path: the file.

    Returns:
        Its content, at least one byte.

    Raises:
        UserError: there is no such file, it cannot be read, it is empty, its compression is broken, or it is far larger
            than it looks.
    """
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise UserError(f"there is no file {str(path)!r}: check the path") from None
    except OSError as error:
        raise UserError(f"{str(path)!r} cannot be read ({error.strerror}): check the file") from None
    if data.startswith(b"\x1f\x8b"):
        try:
            data = _expanded(data, path)
        except (OSError, EOFError, zlib.error) as error:
            raise UserError(f"{str(path)!r} is broken gzip ({error}): fetch it again") from None
    if not data:
        raise UserError(f"{str(path)!r} is empty: give a file with a row per example")
    return data


def check_growth(size: int, compressed: int, name: str) -> None:
    """Refuse what would fill the memory, before it does.

    Args:
        size: bytes when it is expanded, or at least so many.
        compressed: bytes as it is.
        name: what to call it.

    Raises:
        UserError: it grows beyond what a table does.
    """
    if size > max(EXPANDED, TIMES * compressed):
        raise UserError(
            f"{name} holds {compressed:,} bytes that expand to more than {max(EXPANDED, TIMES * compressed):,}: "
            "expand it yourself if you trust it, and give what comes of it"
        )


def _expanded(data: bytes, path: Path) -> bytes:
    parts, size = [], 0
    with gzip.GzipFile(fileobj=io.BytesIO(data)) as file:
        while part := file.read(CHUNK):
            parts.append(part)
            size += len(part)
            check_growth(size, len(data), repr(str(path)))
    return b"".join(parts)
