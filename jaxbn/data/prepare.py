"""Arrays to train, choose and judge by, with everything fitted on the training rows alone."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from numbers import Real
from typing import Any, Literal

import numpy as np

from jaxbn.data.dataset import Dataset
from jaxbn.data.preprocess import Preprocessor, fit_preprocessor, transform
from jaxbn.data.split import Split
from jaxbn.data.table import Table
from jaxbn.errors import UserError, unknown

ClassWeight = Literal["balanced"] | Mapping[Any, float] | None


@dataclass(frozen=True, eq=False)
class Rows:
    """Rows as a network takes them.

    Attributes:
        x: float32 [N, F].
        y: int32 [N] class codes, or float32 [N, K], standardised.
        weight: float32 [N], how much each row counts in the training loss.
    """

    x: np.ndarray
    y: np.ndarray
    weight: np.ndarray


@dataclass(frozen=True, eq=False)
class TargetScale:
    """What was taken off and divided out of the K numbers to predict: number = y * scale + mean.

    Attributes:
        mean: float64 [K], in the units of the data.
        scale: float64 [K], the standard deviation over the training rows; 1 where it is zero.
    """

    mean: np.ndarray
    scale: np.ndarray


@dataclass(frozen=True, eq=False)
class Prepared:
    """Everything that training needs of the data.

    Attributes:
        train: rows to learn from.
        valid: rows to choose by, each of weight 1.
        test: rows to be judged by once, each of weight 1.
        preprocessor: what the training rows taught about the features.
        target_scale: what they taught about the numbers to predict; None for classification.
        num_outputs: C classes, or K numbers.
    """

    train: Rows
    valid: Rows
    test: Rows
    preprocessor: Preprocessor
    target_scale: TargetScale | None
    num_outputs: int


def prepare(dataset: Dataset, split: Split, *, class_weight: ClassWeight = None) -> Prepared:
    """Fits the preprocessing on the training rows and applies it to all.

    Args:
        dataset: the data set; its own test set, if there is one, takes the place of the test rows of the
            split.
        split: which rows are for what.
        class_weight: None; "balanced", by which each class of the training rows has the same total weight and
            the mean is 1; or a weight for some classes, by class (or by its text), the others keeping 1.

    Returns:
        The arrays, and what was learned to make them.

    Raises:
        UserError: the class weight is unknown, names a class that there is not, is no positive number, or the
            task is regression.

    Example:
        >>> from jaxbn.data import load_data, split_rows
        >>> iris = load_data("iris")
        >>> prepared = prepare(iris, split_rows(iris)[0])
        >>> prepared.train.x.shape, prepared.num_outputs
        ((90, 4), 3)
    """
    table = dataset.features.take(split.train)
    preprocessor = fit_preprocessor(table)
    target_scale = _target_scale(dataset.target[split.train]) if dataset.task == "regression" else None

    def rows(table: Table, target: np.ndarray, weight: np.ndarray | None = None) -> Rows:
        y = target if target_scale is None else (target - target_scale.mean) / target_scale.scale
        weight = np.ones(len(y)) if weight is None else weight
        kind = np.int32 if target_scale is None else np.float32
        return Rows(transform(preprocessor, table), y.astype(kind), weight.astype(np.float32))

    def part(numbers: np.ndarray) -> Rows:
        return rows(dataset.features.take(numbers), dataset.target[numbers])

    return Prepared(
        train=rows(table, dataset.target[split.train], _weights(dataset, split.train, class_weight)),
        valid=part(split.valid),
        test=part(split.test) if dataset.test is None else rows(dataset.test.features, dataset.test.target),
        preprocessor=preprocessor,
        target_scale=target_scale,
        num_outputs=len(dataset.classes) or dataset.target.shape[1],
    )


def _target_scale(target: np.ndarray) -> TargetScale:
    from sklearn.preprocessing import StandardScaler

    scaler = StandardScaler().fit(target)
    return TargetScale(np.asarray(scaler.mean_), np.asarray(scaler.scale_))


def _weights(dataset: Dataset, train: np.ndarray, class_weight: ClassWeight) -> np.ndarray | None:
    """The weight of each training row, [N]."""
    if class_weight is None:
        return None
    if dataset.task == "regression":
        raise UserError(f"class_weight {class_weight!r} was given for regression, which has no classes: leave it out")
    codes = dataset.target[train]
    weights = np.ones(len(dataset.classes))
    if isinstance(class_weight, Mapping):
        code_of = {str(label): code for code, label in enumerate(dataset.classes)}
        for label, weight in class_weight.items():
            if str(label) not in code_of:
                raise unknown("class in class_weight", label, code_of)
            if not isinstance(weight, Real) or not 0 < weight < math.inf:
                raise UserError(f"class_weight for {label!r} is {weight!r}: give a number above 0")
            weights[code_of[str(label)]] = weight
        return weights[codes]
    if class_weight != "balanced":
        raise unknown("class_weight", class_weight, ["balanced"])
    from sklearn.utils.class_weight import compute_class_weight

    present = np.unique(codes)
    weights[present] = compute_class_weight("balanced", classes=present, y=codes)
    return weights[codes]
