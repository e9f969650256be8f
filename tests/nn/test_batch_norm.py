"""Batch normalisation against float64 NumPy, finite differences, Flax and torch, and what must not change it.

Inputs far from zero are held to what they can represent: the mean of values near an offset is known to a few
units in the last place of the offset (`slack`), and everything else follows from that error.
"""

import math

import flax.linen
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxbn.nn import batch_norm, dense
from jaxbn.nn.batch_norm import BatchNormParams, BatchNormState, Moments
from jaxbn.nn.types import Hyperparams

F = 3
EPSILON = 1e-3
DECAY = 0.8
GAMMA, BETA = np.array([0.5, -1.5, 2.0]), np.array([0.3, 0.0, -4.0])
BATCHES = (1, 2, 3, 64)
MASKS = ("none", "partial", "one", "empty")


@pytest.fixture
def x64():
    with jax.enable_x64(True):
        yield


def mask(kind, rows):
    """Which rows count, as NumPy indices, and the `where` that says so."""
    chosen = np.ones(rows, bool)
    if kind == "partial":
        chosen[:: 3 if rows > 2 else 2] = rows == 1
    elif kind == "one":
        chosen[:] = np.arange(rows) == rows // 2
    elif kind == "empty":
        chosen[:] = False
    return chosen, None if kind == "none" else jnp.asarray(chosen)


def inputs(rows, *, offset=0.0, dtype=np.float32, seed=0):
    """Random x [B, F] about an offset whose second feature is constant, and the same numbers in float64."""
    spread = max(1.0, 4 * ulp(offset, dtype))
    x = np.random.default_rng(seed).normal(size=(rows, F)) * spread + offset
    x[:, 1] = offset + 2 * spread
    x = jnp.asarray(x, dtype)
    return x, np.asarray(x, np.float64)


def ulp(offset, dtype):
    return float(jnp.finfo(dtype).eps) * 2.0 ** math.floor(math.log2(abs(offset))) if offset else 0.0


def slack(offset):
    """How wrong a float32 mean near an offset may be: a unit in the last place."""
    return ulp(offset, np.float32)


def params():
    real = jnp.zeros((), float).dtype
    return BatchNormParams(jnp.asarray(GAMMA, real), jnp.asarray(BETA, real))


def zero_state(features=F):
    return BatchNormState(jnp.zeros(features), jnp.zeros(features), jnp.zeros(()))


def numpy_moments(x, chosen):
    rows = x[chosen]
    if len(rows) == 0:
        return np.zeros(x.shape[-1]), np.zeros(x.shape[-1])
    mean = rows.mean(0)
    return mean, ((rows - mean) ** 2).mean(0)


def numpy_batch_norm(x, gamma, beta, epsilon, chosen):
    mean, var = numpy_moments(x, chosen)
    return gamma * (x - mean) / np.sqrt(var + epsilon) + beta


def central_differences(f, at, step):
    out = np.zeros_like(at)
    for index in np.ndindex(at.shape):
        above, below = at.copy(), at.copy()
        above[index] += step
        below[index] -= step
        out[index] = (f(above) - f(below)) / (above[index] - below[index])
    return out


def numpy_gradients(x, chosen, cotangent):
    """Of sum(cotangent z) in x, gamma, beta and epsilon, by central differences."""

    def objective(x=x, gamma=GAMMA, beta=BETA, epsilon=EPSILON):
        return float((numpy_batch_norm(x, gamma, beta, epsilon, chosen) * cotangent).sum())

    return (
        central_differences(lambda a: objective(x=a), x, 1e-5),
        central_differences(lambda a: objective(gamma=a), GAMMA, 1e-5),
        central_differences(lambda a: objective(beta=a), BETA, 1e-5),
        central_differences(lambda a: objective(epsilon=a), np.array(EPSILON), 1e-7),
    )


def apply(x, p, epsilon, where, *, training=True, state=None):
    h = Hyperparams(bn_epsilon=epsilon, bn_decay=DECAY)
    return batch_norm.apply(p, state or zero_state(x.shape[-1]), x, h, training=training, where=where)


