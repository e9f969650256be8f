"""Splits: nothing lost, nothing twice, classes in proportion, groups whole."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jaxbn.data import load_data, split_rows
from jaxbn.errors import UserError


def rows_of(split):
    return [split.train.tolist(), split.valid.tolist(), split.test.tolist()]


def all_rows(split):
    return sorted(np.concatenate([split.train, split.valid, split.test]).tolist())


def of_classes(counts, groups=None, seed=0):
    """A data set with so many rows of each class, in random order."""
    pl = pytest.importorskip("polars")
    y = np.random.default_rng(seed).permutation(np.repeat([f"k{code}" for code in range(len(counts))], counts))
    frame = pl.DataFrame({"x": np.arange(len(y)) / 7, "y": y} | ({} if groups is None else {"g": groups}))
    return load_data(frame, target="y", task="classification", group=None if groups is None else "g")


def test_digits_by_default():
    dataset = load_data("digits")
    split, notes = split_rows(dataset)
    assert notes == ()
    assert [len(part) for part in rows_of(split)] == [1079, 359, 359]
    assert all_rows(split) == list(range(1797))
    whole = np.bincount(dataset.target) / 1797
    for part in (split.train, split.valid, split.test):
        np.testing.assert_array_less(np.abs(np.bincount(dataset.target[part]) / len(part) - whole), 3e-3)
        assert np.all(np.diff(part) > 0)


def test_a_seed_is_a_split():
    dataset = load_data("wine")
    assert rows_of(split_rows(dataset, seed=3)[0]) == rows_of(split_rows(dataset, seed=3)[0])
    assert rows_of(split_rows(dataset, seed=3)[0]) != rows_of(split_rows(dataset, seed=4)[0])
    assert rows_of(split_rows(dataset, seed=2**70)[0])


def test_test_rows_do_not_depend_on_the_validation_fraction():
    dataset = load_data("wine")
    first, second = (split_rows(dataset, valid_fraction=fraction)[0] for fraction in (0.1, 0.4))
    assert first.test.tolist() == second.test.tolist()


def test_regression():
    split, notes = split_rows(load_data("diabetes"), valid_fraction=0.25, test_fraction=0.5)
    assert [len(part) for part in rows_of(split)] == [111, 110, 221]
    assert all_rows(split) == list(range(442))
    assert notes == ()


def test_a_separate_test_set_leaves_all_rows():
    x, y = np.arange(40.0)[:, None] / 7, np.arange(40) % 2
    split, _ = split_rows(load_data((x, y), test=(x, y)), test_fraction=0.99)
    assert [len(part) for part in rows_of(split)] == [32, 8, 0]


@settings(max_examples=80, deadline=None)
@given(
    st.lists(st.integers(1, 12), min_size=2, max_size=6),
    st.floats(0.05, 0.6),
    st.floats(0.05, 0.35),
    st.integers(0, 5),
)
def test_small_classes_are_carried_on(counts, valid_fraction, test_fraction, seed):
    dataset = of_classes(counts)
    num_rows = sum(counts)
    sizes = round(num_rows * test_fraction), round(num_rows * valid_fraction)
    try:
        split, notes = split_rows(dataset, seed=seed, valid_fraction=valid_fraction, test_fraction=test_fraction)
    except UserError as error:
        assert min(sizes) == 0 or sum(sizes) >= num_rows, error
        return
    assert all_rows(split) == list(range(num_rows))
    assert (len(split.test), len(split.valid)) == sizes
    small = {code for code, count in enumerate(counts) if count < 3}
    if small:
        assert any("too few rows to be in every part" in note for note in notes)
    if small and not any("drawn at random" in note for note in notes):
        assert not small & set(dataset.target[np.concatenate([split.valid, split.test])].tolist())


def test_singletons_go_to_training_and_are_named():
    dataset = of_classes([30, 30, 1, 2])
    split, notes = split_rows(dataset)
    assert notes == ("too few rows to be in every part of the split, so all in training: class 'k2', 'k3'",)
    assert np.bincount(dataset.target[split.train])[2:].tolist() == [1, 2]


@settings(max_examples=60, deadline=None)
@given(
    st.integers(3, 40).flatmap(lambda groups: st.lists(st.integers(0, groups), min_size=20, max_size=80)),
    st.integers(0, 3),
)
def test_no_group_is_on_both_sides(groups, seed):
    num_rows, num_groups = len(groups), len(set(groups))
    dataset = of_classes([num_rows - 8, 8], groups=groups)
    if num_groups < 3:
        with pytest.raises(UserError, match="groups are left for"):
            split_rows(dataset, seed=seed)
        return
    split, _ = split_rows(dataset, seed=seed)
    assert all_rows(split) == list(range(num_rows))
    parts = [{groups[row] for row in part} for part in rows_of(split)]
    assert all(parts)
    assert not parts[0] & parts[1] and not parts[0] & parts[2] and not parts[1] & parts[2]


def test_groups_come_near_the_fractions_and_classes():
    rng = np.random.default_rng(0)
    groups = np.repeat(np.arange(100), rng.integers(1, 40, 100))
    dataset = of_classes([len(groups) * 3 // 4, len(groups) - len(groups) * 3 // 4], groups=groups)
    split, _ = split_rows(dataset)
    for part in (split.valid, split.test):
        assert abs(len(part) / len(groups) - 0.2) < 0.02
        assert abs(np.mean(dataset.target[part] == 1) - 0.25) < 0.03


def test_a_class_that_training_lacks_is_named():
    dataset = of_classes([20, 20, 20], groups=np.arange(60))
    lone = load_data(
        (np.arange(9.0)[:, None] / 7, np.array(["a", "b", "a", "b", "a", "b", "a", "b", "c"])),
        task="classification",
    )
    assert split_rows(dataset)[1] == ()
    assert "'c'" in split_rows(lone)[1][0]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"valid_fraction": 0.0}, "valid_fraction is 0.0"),
        ({"valid_fraction": 1.0}, "valid_fraction is 1.0"),
        ({"test_fraction": -0.1}, "test_fraction is -0.1"),
        ({"test_fraction": float("nan")}, "test_fraction is nan"),
        ({"valid_fraction": 0.5, "test_fraction": 0.5}, "leave no row to train on"),
        ({"valid_fraction": 0.001}, "valid_fraction 0.001 of 150 rows is 0"),
        ({"test_fraction": 0.001}, "leaves a part of the split empty"),
        ({"valid_fraction": 0.4999, "test_fraction": 0.4999}, "leaves a part of the split empty"),
        ({"seed": -1}, "seed -1 is negative"),
    ],
)
def test_splits_of_no_use(options, said):
    with pytest.raises(UserError) as error:
        split_rows(load_data("iris"), **options)
    assert said in str(error.value)
    assert "\n" not in str(error.value)


def test_every_part_gets_a_group_whatever_the_fractions():
    dataset = of_classes([15, 15], groups=np.repeat([0, 1, 2], 10))
    split, _ = split_rows(dataset, test_fraction=0.6, valid_fraction=0.3)
    assert [len(part) for part in rows_of(split)] == [10, 10, 10]
