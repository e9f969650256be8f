"""Preprocessing, against scikit-learn's own pipeline."""

import copy
import json
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.compose import ColumnTransformer
from sklearn.impute import MissingIndicator, SimpleImputer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from jaxbn.data import Column, Table
from jaxbn.data.preprocess import (
    MAX_CATEGORIES,
    MIN_FREQUENCY,
    fit_preprocessor,
    from_json,
    to_json,
    transform,
)
from jaxbn.errors import UserError


def make_table(numeric, categorical):
    numeric = np.asarray(numeric, dtype=np.float64)
    words = np.empty((len(numeric), len(categorical)), dtype=object)
    for number, column in enumerate(categorical):
        words[:, number] = column
    columns = [Column(f"n{number}", "numeric") for number in range(numeric.shape[1])]
    columns += [Column(f"c{number}", "categorical") for number in range(len(categorical))]
    return Table(tuple(columns), numeric, words)


def oracle(train, other):
    """What scikit-learn makes of `other` when it has learned from `train`."""
    numeric = list(range(train.numeric.shape[1]))
    categorical = list(range(len(numeric), len(numeric) + train.categorical.shape[1]))
    scale = make_pipeline(SimpleImputer(strategy="median", keep_empty_features=True), StandardScaler())
    one_hot = OneHotEncoder(
        handle_unknown="infrequent_if_exist", min_frequency=5, max_categories=64, sparse_output=False
    )
    pipeline = ColumnTransformer(
        [
            ("scaled", scale, numeric),
            ("missing", MissingIndicator(features="missing-only", error_on_new=False), numeric),
            ("one_hot", one_hot, categorical),
        ]
    )
    pipeline.fit(np.concatenate([train.numeric.astype(object), train.categorical], axis=1))
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Found unknown categories")
        return pipeline.transform(np.concatenate([other.numeric.astype(object), other.categorical], axis=1))


WORD = st.one_of(st.none(), st.sampled_from(["red", "green", "blue", "grey", "1", "Ä"]))
NUMBER = st.one_of(st.just(np.nan), st.integers(-3, 3).map(float), st.floats(-1e6, 1e6))


@st.composite
def two_tables(draw):
    num_numeric, num_categorical = draw(st.integers(1, 3)), draw(st.integers(1, 3))

    def table(num_rows):
        rows = st.lists(NUMBER, min_size=num_rows, max_size=num_rows)
        words = st.lists(WORD, min_size=num_rows, max_size=num_rows)
        numeric = [draw(rows) for _ in range(num_numeric)]
        return make_table(np.array(numeric).T, [draw(words) for _ in range(num_categorical)])

    return table(draw(st.integers(2, 30))), table(draw(st.integers(1, 10)))


@settings(max_examples=60, deadline=None)
@given(two_tables())
def test_transform_is_scikit_learns(tables):
    train, other = tables
    preprocessor = fit_preprocessor(train)
    for table in (train, other):
        found, expected = transform(preprocessor, table), oracle(train, table)
        assert found.dtype == np.float32
        assert found.shape == (table.num_rows, preprocessor.num_features)
        scale = 1 + np.abs(expected)
        assert np.all(np.abs(found - expected) <= 1e-6 * scale)


def test_many_categories_share_a_column():
    rng = np.random.default_rng(0)
    words = [f"w{number}" for number in (rng.zipf(1.3, size=3000) % 500).tolist()]
    train = make_table(np.zeros((3000, 1)), [words])
    other = make_table(np.zeros((3, 1)), [["w1", "never seen", None]])
    preprocessor = fit_preprocessor(train)
    found = transform(preprocessor, train)
    np.testing.assert_array_equal(found, oracle(train, train))
    np.testing.assert_array_equal(transform(preprocessor, other), oracle(train, other))
    assert found.shape[1] == 1 + MAX_CATEGORIES
    assert MIN_FREQUENCY == 5


