"""Each framework's own network: built, given arrays by name, trained and asked, by its own means.

An adapter is `(train, predict, version)`: `train(arrays, x, y, rate) -> arrays` makes a step of gradient descent on
the mean cross-entropy for each of the mini-batches x [S, B, F], y [S, B]; `predict(arrays, x) -> outputs`.
"""

import importlib.metadata
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

WIDTHS, NUM_INPUTS, NUM_OUTPUTS = (6, 5), 4, 3

# MXNet needs a NumPy older than jaxbn's: `make test-mxnet` makes an environment for it.
MXNET_PYTHON = Path(__file__).parents[2] / ".venv-mxnet/bin/python"

Arrays = dict[str, np.ndarray]


class Adapter(NamedTuple):
    train: Callable[[Arrays, np.ndarray, np.ndarray, float], Arrays]
    predict: Callable[[Arrays, np.ndarray], np.ndarray]
    version: str


def version(package: str) -> str:
    return f"{package} {importlib.metadata.version(package)}"


def cross_entropy(outputs, labels):
    return -jnp.take_along_axis(jax.nn.log_softmax(outputs), labels[:, None], 1).mean()


def descend(forward, params, state, x, y, rate):
    """Plain gradient descent for the frameworks on JAX: `forward(params, state, x) -> (outputs, state)`."""

    @jax.jit
    def step(params, state, x, y):
        def loss(params):
            outputs, after = forward(params, state, x)
            return cross_entropy(outputs, y), after

        grads, after = jax.grad(loss, has_aux=True)(params)
        return jax.tree.map(lambda p, g: p - rate * g, params, grads), after

    for rows, labels in zip(x, y, strict=True):
        params, state = step(params, state, rows, labels)
    return params, state


def torch(momentum) -> Adapter:
    torch = pytest.importorskip("torch")
    nn = torch.nn

    def network(arrays):
        layers, size = [], NUM_INPUTS
        for width in WIDTHS:
            layers += [nn.Linear(size, width, bias=False), nn.BatchNorm1d(width, momentum=momentum), nn.ReLU()]
            size = width
        net = nn.Sequential(*layers, nn.Linear(size, NUM_OUTPUTS))
        assert list(net.state_dict()) == list(arrays)
        net.load_state_dict({name: torch.tensor(array) for name, array in arrays.items()})
        return net

    def train(arrays, x, y, rate):
        net = network(arrays).train()
        optimizer = torch.optim.SGD(net.parameters(), lr=rate)
        for rows, labels in zip(x, y, strict=True):
            optimizer.zero_grad()
            nn.functional.cross_entropy(net(torch.tensor(rows)), torch.tensor(labels)).backward()
            optimizer.step()
        return {name: tensor.numpy() for name, tensor in net.state_dict().items()}

    def predict(arrays, x):
        with torch.no_grad():
            return network(arrays).eval()(torch.tensor(x)).numpy()

    return Adapter(train, predict, version("torch"))


def flax() -> Adapter:
    import flax.linen as nn
    from flax.traverse_util import flatten_dict, unflatten_dict

    class Network(nn.Module):
        @nn.compact
        def __call__(self, x, training):
            for width in WIDTHS:
                x = nn.Dense(width, use_bias=False)(x)
                x = nn.relu(nn.BatchNorm(use_running_average=not training)(x))
            return nn.Dense(NUM_OUTPUTS)(x)

    def train(arrays, x, y, rate):
        tree = unflatten_dict(arrays, sep="/")

        def forward(params, state, x):
            outputs, after = Network().apply({"params": params, "batch_stats": state}, x, True, mutable=["batch_stats"])
            return outputs, after["batch_stats"]

        params, state = descend(forward, tree["params"], tree["batch_stats"], x, y, rate)
        return flatten_dict({"params": params, "batch_stats": state}, sep="/")

    def predict(arrays, x):
        return Network().apply(unflatten_dict(arrays, sep="/"), x, False)

    return Adapter(train, predict, version("flax"))


