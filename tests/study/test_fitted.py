"""A fitted model answers in the library it was asked in."""

import io

import numpy as np
import pytest

import jaxbn
from jaxbn import Float, Space, load_data

pd, pl = pytest.importorskip("pandas"), pytest.importorskip("polars")
pytest.importorskip("pyarrow")

SPACE = Space(learning_rate=Float(0.003, 0.03, scale="log"), hidden_units=4, num_layers=1)


def table(num_rows=120):
    rng = np.random.default_rng(0)
    size = rng.normal(size=num_rows)
    return pd.DataFrame(
        {
            "size": pd.array(size, dtype="Float64"),
            "colour": pd.Categorical(rng.choice(["red", "green"], num_rows)),
            "grade": np.where(size > 0, "good", "bad"),
        },
        index=[f"row {number}" for number in range(num_rows)],
    )


@pytest.fixture(scope="module")
def results():
    frame = table()
    frame.iloc[3, 0] = pd.NA
    return jaxbn.sweep(SPACE, load_data(frame, target="grade"), num_configs=3, num_epochs=20)


@pytest.fixture(params=["the model", "an ensemble"])
def model(results, request):
    return results.best_model if request.param == "the model" else results.ensemble(3)


def test_pandas_in_pandas_out(model):
    frame = table().iloc[::-2]
    found, chances = model.predict(frame), model.predict_proba(frame)
    assert isinstance(found, pd.Series) and found.name == "grade" and found.index.equals(frame.index)
    assert isinstance(chances, pd.DataFrame) and chances.columns.tolist() == ["bad", "good"]
    assert chances.index.equals(frame.index)
    # As a user would compare: aligned by the index.
    assert (found == table()["grade"].reindex(found.index)).mean() > 0.9
    assert chances.idxmax(axis=1).tolist() == found.tolist()


@pytest.mark.parametrize("convert", ["clone", "lazy", "to_arrow"])
def test_others_in_others_out(model, convert):
    import pyarrow as pa

    frame = pl.from_pandas(table())
    found, chances = (ask(getattr(frame, convert)()) for ask in (model.predict, model.predict_proba))
    series, whole = (pa.ChunkedArray, pa.Table) if convert == "to_arrow" else (pl.Series, pl.DataFrame)
    assert type(found) is series and type(chances) is whole
    assert np.asarray(found).tolist() == model.predict(table()).tolist()
    np.testing.assert_array_equal(np.asarray(chances["good"]), model.predict_proba(table())["good"])


def test_arrays_lists_records_and_files_give_arrays(model, tmp_path):
    frame = pl.from_pandas(table()).drop("grade")
    file = io.BytesIO()
    frame.write_csv(file)
    (tmp_path / "rows.csv").write_bytes(file.getvalue())
    expected = model.predict(frame).to_list()
    for rows in (frame.to_numpy(), frame.rows(), frame.to_dicts(), tmp_path / "rows.csv", str(tmp_path / "rows.csv")):
        found, chances = model.predict(rows), model.predict_proba(rows)
        assert type(found) is type(chances) is np.ndarray
        assert found.tolist() == expected and chances.shape == (120, 2)


def test_classes_that_are_no_text_keep_their_type_and_name_columns():
    frame = table().assign(grade=lambda frame: frame["grade"] == "good")
    model = jaxbn.sweep(SPACE, load_data(frame, target="grade"), num_configs=1, num_epochs=1).best_model
    assert model.predict(frame).dtype == bool
    assert model.predict_proba(frame).columns.tolist() == ["False", "True"]


def test_numbers():
    frame = table().drop(columns="grade")
    both = np.stack([np.arange(120.0), -np.arange(120.0)], axis=1)
    several = jaxbn.sweep(SPACE, (frame, both), num_configs=1, num_epochs=1).best_model
    found = several.predict(frame)
    assert found.columns.tolist() == ["y_0", "y_1"] and found.index.equals(frame.index)
    np.testing.assert_array_equal(found, several.predict(frame.to_numpy()))
    one = jaxbn.sweep(SPACE, load_data(frame.assign(price=both[:, 0]), target="price"), num_configs=1, num_epochs=1)
    assert one.best_model.predict(frame).name == "price"
    assert (repr(several), repr(one.best_model)) == (
        "FittedModel('y', 2 numbers, from 2 columns)",
        "FittedModel('price', a number, from 2 columns)",
    )


def test_a_model_is_read_in_a_line(results):
    assert repr(results.best_model) == "FittedModel('grade', one of 2 classes, from 2 columns)"


def test_a_model_that_was_saved_answers_alike(results, tmp_path):
    results.best_model.save(tmp_path / "model")
    again = jaxbn.FittedModel.load(tmp_path / "model")
    assert again.predict(table()).equals(results.best_model.predict(table()))
