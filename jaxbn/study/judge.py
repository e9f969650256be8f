"""How good the winner is: beside baselines, on rows that it has not seen, and against chance."""

import numpy as np

from jaxbn.data import Rows
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
    """The baseline that looks at no feature."""
    prepared, scale = setup.folds[0].prepared, setup.folds[0].prepared.target_scale

    def score(rows: Rows) -> dict[str, float]:
        return scores(constant_outputs(rows, prepared.train, prepared.num_outputs), rows, setup.metrics, scale)

    return Baseline(BASELINES[setup.dataset.task], score(prepared.valid), score(prepared.test))


def best_linear(setup: Setup, linear: Records) -> tuple[Baseline, ...]:
    """The best of the linear models; none where all of them diverged or none was trained."""
    prepared, scale = setup.folds[0].prepared, setup.folds[0].prepared.target_scale
    baselines = []
    for number in linear.highest(np.arange(len(linear.configs)), 1):
        model = fitted(setup, linear.configs[number], linear.weights[number])
        valid, test = (
            scores(model.outputs(rows.x), rows, setup.metrics, scale) for rows in (prepared.valid, prepared.test)
        )
        baselines.append(Baseline(LINEAR_BASELINE, valid, test))
    return tuple(baselines)
