"""The estimators beside what scikit-learn asks of all."""

import pickle
import warnings

import numpy as np
import pandas as pd
import pytest
from scipy.stats import uniform
from sklearn import config_context
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.datasets import load_breast_cancer, load_diabetes, load_iris, make_regression
from sklearn.ensemble import VotingClassifier
from sklearn.exceptions import ConvergenceWarning, FitFailedWarning, NotFittedError, UnsetMetadataPassedError
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import get_scorer
from sklearn.model_selection import GridSearchCV, GroupKFold, RandomizedSearchCV, cross_val_score, cross_validate
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

from jaxbn import Float, Int
from jaxbn.errors import UserError
from jaxbn.estimators import BNMLPClassifier, BNMLPRegressor, SweepSearchCV

X, Y = load_iris(return_X_y=True)

WEIGHTS = {
    "check_sample_weight_equivalence_on_dense_data": (
        "a row of weight 2 counts twice in the loss, but once in the moments of batch normalisation and in the order "
        "of the mini-batches, so it is not the same as the row twice"
    )
}
"""What is asked of estimators whose result does not depend on mini-batches."""


@parametrize_with_checks([BNMLPClassifier(), BNMLPRegressor()], expected_failed_checks=lambda estimator: WEIGHTS)
def test_as_scikit_learn_asks(estimator, check):
    check(estimator)


def test_it_learns_and_is_deterministic():
    one, same, other = (BNMLPClassifier(16, num_epochs=30, random_state=seed).fit(X, Y) for seed in (0, 0, 1))
    assert one.score(X, Y) > 0.95
    assert one.loss_curve_[-1] < one.loss_curve_[0] / 3 and one.n_iter_ == 30 == len(one.loss_curve_)
    np.testing.assert_array_equal(one.predict_proba(X), same.predict_proba(X))
    assert (one.predict_proba(X) != other.predict_proba(X)).any()
    np.testing.assert_allclose(one.predict_proba(X).sum(1), 1)
    np.testing.assert_allclose(np.exp(one.predict_log_proba(X)), one.predict_proba(X))


def test_texts_are_classes_and_frames_have_names():
    frame = pd.DataFrame(X, columns=["a", "b", "c", "d"])
    names = np.array(["setosa", "versicolor", "virginica"])[Y]
    model = BNMLPClassifier(8, num_epochs=20, random_state=0).fit(frame, names)
    assert set(model.predict(frame)) <= set(names) and model.feature_names_in_.tolist() == ["a", "b", "c", "d"]
    with pytest.raises(ValueError, match="feature names"):
        model.predict(frame.rename(columns={"a": "z"}))


def test_partial_fit_goes_on():
    model = BNMLPClassifier(8, random_state=0)
    for _ in range(30):
        model.partial_fit(X, Y, classes=[0, 1, 2])
    whole = BNMLPClassifier(8, num_epochs=30, random_state=0).fit(X, Y)
    # The same epochs, each a call of its own.
    np.testing.assert_allclose(model.loss_curve_, whole.loss_curve_, rtol=1e-4)
    np.testing.assert_allclose(model.predict_proba(X), whole.predict_proba(X), atol=1e-4)
    model.partial_fit(X[:20], Y[:20])
    assert model.n_iter_ == 31
    with pytest.raises(ValueError, match="told all classes"):
        BNMLPClassifier().partial_fit(X, Y)
    with pytest.raises(ValueError, match="not among"):
        model.partial_fit(X, Y + 5)
    with pytest.raises(UserError, match="shapes the network"):
        model.set_params(hidden_units=9).partial_fit(X, Y)


DIVERGES = {"learning_rate": 1e4, "normalization": "none", "optimizer": "sgd", "batch_size": 150}
"""After the first epoch."""


@pytest.mark.parametrize(
    "wrong", [{"class_weight": {7: 1.0}}, {"random_state": "x"}, {"num_epochs": 0}, {"learning_rate": -1.0}, DIVERGES]
)
def test_after_a_fit_that_failed_nothing_is_known(wrong):
    model = network(**wrong)
    with pytest.raises(ValueError):
        model.fit(X, Y)
    model.set_params(**network().get_params())
    for ask in (model.predict, lambda x: model.partial_fit(x, Y)):
        with pytest.raises((NotFittedError, ValueError), match=r"not fitted yet|told all classes"):
            ask(X)
    two = Y < 2
    model.partial_fit(X[two], Y[two], classes=[0, 1])
    assert model.n_iter_ == 1 and model.predict_proba(X).shape == (150, 2)
    # What was learned before stays as it was.
    before = model.predict_proba(X)
    with pytest.raises(UserError, match="unknown class in class_weight"):
        model.set_params(class_weight={7: 1.0}).fit(X, Y)
    np.testing.assert_array_equal(model.predict_proba(X), before)
    assert set(model.predict(X)) <= {0, 1}


