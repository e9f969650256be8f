"""What frameworks mean by Adam, momentum and RMSProp: a table of records, and a transformation from a record.

Two of them called by one name with one set of numbers can differ: in where epsilon is added, whether the learning
rate is inside the velocity (which matters once it changes), and whether a gradient enters an average with weight 1 or
1 - beta.
"""

import dataclasses
import math
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import optax

from jaxbn.errors import UserError
from jaxbn.nn.types import PyTree

NUMBERS = "worked numbers"


@dataclasses.dataclass(frozen=True)
class Adam:
    """Adam (Kingma and Ba 2015).

    In the formulas m and v are the running averages, c1 = 1 - b1^t and c2 = 1 - b2^t.

    Attributes:
        framework: which.
        epsilon_added: "corrected": step = (m / c1) / (sqrt(v / c2) + eps), Algorithm 1 of the paper.
            "uncorrected": step = sqrt(c2) / c1 m / (sqrt(v) + eps), the form after it, in which the same epsilon acts
            1 / sqrt(c2) times as strongly: 31.6 times at the first step.
        epsilon: the default.
        learning_rate: the default; None where there is none.
        source: where it was read.
        checked: against what.
        b1: the default weight of the old mean.
        b2: the default weight of the old square.
    """

    framework: str
    epsilon_added: Literal["corrected", "uncorrected"]
    epsilon: float
    learning_rate: float | None
    source: str
    checked: str = NUMBERS
    b1: float = 0.9
    b2: float = 0.999


@dataclasses.dataclass(frozen=True)
class Momentum:
    """Gradient descent with momentum mu.

    Attributes:
        framework: which.
        rate: "outside": v = mu v + g, w -= rate v. "inside": v = mu v + rate g, w -= v. They part once the
            rate changes.
        gradient_weighs: what g is multiplied by in v: 1, or 1 - mu.
        nesterov: what the variant adds to the step; empty where there is none.
        momentum: the default; None where there is none.
        learning_rate: the default; None where there is none.
        source: where it was read.
        checked: against what.
        doubts: what is not settled.
    """

    framework: str
    rate: Literal["outside", "inside"]
    gradient_weighs: Literal["1", "1 - mu"]
    nesterov: str
    momentum: float | None
    learning_rate: float | None
    source: str
    checked: str = NUMBERS
    doubts: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True)
class RMSProp:
    """RMSProp (Tieleman and Hinton 2012): step = g over the root of S = decay S + (1 - decay) g^2.

    Attributes:
        framework: which.
        epsilon_added: "inside": g / sqrt(S + eps). "outside": g / (sqrt(S) + eps).
        epsilon: the default.
        decay: the default; None where there is none.
        source: where it was read.
        checked: against what.
        doubts: what is not settled.
    """

    framework: str
    epsilon_added: Literal["inside", "outside"]
    epsilon: float
    decay: float | None
    source: str
    checked: str = NUMBERS
    doubts: tuple[str, ...] = ()


_MEMORY = ("From memory.",)

ADAM = {
    "caffe": Adam("Caffe, its momentum set to 0.9", "uncorrected", 1e-8, None, "src/caffe/solvers/adam_solver.cpp"),
    "dl4j": Adam("DL4J", "uncorrected", 1e-8, 1e-3, "AdamUpdater.java"),
    "keras2": Adam("Keras 2 standalone", "uncorrected", 1e-7, 1e-3, "keras/optimizers.py"),
    "keras3": Adam("Keras 3", "uncorrected", 1e-7, 1e-3, "keras/src/optimizers/adam.py", checked="live: keras 3.15.1"),
    "tf_keras": Adam(
        "tf_keras", "uncorrected", 1e-7, 1e-3, "tf_keras/optimizers/adam.py", checked="live: tf_keras 2.21.0"
    ),
    "lasagne": Adam("Lasagne", "uncorrected", 1e-8, 1e-3, "lasagne/updates.py"),
    "mxnet": Adam("MXNet", "uncorrected", 1e-8, 1e-3, "python/mxnet/optimizer", checked="live: mxnet 1.9.1"),
    "optax": Adam("optax", "corrected", 1e-8, None, "optax/_src/transform.py", checked="live: optax 0.2"),
    "paddlepaddle": Adam(
        "PaddlePaddle",
        "corrected",
        1e-8,
        1e-3,
        "adam_functors.h@02dea0c7; its docs show the other",
        checked="live: paddlepaddle 3.3.1",
    ),
    "torch": Adam("PyTorch", "corrected", 1e-8, 1e-3, "torch/optim/adam.py", checked="live: torch 2.13.0"),
    "jaxbn": Adam("jaxbn", "corrected", 1e-8, 1e-3, "jaxbn/nn/optimizers.py"),
}

