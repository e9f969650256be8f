"""Networks as scikit-learn has its estimators.

They take what scikit-learn's own take, go into its pipelines and searches, and are trained by the engine of a sweep.
Hyperparameters are those of `jaxbn.search`, under the same names.
"""

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import Any, Literal, Self

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.model_selection import train_test_split
from sklearn.utils import check_random_state
from sklearn.utils.class_weight import compute_sample_weight
from sklearn.utils.multiclass import check_classification_targets, type_of_target
from sklearn.utils.validation import _check_sample_weight, check_is_fitted, validate_data

from jaxbn.data import Rows
from jaxbn.engine.data import Data, padded
from jaxbn.engine.machine import machine
from jaxbn.engine.planner import plan_tiles
from jaxbn.engine.programs import CHUNK, Problem
from jaxbn.engine.run import Trainer
from jaxbn.errors import UserError, unknown
from jaxbn.search import HYPERPARAMETERS, LADDER, Config, Rung, from_values, pad, split
from jaxbn.study.fitted import outputs_of
from jaxbn.study.line import Point, Segment, follow

ALWAYS = ("loss",)
"""What is recorded where nothing is scored."""


class _Network(BaseEstimator):
    """What a classifier and a regressor share: hyperparameters, training, outputs."""

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
        clip_norm: float | None = None,
        init_scale: float = 1.0,
        bn_decay: float = 0.9,
        bn_epsilon: float = 1e-5,
        num_epochs: int = 100,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        n_iter_no_change: int = 10,
        tol: float = 1e-4,
        random_state: Any = None,
        verbose: bool = False,
    ) -> None:
        self.hidden_units = hidden_units
        self.num_layers = num_layers
        self.activation = activation
        self.normalization = normalization
        self.optimizer = optimizer
        self.learning_rate = learning_rate
        self.momentum = momentum
        self.b1 = b1
        self.b2 = b2
        self.eps = eps
        self.batch_size = batch_size
        self.learning_rate_decay = learning_rate_decay
        self.decay_kind = decay_kind
        self.warmup_epochs = warmup_epochs
        self.weight_decay = weight_decay
        self.dropout = dropout
        self.clip_norm = clip_norm
        self.init_scale = init_scale
        self.bn_decay = bn_decay
        self.bn_epsilon = bn_epsilon
        self.num_epochs = num_epochs
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.n_iter_no_change = n_iter_no_change
        self.tol = tol
        self.random_state = random_state
        self.verbose = verbose

    _task: Literal["classification", "regression"]
    _metric: str
    """What early stopping looks at; more is better."""

    def _config(self) -> Config:
        """The hyperparameters, checked."""
        given = {name: getattr(self, name) for name in HYPERPARAMETERS if hasattr(self, name)}
        plain = {name: value.item() if isinstance(value, np.generic) else value for name, value in given.items()}
        # What has no value follows from the others.
        return from_values(**{name: v for name, v in plain.items() if v is not None or name == "clip_norm"})

    def _begin(self) -> None:
        """Forget what was learned."""
        self._point: Point | None = None
        self._seed = int(check_random_state(self.random_state).randint(np.iinfo(np.int32).max))
        self.loss_curve_: list[float] = []
        self.validation_scores_: list[float] | None = [] if self.early_stopping else None

    def _learn(self, rows: Rows, valid: Rows | None, num_outputs: int, until: int) -> None:
        """Train on these rows, up to a number of epochs since the beginning."""
        config = self._config()
        if self._point is not None and _shape(config) != _shape(self._point.config):
            raise UserError(
                "what shapes the network or its optimizer changed between two partial_fit: call fit instead"
            )
        scored = rows if valid is None else valid
        # Where nothing is scored, a row has to do: the engine evaluates after every epoch.
        scored = scored if valid is not None else Rows(*(part[:1] for part in dataclasses.astuple(scored)))
        problem = Problem(
            self._task,
            rows.x.shape[1],
            num_outputs,
            pad(len(rows.x), LADDER),
            CHUNK * pad(math.ceil(len(scored.x) / CHUNK), LADDER),
            ALWAYS if valid is None else ("loss", self._metric),
        )
        epochs = max(until, self.num_epochs)
        plan = plan_tiles(
            [config],
            None,
            [problem],
            num_rows=[len(rows.x)],
            rungs=[Rung(epochs, (1,))],
            rates=machine(),
            probes=[config],
            tile_size=1,
        )
        data = Data(padded(rows, problem.train_rows), padded(scored, problem.valid_rows), np.ones(num_outputs))
        best: tuple[float, Point | None] = -math.inf, None
        since_best = 0
        with Trainer(plan, [data], seed=self._seed, on_event=lambda event: None, devices=1) as trainer:
            for point in follow(trainer, [Segment(0, config)], until, since=self._point):
                if point.diverged:
                    raise UserError(
                        f"training diverged in epoch {point.observed.epoch}: give a smaller learning_rate, or "
                        "scale the features"
                    )
                self._point, loss = point, point.observed.train_loss
                assert loss is not None
                self.loss_curve_.append(loss)
                if self.verbose:
                    print(f"epoch {point.observed.epoch}: loss {loss:.6f}")
                if valid is None:
                    continue
                score = point.observed.scores[1]
                assert score is not None and self.validation_scores_ is not None
                self.validation_scores_.append(score)
                since_best = 0 if score > best[0] + self.tol else since_best + 1
                best = (score, point) if score > best[0] else best
                if since_best >= self.n_iter_no_change:
                    break
        if best[1] is not None:
            self._point = best[1]
        assert self._point is not None
        self.config_, self.n_iter_, self.loss_ = config, len(self.loss_curve_), self.loss_curve_[-1]
        self._num_outputs = num_outputs

    def _next_epoch(self) -> int:
        """The number of the epoch that `partial_fit` trains; its rows are others, which no loss before measures."""
        if self._point is None:
            return 1
        self._point = dataclasses.replace(self._point, first_loss=math.nan)
        return self._point.observed.epoch + 1

    def _fit(
        self, x: np.ndarray, y: np.ndarray, weight: np.ndarray, strata: np.ndarray | None, num_outputs: int
    ) -> None:
        """Train from the beginning on prepared targets."""
        self._begin()
        if not (isinstance(self.num_epochs, int | np.integer) and self.num_epochs >= 1):
            raise UserError(f"num_epochs = {self.num_epochs!r} is no whole number of at least 1: give one")
        rows, valid = Rows(x, y, weight), None
        if self.early_stopping:
            learn, look = train_test_split(
                np.arange(len(x)), test_size=self.validation_fraction, random_state=self._seed, stratify=strata
            )
            rows, valid = (Rows(x[some], y[some], weight[some]) for some in (learn, look))
        self._learn(rows, valid, num_outputs, self.num_epochs)

    def _outputs(self, X: Any) -> np.ndarray:
        """The network's own outputs, [N, C]."""
        check_is_fitted(self, "n_iter_")
        x = np.asarray(validate_data(self, X, dtype=np.float32, reset=False))
        assert self._point is not None
        return outputs_of(self._point.config, self._point.weights, x, num_outputs=self._num_outputs)


