"""What holds for all inputs: invariances of batch normalisation, gradients in float32, one row or many."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from jaxbn.nn import batch_norm, losses, mlp
from jaxbn.nn.batch_norm import BatchNormParams
from jaxbn.nn.types import ACTIVATIONS, NORMALIZATIONS, Batch, Hyperparams, Spec, Variables

F, C, ROWS = 3, 4, 12
EPSILON = 1e-3
PARAMS = BatchNormParams(jnp.array([0.5, -1.5, 2.0]), jnp.array([0.3, 0.0, -4.0]))

# A multiple of a power of two has few digits, so that sums of them are exact and what is compared is the formula.
BATCHES = st.integers(1, 20).flatmap(
    lambda rows: hnp.arrays(np.float64, (rows, F), elements=st.integers(-4096, 4096).map(lambda n: n / 64))
)


@pytest.fixture(scope="module", autouse=True)
def x64():
    with jax.enable_x64(True):
        yield


@jax.jit
def normalized(x, epsilon):
    params = jax.tree.map(lambda leaf: leaf.astype(x.dtype), PARAMS)
    _, state = batch_norm.init(F, x.dtype)
    z, after = batch_norm.apply(params, state, x, Hyperparams(bn_epsilon=epsilon, bn_decay=0.0), training=True)
    return z, after.mean, after.var


def bn(x: np.ndarray, epsilon: float = EPSILON) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The normalised batch, its means and its variances."""
    z, mean, var = normalized(jnp.asarray(x), epsilon)
    return np.asarray(z), np.asarray(mean), np.asarray(var)


@settings(max_examples=60)
@given(BATCHES, st.randoms(use_true_random=False))
def test_the_order_of_the_rows_changes_nothing_but_their_order(x, random):
    order = list(range(len(x)))
    random.shuffle(order)
    (z, *moments), (shuffled, *same) = bn(x), bn(x[order])
    np.testing.assert_allclose(shuffled, z[order], rtol=1e-11, atol=1e-11)
    np.testing.assert_allclose(same, moments, rtol=1e-12, atol=1e-12)


@settings(max_examples=60)
@given(BATCHES, st.integers(-20, 20).filter(bool).map(lambda n: n / 4), st.integers(-64, 64))
def test_an_affine_map_of_the_inputs_changes_at_most_the_sign(x, scale, shift):
    # gamma (a x + c - E[a x + c]) / sqrt(a^2 var + a^2 epsilon) + beta.
    beta = np.asarray(PARAMS.beta, np.float64)
    z, mean, var = bn(x)
    moved, moved_mean, moved_var = bn(scale * x + shift, scale**2 * EPSILON)
    np.testing.assert_allclose(moved - beta, np.sign(scale) * (z - beta), rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(moved_mean, scale * mean + shift, rtol=1e-12, atol=1e-11)
    np.testing.assert_allclose(moved_var, scale**2 * var, rtol=1e-10, atol=1e-9)


@settings(max_examples=60)
@given(BATCHES, st.integers(2, 4))
def test_every_row_several_times_is_every_row_once(x, times):
    (z, *moments), (repeated, *same) = bn(x), bn(np.repeat(x, times, axis=0))
    np.testing.assert_allclose(repeated, np.repeat(z, times, axis=0), rtol=1e-11, atol=1e-11)
    np.testing.assert_allclose(same, moments, rtol=1e-12, atol=1e-12)


SPECS = st.builds(
    Spec,
    widths=st.lists(st.integers(1, 6), max_size=3).map(tuple),
    activation=st.sampled_from(ACTIVATIONS),
    normalization=st.sampled_from(NORMALIZATIONS),
)


def network(spec: Spec, seed: int, dtype) -> tuple:
    """A network with weights of no special kind, data, and its loss as a function of its weights, all in one type."""
    model = mlp(spec, num_inputs=F, num_outputs=C)
    rng = np.random.default_rng(seed)
    h = Hyperparams(bn_epsilon=1e-3)
    drawn = model.init(jax.random.key(seed), h)
    params = jax.tree.map(lambda leaf: leaf + 0.1 * rng.normal(size=leaf.shape), drawn.params)
    x, y = rng.normal(size=(ROWS, F)), rng.integers(0, C, ROWS)

    def cast(leaf):
        return jnp.asarray(leaf, dtype)

    variables = Variables(jax.tree.map(cast, params), jax.tree.map(cast, drawn.model_state))
    batch = Batch(x=cast(x), y=jnp.asarray(y, jnp.int32))
    h = dataclasses.replace(h, bn_epsilon=cast(h.bn_epsilon))

    def loss(params):
        outputs, _ = model.apply(Variables(params, variables.model_state), batch.x, h, training=True)
        return losses.softmax_cross_entropy(outputs, batch, h, spec=spec).loss

    return model, h, variables, batch, loss


@settings(max_examples=25)
@given(SPECS, st.integers(0, 10**6))
def test_gradients_in_float32_are_the_slopes_in_float64(spec, seed):
    """Their error is within 2e-4 of the gradient's length: some hundred roundings of 6e-8, and BN's divisions."""
    *_, exact, _, loss = network(spec, seed, np.float64)
    *_, narrow, _, loss32 = network(spec, seed, np.float32)
    found = jax.tree.leaves(jax.grad(loss32)(narrow.params))
    assert {leaf.dtype for leaf in found} == {np.dtype(np.float32)}
    direction = jax.tree.map(lambda leaf: np.random.default_rng(seed + 1).normal(size=leaf.shape), exact.params)
    slope = sum(float((g.astype(np.float64) * d).sum()) for g, d in zip(found, jax.tree.leaves(direction), strict=True))
    # Two widths, because relu has corners: they agree where none lies between.
    slopes = []
    for width in (1e-5, 3e-6):
        up, down = (
            float(loss(jax.tree.map(lambda leaf, d: leaf + sign * width * d, exact.params, direction)))  # noqa: B023
            for sign in (1, -1)
        )
        slopes.append((up - down) / (2 * width))
    assume(abs(slopes[0] - slopes[1]) <= 1e-6 * (1 + abs(slopes[0])))
    length = np.sqrt(sum(float(np.square(g).sum()) for g in found) * sum(d.size for d in jax.tree.leaves(direction)))
    assert abs(slope - slopes[1]) <= 2e-4 * length + 1e-6


@settings(max_examples=25)
@given(SPECS, st.integers(0, 10**6), st.integers(0, ROWS - 1))
def test_one_example_is_predicted_as_within_a_batch(spec, seed, row):
    model, h, variables, batch, _ = network(spec, seed, np.float32)
    _, state = model.apply(variables, batch.x, h, training=True)
    learned = Variables(variables.params, state)
    together, _ = model.apply(learned, batch.x, h, training=False)
    alone, _ = model.apply(learned, batch.x[row][None], h, training=False)
    scale = float(np.abs(np.asarray(together)).max())
    np.testing.assert_allclose(alone[0], together[row], rtol=0, atol=1e-5 * (1 + scale))
