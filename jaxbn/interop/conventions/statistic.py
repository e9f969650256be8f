"""Which variance of a mini-batch enters a running statistic, and what is averaged and stored in its place."""

import dataclasses
from collections.abc import Callable

import jax.numpy as jnp
from jax.typing import ArrayLike

from jaxbn.nn.types import Leaf


def biased(var: Leaf, count: ArrayLike, epsilon: float) -> Leaf:
    """Divided by the number of rows."""
    return var


def unbiased(var: Leaf, count: ArrayLike, epsilon: float) -> Leaf:
    """Divided by the number of rows less one (Bessel); of a single row 0.

    Example:
        >>> unbiased(jnp.array([1.25]), 4.0, 1e-5).round(4)
        Array([1.6667], dtype=float32)
    """
    return var * count / jnp.maximum(jnp.asarray(count) - 1, 1)


def unbiased_less_epsilon(var: Leaf, count: ArrayLike, epsilon: float) -> Leaf:
    """Divided by the number of rows less `1 + epsilon`: what Keras 2.1.4 to 2.3.1 did."""
    return var * count / (jnp.asarray(count) - (1.0 + epsilon))


Correction = Callable[[Leaf, ArrayLike, float], Leaf]
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
    of: Callable[[Leaf, float], Leaf]
    variance: Callable[[Leaf, float], Leaf]
    store: Callable[[Leaf], Leaf]
    restore: Callable[[Leaf], Leaf]
    holds_epsilon: bool


def _same(value: Leaf) -> Leaf:
    return value


def _plain(value: Leaf, epsilon: float) -> Leaf:
    return value


def _plus(value: Leaf, epsilon: float) -> Leaf:
    return value + epsilon


def _less(value: Leaf, epsilon: float) -> Leaf:
    return value - epsilon


def _inverse_std(var: Leaf, epsilon: float) -> Leaf:
    return 1 / jnp.sqrt(var + epsilon)


def _from_inverse_std(inverse: Leaf, epsilon: float) -> Leaf:
    return 1 / jnp.square(inverse) - epsilon


def _log10_std(var: Leaf) -> Leaf:
    return jnp.log10(var) / 2


def _from_log10_std(log: Leaf) -> Leaf:
    return 10 ** (2 * log)


VARIANCE = Statistic("variance", _plain, _plain, _same, _same, holds_epsilon=False)
VARIANCE_PLUS_EPSILON = Statistic("variance + eps", _plus, _less, _same, _same, holds_epsilon=True)
INVERSE_STD = Statistic("1/sqrt(var+eps)", _inverse_std, _from_inverse_std, _same, _same, holds_epsilon=True)
LOG10_STD = Statistic("log10(std)", _plain, _plain, _log10_std, _from_log10_std, holds_epsilon=False)
"""Its variance is averaged; only what is stored is a logarithm."""
