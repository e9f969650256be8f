"""A data set: features, what is to be predicted, and how both were read."""

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from jaxbn.data.builtin import BUILTIN
from jaxbn.data.columns import choose_columns, describe_columns
from jaxbn.data.files import open_source, path_of
from jaxbn.data.reading import Reading, check_times, find_column, table_of
from jaxbn.data.sheet import Sheet, is_frame, sheet_of_array, sheet_of_frame
from jaxbn.data.table import Table
from jaxbn.data.target import Label, Task, read_target
from jaxbn.data.values import text
from jaxbn.errors import UserError

TARGET_NAMES = ("target", "label", "class", "y")
"""A column of a file with one of these names, in any case, is its target when nobody names another."""


@dataclass(frozen=True, eq=False)
class Dataset:
    """Features and targets of N rows; every row has a target.

    Attributes:
        name: what the source is called.
        features: the features.
        target: int32 class codes [N], or float64 [N, K] for regression.
        target_name: what the target is called.
        task: "classification" or "regression".
        classes: what the codes mean, sorted; empty for regression.
        groups: int64 [N], rows with one number belong together; None where rows stand alone.
        test: a test set that came apart, with the same columns and classes.
        reading: how the source was read.
        notes: sentences to tell the user.
        source: where it can be read again: a path or a built-in name; None for arrays and frames.
        test_source: the same of a test set that was named apart.
    """

    name: str
    features: Table
    target: np.ndarray
    target_name: str
    task: Task
    classes: tuple[Label, ...]
    groups: np.ndarray | None
    test: "Dataset | None"
    reading: Reading
    notes: tuple[str, ...]
    source: str | None = None
    test_source: str | None = None


def load_data(
    source: Any,
    *,
    target: str | int | None = None,
    task: Task | None = None,
    drop: str | int | Iterable[str | int] | None = None,
    group: str | int | None = None,
    header: bool | None = None,
    test: Any = None,
) -> Dataset:
    """Loads a data set.

    A file's target is, if nobody names it, its one column called target, label, class or y, or else the last.
    Text and true/false are classes, and so are at most 20 distinct whole numbers; other numbers are to be
    predicted as numbers. In a data frame a type that says category is believed, dates and times are refused, and the
    index is no column. Missing is what is empty, `?`, `NA`, `N/A`, `nan` or `null`, in any case.

    Args:
        source: a built-in name (digits, breast_cancer, wine, iris, diabetes, mnist5k); a path to CSV, TSV,
            Parquet (or their .gz), to NPZ with x and y, or to a folder of IDX files; a pair of arrays (x, y);
            or a data frame of pandas, polars, pyarrow or whatever else narwhals knows, lazy ones too.
        target: the column to predict, by name or by number from 0.
        task: "classification" or "regression"; guessed, with a note, if not given.
        drop: columns to leave out, by name or number.
        group: a column that says which rows belong together and must not be split; it is no feature.
        header: whether the first row of a text file holds names; found out if not given.
        test: a test set, anything that source may be.

    Returns:
        The data set.

    Raises:
        UserError: the source cannot be read, a column does not exist, no column or row is left to learn from,
            a value is infinite or a date, or the target fits no task.

    Example:
        >>> iris = load_data("iris")
        >>> iris.features.numeric.shape, iris.classes
        ((150, 4), ('setosa', 'versicolor', 'virginica'))
    """
    if header is not None and not isinstance(header, bool | np.bool_):
        raise UserError(f"header = {header!r:.80} is neither True nor False: give one, or leave it out")
    sheet = _open(source, header)
    reading, notes = _read(sheet, target, drop, group)
    check_times(sheet, (*reading.features, reading.target))
    apart = sheet.test if test is None else _open(test, reading.header)
    columns, left_out, column_notes = choose_columns(sheet, reading)
    reading = replace(reading, dropped=(*reading.dropped, *left_out))
    target_name = reading.target or "y"
    values = _target_values(sheet, reading, "data")
    if apart is not None:
        values = _joined(values, _target_values(apart, reading, "test set"))
    # Both sets are understood at once, so that a class which only the test set holds has a code.
    declared = "classification" if sheet.declared.get(target_name) == "category" else None
    understood = read_target(values, target_name, task, certain=sheet.task or declared)
    features = table_of(sheet, reading, columns)
    groups, group_notes = _groups(sheet, reading)
    all_rows = Dataset(
        name=str(Path(source).name or source) if isinstance(source, str | Path) else "data",
        features=features,
        target=understood.values[: sheet.num_rows],
        target_name=target_name,
        task=understood.task,
        classes=understood.classes,
        groups=groups,
        test=None,
        reading=reading,
        notes=(*notes, *understood.notes, *column_notes, *describe_columns(features), *group_notes),
        source=_place(source),
        test_source=_place(test),
    )
    dataset = _with_target(all_rows, understood.present[: sheet.num_rows], "data")
    if dataset.task == "classification" and dataset.target.min() == dataset.target.max():
        only = dataset.classes[dataset.target[0]]
        raise UserError(f"the target {target_name!r} has one class, {only!r}, in all rows: choose another column")
    if apart is None:
        return dataset
    test_target = understood.values[sheet.num_rows :]
    test_rows = replace(all_rows, features=table_of(apart, reading, columns), target=test_target, groups=None, notes=())
    tested = _with_target(test_rows, understood.present[sheet.num_rows :], "test set")
    return replace(dataset, test=tested, notes=(*dataset.notes, *tested.notes))


def _place(source: Any) -> str | None:
    """A path, absolute, or a built-in name; None for what is in memory."""
    if not isinstance(source, str | Path):
        return None
    return str(source) if source in BUILTIN else str(path_of(source).resolve())