def test_what_diverges_later_than_in_its_first_epoch_is_not_kept():
    model = network().fit(X, Y)
    with pytest.raises(UserError, match=r"diverged in epoch [2-9]"):
        model.set_params(**DIVERGES).fit(X, Y)
    with pytest.raises(NotFittedError):
        model.predict(X)
    # What partial_fit would have added to is as it was.
    model.set_params(**network(**DIVERGES | {"learning_rate": 1e-3}).get_params()).fit(X, Y)
    before, epochs = model.predict_proba(X), model.n_iter_
    with pytest.raises(UserError, match=f"diverged in epoch {epochs + 1}"):
        model.set_params(learning_rate=1e38).partial_fit(X, Y)
    np.testing.assert_array_equal(model.predict_proba(X), before)
    assert model.n_iter_ == len(model.loss_curve_) == epochs


def test_settings_that_are_wrong_leave_numbers_in_their_units():
    x, y = load_diabetes(return_X_y=True)
    model = BNMLPRegressor(4, num_epochs=2, random_state=0).fit(x, y)
    before = model.predict(x)
    with pytest.raises(UserError, match="learning_rate"):
        model.set_params(learning_rate=-1.0).fit(x, 1e6 + y)
    np.testing.assert_array_equal(model.predict(x), before)


def test_partial_fit_of_another_number_of_targets_is_refused():
    x, y = load_diabetes(return_X_y=True)
    two = np.stack([y, y], axis=1)
    model = BNMLPRegressor(4, random_state=0).partial_fit(x, y)
    with pytest.raises(UserError, match="y has 2 targets where the first call had 1: give 1, or call fit"):
        model.partial_fit(x, two)
    # One target is one, in a column too.
    assert model.partial_fit(x, y[:, None]).predict(x).shape == (len(x),)
    with pytest.raises(UserError, match="y has 1 targets where the first call had 2"):
        BNMLPRegressor(4, random_state=0).partial_fit(x, two).partial_fit(x, y)


def test_the_logarithm_of_a_probability_that_is_too_small_to_write_is_finite():
    model = network().fit(X, Y)
    far = 1e4 * X
    logarithms = model.predict_log_proba(far)
    assert (model.predict_proba(far) == 0).any() and np.isfinite(logarithms).all() and logarithms.min() < -800


def test_a_row_of_weight_0_takes_no_part():
    weight = np.ones(len(X))
    weight[:40] = 0
    given = BNMLPClassifier(8, num_epochs=5, random_state=0).fit(X, Y, sample_weight=weight)
    without = BNMLPClassifier(8, num_epochs=5, random_state=0).fit(X[40:], Y[40:])
    np.testing.assert_array_equal(given.predict_proba(X), without.predict_proba(X))
    with pytest.raises(ValueError, match=r"Sample weights must|every row has sample_weight 0"):
        BNMLPClassifier().fit(X, Y, sample_weight=np.zeros(len(X)))


def test_weights_draw_the_decision_to_their_class():
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(300, 2)), np.arange(300) % 10 == 0
    shares = [
        BNMLPClassifier(8, num_epochs=20, random_state=0, class_weight=weight).fit(x, y).predict(x).mean()
        for weight in (None, "balanced", {True: 100.0})
    ]
    assert shares[0] < shares[1] < shares[2]


def test_early_stopping_keeps_the_best_network():
    x, y = load_breast_cancer(return_X_y=True)
    x = StandardScaler().fit_transform(x)
    model = BNMLPClassifier(16, early_stopping=True, n_iter_no_change=3, num_epochs=60, random_state=0).fit(x, y)
    assert model.n_iter_ < 60 and len(model.validation_scores_) == model.n_iter_
    assert max(model.validation_scores_) > 0.9
    best = int(np.argmax(model.validation_scores_)) + 1
    assert model._point.observed.epoch == best <= model.n_iter_


