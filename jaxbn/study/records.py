"""What has been observed of each trial, and the states and weights that are still needed."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np

from jaxbn.engine.tiles import Member, TileResult, taken
from jaxbn.nn.metrics import Metric
from jaxbn.nn.types import TrainState, Variables
from jaxbn.search import Cohort, Config, Edit, History
from jaxbn.study.weights import used


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


DIGITS = 6
"""Of a mean score that count when it ranks. Scores are of 32 bits: 15 and 17 hits of 30 have another mean than 16 and
16, in the eighth digit, and are as good."""

PER_TRIAL = {
    "train_loss": np.nan,
    "first_loss": np.nan,
    "scores": np.nan,
    "epochs": 0,
    "diverged": False,
    "pruned": False,
    "patient": False,
    "seconds": 0.0,
}
"""The arrays of `Records` that have a row for each trial, and what is in a row before it trains."""

ARRAYS = ("rounds", "brackets", *PER_TRIAL)
"""The arrays of `Records`."""


@dataclasses.dataclass(eq=False)
class Records:
    """Observations of n configurations, each with k trials (replicates x folds), over at most E epochs.

    Trial numbers go through the trials of a configuration first: config = trial // k.

    Attributes:
        metrics: what is scored, M of them; the first is the loss.
        rank_by: the place in `metrics` of the one that ranks.
        repeats: k.
        keep: how many of the highest-ranked configurations keep the weights of their first trial.
        configs: hyperparameters that each last trained with, n of them.
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
        states: by trial, of those that may train on.
        weights: by configuration, of the first trials of the highest-ranked of those that do not.
        released: configurations whose states went before their cohort was ranked: they will be pruned.
        changes: by configuration, what holds once it trains on: hyperparameters, and whose state it goes on from.
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
    states: dict[int, TrainState] = dataclasses.field(default_factory=dict)
    weights: dict[int, Variables] = dataclasses.field(default_factory=dict)
    released: set[int] = dataclasses.field(default_factory=set)
    changes: dict[int, tuple[Config, int]] = dataclasses.field(default_factory=dict)
    lineage: list[Ancestry] = dataclasses.field(default_factory=list)

    @classmethod
    def empty(
        cls, num_epochs: int, metrics: tuple[Metric, ...], rank_by: int, *, repeats: int = 1, keep: int = 1
    ) -> "Records":
        """Records before the first configuration."""
        rows = {"train_loss": (num_epochs,), "scores": (num_epochs, len(metrics))}
        arrays: dict[str, Any] = {name: np.full((0, *rows.get(name, ())), blank) for name, blank in PER_TRIAL.items()}
        whole = np.zeros(0, int)
        return cls(metrics, rank_by, repeats, keep, [], rounds=whole, brackets=whole, **arrays)

    def add(self, configs: Sequence[Config], brackets: np.ndarray | None = None, *, round: int = 0) -> np.ndarray:
        """Take in the configurations of a round; their numbers come back."""
        numbers = np.arange(len(self.configs), len(self.configs) + len(configs))
        self.configs.extend(configs)
        self.rounds = np.concatenate([self.rounds, np.full(len(configs), round)])
        self.brackets = np.concatenate([self.brackets, np.zeros(len(configs), int) if brackets is None else brackets])
        for name, blank in PER_TRIAL.items():
            old = getattr(self, name)
            new = np.full((len(configs) * self.repeats, *old.shape[1:]), blank, old.dtype)
            setattr(self, name, np.concatenate([old, new]))
        return numbers

    def lengthen(self, num_epochs: int) -> None:
        """Make room for the curves of more epochs."""
        more = (0, num_epochs - self.train_loss.shape[1])
        self.train_loss = np.pad(self.train_loss, ((0, 0), more), constant_values=np.nan)
        self.scores = np.pad(self.scores, ((0, 0), more, (0, 0)), constant_values=np.nan)

    def copy(self) -> "Records":
        """The records as they are now, for another thread; weights and states are never changed in place."""
        held = {
            name: getattr(self, name).copy()
            for name in (*ARRAYS, "configs", "states", "weights", "released", "changes", "lineage")
        }
        return dataclasses.replace(self, **held)

    def config(self, number: int) -> Config:
        """The hyperparameters that a configuration trains on with."""
        return self.changes.get(number, (self.configs[number], number))[0]

    def _source(self, number: int) -> int:
        """The configuration whose state a configuration trains on from."""
        return self.changes.get(number, (self.configs[number], number))[1]

    def trials(self, numbers: np.ndarray) -> np.ndarray:
        """Trials of configurations, [len(numbers), k]."""
        return np.asarray(numbers)[:, None] * self.repeats + np.arange(self.repeats)[None, :]

    def members(self, numbers: np.ndarray, folds: int, *, start: int, first_trial: int = 0) -> list[Member]:
        """The trials of configurations that have not trained for more than `start` epochs, as the engine takes them.

        They are numbered from `first_trial`. Those that diverged do not train on, unless from another's state.
        """
        found = []
        for number in numbers.tolist():
            config, source = self.config(number), self._source(number)
            for place in range(self.repeats):
                trial = number * self.repeats + place
                if self.epochs[trial] > start or (self.diverged[trial] and source == number):
                    continue
                found.append(
                    Member(
                        trial=trial + first_trial,
                        config=config,
                        replicate=place // folds,
                        fold=place % folds,
                        state=self.states.get(trial),
                        first_loss=float(self.first_loss[source * self.repeats + place]),
                    )
                )
        return found

    def record(self, result: TileResult, *, first_trial: int = 0, goes_on: bool = False) -> None:
        """Take in what a tile has learned.

        Args:
            result: of trials that are numbered from `first_trial`.
            first_trial: number of the first trial of these records.
            goes_on: whether its members may train on, so that their states are needed.
        """
        trials = np.asarray(result.trials) - first_trial
        for trial in trials.tolist():
            self._change(trial, result.start)
        trained = slice(result.start, result.start + len(result.train_loss))
        self.train_loss[trials, trained] = result.train_loss.T
        self.first_loss[trials] = result.first_loss if result.start else result.train_loss[0]
        self.scores[trials, trained] = result.scores.swapaxes(0, 1)
        self.epochs[trials] = result.epochs
        self.diverged[trials] = result.diverged
        self.seconds[trials] += result.seconds / len(trials)
        if goes_on:
            for place, trial in enumerate(trials.tolist()):
                self.states[trial] = taken(result.state, place)
                self.weights.pop(trial // self.repeats, None)
        else:
            candidates = self._candidates(trials)
            for place, trial in enumerate(trials.tolist()):
                if trial in candidates:
                    self._end(trial, taken(result.state.variables, place))
                else:
                    self.states.pop(trial, None)
        if self.repeats == 1:
            self.forget()

    def _candidates(self, trials: np.ndarray) -> set[int]:
        """Of trials that have just ended, those whose weights may be kept; the others' need not leave the device."""
        if self.repeats > 1:
            return set(trials.tolist())
        standing = (set(self.weights) - self.released - self._held()).union(trials.tolist())
        return set(self.highest(np.array(sorted(standing), int), self.keep)).intersection(trials.tolist())

    def _change(self, trial: int, epoch: int) -> None:
        """What was decided for a trial holds from now on: it has trained with it."""
        number, place = divmod(trial, self.repeats)
        if number not in self.changes:
            return
        config, source = self.changes[number]
        if config != self.configs[number]:
            # What was kept is the network that it gave up, whose shape may be another one.
            self.weights.pop(number, None)
        self.configs[number] = config
        self.lineage.append(Ancestry(trial, epoch, source * self.repeats + place, config))

    def _end(self, trial: int, variables: Variables) -> None:
        """A trial does not train on, as far as is known; the weights of first trials are candidates to be kept."""
        self.states.pop(trial, None)
        number, place = divmod(trial, self.repeats)
        if place == 0:
            self.weights[number] = used(variables, self.configs[number])

    def forget(self) -> None:
        """Drop the weights of configurations that do not rank among the highest of those that have ended."""
        # Until they are marked as pruned, those that were released must not outrank those that are. Those whose states
        # are kept may train on and give up what they have, and others must not have gone because of them.
        held = self._held()
        ended = set(self.weights) - held
        groups = (ended - self.released, ended & self.released, set(self.weights) & held)
        highest = [number for some in groups for number in self.highest(np.array(sorted(some), int), self.keep)]
        self.weights = {number: self.weights[number] for number in highest}

    def _held(self) -> set[int]:
        """Configurations that may train on, as their states are there."""
        return {trial // self.repeats for trial in self.states}

    def release(self, numbers: np.ndarray) -> None:
        """Let the states of configurations go that will not train on, whatever the rest of their cohort does."""
        for trial in self.trials(numbers).ravel().tolist():
            if trial in self.states:
                self._end(trial, self.states[trial].variables)
        self.released.update(numbers.tolist())
        self.forget()

    def apply(self, cohort: Cohort, edit: Edit, *, trace: bool) -> None:
        """Carry out a decision: who ends, and who goes on from whose state with which hyperparameters.

        Args:
            cohort: that was decided on.
            edit: the decision.
            trace: whether hyperparameters may change, so that there is a lineage.
        """
        stopped = np.setdiff1d(np.arange(len(cohort)), np.concatenate([edit.keep, edit.ended]))
        self.pruned[self.trials(cohort.numbers[stopped])] = True
        self.patient[self.trials(cohort.numbers[edit.ended])] = True
        old = dict(self.states)
        # Who takes over another's state leaves its own weights behind, which may still be the best that there are.
        leaving = np.concatenate([stopped, edit.ended, edit.keep[edit.keep != edit.source]])
        for trial in self.trials(cohort.numbers[leaving]).ravel().tolist():
            if trial in old:  # Others were released before.
                self._end(trial, old[trial].variables)
        kept, sources = (self.trials(cohort.numbers[places]).ravel() for places in (edit.keep, edit.source))
        self.released.clear()
        own = set(self.trials(cohort.numbers).ravel().tolist())
        self.states = {trial: state for trial, state in self.states.items() if trial not in own}
        self.states |= {trial: old[source] for trial, source in zip(kept.tolist(), sources.tolist(), strict=True)}
        self.forget()
        if trace:
            self.plan_changes(cohort, edit)

    def plan_changes(self, cohort: Cohort, edit: Edit) -> None:
        """Note what holds once the configurations train on."""
        sources = cohort.numbers[edit.source].tolist()
        numbers = cohort.numbers[edit.keep].tolist()
        self.changes = {
            number: (config, source) for number, source, config in zip(numbers, sources, edit.configs, strict=True)
        }

    def finish(self, *, later: Sequence[int] = (), keep: bool = False) -> None:
        """A leg is over, or was stopped.

        Args:
            later: rounds that have a leg yet to come: whoever lasts of them trains on.
            keep: whether the states of all others are needed later too; of those that diverged never.
        """
        going = self.lasting() & np.isin(self.rounds, list(later))
        waiting = {trial: state for trial, state in self.states.items() if going[trial // self.repeats]}
        # Who was stopped may hold the state of another, from which it was to go on.
        own = [trial for trial in self.states if keep or self._source(trial // self.repeats) == trial // self.repeats]
        ended = {trial: self.states[trial] for trial in own if trial not in waiting}
        for trial in self._candidates(np.array([*ended], int)):
            self._end(trial, ended[trial].variables)
        kept = {trial: state for trial, state in ended.items() if keep}
        self.states = {trial: state for trial, state in {**waiting, **kept}.items() if not self.diverged[trial]}
        self.changes = {}
        self.released.clear()
        self.forget()

    def go_on(self, numbers: np.ndarray) -> None:
        """Configurations train on: the weights that they had are no candidates any more."""
        for number in numbers.tolist():
            self.weights.pop(number, None)

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
            self.epochs[self.trials(numbers)].min(1, initial=self.train_loss.shape[1]),
            self.best_mean_epoch(numbers),
            self.rounds,
        )

    def final(self, numbers: np.ndarray) -> np.ndarray:
        """Scores after the last epoch, the mean over the trials of each configuration, [len(numbers), M]."""
        trials = self.trials(numbers)
        return self.scores[trials, np.maximum(self.epochs[trials], 1) - 1].mean(1)

    def standard_error(self, numbers: np.ndarray, folds: int) -> np.ndarray:
        """Of the mean score over the k > 1 trials of each configuration, [len(numbers)].

        Over folds where there are several, each the mean of its replicates, which share its rows.
        """
        trials = self.trials(numbers)
        score = self.scores[trials, np.maximum(self.epochs[trials], 1) - 1, self.rank_by]
        if folds > 1:
            score = score.reshape(len(numbers), -1, folds).mean(1)
        return score.std(1, ddof=1) / np.sqrt(score.shape[1])

    def failed(self, numbers: np.ndarray) -> np.ndarray:
        """Whether some trial of a configuration diverged or has no score."""
        score = self.final(numbers)[:, self.rank_by]
        return self.diverged[self.trials(numbers)].any(1) | ~np.isfinite(score)

    def lasting(self) -> np.ndarray:
        """Whether each configuration was neither stopped by the scheduler nor ended by patience, bool [n]."""
        everyone = self.trials(np.arange(len(self.configs)))
        return np.logical_not((self.pruned | self.patient)[everyone].any(1))

    def ranking(self, numbers: np.ndarray) -> np.ndarray:
        """Configurations from best to worst.

        By the metric, then the validation loss, then the number. Those that a scheduler stopped come after those that
        trained to their end, and those that failed come last.
        """
        final, failed = self.final(numbers), self.failed(numbers)
        loss, score = final[:, 0], self._ranked_by(final[:, self.rank_by])
        score = -score if self.metrics[self.rank_by].greater_is_better else score
        pruned = self.pruned[self.trials(numbers)].any(1)
        # NaN never wins, whatever its sort order.
        order = np.lexsort((numbers, np.where(failed, np.inf, loss), np.where(failed, np.inf, score), pruned, failed))
        return numbers[order]

    def _ranked_by(self, score: np.ndarray) -> np.ndarray:
        """Scores as they rank: of means, the digits that are not chance."""
        if self.repeats == 1:
            return score
        with np.errstate(divide="ignore"):
            unit = 10.0 ** (np.floor(np.log10(np.abs(score))) + 1 - DIGITS)
        known = np.isfinite(unit) & (unit > 0)
        return np.where(known, np.round(score / np.where(known, unit, 1)) * unit, score)

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

    def best_mean_epoch(self, numbers: np.ndarray) -> np.ndarray:
        """The epoch, from 1, at which the mean score of each configuration was best; 0 where it never had one."""
        score = self.scores[self.trials(numbers), :, self.rank_by].mean(1)
        score = score if self.metrics[self.rank_by].greater_is_better else -score
        known = np.isfinite(score)
        return np.where(known.any(1), np.where(known, score, -np.inf).argmax(1) + 1, 0)

    def status(self) -> np.ndarray:
        """What became of each trial: "ok", "pruned", "stopped" or "diverged", [n k]."""
        ended = self.patient | (self.epochs == self.train_loss.shape[1])
        return np.select([self.diverged, self.pruned, ended], ["diverged", "pruned", "ok"], "stopped")
