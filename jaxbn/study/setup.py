"""A sweep before its first program compiles, and how it is added to."""

import dataclasses

from jaxbn.data import Dataset, Prepared, Split
from jaxbn.engine.plan import Plan
from jaxbn.engine.tiles import fitting
from jaxbn.nn.metrics import Metric
from jaxbn.nn.types import Architecture, Spec
from jaxbn.search import Config, Sampler, Scheduler, Space, split
from jaxbn.search.schedule import Rung
from jaxbn.study.leg import Leg, Lengthened
from jaxbn.study.settings import Settings


@dataclasses.dataclass(frozen=True, eq=False)
class Fold:
    """Rows of the training, validation and test splits, and their arrays."""

    split: Split
    prepared: Prepared


@dataclasses.dataclass(frozen=True, eq=False)
class Setup:
    """Everything that is settled before the first program compiles.

    Attributes:
        asked: what was asked for.
        settings: the same, but `num_configs` is what fits the time budget, and what was added since is counted.
        space: what is searched; None where configurations were listed.
        dataset: with what was noticed when it was read.
        folds: the splits; one without cross-validation.
        metrics: what is recorded; the first is the loss.
        rank_by: the place of the metric that ranks.
        sampler: proposes configurations.
        scheduler: decides who trains on.
        rounds: how many configurations are proposed in each round.
        legs: what trains when.
        configs: of the first round.
        linear: configurations of the linear baseline.
        plan: programs, and tiles of the first round.
        notes: sentences to tell the user.
        halvings: how often tiles were halved because a device had no memory left.
        added: configurations of each round that was added later.
        lengthened: what epochs were added later.
    """

    asked: Settings
    settings: Settings
    space: Space | None
    dataset: Dataset
    folds: tuple[Fold, ...]
    metrics: tuple[Metric, ...]
    rank_by: int
    sampler: Sampler
    scheduler: Scheduler
    rounds: tuple[int, ...]
    legs: tuple[Leg, ...]
    configs: list[Config]
    linear: list[Config]
    plan: Plan
    notes: tuple[str, ...]
    halvings: int = 0
    added: tuple[int, ...] = ()
    lengthened: tuple[Lengthened, ...] = ()

    def spec_of(self, config: Config, fold: int = 0) -> Spec:
        """What shapes the program of a configuration."""
        return split(fitting(config, self.plan.num_rows[fold]), padding=self.plan.padding)[0]

    def noting(self, *notes: str) -> "Setup":
        """The same, with more to tell the user."""
        return dataclasses.replace(self, notes=(*self.notes, *notes))

    def halved(self) -> "Setup":
        """The same with tiles of half the size."""
        return dataclasses.replace(self, plan=self.plan.halved(), halvings=self.halvings + 1)

    def with_round(self, num_configs: int) -> "Setup":
        """The same with a further round, which shares what the plan says of programs and tiles."""
        rounds = (*self.rounds, num_configs)
        return dataclasses.replace(
            self,
            settings=dataclasses.replace(self.settings, num_configs=sum(rounds)),
            rounds=rounds,
            legs=(*self.legs, Leg(len(self.rounds), 0, self.settings.num_epochs)),
            plan=self.plan.repeated(sum(rounds) / sum(self.rounds)),
            added=(*self.added, num_configs),
        )

    def with_epochs(self, more: Lengthened) -> "Setup":
        """The same with a further leg for each round, which shares what the plan says of programs and tiles."""
        before, num_epochs = self.settings.num_epochs, more.num_epochs
        note = (
            f"trials train on from {before} to {num_epochs} epochs after the winner of {before} was judged by the test "
            "rows, so the test score is not of rows that nobody had looked at"
        )
        return dataclasses.replace(
            self,
            settings=dataclasses.replace(self.settings, num_epochs=num_epochs),
            legs=(*self.legs, *(Leg(number, before, num_epochs) for number in range(len(self.rounds)))),
            plan=self.plan.lengthened(self.scheduler.rungs(self.rounds[0], num_epochs)),
            notes=(*self.notes, note) if more.judged else self.notes,
            lengthened=(*self.lengthened, more),
        )

    def rungs(self, leg: Leg, size: int) -> tuple[Rung, ...]:
        """The table of rungs that a leg climbs, where its round has so many configurations."""
        return self.scheduler.rungs(size, leg.until) if size else ()

    def planned(self, leg: Leg) -> tuple[Rung, ...]:
        """The rungs that matter of a leg, where its round has as many configurations as are to be proposed."""
        rungs = self.rungs(leg, self.rounds[leg.round])
        return rungs[leg.first(rungs) :]

    def keeps(self, number: int) -> bool:
        """Whether states are needed after the leg of that number: by a later one of its round, or from the disk."""
        return self.settings.keep_states or self.legs[number].round in [leg.round for leg in self.legs[number + 1 :]]

    @property
    def architecture(self) -> Architecture | None:
        """What is trained instead of an MLP."""
        return self.configs[0].architecture

    @property
    def metric(self) -> Metric:
        """The metric that ranks."""
        return self.metrics[self.rank_by]
