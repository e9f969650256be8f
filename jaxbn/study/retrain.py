"""One trial of a finished sweep, trained again alone."""

import dataclasses
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from jaxbn.data import Dataset, Prepared, Split, fold_rows, prepare
from jaxbn.engine.data import host_data, problem_of
from jaxbn.engine.machine import workers
from jaxbn.engine.plan import Plan
from jaxbn.engine.programs import Problem
from jaxbn.engine.run import Event, Trainer
from jaxbn.errors import UserError
from jaxbn.nn.metrics import Metric
from jaxbn.search import Padding
from jaxbn.study.fitted import FittedModel
from jaxbn.study.line import Point, Schedule, follow
from jaxbn.study.lineage import schedule_of
from jaxbn.study.origin import Origin
from jaxbn.study.recorded_plan import recorded_padding, recorded_plan
from jaxbn.study.request import check_x64
from jaxbn.study.score import choose_metrics, scores

if TYPE_CHECKING:
    from jaxbn.study.results import Results


@dataclasses.dataclass(frozen=True, eq=False)
class Case:
    """A trial with its data.

    Attributes:
        schedule: the hyperparameters that it lived.
        replicate: its seed.
        fold: its split.
        folds: of the sweep.
        seed: of the sweep.
        dataset: of the sweep.
        prepared: the arrays of its split.
        problem: their sizes.
        metrics: what is recorded; the first is the loss.
    """

    schedule: Schedule
    replicate: int
    fold: int
    folds: int
    seed: int
    dataset: Dataset
    prepared: Prepared
    problem: Problem
    metrics: tuple[Metric, ...]

    def points(self, plan: Plan, until: int, on_event: Callable[[Event], None]) -> Iterator[Point]:
        """Train it through its schedule with the programs of a plan, which has a problem for each fold."""
        arrays = [host_data(self.prepared, self.problem)] * self.folds
        with Trainer(plan, arrays, seed=self.seed, on_event=on_event, devices=1) as trainer:
            yield from follow(trainer, self.schedule, until, replicate=self.replicate, fold=self.fold)

    def model(self, point: Point) -> FittedModel:
        """Its network after an epoch."""
        return FittedModel.of(point.config, point.weights, self.dataset, self.prepared)


def retrain(
    results: "Results",
    trial: int | None = None,
    *,
    data: Any = None,
    refit: bool = False,
    on_event: Callable[[Event], None] = lambda event: None,
) -> tuple[FittedModel, dict[str, dict[str, float]]]:
    """Train the configuration of a trial again, by itself, for as many epochs as it trained.

    Where its hyperparameters changed while it trained, they change again.

    Args:
        results: of the sweep that it is from.
        trial: its number; None is the best.
        data: the data of the sweep, where they cannot be read from where the sweep read them.
        refit: train on the training and validation rows together, with preprocessing fitted on both, for a model that
            will be used. Otherwise, on the same kind of device, it is the trial's own run again, as `replay` has it, in
            a tile of as many copies.
        on_event: called as it trains.

    Returns:
        The fitted model; and its scores on "test", and on "validation" unless it was trained on those rows, by metric.

    Raises:
        UserError: no such trial; the data cannot be read again or are not the same; or training diverged.
    """
    request = results.request
    trial = results.best.trial if trial is None else trial
    case = case_of(results, trial, data, refit=refit)
    prepared = case.prepared
    # The sweep's padding and T mean its bits on its own kind of device, and nothing elsewhere.
    device = workers(1)[0]
    again = not refit and request.device == f"{device.platform}: {device.device_kind}"
    plan = recorded_plan(
        request,
        case.schedule,
        [case.problem] * case.folds,
        num_rows=len(prepared.train.x),
        padding=recorded_padding(request) if again else Padding(precision=request.precision),
        tile_size=None if again else 1,
    )
    *_, last = case.points(plan, results.trials["epochs"][trial] or request.num_epochs, on_event)
    if last.diverged:
        raise UserError(
            f"trial {trial} diverged in epoch {last.observed.epoch} when trained again: choose another trial"
        )
    model = case.model(last)
    judged = {"test": prepared.test} if refit else {"validation": prepared.valid, "test": prepared.test}
    return model, {
        name: scores(model.outputs(rows.x), rows, case.metrics, prepared.target_scale) for name, rows in judged.items()
    }


def case_of(results: "Results", trial: int, data: Any = None, *, refit: bool = False) -> Case:
    """A trial of a sweep, ready to be trained again.

    Args:
        results: of the sweep.
        trial: its number.
        data: the data of the sweep, where they cannot be read again.
        refit: whether its training rows are to be those for training and for validation together.

    Raises:
        UserError: no such trial; the data cannot be read again or are not the same; or the sweep trained in 64 bits and
            this process does not, or the other way round.
    """
    request = results.request
    check_x64(request)
    schedule = schedule_of(results, trial)
    dataset = dataset_of(results, data)
    splits, _ = fold_rows(
        dataset,
        num_folds=request.folds,
        seed=request.seed,
        valid_fraction=request.valid_fraction,
        test_fraction=request.test_fraction,
    )
    replicate, fold = divmod(trial % (request.replicates * request.folds), request.folds)
    split = splits[fold]
    if refit:
        split = Split(np.sort(np.concatenate([split.train, split.valid])), split.valid, split.test)
    prepared = prepare(dataset, split, class_weight=request.class_weight)
    metrics, _ = choose_metrics(results.summary.metric, dataset.task)
    names = tuple(metric.name for metric in metrics)
    return Case(
        schedule,
        replicate,
        fold,
        request.folds,
        request.seed,
        dataset,
        prepared,
        problem_of(prepared.train, prepared.valid, dataset.task, prepared.num_outputs, names, results.architecture),
        metrics,
    )


def dataset_of(results: "Results", data: Any = None) -> Dataset:
    """The data of a sweep, read again, or given again and checked.

    Raises:
        UserError: they cannot be read again, or are not the same.
    """
    return Origin.recorded(results.request).read(data)
