"""Data sets from files, arrays and frames."""

import dataclasses
import gzip
import io
import json
from pathlib import Path

import numpy as np
import pytest

from jaxbn.data import Column, fingerprint, load_data, prepare, split_rows
from jaxbn.data import content as content_of_files
from jaxbn.data.reading import read_features
from jaxbn.errors import UserError

TABLE = """\
id, colour, weight, ok, flat, grade
10, red,  1.5, true,  7, good

11, blue,    ?, false, 7, bad
12, ,    2.5, TRUE,  7, good
13, red,  NA, ,      7, bad
"""


def write(tmp_path, content, name="t.csv"):
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def test_two_columns_of_one_name_are_refused():
    pd = pytest.importorskip("pandas")
    frame = pd.DataFrame([[1, 2, 0], [3, 4, 1]], columns=["a", "a", "y"])
    with pytest.raises(UserError, match="two columns are called 'a': rename one"):
        load_data(frame, target="y")


def test_a_number_that_may_be_a_name_is_refused():
    pd = pytest.importorskip("pandas")
    frame = pd.DataFrame(np.arange(60).reshape(20, 3) % 7, columns=[5, 3, 0])
    with pytest.raises(UserError, match="target column 0 is the column called '0' or the one numbered so, called '5'"):
        load_data(frame, target=0)
    assert load_data(frame, target="0").target_name == "0"


def test_a_real_table(tmp_path):
    dataset = load_data(write(tmp_path, TABLE))
    kinds = {column.name: column.kind for column in dataset.features.columns}
    assert kinds == {
        "id": "numeric",
        "colour": "categorical",
        "weight": "numeric",
        "ok": "numeric",
        "flat": "numeric",
    }
    expected = [[10, 1.5, 1, 7], [11, np.nan, 0, 7], [12, 2.5, 1, 7], [13, np.nan, np.nan, 7]]
    np.testing.assert_array_equal(dataset.features.numeric, expected)
    assert dataset.features.categorical[:, 0].tolist() == ["red", "blue", None, "red"]
    assert dataset.target.tolist() == [1, 0, 1, 0]
    assert (dataset.target_name, dataset.classes, dataset.name) == ("grade", ("bad", "good"), "t.csv")
    said = "\n".join(dataset.notes)
    assert "the target is taken to be 'grade', as the last column" in said
    assert "looks like an id, as it numbers the rows (drop it, unless it means something): 'id'" in said
    assert "the same in every row, so of no use: 'flat'" in said


@pytest.mark.parametrize(
    "kind", ["csv", "tsv", "csv.gz", "parquet", "parquet.gz", "polars", "lazy", "pandas", "pyarrow"]
)
def test_every_source_of_a_table_is_the_same(tmp_path, kind):
    pl = pytest.importorskip("polars")
    rng = np.random.default_rng(0)
    frame = pl.DataFrame(
        {
            "n": rng.normal(size=40),
            "c": rng.choice(["u", "v", "w"], 40),
            "b": rng.random(40) < 0.5,
            "y": rng.integers(0, 3, 40),
        }
    ).with_columns(pl.when(pl.int_range(40) % 9 == 0).then(None).otherwise(pl.col("n", "c", "b")).name.keep())
    path = tmp_path / f"t.{kind}"
    file = io.BytesIO()
    if kind.startswith(("csv", "tsv")):
        frame.write_csv(file, separator="\t" if kind == "tsv" else ",")
    elif kind.startswith("parquet"):
        frame.write_parquet(file)
    path.write_bytes(gzip.compress(file.getvalue()) if kind.endswith("gz") else file.getvalue())
    if kind in ("pandas", "pyarrow"):
        pytest.importorskip(kind)
    made = {"polars": lambda: frame, "lazy": frame.lazy, "pandas": frame.to_pandas, "pyarrow": frame.to_arrow}
    dataset = load_data(made[kind]() if kind in made else str(path), target="y")
    assert [column.kind for column in dataset.features.columns] == ["numeric", "categorical", "numeric"]
    expected = np.array([frame["n"].to_list(), frame["b"].to_list()], dtype=float).T
    np.testing.assert_array_equal(dataset.features.numeric, expected)
    assert dataset.features.categorical[:, 0].tolist() == frame["c"].to_list()
    assert dataset.target.tolist() == frame["y"].to_list()
    assert fingerprint(dataset) == fingerprint(load_data(frame, target="y"))


