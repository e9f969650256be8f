"""Where time went."""

import dataclasses
import time
from collections.abc import Sequence

from jaxbn.study.summary import Seconds

NOTHING = Seconds(0.0, 0.0, 0.0, 0.0)


@dataclasses.dataclass(frozen=True)
class Clock:
    """When something was compiling, and when something was training: pairs of start and end.

    Attributes:
        began: when the sweep began or was resumed, by `time.perf_counter`, less what had gone before in this process.
        imported: seconds that had gone then.
        before: what it took up to the checkpoint that it was resumed from.
        compiling: in this process.
        training: in this process.
    """

    began: float
    imported: float = 0.0
    before: Seconds = NOTHING
    compiling: list[tuple[float, float]] = dataclasses.field(default_factory=list)
    training: list[tuple[float, float]] = dataclasses.field(default_factory=list)

    def seconds(self) -> Seconds:
        """Up to now: each moment counted once, however many were at it."""
        return Seconds(
            self.before.import_ + self.imported,
            self.before.compile + covered(self.compiling),
            self.before.train + covered(self.training),
            self.before.total + time.perf_counter() - self.began,
        )


def covered(intervals: Sequence[tuple[float, float]]) -> float:
    """The length of the union of intervals.

    Example:
        >>> covered([(0.0, 2.0), (1.0, 3.0), (5.0, 6.0)])
        4.0
    """
    length, reached = 0.0, float("-inf")
    for start, end in sorted(intervals):
        length += max(end - max(start, reached), 0.0)
        reached = max(reached, end)
    return length
