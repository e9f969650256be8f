"""Targets: classes or numbers."""

import numpy as np
import pytest

from jaxbn.data.target import most_classes, read_target
from jaxbn.errors import UserError


def objects(cells):
    values = np.empty(len(cells), dtype=object)
    values[:] = cells
    return values


@pytest.mark.parametrize(
    ("cells", "task", "classes"),
    [
        (["b", "a", "b", "a"], "classification", ("a", "b")),
        (["2", "1", "2", "1"], "classification", (1, 2)),
        ([2.0, 1.0, 2.0, 1.0], "classification", (1, 2)),
        ([True, False, True], "classification", (False, True)),
        (["True", "FALSE", "true"], "classification", (False, True)),
        (["1", "2", "x", "2"], "classification", ("1", "2", "x")),
        ([1.5, 2.5, 1.5, 2.5], "regression", ()),
        (list(range(40)), "regression", ()),
        (list(range(20)) * 2, "classification", tuple(range(20))),
        (list(range(21)) * 2, "regression", ()),
    ],
)
def test_guess(cells, task, classes):
    target = read_target(objects(cells), "y", None)
    assert target.task == task
    assert target.classes == classes
    assert list(map(type, target.classes)) == list(map(type, classes))
    assert len(target.notes) == 1
    assert f"the task is taken to be {task}" in target.notes[0]
    if classes:
        assert target.values.dtype == np.int32
        said = [str(classes[code]).lower() for code in target.values]
        assert said == [str(cell).lower().removesuffix(".0") for cell in cells]
    else:
        np.testing.assert_array_equal(target.values, np.array(cells, dtype=float)[:, None])


def test_task_as_told():
    told = read_target(objects([1.5, 2.5, 1.5, 2.5]), "y", "classification")
    assert (told.task, told.classes, told.notes) == ("classification", (1.5, 2.5), ())
    told = read_target(objects([1, 2, 1, 2]), "y", "regression")
    assert (told.task, told.values.tolist()) == ("regression", [[1.0], [2.0], [1.0], [2.0]])


def test_missing_targets():
    classes = read_target(objects(["a", None, "b", "?"]), "y", None)
    assert classes.values.tolist() == [0, -1, 1, -1]
    assert classes.present.tolist() == [True, False, True, False]
    numbers = read_target(objects(["1.5", "", "2.5"]), "y", None)
    assert numbers.present.tolist() == [True, False, True]


@pytest.mark.parametrize("task", ["classification", "regression"])
def test_text_in_a_mostly_numeric_target_is_missing(task):
    target = read_target(objects(["1", "2"] * 20 + ["oops"]), "y", task)
    assert target.present.tolist() == [True] * 40 + [False]
    assert target.notes == ("rows with text in the target 'y', which is mostly numbers, counted as missing: 1",)


def test_several_numbers():
    target = read_target(np.array([[1.0, 2.0], [np.nan, 3.0]]), "y", None)
    assert target.task == "regression"
    assert target.present.tolist() == [True, False]


def test_most_classes_grow_with_the_rows():
    given = (2, 40, 50, 100, 150, 10_000, 20_000)
    assert [most_classes(rows) for rows in given] == [20, 20, 25, 50, 50, 100, 141]


@pytest.mark.parametrize(
    ("cells", "task", "said"),
    [
        (["a", "a"], None, "one class, 'a', in all 2 rows"),
        ([1.0, 1.0], "classification", "one class"),
        (["TRUE", "true"], None, "one class"),
        ([None, "?"], None, "no row has a value of the target 'y'"),
        ([np.nan, np.nan], None, "no row has a value of the target 'y'"),
        ([x / 7 for x in range(300)], "classification", "300 classes in 300 rows"),
        ([x / 7 for x in range(40)], "classification", "is this regression? (give task=regression"),
        ([f"name {x}" for x in range(100)], None, "100 classes in 100 rows"),
        (["a", "b", "a"], "regression", "holds text in 3 of 3 rows"),
        ([1.0, np.inf], "regression", "which is infinite in float32"),
        ([1.0, -np.inf, 1.0], "classification", "which is infinite in float32"),
        ([1.0, 2.0], "clasification", "did you mean 'classification'?"),
        (np.eye(3), "classification", "the target 'y' has 3 columns"),
        (np.array([["a", "b"]], dtype=object), None, "the target 'y' has 2 columns"),
        (np.array([[1.0, np.inf]]), None, "which is infinite in float32"),
    ],
)
def test_targets_of_no_use(cells, task, said):
    with pytest.raises(UserError) as error:
        read_target(cells if isinstance(cells, np.ndarray) else objects(cells), "y", task)
    assert said in str(error.value)
    assert "\n" not in str(error.value)
