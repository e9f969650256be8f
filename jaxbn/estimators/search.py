"""A randomised search with cross-validation that trains all candidates of all folds at once."""

import time
import warnings
from collections.abc import Callable, Mapping
from numbers import Real
from typing import Any, Literal, Self

import numpy as np
from scipy.stats import rankdata
from sklearn.base import BaseEstimator, MetaEstimatorMixin
from sklearn.exceptions import FitFailedWarning
from sklearn.model_selection import ParameterSampler, check_cv
from sklearn.utils import check_random_state, get_tags
from sklearn.utils.metadata_routing import MetadataRouter, MethodMapping
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import _check_sample_weight, check_is_fitted, validate_data

from jaxbn.errors import UserError, unknown
from jaxbn.estimators.classifier import BNMLPClassifier
from jaxbn.estimators.folds import folds_of, trained, with_values
from jaxbn.estimators.network import check_count
from jaxbn.estimators.regressor import BNMLPRegressor
from jaxbn.estimators.scoring import (
    Score,
    check_classes,
    is_several,
    key_of,
    metadata_for_fit,
    metadata_for_score,
    scores_of,
)
from jaxbn.search import HYPERPARAMETERS, Choice, Float, Int


def _classifies(search: "SweepSearchCV") -> bool:
    return hasattr(search.estimator, "predict_proba")


