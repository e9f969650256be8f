"""The learning rates that configurations live by, epoch after epoch."""

import dataclasses
from collections.abc import Sequence

import jax
import numpy as np

from jaxbn.nn.optimizers import learning_rate
from jaxbn.nn.types import Hyperparams
from jaxbn.search import Config, split


def learning_rates(configs: list[Config], num_rows: int, num_epochs: int, epochs: Sequence[int]) -> np.ndarray:
    """The learning rate of the last update of some epochs, [n, len(epochs)].

    Args:
        configs: n of them.
        num_rows: training rows.
        num_epochs: where a cosine decay ends.
        epochs: which ones, from 0.

    Example:
        >>> from jaxbn.search import from_values
        >>> learning_rates([from_values(learning_rate=0.5, learning_rate_decay=1.0)], 64, 4, [0, 1, 3]).tolist()
        [[0.5, 0.25, 0.125]]
    """
    # Without the widths, networks of all depths are alike.
    scalars = [dataclasses.replace(split(config, num_epochs=num_epochs)[1], hidden_units=None) for config in configs]
    stacked: Hyperparams = jax.tree.map(lambda *leaves: np.stack(leaves), *scalars)
    steps = -(-num_rows // np.minimum(np.asarray(stacked.batch_size), num_rows))
    real = jax.dtypes.canonicalize_dtype(float)
    as_real = jax.tree.map(lambda a: a.astype(real) if a.dtype == np.float64 else a, stacked)
    return np.asarray(_curves(as_real, steps, np.asarray(epochs)))


@jax.jit
def _curves(hyperparams: Hyperparams, steps_per_epoch: jax.Array, epochs: jax.Array) -> jax.Array:
    def curve(hyperparams: Hyperparams, steps_per_epoch: jax.Array) -> jax.Array:
        last = (epochs + 1) * steps_per_epoch - 1
        return jax.vmap(lambda step: learning_rate(hyperparams, step, steps_per_epoch=steps_per_epoch))(last)

    return jax.vmap(curve)(hyperparams, steps_per_epoch)
