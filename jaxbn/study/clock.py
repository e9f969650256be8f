"""Where time went."""

import dataclasses
from collections.abc import Sequence

from jaxbn.study.summary import Seconds


@dataclasses.dataclass(frozen=True)
class Clock:
    """When something was compiling, and when something was training: pairs of start and end."""

    compiling: list[tuple[float, float]] = dataclasses.field(default_factory=list)
    training: list[tuple[float, float]] = dataclasses.field(default_factory=list)

    def seconds(self, total: float, import_seconds: float) -> Seconds:
        """Each moment counted once, however many were at it."""
        return Seconds(import_seconds, covered(self.compiling), covered(self.training), import_seconds + total)


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
