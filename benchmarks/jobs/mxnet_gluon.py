"""MXNet, Gluon, hybridised. It runs in an environment of its own."""

import mxnet as mx  # pyright: ignore[reportMissingImports]
import numpy as np
from mxnet import autograd, gluon, nd  # pyright: ignore[reportMissingImports]


def train(x, y, num_epochs, seed):
    mx.random.seed(seed)
    rng = np.random.default_rng(seed)
    net = gluon.nn.HybridSequential()
    net.add(
        gluon.nn.Dense(64, use_bias=False),
        gluon.nn.BatchNorm(),
        gluon.nn.Activation("relu"),
        gluon.nn.Dense(64, use_bias=False),
        gluon.nn.BatchNorm(),
        gluon.nn.Activation("relu"),
        gluon.nn.Dense(10),
    )
    net.initialize(mx.init.Xavier())
    net.hybridize()
    cross_entropy = gluon.loss.SoftmaxCrossEntropyLoss()
    trainer = gluon.Trainer(net.collect_params(), "adam", {"learning_rate": 0.01})
    for _ in range(num_epochs):
        order = rng.permutation(len(x))
        for i in range(0, len(x), 64):
            rows = order[i : i + 64]
            with autograd.record():
                loss = cross_entropy(net(nd.array(x[rows])), nd.array(y[rows]))
            loss.backward()
            trainer.step(len(rows))
    return lambda x: net(nd.array(x)).asnumpy().argmax(1)
