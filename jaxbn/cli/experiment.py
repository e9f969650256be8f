"""What a sweep is told: the arguments of `jaxbn sweep` and `jaxbn plan`."""

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, cast

from tyro.conf import Positional, arg

from jaxbn.cli.options import Count, File, Flag, Fraction

if TYPE_CHECKING:
    from jaxbn.data import Dataset
    from jaxbn.search import Space


@dataclasses.dataclass(frozen=True)
class Experiment:
    """The arguments; the docstring of each is its help."""

    data: Annotated[Positional[str], arg(metavar="[DATA]", help_behavior_hint="(default: digits)")] = "digits"
    """digits, breast_cancer, wine, iris, diabetes, mnist5k, or a path: CSV, TSV, Parquet, NPZ, IDX folder."""
    target: Annotated[str | None, arg(metavar="T", help_behavior_hint="(default: by its name, or the last)")] = None
    """The column to predict: a name, or a number from 0."""
    space: Annotated[Path | None, arg(metavar="FILE", help_behavior_hint="(default: see jaxbn space)")] = None
    """What to search, in TOML."""
    num_configs: Count = 256
    """How many configurations to try."""
    num_epochs: Count = 20
    """How many epochs to train each."""
    sampler: Annotated[str, arg(metavar="random|grid|sobol")] = "random"
    """How configurations are chosen."""
    metric: Annotated[str | None, arg(metavar="M", help_behavior_hint="(default: accuracy, or r2)")] = None
    """What ranks: accuracy, balanced_accuracy, roc_auc, f1, log_loss or loss; r2, mse, mae or loss."""
    task: Annotated[str | None, arg(metavar="classification|regression", help_behavior_hint="(default: found out)")] = (
        None
    )
    """What is to be learned."""
    seed: Count = 0
    """Of the split, the configurations, weights, data order and dropout."""
    out: Annotated[Path | None, arg(metavar="DIR", help_behavior_hint="(default: runs/DATA-TIME)")] = None
    """Where to write the run."""
    overwrite: Flag = False
    """Replace a run that is there."""
    valid_fraction: Fraction = 0.2
    """Share of the rows to rank by."""
    test_fraction: Fraction = 0.2
    """Share of the rows to judge the winner by."""
    test_data: File = None
    """Rows to judge the winner by, read like DATA, instead of a share of it."""
    class_weight: Annotated[str | None, arg(metavar="balanced", help_behavior_hint="")] = None
    """Let every class count the same in training."""
    drop: Annotated[tuple[str, ...], arg(metavar="COL", help_behavior_hint="")] = ()
    """Columns to leave out: names, or numbers from 0."""
    group: Annotated[str | None, arg(metavar="COL", help_behavior_hint="")] = None
    """A column whose equal values must not be split over training, validation and test."""
    header: Flag = True
    """The first row of the file is data, not names."""
    json: Flag = False
    """Print one JSON object on one line, and nothing else."""


def dataset_of(experiment: Experiment) -> "Dataset":
    """The data, read as asked.

    Raises:
        UserError: they cannot be read.
    """
    from jaxbn.data import load_data

    return load_data(
        experiment.data,
        target=experiment.target,
        # Any other word is refused by `load_data`, with the words that there are.
        task=cast('Literal["classification", "regression"] | None', experiment.task),
        drop=experiment.drop,
        group=experiment.group,
        header=None if experiment.header else False,
        test=experiment.test_data,
    )


def space_of(experiment: Experiment) -> "Space | None":
    """The space, from its file; None is the default space.

    Raises:
        UserError: the file cannot be read.
    """
    from jaxbn.search import Space

    return None if experiment.space is None else Space.from_toml(experiment.space)
