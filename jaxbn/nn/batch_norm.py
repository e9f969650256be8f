"""Batch normalisation as pure functions of arrays (Ioffe and Szegedy 2015, https://arxiv.org/abs/1502.03167).

Training normalises each feature by the moments of its mini-batch; inference by exponentially weighted averages of
them. Statistics are computed and kept in float32 or wider, whatever the inputs. The variance is biased (divided by
the number of rows) throughout. What other frameworks do instead is in `jaxbn.interop.conventions`.
"""

from typing import Any, NamedTuple

import chex
import flax.struct
import jax
import jax.numpy as jnp
from jax import Array
from jax.typing import ArrayLike

from jaxbn.nn.dense import Dense
from jaxbn.nn.types import Hyperparams, Leaf


class Moments(NamedTuple):
    """Mean and biased variance of each feature [F], and the number of rows they are over."""

    mean: Leaf
    var: Leaf
    count: Leaf


@flax.struct.dataclass
class BatchNormParams:
    """Learned scale and shift of each feature, [F]: gamma and beta of the course notes."""

    gamma: Leaf
    beta: Leaf


@flax.struct.dataclass
class BatchNormState:
    """Exponentially weighted averages from zero that carry their own weight.

    Attributes:
        mean: average of the batch means [F], to be divided by `weight`.
        var: average of the batch variances [F], to be divided by `weight`.
        weight: sum of the weights of the batches seen; 0 before the first, 1 in the long run.
    """

    mean: Leaf
    var: Leaf
    weight: Leaf


def init(num_features: int, dtype: Any = jnp.float32) -> tuple[BatchNormParams, BatchNormState]:
    """The identity up to normalisation, and statistics that have seen nothing.

    Example:
        >>> params, state = init(2)
        >>> running_moments(state).var
        Array([1., 1.], dtype=float32)
    """
    zeros, ones = jnp.zeros(num_features, dtype), jnp.ones(num_features, dtype)
    return BatchNormParams(gamma=ones, beta=zeros), BatchNormState(zeros, zeros, jnp.zeros((), dtype))


