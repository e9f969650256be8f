"""Schedulers: `(seed, cohort, history) -> Edit`, what goes on after the trials of a cohort have been ranked."""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

from jaxbn.search.config import Config


@dataclasses.dataclass(frozen=True)
class Edit:
    """What becomes of a cohort.

    Attributes:
        source: for each member of the next cohort, the place in this one of the member whose state it takes.
    """

    source: tuple[int, ...] = ()


Decide = Callable[[int, Sequence[Config], Any], Edit]


def train_to_the_end(seed: int, cohort: Sequence[Config], history: Any) -> Edit:
    """Every trial trains for the whole budget at once, so nobody is left to go on."""
    del seed, cohort, history
    return Edit()