def gradients(x, p, epsilon, where, cotangent):
    """Of sum(cotangent z), through `batch_norm.apply`: the derivative that is written by hand."""

    def objective(x, p, epsilon):
        z, _ = apply(x, p, epsilon, where)
        return (z.astype(cotangent.dtype) * cotangent).sum()

    return jax.grad(objective, argnums=(0, 1, 2))(x, p, jnp.asarray(epsilon, cotangent.dtype))


def autodiff_gradients(x, p, epsilon, where, cotangent):
    """The same by plain automatic differentiation of the public pieces."""

    def objective(x, p, epsilon):
        z = batch_norm.normalize(x, batch_norm.moments(x, where=where), p, epsilon=epsilon)
        return (z.astype(cotangent.dtype) * cotangent).sum()

    return jax.grad(objective, argnums=(0, 1, 2))(x, p, jnp.asarray(epsilon, cotangent.dtype))


# Forward


@pytest.mark.parametrize("dtype", [jnp.float32, jnp.bfloat16])
@pytest.mark.parametrize("offset", [0.0, 1e4, 1e6])
@pytest.mark.parametrize("kind", MASKS)
@pytest.mark.parametrize("rows", BATCHES)
def test_forward_equals_numpy(rows, kind, offset, dtype):
    x, x64 = inputs(rows, offset=offset, dtype=dtype)
    chosen, where = mask(kind, rows)
    mean, var = numpy_moments(x64, chosen)
    got = batch_norm.moments(x, where=where)
    error = slack(offset)
    assert got.mean.dtype == got.var.dtype == jnp.float32
    assert got.count == chosen.sum()
    np.testing.assert_allclose(got.mean, mean, rtol=0, atol=error + 1e-6)
    assert (np.abs(np.asarray(got.var) - var) <= 1e-5 * var + 1e-12).all()

    z, state = apply(x, params(), EPSILON, where)
    assert z.dtype == dtype and bool(jnp.isfinite(z).all())
    want = numpy_batch_norm(x64, GAMMA, BETA, EPSILON, chosen)
    scale = np.abs(GAMMA) / np.sqrt(var + EPSILON)
    wrong = scale * error + 2e-5 * (1 + np.abs(want))
    wrong = wrong + np.abs(want) * float(jnp.finfo(dtype).eps)
    assert (np.abs(np.asarray(z, np.float64) - want)[chosen] <= wrong[chosen]).all()
    weight = (1 - DECAY) if chosen.any() else 0.0
    np.testing.assert_allclose(state.weight, weight, rtol=1e-6)
    np.testing.assert_allclose(state.mean, weight * mean, rtol=1e-6, atol=error + 1e-6)


@pytest.mark.parametrize("kind", MASKS)
@pytest.mark.parametrize("rows", BATCHES)
def test_forward_in_float64_equals_numpy_to_rounding(x64, rows, kind):
    for offset in (0.0, 1e4, 1e6):
        x, same = inputs(rows, offset=offset, dtype=jnp.float64)
        chosen, where = mask(kind, rows)
        z, _ = apply(x, params(), EPSILON, where)
        want = numpy_batch_norm(same, GAMMA, BETA, EPSILON, chosen)
        np.testing.assert_allclose(z, want, rtol=0, atol=1e-12 + 200 * ulp(offset, np.float64))


def test_the_variance_survives_an_offset_at_which_one_pass_has_no_digit_left():
    x, x64 = inputs(64, offset=1e4)
    one_pass = jnp.square(x).mean(0) - jnp.square(x.mean(0))
    assert abs(float(one_pass[0]) - x64[:, 0].var()) > 1
    np.testing.assert_allclose(batch_norm.moments(x).var, x64.var(0), rtol=1e-5, atol=1e-9)


@pytest.mark.parametrize("rows", BATCHES)
def test_a_constant_feature_gives_beta(rows):
    # Among the offsets are some whose sums are not representable.
    for offset in (0.0, 1.0, 0.1, 1e4, 1e4 + 0.3, 1e6, 1e6 + 0.3, -3.3e7):
        z, _ = apply(jnp.full((rows, F), offset), params(), EPSILON, None)
        np.testing.assert_array_equal(z, np.broadcast_to(BETA.astype(np.float32), (rows, F)))


