"""What is to be predicted: classes or numbers, and which of the two when nobody said."""

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from jaxbn.data.values import Numbers, finite, is_boolean, numbers, text
from jaxbn.errors import UserError, unknown

if TYPE_CHECKING:
    import polars as pl

Task = Literal["classification", "regression"]
Label = str | int | float | bool

TASKS: tuple[Task, ...] = ("classification", "regression")
"""The tasks there are."""

FEW = 20
"""Whole numbers with at most so many distinct values, each twice on average, are taken for classes."""


@dataclass(frozen=True, eq=False)
class Target:
    """A target that has been understood.

    Attributes:
        task: what it asks for.
        values: int32 class codes [N], -1 for missing; or float64 [N, K], NaN for missing.
        classes: what the codes mean, sorted; empty for regression.
        notes: what a person should know.
    """

    task: Task
    values: np.ndarray
    classes: tuple[Label, ...]
    notes: tuple[str, ...]

    @property
    def present(self) -> np.ndarray:
        """Which rows have a target: bool [N]."""
        absent = self.values < 0 if self.task == "classification" else np.isnan(self.values).any(axis=1)
        return np.asarray(~absent)


def most_classes(num_rows: int) -> int:
    """The most classes that a classifier is taken to mean: 50, or the square root of the number of rows.

    Nor are more than 20 classes meant that have fewer than two rows on average.

    Example:
        >>> most_classes(1_000_000), most_classes(1_000), most_classes(50)
        (1000, 50, 25)
    """
    return min(max(50, math.isqrt(num_rows)), max(FEW, num_rows // 2))


def read_target(
    values: "np.ndarray | pl.Series", name: str, task: Task | None, *, certain: Task | None = None
) -> Target:
    """Understands a target.

    Args:
        values: the column, [N]; or float64 [N, K] for several numbers to predict.
        name: what to call it.
        task: what it is for; None to guess, with a note.
        certain: what the source itself says, when nobody said otherwise: no guess, no note.

    Returns:
        The target.

    Raises:
        UserError: the task is unknown, no row has a target, there is one class or there are more than a
            classifier can mean, or numbers are asked for where there is text or infinity.
    """
    if task not in (None, *TASKS):
        raise unknown("task", task, TASKS)
    if isinstance(values, np.ndarray) and values.ndim == 2:
        return _several(values, name, task)
    found = numbers(values)
    whose = f"the target {name!r}"
    if not found.num_strays and np.isnan(found.values).all():
        raise UserError(f"no row has a value of {whose}: choose another column as the target")
    chosen = task or certain
    notes = []
    if chosen is None:
        chosen, why = _guess(values, found)
        other = " (name the other if it is not)" if found.mostly else ""
        notes.append(f"{whose} {why}, so the task is taken to be {chosen}{other}")
    if found.num_strays and found.mostly:
        notes.append(f"rows with text in {whose}, which is mostly numbers, counted as missing: {found.num_strays}")
    if chosen == "classification":
        return _classes(text(values) if not found.mostly else found.values, is_boolean(values), name, tuple(notes))
    if not found.mostly:
        raise UserError(
            f"{whose} holds text in {found.num_strays} of {found.num_present} rows, "
            "which regression cannot predict: choose another column, or task=classification"
        )
    return Target("regression", finite(found.values, whose)[:, None], (), tuple(notes))


def _several(values: np.ndarray, name: str, task: Task | None) -> Target:
    if task == "classification" or values.dtype.kind == "O":
        raise UserError(
            f"the target {name!r} has {values.shape[1]} columns: give one label per row for classification, "
            "or numbers for regression"
        )
    return Target("regression", finite(values.astype(np.float64), f"the target {name!r}"), (), ())


def _guess(values: "np.ndarray | pl.Series", found: Numbers) -> tuple[Task, str]:
    if not found.mostly:
        return "classification", "holds text"
    if is_boolean(values):
        return "classification", "holds true and false"
    distinct = np.unique(found.values[~np.isnan(found.values)])
    whole = np.all(distinct == np.round(distinct))
    if whole and len(distinct) <= FEW and 2 * len(distinct) <= found.num_present:
        return "classification", f"holds {len(distinct)} distinct whole numbers"
    return "regression", f"holds {len(distinct)} distinct numbers"


def _classes(labels: np.ndarray, boolean: bool, name: str, notes: tuple[str, ...]) -> Target:
    """Codes for labels: float64 with NaN, or object with None, for missing."""
    whose = f"the target {name!r}"
    if labels.dtype.kind == "O":
        present = np.array([label is not None for label in labels.tolist()])
    else:
        present = ~np.isnan(finite(labels, whose))
    known = labels[present].tolist()
    distinct = sorted(set(known))
    if len(known) == 1:
        raise UserError(f"{whose} is known in one row only, as {known[0]!r}: give more examples")
    if len(distinct) == 1:
        raise UserError(f"{whose} has one class, {distinct[0]!r}, in all {len(known)} rows: choose another column")
    if len(distinct) > most_classes(len(known)):
        raise UserError(
            f"{whose} has {len(distinct)} classes in {len(known)} rows, more than a classifier can mean: "
            "is this regression? (give task=regression, or choose another column)"
        )
    code_of = {label: code for code, label in enumerate(distinct)}
    codes = np.full(len(labels), -1, dtype=np.int32)
    codes[present] = [code_of[label] for label in known]
    return Target("classification", codes, tuple(_plain(distinct, boolean)), notes)


def _plain(distinct: list[Any], boolean: bool) -> list[Label]:
    """Classes as the user has them: true and false, or whole numbers without a point."""
    if boolean:
        return [bool(label) for label in distinct]
    if all(isinstance(label, float) and label.is_integer() for label in distinct):
        return [int(label) for label in distinct]
    return distinct
