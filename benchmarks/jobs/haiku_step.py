"""Haiku and optax."""

import haiku as hk  # pyright: ignore[reportMissingImports]
import jax
import numpy as np
import optax


@hk.transform_with_state
def net(x, training):
    for _ in range(2):
        x = hk.Linear(64, with_bias=False)(x)
        x = hk.BatchNorm(True, True, decay_rate=0.9)(x, training)
        x = jax.nn.relu(x)
    return hk.Linear(10)(x)


optimizer = optax.adam(0.01)


@jax.jit
def step(params, stats, opt_state, x, y):
    def loss(params):
        logits, updated = net.apply(params, stats, None, x, True)  # pyright: ignore[reportAttributeAccessIssue, reportFunctionMemberAccess]
        return optax.softmax_cross_entropy_with_integer_labels(logits, y).mean(), updated

    grads, stats = jax.grad(loss, has_aux=True)(params)
    updates, opt_state = optimizer.update(grads, opt_state)
    return optax.apply_updates(params, updates), stats, opt_state


def train(x, y, num_epochs, seed):
    rng = np.random.default_rng(seed)
    params, stats = net.init(jax.random.key(seed), x, True)  # pyright: ignore[reportAttributeAccessIssue, reportFunctionMemberAccess]
    opt_state = optimizer.init(params)
    for _ in range(num_epochs):
        order = rng.permutation(len(x))
        for i in range(0, len(x), 64):
            rows = order[i : i + 64]
            params, stats, opt_state = step(params, stats, opt_state, x[rows], y[rows])
    return lambda x: net.apply(params, stats, None, x, False)[0].argmax(1)  # pyright: ignore[reportAttributeAccessIssue, reportFunctionMemberAccess]
