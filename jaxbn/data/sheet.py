"""A sheet: named columns as they came, before anything is decided about them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from jaxbn.data.values import as_values
from jaxbn.errors import UserError

if TYPE_CHECKING:
    import polars as pl


@dataclass(frozen=True, eq=False)
class Sheet:
    """Columns of values, with what the source says about itself.

    Attributes:
        names: a name for each column.
        columns: the values of each, [N]: an array or a polars series of text, see `jaxbn.data.values`.
        named: whether the names are the source's own, so that columns may be matched by them.
        labels: the target, [N] or [N, K], where it comes apart from the columns, as with arrays.
        task: the task, where the source leaves no doubt.
        test: the source's own test set.
        declared: by column, what its type in a data frame says that its values do not: numbers can be categories, and
            what becomes text here was a date or a time.
    """

    names: tuple[str, ...]
    columns: "tuple[np.ndarray | pl.Series, ...]"
    named: bool
    labels: np.ndarray | None = None
    task: Literal["classification", "regression"] | None = None
    test: "Sheet | None" = None
    declared: Mapping[str, Literal["category", "time"]] = field(default_factory=dict)

    @property
    def num_rows(self) -> int:
        """The number of rows, N."""
        return len(self.columns[0])


def numbered(num_columns: int) -> tuple[str, ...]:
    """Names for the columns of a source that has none.

    Example:
        >>> numbered(2)
        ('column_0', 'column_1')
    """
    return tuple(f"column_{number}" for number in range(num_columns))


def sheet_of_array(x: Any, y: Any = None) -> Sheet:
    """Arrays as a sheet.

    Args:
        x: features, [N, F], or [N, ...] such as images, which are flattened.
        y: labels, [N] or [N, K]; None for features alone.

    Returns:
        The sheet, with y as its labels.

    Raises:
        UserError: x has no rows or no columns, or y is not as long as x.
    """
    x = as_values(x, "x")
    if x.ndim < 2 or not x.size:
        raise UserError(f"x has shape {x.shape}: give an array of rows and columns, with at least one of each")
    x = x.reshape(len(x), -1)
    return Sheet(numbered(x.shape[1]), tuple(x.T), named=False, labels=_labels(y, len(x)))


def sheet_of_frame(frame: Any, y: Any = None) -> Sheet:
    """A data frame as a sheet.

    Args:
        frame: a frame of any kind that narwhals knows, lazy ones too: pandas, polars, pyarrow.
        y: labels, [N] or [N, K], where they come apart.

    Returns:
        The sheet.

    Raises:
        UserError: narwhals does not know the frame, it has no rows or columns, or a column holds lists or
            structs.
    """
    import narwhals as nw

    try:
        known = nw.from_native(frame)
    except nw.exceptions.DuplicateError:
        names = [str(name) for name in frame.columns]
        twice = next((name for name in names if names.count(name) > 1), "")
        raise UserError(f"two columns are called {twice!r}: rename one of them") from None
    except TypeError:
        raise UserError(
            f"data of type {type(frame).__name__} cannot be read: give a path, arrays (x, y) or a data frame"
        ) from None
    if isinstance(known, nw.LazyFrame):
        known = known.collect()
    columns = {}
    declared: dict[str, Literal["category", "time"]] = {}
    for series in known.iter_columns():
        name = str(series.name)
        if series.dtype.is_nested():
            raise UserError(
                f"column {name!r} holds {series.dtype} values: give one number or text per cell, or drop it"
            )
        if name in columns:
            raise UserError(f"two columns are called {name!r}: rename one of them")
        columns[name] = _of_series(series)
        if series.dtype.is_temporal():
            declared[name] = "time"
        elif series.dtype in (nw.Categorical, nw.Enum):
            declared[name] = "category"
    if not columns or not len(known):
        raise UserError(f"the data frame has {len(known)} rows and {len(columns)} columns: give at least one of each")
    labels = _labels(y, len(known))
    return Sheet(tuple(columns), tuple(columns.values()), named=True, labels=labels, declared=declared)


def sheet_of_records(records: Sequence[Mapping[str, Any]]) -> Sheet:
    """A list of records, each a mapping from column name to value, as a sheet.

    Args:
        records: at least one; all with the same names, None for a missing value.

    Returns:
        The sheet, its columns in the order of the first record.

    Raises:
        UserError: a record lacks a name that another has.

    Example:
        >>> sheet_of_records([{"age": 31, "town": "Ulm"}, {"age": None, "town": "Bonn"}]).names
        ('age', 'town')
    """
    names = tuple(str(name) for name in records[0])
    for number, record in enumerate(records):
        if not isinstance(record, Mapping) or set(map(str, record)) != set(names):
            raise UserError(
                f"record {number + 1} does not have the names of the first ({', '.join(names)}): "
                "give every record the same names, and None for a missing value"
            )
    columns = tuple(np.empty(len(records), dtype=object) for _ in names)
    for column, name in zip(columns, records[0], strict=True):
        column[:] = [record[name] for record in records]
    return Sheet(names, columns, named=True)


def is_frame(source: Any) -> bool:
    """Whether a source looks like a data frame, told without importing any frame library."""
    return hasattr(type(source), "columns")


def _of_series(series: Any) -> np.ndarray:
    import narwhals as nw

    if series.dtype.is_numeric():
        return np.asarray(series.cast(nw.Float64).to_numpy(), dtype=np.float64)
    if series.dtype == nw.Boolean and not series.null_count():
        return np.asarray(series.to_numpy(), dtype=bool)
    # Nulls are turned into None here, for each library has its own.
    cells = np.empty(len(series), dtype=object)
    cells[:] = series.to_list()
    if series.null_count():
        cells[np.asarray(series.is_null().to_numpy(), dtype=bool)] = None
    return cells


def _labels(y: Any, num_rows: int) -> np.ndarray | None:
    if y is None:
        return None
    y = as_values(y, "y")
    if y.ndim == 2 and y.shape[1] == 1:
        y = y[:, 0]
    if y.ndim not in (1, 2) or len(y) != num_rows or not y.size:
        raise UserError(
            f"y has shape {y.shape} for {num_rows} rows of x: give one label, or one row of numbers, per row"
        )
    return y
