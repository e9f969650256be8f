"""A line of training: one network, epoch after epoch, whose hyperparameters may change on the way.

Everything here is immutable: a line that goes on, goes back or goes on elsewhere is another line, which shares its past
with the first. Data order and dropout follow from the number of the epoch, so a state is all that going back takes.
"""

import dataclasses
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from jaxbn.engine.run import Trainer
from jaxbn.engine.tiles import Member, TileResult, taken
from jaxbn.errors import UserError, unknown
from jaxbn.nn.types import TrainState, Variables
from jaxbn.search import Config, table_of
from jaxbn.study.rates import learning_rates
from jaxbn.study.weights import used

BECAUSE = {
    "b1": "the averages of gradients so far were debiased with its old value",
    "b2": "the averages of squared gradients so far were debiased with its old value",
    "hidden_units": "the weights so far are of its old number of units",
    "init_scale": "the initial weights were drawn with its old value",
}
"""Why a traced hyperparameter cannot change; the others shape the program."""


@dataclasses.dataclass(frozen=True)
class Segment:
    """Hyperparameters from an epoch on. A schedule is a tuple of these, the first from epoch 0.

    Attributes:
        epoch: epochs trained before.
        config: the hyperparameters from there on.
    """

    epoch: int
    config: Config


Schedule = tuple[Segment, ...]


@dataclasses.dataclass(frozen=True)
class Observed:
    """What was seen of an epoch.

    Attributes:
        epoch: from 1.
        learning_rate: of its last update.
        train_loss: None where it is not finite.
        scores: on the validation split, the loss first; None where not finite.
    """

    epoch: int
    learning_rate: float
    train_loss: float | None
    scores: tuple[float | None, ...]


@dataclasses.dataclass(frozen=True, eq=False)
class Point:
    """A network after an epoch.

    Attributes:
        config: that it was trained with in this epoch.
        observed: what was seen of the epoch.
        diverged: whether the epoch broke it.
        state: weights, statistics, the optimizer's state.
        first_loss: training loss of its first epoch.
    """

    config: Config
    observed: Observed
    diverged: bool
    state: TrainState
    first_loss: float

    @classmethod
    def of_tile(cls, config: Config, result: TileResult, slot: int) -> "Point":
        """What a member of a tile is after its last epoch, without what was seen of it."""
        observed = Observed(int(result.epochs[slot]), math.nan, None, ())
        return cls(
            config, observed, bool(result.diverged[slot]), taken(result.state, slot), float(result.first_loss[slot])
        )

    @property
    def weights(self) -> Variables:
        """Its weights and statistics, without padding."""
        return used(self.state.variables, self.config)


@dataclasses.dataclass(frozen=True, eq=False)
class Line:
    """A network from its beginning until now, E epochs.

    Attributes:
        first: the hyperparameters at the beginning.
        config: the hyperparameters of the next epoch.
        points: E of them.
    """

    first: Config
    config: Config
    points: tuple[Point, ...] = ()

    @property
    def diverged(self) -> bool:
        """Whether its last epoch broke it."""
        return bool(self.points) and self.points[-1].diverged


def extended(line: Line, point: Point) -> Line:
    """A line and its next epoch."""
    return dataclasses.replace(line, points=(*line.points, point))


def rewound(line: Line, num_epochs: int) -> Line:
    """A line as it was some epochs ago, with the hyperparameters of that time.

    Raises:
        UserError: it has not trained for so many epochs.
    """
    trained = len(line.points)
    if not _whole(num_epochs) or not 1 <= num_epochs <= trained:
        choices = f"choose from 1 to {trained}" if trained else "train first"
        raise UserError(f"cannot go back {num_epochs!r} epochs of {trained}: {choices}")
    points = line.points[: trained - num_epochs]
    return Line(line.first, points[-1].config if points else line.first, points)


def edited(line: Line, values: Mapping[str, Any]) -> Line:
    """A line whose hyperparameters are others from the next epoch on. Before the first epoch all of them may change.

    Raises:
        UserError: an unknown name, an illegal value, one that would make a lie of the state, or one that the
            configuration does not use.
    """
    values = {name: tuple(value) if isinstance(value, list) else value for name, value in values.items()}
    table = table_of(line.config.architecture)
    for name in values:
        if name not in table:
            raise unknown("hyperparameter", name, table)
        if line.points and not table[name].editable:
            because = BECAUSE.get(name, "it shapes the network or the optimizer's state")
            raise UserError(
                f"{name} cannot change in mid-run, because {because}: rewind {len(line.points)} epochs, to the "
                "beginning, or start another panda with it"
            )
    config = line.config.changed(**values)
    for name in config.unused():
        if name in values:
            raise UserError(
                f"setting {name} would change nothing, because optimizer = {config.optimizer!r}, "
                f"decay_kind = {config.decay_kind!r} and num_layers = {config.num_layers} do not use it: set another"
            )
    return dataclasses.replace(line, config=config, first=line.first if line.points else config)


def follow(
    trainer: Trainer,
    schedule: Sequence[Segment],
    until: int,
    *,
    since: Point | None = None,
    replicate: int = 0,
    fold: int = 0,
) -> Iterator[Point]:
    """Train one network, epoch by epoch, through hyperparameters that change.

    Args:
        trainer: with the programs and the data; T of its plan may be more than one, the rest are copies.
        schedule: which hyperparameters, from which epoch on; all of the trainer's plan.
        until: epochs that it will have trained.
        since: where it goes on from; None is the beginning.
        replicate: its seed.
        fold: its split.

    Yields:
        A point after each epoch; none after one that broke the network, or once the trainer has been stopped.
    """
    point, trained = since, 0 if since is None else since.observed.epoch
    for epoch in range(trained, until):
        if point is not None and point.diverged:
            return
        config = config_at(schedule, epoch)
        state, first_loss = (None, math.nan) if point is None else (point.state, point.first_loss)
        member = Member(0, config, replicate, fold, state, first_loss)
        results = list(trainer.train(trainer.plan.pack([member], rung=0, start=epoch, until=epoch + 1)))
        if not results:
            return
        loss, scores = float(results[0].train_loss[0, 0]), results[0].scores[0, 0].tolist()
        rate = learning_rates([config], trainer.plan.num_rows[fold], trainer.plan.num_epochs, [epoch]).item()
        point = Point(
            config,
            Observed(epoch + 1, rate, _finite(loss), tuple(map(_finite, scores))),
            bool(results[0].diverged[0]),
            taken(results[0].state, 0),
            loss if point is None else first_loss,
        )
        yield point


def config_at(schedule: Sequence[Segment], epoch: int) -> Config:
    """The hyperparameters of an epoch, from 0."""
    return next(segment.config for segment in reversed(schedule) if segment.epoch <= epoch)


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _whole(number: Any) -> bool:
    return isinstance(number, int) and not isinstance(number, bool)
