"""How a source was read, so that rows to predict are read in the same way."""

import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from jaxbn.data.files import open_source
from jaxbn.data.sheet import Sheet, is_frame, sheet_of_array, sheet_of_records
from jaxbn.data.table import Column, Table, columns_of
from jaxbn.data.values import finite, numbers, text
from jaxbn.errors import UserError, unknown


@dataclass(frozen=True)
class Reading:
    """What was found or asked for when a source was read.

    Attributes:
        header: whether the columns had names; None where the source could have none, as an array.
        columns: the names of all columns, in the order of the source.
        target: the target column; None where the target came apart from the columns.
        dropped: columns that are no features.
        group: the column that says which rows belong together.
    """

    header: bool | None
    columns: tuple[str, ...]
    target: str | None
    dropped: tuple[str, ...] = ()
    group: str | None = None

    @property
    def features(self) -> tuple[str, ...]:
        """The names of the columns that are features, in order."""
        others = {self.target, self.group, *self.dropped}
        return tuple(name for name in self.columns if name not in others)

    def to_json(self) -> dict[str, Any]:
        """The record as plain values.

        Example:
            >>> reading = Reading(True, ("a", "b"), "b")
            >>> Reading.from_json(reading.to_json()) == reading
            True
        """
        return asdict(self)

    @staticmethod
    def from_json(record: Mapping[str, Any]) -> "Reading":
        """The reading that `to_json` wrote.

        Args:
            record: what was read from JSON.

        Returns:
            The reading.

        Raises:
            UserError: the record is not what `to_json` writes.
        """
        broken = UserError(f"a broken record of how data was read: {record!r:.200}; train and save the model again")
        try:
            header, target, group = record["header"], record["target"], record["group"]
            columns, dropped = record["columns"], record["dropped"]
        except (KeyError, TypeError):
            raise broken from None
        lists_fine = all(
            isinstance(names, list | tuple) and all(isinstance(name, str) for name in names)
            for names in (columns, dropped)
        )
        special = [name for name in (target, group) if name is not None]
        special_fine = all(isinstance(name, str) for name in special)
        names_fine = lists_fine and special_fine and {*dropped, *special} <= set(columns)
        if not names_fine or not (header is None or isinstance(header, bool)):
            raise broken
        return Reading(header, tuple(columns), target, tuple(dropped), group)


def find_column(names: Sequence[str], given: str | int | np.integer, what: str) -> str:
    """The name of a column that was given by name or by number.

    Args:
        names: the columns there are.
        given: a name; or a number from 0, also in digits where no column has them as its name.
        what: what the column is for, for the error, such as "target column".

    Returns:
        The name.

    Raises:
        UserError: there is no such column, or it is given by neither name nor number.

    Example:
        >>> find_column(("age", "town"), "1", "target column")
        'town'
    """
    if isinstance(given, str) and given in names:
        return given
    # True is a number to Python.
    if isinstance(given, bool) or not isinstance(given, str | int | np.integer):
        raise UserError(f"{what} {given!r:.80} is neither a name nor a whole number: give one of these")
    if not isinstance(given, str) or (given.isascii() and given.isdigit()):
        if not 0 <= int(given) < len(names):
            raise UserError(f"{what} {given} does not exist: choose a number from 0 to {len(names) - 1}, or a name")
        if str(given) in names and names[int(given)] != str(given):
            raise UserError(
                f"{what} {given} is the column called '{given}' or the one numbered so, called "
                f"{names[int(given)]!r}: give the name as a string"
            )
        return names[int(given)]
    raise unknown(what, given, names)


def read_features(source: Any, reading: Reading, columns: tuple[Column, ...]) -> Table:
    """Reads rows to predict as the training data was read.

    The target, the dropped columns and the group may be there or not: they are ignored. Where columns have no names,
    either all of these are there or none, unless the features are in the same places whichever are left out. Every row
    that is no blank line is kept. Text in a numeric column is missing, as it was in training, with a warning where
    there is more of it than in a column that is mostly numbers.

    Args:
        source: a built-in name, a path, a data frame, an array [N, F] (or images [N, ...]), a list of records
            (mappings from column name to value) or a list of rows.
        reading: how the training data was read.
        columns: the features, as the training data had them.

    Returns:
        The table, with exactly these columns.

    Raises:
        UserError: the source cannot be read, a column is missing or too many, it does not show which columns are there,
            a numeric column holds nothing but text, or a value is infinite.
    """
    return table_of(_open(source, reading), reading, columns)


def table_of(sheet: Sheet, reading: Reading, columns: tuple[Column, ...]) -> Table:
    """The features of a sheet, matched by name where both sheet and reading have names, else by position.

    Args:
        sheet: what was opened.
        reading: how the training data was read.
        columns: the features, as the training data had them.

    Returns:
        The table, with exactly these columns.

    Raises:
        UserError: a column is missing or too many, holds dates, or is numeric and holds nothing but text; it does not
            show which columns are there; or a value is infinite.
    """
    wanted = [column.name for column in columns]
    if sheet.named and reading.header:
        found = _by_name(sheet.names, reading, wanted)
    else:
        found = _by_position(len(sheet.names), reading, wanted)
    check_times(sheet, [sheet.names[position] for position in found.values()])
    values = {name: sheet.columns[position] for name, position in found.items()}
    numeric = np.empty((sheet.num_rows, len(columns_of(columns, "numeric"))))
    for number, column in enumerate(columns_of(columns, "numeric")):
        numeric[:, number] = _numeric(values[column.name], column.name)
    categorical = np.empty((sheet.num_rows, len(columns_of(columns, "categorical"))), dtype=object)
    for number, column in enumerate(columns_of(columns, "categorical")):
        categorical[:, number] = text(values[column.name])
    return Table(columns, numeric, categorical)


