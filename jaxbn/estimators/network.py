"""What the estimators share: hyperparameters, which are those of `jaxbn.search` under the same names, and training."""

import dataclasses
import math
from collections.abc import Mapping, Sequence
from numbers import Real
from typing import Any, Literal, Self

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.model_selection import train_test_split
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted, validate_data

from jaxbn.data import Rows
from jaxbn.engine.data import Data, padded, problem_of
from jaxbn.engine.machine import machine
from jaxbn.engine.planner import plan_tiles
from jaxbn.engine.run import Trainer
from jaxbn.errors import UserError
from jaxbn.search import HYPERPARAMETERS, Config, Rung, from_values, split
from jaxbn.study.fitted import outputs_of
from jaxbn.study.line import Point, Segment, follow

ALWAYS = ("loss",)
"""What is recorded where nothing is scored."""


class Network(BaseEstimator):
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

    def _check(self) -> Config:
        """The hyperparameters, checked, as is what else training goes by."""
        check_count("num_epochs", self.num_epochs)
        check_count("n_iter_no_change", self.n_iter_no_change)
        if not isinstance(self.tol, Real) or not self.tol >= 0:
            raise UserError(f"tol = {self.tol!r} is no number from 0 up: give one, such as 1e-4")
        fraction = self.validation_fraction
        if not isinstance(fraction, Real) or not 0 < fraction < 1:
            raise UserError(f"validation_fraction = {fraction!r} is no number between 0 and 1: give one, such as 0.1")
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
        config = self._check()
        if self._point is not None and _shape(config) != _shape(self._point.config):
            raise UserError(
                "what shapes the network or its optimizer changed between two partial_fit: call fit instead"
            )
        scored = rows if valid is None else valid
        # Where nothing is scored, a row has to do: the engine evaluates after every epoch.
        scored = scored if valid is not None else Rows(*(part[:1] for part in dataclasses.astuple(scored)))
        names = ALWAYS if valid is None else ("loss", self._metric)
        problem = problem_of(rows, scored, self._task, num_outputs, names)
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
        last = self._point
        with Trainer(plan, [data], seed=self._seed, on_event=lambda event: None, devices=1) as trainer:
            for point in follow(trainer, [Segment(0, config)], until, since=self._point):
                if point.diverged:
                    raise UserError(
                        f"training diverged in epoch {point.observed.epoch}: give a smaller learning_rate, or "
                        "scale the features"
                    )
                last, loss = point, point.observed.train_loss
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
        # Only now: what diverges on the way is no network to predict with.
        self._point = last if best[1] is None else best[1]
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
        rows, valid = Rows(x, y, weight), None
        if self.early_stopping:
            learn, look = train_test_split(
                np.arange(len(x)), test_size=self.validation_fraction, random_state=self._seed, stratify=strata
            )
            rows, valid = (Rows(x[some], y[some], weight[some]) for some in (learn, look))
        self._learn(rows, valid, num_outputs, self.num_epochs)

    def _adopt(self, point: Point, num_outputs: int, learned: Mapping[str, Any]) -> Self:
        """Be what was trained elsewhere, with what its task knows of the rows that it learned from."""
        self._point, self._num_outputs = point, num_outputs
        self.config_, self.n_iter_ = point.config, point.observed.epoch
        vars(self).update(learned)
        return self

    def __sklearn_is_fitted__(self) -> bool:
        return getattr(self, "_point", None) is not None

    def _outputs(self, X: Any) -> np.ndarray:
        """The network's own outputs, [N, C]."""
        check_is_fitted(self)
        x = np.asarray(validate_data(self, X, dtype=np.float32, reset=False))
        assert self._point is not None
        return outputs_of(self._point.config, self._point.weights, x, num_outputs=self._num_outputs)


def check_count(name: str, value: Any) -> None:
    """Refuse what is no whole number from 1 up."""
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < 1:
        raise UserError(f"{name} = {value!r} is no whole number of at least 1: give one")


def _shape(config: Config) -> Any:
    """What cannot change while a network trains."""
    spec = split(config)[0]
    return dataclasses.replace(spec, batch_size=0), config.hidden_units, config.num_layers


def present(X: np.ndarray, y: np.ndarray, weight: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Arrays without rows of weight 0, which would take part in the moments of batch normalisation."""
    counts = weight > 0
    if not counts.any():
        raise ValueError("every row has sample_weight 0: give some weight to at least one")
    return X[counts], y[counts], weight[counts]
