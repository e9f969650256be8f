"""The content of a file, whatever may have happened to the file."""

import gzip
import zlib
from pathlib import Path

from jaxbn.errors import UserError


def read_bytes(path: Path) -> bytes:
    """The bytes of a file, decompressed if it is gzip, which is told by its first bytes and not by its name.

    Args:
        path: the file.

    Returns:
        Its content, at least one byte.

    Raises:
        UserError: there is no such file, it cannot be read, it is empty, or its compression is broken.
    """
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise UserError(f"there is no file {str(path)!r}: check the path") from None
    except OSError as error:
        raise UserError(f"{str(path)!r} cannot be read ({error.strerror}): check the file") from None
    if data.startswith(b"\x1f\x8b"):
        try:
            data = gzip.decompress(data)
        except (OSError, EOFError, zlib.error) as error:
            raise UserError(f"{str(path)!r} is broken gzip ({error}): fetch it again") from None
    if not data:
        raise UserError(f"{str(path)!r} is empty: give a file with a row per example")
    return data
