"""The sweep: propose, train, rank."""

import contextlib
import dataclasses
import importlib.metadata
import json
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np

from jaxbn.data import fingerprint
from jaxbn.data.prepare import ClassWeight, Rows
from jaxbn.engine.data import host_data
from jaxbn.engine.run import Compiled, Event, run
from jaxbn.errors import UserError
from jaxbn.nn.types import Variables
from jaxbn.search import Config, Propose, Space
from jaxbn.study import run_dir as directory
from jaxbn.study.fitted import FittedModel
from jaxbn.study.frames import curves_frame, trials_frame
from jaxbn.study.history import History
from jaxbn.study.results import Results
from jaxbn.study.score import constant_outputs, scores, standard_error
from jaxbn.study.setup import Setup, set_up
from jaxbn.study.summary import Baseline, Best, Request, Seconds, Summary

BASELINES = {"classification": "majority class", "regression": "mean"}
LINEAR_BASELINE = "best linear model"


def sweep(
    space: Space | Sequence[Config] | None = None,
    data: Any = "digits",
    *,
    num_configs: int = 256,
    num_epochs: int = 20,
    sampler: str | Propose = "random",
    metric: str | None = None,
    seed: int = 0,
    valid_fraction: float = 0.2,
    test_fraction: float = 0.2,
    class_weight: ClassWeight = None,
    keep: int = 16,
    run_dir: str | Path | None = None,
    overwrite: bool = False,
    tile_size: int | None = None,
    on_start: Callable[[Setup], None] | None = None,
    on_event: Callable[[Event], None] | None = None,
    import_seconds: float = 0.0,
) -> Results:
    """Train a population of networks at once, each with hyperparameters of its own, and rank them.

    Args:
        space: what to search; None is the default space; a list of configurations is trained as it stands.
        data: a `Dataset`, or what `load_data` reads: a built-in name, a path, arrays, a data frame.
        num_configs: how many configurations to try.
        num_epochs: how long to train each.
        sampler: "random", "grid" or "sobol", or a function `(seed, space, history, num_configs) -> configs`.
        metric: what ranks, on the validation split: loss, accuracy, balanced_accuracy, roc_auc, f1 or log_loss;
            loss, r2, mse or mae for regression. By default accuracy, or r2.
        seed: of the split, the sampler, weights, data order and dropout.
        valid_fraction: share of the rows to rank by.
        test_fraction: share of the rows to judge the winner by, once.
        class_weight: None, "balanced", or a weight for each class, in the training loss.
        keep: how many of the highest-ranked trials keep their weights.
        run_dir: where to write the run; None writes nothing.
        overwrite: replace a run that is there.
        tile_size: members that train together; None leaves it to the planner.
        on_start: called with what has been settled, before anything compiles.
        on_event: called from worker threads as programs and epochs finish.
        import_seconds: what to report as the time before the sweep.

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
    if run_dir is not None:
        directory.check_free(run_dir, overwrite=overwrite)
    setup = set_up(
        space,
        data,
        num_configs=num_configs,
        num_epochs=num_epochs,
        sampler=sampler,
        metric=metric,
        seed=seed,
        valid_fraction=valid_fraction,
        test_fraction=test_fraction,
        class_weight=class_weight,
        keep=keep,
        tile_size=tile_size,
    )
    if on_start is not None:
        on_start(setup)

    trials = range(len(setup.configs))
    linear = range(len(trials), len(trials) + len(setup.linear))
    history = History.empty(num_epochs, setup.metrics, setup.rank_by, ((trials, keep), (linear, 1)))
    clock = Clock()
    arrays = host_data(setup.prepared, setup.plan.problem)
    # Closed even where an interrupt comes between two tiles: its threads would otherwise train on.
    tiles = run(setup.plan, arrays, seed=seed, on_event=clock.watch(on_event))
    with contextlib.closing(tiles):
        for tile in tiles:
            clock.training.append((tile.start, tile.start + tile.seconds))
            history.record(tile)

    highest = history.highest(trials, keep)
    if not highest:
        raise UserError(
            f"all {len(trials)} trials diverged: search smaller learning rates, or look at the data for huge values"
        )
    models = tuple(fitted(setup, setup.configs[trial], history.weights[trial]) for trial in highest)
    best, test, error, tied = judge(setup, history, models[0], highest[0])
    baselines = (constant(setup), *best_linear(setup, history, linear))
    total = time.perf_counter() - began
    results = Results(
        request=request(setup, sampler, valid_fraction, test_fraction, class_weight),
        trials=trials_frame(setup.configs, history),
        curves=curves_frame(setup.configs, history, len(setup.split.train)),
        summary=Summary(
            task=setup.dataset.task,
            metric=setup.metric.name,
            greater_is_better=setup.metric.greater_is_better,
            best=best,
            test=test,
            standard_error=error,
            num_tied=tied,
            baselines=baselines,
            num_trials=len(trials),
            num_diverged=int(history.diverged[trials].sum()),
            num_programs=len(setup.plan.programs),
            num_train=len(setup.prepared.train.x),
            num_valid=len(setup.prepared.valid.x),
            num_test=len(setup.prepared.test.x),
            seconds=clock.seconds(total, import_seconds),
            notes=setup.notes,
        ),
        models=models,
    )
    if run_dir is not None:
        results.save(run_dir, overwrite=overwrite)
    return results


@dataclasses.dataclass(frozen=True)
class Clock:
    """When something was compiling, and when something was training: pairs of start and end."""

    compiling: list[tuple[float, float]] = dataclasses.field(default_factory=list)
    training: list[tuple[float, float]] = dataclasses.field(default_factory=list)

    def watch(self, on_event: Callable[[Event], None] | None) -> Callable[[Event], None]:
        """A listener that notes compilations and passes everything on."""

        def listen(event: Event) -> None:
            if isinstance(event, Compiled):
                self.compiling.append((event.start, event.start + event.seconds))
            if on_event is not None:
                on_event(event)

        return listen

    def seconds(self, total: float, import_seconds: float) -> Seconds:
        """Each moment counted once, however many were at it."""
        return Seconds(import_seconds, covered(self.compiling), covered(self.training), import_seconds + total)


def covered(intervals: Sequence[tuple[float, float]]) -> float:
    """The length of the union of intervals.

    Example:
        >>> covered([(0.0, 2.0), (1.0, 3.0), (5.0, 6.0)])
        4.0
    """
    length, reached = 0.0, float("-inf")
    for start, end in sorted(intervals):
        length += max(end - max(start, reached), 0.0)
        reached = max(reached, end)
    return length


def fitted(setup: Setup, config: Config, weights: Variables) -> FittedModel:
    """Weights, with all that prediction from raw rows needs."""
    return FittedModel.of(config, weights, setup.dataset, setup.prepared)


def judge(setup: Setup, history: History, model: FittedModel, trial: int) -> tuple[Best, dict[str, float], float, int]:
    """The winner with its validation scores, its test scores, its standard error, and how many tie with it."""
    prepared, scale = setup.prepared, setup.prepared.target_scale
    config = {name: value for name, value in setup.configs[trial].row().items() if value is not None}
    final = history.final(np.arange(len(setup.configs)))
    names = [metric.name for metric in setup.metrics]
    best = Best(trial, config, dict(zip(names, final[trial].tolist(), strict=True)))
    test = scores(model.outputs(prepared.test.x), prepared.test, setup.metrics, scale)
    error = standard_error(model.outputs(prepared.valid.x), prepared.valid, setup.metric, scale)
    behind = np.abs(final[:, setup.rank_by] - final[trial, setup.rank_by])
    tied = (behind <= error) & ~history.diverged[: len(setup.configs)]
    return best, test, error, int(tied.sum())


def constant(setup: Setup) -> Baseline:
    """The baseline that looks at no feature."""
    prepared, scale = setup.prepared, setup.prepared.target_scale

    def score(rows: Rows) -> dict[str, float]:
        return scores(constant_outputs(rows, prepared.train, prepared.num_outputs), rows, setup.metrics, scale)

    return Baseline(BASELINES[setup.dataset.task], score(prepared.valid), score(prepared.test))


def best_linear(setup: Setup, history: History, linear: range) -> tuple[Baseline, ...]:
    """The best of the linear models; none where all of them diverged."""
    prepared, scale = setup.prepared, setup.prepared.target_scale
    baselines = []
    for trial in history.highest(linear, 1):
        model = fitted(setup, setup.linear[trial - linear.start], history.weights[trial])
        valid, test = (
            scores(model.outputs(rows.x), rows, setup.metrics, scale) for rows in (prepared.valid, prepared.test)
        )
        baselines.append(Baseline(LINEAR_BASELINE, valid, test))
    return tuple(baselines)


def request(
    setup: Setup,
    sampler: str | Propose,
    valid_fraction: float,
    test_fraction: float,
    class_weight: ClassWeight,
) -> Request:
    """What was asked for and where it ran."""
    device = jax.local_devices()[0]
    return Request(
        space=None if setup.space is None else setup.space.to_json(),
        num_configs=len(setup.configs),
        num_epochs=setup.num_epochs,
        sampler=sampler if isinstance(sampler, str) else getattr(sampler, "__name__", "custom"),
        seed=setup.seed,
        valid_fraction=valid_fraction,
        test_fraction=test_fraction,
        class_weight={str(label): float(weight) for label, weight in class_weight.items()}
        if isinstance(class_weight, Mapping)
        else class_weight,
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
                "tile_size": program.tile_size,
            }
            for program in setup.plan.programs
        ],
    )
