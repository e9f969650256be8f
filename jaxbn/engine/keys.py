"""Where randomness comes from: (seed, replicate, fold, purpose, epoch), never from a position or a trial number.

Two trials with one configuration are therefore one run, and different configurations are compared on common random
numbers: the same initial draws, the same order of the data, the same dropout uniforms.
"""

import functools

import jax
from jax import Array

from jaxbn.errors import UserError

INIT, ORDER, DROPOUT = range(3)


def key(seed: int = 0) -> Array:
    """A key of threefry, whatever JAX's default generator is: its draws are alike up to where shorter ones end.

    Padding would change the draws of others, and so would `vmap`.

    Raises:
        UserError: JAX was told that draws may change with their length.
    """
    _check_draws()
    return jax.random.key(seed, impl="threefry2x32")


def purpose(seed: int, purpose: int, *, replicate: int = 0, fold: int = 0) -> Array:
    """The key of a purpose, such as `INIT`; of those that each epoch draws for anew, to be folded with its number.

    Raises:
        UserError: as `key`.
    """
    # Also where the key is known: the setting is read again by each draw.
    _check_draws()
    return _purpose(seed, purpose, replicate, fold)


@functools.lru_cache(maxsize=1024)
def _purpose(seed: int, purpose: int, replicate: int, fold: int) -> Array:
    found = key(seed)
    for number in (replicate, fold, purpose):
        found = jax.random.fold_in(found, number)
    return found


def _check_draws() -> None:
    if not jax.config.jax_threefry_partitionable:  # type: ignore[attr-defined]
        raise UserError(
            "jax_threefry_partitionable is off, and random numbers would change with padding: leave it on, as it is by "
            "default"
        )