def flax_nnx() -> Adapter:
    """The modules that hold their arrays themselves. They have no names of their own, so linen's are used."""
    from flax import nnx

    class Network(nnx.Module):
        def __init__(self, arrays):
            sizes, rngs = (NUM_INPUTS, *WIDTHS), nnx.Rngs(0)
            self.dense = nnx.List(
                nnx.Linear(*shape, use_bias=False, rngs=rngs) for shape in zip(sizes[:-1], WIDTHS, strict=True)
            )
            self.norm = nnx.List(nnx.BatchNorm(width, rngs=rngs) for width in WIDTHS)
            self.output = nnx.Linear(WIDTHS[-1], NUM_OUTPUTS, rngs=rngs)
            for name, array in arrays.items():
                self.held(name)[...] = jnp.asarray(array)

        def held(self, name):
            _, layer, leaf = name.split("/")
            kind, index = layer.split("_")
            layers = {"Dense": [*self.dense, self.output], "BatchNorm": self.norm}[kind]
            return getattr(layers[int(index)], leaf)

        def __call__(self, x):
            for dense, norm in zip(self.dense, self.norm, strict=True):
                x = nnx.relu(norm(dense(x)))
            return self.output(x)

    @nnx.jit
    def step(net, x, y, rate):
        grads = nnx.grad(lambda net: cross_entropy(net(x), y))(net)
        params = nnx.state(net, nnx.Param)
        nnx.update(net, jax.tree.map(lambda p, g: p - rate * g, params, grads))

    def train(arrays, x, y, rate):
        net = Network(arrays)
        net.train()
        for rows, labels in zip(x, y, strict=True):
            step(net, rows, labels, rate)
        return {name: np.asarray(net.held(name)[...]) for name in arrays}

    def predict(arrays, x):
        net = Network(arrays)
        net.eval()
        return net(x)

    return Adapter(train, predict, version("flax"))


def haiku() -> Adapter:
    hk = pytest.importorskip("haiku")

    @hk.transform_with_state
    def network(x, training):
        for width in WIDTHS:
            x = hk.Linear(width, with_bias=False)(x)
            x = jax.nn.relu(hk.BatchNorm(True, True, 0.9)(x, training))
        return hk.Linear(NUM_OUTPUTS)(x)

    def split(arrays):
        trees = {}, {}
        for name, array in arrays.items():
            module, leaf = name.rsplit("/", 1)
            trees["/~/" in module].setdefault(module, {})[leaf] = jnp.asarray(array)
        return trees

    def train(arrays, x, y, rate):
        forward = lambda params, state, x: network.apply(params, state, None, x, True)  # noqa: E731
        trees = descend(forward, *split(arrays), x, y, rate)
        return {
            f"{module}/{leaf}": a for tree in trees for module, leaves in tree.items() for leaf, a in leaves.items()
        }

    def predict(arrays, x):
        return network.apply(*split(arrays), None, x, False)[0]

    return Adapter(train, predict, version("dm-haiku"))


def equinox(mode) -> Adapter:
    eqx = pytest.importorskip("equinox")
    leaves = ("ema_first_time_index", "ema_state_index") if mode == "ema" else ("batch_counter", "batch_state_index")

    def network(arrays):
        layers, size = [], NUM_INPUTS
        for width in WIDTHS:
            layers.append(eqx.nn.Linear(size, width, use_bias=False, key=jax.random.key(0)))
            layers += [eqx.nn.BatchNorm(width, "batch", mode=mode), eqx.nn.Lambda(jax.nn.relu)]
            size = width
        layers.append(eqx.nn.Linear(size, NUM_OUTPUTS, key=jax.random.key(0)))
        net = eqx.nn.Sequential(layers)
        state = eqx.nn.State(net)
        for name, array in arrays.items():
            layer, leaf = name.removeprefix("layers[").split("].", 1)
            if leaf in ("weight", "bias"):
                net = eqx.tree_at(
                    lambda net, i=int(layer), leaf=leaf: getattr(net.layers[i], leaf), net, jnp.asarray(array)
                )
        for i in range(len(WIDTHS)):
            norm, at = net.layers[3 * i + 1], f"layers[{3 * i + 1}]."
            state = state.set(getattr(norm, leaves[0]), jnp.array(arrays[at + leaves[0]].item()))
            pair = tuple(jnp.asarray(arrays[f"{at}{leaves[1]}[{k}]"]) for k in range(2))
            state = state.set(getattr(norm, leaves[1]), pair)
        return net, state

    def run(net, state, x):
        return jax.vmap(net, axis_name="batch", in_axes=(0, None), out_axes=(0, None))(x, state)

    def train(arrays, x, y, rate):
        net, state = network(arrays)
        params, static = eqx.partition(net, eqx.is_inexact_array)
        forward = lambda params, state, x: run(eqx.combine(params, static), state, x)  # noqa: E731
        params, state = descend(forward, params, state, x, y, rate)
        net, after = eqx.combine(params, static), {}
        for name in arrays:
            layer, leaf = name.removeprefix("layers[").split("].", 1)
            found = getattr(net.layers[int(layer)], leaf.partition("[")[0])
            if leaf.startswith(leaves):
                found = state.get(found)
            after[name] = found[int(leaf[-2])] if leaf.endswith("]") else found
        return after

    def predict(arrays, x):
        net, state = network(arrays)
        return run(eqx.nn.inference_mode(net), state, x)[0]

    return Adapter(train, predict, version("equinox"))