def test_arrays_of_any_shape_and_npz(tmp_path):
    rng = np.random.default_rng(0)
    images, labels = rng.integers(0, 9, (30, 2, 3)).astype(np.uint8), rng.integers(0, 3, 30)
    np.savez(tmp_path / "t.npz", x=images, y=labels)
    for source in ((images, labels), [images, labels.tolist()], tmp_path / "t.npz"):
        dataset = load_data(source)
        np.testing.assert_array_equal(dataset.features.numeric, images.reshape(30, 6))
        np.testing.assert_array_equal(dataset.target, labels)
        assert dataset.features.columns[5] == Column("column_5", "numeric")


def test_a_frame_with_labels_apart():
    pd = pytest.importorskip("pandas")
    frame = pd.DataFrame({"a": [1, 2, None, 4], "c": pd.Categorical(["x", "y", None, "x"]), 7: [1.0, 2.0, 3.0, 5.0]})
    dataset = load_data((frame, pd.Series(["p", "q", "p", "q"])))
    assert [column.name for column in dataset.features.columns] == ["a", "c", "7"]
    assert dataset.features.categorical[:, 0].tolist() == ["x", "y", None, "x"]
    assert dataset.classes == ("p", "q")


def test_kinds_of_values_in_pandas():
    pd = pytest.importorskip("pandas")
    frame = pd.DataFrame(
        {
            "int": pd.array([1, None, 3, 5], dtype="Int64"),
            "bool": pd.array([True, None, False, True], dtype="boolean"),
            "object": [True, None, False, True],
            "mixed": [1, "x", None, 2.5],
            "y": [1.0, 2.0, 1.0, 2.0],
        }
    )
    dataset = load_data(frame, target="y")
    expected = [[1, np.nan, 3, 5], [1, np.nan, 0, 1], [1, np.nan, 0, 1]]
    np.testing.assert_array_equal(dataset.features.numeric.T, expected)
    assert dataset.features.categorical[:, 0].tolist() == ["1", "x", None, "2.5"]
    assert dataset.classes == (1, 2)
    assert isinstance(dataset.classes[0], int)


@pytest.mark.parametrize("kind", ["python", "pyarrow"])
def test_types_of_text_and_of_arrow_are_read_like_others(kind):
    pd = pytest.importorskip("pandas")
    pytest.importorskip("pyarrow")
    plain = pd.DataFrame(
        {"n": [1, None, 3, 4], "t": ["u", "v", None, "u"], "y": ["p", "q", "p", "q"]}, index=[9, 9, 7, 1]
    )
    number, boolean = ("Int64", "boolean") if kind == "python" else ("int64[pyarrow]", "bool[pyarrow]")
    typed = plain.astype({"n": number, "t": f"string[{kind}]", "y": f"string[{kind}]"})
    typed["b"] = pd.array([True, None, False, True], dtype=boolean)
    plain["b"] = [1.0, None, 0.0, 1.0]
    found = load_data(typed, target="y")
    assert [(column.name, column.kind) for column in found.features.columns] == [
        ("n", "numeric"),
        ("t", "categorical"),
        ("b", "numeric"),
    ]
    assert fingerprint(found) == fingerprint(load_data(plain, target="y"))


def test_numbers_that_are_declared_categories_are_categories():
    pd, pl = pytest.importorskip("pandas"), pytest.importorskip("polars")
    codes, labels = [3, 1, 3, 2], ["7", "8", "7", "8"]
    frame = pd.DataFrame(
        {"code": pd.Categorical(codes), "size": [1.0, 2.0, 3.0, 5.0], "y": pd.Categorical([7, 8, 7, 8])}
    )
    in_polars = pl.DataFrame(
        {
            "code": pl.Series(list(map(str, codes)), dtype=pl.Enum(["1", "2", "3"])),
            "size": frame["size"].to_list(),
            "y": pl.Series(labels, dtype=pl.Categorical),
        }
    )
    for source in (frame, frame.assign(code=pd.Categorical(codes, ordered=True)), in_polars, in_polars.to_arrow()):
        dataset = load_data(source, target="y")
        assert [column.kind for column in dataset.features.columns] == ["categorical", "numeric"]
        assert dataset.features.categorical[:, 0].tolist() == ["3", "1", "3", "2"]
        # What is declared is no guess, so nothing is said about it.
        assert dataset.classes == (7, 8) and not any("taken to be" in note for note in dataset.notes)
    # Rows to predict need not be declared again.
    rows = frame.assign(code=[3.0, 1.0, 3.0, 2.0])
    read = read_features(rows, dataset.reading, dataset.features.columns)
    assert read.categorical[:, 0].tolist() == ["3", "1", "3", "2"]


