"""The loop: propose, train to the next rung, rank, decide. No method has a flag here."""

import dataclasses
from collections.abc import Callable

import numpy as np

from jaxbn.engine.run import Compiled, Event, TileEpoch, Trainer
from jaxbn.engine.tiles import fitting
from jaxbn.search import Cohort, Config, Edit, Rung, split
from jaxbn.search.schedule import brackets_of
from jaxbn.study.clock import Clock
from jaxbn.study.records import Records
from jaxbn.study.setup import Setup


@dataclasses.dataclass(frozen=True)
class Ranked:
    """All configurations that are alive have been ranked.

    Attributes:
        epochs: that they have trained.
        trials: how many were ranked.
        kept: how many of them train on.
        best: the highest-ranked score so far; None where all failed.
    """

    epochs: int
    trials: int
    kept: int
    best: float | None


Listener = Callable[[Event | Ranked], None]


def search(setup: Setup, trainer: Trainer, records: Records, linear: Records, clock: Clock, tell: Listener) -> None:
    """Fill the records: round by round, rung by rung, until everything is tried or the trainer has been stopped.

    Args:
        setup: what has been settled.
        trainer: does the work.
        records: of the configurations; empty before.
        linear: of the linear baseline, which trains to the end beside the first tiles.
        clock: notes when something trained.
        tell: is told of every ranking.
    """
    plan, num_folds = setup.plan, len(setup.folds)
    beyond = sum(setup.rounds) * records.repeats
    members = linear.members(linear.add(setup.linear), num_folds, first_trial=beyond)
    beside = plan.pack(members, rung=0, start=0, until=plan.num_epochs)
    for number, size in enumerate(setup.rounds):
        configs = setup.configs if number == 0 else propose(setup, records, size)
        rungs = setup.scheduler.rungs(len(configs), plan.num_epochs) if configs else ()
        cohort = begin(setup, records, configs, rungs)
        for place, rung in enumerate(rungs):
            last = place + 1 == len(rungs)
            waiting = records.members(cohort.numbers, num_folds)
            tiles = plan.pack(waiting, rung=place, start=cohort.epoch, until=rung.epochs)
            for result in trainer.train([*tiles, *beside]):
                clock.training.append((result.start, result.start + result.seconds))
                if result.tile.trials[0] >= beyond:
                    linear.record(result, first_trial=beyond)
                else:
                    records.record(result, goes_on=not last)
                    if reached(setup, records):
                        trainer.stop()
            beside = []
            records.forget()
            cohort = dataclasses.replace(cohort, epoch=rung.epochs)
            before = len(cohort)
            if last or trainer.stopped:
                cohort = dataclasses.replace(cohort, numbers=cohort.numbers[:0])
            else:
                cohort = decide(setup, records, cohort, rungs[place + 1])
            tell(Ranked(rung.epochs, before * records.repeats, len(cohort) * records.repeats, best_score(records)))
            if not len(cohort):
                break
        records.slots.clear()
        if trainer.stopped:
            return


def propose(setup: Setup, records: Records, num_configs: int) -> list[Config]:
    """The configurations of a later round; a list of configurations has none."""
    if setup.space is None:
        return []
    return setup.sampler.propose(setup.settings.seed, setup.space, records.history(), num_configs)


def begin(setup: Setup, records: Records, configs: list[Config], rungs: tuple[Rung, ...]) -> Cohort:
    """The configurations of a round before their first epoch."""
    brackets = brackets_of(setup.settings.seed, rungs) if rungs else np.zeros(0, int)
    numbers = records.add(configs, brackets)
    cohort = Cohort(numbers, brackets, tuple(configs), specs_of(setup, configs), 0, setup.space)
    if setup.scheduler.edits:
        records.trace(cohort)
    return cohort


def decide(setup: Setup, records: Records, cohort: Cohort, rung: Rung) -> Cohort:
    """The configurations that train on."""
    edit = setup.scheduler.decide(setup.settings.seed, cohort, records.history(), rung)
    if setup.settings.patience is not None:
        edit = without_impatient(records, cohort, edit, setup.settings.patience)
    records.apply(cohort, edit)
    if setup.scheduler.edits:
        records.trace(cohort, edit)
    return Cohort(
        cohort.numbers[edit.keep],
        cohort.brackets[edit.keep],
        edit.configs,
        specs_of(setup, edit.configs),
        cohort.epoch,
        cohort.space,
    )


def without_impatient(records: Records, cohort: Cohort, edit: Edit, patience: int) -> Edit:
    """A decision without those that have got no better for too long; those have trained to their end."""
    ended = records.impatient(cohort.numbers, patience)
    records.patient[records.trials(cohort.numbers[ended])] = True
    stays = ~ended[edit.keep]
    configs = tuple(config for config, stay in zip(edit.configs, stays, strict=True) if stay)
    return Edit(edit.keep[stays], edit.source[stays], configs)


def specs_of(setup: Setup, configs: "list[Config] | tuple[Config, ...]") -> tuple:
    """What shapes the program of each configuration."""
    num_rows = setup.plan.num_rows[0]
    return tuple(split(fitting(config, num_rows), padding=setup.plan.padding)[0] for config in configs)


def best_score(records: Records) -> float | None:
    """The highest-ranked score so far."""
    highest = records.highest(np.arange(len(records.configs)), 1)
    return float(records.final(np.array(highest))[0, records.rank_by]) if highest else None


def reached(setup: Setup, records: Records) -> bool:
    """Whether the target score has been reached."""
    target, best = setup.settings.target_score, best_score(records)
    if target is None or best is None:
        return False
    return best >= target if setup.metric.greater_is_better else best <= target


def listening(setup: Setup, clock: Clock, stop: Callable[[], None], on_event: Listener | None) -> Listener:
    """A listener that notes compilations, stops at the target score, and passes everything on."""
    target, single = setup.settings.target_score, setup.settings.repeats == 1
    beyond = sum(setup.rounds) * setup.settings.repeats

    def listen(event: Event | Ranked) -> None:
        if isinstance(event, Compiled):
            clock.compiling.append((event.start, event.start + event.seconds))
        if isinstance(event, TileEpoch) and target is not None and single and event.trials[0] < beyond:
            scores = event.scores[~event.diverged, setup.rank_by]
            if (scores >= target if setup.metric.greater_is_better else scores <= target).any():
                stop()
        if on_event is not None:
            on_event(event)

    return listen
