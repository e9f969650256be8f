"""The folds of a cross-validation, and all candidates trained on all of them at once."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from sklearn.base import clone
from sklearn.utils import check_random_state

from jaxbn.data import Rows
from jaxbn.engine.data import Data, padded, problem_of
from jaxbn.engine.machine import machine
from jaxbn.engine.planner import plan_tiles
from jaxbn.engine.run import run
from jaxbn.estimators.classifier import classes_of, weights_of
from jaxbn.estimators.network import present
from jaxbn.estimators.regressor import standardised
from jaxbn.estimators.scoring import SCORES, Score
from jaxbn.search import Config
from jaxbn.search.halving import to_the_end
from jaxbn.study.line import Point


class Fold(NamedTuple):
    """A split as the engine takes it.

    Attributes:
        train: rows to learn from.
        valid: rows to be judged by.
        target_scale: [C], what targets were divided by.
        num_outputs: C.
        judge: the numbers of the rows to be judged by.
        labels: theirs, as they were given.
        learned: what an estimator that is fitted on the fold knows of it.
    """

    train: Rows
    valid: Rows
    target_scale: np.ndarray
    num_outputs: int
    judge: np.ndarray
    labels: np.ndarray
    learned: dict[str, Any]


def folds_of(
    estimator: Any,
    X: np.ndarray,
    y: np.ndarray,
    weight: np.ndarray,
    splits: Sequence[tuple[np.ndarray, np.ndarray]],
) -> Iterator[Fold]:
    """Each split as the engine takes it.

    Args:
        estimator: whose task and weights of classes they are.
        X: all rows, float32 [N, F].
        y: their labels, [N] or [N, K].
        weight: of each row in the loss, float32 [N]; rows of weight 0 take no part in training.
        splits: row numbers to learn from and to be judged by.

    Raises:
        ValueError: there is one class, or a fold has no row to learn from.
    """
    ones = np.ones(len(y), np.float32)
    if estimator._task == "classification":
        classes = classes_of(y)
        if len(classes) < 2:
            raise ValueError(f"every row is of one class, {classes[0]!r}: give rows of at least two classes")
        codes, learned = np.searchsorted(classes, y).astype(np.int32), {"classes_": classes}
        for learn, judge in splits:
            of_class = weights_of(estimator.class_weight, y[learn], classes)
            train = Rows(*present(X[learn], codes[learn], weight[learn] * of_class))
            valid = Rows(X[judge], codes[judge], ones[judge])
            yield Fold(train, valid, np.ones(len(classes)), len(classes), judge, y[judge], learned)
        return
    columns = np.asarray(y, np.float64).reshape(len(y), -1)
    for learn, judge in splits:
        x, numbers, each = present(X[learn], columns[learn], weight[learn])
        mean, scale = standardised(numbers)
        train = Rows(x, ((numbers - mean) / scale).astype(np.float32), each)
        valid = Rows(X[judge], ((columns[judge] - mean) / scale).astype(np.float32), ones[judge])
        learned = {"_target_mean": mean, "_target_scale": scale, "_one": y.ndim == 1}
        yield Fold(train, valid, scale, columns.shape[1], judge, y[judge], learned)


def trained(
    estimator: Any,
    candidates: list[dict[str, Any]],
    configs: list[Config],
    folds: list[Fold],
    scores: list[Score],
    weights: list[Any],
) -> tuple[np.ndarray, np.ndarray]:
    """Scores after the last epoch, as scikit-learn gives them, and how long it took.

    Args:
        estimator: which is searched.
        candidates: n of them.
        configs: theirs.
        folds: of the cross-validation.
        scores: M of them.
        weights: of all rows in each score; None where they weigh alike.

    Returns:
        Scores [n, folds, M], NaN where training diverged, and seconds [n, folds].
    """
    task = estimator._task
    metrics = [SCORES[task][one.name] for one in scores]
    names = tuple(dict.fromkeys(("loss", *metrics)))
    problems = [problem_of(fold.train, fold.valid, task, fold.num_outputs, names) for fold in folds]
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
    signs = np.array([-1.0 if one.name.startswith("neg_") else 1.0 for one in scores])
    weighted = [place for place, weight in enumerate(weights) if weight is not None]
    copy: Any = clone(estimator)  # A random state of the caller's must not move.
    seed = int(check_random_state(copy.random_state).randint(np.iinfo(np.int32).max))
    for result in run(plan, data, seed=seed, on_event=lambda event: None):
        for slot, trial in enumerate(result.trials):
            number, at = divmod(trial, len(folds))
            seconds[number, at] = result.seconds / len(result.trials)
            if result.diverged[slot]:
                continue
            table[number, at] = signs * result.scores[-1, slot, places]
            if not weighted:
                continue
            # On the device rows weigh alike, so scikit-learn scores what was trained there.
            fold, point = folds[at], Point.of_tile(configs[number], result, slot)
            fitted = with_values(estimator, candidates[number])._adopt(point, fold.num_outputs, fold.learned)
            for place in weighted:
                each = np.asarray(weights[place])[fold.judge]
                table[number, at, place] = scores[place].scorer(fitted, fold.valid.x, fold.labels, sample_weight=each)
    return table, seconds


def with_values(estimator: Any, values: Mapping[str, Any]) -> Any:
    """A copy that has not been fitted, with these hyperparameters."""
    copy: Any = clone(estimator)
    return copy.set_params(**values)