def temporal():
    from datetime import date, time, timedelta

    pl = pytest.importorskip("polars")
    days = [date(2020, 1, day) for day in (1, 2, 3, 4)]
    return pl.DataFrame(
        {
            "day": days,
            "moment": pl.Series(days).cast(pl.Datetime),
            "hour": [time(hour) for hour in (1, 2, 3, 4)],
            "span": [timedelta(hours=hour) for hour in (1, 2, 3, 4)],
            "x": [1.0, 2.0, 3.0, 5.0],
            "y": [1, 0, 1, 0],
        }
    )


@pytest.mark.parametrize("name", ["day", "moment", "hour", "span"])
@pytest.mark.parametrize("convert", ["clone", "lazy", "to_arrow"])
def test_dates_and_times_are_refused_in_one_sentence(name, convert):
    frame = temporal().select(name, "x", "y")
    with pytest.raises(UserError, match=f"dates or times in column '{name}': make numbers of them") as error:
        load_data(getattr(frame, convert)(), target="y")
    assert "\n" not in str(error.value)
    with pytest.raises(UserError, match="dates or times"):
        load_data(frame, target=name)
    dropped = load_data(frame, target="y", drop=[name])
    assert [column.name for column in dropped.features.columns] == ["x"]
    # Rows to predict may have what was dropped, but no dates where numbers were.
    read = read_features(frame, dropped.reading, dropped.features.columns)
    assert read.numeric[:, 0].tolist() == [1.0, 2.0, 3.0, 5.0]
    with pytest.raises(UserError, match="dates or times in column 'x'"):
        read_features(frame.rename({"x": "kept", name: "x"}).drop("kept"), dropped.reading, dropped.features.columns)


def test_dates_of_pandas_are_refused_too():
    pd = pytest.importorskip("pandas")
    frame = pd.DataFrame(
        {"when": pd.to_datetime(["2020-01-01", None, "2020-01-02"]), "x": [1.0, 2.0, 3.0], "y": [1, 0, 1]}
    )
    with pytest.raises(UserError, match="dates or times in column 'when'"):
        load_data(frame, target="y")
    assert load_data(frame, target="y", group="when", task="classification").groups.tolist() == [0, 1, 2]


@pytest.mark.parametrize("target", ["b", 1, "1"])
def test_target_by_name_and_number(tmp_path, target):
    dataset = load_data(write(tmp_path, "a,b,c\n1.5,x,2\n2.5,y,3\n3.5,x,3\n"), target=target)
    assert dataset.target_name == "b"
    assert [column.name for column in dataset.features.columns] == ["a", "c"]


def test_a_name_of_digits_comes_before_a_number(tmp_path):
    path = write(tmp_path, "0,2,1,y\n1.5,1,2,a\n2.5,2,2,b\n3.5,2,1,a\n")
    dataset = load_data(path, target="2", task="classification", header=True)
    assert dataset.target.tolist() == [0, 1, 1]


@pytest.mark.parametrize(
    ("names", "target", "why"),
    [
        ("Label,a,b", "Label", "by its name"),
        ("y,target,b", "b", "as the last column"),
        ("a,b,c", "c", "as the last"),
    ],
)
def test_target_when_nobody_says(tmp_path, names, target, why):
    dataset = load_data(write(tmp_path, names + "\n1,2,1\n2,1,2\n1,2,2\n2,1,1\n"))
    assert dataset.target_name == target
    assert why in dataset.notes[0]


def test_a_file_without_header(tmp_path):
    dataset = load_data(write(tmp_path, "5.1,red,a\n4.2,blue,b\n3.3,red,a\n"))
    assert [column.name for column in dataset.features.columns] == ["column_0", "column_1"]
    assert dataset.reading.header is False
    told = load_data(write(tmp_path, "x,y\n1,a\n2,b\n"), header=False)
    assert told.features.num_rows == 3