# Running averages


def test_running_averages_equal_numpy_over_many_batches_of_unequal_size():
    state = zero_state()
    mean, var, weight = np.zeros(F), np.zeros(F), 0.0
    for seed, rows in enumerate((64, 3, 1, 2, 64, 7)):
        x, x64 = inputs(rows, seed=seed)
        _, state = apply(x, params(), EPSILON, None, state=state)
        batch = numpy_moments(x64, np.ones(rows, bool))
        mean, var = DECAY * mean + (1 - DECAY) * batch[0], DECAY * var + (1 - DECAY) * batch[1]
        weight = DECAY * weight + 1 - DECAY
        running = batch_norm.running_moments(state)
        np.testing.assert_allclose(running.mean, mean / weight, rtol=2e-6, atol=1e-6)
        np.testing.assert_allclose(running.var, var / weight, rtol=1e-5, atol=1e-9)
        raw = batch_norm.running_moments(state, debias=False)
        np.testing.assert_allclose(raw.mean, mean, rtol=2e-6, atol=1e-6)
        z, same = apply(x, params(), EPSILON, None, state=state, training=False)
        want = GAMMA * (x64 - mean / weight) / np.sqrt(var / weight + EPSILON) + BETA
        np.testing.assert_allclose(z, want, rtol=1e-4, atol=1e-4)
        assert same is state


def test_before_the_first_batch_the_running_moments_are_0_and_1():
    running = batch_norm.running_moments(zero_state())
    np.testing.assert_array_equal(running.mean, np.zeros(F))
    np.testing.assert_array_equal(running.var, np.ones(F))
    assert running.count == 0
    x, x64 = inputs(4)
    z, _ = apply(x, params(), EPSILON, None, training=False)
    np.testing.assert_allclose(z, GAMMA * x64 / np.sqrt(1 + EPSILON) + BETA, rtol=1e-5, atol=1e-5)


def test_no_valid_row_leaves_the_statistics_alone():
    x, _ = inputs(5)
    _, before = apply(x, params(), EPSILON, None)
    for garbage in (x, jnp.full_like(x, jnp.nan)):
        z, after = apply(garbage, params(), EPSILON, jnp.zeros(5, bool), state=before)
        for name in ("mean", "var", "weight"):
            np.testing.assert_array_equal(getattr(after, name), getattr(before, name))
    z, _ = apply(x, params(), EPSILON, jnp.zeros(5, bool))
    assert bool(jnp.isfinite(z).all())


def test_a_decay_edited_in_mid_run_weighs_every_batch_as_its_own_decay_says(x64):
    rng = np.random.default_rng(1)
    decays, means = rng.uniform(0.1, 0.99, size=30), rng.normal(size=(30, F))
    variances = rng.uniform(0.5, 2, size=(30, F))
    state = zero_state()
    for decay, mean, var in zip(decays, means, variances, strict=True):
        batch = Moments(jnp.asarray(mean), jnp.asarray(var), jnp.asarray(4.0))
        state = batch_norm.update(state, batch, decay=decay)
    weights = np.array([(1 - d) * np.prod(decays[i + 1 :]) for i, d in enumerate(decays)])
    running = batch_norm.running_moments(state)
    np.testing.assert_allclose(running.mean, weights @ means / weights.sum(), rtol=1e-12)
    np.testing.assert_allclose(running.var, weights @ variances / weights.sum(), rtol=1e-12)


@pytest.mark.parametrize("decay", [0.0, 0.5, 0.999])
def test_running_moments_of_equal_batches_are_the_moments_from_the_first_batch_on(decay):
    x, x64 = inputs(64)
    state = zero_state()
    for _ in range(3):
        _, state = batch_norm.apply(params(), state, x, Hyperparams(bn_decay=decay), training=True)
        running = batch_norm.running_moments(state)
        np.testing.assert_allclose(running.mean, x64.mean(0), rtol=2e-5, atol=1e-6)
        np.testing.assert_allclose(running.var, x64.var(0), rtol=2e-5, atol=1e-9)


