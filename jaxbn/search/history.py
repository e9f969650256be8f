"""What samplers and schedulers may look at: every configuration so far, and how well it did."""

import dataclasses

import numpy as np

from jaxbn.search.config import Config


@dataclasses.dataclass(frozen=True, eq=False)
class History:
    """The n configurations of a search up to now, in the order in which they were proposed.

    Attributes:
        configs: as they were proposed.
        objective: float [n], what ranks, smaller being better (an accuracy is negated), after the last epoch that each
            trained; the mean over replicates and folds. NaN where a configuration failed or has not trained.
        rank: int [n], places in the ranking from 0, the best; ties by validation loss, then number; the failed last.
        epochs: int [n], epochs trained so far.
        best_epochs: int [n], the epoch, from 1, after which each was at its best; 0 where it never had a score.
        rounds: int [n], the round that proposed each, from 0.
    """

    configs: tuple[Config, ...]
    objective: np.ndarray
    rank: np.ndarray
    epochs: np.ndarray
    best_epochs: np.ndarray
    rounds: np.ndarray

    @classmethod
    def empty(cls) -> "History":
        """A search that has not begun."""
        whole = np.zeros(0, int)
        return cls((), np.zeros(0), whole, whole, whole, whole)

    def __len__(self) -> int:
        return len(self.configs)
