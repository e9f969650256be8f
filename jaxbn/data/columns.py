"""Deciding what the columns of a sheet are, and what to tell the user about them."""

import re
from collections import Counter
from collections.abc import Sequence

import numpy as np

from jaxbn.data.preprocess import MIN_FREQUENCY
from jaxbn.data.reading import Reading, listed
from jaxbn.data.sheet import Sheet
from jaxbn.data.table import Column, Table, columns_of
from jaxbn.data.values import numbers, text
from jaxbn.errors import UserError

_FEWEST_TEXTS = 10
_DECIMAL_COMMA = re.compile(r"[+-]?\d{1,3}(\.?\d{3})*,\d+")


def choose_columns(sheet: Sheet, reading: Reading) -> tuple[tuple[Column, ...], tuple[str, ...], tuple[str, ...]]:
    """Tells numeric columns from categorical ones.

    A column that is mostly numbers is numeric, unless a data frame declares it to hold categories. Text that is
    different in every row cannot be learned from by one-hot columns and is left out, if there are at least ten rows of
    it.

    Args:
        sheet: what was opened.
        reading: which columns are features.

    Returns:
        The columns; the names of those left out; notes on text among numbers and on what is left out.

    Raises:
        UserError: no column is left.
    """
    columns, left_out, notes, commas, features = [], [], [], [], set(reading.features)
    for name, values in zip(sheet.names, sheet.columns, strict=True):
        if name not in features:
            continue
        found = numbers(values)
        if found.mostly and sheet.declared.get(name) != "category":
            columns.append(Column(name, "numeric"))
            if found.num_strays:
                notes.append(
                    f"rows with text in column {name!r}, which is mostly numbers, "
                    f"counted as missing: {found.num_strays}"
                )
            continue
        known = [word for word in text(values).tolist() if word is not None]
        if known and sum(map(bool, map(_DECIMAL_COMMA.fullmatch, known))) >= 0.9 * len(known):
            commas.append(name)
        if len(known) >= _FEWEST_TEXTS and len(set(known)) == len(known):
            left_out.append(name)
        else:
            columns.append(Column(name, "categorical"))
    if commas:
        notes.append(f"looks like numbers with decimal commas, and is read as text (write points): {listed(commas)}")
    if left_out:
        notes.append(f"left out, because the text in every row is different, as in an id: {listed(left_out)}")
    if not columns:
        reason = (
            f"the text in every row of {listed(left_out)} is different" if left_out else "none is beside the target"
        )
        raise UserError(f"no column is left to learn from, for {reason}: give at least one column of features")
    return tuple(columns), tuple(left_out), tuple(notes)


def describe_columns(table: Table) -> tuple[str, ...]:
    """Notes on columns that carry nothing, or a row's number rather than anything about it.

    Args:
        table: the features of all rows.

    Returns:
        At most a sentence of each kind.

    Example:
        >>> table = Table((Column("id", "numeric"),), np.arange(5.0)[:, None], np.empty((5, 0), object))
        >>> describe_columns(table)
        ("looks like an id, as it numbers the rows (drop it, unless it means something): 'id'",)
    """
    empty, constant, running, rare = [], [], [], []
    for column, values in zip(columns_of(table.columns, "numeric"), table.numeric.T, strict=True):
        known = values[~np.isnan(values)]
        if not len(known):
            empty.append(column.name)
        elif len(known) == len(values) and known.min() == known.max():
            constant.append(column.name)
        elif len(known) == len(values) and _numbers_rows(values):
            running.append(column.name)
    for column, words in zip(columns_of(table.columns, "categorical"), table.categorical.T, strict=True):
        counts = Counter(words.tolist())
        if len(counts) == 1:
            constant.append(column.name)
        elif max(counts.values()) < MIN_FREQUENCY:
            rare.append(column.name)
    kinds: Sequence[tuple[str, list[str]]] = (
        ("without any value", empty),
        ("the same in every row, so of no use", constant),
        ("looks like an id, as it numbers the rows (drop it, unless it means something)", running),
        (f"no text occurs {MIN_FREQUENCY} times, so nothing is learned from it (make numbers of dates)", rare),
    )
    return tuple(f"{what}: {listed(names)}" for what, names in kinds if names)


def _numbers_rows(values: np.ndarray) -> bool:
    """Whether the values are so many whole numbers without a gap, in any order."""
    if len(values) < 3 or values.max() - values.min() != len(values) - 1:
        return False
    return bool(np.array_equal(np.sort(values) - values.min(), np.arange(len(values))))
