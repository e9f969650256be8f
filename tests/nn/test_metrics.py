"""Each metric against scikit-learn over random data with ties, masks, missing classes."""

import warnings

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import special
from sklearn import metrics as sk

from jaxbn.nn import metrics

CLASSIFICATION = {metric.name: metric for metric in metrics.CLASSIFICATION}
REGRESSION = {metric.name: metric for metric in metrics.REGRESSION}
# Few shapes, so that few programs are compiled.
ROWS = 24
MARGINS = jax.jit(metrics.margins)
SCORES = {metric.score: jax.jit(metric.score) for metric in metrics.CLASSIFICATION + metrics.REGRESSION}


@st.composite
def classification(draw):
    """Logits with many ties, labels of which classes may be missing, and a mask."""
    classes = draw(st.sampled_from([2, 3, 5]))
    present = draw(st.lists(st.integers(0, classes - 1), min_size=1, max_size=classes, unique=True))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    levels = draw(st.sampled_from([1, 2, 4, 1000]))
    logits = rng.integers(0, levels, size=(ROWS, classes)) / levels * 4
    labels = rng.choice(present, size=ROWS)
    where = rng.random(ROWS) < draw(st.sampled_from([0.1, 0.5, 1.0]))
    where[draw(st.integers(0, ROWS - 1))] = True
    return logits, labels, where


def softmax(logits):
    return special.softmax(np.asarray(logits, np.float64), 1)


def margins(logits):
    """JAX's own, in float64: which rows tie depends on its rounding."""
    with jax.enable_x64(True):
        return np.asarray(MARGINS(jnp.asarray(np.asarray(logits, np.float64))))


def auc(labels, logits):
    """One against the rest, averaged over the classes for which it is defined."""
    ahead = margins(logits)
    classes = ahead.shape[1]
    areas = [
        sk.roc_auc_score(labels == c, ahead[:, c])
        for c in ([1] if classes == 2 else range(classes))
        if 0 < (labels == c).sum() < len(labels)
    ]
    return np.mean(areas) if areas else 0.0


ORACLES = {
    "loss": lambda y, z: sk.log_loss(y, softmax(z), labels=range(z.shape[1])),
    "log_loss": lambda y, z: sk.log_loss(y, softmax(z), labels=range(z.shape[1])),
    "accuracy": lambda y, z: sk.accuracy_score(y, z.argmax(1)),
    "balanced_accuracy": lambda y, z: sk.balanced_accuracy_score(y, z.argmax(1)),
    "f1": lambda y, z: (
        sk.f1_score(y, z.argmax(1), labels=[1], average="macro", zero_division=0)
        if z.shape[1] == 2
        else sk.f1_score(y, z.argmax(1), average="macro", zero_division=0)
    ),
    "roc_auc": auc,
}


def test_every_metric_has_an_oracle():
    assert set(ORACLES) == set(CLASSIFICATION)
    assert set(REGRESSION) == {"loss", "mse", "mae", "r2"}


