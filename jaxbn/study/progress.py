"""How far training is, while it runs: live on a terminal, in one output of a notebook, elsewhere in a few lines."""

import contextlib
import dataclasses
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from jaxbn import markup

if TYPE_CHECKING:
    from jaxbn.engine.programs import Program
    from jaxbn.engine.run import Event, TileEpoch
    from jaxbn.nn.metrics import Metric
    from jaxbn.study.loop import Ranked, Resumed
    from jaxbn.study.setup import Setup

PLAIN_EVERY = 10.0
"""Seconds between lines where there is no terminal."""
CELL_EVERY = 0.5
"""Seconds between replacements of a notebook's output."""
ESTIMATE_FROM = 0.02
"""Share of the work before which the time left is anybody's guess."""


@dataclasses.dataclass(eq=False)
class Progress:
    """What has happened so far to the trials of a sweep; those of its linear baseline are not counted.

    Attributes:
        num_trials: of the sweep.
        num_epochs: of a trial that nobody stops.
        segments: from ranking to ranking, how many epochs are planned, of all trials together.
        num_programs: to be compiled.
        metric: what ranks.
        rank_by: its place among the scores.
        compiled: programs that are ready, on one device at least.
        epochs: trained, of all trials together.
        ranked: segments that have ended.
        done: planned epochs that have been trained or are not needed any more.
        before: trials that had ended when the last one did.
        ended: trials that have ended since.
        diverged: trials that have.
        best: the highest-ranked score of those that have ended and have not diverged.
        since: when training began, by `time.perf_counter`.
        found: planned epochs that had been trained before, by whoever the sweep was resumed from.
    """

    num_trials: int
    num_epochs: int
    segments: tuple[int, ...]
    num_programs: int
    metric: "Metric"
    rank_by: int
    compiled: "set[Program]" = dataclasses.field(default_factory=set)
    epochs: int = 0
    ranked: int = 0
    done: int = 0
    before: int = 0
    ended: set[int] = dataclasses.field(default_factory=set)
    diverged: set[int] = dataclasses.field(default_factory=set)
    best: float | None = None
    since: float | None = None
    found: int = 0

    @classmethod
    def of(cls, setup: "Setup") -> "Progress":
        """What is to be shown of a sweep."""
        repeats, segments = setup.settings.repeats, []
        for leg in setup.legs:
            before = leg.start
            for rung in setup.planned(leg):
                segments.append(sum(rung.survivors) * repeats * (rung.epochs - before))
                before = rung.epochs
        return cls(
            num_trials=sum(setup.rounds) * repeats,
            num_epochs=setup.plan.num_epochs,
            segments=tuple(segments),
            num_programs=len(setup.plan.programs),
            metric=setup.metric,
            rank_by=setup.rank_by,
        )

    def record(self, event: "Event | Ranked | Resumed") -> None:
        """Take in an event of the engine, or a ranking."""
        from jaxbn.engine.run import Compiled
        from jaxbn.study.loop import Ranked, Resumed

        if isinstance(event, Compiled):
            self.compiled.add(event.program)
            self.since = self.since or time.perf_counter()
        elif isinstance(event, Ranked):
            self.ranked += 1
            self.done = sum(self.segments[: self.ranked])
            self.before += event.trials - event.kept
            self.ended.clear()
            self.best = event.best
        elif isinstance(event, Resumed):
            self.ranked, self.epochs, self.before = event.ranked, event.epochs, event.ended
            self.found = self.done = max(sum(self.segments[: event.ranked]), event.epochs)
        else:
            self._record_epoch(event)

    def _record_epoch(self, event: "TileEpoch") -> None:
        trials = [trial for trial in event.trials if trial < self.num_trials]
        if not trials:
            return
        broken = {trial for trial, diverged in zip(event.trials, event.diverged, strict=True) if diverged}
        self.epochs += len(trials)
        self.done += len(trials)
        self.diverged = (self.diverged - set(trials)) | broken
        if event.epoch == self.num_epochs or len(broken) == len(trials):
            self.ended |= set(trials)
            scores = event.scores[~event.diverged, self.rank_by].tolist()
            if scores:
                known = scores if self.best is None else [*scores, self.best]
                self.best = max(known) if self.metric.greater_is_better else min(known)

    @property
    def trials(self) -> int:
        """That have ended."""
        return self.before + len(self.ended)

    @property
    def compiling(self) -> bool:
        """Whether programs are still to come."""
        return len(self.compiled) < self.num_programs

    @property
    def share(self) -> float:
        """Of the work that is done, from 0 to 1."""
        return min(self.done / sum(self.segments), 1.0)

    def left(self) -> str:
        """The time left, in words; empty while it cannot be told."""
        all_of_it, done = sum(self.segments) - self.found, self.done - self.found
        # While most programs compile, what trains says little of what will.
        compiling = self.compiling and 2 * done < all_of_it
        if self.since is None or compiling or not ESTIMATE_FROM * all_of_it <= done < all_of_it:
            return ""
        return f"{clock((time.perf_counter() - self.since) * (all_of_it / done - 1))} left"

    def line(self) -> str:
        """Everything in one line."""
        best = "" if self.best is None else f"best {self.metric.name} {self.best:.4f}"
        return " · ".join(
            part
            for part in (
                f"{self.trials:,} of {self.num_trials:,} trials",
                f"{self.epochs:,} epoch{'s' * (self.epochs != 1)}",
                best,
                f"{len(self.diverged)} diverged" if self.diverged else "",
                f"{len(self.compiled)} of {self.num_programs} programs",
            )
            if part
        )

    def __rich__(self) -> RenderableType:
        """A bar, and below it everything in one line."""
        bar = Table.grid(padding=(0, 1), expand=True)
        bar.add_column(ratio=1)
        bar.add_column(justify="right", width=4)
        bar.add_column(justify="right", min_width=12)
        left = self.left() or ("compiling" if self.compiling else "")
        bar.add_row(ProgressBar(total=1, completed=self.share), f"{self.share:.0%}", Text(left))
        return Group(bar, Text(self.line(), style="dim", no_wrap=True, overflow="ellipsis"))