def _numeric(values: Any, name: str) -> np.ndarray:
    """A column that training had as numbers."""
    found = numbers(values)
    if not found.mostly:
        words = zip(text(values).tolist(), found.values.tolist(), strict=True)
        stray = next(word for word, value in words if word is not None and np.isnan(value))
        told = (
            f"column {name!r} was numeric in training and holds text in {found.num_strays} of {found.num_present} "
            f"values, such as {stray!r}"
        )
        # One row says little of a column, and is to be predicted as it is among others.
        if found.num_strays == found.num_present > 1:
            raise UserError(f"{told}: write numbers as training had them, and nothing where one is missing")
        warnings.warn(f"{told}: these count as missing", stacklevel=2)
    return finite(found.values, f"column {name!r}")


def check_times(sheet: Sheet, names: Iterable[str | None]) -> None:
    """Refuse dates and times: as text, each would be a category of its own.

    Args:
        sheet: what was opened.
        names: the columns that are to be used.

    Raises:
        UserError: one of them holds dates, times or durations.
    """
    times = [name for name in names if name is not None and sheet.declared.get(name) == "time"]
    if times:
        raise UserError(
            f"dates or times in column {listed(times)}: make numbers of them, such as the month or the days since some "
            "date, or drop the column"
        )


def _open(source: Any, reading: Reading) -> Sheet:
    if isinstance(source, list | tuple):
        if not source:
            raise UserError("there are no rows to predict: give at least one")
        if isinstance(source[0], Mapping):
            return sheet_of_records(source)
        # An array of object keeps the numbers of a row numbers beside its text.
        return sheet_of_array(_rows(source))
    if hasattr(source, "__array__") and not is_frame(source):
        return sheet_of_array(source)
    if not isinstance(source, str | Path) and not is_frame(source):
        raise UserError(
            f"data of type {type(source).__name__} cannot be read: give a list of rows, also for one, a path or a data "
            "frame"
        )
    return open_source(source, header=reading.header)


def _rows(rows: Sequence[Any]) -> np.ndarray:
    if all(row is None or np.isscalar(row) for row in rows):
        raise UserError("the rows to predict are a plain list of values: give a list of rows, also for one")
    try:
        array = np.array(rows, dtype=object)
    except ValueError:
        array = np.empty(0, dtype=object)
    if array.ndim < 2:
        raise UserError(
            "the rows to predict are not of one length: give every row all its values, None for a missing one"
        )
    return array


def _by_name(names: tuple[str, ...], reading: Reading, wanted: list[str]) -> dict[str, int]:
    places = {name: place for place, name in enumerate(names)}
    missing = [name for name in wanted if name not in places]
    known = set(reading.columns)
    surplus = [name for name in names if name not in known]
    if missing or surplus:
        lack = f"lack {listed(missing)}" if missing else ""
        have = f"have {listed(surplus)}, unknown in training" if surplus else ""
        raise UserError(
            f"the rows {' and '.join(part for part in (lack, have) if part)}: "
            "give the columns of the training data, with or without the target"
        )
    return {name: places[name] for name in wanted}


def _by_position(width: int, reading: Reading, wanted: list[str]) -> dict[str, int]:
    places = {name: place for place, name in enumerate(reading.columns)}
    others = sorted(places.keys() - set(wanted), key=places.__getitem__)
    num_away = len(places) - width
    if not 0 <= num_away <= len(others):
        beside = len(places) - (reading.target is not None)
        lack = f"lack {listed(wanted[width:])}"
        raise UserError(
            f"the rows have {width} columns where training had {beside} beside the target, so they "
            f"{lack if num_away > 0 else f'have {width - beside} too many, from column {beside} on'}: "
            "give all columns of the training data, or the features alone"
        )
    # Others that stand together leave the features where they are, whichever of them are away.
    if 0 < num_away < len(others) and places[others[-1]] - places[others[0]] >= len(others):
        raise UserError(
            f"the rows have {width} of the {len(places)} columns of training, and nothing says which they lack of "
            f"{listed(others)}, which are no features: give all columns, empty where you have no value, or the "
            "features alone"
        )
    away = set(others[:num_away])
    there = {name: place for place, name in enumerate(name for name in reading.columns if name not in away)}
    return {name: there[name] for name in wanted}


def listed(names: Iterable[str]) -> str:
    """Names for a sentence: the first five, and how many more there are.

    Example:
        >>> print(listed("abcdefg"))
        'a', 'b', 'c', 'd', 'e' and 2 more
    """
    names = [repr(name) for name in names]
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
