"""More epochs, or more configurations, for a sweep that was begun, or that is finished.

What was trained stays as it is. Programs, padding and tile sizes stay too, so what comes of it depends on what the run
holds and on what is added, and on nothing else. More configurations are a further round; more epochs are a further leg
of every round, which its trials go on to from the states that they ended in.
"""

import dataclasses
from pathlib import Path

import numpy as np

from jaxbn.errors import UserError
from jaxbn.study import checkpoint
from jaxbn.study.clock import Clock
from jaxbn.study.keeper import BROKEN, generations
from jaxbn.study.leg import Lengthened
from jaxbn.study.per_config import config_of
from jaxbn.study.records import Ancestry, Records
from jaxbn.study.results import Results
from jaxbn.study.run_dir import STATES
from jaxbn.study.setup import Setup
from jaxbn.study.state import SweepState


def extended(
    state: SweepState, setup: Setup, *, num_configs: int | None, num_epochs: int | None
) -> tuple[SweepState, Setup]:
    """A sweep with more epochs, and then with more configurations.

    Args:
        state: how far it is.
        setup: as it was begun, or extended before.
        num_configs: how many configurations it is to have in all; None: no more.
        num_epochs: how many epochs each trial is to have in all; None: no more.

    Returns:
        How far it then is, and the sweep.

    Raises:
        UserError: it has more already, or it cannot be extended soundly.
    """
    if setup.settings.limit is not None:
        raise UserError(f"{setup.settings.limit}, however many configs and epochs: sweep anew")
    more = setup
    if num_epochs is not None:
        more = _with_epochs(state, more, num_epochs)
    if num_configs is not None:
        more = _with_configs(more, num_configs)
    return _taken_over(state, setup, more), more


def _with_configs(setup: Setup, num_configs: int) -> Setup:
    there = sum(setup.rounds)
    dataclasses.replace(setup.settings, num_configs=num_configs)  # Whether it is a number of configurations at all.
    if num_configs < there:
        raise UserError(f"the run has {there:,} configs, more than num_configs = {num_configs:,}: ask for more")
    if setup.space is None:
        raise UserError("the configurations of the run were listed, so there is nowhere to take more: sweep others")
    if setup.sampler.whole:
        raise UserError(f"a {setup.sampler.name} is whole and cannot go on: sweep a larger one")
    return setup.with_round(num_configs - there)


def _with_epochs(state: SweepState, setup: Setup, num_epochs: int) -> Setup:
    there = setup.settings.num_epochs
    dataclasses.replace(setup.settings, num_epochs=num_epochs)  # Whether it is a number of epochs at all.
    if num_epochs < there:
        raise UserError(f"the run has {there:,} epochs, more than num_epochs = {num_epochs:,}: ask for more")
    _check_decay(state.records, there)
    _check_rungs(setup, num_epochs)
    _check_states(state.records)
    judged = state.leg == len(setup.legs)
    if judged and not state.records.states:
        raise UserError("no trial of the run can train on, as each has diverged or was ended: sweep others")
    return setup.with_epochs(Lengthened(num_epochs, len(setup.rounds), judged))


def _check_decay(records: Records, there: int) -> None:
    """Refuse where the learning rate would have been another one in the epochs that there are."""
    lived = [*enumerate(records.configs), *((line.trial // records.repeats, line.config) for line in records.lineage)]
    cosine = {number for number, config in lived if config.decay_kind == "cosine"}
    if cosine:
        raise UserError(
            f"{len(cosine):,} of {len(records.configs):,} configs have a cosine decay, which ends at {there:,} epochs, "
            "so with more all their epochs would be others: sweep anew, or search other decay kinds"
        )


def _check_rungs(setup: Setup, num_epochs: int) -> None:
    """Refuse where the scheduler would have decided otherwise in the epochs that there are.

    It has not where the rungs are the same up to the last one, which alone may now lie later.
    """
    there = setup.settings.num_epochs
    for size in filter(None, setup.rounds):
        before, after = (setup.scheduler.rungs(size, epochs) for epochs in (there, num_epochs))
        last = len(before) - 1
        same = len(after) > last and after[:last] == before[:last] and after[last].survivors == before[last].survivors
        if not same or after[last].epochs < there:
            then, now = ("-".join(str(rung.epochs) for rung in rungs) for rungs in (before, after))
            raise UserError(
                f"{setup.scheduler.name} to {num_epochs:,} epochs ranks at {now} and stops others than this run did, "
                f"which ranked at {then}: give a number of epochs that its rungs lead to, or sweep anew"
            )


def _check_states(records: Records) -> None:
    """Refuse where trials have ended that would train on, and their states have gone."""
    trials = np.arange(len(records.epochs))
    held = np.isin(trials, [*records.states])
    going = ~np.isin(trials // records.repeats, [*records.released]) & ~(records.diverged | records.pruned)
    lost = (records.epochs > 0) & going & ~records.patient & ~held
    if lost.any():
        raise UserError(
            f"the run has not kept the states of {lost.sum():,} of its {len(trials):,} trials, without which they "
            "cannot train on: sweep again with keep_states=True"
        )


def _taken_over(state: SweepState, before: Setup, after: Setup) -> SweepState:
    """How far a sweep is, in the same one extended.

    Its baseline, whose trials come last, has other numbers now; where epochs were added it trains anew.
    """
    beyond, records, linear = sum(before.rounds) * state.records.repeats, state.records, state.linear
    if after.settings.num_epochs > before.settings.num_epochs:
        records.lengthen(after.settings.num_epochs)
        linear = SweepState.fresh(after, state.clock).linear
    begun = {trial: tile for trial, tile in state.begun.items() if trial < beyond}
    return dataclasses.replace(state, linear=linear, begun=begun)


def finished(folder: Path, setup: Setup, clock: Clock) -> SweepState:
    """The state in which a sweep ended, from what it wrote.

    Where the states of its trials were not kept it is without them, and the baseline trains again.

    Args:
        folder: of its run.
        setup: of the sweep.
        clock: of the process that goes on with it.

    Raises:
        UserError: the files are not what a sweep writes.
    """
    for kept in generations(folder / STATES):
        try:
            return checkpoint.load(kept, setup, clock)
        except BROKEN as error:
            raise UserError(
                f"the states that the run kept are broken ({error}): remove {folder / STATES} to go on without them"
            ) from error
    return _from_tables(Results.load(folder, architecture=setup.architecture), setup, clock)


def _from_tables(results: Results, setup: Setup, clock: Clock) -> SweepState:
    from polars.exceptions import PolarsError

    state = SweepState.fresh(setup, dataclasses.replace(clock, before=results.seconds))
    try:
        _fill(state.records, results, setup)
    except (LookupError, ValueError, TypeError, PolarsError) as error:
        raise UserError(f"the tables of the run do not go together ({error}): sweep anew") from error
    state.leg = len(setup.legs)
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
    proposed = not setup.sampler.name.endswith("()")
    if (status == "stopped").any() or (proposed and len(firsts) < sum(setup.rounds)):
        raise UserError("the run holds what an interrupted sweep had trained, so it cannot be added to: sweep anew")
    records.diverged, records.pruned = status == "diverged", status == "pruned"
    records.patient = (status == "ok") & (records.epochs < records.train_loss.shape[1])
    records.weights[results.best.trial // records.repeats] = results.best_model.variables
    records.lineage = [
        Ancestry(row["trial"], row["epoch"], row["source"], config_of(row, results.architecture))
        for row in results.lineage.rows(named=True)
    ]