def fingerprint(dataset: Dataset) -> str:
    """A digest of what a data set contains: names, kinds, features, targets, classes, groups, test set.

    Args:
        dataset: the data set; its name and notes do not count, so a moved file stays the same.

    Returns:
        64 hexadecimal digits of SHA-256.
    """
    digest = hashlib.sha256()
    columns = [(column.name, column.kind) for column in dataset.features.columns]
    head = [columns, dataset.target_name, dataset.task, dataset.classes, dataset.features.num_rows]
    digest.update(json.dumps(head).encode())
    digest.update(_bytes(dataset.features.numeric))
    for words in dataset.features.categorical.T:
        digest.update(json.dumps(words.tolist()).encode())
    digest.update(_bytes(dataset.target))
    if dataset.groups is not None:
        digest.update(b"groups" + _bytes(dataset.groups))
    if dataset.test is not None:
        digest.update(b"test" + fingerprint(dataset.test).encode())
    return digest.hexdigest()


def _with_target(dataset: Dataset, present: np.ndarray, what: str) -> Dataset:
    """The rows which have a target, with a note on how many have none."""
    num_absent = int(np.sum(~present))
    if not num_absent:
        return dataset
    if num_absent == len(present):
        raise UserError(f"no row of the {what} has a value of the target {dataset.target_name!r}: give it targets")
    return replace(
        dataset,
        features=dataset.features.take(present),
        target=dataset.target[present],
        groups=None if dataset.groups is None else dataset.groups[present],
        notes=(*dataset.notes, f"rows of the {what} without a target, left out: {num_absent}"),
    )


def _bytes(array: np.ndarray) -> bytes:
    """The same bytes for the same numbers: little-endian, one NaN, one zero."""
    if array.dtype.kind == "f":
        array = np.where(np.isnan(array), np.nan, array) + 0.0
    return array.astype(array.dtype.newbyteorder("<")).tobytes()


def _open(source: Any, header: bool | None) -> Sheet:
    if not isinstance(source, list | tuple):
        return open_source(source, header=header, labels=True)
    if len(source) != 2:
        raise UserError(f"{len(source)} arrays were given: give two, the features x and the labels y")
    x, y = source
    return sheet_of_frame(x, y) if is_frame(x) else sheet_of_array(x, y)


def _read(
    sheet: Sheet, target: str | int | None, drop: str | int | Iterable[str | int] | None, group: str | int | None
) -> tuple[Reading, tuple[str, ...]]:
    """Which columns are what, with a note when the target is a guess."""
    names = sheet.names
    drop = () if drop is None else drop
    each = drop if isinstance(drop, Iterable) and not isinstance(drop, str) else (drop,)
    dropped = tuple(dict.fromkeys(find_column(names, column, "column to drop") for column in each))
    grouped = None if group is None else find_column(names, group, "group column")
    header = sheet.named
    notes: tuple[str, ...] = ()
    if sheet.labels is not None:
        if target is not None:
            raise UserError(f"target {target!r} was given with labels that come apart: give one of the two")
        return Reading(header or None, names, None, dropped, grouped), notes
    if target is not None:
        chosen = find_column(names, target, "target column")
    else:
        left = [name for name in names if name not in (*dropped, grouped)]
        telling = [name for name in left if name.lower() in TARGET_NAMES]
        if not left:
            raise UserError("every column is dropped or the group: leave a target and at least one column of features")
        chosen = telling[0] if len(telling) == 1 else left[-1]
        why = "by its name" if len(telling) == 1 else "as the last column"
        notes = () if sheet.task else (f"the target is taken to be {chosen!r}, {why} (name another if it is not)",)
    if chosen in (*dropped, grouped):
        raise UserError(
            f"column {chosen!r} is the target and also dropped or the group: choose another for one of them"
        )
    return Reading(header, names, chosen, dropped, grouped), notes


def _target_values(sheet: Sheet, reading: Reading, what: str) -> Any:
    if sheet.labels is not None:
        return sheet.labels
    if reading.target is not None:
        if sheet.named and reading.header:
            if reading.target in sheet.names:
                return sheet.columns[sheet.names.index(reading.target)]
        elif len(sheet.names) == len(reading.columns):
            return sheet.columns[reading.columns.index(reading.target)]
    raise UserError(f"the {what} has no target {reading.target or 'y'!r}: give it the columns of the training data")


def _joined(first: Any, second: Any) -> np.ndarray:
    """The targets of two sheets, one after the other."""
    numeric = all(isinstance(values, np.ndarray) and values.dtype.kind != "O" for values in (first, second))
    if numeric and first.dtype == second.dtype and first.shape[1:] == second.shape[1:]:
        return np.concatenate([first, second])
    if any(isinstance(values, np.ndarray) and values.ndim > 1 for values in (first, second)):
        raise UserError("the targets of data and test set have different numbers of columns: give both the same")
    return np.concatenate([text(first), text(second)])


def _groups(sheet: Sheet, reading: Reading) -> tuple[np.ndarray | None, tuple[str, ...]]:
    """A number for each group; a row without a group is one of its own."""
    if reading.group is None:
        return None, ()
    words = text(sheet.columns[sheet.names.index(reading.group)]).tolist()
    code_of: dict[str | tuple[int], int] = {}
    keys = [(row,) if word is None else word for row, word in enumerate(words)]
    codes = np.array([code_of.setdefault(key, len(code_of)) for key in keys], dtype=np.int64)
    num_alone = sum(word is None for word in words)
    note = f"rows without a value in column {reading.group!r}, each a group of its own: {num_alone}"
    return codes, (note,) if num_alone else ()
