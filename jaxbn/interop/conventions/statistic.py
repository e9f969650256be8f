"""Which variance of a mini-batch enters a running statistic, and what is averaged and stored in its place."""

import dataclasses
from collections.abc import Callable

import jax.numpy as jnp
from jax import Array
from jax.typing import ArrayLike


def biased(var: Array, count: ArrayLike, epsilon: float) -> Array:
    """Divided by the number of rows."""
    return var


def unbiased(var: Array, count: ArrayLike, epsilon: float) -> Array:
    """Divided by the number of rows less one (Bessel); of a single row 0.

    Example:
        >>> unbiased(jnp.array([1.25]), 4.0, 1e-5).round(4)
        Array([1.6667], dtype=float32)
    """
    return var * count / jnp.maximum(jnp.asarray(count) - 1, 1)


def unbiased_less_epsilon(var: Array, count: ArrayLike, epsilon: float) -> Array:
    """Divided by the number of rows less `1 + epsilon`: what Keras 2.1.4 to 2.3.1 did."""
    return var * count / (jnp.asarray(count) - (1.0 + epsilon))


Correction = Callable[[Array, ArrayLike, float], Array]
"""`(biased variance [F], rows, epsilon) -> variance [F]`."""


@dataclasses.dataclass(frozen=True)
class Statistic:
    """What stands for the variance in a running average, and the form it is stored in.

    Attributes:
        name: of what is stored.
        of: `(variance, epsilon) -> averaged`.
        variance: `(averaged, epsilon) -> variance`, the inverse.
        store: from what is averaged to what is stored.
        restore: the inverse.
        holds_epsilon: whether epsilon is part of it. Such a statistic can stand for a variance below zero.
    """

    name: str
    of: Callable[[Array, float], Array]
    variance: Callable[[Array, float], Array]
    store: Callable[[Array], Array]
    restore: Callable[[Array], Array]
    holds_epsilon: bool


def _same(value: Array) -> Array:
    return value


def _plain(value: Array, epsilon: float) -> Array:
    return value


def _plus(value: Array, epsilon: float) -> Array:
    return value + epsilon


def _less(value: Array, epsilon: float) -> Array:
    return value - epsilon


def _inverse_std(var: Array, epsilon: float) -> Array:
    return 1 / jnp.sqrt(var + epsilon)


def _from_inverse_std(inverse: Array, epsilon: float) -> Array:
    return 1 / jnp.square(inverse) - epsilon


def _log10_std(var: Array) -> Array:
    return jnp.log10(var) / 2


def _from_log10_std(log: Array) -> Array:
    return 10 ** (2 * log)


VARIANCE = Statistic("variance", _plain, _plain, _same, _same, holds_epsilon=False)
VARIANCE_PLUS_EPSILON = Statistic("variance + eps", _plus, _less, _same, _same, holds_epsilon=True)
INVERSE_STD = Statistic("1/sqrt(var + eps)", _inverse_std, _from_inverse_std, _same, _same, holds_epsilon=True)
LOG10_STD = Statistic("log10(std)", _plain, _plain, _log10_std, _from_log10_std, holds_epsilon=False)
"""Its variance is averaged; only what is stored is a logarithm."""
