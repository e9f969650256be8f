"""The estimators beside what scikit-learn asks of all."""

import pickle

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.datasets import load_breast_cancer, load_diabetes, load_iris, make_regression
from sklearn.ensemble import VotingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

from jaxbn.errors import UserError
from jaxbn.estimators import BNMLPClassifier, BNMLPRegressor

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
    constant = BNMLPRegressor(4, num_epochs=3).fit(x, np.full(200, 7.0))
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
        ({"learning_rate": 1e30, "normalization": "none", "optimizer": "sgd"}, "training diverged in epoch 1"),
    ],
)
def test_mistakes_are_told(settings, said):
    with pytest.raises(ValueError, match=said):
        BNMLPClassifier(4, **{"num_epochs": 2, **settings}).fit(X, Y)