# Gradients


@pytest.mark.parametrize("offset", [0.0, 1e4, 1e6])
@pytest.mark.parametrize("kind", MASKS)
@pytest.mark.parametrize("rows", BATCHES)
def test_gradients_equal_finite_differences_and_autodiff_in_float64(x64, rows, kind, offset):
    x, same = inputs(rows, offset=offset, dtype=jnp.float64)
    chosen, where = mask(kind, rows)
    cotangent = np.random.default_rng(7).normal(size=x.shape) * chosen[:, None]

    dx, d_params, d_epsilon = gradients(x, params(), EPSILON, where, jnp.asarray(cotangent))
    want = numpy_gradients(same, chosen, cotangent)
    steep = np.abs(GAMMA).max() / np.sqrt(EPSILON)
    rounding = ulp(offset, np.float64) * rows * steep / 1e-5
    tolerance = {"rtol": 1e-5, "atol": 1e-6 * steep + rounding}
    np.testing.assert_allclose(dx, want[0], **tolerance)
    np.testing.assert_allclose(d_params.gamma, want[1], **tolerance)
    np.testing.assert_allclose(d_params.beta, want[2], **tolerance)
    np.testing.assert_allclose(d_epsilon, want[3], rtol=1e-5, atol=1e-4 + rounding / EPSILON)
    assert not np.asarray(dx)[~chosen].any()

    written = (dx, d_params, d_epsilon)
    derived = autodiff_gradients(x, params(), EPSILON, where, jnp.asarray(cotangent))
    for got, want in zip(jax.tree.leaves(written), jax.tree.leaves(derived), strict=True):
        np.testing.assert_allclose(got, want, rtol=1e-9, atol=1e-10 * steep + 1e5 * ulp(offset, np.float64))


@pytest.mark.parametrize("kind", MASKS)
@pytest.mark.parametrize("rows", BATCHES)
def test_second_derivatives_equal_those_of_autodiff(x64, rows, kind):
    """Of a gradient penalty, whose own gradient flows through the moments as well."""
    x, _ = inputs(rows, dtype=jnp.float64)
    chosen, where = mask(kind, rows)
    cotangent = jnp.asarray(np.random.default_rng(7).normal(size=x.shape) * chosen[:, None])

    def by(normalized):
        def penalty(x, p, epsilon):
            first = jax.grad(lambda *to: (cotangent * jnp.sin(normalized(*to))).sum(), argnums=(0, 1, 2))(x, p, epsilon)
            return sum(jnp.square(leaf).sum() for leaf in jax.tree.leaves(first))

        return jax.grad(penalty, argnums=(0, 1, 2))(x, params(), jnp.asarray(EPSILON))

    written = by(lambda x, p, epsilon: apply(x, p, epsilon, where)[0])
    derived = by(lambda x, p, e: batch_norm.normalize(x, batch_norm.moments(x, where=where), p, epsilon=e))
    for got, want in zip(jax.tree.leaves(written), jax.tree.leaves(derived), strict=True):
        size = max(1.0, float(jnp.abs(want).max()))
        np.testing.assert_allclose(got, want, rtol=1e-9, atol=1e-12 * size)