def test_drop_and_group(tmp_path):
    content = "id,who,a,y\n" + "".join(f"{row},{who},{row / 7},{row % 2}\n" for row, who in enumerate("ppqq?rrp"))
    dataset = load_data(write(tmp_path, content), drop=("id",), group="who")
    assert [column.name for column in dataset.features.columns] == ["a"]
    assert dataset.groups is not None
    assert dataset.groups.tolist() == [0, 0, 1, 1, 2, 3, 3, 0]
    assert any("rows without a value in column 'who', each a group of its own: 1" in note for note in dataset.notes)
    assert load_data(write(tmp_path, content), drop=0, group=1).reading == dataset.reading
    for drop in (np.int64(0), [np.int64(0)], np.array([0]), "0"):
        assert load_data(write(tmp_path, content), drop=drop, group=np.int8(1)).reading == dataset.reading
    assert load_data(write(tmp_path, content), drop=None).reading == load_data(write(tmp_path, content)).reading


def test_rows_without_a_target_are_counted_and_left_out(tmp_path):
    content = "a,g,y\n1.5,1,p\n2.5,1,\n3.5,2,q\n4.5,3,NA\n5.5,3,p\n"
    dataset = load_data(write(tmp_path, content), group="g", test=write(tmp_path, content, "test.csv"))
    assert dataset.features.numeric[:, 0].tolist() == [1.5, 3.5, 5.5]
    assert dataset.target.tolist() == [0, 1, 0]
    assert dataset.groups is not None
    assert dataset.groups.tolist() == [0, 1, 2]
    assert "rows of the data without a target, left out: 2" in dataset.notes
    assert "rows of the test set without a target, left out: 2" in dataset.notes


def test_text_among_numbers_is_missing(tmp_path):
    rows = [f"{row / 7},{row % 2}" for row in range(60)]
    rows[7], rows[9] = "oops,1", "many,0"
    dataset = load_data(write(tmp_path, "a,y\n" + "\n".join(rows)))
    assert np.flatnonzero(np.isnan(dataset.features.numeric[:, 0])).tolist() == [7, 9]
    assert "rows with text in column 'a', which is mostly numbers, counted as missing: 2" in dataset.notes


def test_text_of_its_own_in_every_row_is_left_out(tmp_path):
    content = "name,a,y\n" + "".join(f"n{row * 7},{row / 7},{row % 2}\n" for row in range(30))
    dataset = load_data(write(tmp_path, content))
    assert [column.name for column in dataset.features.columns] == ["a"]
    assert dataset.reading.dropped == ("name",)
    assert any("the text in every row is different, as in an id: 'name'" in note for note in dataset.notes)


def test_a_test_set_is_read_as_the_data(tmp_path):
    data = write(tmp_path, "a,c,y\n1.5,u,k1\n2.5,v,k2\n3.5,u,k1\n4.5,v,k2\n")
    test = write(tmp_path, "y,c,a\nk3,w,9\nk1,1,x\n", "test.csv")
    with pytest.warns(UserWarning, match="'a' was numeric in training and holds text in 1 of 2 values, such as 'x'"):
        dataset = load_data(data, test=test)
    assert dataset.test is not None
    assert dataset.classes == dataset.test.classes == ("k1", "k2", "k3")
    np.testing.assert_array_equal(dataset.test.features.numeric, [[9], [np.nan]])
    assert dataset.test.features.categorical[:, 0].tolist() == ["w", "1"]
    assert dataset.test.target.tolist() == [2, 0]
    with pytest.raises(UserError, match="'a' was numeric in training and holds text in 2 of 2 values, such as '9,5'"):
        load_data(data, test=write(tmp_path, "y;c;a\nk3;w;9,5\nk1;1;1,5\n", "test.csv"))


def test_a_source_is_recorded_as_it_was_read(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    file, other = write(tmp_path, TABLE), write(tmp_path, TABLE, "iris")
    for given in ("~/t.csv", "t.csv", file):
        dataset = load_data(given, test=given)
        assert dataset.source == dataset.test_source == str(file.resolve())
    # What has a name that is built in is read by a path alone.
    assert load_data("iris").source == "iris"
    assert load_data("./iris").source == load_data(Path("iris")).source == str(other.resolve())
    with pytest.raises(UserError, match=r"the home folder in '~nobody_of_that_name/t.csv' is not known: write"):
        load_data("~nobody_of_that_name/t.csv")


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("iris", "there is no file 'iris': write the name of the built-in data set as a string"),
        ("irs", "unknown data set or file 'irs' (did you mean 'iris'?)"),
    ],
)
def test_a_path_that_is_not_there(tmp_path, monkeypatch, name, said):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError) as error:
        load_data(Path(name))
    assert str(error.value).startswith(said)