def keras(package: str, *, fused: bool = False) -> Adapter:
    keras: Any = pytest.importorskip(package)

    def network(arrays):
        keras.backend.clear_session()
        layers: list[Any] = [keras.layers.Input((NUM_INPUTS,))]
        for width in WIDTHS:
            norm = keras.layers.BatchNormalization()
            if fused:
                flat = keras.layers.Reshape((width,))
                norms = [keras.layers.Reshape((1, 1, width)), norm, flat]
            else:
                norms = [norm]
            layers += [keras.layers.Dense(width, use_bias=False), *norms, keras.layers.ReLU()]
        net = keras.Sequential([*layers, keras.layers.Dense(NUM_OUTPUTS)])
        # Keras 3 puts the name of the whole network in front, tf_keras a device's number behind.
        names = [getattr(w, "path", w.name).removeprefix(f"{net.name}/").removesuffix(":0") for w in net.weights]
        assert names == list(arrays)
        net.set_weights(list(arrays.values()))
        if fused:
            assert all(layer.fused for layer in net.layers if isinstance(layer, keras.layers.BatchNormalization))
        return net

    def train(arrays, x, y, rate):
        net = network(arrays)
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        net.compile(keras.optimizers.SGD(rate), loss)
        for rows, labels in zip(x, y, strict=True):
            net.train_on_batch(rows, labels)
        return dict(zip(arrays, net.get_weights(), strict=True))

    def predict(arrays, x):
        return np.asarray(network(arrays)(x, training=False))

    return Adapter(train, predict, version("keras" if package == "keras" else "tf_keras"))


def import_paddle() -> Any:
    if "tensorflow" in sys.modules:
        pytest.skip("PaddlePaddle and TensorFlow crash in one process: make test-frameworks runs it in its own")
    return pytest.importorskip("paddle")


def paddle() -> Adapter:
    paddle = import_paddle()
    nn = paddle.nn

    def network(arrays):
        layers, size = [], NUM_INPUTS
        for width in WIDTHS:
            layers += [nn.Linear(size, width, bias_attr=False), nn.BatchNorm1D(width), nn.ReLU()]
            size = width
        net = nn.Sequential(*layers, nn.Linear(size, NUM_OUTPUTS))
        assert list(net.state_dict()) == list(arrays)
        net.set_state_dict({name: paddle.to_tensor(array) for name, array in arrays.items()})
        return net

    def train(arrays, x, y, rate):
        net = network(arrays)
        net.train()
        optimizer = paddle.optimizer.SGD(rate, net.parameters())
        for rows, labels in zip(x, y, strict=True):
            nn.functional.cross_entropy(net(paddle.to_tensor(rows)), paddle.to_tensor(labels)).backward()
            optimizer.step()
            optimizer.clear_grad()
        return {name: tensor.numpy() for name, tensor in net.state_dict().items()}

    def predict(arrays, x):
        net = network(arrays)
        net.eval()
        return net(paddle.to_tensor(x)).numpy()

    return Adapter(train, predict, version("paddlepaddle"))


def ask_mxnet(job: str, **given) -> Arrays:
    """What a function of `mxnet_side.py` returns, and `version`."""
    if not MXNET_PYTHON.exists():
        pytest.skip("there is no .venv-mxnet: make test-mxnet")
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder) / "in.npz", Path(folder) / "out.npz"
        np.savez(source, job=job, **given)
        script = Path(__file__).with_name("mxnet_side.py")
        done = subprocess.run([MXNET_PYTHON, script, source, target], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return dict(np.load(target))


def mxnet(interface: str) -> Adapter:
    def ask(job, arrays, **given):
        named = {f"arrays/{name}": np.asarray(array) for name, array in arrays.items()}
        answer = ask_mxnet(f"{interface}_{job}", **named, **given)
        answer.pop("version")
        return answer

    def train(arrays, x, y, rate):
        return ask("train", arrays, x=x, y=y, rate=rate)

    def predict(arrays, x):
        return ask("predict", arrays, x=x)["outputs"]

    return Adapter(train, predict, f"mxnet {ask_mxnet('dense_layer')['version']}")


ADAPTERS: dict[str, Callable[[], Adapter]] = {
    "torch": lambda: torch(0.1),
    "torch_cumulative": lambda: torch(None),
    "flax": flax,
    "flax_nnx": flax_nnx,
    "haiku": haiku,
    "equinox": lambda: equinox("ema"),
    "equinox_batch": lambda: equinox("batch"),
    "keras3": lambda: keras("keras"),
    "tf_keras": lambda: keras("tf_keras"),
    "tf_fused": lambda: keras("tf_keras", fused=True),
    "paddlepaddle": paddle,
    "mxnet": lambda: mxnet("symbol"),
    "gluon": lambda: mxnet("gluon"),
}

ROWS = {name: "flax" if name == "flax_nnx" else name for name in ADAPTERS}
"""The row of the table that an adapter is compared with: linen and nnx share one."""