class BNMLPClassifier(ClassifierMixin, _Network):
    """A batch-normalised network that classifies.

    It learns as a trial of a sweep does: mini-batches in an order that follows from `random_state`, moments of batch
    normalisation over each, averages of them at prediction. Rows of weight 0 take no part. Features are not scaled:
    put a `StandardScaler` before it where they are of unlike sizes.

    Args:
        hidden_units: of each hidden layer, or of all.
        num_layers: hidden layers; None is 2, or as many as `hidden_units` lists.
        label_smoothing: weight taken from the true class and spread over all.
        class_weight: None, "balanced", or a weight for some classes.
        num_epochs: how often every row is seen.
        early_stopping: keep some rows apart, stop when their accuracy has not risen for `n_iter_no_change` epochs, and
            keep the best network.
        validation_fraction: how many are kept apart.
        n_iter_no_change: see `early_stopping`.
        tol: what counts as having risen.
        random_state: of weights, the order of rows, dropout, and what is kept apart.
        verbose: print the loss of every epoch.
        activation, normalization, optimizer, learning_rate, momentum, b1, b2, eps, batch_size, learning_rate_decay,
            decay_kind, warmup_epochs, weight_decay, dropout, clip_norm, init_scale, bn_decay, bn_epsilon: as
            `jaxbn space` lists them.

    Attributes:
        classes_: what is predicted, in order.
        loss_curve_: mean training loss of each epoch.
        loss_: the last of them.
        n_iter_: epochs trained.
        validation_scores_: accuracy after each epoch, with `early_stopping`.
        config_: the hyperparameters, with those that followed from others.
        n_features_in_, feature_names_in_: as everywhere in scikit-learn.

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
        X, y = validate_data(self, X, y, dtype=np.float32)
        classes = classes_of(y)
        if len(classes) < 2:
            raise ValueError(f"every row is of one class, {classes[0]!r}: give rows of at least two classes")
        self.classes_ = classes
        x, codes, weight = self._prepared(X, y, sample_weight)
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
        first = not hasattr(self, "classes_")
        if first and classes is None:
            raise ValueError("the first partial_fit must be told all classes: give classes")
        X, y = validate_data(self, X, y, dtype=np.float32, reset=first)
        known = classes_of(np.asarray(classes)) if classes is not None else self.classes_
        if not first and not np.array_equal(known, self.classes_):
            raise ValueError(f"classes = {known!r} are not those of the first call, {self.classes_!r}")
        if not np.isin(classes_of(y), known).all():
            raise ValueError(f"y holds classes that are not among {known!r}")
        if first:
            self.classes_ = known
            self._begin()
        x, codes, weight = self._prepared(X, y, sample_weight)
        self._learn(Rows(x, codes, weight), None, len(known), self._next_epoch())
        return self

    def _prepared(self, X: np.ndarray, y: np.ndarray, sample_weight: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        weight = _check_sample_weight(sample_weight, X, dtype=np.float32, ensure_non_negative=True)
        weight = weight * weights_of(self.class_weight, y, self.classes_)
        codes = np.searchsorted(self.classes_, y).astype(np.int32)
        return present(X, codes, weight)

    def predict(self, X: Any) -> np.ndarray:
        """The class of each row, [N]."""
        outputs = self._outputs(X)  # Before anything is asked of one that has not been fitted.
        return self.classes_[outputs.argmax(1)]

    def predict_proba(self, X: Any) -> np.ndarray:
        """The probability of each class, [N, C] in the order of `classes_`."""
        logits = self._outputs(X).astype(np.float64)
        chances = np.exp(logits - logits.max(1, keepdims=True))
        return chances / chances.sum(1, keepdims=True)

    def predict_log_proba(self, X: Any) -> np.ndarray:
        """The logarithm of each probability, [N, C]."""
        return np.log(self.predict_proba(X))


class BNMLPRegressor(RegressorMixin, _Network):
    """A batch-normalised network that predicts one number, or several.

    Targets are standardised for training, and predictions are in their own units. Everything else is as for
    `BNMLPClassifier`; early stopping looks at R^2.

    Example:
        >>> from sklearn.datasets import load_diabetes
        >>> X, y = load_diabetes(return_X_y=True)
        >>> BNMLPRegressor(8, num_epochs=20, random_state=0).fit(X, y).score(X, y) > 0.4
        True
    """

    _task, _metric = "regression", "r2"

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Train from the beginning.

        Args:
            X: [N, F], dense and finite.
            y: numbers, [N] or [N, K].
            sample_weight: of each row in the loss, [N].

        Raises:
            ValueError: the data make no sense, or training diverged.
        """
        X, y = self._checked(X, y, reset=True)
        weight = _check_sample_weight(sample_weight, X, dtype=np.float32, ensure_non_negative=True)
        x, y, weight = present(X, y, weight)
        self._scale(y)
        self._fit(x, self._scaled(y), weight, None, y.shape[1])
        return self

    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Train for an epoch on these rows, on from what has been learned; the first call settles the units.

        Args:
            X: [N, F], dense and finite.
            y: numbers, [N] or [N, K].
            sample_weight: of each row in the loss, [N].

        Raises:
            ValueError: as for `fit`.
        """
        first = not hasattr(self, "loss_curve_")
        X, y = self._checked(X, y, reset=first)
        weight = _check_sample_weight(sample_weight, X, dtype=np.float32, ensure_non_negative=True)
        x, y, weight = present(X, y, weight)
        if first:
            self._scale(y)
            self._begin()
        self._learn(Rows(x, self._scaled(y), weight), None, y.shape[1], self._next_epoch())
        return self

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags

    def _checked(self, X: Any, y: Any, *, reset: bool) -> tuple[np.ndarray, np.ndarray]:
        X, y = validate_data(self, X, y, dtype=np.float32, multi_output=True, y_numeric=True, reset=reset)
        y = np.asarray(y, np.float64)
        self._one = y.ndim == 1
        return X, y.reshape(len(y), -1)

    def _scale(self, y: np.ndarray) -> None:
        self._target_mean, self._target_scale = standardised(y)

    def _scaled(self, y: np.ndarray) -> np.ndarray:
        return ((y - self._target_mean) / self._target_scale).astype(np.float32)

    def predict(self, X: Any) -> np.ndarray:
        """A number for each row, [N]; [N, K] where it was trained on K."""
        numbers = self._outputs(X) * self._target_scale + self._target_mean
        return numbers[:, 0] if self._one else numbers


def _shape(config: Config) -> Any:
    """What cannot change while a network trains."""
    spec = split(config)[0]
    return dataclasses.replace(spec, batch_size=0), config.hidden_units, config.num_layers


def classes_of(y: np.ndarray) -> np.ndarray:
    """What is to be predicted, in order.

    Raises:
        ValueError: these are no classes.
    """
    check_classification_targets(y)
    if type_of_target(y) not in ("binary", "multiclass"):
        raise ValueError(f"Unknown label type: {type_of_target(y)}: give one class for each row")
    return np.unique(y)


def standardised(y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """What is taken off and divided out of targets [N, K] for training."""
    deviation = y.std(0)
    return y.mean(0), np.where(deviation > 0, deviation, 1.0)


def weights_of(class_weight: Any, y: np.ndarray, classes: np.ndarray) -> np.ndarray:
    """The weight of each row by its class, float32 [N].

    Raises:
        ValueError: a class has a weight that there is not.
    """
    if class_weight is None:
        return np.ones(len(y), np.float32)
    if not isinstance(class_weight, Mapping):
        return compute_sample_weight(class_weight, y).astype(np.float32)
    for name in class_weight:
        if name not in classes.tolist():
            raise unknown("class in class_weight", name, map(str, classes.tolist()))
    # Looked up over all classes: a mini-batch, or a fold, may lack one.
    each = np.array([class_weight.get(name, 1.0) for name in classes.tolist()], np.float32)
    return each[np.searchsorted(classes, y)]


def present(X: np.ndarray, y: np.ndarray, weight: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Arrays without rows of weight 0, which would take part in the moments of batch normalisation."""
    counts = weight > 0
    if not counts.any():
        raise ValueError("every row has sample_weight 0: give some weight to at least one")
    return X[counts], y[counts], weight[counts]
