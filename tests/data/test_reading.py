"""Rows to predict are read as the training data was."""

import json
import time

import numpy as np
import polars as pl
import pytest

from jaxbn.data import Column, load_data
from jaxbn.data.delimited import read_delimited
from jaxbn.data.reading import Reading, find_column, read_features
from jaxbn.errors import UserError

NAMED = "id,colour,weight,who,grade\n1,red,1.5,p,good\n2,7,2.5,q,bad\n3,red,NA,p,good\n4,7,3.5,q,bad\n"


@pytest.fixture
def named(tmp_path):
    path = tmp_path / "train.csv"
    path.write_text(NAMED)
    return load_data(path, drop=["id"], group="who")


@pytest.fixture
def unnamed(tmp_path):
    path = tmp_path / "train.csv"
    path.write_text(NAMED.split("\n", 1)[1])
    return load_data(path, drop=[0], group=3)


def read(tmp_path, dataset, source):
    if isinstance(source, str):
        path = tmp_path / "rows.csv"
        path.write_text(source)
        source = path
    table = read_features(source, dataset.reading, dataset.features.columns)
    assert table.columns == dataset.features.columns
    return table.categorical[:, 0].tolist(), table.numeric[:, 0].tolist()


@pytest.mark.parametrize(
    "source",
    [
        NAMED,
        "weight,colour\n1.5,red\n2.5,7\n\n?,red\n3.5,7\n",
        "grade,colour,weight\n,red,1.5\n,7,2.5\n,red,na\n?,7,3.5\n",
        [["red", 1.5], ["7", 2.5], ["red", None], [7, "3.5"]],
        np.array([["red", "1.5"], ["7", "2.5"], ["red", ""], ["7", "3.5"]]),
        [
            {"colour": "red", "weight": 1.5},
            {"weight": 2.5, "colour": 7},
            {"colour": "red", "weight": None},
            {"colour": "7", "weight": "3.5"},
        ],
    ],
)
def test_named_columns(tmp_path, named, source):
    colours, weights = read(tmp_path, named, source)
    assert colours == ["red", "7", "red", "7"]
    np.testing.assert_array_equal(weights, [1.5, 2.5, np.nan, 3.5])


@pytest.mark.parametrize(
    "source",
    [
        NAMED.split("\n", 1)[1],
        "red,1.5\n7,2.5\nred,?\n7,3.5\n",
        [
            [1, "red", 1.5, "p", "good"],
            [2, 7, 2.5, "q", "bad"],
            [3, "red", None, "p", "x"],
            [4, 7, 3.5, "q", None],
        ],
    ],
)
def test_columns_by_position(tmp_path, unnamed, source):
    colours, weights = read(tmp_path, unnamed, source)
    assert colours == ["red", "7", "red", "7"]
    np.testing.assert_array_equal(weights, [1.5, 2.5, np.nan, 3.5])


@pytest.mark.parametrize(
    ("source", "width"), [("1,red,1.5,p\n", 4), ("red,1.5,p,good\n", 4), ([["red", 1.5, "good"]], 3)]
)
def test_columns_by_position_that_may_be_several(tmp_path, unnamed, source, width):
    with pytest.raises(UserError) as error:
        read(tmp_path, unnamed, source)
    assert str(error.value) == (
        f"the rows have {width} of the 5 columns of training, and nothing says which they lack of 'column_0', "
        "'column_3', 'column_4', which are no features: give all columns, empty where you have no value, or the "
        "features alone"
    )


@pytest.mark.parametrize("away", [0, 1, 2])
@pytest.mark.parametrize("order", [("a", "b", "who", "grade"), ("who", "grade", "a", "b"), ("a", "who", "grade", "b")])
def test_columns_by_position_that_are_the_same_whatever_is_left_out(order, away):
    left = [name for name in order if name not in ("who", "grade")[:away]]
    reading = Reading(False, order, "grade", ("who",))
    columns = (Column("a", "numeric"), Column("b", "categorical"))
    table = read_features([[{"a": 1.5, "b": "x"}.get(name) for name in left]], reading, columns)
    assert (table.numeric.tolist(), table.categorical.tolist()) == ([[1.5]], [["x"]])


def test_one_row_whose_text_is_all_numbers(tmp_path, named):
    assert read(tmp_path, named, "colour,weight\n7,2\n") == (["7"], [2.0])


def test_every_record_is_a_row(tmp_path, named):
    colours, weights = read(tmp_path, named, "colour,weight,grade\n,,\n,,good\n?,?,?\n")
    assert colours == [None] * 3
    assert np.isnan(weights).all()


def test_text_among_numbers_is_missing_and_told_where_it_is_more_than_a_little(tmp_path, named):
    said = "column 'weight' was numeric in training and holds text in 1 of 3 values, such as 'heavy': these count as"
    with pytest.warns(UserWarning, match=said):
        _, weights = read(tmp_path, named, "colour,weight\nred,1.5\n7,heavy\nred,\n7,3.5\n")
    np.testing.assert_array_equal(weights, [1.5, np.nan, np.nan, 3.5])
    _, weights = read(tmp_path, named, "colour,weight\n7,heavy\n" + "red,1.5\n" * 20)
    assert np.isnan(weights).sum() == 1