@pytest.mark.parametrize("dtype", [jnp.float32, jnp.bfloat16])
@pytest.mark.parametrize("offset", [0.0, 1e4, 1e6])
@pytest.mark.parametrize("kind", MASKS)
@pytest.mark.parametrize("rows", BATCHES)
def test_gradients_in_lower_precision_equal_those_in_float64(rows, kind, offset, dtype):
    x, same = inputs(rows, offset=offset, dtype=dtype)
    chosen, where = mask(kind, rows)
    cotangent = np.random.default_rng(7).normal(size=x.shape) * chosen[:, None]
    cotangent = np.asarray(jnp.asarray(cotangent, dtype), np.float64)
    dx, d_params, d_epsilon = gradients(x, params(), EPSILON, where, jnp.asarray(cotangent, jnp.float32))
    assert dx.dtype == dtype and d_params.gamma.dtype == jnp.float32
    want = numpy_gradients(same, chosen, cotangent)
    mean, var = numpy_moments(same, chosen)
    # x_hat errs by this much; every gradient is a sum over rows of products with it.
    error = slack(offset) / np.sqrt(var + EPSILON)
    relative = error + 1e-4 + float(jnp.finfo(dtype).eps)
    size = np.abs(cotangent).sum(0) * (1 + np.abs(same[chosen] - mean).max(0, initial=0) / np.sqrt(var + EPSILON))
    steep = np.abs(GAMMA) / np.sqrt(var + EPSILON)
    relative = relative + ulp(offset, np.float64) / 1e-7  # of the differences
    assert (np.abs(np.asarray(dx, np.float64) - want[0]) <= relative * size * steep).all()
    assert (np.abs(d_params.gamma - want[1]) <= relative * size).all()
    assert (np.abs(d_params.beta - want[2]) <= relative * size).all()
    assert abs(float(d_epsilon) - want[3]) <= (relative * size * np.abs(GAMMA) / (var + EPSILON)).sum()
    assert not np.asarray(dx, np.float32)[~chosen].any()


def test_the_gradient_of_the_notes_equations_needs_no_batch_of_its_own_shape(x64):
    x = jnp.asarray(np.random.default_rng(2).normal(size=(4, 5, F)))
    where = jnp.asarray(np.random.default_rng(3).random((4, 5)) < 0.6)
    cotangent = jnp.where(where[..., None], jnp.cos(x), 0)
    flat = gradients(x.reshape(20, F), params(), EPSILON, where.reshape(20), cotangent.reshape(20, F))
    deep = gradients(x, params(), EPSILON, where, cotangent)
    np.testing.assert_allclose(deep[0].reshape(20, F), flat[0], rtol=1e-11, atol=1e-13)
    for got, want in zip(jax.tree.leaves(deep[1:]), jax.tree.leaves(flat[1:]), strict=True):
        np.testing.assert_allclose(got, want, rtol=1e-11)


@pytest.mark.parametrize("training", [True, False])
def test_any_rank_equals_its_rows(training):
    x = jnp.asarray(np.random.default_rng(2).normal(size=(4, 5, 2, F)), jnp.float32)
    where = jnp.asarray(np.random.default_rng(3).random((4, 5, 2)) < 0.6)
    _, seen = apply(x[0], params(), EPSILON, None)
    for w in (None, where):
        rows = None if w is None else w.reshape(40)
        deep, state = apply(x, params(), EPSILON, w, training=training, state=seen)
        flat, flat_state = apply(x.reshape(40, F), params(), EPSILON, rows, training=training, state=seen)
        np.testing.assert_allclose(deep.reshape(40, F), flat, rtol=1e-5, atol=1e-5)
        np.testing.assert_allclose(state.var, flat_state.var, rtol=1e-5)
    one_dimensional = batch_norm.moments(x[0, 0, 0][None])
    np.testing.assert_array_equal(one_dimensional.mean, x[0, 0, 0])


def test_no_gradient_flows_through_the_running_statistics(x64):
    x, _ = inputs(8, dtype=jnp.float64)
    d = jax.grad(lambda x: apply(x, params(), EPSILON, None)[1].mean.sum())(x)
    np.testing.assert_array_equal(d, np.zeros(x.shape))

    def objective(x):
        z, state = apply(x, params(), EPSILON, None)
        return z[0].sum(), state

    # Nor where they come along with a gradient.
    d = jax.grad(lambda x: jax.grad(objective, has_aux=True)(x)[1].mean.sum())(x)
    np.testing.assert_array_equal(d, np.zeros(x.shape))


# Other frameworks


