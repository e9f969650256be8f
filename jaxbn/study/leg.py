"""What trains when: a sweep is a sequence of legs."""

from collections.abc import Sequence
from typing import NamedTuple

from jaxbn.search import Rung


class Leg(NamedTuple):
    """Some epochs of the configurations of a round.

    A round trains in one leg; where epochs were added since, those of it that had come to the end have one more.

    Attributes:
        round: its number, from 0.
        start: epochs that its configurations have trained; 0 where they are yet to be proposed.
        until: epochs that those will have trained that nobody stops.
    """

    round: int
    start: int
    until: int

    def first(self, rungs: Sequence[Rung]) -> int:
        """The place of the first rung that matters, in the table of all `until` epochs.

        One that lies at the start has been reached before, but nobody has had to decide there.

        Example:
            >>> Leg(0, 3, 9).first([Rung(1, (9,)), Rung(3, (3,)), Rung(9, (1,))])
            1
        """
        return sum(rung.epochs < self.start for rung in rungs)


class Lengthened(NamedTuple):
    """That epochs were added to a sweep.

    Attributes:
        num_epochs: of each trial from then on.
        num_rounds: that there were then; they train on, and later ones train for as long from the start.
        judged: whether the sweep had come to its end, and a winner had been judged by the test rows.
    """

    num_epochs: int
    num_rounds: int
    judged: bool
