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
    """The key of a purpose, such as `INIT`."""
    key = jax.random.key(seed)
    for number in (replicate, fold, purpose):
        key = jax.random.fold_in(key, number)
    return key


@functools.lru_cache(maxsize=65536)
def for_epoch(seed: int, purpose_: int, epoch: int, *, replicate: int = 0, fold: int = 0) -> Array:
    """The key of a purpose in an epoch, from 0."""
    return jax.random.fold_in(purpose(seed, purpose_, replicate=replicate, fold=fold), epoch)