def test_numbers_are_predicted_in_their_units():
    x, y = make_regression(200, 5, noise=1.0, random_state=0)
    shifted = 1e4 + 50 * y
    model = BNMLPRegressor(16, num_epochs=60, random_state=0).fit(x, shifted)
    assert model.score(x, shifted) > 0.95 and abs(model.predict(x).mean() - shifted.mean()) < 0.1 * shifted.std()
    both = np.stack([y, shifted], axis=1)
    assert BNMLPRegressor(16, num_epochs=60, random_state=0).fit(x, both).predict(x).shape == (200, 2)
    constant = BNMLPRegressor(4, num_epochs=30, random_state=0).fit(x, np.full(200, 7.0))
    np.testing.assert_allclose(constant.predict(x), 7.0, atol=2)


def test_it_goes_where_scikit_learns_own_go():
    scaled = make_pipeline(StandardScaler(), BNMLPClassifier(8, num_epochs=50, random_state=0))
    assert cross_val_score(scaled, X, Y, cv=3).mean() > 0.9
    search = GridSearchCV(scaled, {"bnmlpclassifier__learning_rate": [1e-6, 1e-2]}, cv=3).fit(X, Y)
    assert search.best_params_ == {"bnmlpclassifier__learning_rate": 1e-2}
    vote = VotingClassifier([("net", scaled), ("line", LogisticRegression(max_iter=500))], voting="soft").fit(X, Y)
    assert vote.score(X, Y) > 0.9
    assert CalibratedClassifierCV(scaled, cv=3).fit(X, Y).predict_proba(X).shape == (150, 3)
    x, y = load_diabetes(return_X_y=True)
    assert cross_val_score(BNMLPRegressor(8, num_epochs=20, random_state=0), x, y, cv=3).mean() > 0.3


def test_frames_of_a_pipeline_keep_their_names_and_predictions_are_arrays():
    frame = pd.DataFrame(X, columns=["a", "b", "c", "d"], index=range(1000, 1150))
    names = pd.Series(np.array(["setosa", "versicolor", "virginica"])[Y], index=frame.index)
    # set_output is for transformers: the network, which has none, is handed what they make.
    line = make_pipeline(StandardScaler(), BNMLPClassifier(8, num_epochs=30, random_state=0)).set_output(
        transform="pandas"
    )
    line.fit(frame, names)
    assert line[-1].feature_names_in_.tolist() == ["a", "b", "c", "d"] and not hasattr(line[-1], "set_output")
    plain = make_pipeline(StandardScaler(), BNMLPClassifier(8, num_epochs=30, random_state=0)).fit(X, names.to_numpy())
    for found, expected in (
        (line.predict(frame), plain.predict(X)),
        (line.predict_proba(frame), plain.predict_proba(X)),
    ):
        assert type(found) is np.ndarray
        np.testing.assert_array_equal(found, expected)
    search = SweepSearchCV(network(), SEARCHED, n_iter=2, cv=2).fit(frame, names)
    assert search.feature_names_in_.tolist() == ["a", "b", "c", "d"]
    assert type(search.predict(frame)) is np.ndarray and set(search.classes_) == set(names)


def test_it_is_copied_and_pickled(capsys):
    model = BNMLPClassifier(8, num_epochs=3, random_state=0).fit(X, Y)
    again = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(again.predict_proba(X), model.predict_proba(X))
    assert clone(model).get_params() == model.get_params()
    assert capsys.readouterr() == ("", "")
    BNMLPClassifier(8, num_epochs=2, random_state=0, verbose=True).fit(X, Y)
    assert capsys.readouterr().out.count("epoch") == 2


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"learning_rate": -1.0}, "learning_rate = -1.0 is out of range"),
        ({"optimizer": "adams"}, "did you mean 'adam'"),
        ({"num_epochs": 0}, "num_epochs = 0"),
        ({"learning_rate": 1e38, "normalization": "none", "optimizer": "sgd"}, "training diverged in epoch 1"),
    ],
)
def test_mistakes_are_told(settings, said):
    with pytest.raises(ValueError, match=said):
        BNMLPClassifier(4, **{"num_epochs": 2, **settings}).fit(X, Y)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        *(
            ({"num_epochs": value}, "num_epochs = .* is no whole number of at least 1")
            for value in (0, 2.5, None, True)
        ),
        *(({"n_iter_no_change": value}, "n_iter_no_change = .* is no whole number") for value in (None, 0, "3")),
        *(({"tol": value}, "tol = .* is no number from 0 up") for value in (None, "0", -1.0, np.nan)),
        *(
            ({"validation_fraction": value}, "validation_fraction = .* is no number between 0 and 1")
            for value in (None, 0, 1.0, "a", np.nan)
        ),
        ({"class_weight": {0: None}}, "class_weight for 0 is None: give a number"),
        ({"learning_rate": -1.0}, "learning_rate = -1.0 is out of range"),
    ],
)
def test_every_way_to_train_refuses_the_same_settings(settings, said):
    model = network(**settings)
    for train in (
        lambda: model.fit(X, Y),
        lambda: model.partial_fit(X, Y, classes=[0, 1, 2]),
        lambda: SweepSearchCV(model, {"hidden_units": [4]}, n_iter=1, cv=2).fit(X, Y),
    ):
        with pytest.raises(UserError, match=said):
            train()


