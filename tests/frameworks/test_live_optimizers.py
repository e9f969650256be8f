"""Optimizers and initial weights against the frameworks themselves, where installed."""

import importlib.util
import sys
from pathlib import Path

import jax
import numpy as np
import pytest

from jaxbn.interop.conventions import ADAM, INITIALISERS, MOMENTUM, RMSPROP, adam, draw, momentum, rmsprop

_SPEC = importlib.util.spec_from_file_location("rivals", Path(__file__).parent / "rivals.py")
assert _SPEC is not None and _SPEC.loader is not None
rivals = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(rivals)

pytestmark = pytest.mark.filterwarnings("ignore")

GRADS = (np.random.default_rng(0).normal(size=(20, 4)) * np.array([1e-5, 1e-2, 1.0, 10.0])).astype("f")


def rate(count):
    return 0.1 / (1 + count)


def moved(tx, dtype="float32"):
    w = jax.numpy.zeros(4, dtype)
    state = tx.init(w)
    for grad in GRADS:
        updates, state = tx.update(jax.numpy.asarray(grad, dtype), state, w)
        w = w + updates
    return np.asarray(w)


def by_torch(make, dtype="float32"):
    torch = pytest.importorskip("torch")
    w = torch.nn.Parameter(torch.zeros(4, dtype=getattr(torch, dtype)))
    optimizer = make(torch.optim, [w])
    for count, grad in enumerate(GRADS):
        optimizer.param_groups[0]["lr"] = rate(count)
        w.grad = torch.tensor(grad, dtype=w.dtype)
        optimizer.step()
    return w.detach().numpy()


def by_keras(make, package):
    keras = pytest.importorskip(package)
    if package == "keras":
        w = keras.Variable(np.zeros(4, "f"))
    else:
        w = pytest.importorskip("tensorflow").Variable(np.zeros(4, "f"))
    optimizer = make(keras.optimizers)
    optimizer.build([w])
    for count, grad in enumerate(GRADS):
        optimizer.learning_rate = rate(count)
        grad = keras.ops.convert_to_tensor(grad) if package == "keras" else sys.modules["tensorflow"].constant(grad)
        optimizer.apply_gradients([(grad, w)])
    return np.asarray(w)


def by_paddle(make):
    paddle = rivals.import_paddle()
    w = paddle.create_parameter([4], "float32", default_initializer=paddle.nn.initializer.Constant(0.0))
    optimizer = make(paddle.optimizer, [w])
    for count, grad in enumerate(GRADS):
        optimizer.set_lr(rate(count))
        (w * paddle.to_tensor(grad)).sum().backward()
        optimizer.step()
        optimizer.clear_grad()
    return w.numpy()


def by_mxnet(kind):
    rates = [rate(count) for count in range(len(GRADS))]
    return rivals.ask_mxnet("optimizer", kind=kind, grads=GRADS, rates=rates)["w"]


def sgd(name, nesterov=False):
    return lambda: momentum(MOMENTUM[name], rate, mu=0.9, nesterov=nesterov)


def nesterov(name):
    return sgd(name, nesterov=True)


CASES = {
    "torch adam": (lambda: adam(ADAM["torch"], rate), lambda: by_torch(lambda o, w: o.Adam(w))),
    "torch momentum": (sgd("torch"), lambda: by_torch(lambda o, w: o.SGD(w, 1.0, 0.9))),
    "torch nesterov": (nesterov("torch"), lambda: by_torch(lambda o, w: o.SGD(w, 1.0, 0.9, nesterov=True))),
    "torch rmsprop": (
        lambda: rmsprop(RMSPROP["torch"], rate, decay=0.99),
        lambda: by_torch(lambda o, w: o.RMSprop(w)),
    ),
    "keras3 adam": (lambda: adam(ADAM["keras3"], rate), lambda: by_keras(lambda o: o.Adam(), "keras")),
    "keras3 momentum": (sgd("keras3"), lambda: by_keras(lambda o: o.SGD(momentum=0.9), "keras")),
    "keras3 nesterov": (nesterov("keras3"), lambda: by_keras(lambda o: o.SGD(momentum=0.9, nesterov=True), "keras")),
    "keras3 rmsprop": (
        lambda: rmsprop(RMSPROP["keras3"], rate, decay=0.9),
        lambda: by_keras(lambda o: o.RMSprop(), "keras"),
    ),
    "tf_keras adam": (lambda: adam(ADAM["tf_keras"], rate), lambda: by_keras(lambda o: o.Adam(), "tf_keras")),
    "paddle adam": (
        lambda: adam(ADAM["paddlepaddle"], rate),
        lambda: by_paddle(lambda o, w: o.Adam(0.1, parameters=w)),
    ),
    "paddle momentum": (sgd("paddlepaddle"), lambda: by_paddle(lambda o, w: o.Momentum(0.1, 0.9, parameters=w))),
    "paddle nesterov": (
        nesterov("paddlepaddle"),
        lambda: by_paddle(lambda o, w: o.Momentum(0.1, 0.9, parameters=w, use_nesterov=True)),
    ),
    "mxnet adam": (lambda: adam(ADAM["mxnet"], rate), lambda: by_mxnet("adam")),
    "mxnet momentum": (sgd("mxnet"), lambda: by_mxnet("momentum")),
}