class SweepSearchCV(MetaEstimatorMixin, BaseEstimator):
    """A randomised search with cross-validation that trains all candidates of all folds at once.

    The parameters and attributes listed here mean what they mean in scikit-learn's `RandomizedSearchCV`; its `n_jobs`,
    `pre_dispatch`, `verbose` and `return_train_score` are not here. Every candidate is trained as a sweep trains its
    trials, many in one program, and scored on its fold without leaving the device; where a scorer requests sample
    weights, by scikit-learn.

    Args:
        estimator: a `BNMLPClassifier` or `BNMLPRegressor`; what is not searched is as it says.
        param_distributions: what to search, by name: lists, distributions of `scipy.stats`, or domains such as
            `jaxbn.Float(1e-4, 1, scale="log")`; or a list of such dicts. Hyperparameters of the network can be
            searched, the others hold for all candidates.
        n_iter: candidates; where lists alone have fewer combinations, those.
        scoring: a name from `jaxbn.estimators.scoring.SCORES`, or scikit-learn's scorer of that name; or several, as a
            list, or as a dict from a name to one of them; None is the estimator's own, accuracy or r2.
        refit: train the best candidate on all rows; with several scores, by which of them. Or a function that is given
            `cv_results_` and returns the place of the best in it.
        cv: a number of folds, or a splitter.
        random_state: of the candidates.
        error_score: of a candidate that diverged: a number, or "raise".

    Attributes:
        cv_results_: a dict of arrays, as scikit-learn's. The time of a trial is its share of its tile's.
        best_estimator_: trained on all rows, with `refit`.
        best_params_: what was searched, of the best candidate.
        best_score_: its mean score over the folds; not there where `refit` is a function.
        best_index_: its place in `cv_results_`.
        n_splits_: how many folds there were.
        scorer_: scikit-learn's scorer; a dict of them where several scores were asked for.
        multimetric_: whether several were.
        refit_time_: seconds of training on all rows.

    Example:
        >>> from sklearn.datasets import load_iris
        >>> from jaxbn import Float
        >>> X, y = load_iris(return_X_y=True)
        >>> network = BNMLPClassifier(8, num_epochs=20, random_state=0)
        >>> search = SweepSearchCV(network, {"learning_rate": Float(1e-4, 1, scale="log")}, n_iter=4, random_state=0)
        >>> bool(search.fit(X, y).best_score_ > 0.9)
        True
    """

    def __init__(
        self,
        estimator: Any,
        param_distributions: Any,
        *,
        n_iter: int = 10,
        scoring: Any = None,
        refit: bool | str | Callable[[dict[str, Any]], int] = True,
        cv: Any = 5,
        random_state: Any = None,
        error_score: float | Literal["raise"] = np.nan,
    ) -> None:
        self.estimator = estimator
        self.param_distributions = param_distributions
        self.n_iter = n_iter
        self.scoring = scoring
        self.refit = refit
        self.cv = cv
        self.random_state = random_state
        self.error_score = error_score

    def fit(self, X: Any, y: Any, **params: Any) -> Self:
        """Train every candidate on every fold, and the best on all rows.

        Args:
            X: [N, F], dense and finite.
            y: classes, or numbers.
            **params: `sample_weight` of each row in the loss, and `groups` for splitters that keep rows of a group
                together; with scikit-learn's metadata routing, whoever requests them gets them, scorers too.

        Raises:
            ValueError: the data, or what was asked for, make no sense; or every candidate diverged.
            TypeError: metadata that nobody requested, with scikit-learn's metadata routing.
        """
        task = _task(self.estimator)
        self._check()
        scores, by = self._scores()
        metadata = metadata_for_fit(self, scores, params)
        candidates = self._candidates()
        configs = [with_values(self.estimator, values)._check() for values in candidates]
        x, y_given = X, y
        X, y = validate_data(
            self, X, y, dtype=np.float32, multi_output=task == "regression", y_numeric=task == "regression"
        )
        splitter: Any = check_cv(self.cv, y, classifier=task == "classification")
        splits = list(splitter.split(X, y, **metadata.split))
        weight = _check_sample_weight(metadata.fit.get("sample_weight"), X, dtype=np.float32, ensure_non_negative=True)
        folds = list(folds_of(self.estimator, X, y, weight, splits))
        check_classes(list(scores.values()), folds[0].num_outputs, [y[judge] for _, judge in splits])
        self.multimetric_, self.n_splits_ = is_several(self.scoring), len(splits)
        scorers = {name: one.scorer for name, one in scores.items()}
        self.scorer_: Any = scorers if self.multimetric_ else scorers["score"]
        given = [metadata.score[name].get("sample_weight") for name in scores]
        weights = [one if one is None else _check_sample_weight(one, X, ensure_non_negative=True) for one in given]
        table, seconds = trained(self.estimator, candidates, configs, folds, list(scores.values()), weights)
        self.cv_results_ = self._results(candidates, list(scores), table, seconds)
        if callable(self.refit):
            self.best_index_ = _place(self.refit(self.cv_results_), len(candidates))
        elif by is not None:
            self.best_index_ = int(self.cv_results_[f"rank_test_{by}"].argmin())
            self.best_score_ = self.cv_results_[f"mean_test_{by}"][self.best_index_]
        if callable(self.refit) or by is not None:
            self.best_params_ = candidates[self.best_index_]
        if self.refit:
            began = time.perf_counter()
            self.best_estimator_ = with_values(self.estimator, self.best_params_).fit(x, y_given, **metadata.fit)
            self.refit_time_ = time.perf_counter() - began
        return self

    def _check(self) -> None:
        check_count("n_iter", self.n_iter)
        if not isinstance(self.error_score, Real) and self.error_score != "raise":
            raise UserError(f"error_score = {self.error_score!r} is neither a number nor 'raise': give one of these")

    def _candidates(self) -> list[dict[str, Any]]:
        asked = self.param_distributions
        several = [asked] if isinstance(asked, Mapping) else asked
        if not (isinstance(several, list | tuple) and several and all(isinstance(one, Mapping) for one in several)):
            raise UserError(
                f"param_distributions = {asked!r:.80}: give a dict from a hyperparameter to what is searched, or a "
                "list of such dicts"
            )
        for one in several:
            for name in one:
                if name not in HYPERPARAMETERS or not hasattr(self.estimator, name):
                    known = [known for known in HYPERPARAMETERS if hasattr(self.estimator, known)]
                    raise unknown("hyperparameter to search", name, known)
                if getattr(one[name], "when", None):
                    raise UserError(f"{name} holds only at times, which a search cannot express: give a list of dicts")
        with warnings.catch_warnings():
            # That there are fewer combinations than were asked for is as it is told.
            warnings.simplefilter("ignore", UserWarning)
            drawn = ParameterSampler(_drawable(self.param_distributions), self.n_iter, random_state=self.random_state)
            return list(drawn)

    def _scores(self) -> tuple[dict[str, Score], str | None]:
        """What is computed, by the names of the results; and which ranks."""
        asked = scores_of(self.estimator, self.scoring)
        by = "score" if "score" in asked and len(asked) == 1 else self.refit
        if self.refit and not callable(self.refit) and by not in asked:
            raise UserError(
                f"refit = {self.refit!r} with several scores: say which ranks, {' or '.join(asked)}, or False"
            )
        return asked, by if isinstance(by, str) else None

    def _results(
        self, candidates: list[dict[str, Any]], names: list[str], table: np.ndarray, seconds: np.ndarray
    ) -> dict[str, Any]:
        """The arrays of `cv_results_` from scores [n, folds, M], NaN where a candidate diverged, and seconds."""
        diverged = np.isnan(table[..., 0])
        if diverged.any():
            told = f"{int(diverged.sum())} of {diverged.size} trainings diverged"
            if self.error_score == "raise" or diverged.all():
                raise UserError(f"{told}: search smaller learning rates, or scale the features")
            warnings.warn(f"{told}; their scores are {self.error_score}", FitFailedWarning, stacklevel=3)
            table = np.where(diverged[..., None], self.error_score, table)
        found: dict[str, Any] = {
            "mean_fit_time": seconds.mean(1),
            "std_fit_time": seconds.std(1),
            # Scores come from the device with the training.
            "mean_score_time": np.zeros(len(candidates)),
            "std_score_time": np.zeros(len(candidates)),
        }
        for name in dict.fromkeys(name for values in candidates for name in values):
            column = np.ma.MaskedArray(np.empty(len(candidates), object), mask=True)
            for place, values in enumerate(candidates):
                if name in values:
                    column[place] = values[name]
            found[f"param_{name}"] = column
        found["params"] = candidates
        for place, name in enumerate(names):
            each = table[..., place]
            found |= {f"split{fold}_test_{name}": each[:, fold] for fold in range(each.shape[1])}
            mean = each.mean(1)
            found |= {f"mean_test_{name}": mean, f"std_test_{name}": each.std(1)}
            found[f"rank_test_{name}"] = rankdata(np.where(np.isnan(mean), np.inf, -mean), method="min").astype(
                np.int32
            )
        return found

    def predict(self, X: Any) -> np.ndarray:
        """What the best estimator predicts."""
        return self._best().predict(X)

    @available_if(_classifies)
    def predict_proba(self, X: Any) -> np.ndarray:
        """The probability of each class by the best estimator."""
        return self._best().predict_proba(X)

    @available_if(_classifies)
    def predict_log_proba(self, X: Any) -> np.ndarray:
        """The logarithm of each."""
        return self._best().predict_log_proba(X)

    def score(self, X: Any, y: Any, **params: Any) -> float:
        """The score of the best estimator on other rows.

        Args:
            X: [N, F].
            y: classes, or numbers.
            **params: for the scorer, with scikit-learn's metadata routing.

        Raises:
            UserError: several scores were asked for, and `refit` does not say which ranks.
        """
        best = self._best()
        scorers = self.scorer_ if self.multimetric_ else {"score": self.scorer_}
        name = self.refit if self.multimetric_ and isinstance(self.refit, str) else "score"
        if name not in scorers:
            raise UserError(f"{' and '.join(scorers)} were asked for and refit names none: call one of scorer_")
        return scorers[name](best, X, y, **metadata_for_score(self, name, params))

    def get_metadata_routing(self) -> MetadataRouter:
        """Who may request metadata of whom, as scikit-learn has it: estimator, splitter and scorers."""

        def to(**callers: str) -> MethodMapping:
            mapping = MethodMapping()
            for caller, callee in callers.items():
                mapping.add(caller=caller, callee=callee)
            return mapping

        router = MetadataRouter(owner=self)
        router.add(estimator=self.estimator, method_mapping=to(fit="fit"))
        router.add(splitter=self.cv, method_mapping=to(fit="split"))
        for name, one in scores_of(self.estimator, self.scoring).items():
            router.add(**{key_of(name): one.scorer}, method_mapping=to(fit="score", score="score"))
        return router

    @property
    def classes_(self) -> np.ndarray:
        """What is predicted."""
        return self._best().classes_

    def _best(self) -> Any:
        check_is_fitted(self, "best_estimator_")
        return self.best_estimator_

    def __sklearn_tags__(self) -> Any:
        tags, own = super().__sklearn_tags__(), get_tags(self.estimator)
        tags.estimator_type, tags.classifier_tags, tags.regressor_tags = (
            own.estimator_type,
            own.classifier_tags,
            own.regressor_tags,
        )
        tags.target_tags = own.target_tags
        return tags