_KERAS_NESTEROV = "w -= mu v + rate g"
_PLAIN_NESTEROV = "w -= rate (g + mu v)"
MOMENTUM = {
    "caffe": Momentum("Caffe", "inside", "1", "", None, None, "src/caffe/solvers/sgd_solver.cpp"),
    "cntk": Momentum(
        "CNTK, unit_gain", "outside", "1 - mu", "", None, None, "learners", doubts=("That it is the default.",)
    ),
    "dl4j": Momentum(
        "DL4J, Nesterovs",
        "inside",
        "1",
        _KERAS_NESTEROV,
        0.9,
        0.1,
        "NesterovsUpdater.java",
        doubts=("Its defaults are from memory.",),
    ),
    "keras3": Momentum(
        "Keras 3, tf_keras",
        "inside",
        "1",
        _KERAS_NESTEROV,
        0.0,
        0.01,
        "keras/src/optimizers/sgd.py",
        checked="live: keras 3.15.1",
    ),
    "lasagne": Momentum("Lasagne", "inside", "1", _KERAS_NESTEROV, 0.9, None, "lasagne/updates.py"),
    "mxnet": Momentum("MXNet", "inside", "1", "", 0.0, 0.1, "python/mxnet/optimizer", checked="live: mxnet 1.9.1"),
    "optax": Momentum(
        "optax", "outside", "1", _PLAIN_NESTEROV, None, None, "optax/_src/alias.py", checked="live: optax 0.2"
    ),
    "paddlepaddle": Momentum(
        "PaddlePaddle", "outside", "1", _PLAIN_NESTEROV, 0.9, 1e-3, "Momentum", checked="live: paddlepaddle 3.3.1"
    ),
    "torch": Momentum(
        "PyTorch", "outside", "1", _PLAIN_NESTEROV, 0.0, 1e-3, "torch/optim/sgd.py", checked="live: torch 2.13.0"
    ),
    "notes": Momentum("course notes", "outside", "1 - mu", "", 0.9, None, "jaxbn/nn/optimizers.py, momentum_ewa"),
}

RMSPROP = {
    "keras3": RMSProp("Keras 3", "inside", 1e-7, 0.9, "keras/src/optimizers/rmsprop.py", checked="live: keras 3.15.1"),
    "lasagne": RMSProp("Lasagne", "inside", 1e-6, 0.9, "lasagne/updates.py"),
    "optax": RMSProp("optax", "inside", 1e-8, 0.9, "optax/_src/transform.py", checked="live: optax 0.2"),
    "torch": RMSProp("PyTorch", "outside", 1e-8, 0.99, "torch/optim/rmsprop.py", checked="live: torch 2.13.0"),
    "notes": RMSProp("course notes", "outside", 1e-8, None, "jaxbn/nn/optimizers.py"),
}


class AdamState(NamedTuple):
    """Averages of gradients and of their squares, and the number of updates."""

    mean: PyTree
    square: PyTree
    count: Any


def adam(row: Adam, learning_rate: float | optax.Schedule) -> optax.GradientTransformation:
    """Adam as a framework has it, with its defaults. Apply the updates with `optax.apply_updates`.

    Args:
        row: of `ADAM`; change a default with `dataclasses.replace`.
        learning_rate: a number, or a function of the number of updates made before.

    Example:
        >>> grads = {"w": jnp.array(1e-7)}
        >>> for name in ("torch", "keras3"):
        ...     tx = adam(dataclasses.replace(ADAM[name], epsilon=1e-7), learning_rate=1.0)
        ...     print(name, round(tx.update(grads, tx.init(grads))[0]["w"].item(), 3))
        torch -0.5
        keras3 -0.031
    """

    def init(params: PyTree) -> AdamState:
        zeros = jax.tree.map(jnp.zeros_like, params)
        return AdamState(zeros, zeros, jnp.zeros((), jnp.int32))

    def update(grads: PyTree, state: AdamState, params: PyTree = None) -> tuple[PyTree, AdamState]:
        mean = jax.tree.map(lambda m, g: row.b1 * m + (1 - row.b1) * g, state.mean, grads)
        square = jax.tree.map(lambda v, g: row.b2 * v + (1 - row.b2) * g * g, state.square, grads)
        count = state.count + 1
        weight_mean, weight_square = _weight(row.b1, count), _weight(row.b2, count)
        # In the uncorrected form all is divided by sqrt(weight_square), epsilon too.
        epsilon = row.epsilon / (1 if row.epsilon_added == "corrected" else jnp.sqrt(weight_square))
        rate = _rate(learning_rate, state.count)
        updates = jax.tree.map(
            lambda m, v: -rate * (m / weight_mean) / (jnp.sqrt(v / weight_square) + epsilon), mean, square
        )
        return updates, AdamState(mean, square, count)

    return optax.GradientTransformation(init, update)  # pyright: ignore[reportArgumentType]


