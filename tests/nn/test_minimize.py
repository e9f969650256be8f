"""Section 11 of the notes: its numbers, and any cost over pytrees."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxbn.nn.minimize import minimize

GRADIENT_DESCENT = optax.sgd(0.01)


def quadratic(w, x):
    return x[0] * w**2 + x[1] * w + x[2]


def ulps(got, want):
    got, want = np.float32(got), np.float32(want)
    return abs(float(got) - float(want)) / float(np.spacing(want))


def numpy_descent(coefficients, rate, steps):
    a, b, _ = np.float32(coefficients)
    w, rate = np.float32(0), np.float32(rate)
    for _ in range(steps):
        w = w - rate * (np.float32(2) * a * w + b)
    return w


@pytest.mark.parametrize(
    ("coefficients", "steps", "printed"),
    [
        ((1.0, -10.0, 25.0), 0, 0.0),
        ((1.0, -10.0, 25.0), 1, 0.099999994),
        ((1.0, -10.0, 25.0), 5000, 4.9999886),
        ((1.0, -20.0, 100.0), 1000, 9.999977),
    ],
)
def test_section_11_to_a_unit_in_the_last_place(coefficients, steps, printed):
    w = minimize(quadratic, 0.0, jnp.array(coefficients), optimizer=GRADIENT_DESCENT, num_steps=steps)
    assert w.dtype == jnp.float32
    assert ulps(w, printed) <= 1
    assert ulps(numpy_descent(coefficients, 0.01, steps), printed) <= 1


def test_the_cost_of_the_notes_without_data():
    w = minimize(lambda w, _: w**2 - 10 * w + 25, 0, optimizer=GRADIENT_DESCENT, num_steps=5000)
    assert ulps(w, 4.9999886) <= 1


def test_a_thousand_learning_rates_and_coefficient_sets_at_once():
    rng = np.random.default_rng(0)
    rates = np.float32(10 ** rng.uniform(-4, -0.6, size=1000))
    roots = np.float32(rng.uniform(-10, 10, size=1000))
    rates[0], roots[0] = 0.01, 5
    coefficients = np.stack([np.ones(1000, np.float32), -2 * roots, roots**2], 1)

    @jax.jit
    @jax.vmap
    def all_of(rate, coefficients):
        return minimize(quadratic, 0.0, coefficients, optimizer=optax.sgd(rate), num_steps=500)

    got = np.asarray(all_of(rates, coefficients))
    with np.errstate(under="ignore"):
        alone = np.array([numpy_descent(c, r, 500) for r, c in zip(rates, coefficients, strict=True)])
    # A chain of 500 roundings, of which compilers may fuse some.
    np.testing.assert_allclose(got, alone, rtol=1e-4, atol=1e-6)
    closed = roots * (1 - (1 - 2 * rates.astype(np.float64)) ** 500)
    np.testing.assert_allclose(got, closed, rtol=2e-4, atol=1e-6)
    assert ulps(all_of(rates[:1], coefficients[:1])[0], got[0]) <= 1


def test_params_and_data_may_be_pytrees():
    rng = np.random.default_rng(1)
    x = rng.normal(size=(50, 3))
    y = x @ [1.0, -2.0, 3.0] + 0.5
    data = {"x": jnp.asarray(x, jnp.float32), "y": jnp.asarray(y, jnp.float32)}

    def cost(w, data):
        return jnp.square(data["x"] @ w["slope"] + w["intercept"] - data["y"]).mean()

    start = {"slope": jnp.zeros(3), "intercept": 0}
    w = minimize(cost, start, data, optimizer=optax.adam(0.1), num_steps=2000)
    np.testing.assert_allclose(w["slope"], [1, -2, 3], atol=1e-4)
    np.testing.assert_allclose(w["intercept"], 0.5, atol=1e-4)
    assert start["intercept"] == 0


def test_other_data_of_the_same_shape_and_other_step_counts_compile_nothing():
    compiled = []

    def cost(w, x):
        compiled.append(1)  # runs when it is traced
        return quadratic(w, x)

    for root, steps in ((5.0, 10), (7.0, 10), (7.0, 300)):
        data = jnp.array([1.0, -2 * root, root**2])
        minimize(cost, 0.0, data, optimizer=GRADIENT_DESCENT, num_steps=steps)
    first = len(compiled)
    minimize(cost, 0.0, jnp.array([1.0, 2.0, 3.0]), optimizer=GRADIENT_DESCENT, num_steps=77)
    assert len(compiled) == first == 1