def _task(estimator: Any) -> Literal["classification", "regression"]:
    if not isinstance(estimator, BNMLPClassifier | BNMLPRegressor):
        raise UserError(
            f"SweepSearchCV trains a BNMLPClassifier or a BNMLPRegressor and {type(estimator).__name__} is neither: "
            "put a pipeline around the search instead of into it, or use RandomizedSearchCV"
        )
    if estimator.early_stopping:
        raise UserError("early_stopping has no place in a search, whose folds judge already: leave it out")
    return estimator._task


def _drawable(distributions: Any) -> Any:
    """The same with domains as things that can be drawn from."""
    if isinstance(distributions, Mapping):
        return {
            name: _Drawn(values) if isinstance(values, Float | Int | Choice) else values
            for name, values in distributions.items()
        }
    return [_drawable(one) for one in distributions]


def _place(chosen: Any, count: int) -> int:
    """Which candidate a function chose."""
    if not isinstance(chosen, int | np.integer) or not 0 <= chosen < count:
        raise UserError(
            f"refit returned {chosen!r:.80}: return a whole number from 0 to {count - 1}, a place in params"
        )
    return int(chosen)


class _Drawn:
    """A domain as `ParameterSampler` takes a distribution."""

    def __init__(self, domain: Float | Int | Choice) -> None:
        self.domain = domain

    def rvs(self, random_state: Any = None) -> Any:
        """One value."""
        return self.domain.at(float(check_random_state(random_state).uniform()))
