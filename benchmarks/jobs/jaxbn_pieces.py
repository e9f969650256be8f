"""jaxbn, one network from the pieces of `jaxbn.nn`."""

import functools

import jax
import numpy as np

from jaxbn import Batch, Hyperparams, Spec, mlp
from jaxbn import train as training

hyperparams = Hyperparams(learning_rate=0.01)
spec = Spec(widths=(64, 64), batch_size=64, optimizers=("adam",))
net = mlp(spec, num_inputs=64, num_outputs=10)
step = jax.jit(functools.partial(training.step, model=net, spec=spec))


def train(x, y, num_epochs, seed):
    rng = np.random.default_rng(seed)
    state = training.init(jax.random.key(seed), hyperparams, model=net, spec=spec)
    for _ in range(num_epochs):
        order = rng.permutation(len(x))
        for i in range(0, len(x), 64):
            rows = order[i : i + 64]
            state, _ = step(state, Batch(x=x[rows], y=y[rows]), hyperparams)
    return lambda x: net.apply(state.variables, x, hyperparams, training=False)[0].argmax(1)
