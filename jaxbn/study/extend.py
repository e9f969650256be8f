"""More configurations for a sweep that was begun, or that is finished: a further round of it.

What was trained stays as it is. Programs, padding and tile sizes stay too, so the further round depends on what the run
holds and on how many configurations are added, and on nothing else.
"""

import dataclasses

import numpy as np

from jaxbn.errors import UserError
from jaxbn.study.clock import Clock
from jaxbn.study.per_config import config_of
from jaxbn.study.records import Ancestry, Records
from jaxbn.study.results import Results
from jaxbn.study.setup import Setup
from jaxbn.study.state import SweepState


def extended(setup: Setup, num_configs: int) -> Setup:
    """The sweep with more configurations.

    Args:
        setup: as it was begun, or extended before.
        num_configs: how many configurations it is to have in all.

    Raises:
        UserError: it has as many already, or a further round makes no sense.
    """
    asked, there = setup.settings, sum(setup.rounds)
    if num_configs < there:
        raise UserError(f"the run has {there:,} configs, more than num_configs = {num_configs:,}: ask for more")
    if setup.space is None:
        raise UserError("the configurations of the run were listed, so there is nowhere to take more: sweep others")
    if setup.sampler.whole:
        raise UserError(f"a {setup.sampler.name} is whole and cannot go on: sweep a larger one")
    if asked.time_budget is not None or asked.target_score is not None:
        limit = "time_budget" if asked.time_budget is not None else "target_score"
        raise UserError(f"the run ends at its {limit} of {getattr(asked, limit):g}, however many configs: sweep anew")
    return setup.with_round(num_configs - there)


def taken_over(state: SweepState, before: Setup) -> SweepState:
    """How far a sweep is, in the same one extended: its baseline, whose trials come last, has other numbers now."""
    beyond = sum(before.rounds) * state.records.repeats
    return dataclasses.replace(state, begun={trial: tile for trial, tile in state.begun.items() if trial < beyond})


def finished(results: Results, setup: Setup, clock: Clock) -> SweepState:
    """The state in which a sweep ended, from what it wrote; the baseline trains again, beside what is added.

    Args:
        results: of the sweep, from its folder.
        setup: of the sweep.
        clock: of the process that goes on with it.

    Raises:
        UserError: its tables are not what a sweep writes.
    """
    from polars.exceptions import PolarsError

    state = SweepState.fresh(setup, dataclasses.replace(clock, before=results.seconds))
    try:
        _fill(state.records, results, setup)
    except (LookupError, ValueError, TypeError, PolarsError) as error:
        raise UserError(f"the tables of the run do not go together ({error}): sweep anew") from error
    state.round = len(setup.rounds)
    return state


def _fill(records: Records, results: Results, setup: Setup) -> None:
    trials, curves = results.trials, results.curves
    firsts = trials.rows(named=True)[:: records.repeats]
    records.add([config_of(row, results.architecture) for row in firsts])
    records.rounds, records.brackets = (
        trials[name].to_numpy()[:: records.repeats].astype(int) for name in ("round", "bracket")
    )
    place = curves["trial"].to_numpy(), curves["epoch"].to_numpy() - 1
    records.train_loss[place] = curves["train_loss"].fill_null(np.nan).to_numpy()
    for number, metric in enumerate(setup.metrics):
        records.scores[(*place, number)] = curves[f"valid_{metric.name}"].fill_null(np.nan).to_numpy()
    records.first_loss = records.train_loss[:, 0].copy()
    records.epochs = trials["epochs"].to_numpy().astype(int)
    records.seconds = trials["train_seconds"].to_numpy().copy()
    status = trials["status"].to_numpy()
    records.diverged, records.pruned = status == "diverged", status == "pruned"
    records.patient = (status == "ok") & (records.epochs < records.train_loss.shape[1])
    records.weights[results.best.trial // records.repeats] = results.best_model.variables
    records.lineage = [
        Ancestry(row["trial"], row["epoch"], row["source"], config_of(row, results.architecture))
        for row in results.lineage.rows(named=True)
    ]
