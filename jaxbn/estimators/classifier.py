"""A network that classifies, as scikit-learn has its estimators."""

import math
from collections.abc import Mapping, Sequence
from numbers import Real
from typing import Any, Literal, Self

import numpy as np
from scipy.special import log_softmax, softmax
from sklearn.base import ClassifierMixin
from sklearn.utils.class_weight import compute_sample_weight
from sklearn.utils.multiclass import check_classification_targets, type_of_target
from sklearn.utils.validation import _check_sample_weight, validate_data

from jaxbn.data import Rows
from jaxbn.errors import UserError, unknown
from jaxbn.estimators.network import Network, present


class BNMLPClassifier(ClassifierMixin, Network):
    """A batch-normalised network that classifies.

    It learns as a trial of a sweep does: mini-batches in an order that follows from `random_state`, moments of batch
    normalisation over each, averages of them at prediction. Rows of weight 0 take no part. Features are not scaled:
    put a `StandardScaler` before it where they are of unlike sizes. Arguments that are not explained here are
    hyperparameters, with the names, meanings and legal values that `jaxbn space` lists.

    Args:
        hidden_units: units of each hidden layer: a number for each, or one for all.
        num_layers: hidden layers; None is 2, or as many as `hidden_units` lists.
        label_smoothing: weight taken from the true class and spread over all.
        class_weight: None, "balanced", or a weight for some classes, by class or by its text.
        num_epochs: how often every row is seen.
        early_stopping: keep some rows apart, stop when their accuracy has not risen for `n_iter_no_change` epochs, and
            keep the best network.
        validation_fraction: the share that is kept apart.
        n_iter_no_change: see `early_stopping`.
        tol: what counts as having risen.
        random_state: of weights, the order of rows, dropout, and what is kept apart.
        verbose: print the loss of every epoch.

    Attributes:
        classes_: what is predicted, in order.
        loss_curve_: mean training loss of each epoch.
        loss_: the last of them.
        n_iter_: epochs trained.
        validation_scores_: accuracy after each epoch, with `early_stopping`.
        config_: the hyperparameters, with those that followed from others.
        n_features_in_: columns of the training rows.
        feature_names_in_: their names, where they had names that are text.

    Example:
        >>> from sklearn.datasets import load_iris
        >>> X, y = load_iris(return_X_y=True)
        >>> BNMLPClassifier(8, num_epochs=30, random_state=0).fit(X, y).score(X, y) > 0.9
        True
    """

    _task, _metric = "classification", "accuracy"

    def __init__(
        self,
        hidden_units: int | Sequence[int] = 64,
        *,
        num_layers: int | None = None,
        activation: str = "relu",
        normalization: str = "batch",
        optimizer: str = "adam",
        learning_rate: float = 1e-2,
        momentum: float = 0.9,
        b1: float = 0.9,
        b2: float = 0.999,
        eps: float = 1e-8,
        batch_size: int = 64,
        learning_rate_decay: float = 0.0,
        decay_kind: str = "inverse_time",
        warmup_epochs: float = 0.0,
        weight_decay: float | None = None,
        dropout: float = 0.0,
        label_smoothing: float = 0.0,
        clip_norm: float | None = None,
        init_scale: float = 1.0,
        bn_decay: float = 0.9,
        bn_epsilon: float = 1e-5,
        class_weight: Literal["balanced"] | Mapping[Any, float] | None = None,
        num_epochs: int = 100,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        n_iter_no_change: int = 10,
        tol: float = 1e-4,
        random_state: Any = None,
        verbose: bool = False,
    ) -> None:
        super().__init__(
            hidden_units,
            num_layers=num_layers,
            activation=activation,
            normalization=normalization,
            optimizer=optimizer,
            learning_rate=learning_rate,
            momentum=momentum,
            b1=b1,
            b2=b2,
            eps=eps,
            batch_size=batch_size,
            learning_rate_decay=learning_rate_decay,
            decay_kind=decay_kind,
            warmup_epochs=warmup_epochs,
            weight_decay=weight_decay,
            dropout=dropout,
            clip_norm=clip_norm,
            init_scale=init_scale,
            bn_decay=bn_decay,
            bn_epsilon=bn_epsilon,
            num_epochs=num_epochs,
            early_stopping=early_stopping,
            validation_fraction=validation_fraction,
            n_iter_no_change=n_iter_no_change,
            tol=tol,
            random_state=random_state,
            verbose=verbose,
        )
        self.label_smoothing = label_smoothing
        self.class_weight = class_weight

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Train from the beginning.

        Args:
            X: [N, F], dense and finite.
            y: class of each row, [N].
            sample_weight: of each row in the loss, [N].

        Raises:
            ValueError: the data make no sense, or training diverged.
        """
        self._check()
        X, y = validate_data(self, X, y, dtype=np.float32)
        classes = classes_of(y)
        if len(classes) < 2:
            raise ValueError(f"every row is of one class, {classes[0]!r}: give rows of at least two classes")
        x, codes, weight = self._prepared(X, y, classes, sample_weight)
        self.classes_ = classes
        self._fit(x, codes, weight, codes, len(classes))
        return self

    def partial_fit(self, X: Any, y: Any, classes: Any = None, sample_weight: Any = None) -> Self:
        """Train for an epoch on these rows, on from what has been learned.

        Args:
            X: [N, F], dense and finite.
            y: class of each row, [N].
            classes: all there are; needed by the first call.
            sample_weight: of each row in the loss, [N].

        Raises:
            ValueError: as for `fit`; or the first call does not say which classes there are.
        """
        self._check()
        first = not self.__sklearn_is_fitted__()
        if first and classes is None:
            raise ValueError("the first partial_fit must be told all classes: give classes")
        X, y = validate_data(self, X, y, dtype=np.float32, reset=first)
        known = classes_of(np.asarray(classes)) if classes is not None else self.classes_
        if not first and not np.array_equal(known, self.classes_):
            raise ValueError(f"classes = {known!r} are not those of the first call, {self.classes_!r}")
        if not np.isin(classes_of(y), known).all():
            raise ValueError(f"y holds classes that are not among {known!r}")
        x, codes, weight = self._prepared(X, y, known, sample_weight)
        if first:
            self.classes_ = known
            self._begin()
        self._learn(Rows(x, codes, weight), None, len(known), self._next_epoch())
        return self

    def _prepared(
        self, X: np.ndarray, y: np.ndarray, classes: np.ndarray, sample_weight: Any
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        weight = _check_sample_weight(sample_weight, X, dtype=np.float32, ensure_non_negative=True)
        weight = weight * weights_of(self.class_weight, y, classes)
        codes = np.searchsorted(classes, y).astype(np.int32)
        return present(X, codes, weight)

    def predict(self, X: Any) -> np.ndarray:
        """The class of each row, [N]."""
        outputs = self._outputs(X)  # Before anything is asked of one that has not been fitted.
        return self.classes_[outputs.argmax(1)]

    def predict_proba(self, X: Any) -> np.ndarray:
        """The probability of each class, [N, C] in the order of `classes_`."""
        return softmax(self._outputs(X).astype(np.float64), axis=1)

    def predict_log_proba(self, X: Any) -> np.ndarray:
        """The logarithm of each probability, [N, C]."""
        return log_softmax(self._outputs(X).astype(np.float64), axis=1)


def classes_of(y: np.ndarray) -> np.ndarray:
    """What is to be predicted, in order.

    Raises:
        ValueError: these are no classes.
    """
    check_classification_targets(y)
    if type_of_target(y) not in ("binary", "multiclass"):
        raise ValueError(f"Unknown label type: {type_of_target(y)}: give one class for each row")
    return np.unique(y)


def weights_of(class_weight: Any, y: np.ndarray, classes: np.ndarray) -> np.ndarray:
    """The weight of each row by its class, float32 [N].

    Raises:
        ValueError: a class has a weight that there is not, or a weight is no number from 0 up.
    """
    if class_weight is None:
        return np.ones(len(y), np.float32)
    if not isinstance(class_weight, Mapping):
        return compute_sample_weight(class_weight, y).astype(np.float32)
    code_of = {name: code for code, name in enumerate(classes.tolist())}
    code_of_text = {str(name): code for name, code in code_of.items()}
    # Of all classes: a mini-batch, or a fold, may lack one.
    each = np.ones(len(classes), np.float32)
    for name, weight in class_weight.items():
        code = code_of.get(name, code_of_text.get(str(name)))
        if code is None:
            raise unknown("class in class_weight", name, code_of_text)
        if not isinstance(weight, Real) or not 0 <= float(weight) < math.inf:
            raise UserError(f"class_weight for {name!r} is {weight!r}: give a number above 0, or 0 to leave it out")
        each[code] = weight
    return each[np.searchsorted(classes, y)]
