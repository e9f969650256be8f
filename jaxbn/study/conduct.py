"""A sweep from what has been settled, or from where it was left, to the results."""

import contextlib
import functools
import itertools
import shutil
import warnings
from pathlib import Path

import numpy as np
from jax.errors import JaxRuntimeError

from jaxbn.engine.data import host_data
from jaxbn.engine.run import Trainer
from jaxbn.engine.tiles import TileResult
from jaxbn.errors import UserError
from jaxbn.study import run_dir as directory
from jaxbn.study.budget import RESERVE
from jaxbn.study.frames import curves_frame, lineage_frame, trials_frame
from jaxbn.study.interrupt import Interrupted, Interrupts
from jaxbn.study.judge import best_linear, constant, fitted, judge
from jaxbn.study.keeper import Keeper, keep
from jaxbn.study.loop import Listener, listening, search
from jaxbn.study.records import Records
from jaxbn.study.request import request_of
from jaxbn.study.results import Results
from jaxbn.study.setup import Setup
from jaxbn.study.state import SweepState
from jaxbn.study.summary import Summary

REPORT = 1.0
"""Seconds between two looks at what a tile has learned so far."""
SETTLE = 8.0
"""Seconds that an interrupt waits for epochs to end: who sends it may lose patience after ten."""


def conduct(
    setup: Setup, state: SweepState, folder: Path | None, on_event: Listener | None, interrupted: Interrupts
) -> Results:
    """Train what is left, judge, and write.

    Where a device has no memory left, tiles are halved, and what had not ended goes on from the last decision.

    Args:
        setup: what has been settled.
        state: how far it is.
        folder: the run directory, where checkpoints are kept; None keeps and writes nothing.
        on_event: called, also from worker threads, as programs and epochs finish and configurations are ranked.
        interrupted: looked at between results.

    Raises:
        UserError: every trial diverged, or there was no time for any.
        Interrupted: after a first interrupt; the run can be resumed.
    """
    while True:
        try:
            train(setup, state, folder, on_event, interrupted)
            break
        except JaxRuntimeError as error:
            if "RESOURCE_EXHAUSTED" not in str(error) or setup.plan.largest_tile == 1:
                raise
            told = f"a device had no memory left for tiles of {setup.plan.largest_tile}"
            setup = setup.halved()
            told += f": training goes on in tiles of at most {setup.plan.largest_tile}"
            setup = setup.noting(told)
            warnings.warn(told, stacklevel=2)
            if folder is not None:
                directory.note_request(folder, request_of(setup))
    results = results_of(setup, state)
    if results is None:
        # What was added to while it was under way had a winner: its last checkpoint stays.
        if folder is not None and not directory.put_back(folder) and not (setup.added or setup.lengthened):
            directory.discard(folder)
        raise nothing_left(setup, state.records)
    if folder is not None:
        if setup.settings.keep_states:
            with directory.told(folder):
                # Those of an earlier end; should this be the last that happens, a checkpoint holds all that is needed.
                shutil.rmtree(folder / directory.STATES, ignore_errors=True)
                keep(folder / directory.STATES, state)
        directory.finish(folder, results.run())
    return results


def train(
    setup: Setup, state: SweepState, folder: Path | None, on_event: Listener | None, interrupted: Interrupts
) -> None:
    """Train what is left. The arguments are those of `conduct`.

    Raises:
        Interrupted: after a first interrupt; the run can be resumed.
    """
    asked, clock, ends = setup.settings, state.clock, float("inf")
    if asked.time_budget is not None:
        ends = clock.began + asked.time_budget - clock.before.total - RESERVE
    arrays = [host_data(fold.prepared, problem) for fold, problem in zip(setup.folds, setup.plan.problems, strict=True)]
    tell = listening(setup, clock, lambda: trainer.stop(), on_event)
    with contextlib.ExitStack() as stack:
        keeper = None if folder is None else stack.enter_context(Keeper(folder / directory.CHECKPOINTS))
        trainer = stack.enter_context(
            Trainer(
                setup.plan,
                arrays,
                seed=asked.seed,
                on_event=tell,
                deadline=ends,
                devices=asked.devices,
                report_every=float("inf") if keeper is None else REPORT,
            )
        )

        def between(decided: bool) -> None:
            if interrupted.came is not None:
                trainer.settle(SETTLE)
                told = "nothing was written"
                if keeper is not None and folder is not None:
                    saved = keeper.save(state, trainer.begun)
                    told = f"go on with it by {directory.how_to_go_on(folder)}"
                    told += "" if saved else ", from an older checkpoint: the last one could not be written"
                begun = dict(trainer.begun)
                found = functools.cache(lambda: partial(setup, state, begun))
                raise Interrupted(f"interrupted; {told}", interrupted.dealt_with(), found)
            if keeper is not None:
                keeper.consider(state, trainer.begun, decided=decided)

        search(setup, trainer, state, tell, between)


