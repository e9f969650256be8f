"""One network: pure functions of arrays. Start with `types`."""

from jaxbn.nn import batch_norm, dense, losses, metrics, optimizers, train, types
from jaxbn.nn.mlp import mlp
from jaxbn.nn.optimizers import learning_rate, optimizer

__all__ = [
    "batch_norm",
    "dense",
    "learning_rate",
    "losses",
    "metrics",
    "mlp",
    "optimizer",
    "optimizers",
    "train",
    "types",
]
