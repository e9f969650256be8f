"""A line of training at a glance: where it is, its last epochs as a table, its score as a sparkline."""

import dataclasses
import math
from collections.abc import Sequence

from jaxbn import markup
from jaxbn.study.line import Line
from jaxbn.study.logbook import unlike_default

BARS = "▁▂▃▄▅▆▇█"
LAST = 6
"""Epochs in the table."""
WIDTH = 48
"""Characters of the longest sparkline."""


@dataclasses.dataclass(frozen=True)
class Glance:
    """What is shown of a panda.

    Attributes:
        title: its branch, its epoch, its hyperparameters.
        rows: a header and the last epochs; the header alone before the first.
        spark: of the score, over all epochs.
        warning: what is to be done where it has diverged; empty otherwise.
    """

    title: str
    rows: tuple[tuple[str, ...], ...]
    spark: str
    warning: str

    def text(self) -> str:
        """For a terminal."""
        widths = [max(len(row[column]) for row in self.rows) for column in range(len(self.rows[0]))]
        table = ["  ".join(cell.rjust(w) for cell, w in zip(row, widths, strict=True)) for row in self.rows]
        shown = table if len(self.rows) > 1 else []
        return "\n".join(part for part in (self.title, *shown, self.spark, self.warning) if part)

    def html(self) -> str:
        """For a notebook."""
        after = [markup.line(part) for part in (self.spark, self.warning) if part]
        return "".join([markup.line(self.title), markup.table(self.rows), *after])


def glance(branch: str, branches: Sequence[str], line: Line, metrics: Sequence[str], rank_by: int) -> Glance:
    """A line of training at a glance.

    Args:
        branch: its name.
        branches: the names of all.
        line: what to show.
        metrics: names of the scores.
        rank_by: the place of the one that is drawn.
    """
    config = {"learning_rate": line.config.learning_rate, **unlike_default(line.config)}
    others = f" (branches: {', '.join(branches)})" if len(branches) > 1 else ""
    observed = [point.observed for point in line.points]
    rows = [("epoch", "learning_rate", "train_loss", *(f"valid_{name}" for name in metrics))]
    rows += [
        (str(one.epoch), number(one.learning_rate), number(one.train_loss), *map(number, one.scores))
        for one in observed[-LAST:]
    ]
    scores = [one.scores[rank_by] for one in observed]
    finite = [score for score in scores if score is not None]
    ends = f"{number(min(finite))} to {number(max(finite))}" if finite else ""
    return Glance(
        f"{branch}, epoch {len(observed)}{others}: {', '.join(f'{k} = {v}' for k, v in config.items())}",
        tuple(rows),
        f"valid_{metrics[rank_by]} {sparkline(scores)} {ends}" if len(finite) > 1 else "",
        f"diverged in epoch {len(observed)}: rewind, and try a smaller learning rate" if line.diverged else "",
    )


def number(value: float | None) -> str:
    """A number, rounded for reading."""
    return "" if value is None else f"{value:.4g}"


def sparkline(values: Sequence[float | None]) -> str:
    """Numbers as bars, the lowest to the highest; a blank where there is none.

    Example:
        >>> sparkline([0.0, 0.5, None, 1.0])
        '▁▅ █'
    """
    step = max(math.ceil(len(values) / WIDTH), 1)
    # Counted from the end, so that the latest is always among those shown.
    shown = values[::-1][::step][::-1]
    finite = [value for value in shown if value is not None]
    low, high = min(finite, default=0.0), max(finite, default=0.0)
    span = (high - low) or 1.0
    return "".join(" " if v is None else BARS[round((v - low) / span * (len(BARS) - 1) + 1e-9)] for v in shown)
