"""One trial of a finished sweep, trained again alone."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from jaxbn.data import Dataset, Split, fingerprint, fold_rows, load_data, prepare
from jaxbn.data.reading import Reading
from jaxbn.engine.data import host_data, problem_of
from jaxbn.engine.plan import plan_tiles
from jaxbn.engine.run import Event, Trainer, machine
from jaxbn.engine.tiles import Member
from jaxbn.errors import UserError
from jaxbn.search import HYPERPARAMETERS, Config, Rung, from_values
from jaxbn.study.fitted import FittedModel
from jaxbn.study.score import choose_metrics, scores
from jaxbn.study.weights import member as of_slot

if TYPE_CHECKING:
    from jaxbn.study.results import Results


def retrain(
    results: "Results",
    trial: int | None = None,
    *,
    data: Any = None,
    refit: bool = False,
    on_event: Callable[[Event], None] = lambda event: None,
) -> tuple[FittedModel, dict[str, dict[str, float]]]:
    """Train the configuration of a trial again, by itself.

    Args:
        results: of the sweep that it is from.
        trial: its number; None is the best.
        data: the data of the sweep, where they cannot be read from where the sweep read them.
        refit: train on the training and validation rows together, with preprocessing fitted on both, for a model that
            will be used. Otherwise the run is the trial's own run again.
        on_event: called as it trains.

    Returns:
        The fitted model; and its scores on "test", and on "validation" unless it was trained on those rows, by metric.

    Raises:
        UserError: no such trial; the data cannot be read again or are not the same; or training diverged.
    """
    request = results.request
    trial = results.best.trial if trial is None else trial
    config = config_of(results, trial)
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
    plan = plan_tiles(
        [config],
        None,
        [problem_of(prepared, dataset.task, tuple(metric.name for metric in metrics))] * request.folds,
        num_rows=[len(split.train)] * request.folds,
        rungs=[Rung(request.num_epochs, (1,))],
        rates=machine(),
    )
    arrays = [host_data(prepared, plan.problem)] * request.folds
    member = Member(0, config, replicate=replicate, fold=fold)
    with Trainer(plan, arrays, seed=request.seed, on_event=on_event) as trainer:
        (result,) = trainer.train(plan.pack([member], rung=0, start=0, until=plan.num_epochs))
    if result.diverged[0]:
        raise UserError(f"trial {trial} diverged in epoch {result.epochs[0]} when trained again: choose another trial")
    weights = of_slot(result.state.variables, result.tile.hyperparams, 0)
    model = FittedModel.of(config, weights, dataset, prepared)
    judged = {"test": prepared.test} if refit else {"validation": prepared.valid, "test": prepared.test}
    return model, {
        name: scores(model.outputs(rows.x), rows, metrics, prepared.target_scale) for name, rows in judged.items()
    }


def config_of(results: "Results", trial: int) -> Config:
    """The configuration of a trial, from its row.

    Raises:
        UserError: no such trial.
    """
    if not 0 <= trial < results.summary.num_trials:
        raise UserError(f"there is no trial {trial}: choose from 0 to {results.summary.num_trials - 1}")
    row = results.trials.row(trial, named=True)
    # What the configuration does not use is null in its row, and its default does as well as any other value.
    values = {name: row[name] for name in HYPERPARAMETERS if row[name] is not None}
    units = values.get("hidden_units")
    if isinstance(units, str):
        values["hidden_units"] = tuple(int(n) for n in units.split("-")) if "-" in units else int(units)
    return from_values(**values)


def dataset_of(results: "Results", data: Any = None) -> Dataset:
    """The data of a sweep, read again, or given again and checked.

    Raises:
        UserError: they cannot be read again, or are not the same.
    """
    request = results.request
    if data is None and request.source is None:
        raise UserError("the sweep was given arrays, which its run does not hold: give the data again")
    if isinstance(data, Dataset):
        dataset = data
    elif isinstance(data, tuple):
        dataset = load_data(data, task=request.task)  # type: ignore[arg-type]
    else:
        source = request.source if data is None else data
        if isinstance(source, str) and "/" in source and not Path(source).exists():
            raise UserError(f"the data of the sweep, {source!r}, is not there any more: give the data again")
        reading = Reading.from_json(request.reading)
        dataset = load_data(
            source,
            target=reading.target,
            task=request.task,  # type: ignore[arg-type]
            drop=reading.dropped,
            group=reading.group,
            header=reading.header,
            test=request.test_source,
        )
    if fingerprint(dataset) != request.fingerprint:
        raise UserError(
            f"the data in {dataset.source or dataset.name!r} are not those of the sweep: "
            "give the data as they were, or sweep again"
        )
    return dataset
