"""Arrays to train on: fitted on training rows alone."""

import dataclasses
from typing import Any

import numpy as np
import pytest
from sklearn.datasets import load_diabetes
from sklearn.preprocessing import StandardScaler

from jaxbn.data import Split, Table, load_data, prepare, split_rows
from jaxbn.errors import UserError


def test_digits():
    dataset = load_data("digits")
    split, _ = split_rows(dataset, seed=1)
    prepared = prepare(dataset, split)
    scaler: Any = StandardScaler().fit(dataset.features.numeric[split.train])
    for rows, part in (
        (prepared.train, split.train),
        (prepared.valid, split.valid),
        (prepared.test, split.test),
    ):
        assert (rows.x.dtype, rows.y.dtype, rows.weight.dtype) == (np.float32, np.int32, np.float32)
        np.testing.assert_allclose(rows.x, scaler.transform(dataset.features.numeric[part]), rtol=1e-6, atol=1e-6)
        np.testing.assert_array_equal(rows.y, dataset.target[part])
        np.testing.assert_array_equal(rows.weight, np.ones(len(part)))
    assert prepared.num_outputs == 10
    assert prepared.target_scale is None


def test_regression_is_in_units_of_the_training_rows():
    dataset = load_data("diabetes")
    split, _ = split_rows(dataset)
    prepared = prepare(dataset, split)
    bunch: Any = load_diabetes()
    target = bunch.target[:, None]
    assert prepared.target_scale is not None
    np.testing.assert_allclose(prepared.target_scale.mean, target[split.train].mean(axis=0))
    np.testing.assert_allclose(prepared.target_scale.scale, target[split.train].std(axis=0))
    again = prepared.test.y * prepared.target_scale.scale + prepared.target_scale.mean
    np.testing.assert_allclose(again, target[split.test], rtol=1e-5)
    assert (prepared.train.y.dtype, prepared.num_outputs) == (np.float32, 1)


def test_several_numbers_and_a_constant_one():
    x = np.random.default_rng(0).normal(size=(30, 2))
    dataset = load_data((x, np.stack([x[:, 0] * 100, np.full(30, 7.0)], axis=1)))
    prepared = prepare(dataset, split_rows(dataset)[0])
    assert prepared.num_outputs == 2
    np.testing.assert_allclose(prepared.train.y.std(axis=0), [1, 0], atol=1e-6)
    assert not prepared.train.y[:, 1].any()


def test_nothing_is_learned_from_other_rows():
    rng = np.random.default_rng(0)
    numeric = np.where(rng.random((60, 2)) < 0.1, np.nan, rng.normal(size=(60, 2)))
    frame = np.concatenate([numeric.astype(object), rng.choice(["a", "b", "c"], (60, 1)).astype(object)], axis=1)
    for y in (rng.integers(0, 3, 60), rng.normal(size=60)):
        dataset = load_data((frame, y))
        split, _ = split_rows(dataset)
        others = np.concatenate([split.valid, split.test])
        numeric, words = dataset.features.numeric.copy(), dataset.features.categorical.copy()
        numeric[others], words[others] = np.where(numeric[others] > 0, np.nan, 1e6), "new"
        target = dataset.target.copy()
        target[others] = target[others][::-1]
        changed = dataclasses.replace(dataset, features=Table(dataset.features.columns, numeric, words), target=target)
        before, after = prepare(dataset, split, class_weight=None), prepare(changed, split)
        np.testing.assert_array_equal(before.train.x, after.train.x)
        np.testing.assert_array_equal(before.train.y, after.train.y)
        assert not np.array_equal(before.test.x, after.test.x)


def test_a_test_set_of_its_own():
    x, y = np.arange(40.0)[:, None] / 7, np.arange(40) % 2
    dataset = load_data((x, y), test=(x[:6] + 1, y[:6]))
    prepared = prepare(dataset, split_rows(dataset)[0])
    assert prepared.test.x.shape == (6, 1)
    assert prepared.train.x.shape == (32, 1)
    np.testing.assert_array_equal(prepared.test.y, y[:6])


def of_classes(counts):
    y = np.repeat([f"k{code}" for code in range(len(counts))], counts)
    return load_data((np.arange(len(y))[:, None] / 7.0, y), task="classification")


def test_balanced_weights():
    dataset = of_classes([60, 30, 10])
    split, _ = split_rows(dataset)
    prepared = prepare(dataset, split, class_weight="balanced")
    totals = [prepared.train.weight[prepared.train.y == code].sum() for code in range(3)]
    np.testing.assert_allclose(totals, len(split.train) / 3, rtol=1e-6)
    np.testing.assert_allclose(prepared.train.weight.mean(), 1, rtol=1e-6)
    assert set(prepared.valid.weight) == set(prepared.test.weight) == {1}


def test_weights_by_class():
    dataset = of_classes([20, 20, 20])
    weight = prepare(dataset, split_rows(dataset)[0], class_weight={"k1": 2.5}).train
    assert [set(weight.weight[weight.y == code]) for code in range(3)] == [{1}, {2.5}, {1}]
    digits = load_data("digits")
    train = prepare(digits, split_rows(digits)[0], class_weight={3: 2, "4": 3}).train
    assert [set(train.weight[train.y == code]) for code in (3, 4, 5)] == [{2}, {3}, {1}]


@pytest.mark.parametrize("class_weight", [None, "balanced"])
def test_a_class_that_training_lacks(class_weight):
    dataset = of_classes([20, 20, 5])
    rows = np.arange(45)
    prepared = prepare(dataset, Split(rows[:30], rows[30:35], rows[35:]), class_weight=class_weight)
    assert prepared.num_outputs == 3
    assert set(prepared.test.y) == {1, 2}
    assert np.isfinite(prepared.train.weight).all()


@pytest.mark.parametrize(
    ("name", "class_weight", "said"),
    [
        ("iris", "balance", "did you mean 'balanced'?"),
        ("iris", {"setose": 2.0}, "did you mean 'setosa'?"),
        ("iris", {"setosa": -1.0}, "give a number above 0"),
        ("iris", {"setosa": float("nan")}, "give a number above 0"),
        ("iris", {"setosa": "2"}, "give a number above 0"),
        ("iris", {"setosa": None}, "give a number above 0"),
        ("diabetes", "balanced", "regression, which has no classes"),
    ],
)
def test_weights_of_no_use(name, class_weight, said):
    dataset = load_data(name)
    with pytest.raises(UserError) as error:
        prepare(dataset, split_rows(dataset)[0], class_weight=class_weight)
    assert said in str(error.value)
