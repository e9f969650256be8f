"""What the cells of one column mean: which are missing, which are numbers, which are text.

The values of a column are a float64, bool or object array, or a polars series of text as it stood in a file.
Every source goes through `numbers` and `text`, so that training and prediction read a cell alike.
"""

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from jaxbn.errors import UserError

if TYPE_CHECKING:
    import polars as pl

MISSING = ("", "?", "na", "n/a", "nan", "null", "<na>", "nat")
"""The words, in lower case, that stand for a missing value."""

SPACES = " \t\r\n\v\f\u00a0\ufeff"
"""What is stripped from both ends of a cell."""

TRUTH = {"true": 1.0, "false": 0.0}
"""The words, in lower case, that are read as the numbers 1 and 0."""

MOSTLY = 0.95
"""A column with at least this share of numbers is numeric: other text in it is counted as missing."""

LARGEST = float(np.finfo(np.float32).max)
"""What lies beyond this magnitude is infinite in float32, in which networks train."""


class Numbers(NamedTuple):
    """A column read as numbers.

    Attributes:
        values: float64 [N], NaN where nothing or no number stands.
        num_present: how many cells are not missing.
        num_strays: how many of these are no numbers.
    """

    values: np.ndarray
    num_present: int
    num_strays: int

    @property
    def mostly(self) -> bool:
        """Whether the column is to be taken as numeric."""
        return self.num_strays <= (1 - MOSTLY) * self.num_present


def as_values(array: Any, what: str) -> np.ndarray:
    """An array of any type as float64, bool or object, unchanged in shape.

    Args:
        array: anything that NumPy can read as an array.
        what: what the array is, for the error, such as "x".

    Returns:
        The array; numbers become float64, dates become their text.

    Raises:
        UserError: the array holds complex numbers or records, or its rows are of different lengths.
    """
    try:
        array = np.asarray(array)
    except ValueError as error:
        raise UserError(f"{what} is no array: {error}; give rows of equal length") from None
    if array.dtype.kind in "bO":
        return array
    if array.dtype.kind in "fiu":
        return array.astype(np.float64, copy=False)
    if array.dtype.kind in "USTMm":
        return array.astype(str).astype(object)
    raise UserError(f"{what} holds values of type {array.dtype}: give numbers, booleans or text")


def text(values: "np.ndarray | pl.Series") -> np.ndarray:
    """The cells of a column as text without spaces round it.

    Args:
        values: the column, [N].

    Returns:
        object [N]: `str`, or None where the value is missing. A whole number is written without a point.

    Example:
        >>> text(np.array([" red ", None, "?", 2.0], dtype=object)).tolist()
        ['red', None, None, '2']
    """
    words = np.empty(len(values), dtype=object)
    if isinstance(values, np.ndarray):
        words[:] = [_word(value) for value in values.tolist()]
    else:
        words[:] = _cleaned(values).to_list()
    return words


def numbers(values: "np.ndarray | pl.Series") -> Numbers:
    """The cells of a column as numbers.

    Args:
        values: the column, [N].

    Returns:
        The numbers, and how many cells were no numbers. "true" and "false" are 1 and 0.

    Example:
        >>> numbers(np.array(["1", " 2.5 ", "NA", "true", "red"], dtype=object))
        Numbers(values=array([1. , 2.5, nan, 1. , nan]), num_present=4, num_strays=1)
    """
    if not isinstance(values, np.ndarray):
        import polars as pl

        cleaned = _cleaned(values)
        num_present = len(values) - cleaned.null_count()
        parsed = cleaned.cast(pl.Float64, strict=False)
        if parsed.null_count() == cleaned.null_count():
            return Numbers(parsed.to_numpy(), num_present, 0)
    elif values.dtype.kind != "O":
        floats = values.astype(np.float64)
        return Numbers(floats, int(np.sum(~np.isnan(floats))), 0)
    words = text(values)
    # A column of text repeats itself: each distinct word is parsed once.
    parsed = {word: _number(word) for word in set(words.tolist()) if word is not None}
    floats = np.array([np.nan if word is None else parsed[word] for word in words.tolist()], dtype=np.float64)
    strays = {word for word, value in parsed.items() if value is None}
    num_strays = sum(word in strays for word in words.tolist()) if strays else 0
    return Numbers(floats, sum(word is not None for word in words.tolist()), num_strays)


def is_boolean(values: "np.ndarray | pl.Series") -> bool:
    """Whether a column holds true and false, and nothing else but missing values.

    Example:
        >>> is_boolean(np.array(["True", "false", None], dtype=object))
        True
    """
    if isinstance(values, np.ndarray) and values.dtype.kind != "O":
        return values.dtype.kind == "b"
    distinct = {word for word in set(text(values).tolist()) if word is not None}
    return bool(distinct) and all(word.lower() in TRUTH for word in distinct)


def finite(values: np.ndarray, what: str) -> np.ndarray:
    """The numbers themselves, when none is infinite.

    Args:
        values: float64 [N] or [N, K]; NaN is allowed.
        what: what they are, for the error, such as "column 'age'".

    Returns:
        The same array.

    Raises:
        UserError: a number is infinite, or too large for float32.
    """
    # The extremes need no array beside the column; NaN is passed over by fmin and fmax.
    if values.size and max(np.fmax.reduce(values, axis=None), -np.fmin.reduce(values, axis=None)) > LARGEST:
        row = int(np.argwhere(np.abs(values) > LARGEST)[0, 0])
        raise UserError(
            f"{what} holds {values[row]} in data row {row + 1}, which is infinite in float32: "
            "correct the value, leave it empty, or drop the column"
        )
    return values


def _cleaned(values: "pl.Series") -> "pl.Series":
    stripped = values.alias("v").str.strip_chars(SPACES)
    missing = stripped.str.to_lowercase().is_in(list(MISSING))
    return stripped.set(missing, None) if missing.any() else stripped


def _word(value: Any) -> str | None:
    if value is None:
        return None
    if isinstance(value, bytes):
        value = value.decode("utf-8", "replace")
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    word = str(value).strip(SPACES)
    return None if word.lower() in MISSING else word


def _number(word: str) -> float | None:
    if word.lower() in TRUTH:
        return TRUTH[word.lower()]
    try:
        # Python reads 1_000, and digits of any script, as numbers; a table does not mean them.
        return float(word) if word.isascii() and word.isprintable() and "_" not in word else None
    except ValueError:
        return None
