"""What a search scores its candidates by, and how scikit-learn's metadata reach them."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from sklearn import get_config
from sklearn.metrics import check_scoring, get_scorer
from sklearn.utils.metadata_routing import process_routing

from jaxbn.errors import UserError, unknown
from jaxbn.study.score import has_curve

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

DEFAULT = {"classification": "accuracy", "regression": "r2"}
"""What an estimator's own `score` is, by scikit-learn's name."""


class Score(NamedTuple):
    """A score of a search.

    Attributes:
        name: scikit-learn's, among `SCORES`.
        scorer: scikit-learn's.
    """

    name: str
    scorer: Any


def scores_of(estimator: Any, scoring: Any) -> dict[str, Score]:
    """What is asked for, by the name that it has in the results.

    Args:
        estimator: which is searched.
        scoring: as `SweepSearchCV` takes it.

    Raises:
        UserError: something is not among `SCORES`.
    """
    task = estimator._task
    if scoring is None:
        return {"score": Score(DEFAULT[task], check_scoring(estimator))}
    if not is_several(scoring):
        scoring = {"score": scoring}
    elif not isinstance(scoring, Mapping):
        scoring = {name: name for name in scoring}
    return {name: _score(task, asked) for name, asked in scoring.items()}


def is_several(scoring: Any) -> bool:
    """Whether several scores are asked for, in a list or a mapping."""
    return scoring is not None and not isinstance(scoring, str) and not callable(scoring)


def _score(task: str, asked: Any) -> Score:
    if isinstance(asked, str):
        if asked not in SCORES[task]:
            raise unknown("scoring", asked, SCORES[task])
        return Score(asked, get_scorer(asked))
    # A scorer says what it computes in no other way; what it requests does not show in it.
    known = {repr(get_scorer(name)): name for name in SCORES[task]}
    if repr(asked) not in known:
        raise unknown("scoring", asked, SCORES[task])
    return Score(known[repr(asked)], asked)


def check_classes(scores: Sequence[Score], num_outputs: int, judged: Sequence[np.ndarray]) -> None:
    """Refuse scores that scikit-learn does not give for so many classes.

    Args:
        scores: what is asked for.
        num_outputs: classes; whatever it is, scores of a regression pass.
        judged: the labels of the rows that each fold is judged by.

    Raises:
        UserError: it would refuse them too, or they are not computed as it does.
    """
    asked = {one.name for one in scores}
    binary, several = {"f1": "f1_macro", "roc_auc": "roc_auc_ovr"}, {"f1_macro": "f1"}
    for one, other in (binary if num_outputs > 2 else several).items():
        if one in asked:
            raise UserError(f"scoring {one!r} is not computed for {num_outputs} classes: ask for {other!r}")
    if asked & {"roc_auc", "roc_auc_ovr"} and not all(map(has_curve, judged)):
        raise UserError(
            "a fold has rows of one class, which have no ROC curve: shuffle the rows, or stratify the folds"
        )


class Metadata(NamedTuple):
    """What was given to `fit` beside rows and labels, by who takes it.

    Attributes:
        fit: the training of each candidate.
        split: the splitter.
        score: each score, by its name.
    """

    fit: dict[str, Any]
    split: dict[str, Any]
    score: dict[str, dict[str, Any]]


def metadata_for_fit(search: Any, scores: Mapping[str, Score], given: Mapping[str, Any]) -> Metadata:
    """Who takes what of that which was given to `fit`.

    With scikit-learn's metadata routing each gets what it has requested. Without, sample weights count in training and
    groups go to the splitter.

    Raises:
        UserError: nobody takes it.
        TypeError: as scikit-learn's, where routing is switched on and it was not requested.
    """
    given = {name: value for name, value in given.items() if value is not None}
    if given and get_config()["enable_metadata_routing"]:
        found: Any = process_routing(search, "fit", **given)
        score = {name: dict(found[key_of(name)]["score"]) for name in scores}
        others = {name for taken in score.values() for name in taken} - {"sample_weight"}
        if others:
            raise UserError(f"a scorer requests {', '.join(sorted(others))}, and a search hands it sample_weight alone")
        return Metadata(dict(found["estimator"]["fit"]), dict(found["splitter"]["split"]), score)
    others = sorted(given.keys() - {"sample_weight", "groups"})
    if others:
        raise UserError(f"fit of SweepSearchCV was given {', '.join(others)}: it takes sample_weight and groups")
    taken = {name: {name: given[name]} if name in given else {} for name in ("sample_weight", "groups")}
    return Metadata(taken["sample_weight"], taken["groups"], {name: {} for name in scores})


def metadata_for_score(search: Any, name: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """What the scorer of a score takes of that which was given to `score`.

    Raises:
        UserError: metadata routing is not switched on.
        TypeError: as scikit-learn's, where it is and the scorer did not request it.
    """
    if not given:
        return {}
    if not get_config()["enable_metadata_routing"]:
        raise UserError(
            f"score of SweepSearchCV was given {', '.join(sorted(given))}: call "
            "sklearn.set_config(enable_metadata_routing=True), and let the scorer request it"
        )
    found: Any = process_routing(search, "score", **given)
    return dict(found[key_of(name)]["score"])


def key_of(name: str) -> str:
    """What a score is called in scikit-learn's routing."""
    return f"scorer_{name}"
