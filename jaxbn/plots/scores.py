"""The validation scores of a table of trials or of curves, and the part of them that a picture should show."""

import dataclasses
from typing import TYPE_CHECKING

import numpy as np

from jaxbn.errors import UserError, unknown
from jaxbn.plots.style import SCORES, need

if TYPE_CHECKING:
    import polars as pl

REACH = 4.0
"""How many times as far from the best as the median a score may lie and still be drawn where it is."""


@dataclasses.dataclass(frozen=True, eq=False)
class Scores:
    """One validation score per row.

    Attributes:
        values: float64 [n]; NaN where training failed.
        label: what to write on an axis.
        greater_is_better: the direction.
    """

    values: np.ndarray
    label: str
    greater_is_better: bool

    @classmethod
    def of(cls, frame: "pl.DataFrame", metric: str, greater_is_better: bool, *, kind: str = "trials") -> "Scores":
        """The scores of a table.

        Args:
            frame: trials or curves, with a column `valid_<metric>`.
            metric: its name, such as "accuracy".
            greater_is_better: its direction.
            kind: what the rows are.

        Raises:
            UserError: there is no such metric, no row, or no row with a score.
        """
        need(frame, kind=kind)
        column = f"valid_{metric}"
        if column not in frame.columns:
            known = [name.removeprefix("valid_") for name in frame.columns if name.startswith("valid_")]
            raise unknown("metric", metric, known)
        values = np.array(frame[column].cast(float).to_numpy(), dtype=float)
        failed = ~np.isfinite(values)
        if "status" in frame.columns:
            failed |= (frame["status"] == "diverged").to_numpy()
        if failed.all():
            raise UserError(
                f"none of the {len(values)} {kind} has a validation {metric}: all diverged, so search smaller "
                "learning rates"
            )
        return cls(np.where(failed, np.nan, values), f"validation {metric}", greater_is_better)

    @property
    def failed(self) -> np.ndarray:
        """Rows without a score, bool [n]."""
        return np.isnan(self.values)

    @property
    def order(self) -> np.ndarray:
        """Rows with a score, the worst first: who is drawn last lies on top."""
        rows = np.flatnonzero(~self.failed)
        signed = self.values[rows] if self.greater_is_better else -self.values[rows]
        return rows[np.argsort(signed, kind="stable")]

    @property
    def window(self) -> tuple[float, float]:
        """The scores to be told apart, (low, high): a few hopeless trials must not squeeze all others into a line.

        From the best to the worst, but no further from the best than `REACH` times the median. What lies beyond is
        drawn at the edge.
        """
        finite = self.values[~self.failed]
        low, high = finite.min(), finite.max()
        best, worst = (high, low) if self.greater_is_better else (low, high)
        reach = REACH * (np.median(finite) - best)
        if reach and abs(worst - best) > abs(reach):
            worst = best + reach
        if worst == best:
            half = max(abs(best) * 0.05, 1e-3)
            return float(best - half), float(best + half)
        return (float(min(best, worst)), float(max(best, worst)))

    @property
    def limits(self) -> tuple[float, float]:
        """The window with a margin: the limits of an axis."""
        low, high = self.window
        margin = 0.05 * (high - low)
        return low - margin, high + margin

    @property
    def clipped(self) -> np.ndarray:
        """The scores, float64 [n], those beyond the window moved to its edge."""
        return np.clip(self.values, *self.window)

    @property
    def beyond(self) -> np.ndarray:
        """Rows whose score lies beyond the window, bool [n]."""
        return ~self.failed & (self.values != self.clipped)

    @property
    def extend(self) -> str:
        """Which end of a colour bar points at scores beyond it, as matplotlib calls it."""
        if not self.beyond.any():
            return "neither"
        return "min" if self.greater_is_better else "max"

    @property
    def colors(self) -> str:
        """The colour map by which the better is the brighter."""
        return SCORES if self.greater_is_better else f"{SCORES}_r"


def best_row(trials: "pl.DataFrame", scores: Scores, best: int | None = None) -> int:
    """The row of the trial to highlight.

    Args:
        trials: a row per trial.
        scores: theirs.
        best: its number; None is the highest score: ties by validation loss, then by number, as on the leaderboard.

    Returns:
        The number of the row.

    Raises:
        UserError: there is no trial of that number.
    """
    if best is not None:
        rows = np.flatnonzero((trials["trial"] == best).to_numpy())
        if not len(rows):
            raise UserError(f"there is no trial {best} among those to draw: choose one of them, or leave it out")
        return int(rows[0])
    tied = np.flatnonzero(scores.values == scores.values[scores.order[-1]])
    if "valid_loss" not in trials.columns:
        return int(tied[0])
    loss = np.nan_to_num(trials["valid_loss"].cast(float).to_numpy(), nan=np.inf)
    return int(tied[np.argmin(loss[tied])])
