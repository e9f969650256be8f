"""A network that predicts numbers, as scikit-learn has its estimators."""

from typing import Any, Self

import numpy as np
from sklearn.base import RegressorMixin
from sklearn.utils.validation import _check_sample_weight, validate_data

from jaxbn.data import Rows
from jaxbn.errors import UserError
from jaxbn.estimators.network import Network, present


class BNMLPRegressor(RegressorMixin, Network):
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
        self._check()
        x, y, weight = self._prepared(X, y, sample_weight, reset=True)
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
            ValueError: as for `fit`; or there are more targets or fewer than in the first call.
        """
        self._check()
        first = not self.__sklearn_is_fitted__()
        x, y, weight = self._prepared(X, y, sample_weight, reset=first)
        if not first and y.shape[1] != self._num_outputs:
            raise UserError(
                f"y has {y.shape[1]} targets where the first call had {self._num_outputs}: give {self._num_outputs}, "
                "or call fit"
            )
        if first:
            self._scale(y)
            self._begin()
        self._learn(Rows(x, self._scaled(y), weight), None, y.shape[1], self._next_epoch())
        return self

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags

    def _prepared(
        self, X: Any, y: Any, sample_weight: Any, *, reset: bool
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        X, y = validate_data(self, X, y, dtype=np.float32, multi_output=True, y_numeric=True, reset=reset)
        y = np.asarray(y, np.float64)
        weight = _check_sample_weight(sample_weight, X, dtype=np.float32, ensure_non_negative=True)
        rows = present(X, y.reshape(len(y), -1), weight)
        if reset:
            self._one = y.ndim == 1
        return rows

    def _scale(self, y: np.ndarray) -> None:
        self._target_mean, self._target_scale = standardised(y)

    def _scaled(self, y: np.ndarray) -> np.ndarray:
        return ((y - self._target_mean) / self._target_scale).astype(np.float32)

    def predict(self, X: Any) -> np.ndarray:
        """A number for each row, [N]; [N, K] where it was trained on K."""
        numbers = self._outputs(X) * self._target_scale + self._target_mean
        return numbers[:, 0] if self._one else numbers


def standardised(y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """What is taken off and divided out of targets [N, K] for training."""
    deviation = y.std(0)
    return y.mean(0), np.where(deviation > 0, deviation, 1.0)
