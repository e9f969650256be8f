"""From what a person asks for to a plan, before anything is compiled."""

import dataclasses
from collections.abc import Sequence
from typing import Any

from jaxbn.data import Dataset, Prepared, Split, load_data, prepare, split_rows
from jaxbn.data.prepare import ClassWeight
from jaxbn.engine.data import problem_of
from jaxbn.engine.plan import Plan, plan_tiles
from jaxbn.engine.run import machine
from jaxbn.errors import UserError
from jaxbn.nn.metrics import Metric
from jaxbn.search import Choice, Config, Float, Propose, Space, sampler
from jaxbn.search.propose import grid
from jaxbn.study.score import choose_metrics

LINEAR = Space(num_layers=0, optimizer="adam", learning_rate=Float(1e-4, 1, scale="log"), decay_kind=Choice("none"))
NUM_LINEAR = 9
"""Learning rates of the best linear model, the baseline: two for each decade."""


@dataclasses.dataclass(frozen=True, eq=False)
class Setup:
    """Everything that is settled before the first program compiles.

    Attributes:
        space: what is searched; None where configurations were listed.
        dataset: with what was noticed when it was read.
        split: rows of the training, validation and test splits.
        prepared: their arrays.
        metrics: what is recorded; the first is the loss.
        rank_by: the place of the metric that ranks.
        configs: proposed configurations; their places are the trial numbers.
        linear: configurations of the linear baseline; their trial numbers follow.
        plan: programs and tiles for both.
        notes: sentences to tell the user.
        seed: of everything random.
        num_epochs: epochs of each trial.
    """

    space: Space | None
    dataset: Dataset
    split: Split
    prepared: Prepared
    metrics: tuple[Metric, ...]
    rank_by: int
    configs: list[Config]
    linear: list[Config]
    plan: Plan
    notes: tuple[str, ...]
    seed: int
    num_epochs: int

    @property
    def metric(self) -> Metric:
        """The metric that ranks."""
        return self.metrics[self.rank_by]


def set_up(
    space: Space | Sequence[Config] | None,
    data: Any,
    *,
    num_configs: int,
    num_epochs: int,
    sampler: str | Propose,
    metric: str | None,
    seed: int,
    valid_fraction: float,
    test_fraction: float,
    class_weight: ClassWeight,
    keep: int,
    tile_size: int | None,
) -> Setup:
    """Load, split, prepare, propose and plan; the arguments are those of `sweep`.

    Raises:
        UserError: something that was asked for cannot be done.
    """
    for name, value, least in (
        ("num_configs", num_configs, 1),
        ("num_epochs", num_epochs, 1),
        ("keep", keep, 1),
        ("tile_size", 1 if tile_size is None else tile_size, 1),
        ("seed", seed, 0),
    ):
        if isinstance(value, bool) or not isinstance(value, int) or not least <= value < 1 << 32:
            raise UserError(f"{name} = {value!r} is no whole number of at least {least} and below 2^32: give one")
    propose = sampler_of(sampler)
    dataset = data if isinstance(data, Dataset) else load_data(data)
    metrics, rank_by = choose_metrics(metric, dataset.task)
    split, notes = split_rows(dataset, seed=seed, valid_fraction=valid_fraction, test_fraction=test_fraction)
    prepared = prepare(dataset, split, class_weight=class_weight)
    if space is None or isinstance(space, Space):
        space = space or Space.default()
        configs = propose(seed, space, None, num_configs)
    else:
        configs, space = list(space), None
        if not configs:
            raise UserError("there are no configs to train: give at least one, or a Space")
    linear = grid(seed, LINEAR, None, NUM_LINEAR)
    num_rows = len(split.train)
    plan = plan_tiles(
        configs,
        space,
        problem_of(prepared, dataset.task, tuple(m.name for m in metrics)),
        num_rows=num_rows,
        num_epochs=num_epochs,
        rates=machine(),
        probes=None if space is not None else configs,
        extra=linear,
        tile_size=tile_size,
    )
    full = sum(config.batch_size > num_rows for config in configs)
    if full:
        notes = (
            *notes,
            f"{full} of {len(configs)} configs have a batch size above the {num_rows} training rows: "
            "each of their steps takes all rows",
        )
    return Setup(
        space,
        dataset,
        split,
        prepared,
        metrics,
        rank_by,
        configs,
        linear,
        plan,
        (*dataset.notes, *notes),
        seed,
        num_epochs,
    )


def sampler_of(given: str | Propose) -> Propose:
    """A sampler by name, or the function itself."""
    return sampler(given) if isinstance(given, str) else given


def plan(
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
    tile_size: int | None = None,
) -> Plan:
    """What `sweep` with the same arguments would run, and about what it would cost. Runs nothing.

    Returns:
        A plan; print it.

    Example:
        >>> print(plan(Space(num_layers=1), "iris", num_configs=1, num_epochs=2).num_trials)
        10
    """
    return set_up(
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
        keep=1,
        tile_size=tile_size,
    ).plan
