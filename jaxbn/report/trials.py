"""The tables of a sweep for a browser: trials column by column, curves packed."""

import base64
import math
from typing import TYPE_CHECKING, Any

import numpy as np

from jaxbn.engine.programs import METRICS
from jaxbn.plots.scale import MARGIN, Scale
from jaxbn.plots.scores import Scores
from jaxbn.study.per_config import columns_of, declared

if TYPE_CHECKING:
    import polars as pl

    from jaxbn.study.results import Results

DOCS = {
    "rank": "place in the ranking; none for a trial that diverged",
    "trial": "number of the trial",
    "config": "number of the configuration",
    "replicate": "seed of the trial",
    "fold": "split of the rows",
    "round": "round of the sampler that proposed it",
    "bracket": "bracket of the scheduler",
    "status": "ok; pruned: stopped by the scheduler; stopped: cut short by a time budget or target; diverged",
    "epochs": "epochs trained",
    "best_epoch": "epoch of the best validation score",
    "train_loss": "loss on training rows in the last epoch",
    "train_seconds": "seconds of training, its share of its tile",
}


def columns(results: "Results") -> list[dict[str, Any]]:
    """A record for each column of the table of trials, in the order in which a reader wants them.

    Each has `name`, `doc`, `group` (score, hyperparameter or other), `kind` (linear, log, one_minus_log or choice),
    `ends` (of an axis, where the kind's scale is even), `levels` (where values are few), `options` (of a choice) and
    `values`, null where there is none: numbers, or the places of options.
    """
    trials, metric = results.trials.with_columns(rank=ranks(results)), results.summary.metric
    repeated = results.request.replicates * results.request.folds > 1
    several = [name for name in ("round", "bracket") if name in trials.columns and trials[name].n_unique() > 1]
    scores = dict.fromkeys([f"valid_{metric}", "valid_loss", "train_loss", *trials.columns])
    names = [
        *("rank", "trial", "status"),
        *(("config", "replicate", "fold") if repeated else ()),
        *(name for name in scores if name in trials.columns and (name == "train_loss" or name.startswith("valid_"))),
        *searched(results),
        *("epochs", "best_epoch", *several, "train_seconds"),
    ]
    return [_column(name, trials, results) for name in names if name in trials.columns]


def searched(results: "Results") -> list[str]:
    """The hyperparameters that were searched and that some trial uses; of listed configurations, those that differ."""
    domains = tuple(declared(results).domains)
    names, fewest = (domains, 1) if domains else (columns_of(results.architecture), 2)
    return [name for name in names if results.trials[name].drop_nulls().n_unique() >= fewest]


def ranks(results: "Results") -> "pl.Series":
    """The place of each trial's configuration in the ranking, from 1; null where it diverged or has no score."""
    import polars as pl

    score, diverged = f"valid_{results.summary.metric}", pl.col("status") == "diverged"
    board = results.leaderboard(len(results.trials)).with_row_index("place", offset=1)
    place = pl.when(~diverged & pl.col(score).is_not_null()).then(pl.col("place"))
    places = board.select("config", place.cast(pl.Int64).alias("rank"))
    return results.trials.select("config").join(places, on="config", how="left", maintain_order="left")["rank"]


def curves(results: "Results") -> dict[str, Any]:
    """Learning curves: `counts` (epochs of each trial), and under `series` the `name` and packed `values` of each."""
    import polars as pl

    table = results.curves.sort("trial", "epoch")
    lengths = dict(table.group_by("trial").agg(pl.len()).iter_rows())
    names = dict.fromkeys([f"valid_{results.summary.metric}", "valid_loss", "train_loss"])
    return {
        "counts": [lengths.get(trial, 0) for trial in results.trials["trial"].to_list()],
        "series": [{"name": name, "values": packed(_floats(table[name]))} for name in names if name in table.columns],
    }