class MomentumState(NamedTuple):
    """The velocity, and the number of updates."""

    velocity: PyTree
    count: Any


def momentum(
    row: Momentum, learning_rate: float | optax.Schedule, *, mu: float, nesterov: bool = False
) -> optax.GradientTransformation:
    """Gradient descent with momentum as a framework has it.

    Args:
        row: of `MOMENTUM`.
        learning_rate: a number, or a function of the number of updates made before.
        mu: the weight kept on the old velocity.
        nesterov: whether to look ahead; only where the row has it.

    Example:
        >>> grads, halving = {"w": jnp.array(1.0)}, lambda count: 0.5**count
        >>> for name in ("torch", "keras3", "notes"):
        ...     tx = momentum(MOMENTUM[name], halving, mu=0.5)
        ...     _, state = tx.update(grads, tx.init(grads))
        ...     print(name, tx.update(grads, state)[0]["w"].item())
        torch -0.75
        keras3 -1.0
        notes -0.375
    """
    if nesterov and not row.nesterov:
        raise UserError(f"nesterov=True, which {row.framework} has not: leave it out")
    weight = 1.0 if row.gradient_weighs == "1" else 1 - mu

    def init(params: PyTree) -> MomentumState:
        return MomentumState(jax.tree.map(jnp.zeros_like, params), jnp.zeros((), jnp.int32))

    def update(grads: PyTree, state: MomentumState, params: PyTree = None) -> tuple[PyTree, MomentumState]:
        rate = _rate(learning_rate, state.count)
        inside, outside = (rate, 1.0) if row.rate == "inside" else (1.0, rate)
        pushed = jax.tree.map(lambda g: inside * weight * g, grads)
        velocity = jax.tree.map(lambda v, g: mu * v + g, state.velocity, pushed)
        ahead = jax.tree.map(lambda v, g: mu * v + g, velocity, pushed) if nesterov else velocity
        updates = jax.tree.map(lambda v: -outside * v, ahead)
        return updates, MomentumState(velocity, state.count + 1)

    return optax.GradientTransformation(init, update)  # pyright: ignore[reportArgumentType]


def rmsprop(row: RMSProp, learning_rate: float | optax.Schedule, *, decay: float) -> optax.GradientTransformation:
    """RMSProp without momentum as a framework has it.

    Args:
        row: of `RMSPROP`.
        learning_rate: a number, or a function of the number of updates made before.
        decay: the weight kept on the old average of squares.

    Example:
        >>> grads = {"w": jnp.array(1e-4)}
        >>> for name in ("torch", "keras3"):
        ...     tx = rmsprop(dataclasses.replace(RMSPROP[name], epsilon=1e-8), learning_rate=1.0, decay=0.0)
        ...     print(name, round(tx.update(grads, tx.init(grads))[0]["w"].item(), 4))
        torch -0.9999
        keras3 -0.7071
    """
    scale = optax.scale_by_rms(decay, row.epsilon, eps_in_sqrt=row.epsilon_added == "inside")
    return optax.chain(scale, optax.scale_by_learning_rate(learning_rate))


def _weight(decay: float, count: Any) -> Any:
    """1 - decay^count, without the cancellation that costs float32 four digits of 1 - 0.999."""
    return -jnp.expm1(count * math.log(decay)) if decay > 0 else 1.0


def _rate(learning_rate: float | optax.Schedule, count: Any) -> Any:
    return learning_rate(count) if callable(learning_rate) else learning_rate
