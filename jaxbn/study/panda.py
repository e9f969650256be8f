"""The panda: one network, tended by a person who watches it, changes it as it trains, and may go back."""

import dataclasses
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jaxbn.engine.data import host_data
from jaxbn.engine.plan import Plan
from jaxbn.engine.planner import plan_tiles
from jaxbn.engine.run import Trainer
from jaxbn.errors import UserError, unknown
from jaxbn.search import Config, Rung, from_values
from jaxbn.search.domains import plain
from jaxbn.study.fitted import FittedModel
from jaxbn.study.glance import Glance, glance
from jaxbn.study.line import Line, Observed, Segment, edited, extended, follow, rewound
from jaxbn.study.logbook import MAIN, Intervention, Log, Start
from jaxbn.study.origin import Origin
from jaxbn.study.replay import curves_frame
from jaxbn.study.settings import Settings
from jaxbn.study.settle import set_up

if TYPE_CHECKING:
    import polars as pl

    from jaxbn.data.prepare import ClassWeight


class Panda:
    """One network and everything that was done to it.

    It trains for as long as it is told; between epochs its hyperparameters may be changed, it may be taken back to any
    earlier epoch, exactly, and several lines of development may exist side by side, each on a branch. The state after
    every epoch of every branch is kept, in the memory of the host.

    Args:
        config: its hyperparameters: a `Config`, or some of them by name; None is the defaults.
        data: a `Dataset`, or what `load_data` reads.
        seed: of the split, weights, data order and dropout.
        num_epochs: where a cosine decay ends. It may train for longer.
        metric: what is looked at; None is accuracy, or r2.
        valid_fraction: share of the rows to look at.
        test_fraction: share of the rows that are kept aside.
        class_weight: of the training loss.

    Raises:
        UserError: the data cannot be read, or a value makes no sense.

    Example:
        >>> panda = Panda({"hidden_units": 8, "learning_rate": 0.03}, "iris")
        >>> low = panda.train(5).branch("low").rewind(3).set(learning_rate=0.01).train(5)
        >>> low.epoch, low.config.learning_rate, panda.switch("main").epoch
        (7, 0.01, 5)
        >>> print(panda.log)
        branch  epoch  what
        main        0  train(5)
        main        5  branch('low')
        low         5  rewind(3)
        low         2  set(learning_rate=0.01)
        low         2  train(5)
        low         7  switch('main')
        >>> Panda.replay(panda.log).log == panda.log
        True
    """

    def __init__(
        self,
        config: Config | Mapping[str, Any] | None = None,
        data: Any = "digits",
        *,
        seed: int = 0,
        num_epochs: int = 20,
        metric: str | None = None,
        valid_fraction: float = 0.2,
        test_fraction: float = 0.2,
        class_weight: "ClassWeight" = None,
    ) -> None:
        if not isinstance(config, Config | Mapping | None):
            raise UserError(
                f"config = {config!r:.80} is neither a Config nor a dict of hyperparameters: give one, then the data"
            )
        begun = config if isinstance(config, Config) else from_values(**(config or {}))
        asked = {
            "seed": seed,
            "num_epochs": num_epochs,
            "metric": metric,
            "valid_fraction": valid_fraction,
            "test_fraction": test_fraction,
        }
        self._setup = set_up([begun], data, Settings(num_configs=1, class_weight=class_weight, **asked))
        self._prepared = self._setup.folds[0].prepared
        self._arrays = host_data(self._prepared, self._setup.plan.problem)
        self._lines, self._branch = {MAIN: Line(begun, begun)}, MAIN
        weights = class_weight
        if isinstance(weights, Mapping):
            weights = {str(label): float(weight) for label, weight in weights.items()}
        self._log = Log(Start(begun, Origin.of(self._setup.dataset), class_weight=weights, **asked))

    def train(self, num_epochs: int = 1, *, on_epoch: Callable[[Observed], None] = lambda observed: None) -> "Panda":
        """Train on. Interrupted, it has trained for the epochs that were finished.

        Args:
            num_epochs: how long; it stops before if it diverges.
            on_epoch: called after each epoch with what was seen of it.

        Returns:
            The panda, which shows its last epochs.

        Raises:
            UserError: it has diverged, or the number makes no sense.
        """
        line, began, num_epochs = self._line, self.epoch, plain(num_epochs)
        if isinstance(num_epochs, bool) or not isinstance(num_epochs, int) or num_epochs < 1:
            raise UserError(f"cannot train for {num_epochs!r} epochs: give a whole number of at least 1")
        if line.diverged:
            raise UserError(
                f"branch {self._branch!r} diverged in epoch {began}: rewind at least 1 epoch, and set a smaller "
                "learning_rate"
            )
        ahead = (Segment(began, line.config),)
        since = line.points[-1] if line.points else None
        try:
            with Trainer(
                self._plan(line.config),
                [self._arrays],
                seed=self._log.start.seed,
                on_event=lambda event: None,
                devices=1,
            ) as trainer:
                for point in follow(trainer, ahead, began + num_epochs, since=since):
                    line = self._line = extended(line, point)
                    on_epoch(point.observed)
        finally:
            curve = tuple(point.observed for point in line.points[began:])
            if curve:
                self._note("train", began, {"num_epochs": len(curve)}, curve)
        return self

    def set(self, /, **values: Any) -> "Panda":
        """Change hyperparameters from the next epoch on.

        Before the first epoch all of them may change. After it, what would make a lie of the state may not: those that
        shape the network or its optimizer, `hidden_units`, `init_scale`, `b1` and `b2`. A `learning_rate` is what decay
        starts from: where it decays, `curves` has the rate in use.

        Args:
            **values: hyperparameters by name.

        Raises:
            UserError: an unknown name, an illegal value, or one that may not change.
        """
        if not values:
            raise UserError("there is nothing to set: give a hyperparameter, such as learning_rate=0.01")
        self._change("set", edited(self._line, values), values)
        return self

    def rewind(self, num_epochs: int) -> "Panda":
        """Go back: to the weights, statistics, optimizer, order of the data and hyperparameters of some epochs ago.

        What is left behind goes from the curves of this branch and stays in the log.

        Args:
            num_epochs: how far.

        Raises:
            UserError: it has not trained for so many.
        """
        self._change("rewind", rewound(self._line, num_epochs), {"num_epochs": num_epochs})
        return self

    def branch(self, name: str) -> "Panda":
        """Begin another line of development here, and go on in it; this one stays as it is.

        Args:
            name: of the new branch.

        Raises:
            UserError: there is such a branch.
        """
        if not isinstance(name, str) or not name or name in self._lines:
            there = f"branches are {', '.join(self._lines)}"
            raise UserError(f"{name!r} cannot be the name of a new branch, {there}: choose another word")
        self._note("branch", self.epoch, {"name": name})
        self._lines[name], self._branch = self._line, name
        return self

    def switch(self, name: str) -> "Panda":
        """Go on in another branch.

        Raises:
            UserError: there is no such branch.
        """
        if name not in self._lines:
            raise unknown("branch", name, self._lines)
        self._note("switch", self.epoch, {"name": name})
        self._branch = name
        return self

    @classmethod
    def replay(cls, log: Log | str | Path, data: Any = None) -> "Panda":
        """Do again what a log says: on the same kind of machine, to the same bits.

        Args:
            log: of a panda, or the file that it was saved to.
            data: where they cannot be read from where the panda read them.

        Returns:
            A panda whose log is the same, if all that was seen is: compare the two.

        Raises:
            UserError: the log or the data cannot be read, or the data are not the same.
        """
        log = log if isinstance(log, Log) else Log.load(log)
        start = log.start
        asked = {field.name: getattr(start, field.name) for field in dataclasses.fields(start)}
        origin: Origin = asked.pop("origin")
        panda = cls(asked.pop("config"), origin.read(data), **asked)
        for intervention in log.interventions:
            getattr(panda, intervention.kind)(**intervention.arguments)
        return panda

    @property
    def log(self) -> Log:
        """Everything that was done to it, as frozen records."""
        return self._log

    def script(self) -> str:
        """The log as a short Python script."""
        return self._log.script()

    @property
    def epoch(self) -> int:
        """Epochs that the current branch has trained."""
        return len(self._line.points)

    @property
    def config(self) -> Config:
        """The hyperparameters of the next epoch."""
        return self._line.config

    @property
    def diverged(self) -> bool:
        """Whether the last epoch broke it; rewinding is the way back."""
        return self._line.diverged

    @property
    def current(self) -> str:
        """The name of the current branch."""
        return self._branch

    @property
    def branches(self) -> tuple[str, ...]:
        """The names of all branches."""
        return tuple(self._lines)

    @property
    def notes(self) -> tuple[str, ...]:
        """What was noticed about the data."""
        return self._setup.notes

    @property
    def curves(self) -> "pl.DataFrame":
        """A row for each branch and epoch: branch, epoch, learning_rate, train_loss, valid_loss and other scores.

        What was trained before two branches parted is in both.
        """
        import polars as pl

        names = [metric.name for metric in self._setup.metrics]
        frames = []
        for branch, line in self._lines.items():
            frame = curves_frame([point.observed for point in line.points], names)
            frames.append(frame.select(pl.lit(branch).alias("branch"), pl.all()))
        return pl.concat(frames)

    @property
    def model(self) -> FittedModel:
        """The network as it is now, with all that prediction from raw rows needs.

        Raises:
            UserError: it has not been trained.
        """
        if not self._line.points:
            raise UserError("the panda has not been trained, so it has no model: train it for an epoch")
        point = self._line.points[-1]
        return FittedModel.of(point.config, point.weights, self._setup.dataset, self._prepared)

    def __repr__(self) -> str:
        return self._glance().text()

    def _repr_html_(self) -> str:
        return self._glance().html()

    def _glance(self) -> Glance:
        names = [metric.name for metric in self._setup.metrics]
        return glance(self._branch, self.branches, self._line, names, self._setup.rank_by)

    @property
    def _line(self) -> Line:
        return self._lines[self._branch]

    @_line.setter
    def _line(self, line: Line) -> None:
        self._lines[self._branch] = line

    def _change(self, kind: str, line: Line, arguments: Mapping[str, Any]) -> None:
        self._note(kind, self.epoch, arguments)
        self._line = line

    def _note(self, kind: str, epoch: int, arguments: Mapping[str, Any], curve: tuple[Observed, ...] = ()) -> None:
        plain = {name: tuple(value) if isinstance(value, list) else value for name, value in arguments.items()}
        new = Intervention(kind, self._branch, epoch, plain, curve)
        self._log = dataclasses.replace(self._log, interventions=(*self._log.interventions, new))

    def _plan(self, config: Config) -> Plan:
        """The program of a configuration: what it is compiled for follows from the configuration alone."""
        whole = self._setup.plan
        return plan_tiles(
            [config],
            None,
            whole.problems,
            num_rows=whole.num_rows,
            rungs=[Rung(self._log.start.num_epochs, (1,))],
            rates=whole.rates,
            tile_size=1,
        )
