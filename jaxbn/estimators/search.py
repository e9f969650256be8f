"""A randomised search with cross-validation that trains all candidates of all folds at once."""

import time
import warnings
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal, NamedTuple, Self

import numpy as np
from scipy.stats import rankdata
from sklearn.base import BaseEstimator, MetaEstimatorMixin, clone
from sklearn.exceptions import FitFailedWarning
from sklearn.metrics import get_scorer
from sklearn.model_selection import ParameterSampler, check_cv
from sklearn.utils import check_random_state, get_tags
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted, validate_data

from jaxbn.data import Rows
from jaxbn.engine.data import Data, padded, problem_of_rows
from jaxbn.engine.machine import machine
from jaxbn.engine.planner import plan_tiles
from jaxbn.engine.run import run
from jaxbn.errors import UserError, unknown
from jaxbn.estimators.classifier import BNMLPClassifier, classes_of, weights_of
from jaxbn.estimators.network import present
from jaxbn.estimators.regressor import BNMLPRegressor, standardised
from jaxbn.search import HYPERPARAMETERS, Choice, Config, Float, Int
from jaxbn.search.halving import to_the_end

SCORES = {
    "classification": {
        "accuracy": "accuracy",
        "balanced_accuracy": "balanced_accuracy",
        "neg_log_loss": "log_loss",
        "roc_auc": "roc_auc",
        "roc_auc_ovr": "roc_auc",
        "f1": "f1",
        "f1_macro": "f1",
    },
    "regression": {"r2": "r2", "neg_mean_squared_error": "mse", "neg_mean_absolute_error": "mae"},
}
"""By scikit-learn's name, the metric that is computed on the device for every candidate."""


def _classifies(search: "SweepSearchCV") -> bool:
    return hasattr(search.estimator, "predict_proba")


class SweepSearchCV(MetaEstimatorMixin, BaseEstimator):
    """A randomised search with cross-validation that trains all candidates of all folds at once.

    Parameters and attributes are those of scikit-learn's `RandomizedSearchCV`. Every candidate is trained as a sweep
    trains its trials, many in one program, and scored on its fold without leaving the device.

    Args:
        estimator: a `BNMLPClassifier` or `BNMLPRegressor`; what is not searched is as it says.
        param_distributions: what to search, by name: lists, distributions of `scipy.stats`, or domains such as
            `jaxbn.Float(1e-4, 1, scale="log")`; or a list of such dicts. Hyperparameters of the network can be
            searched, the others hold for all candidates.
        n_iter: candidates; where lists alone have fewer combinations, those.
        scoring: a name from `SCORES`; or several, as a list, or as a dict from a name to one of them; None is accuracy,
            or r2.
        refit: train the best candidate on all rows; with several scores, by which of them.
        cv: a number of folds, or a splitter.
        random_state: of the candidates.
        error_score: of a candidate that diverged: a number, or "raise".

    Attributes:
        cv_results_: a dict of arrays, as scikit-learn's. The time of a trial is its share of its tile's.
        best_estimator_: trained on all rows, with `refit`.
        best_params_: what was searched, of the best candidate.
        best_score_: its mean score over the folds.
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
        refit: bool | str = True,
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

    def fit(self, X: Any, y: Any, groups: Any = None) -> Self:
        """Train every candidate on every fold, and the best on all rows.

        Args:
            X: [N, F], dense and finite.
            y: classes, or numbers.
            groups: for splitters that keep rows of a group together.

        Raises:
            ValueError: the data, or what was asked for, make no sense; or every candidate diverged.
        """
        task = _task(self.estimator)
        scores, by = self._scores(task)
        candidates = self._candidates()
        configs = [_config(self.estimator, values) for values in candidates]
        x, y_given = X, y
        X, y = validate_data(
            self, X, y, dtype=np.float32, multi_output=task == "regression", y_numeric=task == "regression"
        )
        splitter: Any = check_cv(self.cv, y, classifier=task == "classification")
        splits = list(splitter.split(X, y, groups))
        folds = list(_folds(self.estimator, task, X, y, splits))
        _check_classes(set(scores.values()), folds)
        self.multimetric_, self.n_splits_ = self.scoring is not None and not isinstance(self.scoring, str), len(splits)
        scorers = {name: get_scorer(asked) for name, asked in scores.items()}
        self.scorer_: Any = scorers if self.multimetric_ else scorers["score"]
        table, seconds = _trained(self.estimator, task, configs, folds, [SCORES[task][one] for one in scores.values()])
        self.cv_results_ = self._results(candidates, scores, table, seconds)
        if by is not None:
            self.best_index_ = int(self.cv_results_[f"rank_test_{by}"].argmin())
            self.best_score_ = self.cv_results_[f"mean_test_{by}"][self.best_index_]
            self.best_params_ = candidates[self.best_index_]
        if self.refit:
            began = time.perf_counter()
            self.best_estimator_ = _with(self.estimator, self.best_params_).fit(x, y_given)
            self.refit_time_ = time.perf_counter() - began
        return self

    def _candidates(self) -> list[dict[str, Any]]:
        for one in (
            [self.param_distributions] if isinstance(self.param_distributions, Mapping) else self.param_distributions
        ):
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

    def _scores(self, task: str) -> tuple[dict[str, str], str | None]:
        """What is computed, scikit-learn's names by those of the results; and which ranks."""
        default = {"classification": "accuracy", "regression": "r2"}[task]
        asked = self.scoring
        if asked is None or isinstance(asked, str):
            asked = {"score": asked or default}
        elif not isinstance(asked, Mapping):
            asked = {name: name for name in asked}
        for one in asked.values():
            if one not in SCORES[task]:
                raise unknown("scoring", one, SCORES[task])
        by = "score" if "score" in asked and len(asked) == 1 else self.refit
        if self.refit and by not in asked:
            raise UserError(
                f"refit = {self.refit!r} with several scores: say which ranks, {' or '.join(asked)}, or False"
            )
        return dict(asked), by if isinstance(by, str) else None

    def _results(
        self, candidates: list[dict[str, Any]], scores: dict[str, str], table: np.ndarray, seconds: np.ndarray
    ) -> dict[str, Any]:
        """The arrays of `cv_results_` from scores [n, folds, M], NaN where a candidate diverged, and seconds."""
        diverged = np.isnan(table[..., 0])
        if diverged.any():
            told = f"{int(diverged.sum())} of {diverged.size} trainings diverged"
            if self.error_score == "raise" or diverged.all():
                raise UserError(f"{told}: search smaller learning rates, or scale the features")
            warnings.warn(f"{told}; their scores are {self.error_score}", FitFailedWarning, stacklevel=3)
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
        for place, (name, asked) in enumerate(scores.items()):
            each = -table[..., place] if asked.startswith("neg_") else table[..., place]
            each = np.where(diverged, self.error_score, each)
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

    def score(self, X: Any, y: Any) -> float:
        """The score of the best estimator on other rows."""
        scorer = self.scorer_[self.refit] if self.multimetric_ else self.scorer_
        return scorer(self._best(), X, y)

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


