"""One writer at a time."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from jaxbn.errors import UserError

try:
    import fcntl
except ImportError:  # Windows has no such locks, and files that are open cannot be replaced there anyway.
    fcntl = None


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """Be the only one who writes in a folder. The lock goes with the process that holds it, however that ends.

    Args:
        path: of a file in that folder, which is there while somebody writes.

    Raises:
        UserError: somebody else writes there.
    """
    with contextlib.ExitStack() as stack:
        while True:
            file = stack.enter_context(open(path, "a+b"))
            if fcntl is None:
                break
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                file.seek(0)
                who = file.read(20).decode(errors="replace") or "another process"
                raise UserError(
                    f"{str(path.parent)!r} is being written by {who}: wait until it has ended, or stop it"
                ) from error
            # Whoever had it may have removed it between the two calls: without a name it would keep nobody out.
            if path.exists() and os.path.samestat(os.fstat(file.fileno()), path.stat()):
                break
        file.truncate(0)
        file.write(f"process {os.getpid()}".encode())
        file.flush()
        try:
            yield
        finally:
            path.unlink(missing_ok=True)
