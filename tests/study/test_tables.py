"""Results in other programs: pandas, CSV, Optuna."""

import importlib.util
import io
import subprocess
import sys

import numpy as np
import polars as pl
import pytest

import jaxbn
from jaxbn import Choice, Float, Space, UserError
from jaxbn.study.tables import csv_of, write_csv

SPACE = Space(
    learning_rate=Float(1e-3, 0.03, scale="log"), optimizer=Choice("momentum", "adam"), hidden_units=4, num_layers=1
)


@pytest.fixture(scope="module")
def results():
    return jaxbn.sweep(SPACE, "iris", num_configs=6, num_epochs=2)


@pytest.mark.parametrize("table", ["trials", "curves", "lineage"])
def test_pandas_has_the_same_cells(results, table):
    pd = pytest.importorskip("pandas")
    frame, expected = results.to_pandas(table), getattr(results, table)
    assert isinstance(frame, pd.DataFrame) and frame.columns.tolist() == expected.columns
    for name in expected.columns:
        found = [None if pd.isna(value) else value for value in frame[name].tolist()]
        assert found == expected[name].to_list()
    if table == "trials":
        assert results.to_pandas().equals(frame)
        assert frame["trial"].dtype.kind == "i" and frame["learning_rate"].dtype == float
        assert frame["momentum"].isna().sum() == (frame["optimizer"] == "adam").sum()


def test_without_pandas_it_says_what_to_install(monkeypatch, results):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UserError, match="needs pandas, which is not installed: pip install pandas"):
        results.to_pandas()


WITHOUT_PYARROW = """
import sys
sys.modules["pyarrow"] = None
import polars as pl
from jaxbn.study.tables import as_pandas
print(*as_pandas(pl.DataFrame({"n": [1, None], "x": [0.5, None], "t": ["a", None]})).isna().sum())
"""


def test_pandas_needs_no_pyarrow():
    pytest.importorskip("pandas")
    done = subprocess.run([sys.executable, "-c", WITHOUT_PYARROW], capture_output=True, text=True)
    assert done.stdout.split() == ["1", "1", "1"], done.stderr


def test_csv_is_read_back_as_it_was(results, tmp_path):
    for table in ("trials", "curves"):
        path = tmp_path / "deep" / f"{table}.csv"
        results.to_csv(path, table)
        expected = getattr(results, table)
        again = pl.read_csv(path, schema=expected.schema)
        assert again.equals(expected)
    path = tmp_path / "deep" / "trials.csv"
    path.write_text("mine")
    with pytest.raises(UserError, match="exists already: choose another path, or give overwrite=True"):
        results.to_csv(path)
    assert path.read_text() == "mine"
    results.to_csv(path, overwrite=True)
    assert len(path.read_text().splitlines()) == 7


def test_places_that_cannot_be_written_are_told(tmp_path):
    table = pl.DataFrame({"a": [1]})
    with pytest.raises(UserError, match="is a folder: choose another path"):
        write_csv(table, tmp_path, overwrite=True)
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot write"):
        write_csv(table, tmp_path / "file" / "t.csv")


def test_what_a_spreadsheet_would_run_is_quoted():
    words = ["=1+1", "+1", "-2", "@sum", "\tx", "plain", None, "-x"]
    read = pl.read_csv(io.StringIO(csv_of(pl.DataFrame({"word": words, "number": np.arange(8) - 4}))))
    assert read["word"].to_list() == ["'=1+1", "+1", "-2", "'@sum", "'\tx", "plain", None, "'-x"]
    assert read["number"].to_list() == [-4, -3, -2, -1, 0, 1, 2, 3]


def test_other_tables_are_refused(results, tmp_path):
    with pytest.raises(UserError, match=r"unknown table 'curve' \(did you mean 'curves'"):
        results.to_pandas("curve")
    with pytest.raises(UserError, match="unknown table"):
        results.to_csv(tmp_path / "t.csv", "models")
    assert not list(tmp_path.iterdir())


def test_optuna_gets_what_the_function_gives(results):
    pytest.importorskip("optuna")
    from jaxbn.interop.optuna import to_study

    ours, theirs = results.to_optuna(name="mine"), to_study(results)
    assert ours.study_name == "mine" and len(ours.trials) == 6
    assert [(t.value, t.params, t.state) for t in ours.trials] == [(t.value, t.params, t.state) for t in theirs.trials]
    assert ours.best_value == results.best.validation["accuracy"]