class _Fold(NamedTuple):
    """A split as the engine takes it."""

    train: Rows
    valid: Rows
    target_scale: np.ndarray
    num_outputs: int


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


def _check_classes(asked: set[str], folds: Sequence["_Fold"]) -> None:
    """Refuse scores that scikit-learn does not give for so many classes.

    Raises:
        UserError: it would refuse them too, or they are not computed as it does.
    """
    binary, several = {"f1": "f1_macro", "roc_auc": "roc_auc_ovr"}, {"f1_macro": "f1"}
    for one, other in (binary if folds[0].num_outputs > 2 else several).items():
        if one in asked:
            raise UserError(f"scoring {one!r} is not computed for {folds[0].num_outputs} classes: ask for {other!r}")
    if asked & {"roc_auc", "roc_auc_ovr"} and any(len(np.unique(fold.valid.y)) < 2 for fold in folds):
        raise UserError(
            "a fold has rows of one class, which have no ROC curve: shuffle the rows, or stratify the folds"
        )


class _Drawn:
    """A domain as `ParameterSampler` takes a distribution."""

    def __init__(self, domain: Float | Int | Choice) -> None:
        self.domain = domain

    def rvs(self, random_state: Any = None) -> Any:
        """One value."""
        return self.domain.at(float(check_random_state(random_state).uniform()))


def _with(estimator: Any, values: Mapping[str, Any]) -> Any:
    copy: Any = clone(estimator)
    return copy.set_params(**values)


def _config(estimator: Any, values: Mapping[str, Any]) -> Config:
    return _with(estimator, values)._config()


def _folds(
    estimator: Any, task: str, X: np.ndarray, y: np.ndarray, splits: Sequence[tuple[np.ndarray, np.ndarray]]
) -> Iterator[_Fold]:
    if task == "classification":
        classes = classes_of(y)
        if len(classes) < 2:
            raise ValueError(f"every row is of one class, {classes[0]!r}: give rows of at least two classes")
        codes, ones = np.searchsorted(classes, y).astype(np.int32), np.ones(len(y), np.float32)
        for learn, judge in splits:
            weight = weights_of(estimator.class_weight, y[learn], classes)
            train = Rows(*present(X[learn], codes[learn], weight))
            yield _Fold(train, Rows(X[judge], codes[judge], ones[judge]), np.ones(len(classes)), len(classes))
        return
    columns = np.asarray(y, np.float64).reshape(len(y), -1)
    for learn, judge in splits:
        mean, scale = standardised(columns[learn])
        scaled = ((columns - mean) / scale).astype(np.float32)
        train, valid = (Rows(X[some], scaled[some], np.ones(len(some), np.float32)) for some in (learn, judge))
        yield _Fold(train, valid, scale, columns.shape[1])


def _trained(
    estimator: Any, task: str, configs: list[Config], folds: list[_Fold], metrics: list[str]
) -> tuple[np.ndarray, np.ndarray]:
    """Scores after the last epoch [n, folds, M], NaN where it diverged, and seconds [n, folds]."""
    names = tuple(dict.fromkeys(("loss", *metrics)))
    problems = [problem_of_rows(fold.train, fold.valid, task, fold.num_outputs, names) for fold in folds]
    plan = plan_tiles(
        configs,
        None,
        problems,
        num_rows=[len(fold.train.x) for fold in folds],
        rungs=to_the_end(len(configs), estimator.num_epochs),
        rates=machine(),
        probes=configs,
    )
    data = [
        Data(padded(fold.train, problem.train_rows), padded(fold.valid, problem.valid_rows), fold.target_scale)
        for fold, problem in zip(folds, problems, strict=True)
    ]
    table = np.full((len(configs), len(folds), len(metrics)), np.nan)
    seconds = np.zeros((len(configs), len(folds)))
    places = [names.index(name) for name in metrics]
    copy: Any = clone(estimator)  # A random state of the caller's must not move.
    seed = int(check_random_state(copy.random_state).randint(np.iinfo(np.int32).max))
    for result in run(plan, data, seed=seed, on_event=lambda event: None):
        for slot, trial in enumerate(result.trials):
            where = divmod(trial, len(folds))
            seconds[where] = result.seconds / len(result.trials)
            if not result.diverged[slot]:
                table[where] = result.scores[-1, slot, places]
    return table, seconds