def packed(values: np.ndarray) -> str:
    """Numbers as text, four letters each: the first 24 bits of a 32-bit float, in base 64.

    Sixteen bits of precision are left: an error of at most 1 in 65,536, which is less than a curve can show.

    Example:
        >>> packed(np.array([1.0, float("nan")]))
        'P4AAf8AA'
    """
    with np.errstate(over="ignore"):
        bits = np.asarray(values, np.float32).view(np.uint32) + np.uint32(0x80)
    return base64.b64encode(bits.astype(">u4").view(np.uint8).reshape(-1, 4)[:, :3].tobytes()).decode()


def takeovers(results: "Results") -> list[list[int]]:
    """Of population-based training: trial, epoch, and the trial whose state it took over after it."""
    import polars as pl

    rows = results.lineage.filter(pl.col("source") != pl.col("trial")).sort("trial", "epoch")
    return [list(row) for row in rows.select("trial", "epoch", "source").iter_rows()]


def plain(value: Any) -> Any:
    """A number with the digits that a reader can use: six, or five of its distance to 1; others as they are.

    Example:
        >>> plain(0.123456789), plain(0.99987123456), plain(float("nan")), plain("adam")
        (0.123457, 0.99987123, None, 'adam')
    """
    if not isinstance(value, float):
        return value
    if not math.isfinite(value):
        return None
    if 0.9 < value < 1:
        return round(value, 4 - math.floor(math.log10(1 - value)))
    return float(f"{value:.6g}")


def _column(name: str, trials: "pl.DataFrame", results: "Results") -> dict[str, Any]:
    if name in columns_of(results.architecture):
        scale = Scale.of(name, trials, declared(results))
        numbers = scale.numbers(trials)
        record = {"kind": scale.kind, "ends": scale.ends, "levels": scale.levels, "options": scale.options}
        return _record(name, scale.doc, "hyperparameter", numbers, whole=_whole(numbers), **record)
    if name == "status":
        options = [status for status in ("ok", "pruned", "stopped", "diverged") if status in set(trials[name])]
        places = np.array([options.index(status) for status in trials[name]], float)
        axis = {"kind": "choice", "ends": (-0.5, len(options) - 0.5), "levels": list(range(len(options)))}
        return _record(name, DOCS[name], "other", places, whole=True, options=options, **axis)
    numbers = _floats(trials[name])
    if name == "train_loss" or name.startswith("valid_"):
        # What diverged has no score, though its last number may be finite.
        numbers = np.where((trials["status"] == "diverged").to_numpy(), np.nan, numbers)
        metric = name.removeprefix("valid_")
        directions = {one.name: one.greater_is_better for one in METRICS[results.summary.task]}
        greater = directions.get(metric, False)
        known = bool(np.isfinite(numbers).any())
        ends = Scores(numbers, name, greater).limits if known else (0.0, 1.0)
        better = "more" if greater else "less"
        doc = DOCS.get(name, f"{metric} on validation rows in the last epoch; {better} is better")
        return _record(name, doc, "score", numbers, whole=False, ends=ends, greater=greater)
    known = numbers[np.isfinite(numbers)]
    low, high = (float(known.min()), float(known.max())) if len(known) else (0.0, 1.0)
    margin = MARGIN * (high - low) or 0.5
    ends = (low - margin, high + margin)
    return _record(name, DOCS.get(name, name), "other", numbers, whole=_whole(numbers), ends=ends)


def _record(name: str, doc: str, group: str, numbers: np.ndarray, *, whole: bool, **axis: Any) -> dict[str, Any]:
    values = [plain(value) for value in numbers.tolist()]
    if whole:
        values = [None if value is None else int(value) for value in values]
    return {"name": name, "doc": doc, "group": group, "kind": "linear", "whole": whole, **axis, "values": values}


def _whole(numbers: np.ndarray) -> bool:
    known = numbers[np.isfinite(numbers)]
    return bool((known == np.floor(known)).all() and (np.abs(known) < 1 << 31).all())


def _floats(column: "pl.Series") -> np.ndarray:
    return np.array(column.cast(float).to_numpy(), dtype=float)