def test_constant_columns_are_zero():
    constants = np.array([0.1, 1e20, -3.3e38, 0.0, 1e-30])
    train = make_table(np.tile(constants, (1000, 1)), [])
    assert not transform(fit_preprocessor(train), train).any()


def test_a_column_without_values_is_zero_with_an_indicator():
    train = make_table([[np.nan, 1.0], [np.nan, 2.0]], [])
    np.testing.assert_array_equal(transform(fit_preprocessor(train), train), [[0, -1, 1], [0, 1, 1]])


def test_what_training_had_not_is_finite():
    train = make_table([[1.0], [1.0 + 1e-7]], [["a", "b"]])
    other = make_table([[np.nan], [3e38]], [["c", None]])
    found = transform(fit_preprocessor(train), other)
    assert np.isfinite(found).all()
    np.testing.assert_array_equal(found[:, 1:], [[1], [1]])


def test_rows_do_not_change_when_taken_in_parts(monkeypatch):
    rng = np.random.default_rng(1)
    numeric = np.where(rng.random((50, 3)) < 0.2, np.nan, rng.normal(size=(50, 3)))
    table = make_table(numeric, [rng.choice(["a", "b"], 50)])
    preprocessor = fit_preprocessor(table)
    whole = transform(preprocessor, table)
    monkeypatch.setattr("jaxbn.data.preprocess._ROWS_AT_ONCE", 7)
    np.testing.assert_array_equal(transform(preprocessor, table), whole)


def test_other_columns_are_refused():
    preprocessor = fit_preprocessor(make_table(np.zeros((2, 1)), [["a", "b"]]))
    with pytest.raises(UserError, match="n0, n1 where training had n0, c0"):
        transform(preprocessor, make_table(np.zeros((2, 2)), []))


@settings(max_examples=30, deadline=None)
@given(two_tables())
def test_json_and_back(tables):
    preprocessor = fit_preprocessor(tables[0])
    written = json.dumps(to_json(preprocessor), allow_nan=False)
    again = from_json(json.loads(written))
    assert json.dumps(to_json(again)) == written
    np.testing.assert_array_equal(transform(again, tables[1]), transform(preprocessor, tables[1]))


BREAKS = {
    "no scale": lambda record: record.pop("scale"),
    "NaN": lambda record: record["mean"].__setitem__(0, float("nan")),
    "scale 0": lambda record: record["scale"].__setitem__(0, 0.0),
    "text for a number": lambda record: record["median"].__setitem__(0, "x"),
    "too few means": lambda record: record["mean"].pop(),
    "another kind": lambda record: record["columns"].__setitem__(0, ["n0", "image"]),
    "a name that is none": lambda record: record["columns"].__setitem__(0, [7, "numeric"]),
    "an indicator too far": lambda record: record["indicators"].append(2),
    "an indicator that is none": lambda record: record["indicators"].append(True),
    "categories missing": lambda record: record["categories"].pop(),
    "a category of number": lambda record: record["categories"][0].append(3),
    "a category twice": lambda record: record["categories"][0].append(record["categories"][0][0]),
    "a category of list": lambda record: record["categories"][0].append([]),
    "a flag of number": lambda record: record["infrequent"].__setitem__(0, 1),
    "no columns": lambda record: record.update(columns=None),
}


@pytest.mark.parametrize("broken", BREAKS)
def test_a_broken_record_is_refused(broken):
    table = make_table([[1.0, np.nan], [2.0, 1.0]] * 5, [["a", "b"] * 5])
    record = json.loads(json.dumps(to_json(fit_preprocessor(table))))
    from_json(copy.deepcopy(record))
    BREAKS[broken](record)
    with pytest.raises(UserError, match="a broken record of preprocessing"):
        from_json(record)


@pytest.mark.parametrize("record", [None, [], "text", 3])
def test_what_is_no_record_is_refused(record):
    with pytest.raises(UserError, match="a broken record of preprocessing"):
        from_json(record)