# The search

SEARCHED = {"learning_rate": [0.003, 0.01], "hidden_units": [4]}


def network(**values):
    return BNMLPClassifier(8, **{"num_epochs": 20, "random_state": 0, **values})


@parametrize_with_checks([SweepSearchCV(BNMLPClassifier(num_epochs=60, random_state=0), SEARCHED, n_iter=2, cv=2)])
def test_the_search_as_scikit_learn_asks(estimator, check):
    check(estimator)


def test_a_search_finds_what_learns_and_is_shaped_like_scikit_learns():
    distributions = {
        "learning_rate": Float(1e-5, 1, scale="log"),
        "hidden_units": Int(4, 16),
        "optimizer": ["adam", "momentum"],
        "dropout": uniform(0, 0.3),
    }
    search = SweepSearchCV(network(num_epochs=40), distributions, n_iter=12, cv=3, random_state=0).fit(X, Y)
    rival = RandomizedSearchCV(MLPClassifier(max_iter=5), {"alpha": uniform()}, n_iter=3, cv=3, random_state=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        rival.fit(X, Y)
    ours, theirs = search.cv_results_, rival.cv_results_
    assert {name.replace("alpha", "learning_rate") for name in theirs} <= set(ours)
    for name, column in theirs.items():
        if name.replace("alpha", "x") == name and name != "params":
            assert ours[name].dtype == column.dtype and ours[name].shape == (12,)
    assert search.best_score_ > 0.9 and search.best_index_ == ours["mean_test_score"].argmax()
    assert search.best_params_ == ours["params"][search.best_index_] and search.n_splits_ == 3
    assert min(ours["param_learning_rate"]) >= 1e-5 and max(ours["param_hidden_units"]) <= 16
    np.testing.assert_allclose(
        ours["mean_test_score"], np.mean([ours[f"split{fold}_test_score"] for fold in range(3)], axis=0)
    )
    # Each candidate was scored on rows that it had not seen, about as well as when it is trained by itself.
    by_itself = cross_val_score(network(num_epochs=40).set_params(**search.best_params_), X, Y, cv=3).mean()
    assert abs(by_itself - search.best_score_) < 0.06
    assert search.score(X, Y) > 0.9 and search.predict_proba(X).shape == (150, 3) and search.n_features_in_ == 4
    again = SweepSearchCV(network(num_epochs=40), distributions, n_iter=12, cv=3, random_state=0).fit(X, Y)
    np.testing.assert_array_equal(again.cv_results_["mean_test_score"], ours["mean_test_score"])


def test_several_scores_and_folds_of_ones_own():
    search = SweepSearchCV(
        network(),
        [{"learning_rate": [0.01]}, {"batch_size": [16, 32]}],
        n_iter=3,
        cv=GroupKFold(3),
        scoring=["accuracy", "neg_log_loss"],
        refit="neg_log_loss",
    ).fit(X, Y, groups=np.arange(150) % 5)
    found = search.cv_results_
    assert len(found["params"]) == 3 and search.multimetric_
    assert found["param_learning_rate"].mask.tolist() == [False, True, True]
    assert (found["mean_test_neg_log_loss"] < 0).all() and (found["mean_test_accuracy"] > 0.8).all()
    assert search.best_index_ == found["mean_test_neg_log_loss"].argmax()
    log_loss = -get_scorer("neg_log_loss")(search.best_estimator_, X, Y)
    assert search.score(X, Y) == pytest.approx(-log_loss)


@pytest.mark.parametrize("scoring", ["accuracy", ["accuracy", "neg_log_loss"]])
def test_a_function_chooses_what_is_trained_on_all_rows(scoring):
    name = "accuracy" if isinstance(scoring, list) else "score"

    def smallest(results):
        """The fewest units that are within 0.2 of the best."""
        mean, units = results[f"mean_test_{name}"], np.array([one["hidden_units"] for one in results["params"]])
        return np.where(mean > mean.max() - 0.2, units, np.inf).argmin()

    search = SweepSearchCV(
        network(), {"hidden_units": [32, 16, 8]}, n_iter=3, cv=3, scoring=scoring, refit=smallest, random_state=0
    ).fit(X, Y)
    chosen = search.cv_results_["params"][search.best_index_]
    assert search.best_params_ == chosen == {"hidden_units": 8} and search.best_estimator_.hidden_units == 8
    assert type(search.best_index_) is int and not hasattr(search, "best_score_")
    if name == "score":
        assert search.score(X, Y) == search.best_estimator_.score(X, Y)
    else:
        with pytest.raises(UserError, match="accuracy and neg_log_loss were asked for and refit names none"):
            search.score(X, Y)


@pytest.mark.parametrize("place", [2, -1, 0.5, None])
def test_a_function_must_choose_one_of_the_candidates(place):
    search = SweepSearchCV(network(num_epochs=2), SEARCHED, n_iter=2, cv=2, refit=lambda results: place)
    with pytest.raises(UserError, match=f"refit returned {place}: return a whole number from 0 to 1"):
        search.fit(X, Y)


def test_numbers_are_scored_in_their_units():
    x, y = load_diabetes(return_X_y=True)
    search = SweepSearchCV(
        BNMLPRegressor(8, num_epochs=20, random_state=0),
        {"learning_rate": [1e-3, 1e-2]},
        n_iter=2,
        scoring={"error": "neg_mean_absolute_error", "fit": "r2"},
        refit="fit",
        cv=3,
    ).fit(x, y)
    assert (search.cv_results_["mean_test_error"] < -30).all() and search.best_score_ > 0.3
    by_itself = cross_val_score(search.best_estimator_, x, y, cv=3, scoring="neg_mean_absolute_error").mean()
    assert search.cv_results_["mean_test_error"][search.best_index_] == pytest.approx(by_itself, rel=0.15)


def test_candidates_that_diverge_are_told_and_never_best():
    plain = network(normalization="none", optimizer="sgd")
    with pytest.warns(FitFailedWarning, match="5 of 10 trainings diverged"):
        search = SweepSearchCV(plain, {"learning_rate": [1e30, 0.1]}, n_iter=2).fit(X, Y)
    found = search.cv_results_
    assert search.best_params_ == {"learning_rate": 0.1}
    assert np.isnan(found["mean_test_score"]).sum() == 1 and sorted(found["rank_test_score"]) == [1, 2]
    with pytest.raises(ValueError, match="trainings diverged: search smaller learning rates"):
        SweepSearchCV(plain, {"learning_rate": [1e30]}, n_iter=1).fit(X, Y)


@pytest.mark.parametrize(
    ("made", "said"),
    [
        (lambda: SweepSearchCV(MLPClassifier(), {"alpha": [1]}), "MLPClassifier is neither"),
        (lambda: SweepSearchCV(network(early_stopping=True), SEARCHED), "early_stopping has no place"),
        (lambda: SweepSearchCV(network(), {"num_epochs": [1, 2]}), "unknown hyperparameter to search 'num_epochs'"),
        (lambda: SweepSearchCV(network(), SEARCHED, scoring="precision"), "unknown scoring 'precision'"),
        (lambda: SweepSearchCV(network(), SEARCHED, scoring=["accuracy", "f1_macro"]), "say which ranks"),
        (lambda: SweepSearchCV(network(), {"learning_rate": [-1.0]}), "learning_rate = -1.0 is out of range"),
        (lambda: SweepSearchCV(network(), SEARCHED, n_iter=0), "n_iter = 0 is no whole number of at least 1"),
        (lambda: SweepSearchCV(network(), SEARCHED, n_iter=2.5), "n_iter = 2.5 is no whole number"),
        (lambda: SweepSearchCV(network(), SEARCHED, n_iter=None), "n_iter = None is no whole number"),
        (
            lambda: SweepSearchCV(network(), SEARCHED, error_score="zero"),
            "error_score = 'zero' is neither a number nor",
        ),
        (lambda: SweepSearchCV(network(), SEARCHED, error_score=None), "error_score = None is neither a number nor"),
        (lambda: SweepSearchCV(network(), None), "param_distributions = None: give a dict"),
        (lambda: SweepSearchCV(network(), []), "param_distributions = .*: give a dict"),
        (lambda: SweepSearchCV(network(), [SEARCHED, None]), "param_distributions = .*: give a dict"),
    ],
)
def test_searches_that_make_no_sense_are_told(made, said):
    with pytest.raises(ValueError, match=said):
        made().fit(X, Y)


@pytest.mark.parametrize("scoring", ["accuracy", "balanced_accuracy", "neg_log_loss", "roc_auc", "f1"])
def test_scores_of_two_classes_are_scikit_learns(scoring):
    check_scores(BNMLPClassifier(8, num_epochs=10, random_state=0), *load_breast_cancer(return_X_y=True), scoring)


@pytest.mark.parametrize("scoring", ["accuracy", "balanced_accuracy", "neg_log_loss", "roc_auc_ovr", "f1_macro"])
def test_scores_of_three_classes_are_scikit_learns(scoring):
    check_scores(network(), X, Y, scoring)


def check_scores(model, x, y, scoring):
    """One fold, trained here as the search trains its first, and scored by scikit-learn."""
    x = StandardScaler().fit_transform(x)
    order = np.random.default_rng(0).permutation(len(x))
    learn, judge = order[len(x) // 3 :], order[: len(x) // 3]
    search = SweepSearchCV(model, {"hidden_units": [8]}, n_iter=1, cv=[(learn, judge)], scoring=scoring, refit=False)
    found = search.fit(x, y).cv_results_["split0_test_score"][0]
    assert found == pytest.approx(
        get_scorer(scoring)(clone(model).fit(x[learn], y[learn]), x[judge], y[judge]), abs=1e-5
    )


def test_a_score_for_what_diverged_is_taken_as_it_is_given():
    plain = BNMLPRegressor(4, normalization="none", optimizer="sgd", num_epochs=20, random_state=0)
    x, y = load_diabetes(return_X_y=True)
    search = SweepSearchCV(
        plain, {"learning_rate": [1e38, 1e-3]}, n_iter=2, scoring="neg_mean_squared_error", error_score=-1e9
    )
    with pytest.warns(FitFailedWarning, match="their scores are -1000000000"):
        search.fit(x, y)
    assert search.best_params_ == {"learning_rate": 1e-3} and min(search.cv_results_["mean_test_score"]) == -1e9


@pytest.mark.parametrize("scoring", ["accuracy", ["accuracy", "neg_log_loss"]])
def test_a_search_that_would_raise_raises_only_where_something_diverged(scoring):
    settings = {"n_iter": 2, "cv": 2, "error_score": "raise", "scoring": scoring, "refit": False}
    plain = network(num_epochs=2, normalization="none", optimizer="sgd")
    found = SweepSearchCV(plain, {"learning_rate": [0.01, 0.1]}, **settings).fit(X, Y).cv_results_
    scores = [column for name, column in found.items() if name.startswith("mean_test_")]
    assert scores and all(np.isfinite(column).all() and column.dtype == float for column in scores)
    with pytest.raises(UserError, match="2 of 4 trainings diverged"):
        SweepSearchCV(plain, {"learning_rate": [1e38, 0.1]}, **settings).fit(X, Y)


def test_partial_fit_after_early_stopping_trains_one_epoch():
    model = network(early_stopping=True, n_iter_no_change=3, num_epochs=60).fit(X, Y)
    before = len(model.loss_curve_)
    model.partial_fit(X, Y)
    assert len(model.loss_curve_) == before + 1


def test_a_first_row_alone_is_no_measure_of_the_others():
    x, y = load_diabetes(return_X_y=True)
    model = BNMLPRegressor(4, random_state=0).partial_fit(x[:1], y[:1])
    for _ in range(3):
        model.partial_fit(x, y)
    assert model.n_iter_ == 4


def test_weights_of_classes_hold_where_a_class_is_absent():
    model = BNMLPClassifier(4, random_state=0, class_weight={2: 10.0})
    model.partial_fit(X[:50], Y[:50], classes=[0, 1, 2]).partial_fit(X, Y)
    with pytest.raises(UserError, match="unknown class in class_weight '7'"):
        BNMLPClassifier(class_weight={7: 1.0}).fit(X, Y)
    for weight in (-1.0, np.nan, np.inf, "much", None):
        with pytest.raises(UserError, match=r"class_weight for 1 is .*: give a number above 0"):
            BNMLPClassifier(class_weight={1: weight}).fit(X, Y)
    # A class may be named by its text, as in a sweep.
    by_class, by_text = (network(num_epochs=2, class_weight={name: 9.0}).fit(X, Y) for name in (2, "2"))
    np.testing.assert_array_equal(by_class.predict_proba(X), by_text.predict_proba(X))
    # A class of weight 0 takes no part in a fold, as it takes none in fit.
    learn, judge = np.arange(150)[::2], np.arange(150)[1::2]
    model = network(class_weight={2: 0.0})
    search = SweepSearchCV(model, {"hidden_units": [8]}, n_iter=1, cv=[(learn, judge)], refit=False).fit(X, Y)
    alone = clone(model).fit(X[learn], Y[learn]).score(X[judge], Y[judge])
    assert search.cv_results_["mean_test_score"][0] == pytest.approx(alone, abs=1e-6)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"scoring": "f1"}, "'f1' is not computed for 3 classes: ask for 'f1_macro'"),
        ({"scoring": "roc_auc_ovr", "cv": [(np.arange(50, 150), np.arange(50))]}, "rows of one class"),
        ({"param_distributions": {"b1": Float(0.8, 0.9, when={"optimizer": "adam"})}}, "b1 holds only at times"),
    ],
)
def test_what_a_search_does_not_do_is_told(settings, said):
    with pytest.raises(UserError, match=said):
        SweepSearchCV(network(), **{"param_distributions": SEARCHED, **settings}).fit(X, Y)


