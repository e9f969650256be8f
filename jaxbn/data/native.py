"""Predictions as the library of the rows has them: a data frame gives a series or a frame, with the same index."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from jaxbn.data.sheet import is_frame


def eager(rows: Any) -> Any:
    """A data frame that is lazy, computed; anything else as it is."""
    if not is_frame(rows):
        return rows
    import narwhals as nw

    try:
        known = nw.from_native(rows, pass_through=True)
    except nw.exceptions.DuplicateError:
        return rows  # Whoever reads it says what is wrong.
    return known.collect().to_native() if isinstance(known, nw.LazyFrame) else rows


def series_like(rows: Any, values: np.ndarray, name: str) -> Any:
    """A prediction for each row, as the library of the rows has a column.

    Args:
        rows: what was predicted from, not lazy.
        values: [N], or [N, K] where K numbers are predicted.
        name: what they are called.

    Returns:
        Where the rows are a data frame, a series of its library with that name and, in pandas, with the index of the
        rows; a frame with the columns `name_0`, `name_1` ... for K numbers. Otherwise the values.

    Example:
        >>> import polars as pl
        >>> series_like(pl.DataFrame({"x": [1.0, 2.0]}), np.array([3, 4]), "y").to_list()
        [3, 4]
    """
    if values.ndim == 2:
        return frame_like(rows, values, [f"{name}_{number}" for number in range(values.shape[1])])
    if not is_frame(rows):
        return values
    import narwhals as nw

    known = nw.from_native(rows)
    return _indexed(nw.new_series(name, values, backend=known.implementation), known)


def frame_like(rows: Any, values: np.ndarray, names: Sequence[str]) -> Any:
    """Several numbers for each row, as the library of the rows has a frame.

    Args:
        rows: what was predicted from, not lazy.
        values: [N, K].
        names: K, all different.

    Returns:
        Where the rows are a data frame, a frame of its library with these columns and, in pandas, with the index of the
        rows. Otherwise the values.
    """
    if not is_frame(rows):
        return values
    import narwhals as nw

    known = nw.from_native(rows)
    columns = dict(zip(names, values.T, strict=True))
    return _indexed(nw.from_dict(columns, backend=known.implementation), known)


def _indexed(made: Any, rows: Any) -> Any:
    """A series or frame of narwhals as its library's, with the index of the rows where there is one."""
    import narwhals as nw

    native, index = made.to_native(), nw.maybe_get_index(rows)
    if index is not None:
        native.index = index
    return native