@pytest.mark.parametrize("dtype", [jnp.float32, jnp.bfloat16])
@pytest.mark.parametrize("offset", [0.0, 1e4, 1e6])
@pytest.mark.parametrize("kind", ["none", "partial", "one"])
@pytest.mark.parametrize("rows", BATCHES)
def test_equals_flax(rows, kind, offset, dtype):
    x, same = inputs(rows, offset=offset, dtype=dtype)
    chosen, where = mask(kind, rows)
    layer = flax.linen.BatchNorm(momentum=DECAY, epsilon=EPSILON, use_fast_variance=False)
    weights = {"scale": params().gamma, "bias": params().beta}
    full = None if where is None else jnp.broadcast_to(where[:, None], x.shape)
    cotangent = jnp.asarray(np.random.default_rng(7).normal(size=x.shape) * chosen[:, None], jnp.float32)

    def theirs(x, weights):
        stats = {"mean": jnp.zeros(F), "var": jnp.zeros(F)}
        z, new = layer.apply(
            {"params": weights, "batch_stats": stats},
            x,
            use_running_average=False,
            mask=full,
            mutable="batch_stats",
        )
        return (z.astype(jnp.float32) * cotangent).sum(), (z, new["batch_stats"])

    (d_x, d_weights), (z, stats) = jax.grad(theirs, argnums=(0, 1), has_aux=True)(x, weights)
    ours, state = apply(x, params(), EPSILON, where)
    mean, var = numpy_moments(same, chosen)
    # Flax does not correct its mean, which errs by a unit in the last place for each doubling of the rows.
    error = (2 + math.log2(rows)) * slack(offset)
    relative = error / np.sqrt(var + EPSILON) * (1 + error / np.sqrt(var + EPSILON)) + 1e-4
    relative = relative + 2 * float(jnp.finfo(dtype).eps)
    np.testing.assert_allclose(state.mean, stats["mean"], rtol=1e-6, atol=error + 1e-6)
    assert (np.abs(state.var - stats["var"]) <= error**2 + 1e-5 * np.abs(stats["var"]) + 1e-9).all()
    size = 1 + np.abs(np.asarray(z, np.float64)) + np.abs(GAMMA)
    assert (np.abs(np.asarray(ours, np.float64) - np.asarray(z, np.float64)) <= relative * size)[chosen].all()
    got = gradients(x, params(), EPSILON, where, cotangent)
    size = np.abs(np.asarray(cotangent)).sum(0) * (1 + np.abs(same[chosen] - mean).max(0) / np.sqrt(var + EPSILON))
    steep = np.abs(GAMMA) / np.sqrt(var + EPSILON)
    difference = np.asarray(got[0], np.float64) - np.asarray(d_x, np.float64)
    assert (np.abs(difference)[chosen] <= relative * size * steep).all()
    assert (np.abs(got[1].gamma - d_weights["scale"]) <= relative * size).all()
    assert (np.abs(got[1].beta - d_weights["bias"]) <= relative * size).all()


@pytest.mark.parametrize("offset", [0.0, 1e4, 1e6])
@pytest.mark.parametrize("rows", [2, 3, 64])
def test_equals_torch(x64, rows, offset):
    torch = pytest.importorskip("torch")
    x, same = inputs(rows, offset=offset, dtype=jnp.float64)
    cotangent = np.random.default_rng(7).normal(size=x.shape)
    leaves = [torch.tensor(a, requires_grad=True) for a in (same, GAMMA, BETA)]
    mean, var = torch.zeros(F, dtype=torch.float64), torch.zeros(F, dtype=torch.float64)
    z = torch.nn.functional.batch_norm(
        leaves[0], mean, var, leaves[1], leaves[2], training=True, momentum=1 - DECAY, eps=EPSILON
    )
    (z * torch.tensor(cotangent)).sum().backward()
    ours, state = apply(x, params(), EPSILON, None)
    far = 1 + 1e5 * ulp(offset, np.float64) / 1e-9
    np.testing.assert_allclose(ours, z.detach().numpy(), rtol=1e-9, atol=1e-10 * far)
    np.testing.assert_allclose(state.mean, mean.numpy(), rtol=1e-12)
    # Torch keeps the unbiased variance.
    np.testing.assert_allclose(state.var, var.numpy() * (rows - 1) / rows, rtol=1e-9, atol=1e-16 * far)
    dx, d_params, _ = gradients(x, params(), EPSILON, None, jnp.asarray(cotangent))
    np.testing.assert_allclose(dx, leaves[0].grad.numpy(), rtol=1e-9, atol=1e-10 * far)
    np.testing.assert_allclose(d_params.gamma, leaves[1].grad.numpy(), rtol=1e-9, atol=1e-10 * far)
    np.testing.assert_allclose(d_params.beta, leaves[2].grad.numpy(), rtol=1e-12)


