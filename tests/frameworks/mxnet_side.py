"""MXNet's side of the tests, in an environment of its own: MXNet 1.9.1 needs a NumPy older than jaxbn's.

    python mxnet_side.py IN.npz OUT.npz

IN.npz holds `job`, the name of a function here, and its arguments; OUT.npz gets what it returns. Nothing of jaxbn is
imported.
"""

import sys

import mxnet as mx
import numpy as np
from mxnet import autograd, gluon, nd

WIDTHS, NUM_INPUTS, NUM_OUTPUTS = (6, 5), 4, 3


def gluon_network(arrays):
    net, size = gluon.nn.Sequential(), NUM_INPUTS
    for width in WIDTHS:
        net.add(gluon.nn.Dense(width, use_bias=False, in_units=size))
        net.add(gluon.nn.BatchNorm(in_channels=width), gluon.nn.Activation("relu"))
        size = width
    net.add(gluon.nn.Dense(NUM_OUTPUTS, in_units=size))
    net.initialize()
    held = net._collect_params_with_prefix()
    assert list(held) == list(arrays)
    for name, array in arrays.items():
        held[name].set_data(nd.array(array))
    return net


def gluon_train(arrays, x, y, rate):
    net = gluon_network(arrays)
    cross_entropy = gluon.loss.SoftmaxCrossEntropyLoss()
    trainer = gluon.Trainer(net.collect_params(), "sgd", {"learning_rate": float(rate)})
    for rows, labels in zip(x, y, strict=True):
        with autograd.record():
            loss = cross_entropy(net(nd.array(rows)), nd.array(labels))
        loss.backward()
        trainer.step(len(rows))
    return {name: held.data().asnumpy() for name, held in net._collect_params_with_prefix().items()}


def gluon_predict(arrays, x):
    return {"outputs": gluon_network(arrays)(nd.array(x)).asnumpy()}


def symbol_network(arrays, num_rows):
    """The network by MXNet's own names, with SoftmaxOutput at its end, and the layer before that."""
    with mx.name.NameManager():
        x = mx.sym.Variable("data")
        for width in WIDTHS:
            x = mx.sym.FullyConnected(x, num_hidden=width, no_bias=True)
            x = mx.sym.Activation(mx.sym.BatchNorm(x), act_type="relu")
        logits = mx.sym.FullyConnected(x, num_hidden=NUM_OUTPUTS)
        # The gradient of the mean over the mini-batch.
        loss = mx.sym.SoftmaxOutput(logits, normalization="batch", name="softmax")
    bound = mx.sym.Group([loss, mx.sym.BlockGrad(logits)]).simple_bind(
        mx.cpu(), data=(num_rows, NUM_INPUTS), softmax_label=(num_rows,)
    )
    given = {"arg:" + name: array for name, array in bound.arg_dict.items() if name not in ("data", "softmax_label")}
    given |= {"aux:" + name: array for name, array in bound.aux_dict.items()}
    assert sorted(given) == sorted(arrays)
    for name, array in arrays.items():
        given[name][:] = array
    return bound, given


def symbol_train(arrays, x, y, rate):
    bound, given = symbol_network(arrays, x.shape[1])
    for rows, labels in zip(x, y, strict=True):
        bound.forward(is_train=True, data=nd.array(rows), softmax_label=nd.array(labels))
        bound.backward()
        for name, gradient in bound.grad_dict.items():
            if name not in ("data", "softmax_label"):
                bound.arg_dict[name][:] -= float(rate) * gradient
    return {name: array.asnumpy() for name, array in given.items()}


def symbol_predict(arrays, x):
    bound, _ = symbol_network(arrays, len(x))
    return {"outputs": bound.forward(is_train=False, data=nd.array(x))[1].asnumpy()}


def forward_without_backward():
    """The running mean after a forward pass in training, and after the backward pass that follows it."""
    norm = gluon.nn.BatchNorm(in_channels=1)
    norm.initialize()
    with autograd.record():
        outputs = norm(nd.array([[1.0], [2.0], [3.0], [4.0]]))
    before = norm.running_mean.data().asnumpy()
    outputs.backward()
    return {"before": before, "after": norm.running_mean.data().asnumpy()}


def optimizer(kind, grads, rates):
    """Where gradients lead a weight from zero, float32."""
    tx = mx.optimizer.Adam() if str(kind) == "adam" else mx.optimizer.SGD(momentum=0.9)
    w = nd.zeros(grads.shape[1])
    state = tx.create_state(0, w)
    for grad, rate in zip(grads, rates, strict=True):
        tx.set_learning_rate(float(rate))
        tx.update(0, w, nd.array(grad), state)
    return {"w": w.asnumpy()}


def dense_layer():
    layer = gluon.nn.Dense(100, in_units=400)
    layer.initialize()
    return {"weight": layer.weight.data().asnumpy(), "bias": layer.bias.data().asnumpy()}


JOBS = (
    gluon_train,
    gluon_predict,
    symbol_train,
    symbol_predict,
    forward_without_backward,
    optimizer,
    dense_layer,
)


def main(source, target):
    given = dict(np.load(source))
    job = {job.__name__: job for job in JOBS}[str(given.pop("job"))]
    arrays = {name[len("arrays/") :]: given.pop(name) for name in list(given) if name.startswith("arrays/")}
    found = job(arrays, **given) if arrays else job(**given)
    np.savez(target, version=mx.__version__, **found)


if __name__ == "__main__":
    main(*sys.argv[1:])