class Cell:
    """An output of a notebook's cell: replaced now and then, it stays as small as its last content.

    Widgets would need a package of their own, and leave nothing in a notebook that is read later.

    Args:
        doing: what is shown before there is any progress.
    """

    def __init__(self, doing: str) -> None:
        from IPython.display import display  # type: ignore[import-not-found]

        self.progress: Progress | None = None
        self.shown = time.perf_counter()
        content = {"text/plain": doing, "text/html": markup.line(doing)}
        self.handle: Any = display(content, raw=True, display_id=True)

    def update(self, progress: Progress) -> None:
        """Show this, unless some of it was shown a moment ago."""
        first, self.progress = self.progress is None, progress
        if first or time.perf_counter() - self.shown > CELL_EVERY:
            self.shown = time.perf_counter()
            left = progress.left() or ("compiling" if progress.compiling else "")
            told = " · ".join(part for part in (f"{progress.share:.0%}", left) if part)
            bar = f'<progress max="1" value="{progress.share:.3f}"></progress> {told}'
            self._show(progress.line(), f"<div>{bar}</div>{markup.line(progress.line())}")

    def close(self) -> None:
        """Leave a line of what has happened; nothing where nothing has."""
        line = "" if self.progress is None else self.progress.line()
        self._show(line, markup.line(line) if line else "")

    def _show(self, text: str, html: str) -> None:
        self.handle.update({"text/plain": text, "text/html": html}, raw=True)


@dataclasses.dataclass(eq=False)
class Display:
    """Where progress is shown.

    Attributes:
        console: of stderr.
        live: the moving part of a terminal; None where there is none.
        cell: the output of a notebook; None where there is none.
        progress: None before training.
        noted: what has been printed already of what was noticed about the data.
        spoke: when the last plain line was printed, by `time.perf_counter`.
        lock: events come from several threads.
    """

    console: Console
    live: Live | None
    cell: Cell | None = None
    progress: Progress | None = None
    noted: Sequence[str] = ()
    spoke: float = dataclasses.field(default_factory=time.perf_counter)
    lock: threading.Lock = dataclasses.field(default_factory=threading.Lock)

    def follow(self, progress: Progress) -> None:
        """Show this from now on."""
        self.progress = progress
        if self.live is not None:
            self.live.update(progress)
        elif self.cell is not None:
            self.cell.update(progress)

    def record(self, event: "Event | Ranked | Resumed") -> None:
        """Take in an event, from whatever thread."""
        if self.progress is None:
            return
        with self.lock:
            self.progress.record(event)
            if self.cell is not None:
                self.cell.update(self.progress)
            elif self.live is None and time.perf_counter() - self.spoke > PLAIN_EVERY:
                self.spoke = time.perf_counter()
                left = self.progress.left()
                print(self.progress.line() + (f" · {left}" if left else ""), file=self.console.file, flush=True)


@contextlib.contextmanager
def display(doing: str) -> Iterator[Display]:
    """A place to show progress, which leaves nothing behind on a terminal, and one line in a notebook.

    Args:
        doing: what is shown before there is any progress.
    """
    console = Console(stderr=True, highlight=False)
    if _in_kernel():
        with contextlib.closing(Cell(doing)) as cell:
            yield Display(console, None, cell)
    elif not console.is_terminal or console.is_dumb_terminal:
        yield Display(console, None)
    else:
        with Live(Text(doing, style="dim"), console=console, refresh_per_second=8, transient=True) as live:
            yield Display(console, live)


def _in_kernel() -> bool:
    """Whether a notebook runs this; IPython on a terminal is a terminal."""
    ipython = sys.modules.get("IPython")
    shell = None if ipython is None else ipython.get_ipython()
    return getattr(shell, "kernel", None) is not None


def clock(seconds: float) -> str:
    """Hours, minutes and seconds.

    Example:
        >>> clock(125.3), clock(3725)
        ('2:05', '1:02:05')
    """
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
