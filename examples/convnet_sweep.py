"""A sweep of small convolutional networks with batch normalisation, written in Flax.

    python examples/convnet_sweep.py --data mnist5k

The number of features shapes a program; the dropout rate, the decay of the running statistics and everything about the
optimizer are traced through it.
"""

import argparse

import jax.numpy as jnp
from flax import linen as nn
from jax import Array

from jaxbn import Choice, Float, Space, sweep
from jaxbn.interop.flax import Dropout, from_linen

IMAGES = {"digits": (8, 8, 1), "mnist5k": (28, 28, 1)}


class ConvNet(nn.Module):
    """Three convolutions with batch normalisation, the first two with pooling, and a linear layer."""

    num_outputs: int
    features: int = 16
    dropout: float = 0.0
    bn_decay: float = 0.9

    @nn.compact
    def __call__(self, x: Array, *, training: bool, where: Array) -> Array:
        """Logits [B, C] of images [B, height, width, 1]; rows outside `where` stay out of the batch statistics."""
        # A pixel at the border that is seldom lit is far from its mean then: standardised, it would drown the others.
        x = jnp.clip(x, -1, 1)
        for depth in range(3):
            x = nn.Conv(self.features << depth, (3, 3), use_bias=False)(x)
            norm = nn.BatchNorm(use_running_average=not training, momentum=self.bn_decay, use_fast_variance=False)
            x = nn.relu(norm(x, mask=where[:, None, None, None]))
            x = nn.max_pool(x, (2, 2), strides=(2, 2)) if depth < 2 else x
        x = Dropout(self.dropout)(x.reshape(x.shape[0], -1), training=training)
        return nn.Dense(self.num_outputs)(x)


def space(data: str) -> Space:
    """What is searched on images of a data set."""
    return Space(
        architecture=from_linen(ConvNet, input_shape=IMAGES[data]),
        features=Choice(8, 16),
        dropout=Float(0, 0.5),
        bn_decay=Float(0.5, 0.99, scale="one_minus_log"),
        learning_rate=Float(1e-3, 2e-2, scale="log"),
        batch_size=Choice(32, 64),
        weight_decay=Float(1e-6, 1e-2, scale="log"),
        optimizer="adam",
        decay_kind="cosine",
    )


def main() -> None:
    """Sweep, and print what came of it."""
    parser = argparse.ArgumentParser(description="Sweep small convolutional networks.")
    parser.add_argument("--data", choices=tuple(IMAGES), default="digits")
    parser.add_argument("--num-configs", type=int, default=32)
    parser.add_argument("--num-epochs", type=int, default=9, help="of those that train longest")
    parser.add_argument("--scheduler", choices=("none", "halving", "hyperband"), default="halving")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--run-dir", default=None, help="where to write the run, with checkpoints")
    asked = parser.parse_args()
    results = sweep(
        space(asked.data),
        asked.data,
        num_configs=asked.num_configs,
        num_epochs=asked.num_epochs,
        scheduler=asked.scheduler,
        seed=asked.seed,
        run_dir=asked.run_dir,
    )
    best, seconds = results.best, results.seconds
    columns = ("trial", "features", "dropout", "bn_decay", "learning_rate", "batch_size", "valid_accuracy")
    print(results.leaderboard(5).select(*columns))
    print(f"best: trial {best.trial}, validation accuracy {best.validation['accuracy']:.4f}, ", end="")
    print(f"test accuracy {results.test['accuracy']:.4f}")
    print(f"{results.summary.num_trials} networks: {seconds.train:.1f} s of training, {seconds.total:.1f} s in all")
    print(*results.summary.notes, sep="\n")


if __name__ == "__main__":
    main()
