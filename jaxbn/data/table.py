"""A table of features: the one shape in which every kind of source arrives."""

from dataclasses import dataclass
from typing import Literal

import numpy as np

Kind = Literal["numeric", "categorical"]


@dataclass(frozen=True)
class Column:
    """A column of features.

    Attributes:
        name: what the source calls it; `column_3` where the source has no names.
        kind: "numeric" (numbers and booleans) or "categorical" (text).
    """

    name: str
    kind: Kind


@dataclass(frozen=True, eq=False)
class Table:
    """Rows of features, held by kind.

    Attributes:
        columns: every column, in the order of the source.
        numeric: float64 [N, Fn], the numeric columns in that order; NaN is missing, nothing is infinite.
        categorical: object [N, Fc], the categorical columns in that order; `str`, or None for missing.
    """

    columns: tuple[Column, ...]
    numeric: np.ndarray
    categorical: np.ndarray

    @property
    def num_rows(self) -> int:
        """The number of rows, N."""
        return len(self.numeric)

    def take(self, rows: np.ndarray) -> "Table":
        """The table of the given rows.

        Args:
            rows: row numbers, or a boolean mask [N].

        Returns:
            A new table with the same columns.

        Example:
            >>> table = Table((Column("a", "numeric"),), np.array([[1.0], [2.0]]), np.empty((2, 0), object))
            >>> table.take(np.array([1])).numeric
            array([[2.]])
        """
        return Table(self.columns, self.numeric[rows], self.categorical[rows])


def columns_of(columns: tuple[Column, ...], kind: Kind) -> tuple[Column, ...]:
    """The columns of one kind, in order: column j of `Table.numeric` or of `Table.categorical` is number j.

    Example:
        >>> columns_of((Column("a", "numeric"), Column("b", "categorical")), "categorical")
        (Column(name='b', kind='categorical'),)
    """
    return tuple(column for column in columns if column.kind == kind)
