"""One score for each configuration, and the space that they came from."""

import dataclasses
from typing import TYPE_CHECKING, Any

import numpy as np

from jaxbn.errors import UserError
from jaxbn.nn.types import Architecture
from jaxbn.search import HYPERPARAMETERS, Choice, Config, Domain, Float, Int, Space, from_values, table_of

if TYPE_CHECKING:
    from jaxbn.study.results import Results


@dataclasses.dataclass(frozen=True, eq=False)
class PerConfig:
    """The n configurations of a sweep that have trained, in order.

    Attributes:
        metric: what the score is, on the validation split.
        greater_is_better: its direction.
        configs: their hyperparameters.
        score: float [n], finite: the mean over replicates and folds after the last epoch that each trained. A trial
            that diverged counts as the worst finite score of the sweep: left out, it would make the learning rates
            that broke it look harmless.
        rounds: int [n], the round that proposed each.
    """

    metric: str
    greater_is_better: bool
    configs: tuple[Config, ...]
    score: np.ndarray
    rounds: np.ndarray


def per_config(results: "Results") -> PerConfig:
    """The score of each configuration of a sweep.

    Raises:
        UserError: no trial has a score.
    """
    import polars as pl

    summary, name = results.summary, f"valid_{results.summary.metric}"
    trained = results.trials.filter(pl.col("epochs") > 0)
    score = pl.when(pl.col("status") != "diverged").then(pl.col(name))
    finite = trained.select(score).to_series().drop_nulls().drop_nans()
    if finite.is_empty():
        raise UserError(f"no trial of this sweep has a finite {name}, so nothing can be compared: lower learning_rate")
    worst = finite.min() if summary.greater_is_better else finite.max()
    table = (
        trained.with_columns(score.fill_nan(None).fill_null(worst).alias("score"))
        .group_by("config", maintain_order=True)
        .agg(
            pl.col("score").mean(),
            pl.col("round").first(),
            *(pl.col(n).first() for n in columns_of(results.architecture)),
        )
        .sort("config")
    )
    return PerConfig(
        metric=summary.metric,
        greater_is_better=summary.greater_is_better,
        configs=tuple(config_of(row, results.architecture) for row in table.iter_rows(named=True)),
        score=table["score"].to_numpy().astype(float),
        rounds=table["round"].to_numpy(),
    )


def columns_of(architecture: Architecture | None) -> tuple[str, ...]:
    """The hyperparameters that a table of trials has columns of."""
    return tuple(HYPERPARAMETERS | table_of(architecture))


def config_of(row: dict[str, Any], architecture: Architecture | None = None) -> Config:
    """The configuration of a row of the table of trials: what it does not use is null there, and takes its default."""
    values = {name: row[name] for name in columns_of(architecture) if row[name] is not None}
    if "hidden_units" in values:
        values["hidden_units"] = layer_sizes(values["hidden_units"])
    return from_values(**values, architecture=architecture)


def layer_sizes(units: Any) -> int | tuple[int, ...]:
    """Hidden units as the table of trials writes them: a number, or "64-32" for layers of unlike width.

    Example:
        >>> layer_sizes("64-32"), layer_sizes("64"), layer_sizes(64)
        ((64, 32), 64, 64)
    """
    first, *others = (int(size) for size in str(units).split("-"))
    return (first, *others) if others else first


def space_of(results: "Results", configs: tuple[Config, ...]) -> Space:
    """What was searched; where configurations were listed, the smallest space that holds them on the usual scales."""
    if results.request.space is not None:
        return Space.from_json(results.request.space, architecture=results.architecture)
    names = columns_of(results.architecture)
    columns = {name: [getattr(c, name) for c in configs if name not in c.unused()] for name in names}
    searched = {name: _domain(name, values) for name, values in columns.items() if len(set(values)) > 1}
    # An architecture may have to be told what was not searched.
    return Space(architecture=results.architecture, **{**dict(configs[0].own), **searched})


def declared(results: "Results") -> Space:
    """What was searched; where configurations were listed, a space without domains."""
    if results.request.space is not None:
        return Space.from_json(results.request.space, architecture=results.architecture)
    return Space(architecture=results.architecture, **dict(results.best_model.config.own))


def _domain(name: str, values: list[Any]) -> Domain:
    row = HYPERPARAMETERS.get(name)
    if row is None or row.kind is str or not all(isinstance(value, (int, float)) for value in values):
        return Choice(*dict.fromkeys(values))
    low, high, scale = min(values), max(values), getattr(row.domain, "scale", "linear")
    if row.kind is int:
        return Int(low, high, scale="log" if scale != "linear" and low > 0 else "linear")
    legal = {"log": low > 0, "one_minus_log": low > 0 and high < 1}.get(scale, True)
    return Float(low, high, scale=scale if legal else "linear")
