"""A fully connected layer whose padding takes no part."""

import flax.struct
import jax
import jax.numpy as jnp
from jax import Array
from jax.typing import ArrayLike


@flax.struct.dataclass
class Dense:
    """Weights [F, H], and a bias [H] unless normalisation follows: it would remove the bias again."""

    kernel: Array
    bias: Array | None


def init(
    key: Array, shape: tuple[int, int], *, std: ArrayLike, used: tuple[ArrayLike, ArrayLike], bias: bool
) -> Dense:
    """Normal weights, zero bias. Padding does not change the weights that are in use.

    Each input unit draws from a key of its own, and a draw is the same up to where a shorter one would end, so the
    first `used[0]` rows and `used[1]` columns do not depend on `shape`. The rest is exactly zero.

    Args:
        key: consumed.
        shape: padded (inputs, outputs).
        std: standard deviation of the weights.
        used: how many inputs and outputs are in use.
        bias: whether there is one.

    Returns:
        The layer in the widest float type that is enabled.

    Example:
        >>> narrow = init(jax.random.key(0), (2, 3), std=1.0, used=(2, 2), bias=False).kernel
        >>> wide = init(jax.random.key(0), (4, 8), std=1.0, used=(2, 2), bias=False).kernel
        >>> bool((narrow == wide[:2, :3]).all()), wide[2:].any().item()
        (True, False)
    """
    rows, columns = shape
    # Drawn in float32 whatever the precision: a float64 draw would be another network.
    draw = jax.vmap(lambda row: jax.random.normal(jax.random.fold_in(key, row), (columns,), jnp.float32))
    kernel = draw(jnp.arange(rows)).astype(float) * std
    in_use = (jnp.arange(rows) < used[0])[:, None] & (jnp.arange(columns) < used[1])[None, :]
    return Dense(jnp.where(in_use, kernel, 0), jnp.zeros(columns, kernel.dtype) if bias else None)


def apply(params: Dense, x: Array) -> Array:
    """`x W + b` for x [..., F]."""
    z = x @ params.kernel
    return z if params.bias is None else z + jnp.expand_dims(params.bias, tuple(range(z.ndim - 1)))