@pytest.mark.parametrize("rows", [2, 3, 64])
def test_equals_torch_in_float32(rows):
    torch = pytest.importorskip("torch")
    x, _ = inputs(rows)
    leaves = [torch.tensor(np.array(a, np.float32)) for a in (x, GAMMA, BETA)]
    z = torch.nn.functional.batch_norm(leaves[0], None, None, leaves[1], leaves[2], training=True, eps=EPSILON)
    np.testing.assert_allclose(apply(x, params(), EPSILON, None)[0], z.numpy(), rtol=1e-5, atol=2e-6)


# Invariances


@pytest.mark.parametrize("garbage", [0.0, 7.0, 1e30, np.inf, np.nan])
@pytest.mark.parametrize("rows", BATCHES)
def test_padded_equals_unpadded_in_values_and_gradients_whatever_the_padding_holds(x64, rows, garbage):
    x, _ = inputs(rows, dtype=jnp.float64)
    padding = jnp.full((5, F), garbage)
    padded, where = jnp.concatenate([x, padding]), jnp.arange(rows + 5) < rows
    cotangent = jnp.asarray(np.random.default_rng(7).normal(size=x.shape))
    z, state = apply(x, params(), EPSILON, None)
    z_padded, state_padded = apply(padded, params(), EPSILON, where)
    np.testing.assert_allclose(z_padded[:rows], z, rtol=1e-11, atol=1e-12)
    for name in ("mean", "var", "weight"):
        np.testing.assert_allclose(getattr(state_padded, name), getattr(state, name), rtol=1e-12, atol=1e-15)
    alone = gradients(x, params(), EPSILON, None, cotangent)
    among = gradients(padded, params(), EPSILON, where, jnp.concatenate([cotangent, jnp.zeros((5, F))]))
    np.testing.assert_array_equal(among[0][rows:], np.zeros((5, F)))
    np.testing.assert_allclose(among[0][:rows], alone[0], rtol=1e-9, atol=1e-10)
    for got, want in zip(jax.tree.leaves(among[1:]), jax.tree.leaves(alone[1:]), strict=True):
        np.testing.assert_allclose(got, want, rtol=1e-10, atol=1e-12)


def test_what_masked_rows_hold_changes_no_bit_in_float32():
    x, _ = inputs(16)
    where = jnp.arange(16) % 3 != 0
    cotangent = jnp.where(where[:, None], jnp.cos(x), 0)
    clean = jax.tree.leaves((apply(x, params(), EPSILON, where)[1], gradients(x, params(), EPSILON, where, cotangent)))
    for garbage in (0.0, jnp.inf, jnp.nan):
        dirty = jnp.where(where[:, None], x, garbage)
        z, state = apply(dirty, params(), EPSILON, where)
        np.testing.assert_array_equal(z[where], apply(x, params(), EPSILON, where)[0][where])
        new = jax.tree.leaves((state, gradients(dirty, params(), EPSILON, where, cotangent)))
        for got, want in zip(new, clean, strict=True):
            np.testing.assert_array_equal(got, want)


def test_padded_features_keep_the_others_bits():
    x, _ = inputs(64)
    wide = jnp.pad(x, ((0, 0), (0, 5)))
    wide_params = BatchNormParams(jnp.pad(params().gamma, (0, 5)), jnp.pad(params().beta, (0, 5)))
    z, _ = apply(wide, wide_params, EPSILON, None)
    np.testing.assert_allclose(z[:, :F], apply(x, params(), EPSILON, None)[0], rtol=1e-6, atol=1e-6)
    np.testing.assert_array_equal(z[:, F:], np.zeros((64, 5)))


