"""Dropout whose rate is a traced number and whose draws do not change with padding."""

import jax
import jax.numpy as jnp
from jax import Array
from jax.typing import ArrayLike


def apply(key: Array, x: Array, rate: ArrayLike) -> Array:
    """Inverted dropout (Srivastava et al. 2014): each number is dropped with probability `rate`, the rest scaled up.

    The draws of a row depend on the key and on the number of the row alone, so rows below it change nothing.

    Args:
        key: consumed.
        x: [B, ...].
        rate: in [0, 1), traced or not.

    Returns:
        As x; of whole numbers, real ones.

    Example:
        >>> dropped = apply(jax.random.key(0), jnp.ones((2, 1000)), 0.25)
        >>> round(dropped.mean().item(), 1), [round(number, 3) for number in jnp.unique(dropped).tolist()]
        (1.0, [0.0, 1.333])
    """
    draw = jax.vmap(lambda row: jax.random.uniform(jax.random.fold_in(key, row), x.shape[1:], jnp.float32))
    keep = 1 - jnp.asarray(rate, jnp.promote_types(x.dtype, jnp.float32))
    scaled = x / keep
    if jnp.issubdtype(x.dtype, jnp.floating):
        scaled = scaled.astype(x.dtype)
    return jnp.where(draw(jnp.arange(x.shape[0])) < keep, scaled, 0)
