"""A fully connected layer whose padding takes no part."""

import itertools

import flax.struct
import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.typing import ArrayLike

from jaxbn.nn.types import Leaf


@flax.struct.dataclass
class Dense:
    """Weights [F, H], and a bias [H] unless normalisation follows: it would remove the bias again."""

    kernel: Leaf
    bias: Leaf


def draws(key: Array, sizes: list[tuple[int, int]]) -> list[Array]:
    """Standard normal numbers for the weights of several layers, such that padding changes none of them.

    Each input unit of each layer draws from a key of its own, and a draw is the same up to where a shorter one would
    end. So a number depends on (key, layer, input unit, output unit) and on no size.

    Args:
        key: consumed; of threefry, JAX's default: other generators draw otherwise for another size.
        sizes: padded (inputs, outputs) of each layer; at most 256 layers, each of fewer than 2^24 inputs.

    Returns:
        An array of that size for each layer. Drawn in float32 whatever the precision: a float64 draw would be another
        network.

    Example:
        >>> (narrow,), (wide,) = draws(jax.random.key(0), [(2, 3)]), draws(jax.random.key(0), [(4, 8)])
        >>> bool((narrow == wide[:2, :3]).all())
        True
    """
    # All layers at once: a draw costs a third of a second to compile, and each network would compile one per layer.
    units = jnp.concatenate(
        [jnp.arange(rows, dtype=jnp.uint32) + np.uint32(layer << 24) for layer, (rows, _) in enumerate(sizes)]
    )
    most = max(columns for _, columns in sizes)
    table = jax.vmap(lambda unit: jax.random.normal(jax.random.fold_in(key, unit), (most,), jnp.float32))(units)
    starts = itertools.accumulate((rows for rows, _ in sizes), initial=0)
    return [table[start : start + rows, :columns] for start, (rows, columns) in zip(starts, sizes, strict=False)]


def init(draw: Array, *, std: ArrayLike, used: tuple[ArrayLike, ArrayLike], bias: bool) -> Dense:
    """Normal weights, zero bias; exactly zero where units are not in use.

    Args:
        draw: standard normal numbers [F, H].
        std: standard deviation of the weights.
        used: how many inputs and outputs are in use.
        bias: whether there is one.

    Returns:
        The layer, in the widest float type that is enabled.
    """
    rows, columns = draw.shape
    in_use = (jnp.arange(rows) < used[0])[:, None] & (jnp.arange(columns) < used[1])[None, :]
    kernel = jnp.where(in_use, draw.astype(float) * std, 0)
    return Dense(kernel, jnp.zeros(columns, kernel.dtype) if bias else None)


def apply(params: Dense, x: Array) -> Array:
    """`x W + b` for x [..., F]."""
    z = x @ params.kernel
    return z if params.bias is None else z + jnp.expand_dims(params.bias, tuple(range(z.ndim - 1)))
