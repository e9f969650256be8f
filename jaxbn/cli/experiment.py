"""What a sweep is told: the arguments of `jaxbn sweep` and `jaxbn plan`."""

import dataclasses
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, cast

from tyro.conf import Positional, arg

from jaxbn.cli.options import Count, File, Flag, Fraction, MaybeCount, MaybeFraction, MaybeSeconds
from jaxbn.errors import UserError

if TYPE_CHECKING:
    from jaxbn.data import Dataset
    from jaxbn.search import Space
    from jaxbn.study.settings import Settings


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
    """How many epochs to train each, at the most."""
    sampler: Annotated[str, arg(metavar="S")] = "random"
    """How configurations are chosen: random, grid, sobol, coarse_to_fine, tpe, cmaes or gp."""
    num_rounds: Annotated[MaybeCount, arg(help_behavior_hint="(default: the sampler's)")] = None
    """In how many rounds the sampler is asked; it learns from one to the next."""
    enqueue: File = None
    """Configurations to try first: a TOML file with a table [[config]] for each."""
    scheduler: Annotated[str, arg(metavar="none|halving|hyperband|pbt")] = "none"
    """Who trains on: all, the best of each rung, or all with changing hyperparameters (population-based)."""
    factor: Fraction = 3.0
    """Of halving and hyperband: one configuration in so many survives a rung."""
    min_epochs: Count = 1
    """Of halving and hyperband: epochs of the first rung."""
    interval: Annotated[MaybeCount, arg(help_behavior_hint="(default: a tenth of all)")] = None
    """Of pbt alone: epochs between two decisions."""
    patience: Annotated[MaybeCount, arg(help_behavior_hint="")] = None
    """End a configuration whose score has not got better for N epochs. This is looked at every N epochs (with a
    scheduler, at its rungs), so that one may train on for up to twice as long."""
    replicates: Count = 1
    """Seeds of each configuration; ranking is by the mean."""
    folds: Count = 1
    """Parts of a cross-validation, in which --valid-fraction is not used; ranking is by the mean. 1: one split."""
    time_budget: Annotated[MaybeSeconds, arg(help_behavior_hint="")] = None
    """Seconds (or 5m, 2h) from the start of the command: what does not fit is not tried."""
    target_score: Annotated[MaybeFraction, arg(help_behavior_hint="")] = None
    """End as soon as a configuration has this validation score or a better one; of losses, less is better."""
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
    keep_states: Flag = False
    """Keep in the run how every trial ended, so that jaxbn resume can add epochs; jaxbn plan says how much that is."""
    valid_fraction: Fraction = 0.2
    """Share of the rows to rank by; not used with --folds."""
    test_fraction: Fraction = 0.2
    """Share of the rows to judge the winner by."""
    test_data: File = None
    """Rows to judge the winner by, read like DATA, instead of a share of it."""
    devices: Annotated[MaybeCount, arg(help_behavior_hint="(default: all)")] = None
    """How many of the local devices train at once."""
    precision: Annotated[str, arg(metavar="float32|tf32|bfloat16")] = "float32"
    """Of matrix products; weights, statistics and the optimizer's state are float32 whatever it is."""
    strict: Flag = False
    """Refuse to sweep, instead of warning, where jaxbn doctor finds that JAX computes wrong numbers."""
    class_weight: Annotated[str | None, arg(metavar="balanced", help_behavior_hint="")] = None
    """Let every class count the same in training."""
    drop: Annotated[tuple[str, ...], arg(metavar="COL [COL ...]", help_behavior_hint="")] = ()
    """Columns to leave out: names, or numbers from 0. What follows is a column too, so DATA comes before."""
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


def settings_of(experiment: Experiment) -> "Settings":
    """How to search.

    Raises:
        UserError: something that was asked for makes no sense.
    """
    from jaxbn.study import settings

    _check_scheduler(experiment)
    names = {field.name for field in dataclasses.fields(settings.Settings)} & set(vars(experiment))
    given = {name: getattr(experiment, name) for name in names}
    return settings.settings_of(given | {"enqueue": configs_of(experiment.enqueue)})


def _check_scheduler(experiment: Experiment) -> None:
    """Refuse what the scheduler would not read; where it is no scheduler at all, that is said elsewhere."""
    from jaxbn.search.schedulers import READ_BY, SCHEDULERS

    for name, schedulers in READ_BY.items():
        left_out = getattr(experiment, name) == getattr(Experiment, name)
        if not left_out and experiment.scheduler in set(SCHEDULERS) - set(schedulers):
            raise UserError(
                f"--{name.replace('_', '-')} is of {' and '.join(schedulers)}, and --scheduler is "
                f"{experiment.scheduler}: leave it out, or add --scheduler {schedulers[0]}"
            )


def configs_of(path: Path | None) -> tuple[dict[str, Any], ...]:
    """Configurations from a file: values by name.

    Raises:
        UserError: the file cannot be read, or is not of that kind.
    """
    if path is None:
        return ()
    try:
        tables = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(f"cannot read the configurations {str(path)!r}: {error.strerror}; give a TOML file") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UserError(f"{path} is not TOML: {error}; write a table [[config]] for each configuration") from error
    configs = tables.get("config")
    is_tables = isinstance(configs, list) and all(isinstance(config, dict) for config in configs)
    if set(tables) != {"config"} or not is_tables:
        raise UserError(f"{path} has no tables [[config]], or others beside them: write one for each configuration")
    return tuple(tables["config"])
