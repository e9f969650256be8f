"""Trials and curves as tables."""

import dataclasses
import math
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxbn.nn.optimizers import learning_rate
from jaxbn.nn.types import Hyperparams
from jaxbn.search import HYPERPARAMETERS, Config, split
from jaxbn.study.history import History

if TYPE_CHECKING:
    import polars as pl


def trials_frame(configs: list[Config], history: History) -> "pl.DataFrame":
    """A row for each trial: its hyperparameters (null where not used), what became of it, its final scores."""
    import polars as pl

    numbers = np.arange(len(configs))
    rows = [config.row() for config in configs]
    columns: dict[str, Any] = {
        "trial": numbers,
        "config": numbers,
        "replicate": np.zeros(len(configs), int),
        "fold": np.zeros(len(configs), int),
    }
    for name, row in HYPERPARAMETERS.items():
        values = [row[name] for row in rows]
        if any(isinstance(value, tuple) for value in values):
            values = ["-".join(map(str, v)) if isinstance(v, tuple) else v and str(v) for v in values]
        kind = pl.String if row.kind is str or any(isinstance(v, str) for v in values) else None
        kind = kind or (pl.Int64 if row.kind is int else pl.Float64)
        columns[name] = pl.Series(name, values, dtype=kind)
    last = np.maximum(history.epochs[numbers], 1) - 1
    final = history.final(numbers)
    columns |= {
        "status": np.where(history.diverged[numbers], "diverged", "ok"),
        "epochs": history.epochs[numbers],
        "best_epoch": history.best_epoch(numbers),
        "train_loss": _numbers(history.train_loss[numbers, last]),
    }
    for place, metric in enumerate(history.metrics):
        columns[f"valid_{metric.name}"] = _numbers(final[:, place])
    columns["train_seconds"] = history.seconds[numbers]
    return pl.DataFrame(columns)


def curves_frame(configs: list[Config], history: History, num_rows: int) -> "pl.DataFrame":
    """A row for each trial and epoch that it trained."""
    import polars as pl

    num_epochs = history.train_loss.shape[1]
    trained = np.arange(num_epochs)[None, :] < history.epochs[: len(configs), None]
    trial, epoch = np.nonzero(trained)
    columns: dict[str, Any] = {
        "trial": trial,
        "epoch": epoch + 1,
        "learning_rate": learning_rates(configs, num_rows, num_epochs)[trial, epoch].astype(float),
        "train_loss": _numbers(history.train_loss[trial, epoch]),
    }
    for place, metric in enumerate(history.metrics):
        columns[f"valid_{metric.name}"] = _numbers(history.scores[trial, epoch, place])
    return pl.DataFrame(columns)


def learning_rates(configs: list[Config], num_rows: int, num_epochs: int) -> np.ndarray:
    """The learning rate of the last update of each epoch, [n, E]."""
    hyperparams = [
        dataclasses.replace(split(config, num_epochs=num_epochs)[1], hidden_units=None) for config in configs
    ]
    stacked: Hyperparams = jax.tree.map(lambda *leaves: np.stack(leaves), *hyperparams)
    steps = -(-num_rows // np.minimum(np.asarray(stacked.batch_size), num_rows))

    def curve(hyperparams: Hyperparams, steps_per_epoch: jax.Array) -> jax.Array:
        last = (jnp.arange(num_epochs) + 1) * steps_per_epoch - 1
        return jax.vmap(lambda step: learning_rate(hyperparams, step, steps_per_epoch=steps_per_epoch))(last)

    real = jnp.zeros((), float).dtype
    as_real = jax.tree.map(lambda a: a.astype(real) if a.dtype == np.float64 else a, stacked)
    return np.asarray(jax.jit(jax.vmap(curve))(as_real, steps))


def _numbers(values: np.ndarray) -> list[float | None]:
    """Null for what is not finite: a table of results holds no NaN that could be taken for a number."""
    return [value if math.isfinite(value) else None for value in values.tolist()]
