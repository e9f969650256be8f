"""Schedulers: who trains on, from which state, with which hyperparameters.

A scheduler is a table of rungs, computed before anything runs, and a function that decides between two of them. All
configurations that are alive train in step: at a rung each has trained for as many epochs.
"""

import dataclasses
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from jaxbn.nn.types import Spec
from jaxbn.search.config import Config
from jaxbn.search.history import History
from jaxbn.search.space import Space


@dataclasses.dataclass(frozen=True)
class Rung:
    """A number of epochs at which configurations are ranked, and how many train up to it.

    Attributes:
        epochs: trained when it is reached.
        survivors: configurations of each bracket that train up to it; 0 where a bracket has ended.
    """

    epochs: int
    survivors: tuple[int, ...]


@dataclasses.dataclass(frozen=True, eq=False)
class Cohort:
    """The configurations that are alive between two rungs, m of them.

    Attributes:
        numbers: int [m], their places in the history.
        brackets: int [m].
        configs: their hyperparameters as they are now.
        spec_of: what shapes the program of a configuration; a state can only be taken over within one spec.
        epoch: epochs that each has trained.
        space: where they come from; None where they were listed.
    """

    numbers: np.ndarray
    brackets: np.ndarray
    configs: tuple[Config, ...]
    spec_of: Callable[[Config], Spec]
    epoch: int
    space: Space | None

    def __len__(self) -> int:
        return len(self.numbers)


class Edit(NamedTuple):
    """What a scheduler decides, as places in the cohort.

    Attributes:
        keep: int [k], who trains on.
        source: int [k], whose state each of them goes on from.
        configs: with which hyperparameters.
        ended: int, who of the others was not stopped but has trained to its end.
    """

    keep: np.ndarray
    source: np.ndarray
    configs: tuple[Config, ...]
    ended: np.ndarray = np.zeros(0, int)


Decide = Callable[[int, Cohort, History, Rung], Edit]
"""`(seed, cohort, history, next rung) -> Edit`, pure in its arguments."""


@dataclasses.dataclass(frozen=True)
class Scheduler:
    """A method: its table of rungs and its decision.

    Attributes:
        name: what a person calls it.
        rungs: `(num_configs, num_epochs) -> rungs`, the last of `num_epochs`.
        decide: called between two rungs.
        edits: whether hyperparameters change while training, so that trials have a lineage.
        early: whether who is stopped among some of a cohort is stopped among all of it too, so that a state need not
            wait for the others.
    """

    name: str
    rungs: Callable[[int, int], tuple[Rung, ...]]
    decide: Decide
    edits: bool = False
    early: bool = False


def brackets_of(seed: int, rungs: tuple[Rung, ...]) -> np.ndarray:
    """The bracket of each configuration, int [n]: shuffled, so that no bracket gets a corner of a grid."""
    sizes = rungs[0].survivors
    return np.random.default_rng([seed, len(sizes)]).permutation(np.repeat(np.arange(len(sizes)), sizes))
