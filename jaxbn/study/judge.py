"""How good the winner is: beside baselines, on rows that it has not seen, and against chance."""

import numpy as np

from jaxbn.data import Rows
from jaxbn.data.prepare import Prepared
from jaxbn.nn.types import Variables
from jaxbn.search import Config
from jaxbn.study.fitted import FittedModel
from jaxbn.study.records import Records
from jaxbn.study.score import constant_outputs, scores, standard_error
from jaxbn.study.setup import Setup
from jaxbn.study.summary import Baseline, Best

BASELINES = {"classification": "majority class", "regression": "mean"}
LINEAR_BASELINE = "best linear model"


def fitted(setup: Setup, config: Config, weights: Variables) -> FittedModel:
    """Weights of a first trial, with all that prediction from raw rows needs."""
    return FittedModel.of(config, weights, setup.dataset, setup.folds[0].prepared)


def judge(setup: Setup, records: Records, model: FittedModel, number: int) -> tuple[Best, dict[str, float], float, int]:
    """The winner with its validation scores, its test scores, its standard error, and how many tie with it.

    The standard error is of the mean over replicates and folds, or, where there is one trial, of the rows.
    """
    prepared, scale = setup.folds[0].prepared, setup.folds[0].prepared.target_scale
    config = {name: value for name, value in records.configs[number].row().items() if value is not None}
    names = [metric.name for metric in setup.metrics]
    everyone = np.arange(len(records.configs))
    final = records.final(everyone)
    best = Best(number * records.repeats, config, dict(zip(names, final[number].tolist(), strict=True)))
    test = scores(model.outputs(prepared.test.x), prepared.test, setup.metrics, scale)
    if records.repeats == 1:
        error = standard_error(model.outputs(prepared.valid.x), prepared.valid, setup.metric, scale)
    else:
        error = float(records.standard_error(np.array([number]), setup.settings.folds)[0])
    tied = (np.abs(final[:, setup.rank_by] - final[number, setup.rank_by]) <= error) & ~records.failed(everyone)
    return best, test, error, int(tied.sum())


def constant(setup: Setup) -> Baseline:
    """The baseline that looks at no feature; its validation scores are, like the winner's, means over the folds."""

    def score(prepared: Prepared, rows: Rows) -> dict[str, float]:
        outputs = constant_outputs(rows, prepared.train, prepared.num_outputs)
        return scores(outputs, rows, setup.metrics, prepared.target_scale)

    of_folds = [score(fold.prepared, fold.prepared.valid) for fold in setup.folds]
    valid = {name: float(np.mean([of_fold[name] for of_fold in of_folds])) for name in of_folds[0]}
    first = setup.folds[0].prepared
    return Baseline(BASELINES[setup.dataset.task], valid, score(first, first.test))


def best_linear(setup: Setup, linear: Records) -> tuple[Baseline, ...]:
    """The best of the linear models; none where all of them diverged or none was trained.

    Its validation scores are, like the winner's, means over replicates and folds.
    """
    prepared, scale = setup.folds[0].prepared, setup.folds[0].prepared.target_scale
    names = [metric.name for metric in setup.metrics]
    baselines = []
    for number in linear.highest(np.arange(len(linear.configs)), 1):
        model = fitted(setup, linear.configs[number], linear.weights[number])
        valid = dict(zip(names, linear.final(np.array([number]))[0].tolist(), strict=True))
        test = scores(model.outputs(prepared.test.x), prepared.test, setup.metrics, scale)
        baselines.append(Baseline(LINEAR_BASELINE, valid, test))
    return tuple(baselines)
