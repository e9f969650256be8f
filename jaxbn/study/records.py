"""What has been observed of each trial, and the states and weights that are still needed."""

import dataclasses
from collections.abc import Sequence

import numpy as np

from jaxbn.engine.run import TileResult
from jaxbn.engine.tiles import Member, Slot
from jaxbn.nn.metrics import Metric
from jaxbn.nn.types import Variables
from jaxbn.search import Cohort, Config, Edit, History
from jaxbn.study.weights import member


@dataclasses.dataclass(frozen=True)
class Ancestry:
    """A line of the lineage of a trial whose hyperparameters change.

    Attributes:
        trial: whose.
        epoch: epochs trained when it happened.
        source: the trial whose state it went on from; itself where it trained on.
        config: the hyperparameters from then on.
    """

    trial: int
    epoch: int
    source: int
    config: Config


@dataclasses.dataclass(eq=False)
class Records:
    """Observations of n configurations, each with k trials (replicates x folds), over at most E epochs.

    Trial numbers go through the trials of a configuration first: config = trial // k.

    Attributes:
        metrics: what is scored, M of them; the first is the loss.
        rank_by: the place in `metrics` of the one that ranks.
        repeats: k.
        keep: how many of the highest-ranked configurations keep the weights of their first trial.
        configs: hyperparameters as they are now, n of them.
        rounds: int [n], the round that proposed each.
        brackets: int [n].
        train_loss: [n k, E], NaN where not trained.
        first_loss: [n k], training loss of the first epoch of the weights that each trial has now.
        scores: [n k, E, M], on the validation split.
        epochs: [n k], epochs that each trial has trained.
        diverged: bool [n k].
        pruned: bool [n k], stopped by the scheduler.
        patient: bool [n k], ended because it got no better.
        seconds: [n k], share of each trial in the time of its tiles.
        slots: by trial, states that training may go on from.
        weights: by configuration, of the first trials of the highest-ranked so far.
        lineage: how hyperparameters changed; empty unless they do.
    """

    metrics: tuple[Metric, ...]
    rank_by: int
    repeats: int
    keep: int
    configs: list[Config]
    rounds: np.ndarray
    brackets: np.ndarray
    train_loss: np.ndarray
    first_loss: np.ndarray
    scores: np.ndarray
    epochs: np.ndarray
    diverged: np.ndarray
    pruned: np.ndarray
    patient: np.ndarray
    seconds: np.ndarray
    slots: dict[int, Slot] = dataclasses.field(default_factory=dict)
    weights: dict[int, Variables] = dataclasses.field(default_factory=dict)
    lineage: list[Ancestry] = dataclasses.field(default_factory=list)

    @classmethod
    def empty(
        cls, num_epochs: int, metrics: tuple[Metric, ...], rank_by: int, *, repeats: int = 1, keep: int = 1
    ) -> "Records":
        """Records before the first configuration."""
        whole, flags = np.zeros(0, int), np.zeros(0, bool)
        curves = np.zeros((0, num_epochs))
        scores = np.zeros((0, num_epochs, len(metrics)))
        return cls(
            metrics,
            rank_by,
            repeats,
            keep,
            [],
            whole,
            whole,
            curves,
            np.zeros(0),
            scores,
            whole,
            flags,
            flags,
            flags,
            np.zeros(0),
        )

    def add(self, configs: Sequence[Config], brackets: np.ndarray | None = None) -> np.ndarray:
        """Take in the configurations of the next round; their numbers come back."""
        numbers = np.arange(len(self.configs), len(self.configs) + len(configs))
        number = int(self.rounds.max(initial=-1)) + 1
        self.configs.extend(configs)
        self.rounds = np.concatenate([self.rounds, np.full(len(configs), number)])
        self.brackets = np.concatenate([self.brackets, np.zeros(len(configs), int) if brackets is None else brackets])
        blanks = {"train_loss": np.nan, "first_loss": np.nan, "scores": np.nan, "epochs": 0, "seconds": 0.0}
        for name in ("train_loss", "first_loss", "scores", "epochs", "diverged", "pruned", "patient", "seconds"):
            old = getattr(self, name)
            new = np.full((len(configs) * self.repeats, *old.shape[1:]), blanks.get(name, False), old.dtype)
            setattr(self, name, np.concatenate([old, new]))
        return numbers

    def trials(self, numbers: np.ndarray) -> np.ndarray:
        """Trials of configurations, [len(numbers), k]."""
        return np.asarray(numbers)[:, None] * self.repeats + np.arange(self.repeats)[None, :]

    def members(self, numbers: np.ndarray, folds: int, *, first_trial: int = 0) -> list[Member]:
        """The trials of configurations as the engine takes them, numbered from `first_trial`."""
        return [
            Member(
                trial=int(trial) + first_trial,
                config=self.configs[number],
                replicate=place // folds,
                fold=place % folds,
                slot=self.slots.get(int(trial)),
                first_loss=float(self.first_loss[trial]),
            )
            for number in numbers
            for place, trial in enumerate(self.trials(np.array([number]))[0])
        ]

    def record(self, result: TileResult, *, first_trial: int = 0, goes_on: bool = False) -> None:
        """Take in what a tile has learned.

        Args:
            result: of trials that are numbered from `first_trial`.
            first_trial: number of the first trial of these records.
            goes_on: whether some of its members may train on, so that their states are needed.
        """
        trials, tile = np.asarray(result.tile.trials) - first_trial, result.tile
        trained = slice(tile.start, tile.start + len(result.train_loss))
        self.train_loss[trials, trained] = result.train_loss.T
        if tile.start == 0:
            self.first_loss[trials] = result.train_loss[0]
        self.scores[trials, trained] = result.scores.swapaxes(0, 1)
        self.epochs[trials] = result.epochs
        self.diverged[trials] = result.diverged
        self.seconds[trials] += result.seconds / len(trials)
        for place, trial in enumerate(trials.tolist()):
            if goes_on:
                self.slots[trial] = Slot(result.state, place)
            if trial % self.repeats == 0:
                self.weights[trial // self.repeats] = member(result.state.variables, tile.hyperparams, place)
        # Later, the old scores of trials that are still to train on in this segment would be in the ranking.
        if tile.start == 0 and self.repeats == 1:
            self.forget()

    def forget(self) -> None:
        """Drop the weights of configurations that do not rank among the highest."""
        highest = self.highest(np.array(sorted(self.weights), int), self.keep)
        self.weights = {number: self.weights[number] for number in highest}

    def apply(self, cohort: Cohort, edit: Edit) -> None:
        """Carry out a decision: who is stopped, and who goes on from whose state with which hyperparameters."""
        stopped = np.delete(np.arange(len(cohort)), edit.keep)
        self.pruned[self.trials(cohort.numbers[stopped])] |= ~self.patient[self.trials(cohort.numbers[stopped])]
        kept, sources = (self.trials(cohort.numbers[places]).ravel() for places in (edit.keep, edit.source))
        self.slots = {trial: self.slots[source] for trial, source in zip(kept.tolist(), sources.tolist(), strict=True)}
        # Where a state was taken over, what was true of the source is true of the trial.
        for known in (self.diverged, self.epochs, self.first_loss):
            known[kept] = known[sources]
        for place, config in zip(edit.keep.tolist(), edit.configs, strict=True):
            self.configs[cohort.numbers[place]] = config

    def trace(self, cohort: Cohort, edit: Edit | None = None) -> None:
        """Write down how hyperparameters are, or change, at an epoch."""
        places = np.arange(len(cohort)) if edit is None else edit.keep
        sources = places if edit is None else edit.source
        configs = cohort.configs if edit is None else edit.configs
        for place, source, config in zip(places.tolist(), sources.tolist(), configs, strict=True):
            pairs = zip(
                self.trials(cohort.numbers[[place]])[0].tolist(),
                self.trials(cohort.numbers[[source]])[0].tolist(),
                strict=True,
            )
            self.lineage += [Ancestry(trial, cohort.epoch, origin, config) for trial, origin in pairs]

    def history(self) -> History:
        """What samplers and schedulers may look at."""
        numbers = np.arange(len(self.configs))
        score = self.final(numbers)[:, self.rank_by]
        score = -score if self.metrics[self.rank_by].greater_is_better else score
        rank = np.empty(len(numbers), int)
        rank[self.ranking(numbers)] = numbers
        return History(
            tuple(self.configs),
            np.where(self.failed(numbers), np.nan, score),
            rank,
            self.epochs[self.trials(numbers)].min(1, initial=np.iinfo(int).max) if len(numbers) else numbers,
            self.rounds,
        )

    def final(self, numbers: np.ndarray) -> np.ndarray:
        """Scores after the last epoch, the mean over the trials of each configuration, [len(numbers), M]."""
        trials = self.trials(numbers)
        return self.scores[trials, np.maximum(self.epochs[trials], 1) - 1].mean(1)

    def standard_error(self, numbers: np.ndarray) -> np.ndarray:
        """Of the mean score over the k > 1 trials of each configuration, [len(numbers)]."""
        trials = self.trials(numbers)
        score = self.scores[trials, np.maximum(self.epochs[trials], 1) - 1, self.rank_by]
        return score.std(1, ddof=1) / np.sqrt(self.repeats)

    def failed(self, numbers: np.ndarray) -> np.ndarray:
        """Whether some trial of a configuration diverged or has no score."""
        score = self.final(numbers)[:, self.rank_by]
        return self.diverged[self.trials(numbers)].any(1) | ~np.isfinite(score)

    def ranking(self, numbers: np.ndarray) -> np.ndarray:
        """Configurations from best to worst.

        By the metric, then the validation loss, then the number. Those that a scheduler stopped come after those that
        trained to their end, and those that failed come last.
        """
        final, failed = self.final(numbers), self.failed(numbers)
        loss, score = final[:, 0], final[:, self.rank_by]
        score = -score if self.metrics[self.rank_by].greater_is_better else score
        pruned = self.pruned[self.trials(numbers)].any(1)
        # NaN never wins, whatever its sort order.
        order = np.lexsort((numbers, np.where(failed, np.inf, loss), np.where(failed, np.inf, score), pruned, failed))
        return numbers[order]

    def highest(self, numbers: np.ndarray, count: int) -> list[int]:
        """The best configurations that have not failed, best first, at most `count`."""
        ranked = self.ranking(numbers)
        return [int(number) for number in ranked[~self.failed(ranked)][:count]]

    def best_epoch(self) -> np.ndarray:
        """The epoch, from 1, at which each trial scored best; 0 where it never had a score, [n k]."""
        greater = self.metrics[self.rank_by].greater_is_better
        score = self.scores[:, :, self.rank_by]
        score = np.where(np.isfinite(score), score, -np.inf if greater else np.inf)
        best = score.argmax(1) if greater else score.argmin(1)
        return np.where(np.isfinite(score).any(1), best + 1, 0)

    def impatient(self, numbers: np.ndarray, patience: int) -> np.ndarray:
        """Whether the mean score of a configuration has not risen for so many epochs, bool [len(numbers)]."""
        trials = self.trials(numbers)
        score = self.scores[trials, :, self.rank_by].mean(1)
        score = score if self.metrics[self.rank_by].greater_is_better else -score
        best = np.where(np.isfinite(score), score, -np.inf).argmax(1) + 1
        return self.epochs[trials].min(1) - best >= patience

    def status(self) -> np.ndarray:
        """What became of each trial: "ok", "pruned", "stopped" or "diverged", [n k]."""
        ended = self.patient | (self.epochs == self.train_loss.shape[1])
        return np.select([self.diverged, self.pruned, ended], ["diverged", "pruned", "ok"], "stopped")