def test_frames(tmp_path, named):
    pd = pytest.importorskip("pandas")
    frame = pd.DataFrame({"weight": [1, 2], "colour": pd.Categorical(["red", None])})
    assert read(tmp_path, named, frame) == (["red", None], [1.0, 2.0])
    assert read(tmp_path, named, pytest.importorskip("polars").from_pandas(frame)) == (
        ["red", None],
        [1.0, 2.0],
    )
    assert read(tmp_path, named, pytest.importorskip("pyarrow").Table.from_pandas(frame)) == (
        ["red", None],
        [1.0, 2.0],
    )


def test_arrays_images_and_files_of_them(tmp_path):
    x, y = np.arange(24.0).reshape(4, 2, 3), [0, 1, 0, 1]
    dataset = load_data((x, y))
    np.savez(tmp_path / "rows.npz", x=x)
    (tmp_path / "rows.csv").write_text("\n".join(",".join(map(str, row)) for row in x.reshape(4, 6).tolist()))
    (tmp_path / "named.csv").write_text("a,b,c,d,e,f\n" + (tmp_path / "rows.csv").read_text())
    for source in (x, x.tolist(), tmp_path / "rows.npz", tmp_path / "rows.csv", tmp_path / "named.csv"):
        table = read_features(source, dataset.reading, dataset.features.columns)
        np.testing.assert_array_equal(table.numeric, x.reshape(4, 6))


def test_a_builtin_set():
    dataset = load_data("iris")
    table = read_features("iris", dataset.reading, dataset.features.columns)
    np.testing.assert_array_equal(table.numeric, dataset.features.numeric)


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("colour\nred\n", "lack 'weight'"),
        ("colour,weight,height\nred,1,2\n", "have 'height', unknown in training"),
        ("colour,height\nred,2\n", "lack 'weight' and have 'height'"),
        ([["red"]], "have 1 columns where training had 4 beside the target, so they lack 'weight'"),
        ([["red", 1, 2, 3, 4, 5]], "have 2 too many"),
        ([], "no rows to predict"),
        ([["red", 1], ["blue"]], "not of one length"),
        ([1, [2]], "not of one length"),
        (["red", 1], "are a plain list of values: give a list of rows, also for one"),
        (("red", None), "are a plain list of values: give a list of rows, also for one"),
        ({"colour": "red", "weight": 1}, "data of type dict cannot be read: give a list of rows, also for one, a path"),
        (
            [{"colour": "red", "weight": 1}, {"colour": "red"}],
            "record 2 does not have the names of the first",
        ),
        ([{"colour": "red"}], "lack 'weight'"),
        ([{"colour": "red", "weight": np.inf}], "column 'weight' holds inf in data row 1"),
        ("colour,weight\nred,inf\n", "column 'weight' holds inf in data row 1"),
        ("colour,weight\nred,1,2\n", "line 2 of"),
        ("weight,colour\n?,7\nheavy,red\nlight,7\n", "text in 2 of 2 values, such as 'heavy': write numbers"),
        ([{"colour": "red", "weight": "1,5"}] * 2, "'weight' was numeric in training and holds text in 2 of 2 values"),
        ("colour,weight\n", "header and no rows"),
        ("", "is empty"),
        (7, "data of type int cannot be read: give a list of rows, also for one, a path or a data frame"),
    ],
)
def test_rows_of_no_use(tmp_path, named, source, said):
    with pytest.raises(UserError) as error:
        read(tmp_path, named, source)
    assert said in str(error.value)
    assert "\n" not in str(error.value)


def test_many_columns_take_time_that_grows_with_their_number():
    names = [f"x{number}" for number in range(20_000)]
    x, y = np.ones((6, len(names))), list("ababab")
    frame = pl.DataFrame(x, schema=names)
    began = time.perf_counter()
    for rows in (x, frame):
        dataset = load_data((rows, y))
        assert len(read_features(rows, dataset.reading, dataset.features.columns).columns) == len(names)
    content = "\n".join(",".join(row) for row in (names, ["1"] * len(names)))
    assert read_delimited(content.encode(), "t.csv", header=True).names == tuple(names)
    assert time.perf_counter() - began < 20


def test_json_and_back(named, unnamed):
    for reading in (named.reading, unnamed.reading, Reading(None, ("a",), None)):
        assert Reading.from_json(json.loads(json.dumps(reading.to_json()))) == reading


@pytest.mark.parametrize(
    "change",
    [
        {"columns": "ab"},
        {"columns": [1, 2]},
        {"target": "nowhere"},
        {"group": ["a"]},
        {"header": "yes"},
        {"dropped": None},
        {"dropped": ["nowhere"]},
    ],
)
def test_a_broken_record_is_refused(named, change):
    with pytest.raises(UserError, match="a broken record of how data was read"):
        Reading.from_json(named.reading.to_json() | change)


@pytest.mark.parametrize("record", [None, [], {}, "text"])
def test_what_is_no_record_is_refused(record):
    with pytest.raises(UserError, match="a broken record of how data was read"):
        Reading.from_json(record)


def test_find_column():
    assert find_column(("a", "b"), np.int64(1), "column") == "b"
    with pytest.raises(UserError, match="choose a number from 0 to 1"):
        find_column(("a", "b"), "2", "column")
