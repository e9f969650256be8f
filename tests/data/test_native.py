"""Predictions take the library, the name and the index of the rows."""

import numpy as np
import pytest

from jaxbn.data.native import eager, frame_like, series_like

pd, pl, pa = (pytest.importorskip(name) for name in ("pandas", "polars", "pyarrow"))

FRAMES = {
    "pandas": pd.DataFrame({"x": [1.0, 2.0, 3.0]}, index=["c", "a", "a"]),
    "polars": pl.DataFrame({"x": [1.0, 2.0, 3.0]}),
    "pyarrow": pa.table({"x": [1.0, 2.0, 3.0]}),
}
VALUES = [np.array(["u", "v", "u"]), np.array([True, False, True]), np.array([3, 1, 2]), np.array([0.5, 1.5, 2.5])]


@pytest.mark.parametrize("kind", FRAMES)
@pytest.mark.parametrize("values", VALUES, ids=lambda values: values.dtype.kind)
def test_a_series(kind, values):
    made = series_like(FRAMES[kind], values, "y")
    assert type(made) is {"pandas": pd.Series, "polars": pl.Series, "pyarrow": pa.ChunkedArray}[kind]
    assert (made.to_pylist() if kind == "pyarrow" else made.to_list()) == values.tolist()
    if kind != "pyarrow":
        assert made.name == "y"
    if kind == "pandas":
        assert made.index.equals(FRAMES[kind].index)


@pytest.mark.parametrize("kind", FRAMES)
def test_a_frame(kind):
    values = np.arange(6.0).reshape(3, 2)
    for made, names in (
        (frame_like(FRAMES[kind], values, ["a", "b"]), ["a", "b"]),
        (series_like(FRAMES[kind], values, "y"), ["y_0", "y_1"]),
    ):
        assert type(made) is type(FRAMES[kind])
        assert list(made.column_names if kind == "pyarrow" else made.columns) == names
        np.testing.assert_array_equal(np.stack([np.asarray(made[name]) for name in names], axis=1), values)
        if kind == "pandas":
            assert made.index.equals(FRAMES[kind].index)


def test_several_levels_of_an_index_stay():
    index = pd.MultiIndex.from_tuples([("u", 1), ("u", 2), ("v", 1)], names=["who", "when"])
    frame = FRAMES["pandas"].set_axis(index)
    assert series_like(frame, VALUES[2], "y").index.equals(index)
    assert series_like(frame, VALUES[2], "y").loc[("v", 1)] == 2


@pytest.mark.parametrize("rows", [np.zeros((3, 1)), [[1.0], [2.0], [3.0]], [{"x": 1.0}] * 3, "rows.csv"])
def test_anything_else_gives_arrays(rows):
    assert eager(rows) is rows
    assert series_like(rows, VALUES[0], "y") is VALUES[0]
    values = np.zeros((3, 2))
    assert frame_like(rows, values, ["a", "b"]) is values and series_like(rows, values, "y") is values


def test_what_is_lazy_is_computed_once():
    calls = []
    lazy = FRAMES["polars"].lazy().map_batches(lambda frame: calls.append(1) or frame)
    rows = eager(lazy)
    assert isinstance(rows, pl.DataFrame) and isinstance(series_like(rows, VALUES[2], "y"), pl.Series)
    assert len(calls) == 1
    assert eager(FRAMES["pandas"]) is FRAMES["pandas"]
