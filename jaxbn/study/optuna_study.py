"""A sweep as an Optuna study."""

import dataclasses
import math
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jaxbn.errors import UserError
from jaxbn.search import Choice, Domain, Float, Int, Space
from jaxbn.search.optuna_extra import quiet, require
from jaxbn.study.per_config import columns_of, config_of, space_of

if TYPE_CHECKING:
    import polars as pl
    from optuna import Study
    from optuna.distributions import BaseDistribution
    from optuna.storages import BaseStorage
    from optuna.trial import FrozenTrial

    from jaxbn.study.results import Results

STATES = {"ok": "COMPLETE", "pruned": "PRUNED", "stopped": "PRUNED", "diverged": "FAIL"}
ATTRIBUTES = ("trial", "config", "replicate", "fold", "round", "bracket", "status", "epochs", "train_seconds")


def to_study(results: "Results", *, storage: "str | Path | BaseStorage | None" = None, name: str = "jaxbn") -> "Study":
    """A sweep as a study that Optuna's own plots and reports read.

    A trial is an Optuna trial of the same number, with its score after the last epoch as the value and after each epoch
    as intermediate values. One that trained to the end is COMPLETE, one that a scheduler or a budget stopped is PRUNED,
    one that diverged is FAIL, without a value. User attributes say which configuration, replicate, fold, round and
    bracket it was. Hyperparameters keep their units; `one_minus_log` has no counterpart in Optuna and becomes a plain
    range of real numbers, powers of two a logarithmic range of whole ones, layers of unlike width a string such as
    "64-32".

    Args:
        results: of a sweep.
        storage: None for memory; a path for a journal file, new or with other studies in it; or an Optuna storage.
        name: of the study.

    Returns:
        The study; its metric's name is that of the score.

    Raises:
        UserError: Optuna is not installed, or the storage holds a study of that name.
    """
    require("a study", "optuna")
    import optuna
    from optuna.storages.journal import JournalFileBackend

    summary = results.summary
    if isinstance(storage, (str, Path)):
        storage = optuna.storages.JournalStorage(JournalFileBackend(str(storage)))
    with quiet():
        try:
            study = optuna.create_study(
                storage=storage, study_name=name, direction="maximize" if summary.greater_is_better else "minimize"
            )
        except optuna.exceptions.DuplicatedStudyError as error:
            raise UserError(f"the storage holds a study named {name!r} already: give another name") from error
        study.set_metric_names([f"valid_{summary.metric}"])
        study.add_trials(_trials(results))
    return study


def distributions_of(space: Space) -> "dict[str, BaseDistribution]":
    """Optuna's distribution for each searched hyperparameter, in its own units; see `to_study`.

    Raises:
        UserError: Optuna is not installed.
    """
    require("a distribution", "optuna")
    return {name: _distribution(domain) for name, domain in space.domains.items()}


def _distribution(domain: Domain) -> "BaseDistribution":
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    match domain:
        case Choice():
            return CategoricalDistribution([_plain(option) for option in domain.options])
        case Float():
            return FloatDistribution(domain.low, domain.high, log=domain.scale == "log")
        case Int():
            return IntDistribution(domain.low, domain.high, log=domain.scale != "linear")


def _trials(results: "Results") -> "Iterator[FrozenTrial]":
    from optuna.trial import TrialState, create_trial

    score = f"valid_{results.summary.metric}"
    distributions = _holding(results)
    curves = _curves(results.curves, score)
    attributes = [column for column in ATTRIBUTES if column in results.trials.columns]
    for row in results.trials.iter_rows(named=True):
        params = {
            name: row[name]
            for name, distribution in distributions.items()
            if row[name] is not None or None in getattr(distribution, "choices", ())
        }
        state = TrialState[STATES[row["status"]]]
        yield create_trial(
            state=state,
            value=None if state == TrialState.FAIL else row[score],
            params=params,
            distributions={name: distributions[name] for name in params},
            user_attrs={column: row[column] for column in attributes},
            intermediate_values=curves.get(row["trial"], {}),
        )


def _curves(curves: "pl.DataFrame", score: str) -> dict[int, dict[int, float]]:
    """Finite scores by trial and epoch."""
    found: dict[int, dict[int, float]] = {}
    for trial, epoch, value in curves.select("trial", "epoch", score).iter_rows():
        if value is not None and math.isfinite(value):
            found.setdefault(trial, {})[epoch] = value
    return found


def _holding(results: "Results") -> "dict[str, BaseDistribution]":
    """Distributions of what was searched, wide enough for trusted configurations from outside of the space."""
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    rows = results.trials.select(*columns_of(results.architecture)).unique().iter_rows(named=True)
    configs = tuple(config_of(row, results.architecture) for row in rows)
    found = distributions_of(space_of(results, configs))
    for name, distribution in found.items():
        values = results.trials[name].drop_nulls().unique(maintain_order=True).to_list()
        if isinstance(distribution, CategoricalDistribution) or any(isinstance(value, str) for value in values):
            known = getattr(distribution, "choices", ())
            found[name] = CategoricalDistribution([*known, *(value for value in values if value not in known)])
        elif isinstance(distribution, FloatDistribution | IntDistribution) and values:
            low, high = min(distribution.low, *values), max(distribution.high, *values)
            if (low, high) != (distribution.low, distribution.high):
                whole = isinstance(distribution, IntDistribution)
                wider = Int(int(low), int(high)) if whole else Float(low, high)
                scale = "log" if distribution.log and low > 0 else "linear"
                found[name] = _distribution(dataclasses.replace(wider, scale=scale))
    return found


def _plain(option: Any) -> Any:
    """Widths of layers as the table of trials writes them: Optuna stores categories as plain values."""
    return "-".join(map(str, option)) if isinstance(option, tuple) else option
