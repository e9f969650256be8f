"""From a table to the numbers a network takes: what was learned from the training rows, as plain values."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from jaxbn.data.table import Column, Table, columns_of
from jaxbn.data.values import LARGEST
from jaxbn.errors import UserError

MIN_FREQUENCY = 5
"""A category with fewer training rows is infrequent: all such share a column."""

MAX_CATEGORIES = 64
"""The most columns for one categorical column, the infrequent one among them."""

_ROWS_AT_ONCE = 65_536


@dataclass(frozen=True, eq=False)
class Preprocessor:
    """How features become numbers, learned from training rows.

    The outputs are, in this order: each numeric column, missing values replaced by the median, standardised;
    for each column of `indicators`, whether the value was missing; for each categorical column, one column
    per category (missing is a category of its own) and one for infrequent categories if there were any. A
    category that training did not have counts as infrequent, and where there is no such column it is zero in
    all.

    Attributes:
        columns: the columns of the table.
        median: float64 [Fn], what replaces a missing number.
        mean: float64 [Fn].
        scale: float64 [Fn], the standard deviation; 1 for a constant column.
        indicators: numbers of the numeric columns that had missing values in training.
        categories: for each categorical column, the categories with an output of their own; None is missing.
        infrequent: for each categorical column, whether it has an output for infrequent categories.
    """

    columns: tuple[Column, ...]
    median: np.ndarray
    mean: np.ndarray
    scale: np.ndarray
    indicators: tuple[int, ...]
    categories: tuple[tuple[str | None, ...], ...]
    infrequent: tuple[bool, ...]

    @property
    def num_features(self) -> int:
        """The number of outputs, F."""
        one_hot = sum(map(len, self.categories)) + sum(self.infrequent)
        return len(self.mean) + len(self.indicators) + one_hot


def fit_preprocessor(table: Table) -> Preprocessor:
    """Learns from training rows, through scikit-learn.

    Args:
        table: the training rows, at least one.

    Returns:
        What SimpleImputer(strategy="median"), StandardScaler, MissingIndicator and
        OneHotEncoder(handle_unknown="infrequent_if_exist") learned.
    """
    median, mean, scale, indicators = _fit_numeric(table.numeric)
    categories, infrequent = _fit_categorical(table.categorical)
    return Preprocessor(table.columns, median, mean, scale, indicators, categories, infrequent)


def _fit_numeric(values: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, tuple[int, ...]]:
    from sklearn.impute import SimpleImputer
    from sklearn.preprocessing import StandardScaler

    if not values.shape[1]:
        return np.empty(0), np.empty(0), np.empty(0), ()
    imputer = SimpleImputer(strategy="median", keep_empty_features=True)
    filled = np.asarray(imputer.fit_transform(values))
    scaler = StandardScaler().fit(filled)
    # The mean of a constant is that constant only up to rounding, which no scale would hide.
    constant = filled.min(axis=0) == filled.max(axis=0)
    mean = np.where(constant, filled[0], scaler.mean_)
    indicators = np.flatnonzero(np.isnan(values).any(axis=0))
    return np.asarray(imputer.statistics_), np.asarray(mean), np.asarray(scaler.scale_), tuple(indicators.tolist())


def _fit_categorical(words: np.ndarray) -> tuple[tuple[tuple[str | None, ...], ...], tuple[bool, ...]]:
    from sklearn.preprocessing import OneHotEncoder

    if not words.shape[1]:
        return (), ()
    encoder = OneHotEncoder(
        handle_unknown="infrequent_if_exist", min_frequency=MIN_FREQUENCY, max_categories=MAX_CATEGORIES
    ).fit(words)
    rare = [set() if found is None else set(found) for found in encoder.infrequent_categories_]
    pairs = list(zip(encoder.categories_, rare, strict=True))
    categories = tuple(tuple(word for word in known if word not in others) for known, others in pairs)
    return categories, tuple(bool(others) for others in rare)


def transform(preprocessor: Preprocessor, table: Table) -> np.ndarray:
    """The inputs of a network, computed with NumPy alone, some rows at a time.

    Args:
        preprocessor: what was learned.
        table: rows with the same columns as the training rows.

    Returns:
        float32 [N, F], all finite.

    Raises:
        UserError: the table has other columns.
    """
    if table.columns != preprocessor.columns:
        given, expected = (
            ", ".join(column.name for column in columns) for columns in (table.columns, preprocessor.columns)
        )
        raise UserError(
            f"the table has columns {given:.200} where training had {expected:.200}: read it as training did"
        )
    # Zeros first: most of what one-hot columns hold is written by nobody.
    x = np.zeros((table.num_rows, preprocessor.num_features), dtype=np.float32)
    num_numeric, indicators = len(preprocessor.mean), list(preprocessor.indicators)
    for start in range(0, table.num_rows, _ROWS_AT_ONCE):
        rows = slice(start, start + _ROWS_AT_ONCE)
        values = table.numeric[rows]
        missing = np.isnan(values)
        scaled = (np.where(missing, preprocessor.median, values) - preprocessor.mean) / preprocessor.scale
        x[rows, :num_numeric] = np.clip(scaled, -LARGEST, LARGEST)
        x[rows, num_numeric : num_numeric + len(indicators)] = missing[:, indicators]
    first = num_numeric + len(indicators)
    for words, categories, infrequent in zip(
        table.categorical.T, preprocessor.categories, preprocessor.infrequent, strict=True
    ):
        code_of = {word: code for code, word in enumerate(categories)}
        unknown = len(categories) if infrequent else -1
        codes = np.fromiter((code_of.get(word, unknown) for word in words), dtype=np.int64, count=len(words))
        rows = np.flatnonzero(codes >= 0)
        x[rows, first + codes[rows]] = 1.0
        first += len(categories) + infrequent
    return x


def to_json(preprocessor: Preprocessor) -> dict[str, Any]:
    """The preprocessor as plain values that strict JSON can hold.

    Args:
        preprocessor: what was learned.

    Returns:
        Lists, strings, finite numbers, booleans and None.
    """
    return {
        "columns": [[column.name, column.kind] for column in preprocessor.columns],
        "median": preprocessor.median.tolist(),
        "mean": preprocessor.mean.tolist(),
        "scale": preprocessor.scale.tolist(),
        "indicators": list(preprocessor.indicators),
        "categories": [list(words) for words in preprocessor.categories],
        "infrequent": list(preprocessor.infrequent),
    }


def from_json(record: Mapping[str, Any]) -> Preprocessor:
    """The preprocessor that `to_json` wrote.

    Args:
        record: what was read from JSON.

    Returns:
        The same preprocessor, bit for bit.

    Raises:
        UserError: the record is not what `to_json` writes.
    """
    try:
        columns = tuple(Column(name, kind) for name, kind in record["columns"])
        median, mean, scale = (np.array([float(value) for value in record[key]]) for key in ("median", "mean", "scale"))
        categories = tuple(tuple(words) for words in record["categories"])
        indicators, infrequent = tuple(record["indicators"]), tuple(record["infrequent"])
        made = Preprocessor(columns, median, mean, scale, indicators, categories, infrequent)
    except (KeyError, TypeError, ValueError) as error:
        raise UserError(f"a broken record of preprocessing ({error}): train and save the model again") from None
    problem = _problem(made)
    if problem:
        raise UserError(f"a broken record of preprocessing ({problem}): train and save the model again")
    return made


def _problem(made: Preprocessor) -> str | None:
    """What is wrong with a preprocessor that was read, if anything."""
    num_numeric = len(columns_of(made.columns, "numeric"))
    num_categorical = len(columns_of(made.columns, "categorical"))
    if any(not isinstance(column.name, str) for column in made.columns):
        return "a column without a name"
    if not made.columns or num_numeric + num_categorical != len(made.columns):
        return "a column that is neither numeric nor categorical"
    numbers = (made.median, made.mean, made.scale)
    if any(len(values) != num_numeric or not all(map(math.isfinite, values)) for values in numbers):
        return f"not {num_numeric} finite medians, means and scales"
    if any(made.scale <= 0):
        return "a scale that is not positive"
    if any(type(number) is not int or not 0 <= number < num_numeric for number in made.indicators):
        return "an indicator of no column"
    if len(made.categories) != num_categorical or len(made.infrequent) != num_categorical:
        return f"not the categories of {num_categorical} columns"
    words = [word for known in made.categories for word in known]
    if any(not (word is None or isinstance(word, str)) for word in words):
        return "a category that is no text"
    if any(len(set(known)) != len(known) for known in made.categories):
        return "a category that stands twice"
    if any(not isinstance(flag, bool) for flag in made.infrequent):
        return "a flag that is neither true nor false"
    return None