def partial(setup: Setup, state: SweepState, begun: dict[int, TileResult]) -> Results | None:
    """What is known of a sweep that was interrupted.

    Args:
        setup: what had been settled.
        state: how far it was.
        begun: what tiles had learned that had not ended.
    """
    beyond = sum(setup.rounds) * state.records.repeats
    for result in begun.values():
        if result.trials[0] >= beyond:
            state.linear.record(result, first_trial=beyond)
        else:
            state.records.record(result)
    state.records.finish()
    return results_of(setup, state, "the sweep was interrupted: these are the results of what had been trained")


def results_of(setup: Setup, state: SweepState, *notes: str) -> Results | None:
    """Every trial, and the models that ranked highest; None where no configuration has a score.

    Args:
        setup: what was settled.
        state: after the last trial.
        notes: sentences to tell the user, beside those of the setup.
    """
    records = state.records
    highest = records.highest(np.array(sorted(records.weights), int), setup.settings.keep)
    if not highest:
        return None
    # A finished run that goes on has its winner's weights alone: what ranks below may be missing.
    ranked = records.highest(np.arange(len(records.configs)), setup.settings.keep)
    highest = list(itertools.takewhile(records.weights.__contains__, ranked)) or highest[:1]
    models = tuple(fitted(setup, records.configs[number], records.weights[number]) for number in highest)
    best, test, error, tied = judge(setup, records, models[0], highest[0])
    baselines = (constant(setup), *best_linear(setup, state.linear))
    status, prepared = records.status().tolist(), setup.folds[0].prepared
    trials, curves = trials_frame(records, setup.settings.folds), curves_frame(records, setup.plan.num_rows)
    return Results(
        request=request_of(setup),
        trials=trials,
        curves=curves,
        lineage=lineage_frame(records),
        summary=Summary(
            task=setup.dataset.task,
            metric=setup.metric.name,
            greater_is_better=setup.metric.greater_is_better,
            best=best,
            test=test,
            standard_error=error,
            num_tied=tied,
            baselines=baselines,
            num_trials=len(status),
            num_diverged=status.count("diverged"),
            num_pruned=status.count("pruned"),
            num_stopped=status.count("stopped"),
            num_epochs=int(records.epochs.sum()),
            num_programs=len(setup.plan.programs),
            num_train=len(prepared.train.x),
            num_valid=len(prepared.valid.x),
            num_test=len(prepared.test.x),
            seconds=state.clock.seconds(),
            notes=(*setup.notes, *notes),
        ),
        models=models,
        architecture=setup.architecture,
    )


def nothing_left(setup: Setup, records: Records) -> UserError:
    """What to say where no trial has a score."""
    broken, budget = int(records.diverged.sum()), setup.settings.time_budget
    # Some seeds or folds of a configuration may have trained well, and the others not at all.
    healthy = bool(((records.epochs > 0) & ~records.diverged).any())
    if budget is not None and (healthy or not broken):
        return UserError(
            f"the time budget of {budget:g} s ended before a configuration had trained for an epoch: give more time, "
            "or search fewer depths and widths"
        )
    return UserError(
        f"all {broken} trials that were trained diverged: search smaller learning rates, or look at the data for "
        "huge values"
    )
