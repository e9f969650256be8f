"""What has been observed of each trial, and the weights of those that rank highest."""

import dataclasses
from collections.abc import Iterable

import numpy as np

from jaxbn.engine.run import TileResult
from jaxbn.nn.metrics import Metric
from jaxbn.nn.types import Variables
from jaxbn.study.weights import member


@dataclasses.dataclass(eq=False)
class History:
    """Observations of n trials over E epochs.

    Attributes:
        metrics: what is scored, M of them; the first is the loss.
        rank_by: the place in `metrics` of the one that ranks.
        train_loss: [n, E], NaN where not trained.
        scores: [n, E, M], on the validation split.
        epochs: [n], epochs that each trial has trained.
        diverged: bool [n].
        seconds: [n], share of each trial in the time of its tile.
        keep: groups of trials, and how many of each keep their weights.
        weights: by trial, of the highest-ranked of each group so far.
    """

    metrics: tuple[Metric, ...]
    rank_by: int
    train_loss: np.ndarray
    scores: np.ndarray
    epochs: np.ndarray
    diverged: np.ndarray
    seconds: np.ndarray
    keep: tuple[tuple[range, int], ...]
    weights: dict[int, Variables] = dataclasses.field(default_factory=dict)

    @classmethod
    def empty(
        cls, num_epochs: int, metrics: tuple[Metric, ...], rank_by: int, keep: tuple[tuple[range, int], ...]
    ) -> "History":
        """A history before the first epoch, of the trials of all groups."""
        num_trials = sum(len(group) for group, _ in keep)
        return cls(
            metrics=metrics,
            rank_by=rank_by,
            train_loss=np.full((num_trials, num_epochs), np.nan),
            scores=np.full((num_trials, num_epochs, len(metrics)), np.nan),
            epochs=np.zeros(num_trials, int),
            diverged=np.zeros(num_trials, bool),
            seconds=np.zeros(num_trials),
            keep=keep,
        )

    def record(self, result: TileResult) -> None:
        """Take in a trained tile: its curves, and the weights of members that rank among the highest."""
        trials = np.asarray(result.tile.trials)
        self.train_loss[trials] = result.train_loss.T
        self.scores[trials] = result.scores.swapaxes(0, 1)
        self.epochs[trials] = result.epochs
        self.diverged[trials] = result.diverged
        self.seconds[trials] = result.seconds / len(trials)

        known = {*self.weights, *result.tile.trials}
        highest = {
            trial for group, count in self.keep for trial in self.highest((t for t in known if t in group), count)
        }
        self.weights = {trial: weights for trial, weights in self.weights.items() if trial in highest}
        for slot, trial in enumerate(result.tile.trials):
            if trial in highest:
                self.weights[trial] = member(result.variables, result.tile.hyperparams, slot)

    def highest(self, trials: Iterable[int], count: int) -> list[int]:
        """The best trials that have not diverged, best first, at most `count`."""
        ranked = self.ranking(np.asarray(sorted(trials), int))
        scored = np.isfinite(self.final(ranked)[:, self.rank_by]) & ~self.diverged[ranked]
        return [int(trial) for trial in ranked[scored][:count]]

    def final(self, trials: np.ndarray) -> np.ndarray:
        """Scores after the last epoch that each trial trained, [len(trials), M]."""
        return self.scores[trials, np.maximum(self.epochs[trials], 1) - 1]

    def ranking(self, trials: np.ndarray) -> np.ndarray:
        """Trials from best to worst: by the metric, then the validation loss, then the number; diverged ones last."""
        final = self.final(trials)
        loss, score = final[:, 0], final[:, self.rank_by]
        score = -score if self.metrics[self.rank_by].greater_is_better else score
        failed = self.diverged[trials] | ~np.isfinite(score)
        # NaN never wins, whatever its sort order.
        order = np.lexsort((trials, np.where(failed, np.inf, loss), np.where(failed, np.inf, score), failed))
        return trials[order]

    def best_epoch(self, trials: np.ndarray) -> np.ndarray:
        """The epoch, from 1, at which each trial scored best; 0 where it never had a score."""
        score = self.scores[trials, :, self.rank_by]
        score = np.where(np.isfinite(score), score, -np.inf if self.metrics[self.rank_by].greater_is_better else np.inf)
        best = score.argmax(1) if self.metrics[self.rank_by].greater_is_better else score.argmin(1)
        return np.where(np.isfinite(score).any(1), best + 1, 0)
