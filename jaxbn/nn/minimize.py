"""Gradient descent on any cost (section 11 of the notes): write the forward computation, JAX differentiates it."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import optax
from jax import Array

from jaxbn.nn.types import PyTree


def minimize(
    cost: Callable[..., Array],
    w: PyTree,
    data: PyTree = None,
    *,
    optimizer: optax.GradientTransformation,
    num_steps: int,
) -> PyTree:
    """Minimise `cost(w, data)` from w, in one compiled loop.

    Args:
        cost: `(w, data) -> scalar`; differentiable JAX operations on pytrees.
        w: where to start; its integers become floats.
        data: fed to the cost, unchanged from step to step. Feeding other data of the same shapes compiles nothing.
        optimizer: an optax gradient transformation; the same object again compiles nothing.
        num_steps: updates to make.

    Returns:
        w after the last update. Under `jax.vmap` many starts, data sets or learning rates are minimised at once.

    Example:
        >>> def cost(w, x):
        ...     return x[0] * w**2 + x[1] * w + x[2]
        >>> gradient_descent = optax.sgd(0.01)
        >>> coefficients = jnp.array([1.0, -10.0, 25.0])
        >>> print(minimize(cost, 0.0, coefficients, optimizer=gradient_descent, num_steps=1))
        0.099999994
        >>> print(f"{minimize(cost, 0.0, coefficients, optimizer=gradient_descent, num_steps=5000):.5f}")
        4.99999
    """
    w = jax.tree.map(lambda leaf: jnp.asarray(leaf, jnp.result_type(leaf, float)), w)
    return _minimize(w, data, num_steps, cost=cost, optimizer=optimizer)


def _run(w: PyTree, data: PyTree, num_steps: Any, *, cost: Callable, optimizer: Any) -> PyTree:
    def body(_: Array, carry: tuple[PyTree, PyTree]) -> tuple[PyTree, PyTree]:
        w, state = carry
        updates, state = optimizer.update(jax.grad(cost)(w, data), state, w)
        return optax.apply_updates(w, updates), state

    return jax.lax.fori_loop(0, num_steps, body, (w, optimizer.init(w)))[0]


_minimize = jax.jit(_run, static_argnames=("cost", "optimizer"))