def test_fingerprint_is_of_the_content(tmp_path):
    base = load_data(write(tmp_path, TABLE))
    assert fingerprint(base) == fingerprint(load_data(write(tmp_path, TABLE, "moved.csv")))
    assert len(fingerprint(base)) == 64
    changed = [
        load_data(write(tmp_path, TABLE.replace("1.5", "1.50001"))),
        load_data(write(tmp_path, TABLE.replace("blue", "green"))),
        load_data(write(tmp_path, TABLE.replace("weight", "mass"))),
        load_data(write(tmp_path, TABLE.replace("bad", "worse"))),
        load_data(write(tmp_path, TABLE), drop="flat"),
        load_data(write(tmp_path, TABLE), group="flat"),
        dataclasses.replace(base, test=base),
        dataclasses.replace(base, target=base.target[::-1].copy()),
    ]
    assert len({fingerprint(dataset) for dataset in [base, *changed]}) == 9


def test_big_table_through_files(tmp_path):
    rng = np.random.default_rng(0)
    num_rows = 20_000
    size = rng.normal(size=num_rows)
    town = rng.choice([f"town {number}" for number in range(100)], num_rows)
    kind = np.clip((size * 1.5 + 4).astype(int), 0, 7)
    cells = [
        [
            f"{size[row]:.6f}" if row % 11 else "?",
            f" {town[row]} " if row % 13 else "",
            str(row),
            f"kind {kind[row]}",
        ]
        for row in range(num_rows)
    ]
    path = write(
        tmp_path,
        gzip.compress(("size,town,id,kind\n" + "\n".join(map(",".join, cells))).encode()),
        "t.csv.gz",
    )
    dataset = load_data(path, target="kind", drop=["id"])
    assert dataset.classes == tuple(f"kind {code}" for code in range(8))
    np.testing.assert_array_equal(dataset.target, kind)
    split, notes = split_rows(dataset)
    prepared = prepare(dataset, split)
    assert notes == ()
    assert prepared.train.x.shape == (12_000, 1 + 1 + 64)
    assert prepared.num_outputs == 8
    np.testing.assert_array_equal(prepared.train.y, kind[split.train])
    np.testing.assert_array_equal(prepared.test.x[:, 1], split.test % 11 == 0)
    assert prepared.test.x[:, 2:].sum(axis=1).tolist() == [1.0] * 4_000


