"""Folds: each row outside the test validates once, classes in proportion, groups whole."""

import numpy as np
import pytest

from jaxbn.data import fold_rows, load_data, split_rows
from jaxbn.errors import UserError


@pytest.mark.parametrize("name", ["iris", "wine", "diabetes"])
@pytest.mark.parametrize("num_folds", [2, 5])
def test_every_row_validates_once(name, num_folds):
    data = load_data(name)
    splits, _ = fold_rows(data, num_folds=num_folds, seed=3)
    test = split_rows(data, seed=3)[0].test
    assert len(splits) == num_folds
    rest = np.setdiff1d(np.arange(data.features.num_rows), test)
    np.testing.assert_array_equal(np.sort(np.concatenate([split.valid for split in splits])), rest)
    for split in splits:
        np.testing.assert_array_equal(split.test, test)
        np.testing.assert_array_equal(np.union1d(split.train, split.valid), rest)
        assert not np.intersect1d(split.train, split.valid).size
        if data.classes:
            counts = np.bincount(data.target[split.valid]), np.bincount(data.target[rest])
            assert np.abs(counts[0] - counts[1] / num_folds).max() <= 1


def test_one_fold_is_the_ordinary_split():
    data = load_data("iris")
    (split,), _ = fold_rows(data, num_folds=1, seed=2, valid_fraction=0.3)
    np.testing.assert_array_equal(split.valid, split_rows(data, seed=2, valid_fraction=0.3)[0].valid)


def test_the_seed_decides():
    data = load_data("wine")
    one, same, other = (fold_rows(data, num_folds=3, seed=seed)[0] for seed in (0, 0, 1))
    assert all(np.array_equal(a.valid, b.valid) for a, b in zip(one, same, strict=True))
    assert not all(np.array_equal(a.valid, b.valid) for a, b in zip(one, other, strict=True))


@pytest.mark.parametrize("task", ["classification", "regression"])
def test_groups_stay_whole(tmp_path, task):
    rng = np.random.default_rng(0)
    path = tmp_path / "rows.csv"
    lines = ["x,who,y"]
    for row in range(120):
        y = rng.normal() if task == "regression" else "ab"[row % 2]
        lines.append(f"{rng.normal()},p{row // 6},{y}")
    path.write_text("\n".join(lines))
    data = load_data(path, target="y", group="who", task=task)
    splits, _ = fold_rows(data, num_folds=4)
    assert data.groups is not None
    for split in splits:
        assert not set(data.groups[split.train]) & set(data.groups[split.valid])
    with pytest.raises(UserError, match=r"40 folds were asked for and the data have \d+ groups"):
        fold_rows(data, num_folds=40)


def test_more_folds_than_a_class_has_rows():
    with pytest.raises(UserError, match=r"41 folds .* 40 rows in their smallest class outside the test split"):
        fold_rows(load_data("iris"), num_folds=41)


def grouped(path, labels, groups):
    rng = np.random.default_rng(0)
    lines = [f"{rng.normal()},{group},{label}" for label, group in zip(labels, groups, strict=True)]
    path.write_text("\n".join(["x,who,y", *lines]))
    return load_data(path, target="y", group="who", task="classification")


def labels(data, rows):
    return [data.classes[code] for code in data.target[rows]]


def test_more_folds_than_a_class_has_rows_where_rows_are_grouped(tmp_path):
    # Every class too small: scikit-learn would raise its own error.
    data = grouped(tmp_path / "all.csv", ["abcde"[row % 5] for row in range(18)], [f"p{row}" for row in range(18)])
    with pytest.raises(UserError, match=r"^5 folds were asked for and the data have \d rows in their smallest class"):
        fold_rows(data, num_folds=5)
    # Only one too small: scikit-learn would warn.
    data = grouped(tmp_path / "one.csv", ["a"] * 40 + ["b"] * 40 + ["c"] * 3, [f"p{row}" for row in range(83)])
    with pytest.raises(UserError, match=r"the data have [123] rows in their smallest class outside the test split"):
        fold_rows(data, num_folds=5)


def test_notes_of_the_ordinary_split_are_not_told_of_folds(tmp_path):
    path = tmp_path / "rows.csv"
    path.write_text("x,y\n" + "".join(f"{row},{'ab'[row % 2]}\n" for row in range(40)) + "1,c\n2,c\n")
    data = load_data(path, target="y")
    _, notes = fold_rows(data, num_folds=1)
    assert any("all in training" in note for note in notes)
    splits, notes = fold_rows(data, num_folds=2)
    assert notes == () and all("c" in labels(data, split.valid) for split in splits)


def test_a_class_in_one_group_cannot_be_learned_where_it_validates(tmp_path):
    kinds = ["ab"[row % 2] for row in range(80)] + ["c"] * 4
    data = grouped(tmp_path / "rows.csv", kinds, [f"p{row // 4}" for row in range(84)])
    seeds = [seed for seed in range(20) if 83 not in split_rows(data, seed=seed)[0].test]
    splits, notes = fold_rows(data, num_folds=4, seed=seeds[0])
    lacking = [split for split in splits if "c" not in labels(data, split.train)]
    assert len(lacking) == 1 and 83 in lacking[0].valid
    assert notes == ("without a row in the training part of some fold, so never predicted there: class 'c'",)


def test_a_fold_that_groups_leave_empty(tmp_path):
    sizes = [8, 2, 13, 5, 10, 7]
    kinds = ["ab"[group % 2] for group, size in enumerate(sizes) for _ in range(size)]
    groups = [f"p{group}" for group, size in enumerate(sizes) for _ in range(size)]
    grouped(tmp_path / "rows.csv", kinds, groups)
    data = load_data(tmp_path / "rows.csv", target="y", group="who", test=tmp_path / "rows.csv")
    with pytest.raises(UserError, match="the groups leave 1 of 5 folds without a row: ask for fewer folds"):
        fold_rows(data, num_folds=5)
    splits, _ = fold_rows(data, num_folds=3)
    assert all(len(split.valid) for split in splits)
