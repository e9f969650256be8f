"""Where randomness comes from: (seed, replicate, fold, purpose, epoch), never from a position or a trial number.

Two trials with one configuration are therefore one run, and different configurations are compared on common random
numbers: the same initial draws, the same order of the data, the same dropout uniforms.
"""

import functools

import jax
from jax import Array

INIT, ORDER, DROPOUT = range(3)


@functools.lru_cache(maxsize=1024)
def purpose(seed: int, purpose: int, *, replicate: int = 0, fold: int = 0) -> Array:
    """The key of a purpose, such as `INIT`; of those that each epoch draws for anew, to be folded with its number."""
    key = jax.random.key(seed)
    for number in (replicate, fold, purpose):
        key = jax.random.fold_in(key, number)
    return key
