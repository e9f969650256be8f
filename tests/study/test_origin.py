"""Data read or given again are the data of the sweep."""

import polars as pl
import pytest

from jaxbn import UserError, load_data
from jaxbn.data import fingerprint
from jaxbn.study.origin import Origin

FRAME = pl.DataFrame({"id": range(8), "patient": [1, 1, 2, 2, 3, 3, 4, 4], "size": [1.5, 2.5, 1.0, 3.5] * 2})
LABELS = [1.0, 2.0] * 4


def test_labels_that_come_apart_are_read_as_they_were():
    dataset = load_data((FRAME, LABELS), drop="id", group="patient", task="regression")
    origin = Origin.of(dataset)
    for given in ((FRAME, LABELS), [FRAME, LABELS], (FRAME.to_pandas(), LABELS), dataset):
        assert fingerprint(origin.read(given)) == origin.fingerprint
    with pytest.raises(UserError, match="are not those of the sweep"):
        origin.read((FRAME, LABELS[::-1]))
    with pytest.raises(UserError, match="give the data again"):
        origin.read()


def test_a_file_that_was_moved_is_given_again(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    FRAME.with_columns(y=pl.Series(list("abab" * 2))).write_csv(tmp_path / "data.csv")
    origin = Origin.of(load_data(tmp_path / "data.csv", group="patient"))
    assert fingerprint(origin.read()) == origin.fingerprint
    (tmp_path / "data.csv").rename(tmp_path / "moved.csv")
    with pytest.raises(UserError, match="is not there any more: give it again"):
        origin.read()
    for given in (tmp_path / "moved.csv", str(tmp_path / "moved.csv"), "~/moved.csv"):
        found = origin.read(given)
        assert fingerprint(found) == origin.fingerprint and Origin.of(found) == origin
    with pytest.raises(UserError, match="there is no file"):
        origin.read(tmp_path / "data.csv")


def test_a_test_file_is_found_beside_data_that_were_moved(tmp_path):
    old, new = tmp_path / "old", tmp_path / "new"
    old.mkdir()
    table = FRAME.with_columns(y=pl.Series(list("abab" * 2)))
    table.write_csv(old / "learn.csv")
    table.reverse().write_csv(old / "judge.csv")
    origin = Origin.of(load_data(old / "learn.csv", test=old / "judge.csv"))
    old.rename(new)
    found = origin.read(new / "learn.csv")
    assert Origin.of(found) == origin and found.test_source == str(new / "judge.csv")
    (new / "judge.csv").unlink()
    with pytest.raises(UserError, match=r"judge\.csv', are not there any more: put them beside the data"):
        origin.read(new / "learn.csv")
    table.write_csv(new / "judge.csv")
    with pytest.raises(UserError, match="are not those of the sweep"):
        origin.read(new / "learn.csv")
