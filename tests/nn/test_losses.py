"""Training losses against NumPy in float64, and their gradients."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from sklearn.metrics import log_loss, mean_squared_error

from jaxbn.nn import losses
from jaxbn.nn.types import Batch, Hyperparams, Metrics, Spec

SMOOTHING = Spec(label_smoothing=True)


@pytest.fixture(autouse=True)
def x64():
    with jax.enable_x64(True):
        yield


def problem(rows=12, classes=4, seed=0):
    rng = np.random.default_rng(seed)
    return (
        rng.normal(size=(rows, classes)) * 3,
        rng.integers(classes, size=rows),
        rng.uniform(0.1, 2, size=rows),
    )


def batch(labels, **fields):
    return Batch(x=jnp.zeros((len(labels), 1)), y=jnp.asarray(labels), **fields)


def cross_entropy(logits, b, smoothing=0.0, spec=SMOOTHING):
    h = Hyperparams(label_smoothing=smoothing)
    return losses.softmax_cross_entropy(jnp.asarray(logits), b, h, spec=spec)


@pytest.mark.parametrize("classes", [2, 4, 11])
def test_cross_entropy_equals_scikit_learn_weighted_or_not(classes):
    logits, labels, weight = problem(classes=classes)
    p = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    want = log_loss(labels, p, labels=range(classes))
    np.testing.assert_allclose(cross_entropy(logits, batch(labels), spec=Spec()).loss, want, rtol=1e-12)
    weighted = cross_entropy(logits, batch(labels, weight=jnp.asarray(weight)))
    want = log_loss(labels, p, labels=range(classes), sample_weight=weight)
    np.testing.assert_allclose(weighted.loss, want, rtol=1e-12)
    np.testing.assert_allclose(weighted.weight, weight.sum(), rtol=1e-12)


@pytest.mark.parametrize("smoothing", [0.0, 0.1, 0.9])
def test_smoothed_labels(smoothing):
    logits, labels, _ = problem()
    target = (1 - smoothing) * np.eye(4)[labels] + smoothing / 4
    log_p = logits - np.log(np.exp(logits).sum(1, keepdims=True))
    want = -(target * log_p).sum(1)
    np.testing.assert_allclose(cross_entropy(logits, batch(labels), smoothing).loss, want.mean(), rtol=1e-12)
    # A spec that does not smooth does not read the hyperparameter.
    plain = cross_entropy(logits, batch(labels), smoothing, spec=Spec()).loss
    np.testing.assert_allclose(plain, -log_p[np.arange(12), labels].mean(), rtol=1e-12)


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_the_gradient_is_softmax_minus_target(smoothing):
    logits, labels, weight = problem()
    b = batch(labels, weight=jnp.asarray(weight))
    got = jax.grad(lambda z: cross_entropy(z, b, smoothing).loss)(jnp.asarray(logits))
    p = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    target = (1 - smoothing) * np.eye(4)[labels] + smoothing / 4
    np.testing.assert_allclose(got, (p - target) * (weight / weight.sum())[:, None], rtol=0, atol=1e-15)


def test_the_loss_is_computed_stably():
    logits = np.array([[1e4, 0.0], [0.0, -1e4], [-1e30, 1e30]])
    value = cross_entropy(logits, batch([1, 1, 1]))
    np.testing.assert_allclose(value.loss_sum, 2e4)
    gradient = jax.grad(lambda z: cross_entropy(z, batch([1, 1, 1])).loss)(jnp.asarray(logits))
    assert np.isfinite(gradient).all()


def test_squared_error_equals_scikit_learn_and_its_gradient_is_the_residual():
    rng = np.random.default_rng(0)
    outputs, targets, weight = rng.normal(size=(9, 3)), rng.normal(size=(9, 3)), rng.uniform(0.1, 2, size=9)
    b = Batch(x=jnp.zeros((9, 1)), y=jnp.asarray(targets), weight=jnp.asarray(weight))

    def loss(z):
        return losses.mean_squared_error(z, b, Hyperparams(), spec=Spec()).loss

    want = mean_squared_error(targets, outputs, sample_weight=weight)
    np.testing.assert_allclose(loss(jnp.asarray(outputs)), want, rtol=1e-12)
    want = 2 * (outputs - targets) / 3 * (weight / weight.sum())[:, None]
    np.testing.assert_allclose(jax.grad(loss)(jnp.asarray(outputs)), want, rtol=1e-12)


@pytest.mark.parametrize("garbage", [0.0, 1e300, np.nan])
def test_rows_that_do_not_exist_do_not_count(garbage):
    logits, labels, weight = problem()
    where = np.arange(12) % 3 != 1
    kept = batch(labels[where], weight=jnp.asarray(weight[where]))
    want = cross_entropy(logits[where], kept, 0.1)
    dirty = np.where(where[:, None], logits, garbage)
    masked = batch(labels, where=jnp.asarray(where), weight=jnp.asarray(np.where(where, weight, np.nan)))
    got = cross_entropy(dirty, masked, 0.1)
    np.testing.assert_allclose(got.loss_sum, want.loss_sum, rtol=1e-12)
    np.testing.assert_allclose(got.weight, want.weight, rtol=1e-12)


@pytest.mark.parametrize("nothing", ["where", "weight"])
def test_a_batch_that_counts_nothing_has_loss_0_and_gradient_0(nothing):
    logits, labels, _ = problem()
    empty = {"where": jnp.zeros(12, bool)} if nothing == "where" else {"weight": jnp.zeros(12)}
    b = batch(labels, **empty)
    loss, gradient = jax.value_and_grad(lambda z: cross_entropy(z, b).loss)(jnp.asarray(logits))
    assert loss == 0
    np.testing.assert_array_equal(gradient, np.zeros((12, 4)))


def test_unequal_batches_merge_to_the_mean_over_all_rows():
    logits, labels, weight = problem()
    whole = cross_entropy(logits, batch(labels, weight=jnp.asarray(weight)))
    merged = Metrics(jnp.zeros(()), jnp.zeros(()))
    for rows in (slice(0, 1), slice(1, 8), slice(8, 12)):
        merged = merged.merge(cross_entropy(logits[rows], batch(labels[rows], weight=jnp.asarray(weight[rows]))))
    np.testing.assert_allclose(merged.loss, whole.loss, rtol=1e-12)
