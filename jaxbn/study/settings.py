"""How to search: everything a person may say about a sweep beside the space and the data."""

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import Any

from jaxbn.data.prepare import ClassWeight
from jaxbn.errors import UserError, unknown
from jaxbn.nn.types import PRECISIONS
from jaxbn.search import Config, Propose, Space, from_values
from jaxbn.search.config import table_of
from jaxbn.search.domains import plain


@dataclasses.dataclass(frozen=True)
class Settings:
    """The arguments of `sweep` and `plan`.

    Attributes:
        num_configs: how many configurations to try.
        num_epochs: how long to train each, at the most.
        sampler: a name, or a function `(seed, space, history, num_configs) -> configs`.
        num_rounds: in how many rounds the sampler is asked; None is its own number.
        enqueue: configurations to try before those of the sampler.
        scheduler: "none", "halving", "hyperband" or "pbt".
        factor: of halving and Hyperband: one configuration in so many survives a rung.
        min_epochs: of halving and Hyperband: epochs of the first rung.
        interval: of population-based training: epochs between two decisions; None is a tenth of all.
        patience: a trial ends when its score has not got better for so many epochs, looked at every so many, or at the
            rungs of the scheduler; None: never for that.
        replicates: seeds of each configuration.
        folds: parts of a cross-validation, which does not use `valid_fraction`; 1 is one split by it.
        metric: what ranks; None is accuracy, or r2.
        seed: of the split, the sampler, weights, data order and dropout.
        valid_fraction: share of the rows to rank by.
        test_fraction: share of the rows to judge the winner by, once.
        class_weight: of the training loss.
        time_budget: seconds, counted from the start of the command; None: no limit.
        target_score: end as soon as a trial has it, or better: less, for a loss; None: no target.
        keep: how many of the highest-ranked configurations keep their weights.
        keep_states: whether the states of all trials that came to their end stay in the run directory, so that it can
            be resumed for more epochs.
        tile_size: members that train together; None leaves it to the planner.
        devices: how many of the local devices train at once; None is all of them.
        precision: "float32", "tf32" or "bfloat16", of matrix products; weights, statistics and the optimizer's state
            are float32 whatever it is.

    Raises:
        UserError: a number makes no sense, or what is enqueued is no list of configurations.
    """

    num_configs: int = 256
    num_epochs: int = 20
    sampler: str | Propose = "random"
    num_rounds: int | None = None
    enqueue: Sequence[Config | Mapping[str, Any]] = ()
    scheduler: str = "none"
    factor: float = 3.0
    min_epochs: int = 1
    interval: int | None = None
    patience: int | None = None
    replicates: int = 1
    folds: int = 1
    metric: str | None = None
    seed: int = 0
    valid_fraction: float = 0.2
    test_fraction: float = 0.2
    class_weight: ClassWeight = None
    time_budget: float | None = None
    target_score: float | None = None
    keep: int = 16
    keep_states: bool = False
    tile_size: int | None = None
    devices: int | None = None
    precision: str = "float32"

    def __post_init__(self) -> None:
        for name in (*WHOLE, *REAL):
            object.__setattr__(self, name, plain(getattr(self, name)))
        for name, least in WHOLE.items():
            value = getattr(self, name)
            if value is None and name in OPTIONAL:
                continue
            if isinstance(value, bool) or not isinstance(value, int) or not least <= value < 1 << 32:
                raise UserError(f"{name} = {value!r} is no whole number of at least {least} and below 2^32: give one")
        for name, usual in REAL.items():
            value = getattr(self, name)
            if value is not None or name not in OPTIONAL:
                _check_number(name, value, usual)
        if self.time_budget is not None and self.time_budget <= 0:
            raise UserError(f"time_budget = {self.time_budget!r} is no number of seconds above 0: give one, such as 60")
        if self.precision not in PRECISIONS:
            raise unknown("precision", str(self.precision), PRECISIONS)
        if not isinstance(self.keep_states, bool):
            raise UserError(f"keep_states = {self.keep_states!r} is neither True nor False: give one of them")
        if self.keep_states and self.limit is not None:
            raise UserError(f"{self.limit}, so nothing trains on from its states: leave keep_states out")
        _check_enqueued(self.enqueue)
        if len(self.enqueue) > self.num_configs:
            raise UserError(
                f"{len(self.enqueue)} configurations are enqueued and num_configs is {self.num_configs}: "
                "ask for at least as many as are enqueued"
            )

    @property
    def repeats(self) -> int:
        """Trials of each configuration."""
        return self.replicates * self.folds

    @property
    def limit(self) -> str | None:
        """What ends the sweep before everything has been tried, in words; None where nothing does."""
        for name in ("time_budget", "target_score"):
            if getattr(self, name) is not None:
                return f"the run ends at its {name} of {getattr(self, name):g}"
        return None


WHOLE = {
    "num_configs": 1,
    "num_epochs": 1,
    "num_rounds": 1,
    "min_epochs": 1,
    "interval": 1,
    "patience": 1,
    "replicates": 1,
    "folds": 1,
    "seed": 0,
    "keep": 1,
    "tile_size": 1,
    "devices": 1,
}
REAL = {"factor": 3, "valid_fraction": 0.2, "test_fraction": 0.2, "time_budget": 60, "target_score": 0.95}
"""And a usual value of each."""
OPTIONAL = ("num_rounds", "interval", "patience", "tile_size", "devices", "time_budget", "target_score")


def _check_number(name: str, value: Any, usual: float) -> None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise UserError(f"{name} = {value!r} is no number: give one, such as {usual}")


def _check_enqueued(given: Any) -> None:
    if not isinstance(given, Sequence) or isinstance(given, str):
        raise UserError(
            f"enqueue = {given!r} is no list of configurations: give a list, such as [{{'learning_rate': 0.01}}]"
        )
    for one in given:
        if not (isinstance(one, Config) or (isinstance(one, Mapping) and all(isinstance(name, str) for name in one))):
            raise UserError(f"enqueue holds {one!r}, which is no configuration: give values by name, or a Config")


def enqueued(settings: Settings, space: Space | None) -> list[Config]:
    """The configurations that a person already trusts.

    Args:
        settings: what was asked for.
        space: what is searched; what a configuration does not name takes what the space holds fixed, then the defaults.

    Raises:
        UserError: an unknown name or an illegal value.
    """
    architecture = None if space is None else space.architecture
    fixed = {} if space is None else space.fixed
    if any(isinstance(given, Mapping) and "architecture" in given for given in settings.enqueue):
        raise unknown("hyperparameter", "architecture", table_of(architecture))
    configs = [
        given if isinstance(given, Config) else from_values(architecture=architecture, **{**fixed, **given})
        for given in settings.enqueue
    ]
    if any(config.architecture != architecture for config in configs):
        raise UserError(
            "a configuration that is enqueued is of another architecture than the space: sweep it by itself"
        )
    return configs


def settings_of(given: Mapping[str, Any]) -> Settings:
    """Settings from what a person wrote.

    Raises:
        UserError: there is no setting of that name, or a value makes no sense.

    Example:
        >>> settings_of({"num_configs": 8}).num_configs
        8
    """
    names = [field.name for field in dataclasses.fields(Settings)]
    for name in given:
        if name not in names:
            raise unknown("setting", name, names)
    return Settings(**given)