@pytest.mark.parametrize("name", ORACLES)
@settings(max_examples=50)
@given(case=classification())
def test_classification_equals_scikit_learn(name, case):
    logits, labels, where = case
    with jax.enable_x64(True):
        got = SCORES[CLASSIFICATION[name].score](jnp.asarray(logits), jnp.asarray(labels), jnp.asarray(where))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of predicted classes that do not occur
            want = ORACLES[name](labels[where], logits[where])
    np.testing.assert_allclose(got, want, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("name", ORACLES)
def test_classification_in_float32_equals_scikit_learn(name):
    rng = np.random.default_rng(0)
    for classes in (2, 5):
        logits = rng.normal(size=(300, classes)).astype(np.float32)
        labels = rng.integers(classes, size=300)
        got = CLASSIFICATION[name].score(jnp.asarray(logits), jnp.asarray(labels), jnp.ones(300, bool))
        np.testing.assert_allclose(got, ORACLES[name](labels, logits), rtol=2e-6)


@pytest.mark.parametrize("name", ORACLES)
def test_rows_that_do_not_exist_may_hold_nan(name):
    logits, labels = np.random.default_rng(1).normal(size=(10, 3)), np.arange(10) % 3
    where = np.arange(10) < 7
    dirty = np.where(where[:, None], logits, np.nan).astype(np.float32)
    got = CLASSIFICATION[name].score(jnp.asarray(dirty), jnp.asarray(labels), jnp.asarray(where))
    np.testing.assert_allclose(got, ORACLES[name](labels[where], logits[where]), rtol=1e-5)


def test_the_area_under_the_curve_of_many_rows_does_not_overflow():
    rng = np.random.default_rng(0)
    rows = 130_000
    labels = (rng.random(rows) < 0.5).astype(np.int32)
    margin = (rng.normal(size=rows) + labels).astype(np.float32)
    logits = np.stack([np.zeros(rows, np.float32), margin], 1)
    got = metrics.roc_auc(jnp.asarray(logits), jnp.asarray(labels), jnp.ones(rows, bool))
    np.testing.assert_allclose(got, sk.roc_auc_score(labels, margin), rtol=1e-6)


@pytest.mark.parametrize("classes", [2, 4])
def test_rows_of_which_a_network_is_sure_are_ranked_all_the_same(classes):
    """Their probabilities all round to 1, or to 0, in float32."""
    rng = np.random.default_rng(0)
    labels = rng.integers(classes, size=400)
    logits = rng.normal(size=(400, classes)) + 40 * np.eye(classes)[(labels + (rng.random(400) < 0.3)) % classes]
    logits = (3 * logits).astype(np.float32)
    got = metrics.roc_auc(jnp.asarray(logits), jnp.asarray(labels), jnp.ones(400, bool))
    np.testing.assert_allclose(got, auc(labels, logits), rtol=1e-6)
    assert auc(labels, logits) != pytest.approx(auc(labels, np.log(softmax(logits).astype(np.float32) + 1e-30)), 1e-3)


@pytest.mark.parametrize("rare", [0, 1])
@pytest.mark.parametrize("apart", [0.0, 1.0, 50.0])
def test_the_area_of_a_rare_class_is_counted_exactly(rare, apart):
    rng = np.random.default_rng(0)
    labels = np.full(500_000, 1 - rare)
    labels[:10] = rare
    margin = (rng.normal(size=len(labels)) + apart * labels).astype(np.float32)
    logits = jnp.asarray(np.stack([np.zeros_like(margin), margin], 1))
    got = float(metrics.roc_auc(logits, jnp.asarray(labels), jnp.ones(len(labels), bool)))
    assert got <= 1
    np.testing.assert_allclose(got, sk.roc_auc_score(labels, margin), rtol=1e-6)


def test_an_area_near_1_of_many_rows_does_not_round_up():
    # Each positive row is above 999 of 1,000 negative ones.
    score = np.concatenate([np.full(400_000, 998.5), np.arange(1000)]).astype(np.float32)
    labels = (np.arange(len(score)) < 400_000).astype(np.int32)
    logits = jnp.asarray(np.stack([np.zeros_like(score), score], 1))
    got = float(metrics.roc_auc(logits, jnp.asarray(labels), jnp.ones(len(score), bool)))
    np.testing.assert_allclose(got, 0.999, rtol=1e-6)


@pytest.mark.parametrize("classes", [2, 3, 6])
def test_margins_are_log_odds(classes):
    logits = np.random.default_rng(0).normal(size=(50, classes)) * 3
    probability = softmax(logits)
    np.testing.assert_allclose(margins(logits), np.log(probability / (1 - probability)), rtol=1e-9)
    for far in (1, 100, 1e4):
        others = [special.logsumexp(np.delete(far * logits, c, 1), 1) for c in range(classes)]
        np.testing.assert_allclose(margins(far * logits), far * logits - np.stack(others, 1), rtol=1e-12, atol=1e-12)


REGRESSION_ORACLES = {
    "loss": sk.mean_squared_error,
    "mse": sk.mean_squared_error,
    "mae": sk.mean_absolute_error,
    "r2": sk.r2_score,
}


@pytest.mark.parametrize("targets", [1, 3])
@pytest.mark.parametrize("name", REGRESSION_ORACLES)
@settings(max_examples=20)
@given(seed=st.integers(0, 2**32 - 1), share=st.sampled_from([0.2, 1.0]), offset=st.sampled_from([0.0, 1e3]))
def test_regression_equals_scikit_learn(name, targets, seed, share, offset):
    rng = np.random.default_rng(seed)
    y = rng.normal(size=(ROWS, targets)) + offset
    outputs = y + rng.normal(size=y.shape) * 0.5
    where = rng.random(ROWS) < share
    where[:2] = True
    dirty = np.where(where[:, None], outputs, np.nan)
    with jax.enable_x64(True):
        got = SCORES[REGRESSION[name].score](jnp.asarray(dirty), jnp.asarray(y), jnp.asarray(where))
    np.testing.assert_allclose(got, REGRESSION_ORACLES[name](y[where], outputs[where]), rtol=1e-9)


def test_r2_of_a_target_that_does_not_vary_is_0_and_of_its_own_values_1():
    y = np.array([[2.0, 1.0], [2.0, 3.0], [2.0, 8.0]], np.float32)
    outputs = y + np.array([[1.0, 0.0]], np.float32)
    got = metrics.r2(jnp.asarray(outputs), jnp.asarray(y), jnp.ones(3, bool))
    np.testing.assert_allclose(got, sk.r2_score(y, outputs))
    np.testing.assert_allclose(got, 0.5)


@pytest.mark.parametrize("value", [0.01, 0.1, -3.3e7, 1e-30])
@pytest.mark.parametrize("rows", [1, 6, 1000])
def test_r2_of_a_constant_whose_mean_would_be_rounded_is_0(rows, value):
    y = np.full((rows, 1), value, np.float32)
    where = jnp.arange(rows + 3) < rows
    padded = np.concatenate([y, np.zeros((3, 1), np.float32)])
    assert metrics.r2(jnp.asarray(padded + 1), jnp.asarray(padded), where) == 0


@pytest.mark.parametrize("offset", [0.0, 1e4, -1e6])
def test_r2_far_from_zero_equals_scikit_learn_in_float32(offset):
    rng = np.random.default_rng(0)
    y = (offset + rng.normal(size=(500, 1)) * max(1.0, abs(offset) / 1e4)).astype(np.float32)
    outputs = (y + 0.3 * rng.normal(size=y.shape)).astype(np.float32)
    got = metrics.r2(jnp.asarray(outputs), jnp.asarray(y), jnp.ones(500, bool))
    np.testing.assert_allclose(got, sk.r2_score(y.astype(float), outputs.astype(float)), rtol=1e-5)


def test_no_row_at_all_gives_a_finite_score():
    for name, metric in CLASSIFICATION.items():
        score = metric.score(jnp.ones((4, 3)), jnp.zeros(4, jnp.int32), jnp.zeros(4, bool))
        assert np.isfinite(score), name
    for name, metric in REGRESSION.items():
        assert np.isfinite(metric.score(jnp.ones((4, 2)), jnp.zeros((4, 2)), jnp.zeros(4, bool))), name


def test_the_direction_of_each_metric_is_that_of_a_better_prediction():
    labels = np.arange(9) % 3
    good, bad = np.eye(3)[labels] * 3, np.eye(3)[(labels + (np.arange(9) < 5)) % 3]
    where = jnp.ones(9, bool)
    for name, metric in CLASSIFICATION.items():
        better, worse = (metric.score(jnp.asarray(z), jnp.asarray(labels), where) for z in (good, bad))
        assert (better > worse) == metric.greater_is_better, name
    y = np.arange(9.0)[:, None]
    for name, metric in REGRESSION.items():
        better, worse = (metric.score(jnp.asarray(y + e), jnp.asarray(y), where) for e in (0.1, 2.0))
        assert (better > worse) == metric.greater_is_better, name
