"""A sweep from the question to the results."""

import importlib.metadata
import json
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np

from jaxbn.data import fingerprint
from jaxbn.engine.data import host_data
from jaxbn.engine.machine import workers
from jaxbn.engine.memory import check_memory
from jaxbn.engine.run import Trainer
from jaxbn.errors import UserError
from jaxbn.search import Config, Space
from jaxbn.study import run_dir as directory
from jaxbn.study.clock import Clock
from jaxbn.study.frames import curves_frame, lineage_frame, trials_frame
from jaxbn.study.judge import best_linear, constant, fitted, judge
from jaxbn.study.loop import Listener, listening, search
from jaxbn.study.records import Records
from jaxbn.study.results import Results
from jaxbn.study.settings import settings_of
from jaxbn.study.setup import RESERVE, Setup, set_up
from jaxbn.study.summary import Request, Summary


def sweep(
    space: Space | Sequence[Config] | None = None,
    data: Any = "digits",
    *,
    run_dir: str | Path | None = None,
    overwrite: bool = False,
    on_start: Callable[[Setup], None] | None = None,
    on_event: Listener | None = None,
    import_seconds: float = 0.0,
    **settings: Any,
) -> Results:
    """Train a population of networks at once, each with hyperparameters of its own, and rank them.

    Args:
        space: what to search; None is the default space; a list of configurations is trained as it stands.
        data: a `Dataset`, or what `load_data` reads: a built-in name, a path, arrays, a data frame.
        run_dir: where to write the run; None writes nothing.
        overwrite: replace a run that is there.
        on_start: called with what has been settled, before anything compiles.
        on_event: called, also from worker threads, as programs and epochs finish and configurations are ranked.
        import_seconds: time that had gone before the call.
        **settings: how to search: the fields of `Settings`, such as `num_configs`, `num_epochs`, `sampler`,
            `scheduler`, `metric`, `replicates`, `folds`, `time_budget`, `seed`.

    Returns:
        Every trial, and the models that ranked highest.

    Raises:
        UserError: something that was asked for cannot be done, or every trial diverged.

    Example:
        >>> results = sweep(Space(learning_rate=0.03, hidden_units=16), "iris", num_configs=1)
        >>> results.best_model.predict([[5.1, 3.5, 1.4, 0.2]])
        array(['setosa'], dtype='<U10')
    """
    began = time.perf_counter()
    asked = settings_of(settings)
    if run_dir is not None:
        directory.check_free(run_dir, overwrite=overwrite)
    setup = set_up(space, data, asked, elapsed=import_seconds)
    check_memory(setup.plan, workers(asked.devices)[0])
    if on_start is not None:
        on_start(setup)

    clock, ends = Clock(), float("inf")
    if asked.time_budget is not None:
        ends = began - import_seconds + asked.time_budget - RESERVE
    records = Records.empty(asked.num_epochs, setup.metrics, setup.rank_by, repeats=asked.repeats, keep=asked.keep)
    linear = Records.empty(asked.num_epochs, setup.metrics, setup.rank_by, repeats=asked.repeats)
    arrays = [host_data(fold.prepared, problem) for fold, problem in zip(setup.folds, setup.plan.problems, strict=True)]
    tell = listening(setup, clock, lambda: trainer.stop(), on_event)
    with Trainer(setup.plan, arrays, seed=asked.seed, on_event=tell, deadline=ends, devices=asked.devices) as trainer:
        search(setup, trainer, records, linear, clock, tell)

    highest = records.highest(np.array(sorted(records.weights), int), asked.keep)
    if not highest:
        raise nothing_left(setup, records)
    models = tuple(fitted(setup, records.configs[number], records.weights[number]) for number in highest)
    best, test, error, tied = judge(setup, records, models[0], highest[0])
    baselines = (constant(setup), *best_linear(setup, linear))
    status = records.status().tolist()
    results = Results(
        request=request(setup),
        trials=trials_frame(records, asked.folds),
        curves=curves_frame(records, setup.plan.num_rows),
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
            num_train=len(setup.folds[0].prepared.train.x),
            num_valid=len(setup.folds[0].prepared.valid.x),
            num_test=len(setup.folds[0].prepared.test.x),
            seconds=clock.seconds(time.perf_counter() - began, import_seconds),
            notes=setup.notes,
        ),
        models=models,
    )
    if run_dir is not None:
        results.save(run_dir, overwrite=overwrite)
    return results


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


def request(setup: Setup) -> Request:
    """What was asked for and where it ran."""
    device, asked = jax.local_devices()[0], setup.settings
    weight = asked.class_weight
    return Request(
        space=None if setup.space is None else setup.space.to_json(),
        num_configs=asked.num_configs,
        num_epochs=asked.num_epochs,
        sampler=setup.sampler.name,
        num_rounds=len(setup.rounds),
        enqueued=len(asked.enqueue),
        scheduler=setup.scheduler.name,
        rungs=[{"epochs": rung.epochs, "survivors": list(rung.survivors)} for rung in setup.plan.rungs],
        patience=asked.patience,
        replicates=asked.replicates,
        folds=asked.folds,
        time_budget=asked.time_budget,
        target_score=asked.target_score,
        seed=asked.seed,
        valid_fraction=asked.valid_fraction,
        test_fraction=asked.test_fraction,
        class_weight={str(k): float(v) for k, v in weight.items()} if isinstance(weight, Mapping) else weight,
        source=setup.dataset.source,
        test_source=setup.dataset.test_source,
        reading=json.loads(json.dumps(setup.dataset.reading.to_json())),
        task=setup.dataset.task,
        fingerprint=fingerprint(setup.dataset),
        versions={name: importlib.metadata.version(name) for name in ("jaxbn", "jax", "jaxlib", "flax", "optax")},
        device=f"{device.platform}: {device.device_kind}",
        programs=[
            {
                "widths": list(program.spec.widths),
                "batch_size": program.spec.batch_size,
                "optimizers": list(program.spec.optimizers),
                "activation": program.spec.activation,
                "normalization": program.spec.normalization,
                "precision": program.spec.precision,
                "tile_size": program.tile_size,
            }
            for program in setup.plan.programs
        ],
        devices=len(set(workers(asked.devices))),
    )
