"""Flax nnx and optax."""

import numpy as np
import optax
from flax import nnx


class Net(nnx.Module):
    def __init__(self, rngs):
        self.dense = nnx.List(nnx.Linear(64, 64, use_bias=False, rngs=rngs) for _ in range(2))
        self.norm = nnx.List(nnx.BatchNorm(64, momentum=0.9, epsilon=1e-5, rngs=rngs) for _ in range(2))
        self.output = nnx.Linear(64, 10, rngs=rngs)

    def __call__(self, x):
        for dense, norm in zip(self.dense, self.norm, strict=True):
            x = nnx.relu(norm(dense(x)))
        return self.output(x)


adam = optax.adam(0.01)


@nnx.jit
def step(net, optimizer, x, y):
    def loss(net):
        return optax.softmax_cross_entropy_with_integer_labels(net(x), y).mean()

    optimizer.update(net, nnx.grad(loss)(net))


def train(x, y, num_epochs, seed):
    rng = np.random.default_rng(seed)
    net = Net(nnx.Rngs(seed))
    optimizer = nnx.Optimizer(net, adam, wrt=nnx.Param)
    for _ in range(num_epochs):
        order = rng.permutation(len(x))
        for i in range(0, len(x), 64):
            rows = order[i : i + 64]
            step(net, optimizer, x[rows], y[rows])
    net.eval()
    return lambda x: net(x).argmax(1)
