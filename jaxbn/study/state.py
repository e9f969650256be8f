"""How far a sweep is: what a checkpoint holds, and what it goes on from."""

import dataclasses

import numpy as np

from jaxbn.engine.tiles import Tile, TileResult
from jaxbn.search import Rung
from jaxbn.study.clock import Clock
from jaxbn.study.records import Records
from jaxbn.study.setup import Setup


@dataclasses.dataclass(eq=False)
class SweepState:
    """Everything that changes while a sweep runs. Data order and random draws follow from the seed and are not in it.

    Attributes:
        records: of the trials.
        linear: of the linear baseline, which trains to the end beside the first tiles.
        clock: where time went.
        leg: the place of the leg.
        rung: the place of the rung that the cohort trains up to; 0 before the leg has begun.
        alive: int [m], configurations of the cohort; None before the leg has begun.
        begun: by the number of their first trial, what tiles have learned that had not ended.
    """

    records: Records
    linear: Records
    clock: Clock
    leg: int = 0
    rung: int = 0
    alive: np.ndarray | None = None
    begun: dict[int, TileResult] = dataclasses.field(default_factory=dict)

    def rungs(self, setup: Setup) -> tuple[Rung, ...]:
        """The table of rungs of the leg that it is in, as many configurations as its round has."""
        leg = setup.legs[self.leg]
        return setup.rungs(leg, int((self.records.rounds == leg.round).sum()))

    @classmethod
    def fresh(cls, setup: Setup, clock: Clock) -> "SweepState":
        """Before the first configuration."""
        asked = setup.settings
        records = Records.empty(asked.num_epochs, setup.metrics, setup.rank_by, repeats=asked.repeats, keep=asked.keep)
        linear = Records.empty(asked.num_epochs, setup.metrics, setup.rank_by, repeats=asked.repeats)
        linear.add(setup.linear)
        return cls(records, linear, clock)

    def copy(self, begun: dict[int, TileResult]) -> "SweepState":
        """The state as it is now, for another thread.

        Args:
            begun: what tiles have learned that have not ended.
        """
        return dataclasses.replace(
            self, records=self.records.copy(), linear=self.linear.copy(), begun={**self.begun, **begun}
        )

    def going_on(self, tile: Tile) -> Tile:
        """A tile from where it is, if it had begun; tiles that have been halved since begin again."""
        begun = self.begun.pop(tile.trials[0], None)
        goes_on = begun is not None and (begun.trials, begun.start) == (tile.trials, tile.start)
        return dataclasses.replace(tile, begun=begun) if goes_on else tile
