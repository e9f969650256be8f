"""Which metric ranks, how good predictions are, and how sure one can be of it."""

import functools
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxbn.data.prepare import Rows, TargetScale
from jaxbn.engine.programs import IN_UNITS, METRICS
from jaxbn.errors import UserError, unknown
from jaxbn.nn.metrics import Metric

DEFAULT_METRIC = {"classification": "accuracy", "regression": "r2"}
NUM_RESAMPLES = 200


def choose_metrics(metric: str | None, task: str) -> tuple[tuple[Metric, ...], int]:
    """The metrics that a sweep records, and the place of the one that ranks.

    Always the loss and the task's default metric; and the one that was asked for.

    Raises:
        UserError: the task has no such metric.
    """
    table = {m.name: m for m in METRICS[task]}
    wanted = metric or DEFAULT_METRIC[task]
    if not isinstance(wanted, str):
        raise UserError(f"metric = {metric!r} is no name: choose from {', '.join(table)}")
    if wanted not in table:
        other = next(name for name in METRICS if name != task)
        if wanted in {m.name for m in METRICS[other]}:
            raise UserError(f"metric {wanted!r} is for {other} and the task is {task}: choose from {', '.join(table)}")
        raise unknown("metric", wanted, table)
    names = list(dict.fromkeys(("loss", DEFAULT_METRIC[task], wanted)))
    return tuple(table[name] for name in names), names.index(wanted)


def has_curve(labels: np.ndarray) -> bool:
    """Whether rows with these labels have a ROC curve, for which they must be of two classes at least.

    Example:
        >>> has_curve(np.array([1, 1, 0])), has_curve(np.array([1, 1]))
        (True, False)
    """
    return bool((labels != labels[:1]).any())


def check_classes(metric: Metric, judged: Sequence[np.ndarray]) -> None:
    """Refuse to rank trials by a score that their validation rows do not have.

    Args:
        metric: what is to rank.
        judged: the target of the validation rows of each fold.

    Raises:
        UserError: the metric is the area under the ROC curve, and some rows are all of one class.
    """
    if metric.name == "roc_auc" and not all(map(has_curve, judged)):
        where = "the validation rows are" if len(judged) == 1 else "the validation rows of a fold are"
        raise UserError(
            f"{where} of one class, which have no ROC curve to rank by: choose another metric, or divide the rows "
            "otherwise, by valid_fraction, seed or group"
        )


def scores(
    outputs: np.ndarray, rows: Rows, metrics: tuple[Metric, ...], target_scale: TargetScale | None
) -> dict[str, float]:
    """Each metric of a network's outputs [N, C] on rows, by name; regression metrics in the units of the data."""
    where = jnp.ones(len(outputs), bool)
    return {
        metric.name: float(metric.score(*_scaled(metric, outputs, rows.y, target_scale), where)) for metric in metrics
    }


def standard_error(outputs: np.ndarray, rows: Rows, metric: Metric, target_scale: TargetScale | None) -> float:
    """How far a score would scatter with other rows of the same kind: by the bootstrap (Efron 1979).

    Args:
        outputs: of a network, [N, C].
        rows: the split that it is judged by.
        metric: the score.
        target_scale: of a regression.

    Returns:
        The standard deviation of the score over resamples of the rows, or over those that have such a score: 0 where
        none has.
    """
    draws = np.random.default_rng(0).integers(0, len(outputs), (NUM_RESAMPLES, len(outputs)))
    if metric.name == "roc_auc":
        # The 0 that the metric has for rows of one class would count as scatter.
        draws = draws[[has_curve(rows.y[draw]) for draw in draws]]
    if not len(draws):
        return 0.0
    given, y = _scaled(metric, outputs, rows.y, target_scale)
    where = jnp.ones(len(outputs), bool)
    # A few at a time: all resamples of a large split at once would not fit into memory.
    one = functools.partial(jax.lax.map, lambda draw: metric.score(given[draw], y[draw], where), batch_size=8)
    resampled = jax.jit(one)(draws)
    return float(np.std(resampled))


def _scaled(metric: Metric, outputs: np.ndarray, y: np.ndarray, target_scale: TargetScale | None) -> tuple[Any, Any]:
    if target_scale is None or metric.name not in IN_UNITS:
        return jnp.asarray(outputs), jnp.asarray(y)
    scale = np.asarray(target_scale.scale, outputs.dtype)[None]
    return jnp.asarray(outputs * scale), jnp.asarray(y * scale)


def constant_outputs(rows: Rows, train: Rows, num_outputs: int) -> np.ndarray:
    """Outputs of the simplest baseline, [N, C]: the class frequencies, or the mean, of the training rows."""
    if np.issubdtype(train.y.dtype, np.integer):
        frequency = np.bincount(train.y, minlength=num_outputs) / len(train.y)
        # A class that training lacks gets the probability of one row in a million instead of a loss of infinity.
        one = np.log(np.maximum(frequency, 1e-6))
    else:
        one = train.y.mean(0)
    return np.tile(one.astype(np.float32), (len(rows.x), 1))