@pytest.mark.parametrize(
    ("content", "options", "said"),
    [
        ("a,y\n1,0\ninf,1\n", {}, "column 'a' holds inf in data row 2"),
        ("a,y\n1,0\n1e39,1\n", {}, "column 'a' holds 1e+39 in data row 2"),
        ("a,y\n1,0\n2,0\n", {}, "one class, 0"),
        ("a,y\n1,\n2,?\n", {"target": "y"}, "no row has a value of the target 'y'"),
        ("a,y\n1,0\n2,1\n", {"target": "Y"}, "unknown target column 'Y'"),
        ("a,y\n1,0\n2,1\n", {"target": 2}, "target column 2 does not exist"),
        ("a,y\n1,0\n2,1\n", {"target": -1}, "target column -1 does not exist"),
        ("a,y\n1,0\n2,1\n", {"drop": ["b"]}, "unknown column to drop 'b'"),
        ("a,y\n1,0\n2,1\n", {"group": "b"}, "unknown group column 'b'"),
        ("a,y\n1,0\n2,1\n", {"drop": ["y"], "target": "y"}, "column 'y' is the target and also dropped"),
        ("a,y\n1,0\n2,1\n", {"target": ["y"]}, "target column ['y'] is neither a name nor a whole number: give one"),
        ("a,y\n1,0\n2,1\n", {"target": 1.7}, "target column 1.7 is neither a name nor a whole number"),
        ("a,y\n1,0\n2,1\n", {"target": True}, "target column True is neither a name nor a whole number"),
        ("a,y\n1,0\n2,1\n", {"group": ["a"]}, "group column ['a'] is neither a name nor a whole number"),
        ("a,y\n1,0\n2,1\n", {"drop": 1.5}, "column to drop 1.5 is neither a name nor a whole number"),
        ("a,y\n1,0\n2,1\n", {"drop": [None]}, "column to drop None is neither a name nor a whole number"),
        ("a,y\n1,0\n2,1\n", {"drop": False}, "column to drop False is neither a name nor a whole number"),
        ("a,y\n1,0\n2,1\n", {"header": "yes"}, "header = 'yes' is neither True nor False"),
        ("a,y\n1,0\n2,1\n", {"header": 1}, "header = 1 is neither True nor False"),
        ("a,y\n1,0\n2,1\n", {"drop": ["a", "y"]}, "every column is dropped"),
        ("a,y\n1,0\n2,1\n", {"drop": ["a"]}, "no column is left to learn from"),
        ("y\n1\n2\n", {}, "no column is left to learn from"),
        ("a,y\n1,0\n2,1\n", {"task": "clustering"}, "unknown task 'clustering'"),
        ("a,y\n1,u\n2,v\n", {"task": "regression"}, "holds text in 2 of 2 rows"),
        ("a,y\n1,0\n2\n", {}, "line 3 of"),
        ("", {}, "is empty"),
        ("name,y\n" + "".join(f"n{row}x,{row % 2}\n" for row in range(20)), {}, "'name' is different"),
        (b"\x1f\x8b\x08broken", {}, "broken gzip"),
        (b"PAR1broken", {}, "broken Parquet"),
        (bytes(range(256)), {}, "no table of UTF-8 text"),
    ],
)
def test_tables_of_no_use(tmp_path, content, options, said):
    path = write(tmp_path, content)
    with pytest.raises(UserError) as error:
        load_data(path, **options)
    assert said in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ({"a": np.zeros((3, 2))}, "holds a: save arrays x and y"),
        ({"x": np.zeros((3, 2))}, "holds x: save arrays x and y"),
        ({"x": np.zeros((3, 2)), "y": np.zeros(4)}, "y has shape (4,) for 3 rows"),
        ({"x": np.zeros(3), "y": np.zeros(3)}, "x has shape (3,)"),
        ({"x": np.zeros((0, 3)), "y": np.zeros(0)}, "x has shape (0, 3)"),
        ({"x": np.array([[None]], dtype=object), "y": np.zeros(1)}, "cannot be read as NPZ"),
        (b"PK\x03\x04broken", "cannot be read as NPZ"),
        (b"broken", "cannot be read as NPZ"),
    ],
)
def test_npz_of_no_use(tmp_path, content, said):
    file = io.BytesIO()
    if isinstance(content, dict):
        np.savez(file, **content)
    path = write(tmp_path, content if isinstance(content, bytes) else file.getvalue(), "t.npz")
    with pytest.raises(UserError) as error:
        load_data(path)
    assert said in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("source", "options", "said"),
    [
        ("digts", {}, "unknown data set or file 'digts' (did you mean 'digits'?)"),
        ("nowhere/t.csv", {}, "there is no file 'nowhere/t.csv'"),
        ("t.csv", {}, "there is no file 't.csv'"),
        (3, {}, "data of type int cannot be read"),
        ((np.zeros((3, 1)),), {}, "1 arrays were given"),
        (([[1.0], [2.0, 3.0]], [1, 2]), {}, "rows of equal length"),
        ((np.zeros((4, 1)), [0, 1, 0, 1]), {"target": "y"}, "labels that come apart"),
        ((np.array([[1.0], [np.inf]]), [0, 1]), {}, "column 'column_0' holds inf"),
        (
            (np.zeros((4, 1)), [0, 1, 0, 1]),
            {"test": (np.zeros((2, 3)), [0, 1])},
            "have 3 columns where training had 1",
        ),
        ((np.zeros((4, 1)), [0, 1, 0, 1]), {"test": (np.zeros((1, 1)), [np.nan])}, "no row of the test set"),
        ((np.zeros((4, 1)), ["a"] * 4), {"test": (np.zeros((1, 1)), ["b"])}, "has one class, 'a'"),
        (
            (np.zeros((4, 1)), [0, 1, 0, 1]),
            {"test": (np.zeros((2, 1)), np.ones((2, 2)))},
            "different numbers of columns",
        ),
    ],
)
def test_sources_of_no_use(source, options, said):
    with pytest.raises(UserError) as error:
        load_data(source, **options)
    assert said in str(error.value)
    assert "\n" not in str(error.value)


