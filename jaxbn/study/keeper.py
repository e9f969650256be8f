"""Who keeps the checkpoints of a sweep: when one is written, and which is gone on from."""

import shutil
import time
import warnings
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from pathlib import Path
from types import TracebackType

from jax.errors import JaxRuntimeError

from jaxbn.engine.tiles import TileResult
from jaxbn.errors import UserError
from jaxbn.study import checkpoint
from jaxbn.study.clock import Clock
from jaxbn.study.run_dir import how_to_go_on
from jaxbn.study.setup import Setup
from jaxbn.study.state import SweepState

EVERY = 30.0
"""Seconds between two checkpoints."""
SHARE = 0.03
"""Of the time, at the most, in which checkpoints are written."""
FIRST = 0.1
"""Seconds that the first one is thought to take."""
GENERATIONS = 2
BROKEN = (UserError, OSError, ValueError, LookupError, TypeError, AttributeError, ArithmeticError, RecursionError)
"""What reading a checkpoint raises that is not what was written."""


class Keeper:
    """Writes checkpoints on a thread of its own, while training goes on.

    One that cannot be written is warned of once, and training goes on without: the next may succeed.

    Args:
        folder: where they are.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.thread = ThreadPoolExecutor(1, thread_name_prefix="checkpoint")
        self.writing: Future[None] | None = None
        self.began, self.took, self.failed = time.perf_counter(), FIRST, False

    def __enter__(self) -> "Keeper":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.thread.shutdown(wait=True)
        if isinstance(value, Exception):
            # Whatever went wrong, its traceback ends with what is left.
            how = how_to_go_on(self.folder.parent)
            value.add_note(f"The sweep can be gone on with from its last checkpoint, by {how}")

    def consider(self, state: SweepState, begun: dict[int, TileResult], *, decided: bool) -> None:
        """Write a checkpoint if it is time for one.

        After a decision it is always time, unless writing would then take too large a share of the time.
        """
        since = time.perf_counter() - self.began
        if since < self.took / SHARE or not (decided or since >= EVERY):
            return
        if self.writing is None or self.writing.done():
            self._start(state, begun)

    def save(self, state: SweepState, begun: dict[int, TileResult]) -> bool:
        """Write a checkpoint now, and wait for it.

        Returns:
            Whether it is there.
        """
        if self.writing is not None:
            wait([self.writing])
        self.failed = False
        self._start(state, begun).result()
        return not self.failed

    def _start(self, state: SweepState, begun: dict[int, TileResult]) -> "Future[None]":
        self.began = time.perf_counter()
        self.writing = self.thread.submit(self._write, state.copy(dict(begun)))
        return self.writing

    def _write(self, state: SweepState) -> None:
        began = time.perf_counter()
        try:
            keep(self.folder, state)
        except (OSError, MemoryError, JaxRuntimeError) as error:
            if not self.failed:
                why = getattr(error, "strerror", None) or str(error) or type(error).__name__
                warnings.warn(f"no checkpoint could be written to {str(self.folder)!r}: {why}", stacklevel=2)
            self.failed = True
        finally:
            self.took = time.perf_counter() - began


def keep(folder: Path, state: SweepState) -> None:
    """Write a checkpoint beside the others, and let go of the oldest.

    Raises:
        OSError: it cannot be written.
    """
    folder.mkdir(exist_ok=True)
    newest = max(map(int, (path.name for path in generations(folder))), default=0)
    checkpoint.save(folder / f"{newest + 1:06}", state)
    for old in generations(folder)[GENERATIONS:]:
        shutil.rmtree(old)


def generations(folder: Path) -> list[Path]:
    """The checkpoints in a folder, the newest first."""
    return sorted((path for path in folder.glob("[0-9]*") if path.name.isdigit()), key=lambda p: -int(p.name))


def newest(folder: Path, setup: Setup, clock: Clock, tell: Callable[[str], None]) -> SweepState:
    """The state of the newest checkpoint that is whole; that of a fresh sweep if there is none.

    Args:
        folder: where they are; what a killed process left half-written there is removed, and what is broken where an
            older one is whole: it would be taken for one of the newest.
        setup: of the sweep.
        clock: of the process that goes on with it.
        tell: is told of one that is not whole.
    """
    for path in folder.glob(".*"):
        shutil.rmtree(path, ignore_errors=True)
    broken: dict[Path, Exception] = {}
    state = None
    for path in generations(folder):
        try:
            state = checkpoint.load(path, setup, clock)
            break
        except BROKEN as error:
            broken[path] = error
    anew = state is None
    instead = "the sweep begins anew" if anew else "an older one is gone on from"
    for path, error in broken.items():
        tell(f"the checkpoint {str(path)!r} is broken ({error}), so {instead}")
        if not anew:
            shutil.rmtree(path, ignore_errors=True)
    return SweepState.fresh(setup, clock) if state is None else state
