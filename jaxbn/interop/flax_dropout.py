"""Dropout for modules of Flax, with a rate that may be traced and draws that do not change with padding."""

from typing import Any

from flax import linen as nn
from flax import nnx
from jax import Array

from jaxbn.nn import dropout


class Dropout(nn.Module):
    """Dropout for Linen modules, with a rate that may be traced; see `jaxbn.nn.dropout`.

    Attributes:
        rate: in [0, 1).
    """

    rate: Any

    def __call__(self, x: Array, *, training: bool) -> Array:
        """Drop, when training."""
        return dropout.apply(self.make_rng("dropout"), x, self.rate) if training else x


class NNXDropout(nnx.Module):
    """The same for NNX modules.

    Attributes:
        rate: in [0, 1).
        deterministic: whether nothing is dropped; `train()` and `eval()` of the module that holds it set it.
        rngs: with a stream of keys named "dropout", or a default one.
    """

    def __init__(self, rate: Any, *, rngs: nnx.Rngs) -> None:
        self.rate, self.deterministic, self.rngs = rate, False, rngs

    def __call__(self, x: Array) -> Array:
        """Drop, when training."""
        return x if self.deterministic else dropout.apply(self.rngs.dropout(), x, self.rate)