ROUNDED = {"keras3 adam", "tf_keras adam", "paddle adam", "mxnet adam"}


@pytest.mark.parametrize("name", CASES)
def test_twenty_steps_with_a_falling_rate(name, seen):
    """To 1e-5, but Adam only beside PyTorch, which computes 1 - beta^t in float64.

    In float32 the difference cancels: 1 - 0.999 is 1.3e-5 off, of which the step at t = 1 sees half. jaxbn's Adam here
    did that too and was 2.4e-5 from PyTorch's after 20 steps; now it is some 1e-6 away. It was no convention: in
    float64 both agreed to rounding, then as now (the test below). Keras takes beta to the power t in float32 and
    PaddlePaddle keeps it in a float32 array, so they are 1e-5 away; so is MXNet, which computes 1 - beta^t in float64
    but averages in a float32 kernel that was not read.
    """
    mine, theirs = CASES[name]
    with jax.numpy_rank_promotion("allow"):
        expected = theirs()
    difference = np.abs(moved(mine()) / expected - 1).max()
    seen(name, "", float32=difference)
    assert difference < (1e-4 if name in ROUNDED else 1e-5)


WIDE = {
    "torch adam": lambda o, w: o.Adam(w),
    "torch momentum": lambda o, w: o.SGD(w, 1.0, 0.9),
    "torch nesterov": lambda o, w: o.SGD(w, 1.0, 0.9, nesterov=True),
    "torch rmsprop": lambda o, w: o.RMSprop(w),
}


@pytest.mark.parametrize("name", WIDE)
def test_in_float64_what_is_left_is_rounding(name, seen):
    expected = by_torch(WIDE[name], "float64")
    with jax.numpy_rank_promotion("allow"), jax.enable_x64(True):
        difference = np.abs(moved(CASES[name][0](), "float64") / expected - 1).max()
    seen(name, "", float64=difference)
    assert difference < 1e-11


def keras_layer():
    keras = pytest.importorskip("keras")
    layer = keras.layers.Dense(100)
    layer.build((None, 400))
    return np.asarray(layer.kernel), np.asarray(layer.bias)


def torch_layer():
    layer = pytest.importorskip("torch").nn.Linear(400, 100)
    return layer.weight.detach().numpy(), layer.bias.detach().numpy()


def flax_layer():
    import flax.linen as nn

    params = nn.Dense(100).init(jax.random.key(0), np.ones((1, 400)))["params"]
    return params["kernel"], params["bias"]


def haiku_layer():
    hk = pytest.importorskip("haiku")
    params = hk.transform(lambda x: hk.Linear(100)(x)).init(jax.random.key(0), np.ones((1, 400)))["linear"]
    return params["w"], params["b"]


def equinox_layer():
    layer = pytest.importorskip("equinox").nn.Linear(400, 100, key=jax.random.key(0))
    return layer.weight, layer.bias


def paddle_layer():
    layer = rivals.import_paddle().nn.Linear(400, 100)
    return layer.weight.numpy(), layer.bias.numpy()


def gluon_layer():
    found = rivals.ask_mxnet("dense_layer")
    return found["weight"], found["bias"]


LAYERS = {
    "keras3": keras_layer,
    "torch": torch_layer,
    "flax": flax_layer,
    "haiku": haiku_layer,
    "equinox": equinox_layer,
    "paddlepaddle": paddle_layer,
    "gluon": gluon_layer,
}


@pytest.mark.parametrize("name", LAYERS)
def test_initial_weights_spread_alike(name):
    with jax.numpy_rank_promotion("allow"):
        theirs = LAYERS[name]()
    for mine, other in zip(draw(jax.random.key(1), INITIALISERS[name], 400, 100), theirs, strict=True):
        # 40,000 weights, or 100 biases.
        mine, other, rel = np.asarray(mine), np.asarray(other), 0.02 if mine.ndim == 2 else 0.2
        assert np.std(mine) == pytest.approx(np.std(other), rel=rel, abs=1e-12)
        assert np.abs(mine).max() == pytest.approx(np.abs(other).max(), rel=0.1, abs=1e-12)


def test_the_tables_say_what_is_checked_live():
    live = {name for name, row in INITIALISERS.items() if row.checked.startswith("live")}
    assert live == set(LAYERS)
    for table, kind in ((ADAM, "adam"), (MOMENTUM, "momentum"), (RMSPROP, "rmsprop")):
        # optax is always there: tests/interop compares with it.
        checked = {name.replace("paddlepaddle", "paddle") for name, row in table.items() if row.checked[:4] == "live"}
        assert checked == {case.split()[0] for case in CASES if case.endswith(kind)} | {"optax"}
