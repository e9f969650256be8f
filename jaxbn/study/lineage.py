"""The hyperparameters that a trial lived, epoch after epoch, in itself and in the trials whose states it took over."""

from typing import TYPE_CHECKING

from jaxbn.errors import UserError
from jaxbn.study.line import Schedule, Segment
from jaxbn.study.per_config import config_of

if TYPE_CHECKING:
    from jaxbn.study.results import Results


def schedule_of(results: "Results", trial: int) -> Schedule:
    """The schedule of hyperparameters that ended in a trial's network.

    A trial of population-based training that took over another's state has that one's past: its weights are what one
    training run through this schedule makes of the initial weights.

    Args:
        results: of any sweep.
        trial: its number.

    Returns:
        Hyperparameters from epoch to epoch, beginning at 0; one segment where they never changed.

    Raises:
        UserError: there is no such trial.
    """
    import polars as pl

    if not 0 <= trial < results.summary.num_trials:
        raise UserError(f"there is no trial {trial}: choose from 0 to {results.summary.num_trials - 1}")
    segments: list[Segment] = []
    rows = results.lineage.filter(pl.col("trial") == trial)
    while len(rows):
        row = rows.sort("epoch").row(-1, named=True)
        config = config_of(row, results.architecture)
        if segments and segments[0].config == config:
            segments[0] = Segment(row["epoch"], config)
        else:
            segments.insert(0, Segment(row["epoch"], config))
        rows = results.lineage.filter(pl.col("trial") == row["source"], pl.col("epoch") < row["epoch"])
    return tuple(segments) or (Segment(0, config_of(results.trials.row(trial, named=True), results.architecture)),)
