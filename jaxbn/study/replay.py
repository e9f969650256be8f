"""One trial of a finished sweep, bit for bit: with the programs that the sweep had."""

import dataclasses
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from jaxbn.engine.run import Event
from jaxbn.errors import UserError
from jaxbn.search import Padding
from jaxbn.study.fitted import FittedModel
from jaxbn.study.line import Observed, Schedule
from jaxbn.study.recorded_plan import recorded_padding, recorded_plan
from jaxbn.study.retrain import case_of

if TYPE_CHECKING:
    import polars as pl

    from jaxbn.study.results import Results


@dataclasses.dataclass(frozen=True, eq=False)
class Replay:
    """A trial's run again.

    Attributes:
        trial: its number.
        schedule: the hyperparameters that it lived.
        curves: a row for each epoch, with the columns that the curves of the sweep have.
        model: its network after the last epoch.
    """

    trial: int
    schedule: Schedule
    curves: "pl.DataFrame"
    model: FittedModel


def replay(
    results: "Results",
    trial: int | None = None,
    *,
    data: Any = None,
    tile_size: int | None = None,
    padding: Padding | None = None,
    on_event: Callable[[Event], None] = lambda event: None,
) -> Replay:
    """Train a trial again as one run, from its initial weights through every hyperparameter that it lived.

    In population-based training the past of a trial is that of the trials whose states it took over. With the padding
    and T of the sweep, which its record holds, on the same kind of machine the last epoch has the sweep's bits; where T
    became less from rung to rung, all epochs are trained with the first T, and agree to rounding.

    Args:
        results: of the sweep.
        trial: its number; None is the best.
        data: the data of the sweep, where they cannot be read from where the sweep read them.
        tile_size: T; None is that of the sweep.
        padding: what widths and mini-batches are padded to; None is that of the sweep.
        on_event: called as it trains.

    Returns:
        What was lived, seen and learned.

    Raises:
        UserError: no such trial, or it had not begun; or the data cannot be read again or are not the same.
    """
    trial = results.best.trial if trial is None else trial
    case, request = case_of(results, trial, data), results.request
    plan = recorded_plan(
        request,
        case.schedule,
        [case.problem] * case.folds,
        num_rows=len(case.prepared.train.x),
        tile_size=tile_size,
        padding=dataclasses.replace(padding or recorded_padding(request), precision=request.precision),
    )
    until = int(results.trials["epochs"][trial])
    if not until:
        raise UserError(f"trial {trial} had not trained for an epoch when the sweep ended: choose another trial")
    points = list(case.points(plan, until, on_event))
    curves = curves_frame([point.observed for point in points], tuple(metric.name for metric in case.metrics))
    return Replay(trial, case.schedule, curves, case.model(points[-1]))


def curves_frame(observed: Sequence[Observed], metrics: Sequence[str]) -> "pl.DataFrame":
    """A row for each epoch: epoch, learning_rate, train_loss, valid_loss and the other scores."""
    import polars as pl

    columns: dict[str, Any] = {
        "epoch": pl.Series([one.epoch for one in observed], dtype=pl.Int64),
        "learning_rate": pl.Series([one.learning_rate for one in observed], dtype=pl.Float64),
        "train_loss": pl.Series([one.train_loss for one in observed], dtype=pl.Float64),
    }
    for place, name in enumerate(metrics):
        columns[f"valid_{name}"] = pl.Series([one.scores[place] for one in observed], dtype=pl.Float64)
    return pl.DataFrame(columns)