def moments(x: Array, *, where: Array | None = None) -> Moments:
    """Mean and biased variance of each feature over all other axes, in two passes.

    The one-pass formula E[x^2] - E[x]^2 has no correct digit left in float32 once the mean is some 3,000 standard
    deviations from zero; this one subtracts the mean first.

    Args:
        x: [..., F].
        where: bool [...], the rows to count; None counts all. Rows left out may hold anything, NaN included.

    Returns:
        Moments with mean and var [F] and a scalar count. Of no rows: zero mean, zero variance, count 0.

    Example:
        >>> moments(jnp.array([[1.0], [2.0], [6.0]]), where=jnp.array([True, True, False])).mean
        Array([1.5], dtype=float32)
    """
    x = x.astype(jnp.promote_types(x.dtype, jnp.float32))
    rows = tuple(range(x.ndim - 1))
    if where is None:
        count = jnp.asarray(x.size // x.shape[-1], x.dtype)
        mean = x.sum(rows) / jnp.maximum(count, 1)
        centred = x - jnp.expand_dims(mean, rows)
    else:
        chex.assert_shape(where, x.shape[:-1])
        count = where.sum(dtype=x.dtype)
        mean = jnp.where(where[..., None], x, 0).sum(rows) / jnp.maximum(count, 1)
        centred = jnp.where(where[..., None], x - jnp.expand_dims(mean, rows), 0)
    # What rounding left of the mean (Chan, Golub and LeVeque 1983). Far from zero it exceeds the deviation of a nearly
    # constant feature, which would come out as 1 or -1 where it should be 0.
    rest = centred.sum(rows) / jnp.maximum(count, 1)
    var = jnp.maximum(jnp.square(centred).sum(rows) / jnp.maximum(count, 1) - jnp.square(rest), 0)
    return Moments(mean + rest, var, count)


def normalize(x: Array, moments: Moments, params: BatchNormParams, *, epsilon: ArrayLike) -> Array:
    """`gamma (x - mean) / sqrt(var + epsilon) + beta`: equations (3) and (4) of the notes.

    Args:
        x: [..., F].
        moments: of a mini-batch in training, running ones at inference.
        params: gamma and beta [F].
        epsilon: added to the variance, so that a constant feature gives beta.

    Returns:
        [..., F] in the type of x; of whole numbers, real ones.
    """
    rows = tuple(range(x.ndim - 1))
    scale = params.gamma / jnp.sqrt(moments.var + epsilon)
    wide = x.astype(jnp.promote_types(x.dtype, jnp.float32))
    out = (wide - jnp.expand_dims(moments.mean, rows)) * jnp.expand_dims(scale, rows)
    out = out + jnp.expand_dims(params.beta, rows)
    return out.astype(x.dtype) if jnp.issubdtype(x.dtype, jnp.floating) else out


def update(state: BatchNormState, moments: Moments, *, decay: ArrayLike) -> BatchNormState:
    """Average the moments of one more mini-batch in. A mini-batch of no rows leaves the state alone.

    Args:
        state: averages so far.
        moments: of the mini-batch.
        decay: the weight kept on the old average. It may change from step to step: the state carries its own weight.

    Returns:
        The new averages.
    """
    kept = jnp.where(moments.count > 0, jnp.asarray(decay, state.mean.dtype), 1)
    return BatchNormState(
        mean=kept * state.mean + (1 - kept) * moments.mean,
        var=kept * state.var + (1 - kept) * moments.var,
        weight=kept * state.weight + (1 - kept),
    )


def running_moments(state: BatchNormState, *, debias: bool = True) -> Moments:
    """The moments that inference uses.

    Args:
        state: averages kept in training.
        debias: divide by the weight of the batches seen, so that short runs are judged rightly. Before the first
            batch the moments are (0, 1).

    Returns:
        Moments whose count is the state's weight.
    """
    if not debias:
        return Moments(state.mean, state.var, state.weight)
    seen = state.weight > 0
    weight = jnp.where(seen, state.weight, 1)
    return Moments(jnp.where(seen, state.mean / weight, 0), jnp.where(seen, state.var / weight, 1), state.weight)


def apply(
    params: BatchNormParams,
    state: BatchNormState,
    x: Array,
    hyperparams: Hyperparams,
    *,
    training: bool,
    where: Array | None = None,
) -> tuple[Array, BatchNormState]:
    """Normalise by the mini-batch and update the averages (training), or by the averages (inference).

    Gradients of it, and gradients of these, are right; the derivative for training is written by hand for reverse mode,
    so that `jax.jvp`, `jax.jacfwd` and `jax.hessian` refuse it.

    Args:
        params: gamma and beta [F].
        state: running averages.
        x: [..., F].
        hyperparams: `bn_decay` and `bn_epsilon` are read.
        training: which of the two.
        where: bool [...], rows that exist.

    Returns:
        The normalised x, and the new state (unchanged at inference).

    Example:
        >>> params, state = init(1)
        >>> x = jnp.array([[1.0], [3.0]])
        >>> z, state = apply(params, state, x, Hyperparams(bn_epsilon=0.0), training=True)
        >>> z.ravel()
        Array([-1.,  1.], dtype=float32)
    """
    if not training:
        return normalize(x, running_moments(state), params, epsilon=hyperparams.bn_epsilon), state
    wide = jnp.promote_types(x.dtype, jnp.float32)
    z, batch = _normalize_batch(x, params, jnp.asarray(hyperparams.bn_epsilon, wide), where)
    return z, update(state, batch, decay=hyperparams.bn_decay)


@jax.custom_vjp
def _normalize_batch(x: Array, params: BatchNormParams, epsilon: Array, where: Array | None) -> tuple[Array, Moments]:
    """Normalise by the moments of x itself; no gradient flows through the moments returned."""
    batch = moments(x, where=where)
    return normalize(x, batch, params, epsilon=epsilon), batch


def _normalize_batch_forward(x: Array, params: BatchNormParams, epsilon: Array, where: Array | None):
    # Not by calling the function itself: second derivatives flow through the moments that are saved.
    batch = moments(x, where=where)
    z = normalize(x, batch, params, epsilon=epsilon)
    return (z, jax.lax.stop_gradient(batch)), (x, batch, params, epsilon, where)


def _normalize_batch_backward(saved, cotangents):
    # Written out, because XLA's derivative of two passes over x makes twice the passes over memory of this:
    # dx = gamma / s (dz - mean(dz) - x_hat mean(dz x_hat)), Ioffe and Szegedy 2015, section 3.
    x, batch, params, epsilon, where = saved
    rows = tuple(range(x.ndim - 1))
    inverse = 1 / jnp.sqrt(batch.var + epsilon)
    x_hat = (x - jnp.expand_dims(batch.mean, rows)) * jnp.expand_dims(inverse, rows)
    dz = cotangents[0].astype(x_hat.dtype)
    if where is not None:
        # Rows left out take no part, whatever they hold: NaN times a gradient of 0 is NaN.
        x_hat, dz = (jnp.where(where[..., None], rows_of, 0) for rows_of in (x_hat, dz))
    d_beta, d_gamma = dz.sum(rows), (dz * x_hat).sum(rows)
    count = jnp.maximum(batch.count, 1)
    through_moments = jnp.expand_dims(d_beta / count, rows) + x_hat * jnp.expand_dims(d_gamma / count, rows)
    if where is not None:
        through_moments = jnp.where(where[..., None], through_moments, 0)
    dx = (dz - through_moments) * jnp.expand_dims(params.gamma * inverse, rows)
    d_epsilon = -(d_gamma * params.gamma * inverse**2).sum() / 2
    d_params = BatchNormParams(d_gamma.astype(params.gamma.dtype), d_beta.astype(params.beta.dtype))
    return dx.astype(x.dtype), d_params, d_epsilon.astype(epsilon.dtype), None


_normalize_batch.defvjp(_normalize_batch_forward, _normalize_batch_backward)


def fold(dense: Dense, params: BatchNormParams, moments: Moments, *, epsilon: ArrayLike) -> Dense:
    """A dense layer that does what the dense layer followed by normalisation with fixed moments did.

    For serving: `normalize(x W + b) = x (W s) + (b - mean) s + beta` with `s = gamma / sqrt(var + epsilon)`.

    Args:
        dense: kernel [F, H], bias [H] or None.
        params: gamma and beta [H].
        moments: running moments [H].
        epsilon: as in training.

    Returns:
        A dense layer with a bias.
    """
    scale = params.gamma / jnp.sqrt(moments.var + epsilon)
    bias = 0 if dense.bias is None else dense.bias
    return Dense(kernel=dense.kernel * scale[None, :], bias=(bias - moments.mean) * scale + params.beta)