# Metadata


def halves():
    """Weights that leave out every other row, which is what they can be compared with."""
    return (np.arange(150) % 2).astype(float)


def test_weights_reach_the_network_by_routing():
    weight, odd = halves(), np.arange(150) % 2 == 1
    alone = network().fit(X[odd], Y[odd])
    with config_context(enable_metadata_routing=True):
        asking = network().set_fit_request(sample_weight=True)
        line = make_pipeline(asking).fit(X, Y, sample_weight=weight)
        np.testing.assert_array_equal(line.predict_proba(X), alone.predict_proba(X))
        folds = [(np.arange(150), np.arange(150))]
        scored = asking.set_score_request(sample_weight=False)
        found = cross_validate(scored, X, Y, cv=folds, params={"sample_weight": weight}, return_estimator=True)
        np.testing.assert_array_equal(found["estimator"][0].predict_proba(X), alone.predict_proba(X))
        grid = GridSearchCV(scored, {"learning_rate": [0.01]}, cv=folds).fit(X, Y, sample_weight=weight)
        np.testing.assert_array_equal(grid.predict_proba(X), alone.predict_proba(X))
        with pytest.raises(UnsetMetadataPassedError):
            make_pipeline(network()).fit(X, Y, sample_weight=weight)


@pytest.mark.parametrize("routing", [True, False])
@pytest.mark.parametrize("kind", ["classes", "numbers"])
def test_weights_reach_every_fit_of_a_search(routing, kind):
    rng = np.random.default_rng(0)
    if kind == "classes":
        x, y, model = X, Y, network(num_epochs=5)
    else:
        x, y = load_diabetes(return_X_y=True)
        model = BNMLPRegressor(8, num_epochs=5, random_state=0)
    # Some rows take no part, which the units of a target must not see either.
    weight = rng.uniform(0.5, 4, len(x)) * (rng.random(len(x)) < 0.7)
    order = rng.permutation(len(x))
    learn, judge = order[len(x) // 3 :], order[: len(x) // 3]
    alone = clone(model).fit(x[learn], y[learn], sample_weight=weight[learn]).score(x[judge], y[judge])
    whole = clone(model).fit(x, y, sample_weight=weight)
    with config_context(enable_metadata_routing=routing):
        if routing:
            model = model.set_fit_request(sample_weight=True).set_score_request(sample_weight=False)
        search = SweepSearchCV(model, {"hidden_units": [8]}, n_iter=1, cv=[(learn, judge)])
        search.fit(x, y, sample_weight=weight)
    assert search.best_score_ == pytest.approx(alone, abs=1e-5)
    np.testing.assert_array_equal(search.best_estimator_.predict(x), whole.predict(x))
    assert search.best_score_ != pytest.approx(SweepSearchCV(**search.get_params(deep=False)).fit(x, y).best_score_)


@pytest.mark.parametrize("kind", ["classes", "numbers"])
def test_weights_reach_the_scorers_that_request_them(kind):
    if kind == "classes":
        x, y, model, names = X, Y, network(num_epochs=5), ["accuracy", "neg_log_loss"]
    else:
        x, y = load_diabetes(return_X_y=True)
        model, names = BNMLPRegressor(8, num_epochs=5, random_state=0), ["r2", "neg_mean_absolute_error"]
    weight = np.random.default_rng(0).uniform(0, 4, len(x))
    order = np.random.default_rng(1).permutation(len(x))
    learn, judge = order[len(x) // 3 :], order[: len(x) // 3]
    fitted = clone(model).fit(x[learn], y[learn])
    with config_context(enable_metadata_routing=True):
        model = model.set_fit_request(sample_weight=False)
        scoring = {
            "first": get_scorer(names[0]).set_score_request(sample_weight=True),
            "plain": get_scorer(names[0]).set_score_request(sample_weight=False),
            "second": get_scorer(names[1]).set_score_request(sample_weight="how_much"),
        }
        # Two candidates of unlike width share a program, so that padding must not be scored.
        search = SweepSearchCV(
            model, {"hidden_units": [8, 5]}, n_iter=2, cv=[(learn, judge)], scoring=scoring, refit="first"
        ).fit(x, y, sample_weight=weight, how_much=weight[::-1])
        place = [one["hidden_units"] for one in search.cv_results_["params"]].index(8)
        found = {name: search.cv_results_[f"mean_test_{name}"][place] for name in scoring}
        expected = {
            "first": get_scorer(names[0])(fitted, x[judge], y[judge], sample_weight=weight[judge]),
            "plain": get_scorer(names[0])(fitted, x[judge], y[judge]),
            "second": get_scorer(names[1])(fitted, x[judge], y[judge], sample_weight=weight[::-1][judge]),
        }
        assert found == pytest.approx(expected, abs=1e-4) and found["first"] != found["plain"]
        best = search.best_estimator_
        weighted = get_scorer(names[0])(best, x, y, sample_weight=weight)
        assert search.score(x, y, sample_weight=weight, how_much=weight) == pytest.approx(weighted)
        assert weighted != search.score(x, y)


def test_a_search_is_a_part_of_what_routes():
    weight = np.random.default_rng(0).uniform(0.5, 4, 150)
    with config_context(enable_metadata_routing=True):
        model = network(num_epochs=5).set_fit_request(sample_weight=True).set_score_request(sample_weight=True)
        search = SweepSearchCV(model, {"hidden_units": [8]}, n_iter=1, cv=2)
        given = {"sample_weight": weight}
        found = cross_validate(search, X, Y, cv=3, params=given, return_estimator=True, return_indices=True)
        for fitted, learn, judge, score in zip(
            found["estimator"], found["indices"]["train"], found["indices"]["test"], found["test_score"], strict=True
        ):
            alone = clone(model).fit(X[learn], Y[learn], sample_weight=weight[learn])
            np.testing.assert_array_equal(fitted.predict_proba(X), alone.predict_proba(X))
            assert score == alone.score(X[judge], Y[judge], sample_weight=weight[judge])


@pytest.mark.parametrize("routing", [True, False])
def test_groups_reach_the_splitter(routing):
    groups = np.arange(150) % 5
    with config_context(enable_metadata_routing=routing):
        search = SweepSearchCV(network(num_epochs=2), SEARCHED, n_iter=1, cv=GroupKFold(5))
        assert search.fit(X, Y, groups=groups).n_splits_ == 5
        with pytest.raises(ValueError, match="groups"):
            search.fit(X, Y)
        if routing:
            with pytest.raises(TypeError, match="groups"):
                SweepSearchCV(network(num_epochs=2), SEARCHED, n_iter=1).fit(X, Y, groups=groups)


def test_metadata_that_nobody_takes_are_refused():
    search = SweepSearchCV(network(num_epochs=2), SEARCHED, n_iter=1, cv=2)
    with pytest.raises(UserError, match=r"was given prices: it takes sample_weight and groups"):
        search.fit(X, Y, prices=halves())
    search.fit(X, Y, sample_weight=None)
    with pytest.raises(UserError, match=r"enable_metadata_routing=True"):
        search.score(X, Y, sample_weight=halves())
    with pytest.raises(ValueError, match="sample_weight"):
        search.fit(X, Y, sample_weight=halves()[:-1])
    with config_context(enable_metadata_routing=True):
        with pytest.raises(TypeError, match="prices"):
            search.fit(X, Y, prices=halves())
        with pytest.raises(UnsetMetadataPassedError, match="sample_weight"):
            search.fit(X, Y, sample_weight=halves())
        odd = get_scorer("accuracy").set_score_request(normalize=True)
        with pytest.raises(UserError, match="requests normalize, and a search hands it sample_weight alone"):
            SweepSearchCV(network(), SEARCHED, scoring=odd).fit(X, Y, normalize=False)
    with pytest.raises(UserError, match=r"unknown scoring \"make_scorer"):
        SweepSearchCV(network(), SEARCHED, scoring=get_scorer("f1_micro")).fit(X, Y)
