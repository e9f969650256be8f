"""Optimizers and initial weights of other frameworks against formulas in NumPy, optax, and numbers worked by hand."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxbn.errors import UserError
from jaxbn.interop.conventions import ADAM, INITIALISERS, MOMENTUM, RMSPROP, adam, draw, momentum, rmsprop

GRADS = np.random.default_rng(0).normal(size=(20, 5)) * np.array([1e-6, 1e-3, 1.0, 10.0, 1e3])


def rate(count):
    return 0.1 / (1 + count)


def moved(tx):
    """Where 20 gradients lead from zero."""
    with jax.enable_x64(True):
        w = jnp.zeros(5, jnp.float64)
        state = tx.init(w)
        for grad in GRADS:
            updates, state = tx.update(jnp.asarray(grad), state, w)
            w = w + updates
        return np.asarray(w)


@pytest.mark.parametrize("name", ADAM)
def test_adam(name):
    row = ADAM[name]
    w, m, v = np.zeros(5), np.zeros(5), np.zeros(5)
    for t, g in enumerate(GRADS, start=1):
        m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g**2
        c1, c2 = 1 - 0.9**t, 1 - 0.999**t
        if name in ("torch", "optax", "paddlepaddle", "jaxbn"):
            w -= rate(t - 1) * (m / c1) / (np.sqrt(v / c2) + row.epsilon)
        else:
            w -= rate(t - 1) * np.sqrt(c2) / c1 * m / (np.sqrt(v) + row.epsilon)
    np.testing.assert_allclose(moved(adam(row, rate)), w, rtol=1e-10)
    assert row.epsilon == (1e-7 if "keras" in name else 1e-8)


def test_adam_corrects_to_float32():
    """1 - 0.999^t computed in float32 is 1.3e-5 off at t = 1, which was the largest difference from PyTorch."""
    tx = adam(dataclasses.replace(ADAM["torch"], epsilon=0.0), learning_rate=1.0)
    grad = jnp.array(3.0, jnp.float32)
    update, _ = tx.update(grad, tx.init(grad))
    # At the first step both averages are the gradient itself.
    assert float(update) == pytest.approx(-1, rel=3e-7)


def test_adam_without_averages():
    tx = adam(dataclasses.replace(ADAM["torch"], b1=0.0, b2=0.0, epsilon=0.0), learning_rate=1.0)
    grad = jnp.array(-3.0, jnp.float32)
    assert float(tx.update(grad, tx.init(grad))[0]) == 1


@pytest.mark.parametrize("nesterov", [False, True])
@pytest.mark.parametrize("name", MOMENTUM)
def test_momentum(name, nesterov):
    row = MOMENTUM[name]
    if nesterov and name in ("caffe", "cntk", "mxnet", "notes"):
        with pytest.raises(UserError, match="has not"):
            momentum(row, rate, mu=0.9, nesterov=True)
        return
    w, v = np.zeros(5), np.zeros(5)
    for t, g in enumerate(GRADS):
        if name in ("torch", "optax", "paddlepaddle"):
            v = 0.9 * v + g
            w -= rate(t) * (g + 0.9 * v if nesterov else v)
        elif name in ("notes", "cntk"):
            v = 0.9 * v + 0.1 * g
            w -= rate(t) * v
        else:
            v = 0.9 * v - rate(t) * g
            w += 0.9 * v - rate(t) * g if nesterov else v
    np.testing.assert_allclose(moved(momentum(row, rate, mu=0.9, nesterov=nesterov)), w, rtol=1e-10)


@pytest.mark.parametrize("name", RMSPROP)
def test_rmsprop(name):
    row = dataclasses.replace(RMSPROP[name], epsilon=1e-4)
    w, s = np.zeros(5), np.zeros(5)
    for t, g in enumerate(GRADS):
        s = 0.9 * s + 0.1 * g**2
        w -= rate(t) * g / (np.sqrt(s) + 1e-4 if name in ("torch", "notes") else np.sqrt(s + 1e-4))
    np.testing.assert_allclose(moved(rmsprop(row, rate, decay=0.9)), w, rtol=1e-10)


def test_optax_itself():
    assert optax.__version__.startswith("0.2")
    pairs = [
        (adam(ADAM["optax"], rate), optax.adam(rate)),
        (momentum(MOMENTUM["optax"], rate, mu=0.9), optax.sgd(rate, 0.9)),
        (momentum(MOMENTUM["optax"], rate, mu=0.9, nesterov=True), optax.sgd(rate, 0.9, nesterov=True)),
        (rmsprop(RMSPROP["optax"], rate, decay=0.9), optax.rmsprop(rate)),
    ]
    for mine, theirs in pairs:
        np.testing.assert_allclose(moved(mine), moved(theirs), rtol=1e-10)


STDS = {
    "caffe": 0.0,
    "caffe_xavier": 0.05,
    "caffe_msra": 0.0707107,
    "cntk": 0.0632456,
    "dl4j": 0.0632456,
    "keras3": 0.0632456,
    "lasagne": 0.0632456,
    "gluon": 0.0404145,
    "paddlepaddle": 0.0632456,
    "torch": 0.0288675,
    "flax": 0.05,
    "haiku": 0.0439813,
    "equinox": 0.0288675,
}
"""Standard deviations of a layer with 400 inputs and 100 outputs, worked by hand."""


@pytest.mark.parametrize("name", INITIALISERS)
def test_initial_weights(name):
    kernel, bias = draw(jax.random.key(0), INITIALISERS[name], 400, 100)
    assert kernel.shape == (400, 100) and bias.shape == (100,)
    np.testing.assert_allclose(np.std(kernel), STDS[name], rtol=0.02)
    most = np.abs(kernel).max() / STDS[name] if STDS[name] else 0.0
    if name in ("caffe_msra", "dl4j"):
        assert most > 3
    elif name in ("flax", "haiku"):
        assert most == pytest.approx(2 / 0.8796256, rel=0.01)
    elif name != "caffe":
        assert most == pytest.approx(3**0.5, rel=0.01)
    assert (np.abs(bias).max() > 0) == (name in ("torch", "equinox"))
    assert np.abs(bias).max() <= 0.05
