"""How a framework's dense layer begins when nothing else is said: a table of records, and draws from a record."""

import dataclasses
import math
from typing import Literal

import jax
import jax.numpy as jnp
from jax import Array

TRUNCATED = 0.87962566103423978
"""Standard deviation of a standard normal number cut off at -2 and 2."""


@dataclasses.dataclass(frozen=True)
class Initialiser:
    """Initial weights of a dense layer [F, H], whose variance is `gain / fan`.

    Attributes:
        framework: which, and for which layer.
        called: its name there.
        distribution: "uniform" on a symmetric interval; "normal"; "truncated" at two deviations and widened so that
            the variance is as said; "narrower" without that, so that the deviation is 0.88 of what is said;
            "constant".
        fan: what the variance is divided by: "F", the mean of F and H, or "1".
        gain: what is divided; for "constant" the constant.
        source: where it was read.
        checked: against what.
        bias: "0", or uniform like the weights.
        doubts: what is not settled.
    """

    framework: str
    called: str
    distribution: Literal["uniform", "normal", "truncated", "narrower", "constant"]
    fan: Literal["F", "(F + H)/2", "1"]
    gain: float
    source: str
    checked: str = "formula"
    bias: Literal["0", "as weights"] = "0"
    doubts: tuple[str, ...] = ()

    def std(self, num_inputs: int, num_outputs: int) -> float:
        """The standard deviation that the formula names; 0 of a constant.

        Example:
            >>> INITIALISERS["keras3"].std(2, 6)
            0.5
        """
        fan = {"F": num_inputs, "(F + H)/2": (num_inputs + num_outputs) / 2, "1": 1}[self.fan]
        return 0.0 if self.distribution == "constant" else math.sqrt(self.gain / fan)


_MEMORY = ("From memory.",)


def _glorot_uniform(framework: str, source: str, checked: str = "formula") -> Initialiser:
    return Initialiser(framework, "glorot_uniform", "uniform", "(F + H)/2", 1.0, source, checked)


INITIALISERS = {
    "caffe": Initialiser("Caffe", "constant filler", "constant", "1", 0.0, "include/caffe/filler.hpp"),
    "caffe_xavier": Initialiser("Caffe, when asked", "xavier", "uniform", "F", 1.0, "include/caffe/filler.hpp"),
    "caffe_msra": Initialiser("Caffe, when asked", "msra", "normal", "F", 2.0, "include/caffe/filler.hpp"),
    "cntk": _glorot_uniform("CNTK", "layers.py"),
    "dl4j": Initialiser("DL4J", "XAVIER", "normal", "(F + H)/2", 1.0, "WeightInit.java", doubts=_MEMORY),
    "keras3": _glorot_uniform("Keras, tf_keras", "keras/src/layers/core/dense.py", "live: keras 3.15.1"),
    "lasagne": _glorot_uniform("Lasagne", "lasagne/init.py"),
    # The variance of a uniform number in [-a, a] is a^2 / 3.
    "gluon": Initialiser(
        "MXNet, Gluon",
        "Uniform(0.07)",
        "uniform",
        "1",
        0.07**2 / 3,
        "python/mxnet/initializer.py",
        "live: mxnet 1.9.1",
    ),
    "paddlepaddle": Initialiser(
        "PaddlePaddle", "Xavier", "uniform", "(F + H)/2", 1.0, "python/paddle/nn", "live: paddlepaddle 3.3.1"
    ),
    "torch": Initialiser(
        "PyTorch",
        "kaiming_uniform(a=sqrt(5))",
        "uniform",
        "F",
        1 / 3,
        "torch/nn/modules/linear.py",
        "live: torch 2.13.0",
        "as weights",
    ),
    "flax": Initialiser("Flax", "lecun_normal", "truncated", "F", 1.0, "flax/linen/linear.py", "live: flax 0.12.12"),
    "haiku": Initialiser(
        "Haiku", "TruncatedNormal", "narrower", "F", 1.0, "haiku/_src/basic.py", "live: dm-haiku 0.0.17"
    ),
    "equinox": Initialiser(
        "Equinox", "default_init", "uniform", "F", 1 / 3, "equinox/nn/_linear.py", "live: equinox 0.13.8", "as weights"
    ),
}


def draw(key: Array, row: Initialiser, num_inputs: int, num_outputs: int) -> tuple[Array, Array]:
    """Initial weights as a framework would draw them, though not the same numbers.

    Args:
        key: consumed.
        row: of `INITIALISERS`.
        num_inputs: how many, F.
        num_outputs: how many, H.

    Returns:
        Kernel [F, H] and bias [H].

    Example:
        >>> kernel, bias = draw(jax.random.key(0), INITIALISERS["torch"], 100, 1000)
        >>> round(jnp.abs(kernel).max().item(), 3), round(jnp.abs(bias).max().item(), 2)
        (0.1, 0.1)
    """
    of_kernel, of_bias = jax.random.split(key)
    std, shape = row.std(num_inputs, num_outputs), (num_inputs, num_outputs)
    match row.distribution:
        case "uniform":
            kernel = jax.random.uniform(of_kernel, shape, minval=-1) * math.sqrt(3) * std
        case "normal":
            kernel = jax.random.normal(of_kernel, shape) * std
        case "truncated":
            kernel = jax.random.truncated_normal(of_kernel, -2, 2, shape) * (std / TRUNCATED)
        case "narrower":
            kernel = jax.random.truncated_normal(of_kernel, -2, 2, shape) * std
        case "constant":
            kernel = jnp.full(shape, row.gain)
    if row.bias == "0":
        return kernel, jnp.zeros(num_outputs)
    return kernel, jax.random.uniform(of_bias, (num_outputs,), minval=-1) * math.sqrt(3) * std
