"""Trials and curves as tables."""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from jaxbn.search import HYPERPARAMETERS, Config, table_of
from jaxbn.study.rates import learning_rates
from jaxbn.study.records import Records

if TYPE_CHECKING:
    import polars as pl


COLUMNS = (
    *("trial", "config", "replicate", "fold", "round", "bracket", "status", "epochs", "best_epoch"),
    *("train_loss", "train_seconds", "epoch", "source", "rank", "place", "score"),
)
"""Names that tables need for themselves, beside those of hyperparameters and `valid_...`."""


def trials_frame(records: Records, folds: int) -> "pl.DataFrame":
    """A row for each trial: its hyperparameters (null where not used), what became of it, its final scores."""
    import polars as pl

    trial = np.arange(len(records.epochs))
    config, place = trial // records.repeats, trial % records.repeats
    last = np.maximum(records.epochs, 1) - 1
    columns: dict[str, Any] = {
        "trial": trial,
        "config": config,
        "replicate": place // folds,
        "fold": place % folds,
        "round": records.rounds[config],
        "bracket": records.brackets[config],
        **hyperparameter_columns([records.configs[number] for number in config]),
        "status": records.status(),
        "epochs": records.epochs,
        "best_epoch": records.best_epoch(),
        "train_loss": _numbers(records.train_loss[trial, last]),
    }
    for place, metric in enumerate(records.metrics):
        columns[f"valid_{metric.name}"] = _numbers(records.scores[trial, last, place])
    columns["train_seconds"] = records.seconds
    return pl.DataFrame(columns)


def lineage_frame(records: Records) -> "pl.DataFrame":
    """A row for each trial and epoch from which it went on with a state and hyperparameters; none where those stay."""
    import polars as pl

    lines = sorted(records.lineage, key=lambda line: (line.epoch, line.trial))
    return pl.DataFrame(
        {
            "trial": pl.Series([line.trial for line in lines], dtype=pl.Int64),
            "epoch": pl.Series([line.epoch for line in lines], dtype=pl.Int64),
            "source": pl.Series([line.source for line in lines], dtype=pl.Int64),
            **hyperparameter_columns([line.config for line in lines]),
        }
    )


def hyperparameter_columns(configs: list[Config]) -> dict[str, "pl.Series"]:
    """A column for each hyperparameter, null where a configuration does not use it."""
    import polars as pl

    rows, columns = [config.row() for config in configs], {}
    own = table_of(configs[0].architecture) if configs else {}
    for name, row in (HYPERPARAMETERS | own).items():
        values = [row[name] for row in rows]
        if any(isinstance(value, tuple) for value in values):
            values = ["-".join(map(str, v)) if isinstance(v, tuple) else v and str(v) for v in values]
        if row.kind is object and any(isinstance(value, str) for value in values):
            values = [None if value is None else str(value) for value in values]
        kind = pl.String if row.kind is str or any(isinstance(v, str) for v in values) else None
        kind = kind or (_kind_of(values) if row.kind is object else pl.Int64 if row.kind is int else pl.Float64)
        columns[name] = pl.Series(name, values, dtype=kind)
    return columns


def _kind_of(values: list[Any]) -> Any:
    """The type of a column of an architecture's own hyperparameter, from its values."""
    import polars as pl

    kinds = {type(value) for value in values if value is not None}
    return {frozenset({bool}): pl.Boolean, frozenset({int}): pl.Int64}.get(frozenset(kinds), pl.Float64)


def curves_frame(records: Records, num_rows: Sequence[int]) -> "pl.DataFrame":
    """A row for each trial and epoch that it trained; `num_rows` are the training rows of each fold."""
    import polars as pl

    num_epochs = records.train_loss.shape[1]
    trained = np.arange(num_epochs)[None, :] < records.epochs[:, None]
    trial, epoch = np.nonzero(trained)
    columns: dict[str, Any] = {
        "trial": trial,
        "epoch": epoch + 1,
        "learning_rate": lived_rates(records, num_rows)[trial, epoch].astype(float),
        "train_loss": _numbers(records.train_loss[trial, epoch]),
    }
    for place, metric in enumerate(records.metrics):
        columns[f"valid_{metric.name}"] = _numbers(records.scores[trial, epoch, place])
    return pl.DataFrame(columns)


def lived_rates(records: Records, num_rows: Sequence[int]) -> np.ndarray:
    """The learning rate of the last update of each epoch of each trial, [n k, E]; `num_rows` are those of each fold."""
    num_trials, num_epochs = records.train_loss.shape
    lived = [(trial, 0, records.configs[trial // records.repeats]) for trial in range(num_trials)]
    lived += [(line.trial, line.epoch, line.config) for line in records.lineage]
    rates = np.zeros((num_trials, num_epochs))
    for fold, rows in enumerate(num_rows):
        some = [entry for entry in lived if entry[0] % records.repeats % len(num_rows) == fold]
        curves = learning_rates([config for *_, config in some], rows, num_epochs, range(num_epochs))
        for (trial, epoch, _), rate in zip(some, curves, strict=True):
            rates[trial, epoch:] = rate[epoch:]
    return rates


def _numbers(values: np.ndarray) -> list[float | None]:
    """Null for what is not finite: a table of results holds no NaN that could be taken for a number."""
    return [value if math.isfinite(value) else None for value in values.tolist()]