@pytest.mark.parametrize("kind", MASKS[:3])
@pytest.mark.parametrize("rows", BATCHES)
def test_adding_a_constant_to_z_changes_nothing(x64, rows, kind):
    x, _ = inputs(rows, dtype=jnp.float64)
    _, where = mask(kind, rows)
    shift = jnp.array([3.0, -10.0, 0.7])[None]
    np.testing.assert_allclose(
        apply(x + shift, params(), EPSILON, where)[0],
        apply(x, params(), EPSILON, where)[0],
        rtol=0,
        atol=1e-12,
    )


def test_adding_a_constant_to_z_changes_nothing_in_float32_but_for_rounding():
    x, _ = inputs(64)
    z = apply(x, params(), EPSILON, None)[0]
    for shift in (1.0, 100.0, 1e4):
        error = 2 * slack(shift) * np.abs(GAMMA).max() / np.asarray(x)[:, [0, 2]].std()
        moved = apply(x + shift, params(), EPSILON, None)[0]
        np.testing.assert_allclose(moved[:, [0, 2]], z[:, [0, 2]], rtol=0, atol=error + 1e-5)


@pytest.mark.parametrize("rows", BATCHES)
def test_gamma_the_deviation_and_beta_the_mean_give_the_identity(x64, rows):
    x, same = inputs(rows, dtype=jnp.float64)
    deviation, mean = np.sqrt(same.var(0) + EPSILON), same.mean(0)
    z, _ = apply(x, BatchNormParams(jnp.asarray(deviation), jnp.asarray(mean)), EPSILON, None)
    np.testing.assert_allclose(z, same, rtol=0, atol=1e-14 * max(1, np.abs(same).max()))


@pytest.mark.parametrize("bias", [True, False])
def test_fold_equals_normalising_after_the_dense_layer(x64, bias):
    rng = np.random.default_rng(4)
    layer = dense.Dense(jnp.asarray(rng.normal(size=(4, F))), jnp.asarray(rng.normal(size=F)) if bias else None)
    running = Moments(jnp.asarray(rng.normal(size=F)), jnp.asarray(rng.uniform(0, 2, size=F)), jnp.asarray(1.0))
    x = rng.normal(size=(6, 4))
    folded = batch_norm.fold(layer, params(), running, epsilon=EPSILON)
    z = x @ np.asarray(layer.kernel) + (np.asarray(layer.bias) if bias else 0)
    want = GAMMA * (z - np.asarray(running.mean)) / np.sqrt(np.asarray(running.var) + EPSILON) + BETA
    np.testing.assert_allclose(x @ np.asarray(folded.kernel) + np.asarray(folded.bias), want, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(dense.apply(folded, jnp.asarray(x)), want, rtol=1e-12, atol=1e-12)


def test_vmapped_members_keep_their_own_epsilon_and_decay(x64):
    x, same = inputs(8, dtype=jnp.float64)
    epsilons, decays = np.array([1e-6, 1e-2, 1.0]), np.array([0.1, 0.5, 0.99])
    h = Hyperparams(bn_epsilon=jnp.asarray(epsilons), bn_decay=jnp.asarray(decays))
    run = jax.vmap(
        lambda h: batch_norm.apply(params(), zero_state(), x, h, training=True),
        in_axes=(Hyperparams(**{k: 0 if k in ("bn_epsilon", "bn_decay") else None for k in vars(h)}),),
    )
    z, state = run(h)
    for member, (epsilon, decay) in enumerate(zip(epsilons, decays, strict=True)):
        want = numpy_batch_norm(same, GAMMA, BETA, epsilon, np.ones(8, bool))
        np.testing.assert_allclose(z[member], want, rtol=1e-10, atol=1e-11)
        np.testing.assert_allclose(state.weight[member], 1 - decay, rtol=1e-12)


def test_whole_numbers_become_real_ones():
    x = np.array([[0], [1], [2], [9]])
    params, state = batch_norm.init(1)
    for training in (True, False):
        z, _ = batch_norm.apply(params, state, jnp.asarray(x), Hyperparams(), training=training)
        real, _ = batch_norm.apply(params, state, jnp.asarray(x, float), Hyperparams(), training=training)
        assert z.dtype == real.dtype and np.array_equal(z, real)
