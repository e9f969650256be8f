"""What cells mean."""

import math

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jaxbn.data.values import as_values, finite, is_boolean, numbers, text
from jaxbn.errors import UserError

CELLS = [
    "1",
    " 2.5 ",
    "-3e2",
    "",
    "?",
    "NA",
    "n/a",
    "NaN",
    "null",
    "red",
    " blue",
    "1_000",
    "true",
    "FALSE",
    "+.5",
]
EXPECTED = [1, 2.5, -300, *[None] * 6, "red", "blue", "1_000", 1, 0, 0.5]


PRINTABLE = st.characters(codec="utf-8", exclude_categories=["Cc", "Zs", "Zl", "Zp"])


def same(found, expected):
    return math.isnan(found) if expected is None or isinstance(expected, str) else found == expected


@pytest.mark.parametrize("values", [np.array(CELLS, dtype=object), pl.Series(CELLS)])
def test_cells_of_text(values):
    found = numbers(values)
    assert all(map(same, found.values, EXPECTED))
    assert (found.num_present, found.num_strays) == (9, 3)
    words = text(values).tolist()
    assert words[:10] == ["1", "2.5", "-3e2", *[None] * 6, "red"]


def test_cells_of_any_type():
    cells = np.array([1, 2.0, None, float("nan"), True, "None", b"x", np.float64(1.5)], dtype=object)
    assert text(cells).tolist() == ["1", "2", None, None, "True", "None", "x", "1.5"]


@settings(max_examples=100, deadline=None)
@given(st.lists(st.one_of(st.none(), st.floats(width=32).map(repr), st.text(PRINTABLE, max_size=4)), min_size=1))
def test_series_and_array_agree(cells):
    array, series = numbers(np.array(cells, dtype=object)), numbers(pl.Series(cells, dtype=pl.String))
    np.testing.assert_array_equal(array.values, series.values)
    assert array[1:] == series[1:]
    assert text(np.array(cells, dtype=object)).tolist() == text(pl.Series(cells, dtype=pl.String)).tolist()


def test_mostly_numbers_means_95_percent():
    assert numbers(np.array(["1"] * 95 + ["x"] * 5, dtype=object)).mostly
    assert not numbers(np.array(["1"] * 94 + ["x"] * 6, dtype=object)).mostly


def test_boolean():
    assert is_boolean(np.array([True, False]))
    assert is_boolean(pl.Series(["TRUE", None, " false"]))
    assert not is_boolean(np.array([None, None], dtype=object))
    assert not is_boolean(np.array([0.0, 1.0]))
    assert not is_boolean(pl.Series(["true", "1"]))


@pytest.mark.parametrize("bad", [np.inf, -np.inf, 3.5e38])
def test_infinite_is_refused_with_its_row(bad):
    with pytest.raises(UserError, match=r"column 'a' holds .* in data row 2"):
        finite(np.array([np.nan, bad, 1.0]), "column 'a'")
    assert finite(np.array([np.nan, 3.4e38]), "column 'a'")[1] == 3.4e38


def test_arrays_of_no_use():
    with pytest.raises(UserError, match="complex128"):
        as_values(np.ones(2, dtype=complex), "x")
    with pytest.raises(UserError, match="rows of equal length"):
        as_values([[1.0], [1.0, 2.0]], "x")
    assert as_values(np.array(["2020-01-01", "NaT"], dtype="datetime64[D]"), "x").tolist() == [
        "2020-01-01",
        "NaT",
    ]
