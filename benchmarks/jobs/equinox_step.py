"""Equinox and optax. Its default mode normalises by the running statistics in training too, so mode="batch"."""

import equinox as eqx  # pyright: ignore[reportMissingImports]
import jax
import numpy as np
import optax

optimizer = optax.adam(0.01)


def network(key):
    keys = jax.random.split(key, 3)
    layers = []
    for i in range(2):
        layers.append(eqx.nn.Linear(64, 64, use_bias=False, key=keys[i]))
        layers.append(eqx.nn.BatchNorm(64, "batch", momentum=0.9, mode="batch"))
        layers.append(eqx.nn.Lambda(jax.nn.relu))
    return eqx.nn.Sequential([*layers, eqx.nn.Linear(64, 10, key=keys[2])])


def run(net, state, x):
    return jax.vmap(net, axis_name="batch", in_axes=(0, None), out_axes=(0, None))(x, state)


@eqx.filter_jit
def step(net, state, opt_state, x, y):
    def loss(net):
        logits, updated = run(net, state, x)
        return optax.softmax_cross_entropy_with_integer_labels(logits, y).mean(), updated

    grads, state = eqx.filter_grad(loss, has_aux=True)(net)
    updates, opt_state = optimizer.update(grads, opt_state)
    return eqx.apply_updates(net, updates), state, opt_state


def train(x, y, num_epochs, seed):
    rng = np.random.default_rng(seed)
    net, state = eqx.nn.make_with_state(network)(jax.random.key(seed))
    opt_state = optimizer.init(eqx.filter(net, eqx.is_inexact_array))
    for _ in range(num_epochs):
        order = rng.permutation(len(x))
        for i in range(0, len(x), 64):
            rows = order[i : i + 64]
            net, state, opt_state = step(net, state, opt_state, x[rows], y[rows])
    net = eqx.nn.inference_mode(net)
    return lambda x: run(net, state, x)[0].argmax(1)
