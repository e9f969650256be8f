"""Ctrl-C and the signal to terminate, seen between two epochs instead of in the middle of anything."""

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator
from types import FrameType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from jaxbn.study.results import Results


class Interrupted(KeyboardInterrupt):
    """A sweep was interrupted and has left everything in order.

    Attributes:
        signal: which signal it was.
        partial: makes results of what had been trained until then; None where no configuration has a score.
    """

    def __init__(self, told: str, which: signal.Signals, partial: "Callable[[], Results | None]") -> None:
        super().__init__(told)
        self.signal, self.partial = which, partial


class Interrupts:
    """The first signal that came, which waits to be dealt with."""

    came: signal.Signals | None = None

    def dealt_with(self) -> signal.Signals:
        """The signal; nobody need see to it any more."""
        assert self.came is not None
        came, self.came = self.came, None
        return came


@contextlib.contextmanager
def interrupts() -> Iterator[Interrupts]:
    """Note the first interrupt instead of raising it. A second one is raised at once.

    What nobody has dealt with in the end is sent again, so that no interrupt is lost. Only on the main thread, which
    alone gets signals; a handler that somebody else has set is left alone.
    """
    noted = Interrupts()
    old: dict[signal.Signals, object] = {}
    seen = 0

    def note(number: int, frame: FrameType | None) -> None:
        nonlocal seen
        del frame
        seen += 1
        if seen > 1:
            raise KeyboardInterrupt
        noted.came = signal.Signals(number)

    if threading.current_thread() is threading.main_thread():
        usual = {signal.SIGINT: signal.default_int_handler, signal.SIGTERM: signal.SIG_DFL}
        for which, handler in usual.items():
            if signal.getsignal(which) == handler:
                old[which] = signal.signal(which, note)
    try:
        yield noted
    finally:
        for which, handler in old.items():
            signal.signal(which, handler)  # type: ignore[arg-type]
    if noted.came is not None:
        signal.raise_signal(noted.came)