def test_frames_of_no_use():
    pl = pytest.importorskip("polars")
    with pytest.raises(UserError, match="column 'a' holds List"):
        load_data(pl.DataFrame({"a": [[1], [2]], "y": [0, 1]}))
    with pytest.raises(UserError, match="0 rows and 2 columns"):
        load_data(pl.DataFrame({"a": [], "y": []}))


def test_loading_is_deterministic(tmp_path):
    path = write(tmp_path, TABLE)
    first, second = load_data(path), load_data(path)
    assert first.notes == second.notes
    assert first.reading == second.reading
    assert json.dumps(first.reading.to_json()) == json.dumps(second.reading.to_json())


@pytest.mark.parametrize("closed", [False, True])
def test_a_broken_parquet_file_says_nothing_on_stderr_and_a_whole_one_needs_none(tmp_path, closed):
    import shlex
    import subprocess
    import sys

    code = (
        "import jaxbn, polars;"
        "polars.DataFrame({'u': range(60), 'y': ['a', 'b'] * 30}).write_parquet('whole.parquet');"
        "jaxbn.load_data('whole.parquet');"
        "content = open('whole.parquet', 'rb').read();"
        "open('broken.parquet', 'wb').write(content[:40] + bytes(60) + content[100:]);"
        "\ntry: jaxbn.load_data('broken.parquet')"
        "\nexcept jaxbn.UserError as error: print('refused', error)"
    )
    command = f"{shlex.quote(sys.executable)} -c {shlex.quote(code)}" + (" 2>&-" if closed else "")
    done = subprocess.run(command, shell=True, cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stderr) == (0, "") and done.stdout.startswith("refused")


def test_parquet_that_several_threads_read_leaves_stderr_where_it_was(tmp_path):
    import subprocess
    import sys

    code = (
        "import os, polars, jaxbn;"
        "from concurrent.futures import ThreadPoolExecutor;"
        "polars.DataFrame({'u': range(60), 'y': ['a', 'b'] * 30}).write_parquet('t.parquet');"
        "before = os.fstat(2);"
        "\nfor _ in range(5):"
        "\n    with ThreadPoolExecutor(8) as pool: list(pool.map(jaxbn.load_data, ['t.parquet'] * 16))"
        "\nassert os.path.samestat(os.fstat(2), before), 'another file'"
        "\nos.write(2, b'heard')"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stderr) == (0, "heard")


@pytest.mark.parametrize("kind", ["csv.gz", "npz"])
def test_a_file_that_would_fill_the_memory_is_refused(tmp_path, monkeypatch, kind):
    monkeypatch.setattr(content_of_files, "EXPANDED", 1 << 16)
    path = tmp_path / f"bomb.{kind}"
    zeros = np.zeros((1 << 20, 2))
    if kind == "npz":
        np.savez_compressed(path, x=zeros, y=zeros[:, 0])
    else:
        path.write_bytes(gzip.compress(b"0,0\n" * (1 << 20)))
    with pytest.raises(UserError, match=r"expand to more than .*: expand it yourself if you trust it"):
        load_data(path)
    monkeypatch.setattr(content_of_files, "EXPANDED", 1 << 30)
    assert len(load_data(path, task="regression").target) == 1 << 20


def test_text_of_which_nothing_is_learned_and_numbers_with_commas_are_noted(tmp_path):
    rows = [f"2024-{1 + n % 12:02}-{1 + n // 2:02};{n % 4},5;{'ab'[n % 2]}\n" for n in range(40)]
    (tmp_path / "t.csv").write_text("day;size;kind\n" + "".join(rows) + rows[0])
    notes = " | ".join(load_data(tmp_path / "t.csv").notes)
    assert "no text occurs 5 times, so nothing is learned from it (make numbers of dates): 'day'" in notes
    assert "decimal commas, and is read as text (write points): 'size'" in notes
    assert not [note for note in load_data("iris").notes if "commas" in note or "occurs" in note]
