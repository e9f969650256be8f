"""Flax linen and optax."""

import jax
import numpy as np
import optax
from flax import linen as nn


class Net(nn.Module):
    @nn.compact
    def __call__(self, x, training):
        for _ in range(2):
            x = nn.Dense(64, use_bias=False)(x)
            x = nn.BatchNorm(not training, momentum=0.9, epsilon=1e-5)(x)
            x = nn.relu(x)
        return nn.Dense(10)(x)


net, optimizer = Net(), optax.adam(0.01)


@jax.jit
def step(params, stats, opt_state, x, y):
    def loss(params):
        variables = {"params": params, "batch_stats": stats}
        logits, updated = net.apply(variables, x, True, mutable=["batch_stats"])
        return optax.softmax_cross_entropy_with_integer_labels(logits, y).mean(), updated["batch_stats"]

    grads, stats = jax.grad(loss, has_aux=True)(params)
    updates, opt_state = optimizer.update(grads, opt_state)
    return optax.apply_updates(params, updates), stats, opt_state


def train(x, y, num_epochs, seed):
    rng = np.random.default_rng(seed)
    variables = net.init(jax.random.key(seed), x[:1], False)
    params, stats = variables["params"], variables["batch_stats"]
    opt_state = optimizer.init(params)
    for _ in range(num_epochs):
        order = rng.permutation(len(x))
        for i in range(0, len(x), 64):
            rows = order[i : i + 64]
            params, stats, opt_state = step(params, stats, opt_state, x[rows], y[rows])
    variables = {"params": params, "batch_stats": stats}
    return lambda x: net.apply(variables, x, False).argmax(1)  # pyright: ignore[reportAttributeAccessIssue]
