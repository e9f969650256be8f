"""The loop: propose, train to the next rung, rank, decide. No method has a flag here."""

import dataclasses
import math
from collections.abc import Callable

import numpy as np

from jaxbn.engine.plan import HELD
from jaxbn.engine.run import Compiled, Event, TileEpoch, Trainer
from jaxbn.search import Cohort, Config, Edit, Rung
from jaxbn.search.schedule import brackets_of
from jaxbn.study.clock import Clock
from jaxbn.study.leg import Leg
from jaxbn.study.records import Records
from jaxbn.study.setup import Setup
from jaxbn.study.state import SweepState


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


@dataclasses.dataclass(frozen=True)
class Resumed:
    """A sweep goes on from a checkpoint.

    Attributes:
        epochs: that its trials have trained.
        ended: trials that do not train on.
        ranked: how often configurations have been ranked.
    """

    epochs: int
    ended: int
    ranked: int

    @classmethod
    def at(cls, setup: Setup, state: SweepState) -> "Resumed":
        """Where a state is."""
        records, begun = state.records, state.alive is not None
        alive = waiting(setup, records, state.leg + begun)
        ranked = sum(len(setup.planned(leg)) for leg in setup.legs[: state.leg])
        if state.alive is not None:
            alive, leg = np.union1d(alive, state.alive), setup.legs[state.leg]
            ranked += state.rung - leg.first(setup.rungs(leg, setup.rounds[leg.round]))
        return cls(int(records.epochs.sum()), len(records.epochs) - len(alive) * records.repeats, ranked)


Listener = Callable[[Event | Ranked | Resumed], None]


def search(setup: Setup, trainer: Trainer, state: SweepState, tell: Listener, between: Callable[[bool], None]) -> None:
    """Fill the records: leg by leg, rung by rung, until everything is tried or the trainer has been stopped.

    Args:
        setup: what has been settled.
        trainer: does the work.
        state: how far it is; it may be anywhere.
        tell: is told of every ranking.
        between: called now and then while the state is whole, and, with True, after each decision: the time to save it,
            or to leave.
    """
    records = state.records
    while state.leg < len(setup.legs):
        leg = setup.legs[state.leg]
        if state.alive is None:
            records.go_on(waiting(setup, records, state.leg))
            state.alive = begin(setup, records, leg)
            state.rung = leg.first(state.rungs(setup))
        rungs = state.rungs(setup)
        while state.rung < len(rungs) and len(state.alive):
            if rungs[state.rung].epochs > leg.start:
                climb(setup, trainer, state, rungs, between)
            decide(setup, trainer, state, rungs, tell)
            between(True)
        later = [leg.round for leg in setup.legs[state.leg + 1 :]]
        records.finish(later=later, keep=setup.settings.keep_states)
        # Where it was killed after the target had been reached, another trainer had been stopped.
        if trainer.stopped or reached(setup, records):
            return
        state.leg, state.rung, state.alive = state.leg + 1, 0, None
        between(True)


def climb(
    setup: Setup, trainer: Trainer, state: SweepState, rungs: tuple[Rung, ...], between: Callable[[bool], None]
) -> None:
    """Train the cohort up to its next rung, and the linear baseline beside it."""
    plan, records, linear, num_folds = setup.plan, state.records, state.linear, len(setup.folds)
    beyond = sum(setup.rounds) * records.repeats
    cohort, rung = cohort_of(setup, state, rungs), rungs[state.rung]
    last = state.rung + 1 == len(rungs)
    members = records.members(cohort.numbers, num_folds, start=cohort.epoch)
    tiles = plan.pack(members, rung=state.rung, start=cohort.epoch, until=rung.epochs)
    baseline = linear.members(np.arange(len(linear.configs)), num_folds, start=0, first_trial=beyond)
    beside = plan.pack(baseline, rung=0, start=0, until=plan.num_epochs)
    tiles = [state.going_on(tile) for tile in (*tiles, *beside)]
    here, held, room = dataclasses.replace(cohort, epoch=rung.epochs), 0, math.inf
    if setup.scheduler.early and not last:
        room = HELD * sum(rungs[state.rung + 1].survivors) * records.repeats
    for result in trainer.train(tiles, idle=lambda: between(False)):
        state.clock.training.append(result.interval)
        if result.trials[0] >= beyond:
            linear.record(result, first_trial=beyond)
        else:
            records.record(result, goes_on=not last or setup.keeps(state.leg))
            held += len(result.trials)
            if held > room:
                held = thin(setup, records, here, rungs[state.rung + 1])
                # Trials wait for the other seeds and folds of their configuration: no need to ask each time.
                room = max(room, HELD * held)
            if reached(setup, records):
                trainer.stop()
        between(False)


def decide(setup: Setup, trainer: Trainer, state: SweepState, rungs: tuple[Rung, ...], tell: Listener) -> None:
    """Rank the cohort, which has reached a rung, and let the scheduler say who trains on."""
    records, rung = state.records, rungs[state.rung]
    cohort = dataclasses.replace(cohort_of(setup, state, rungs), epoch=rung.epochs)
    kept = np.zeros(0, int)
    if state.rung + 1 < len(rungs) and not trainer.stopped:
        edit = setup.scheduler.decide(setup.settings.seed, cohort, records.history(), rungs[state.rung + 1])
        records.apply(cohort, edit, trace=setup.scheduler.edits)
        kept = cohort.numbers[edit.keep]
    state.alive, state.rung = kept, state.rung + 1
    lasting = np.union1d(kept, np.intersect1d(cohort.numbers, waiting(setup, records, state.leg + 1)))
    repeats = records.repeats
    tell(Ranked(rung.epochs, len(cohort) * repeats, len(lasting) * repeats, best_score(records)))


def thin(setup: Setup, records: Records, cohort: Cohort, rung: Rung) -> int:
    """Let go of states that cannot survive the next decision: many that wait for it would fill the memory.

    Args:
        setup: what has been settled.
        records: with some of the cohort trained up to the decision.
        cohort: everybody, with the epochs of the decision.
        rung: the next one.

    Returns:
        How many states of trained trials are left.
    """
    trials = records.trials(cohort.numbers)
    trained = ((records.epochs[trials] == cohort.epoch) | records.diverged[trials]).all(1)
    seen = part(cohort, np.flatnonzero(trained))
    edit = setup.scheduler.decide(setup.settings.seed, seen, records.history(), rung)
    stays = np.concatenate([edit.keep, edit.ended])
    records.release(np.delete(seen.numbers, stays))
    return sum(trial in records.states for trial in trials[records.epochs[trials] == cohort.epoch].tolist())


def propose(setup: Setup, records: Records, num_configs: int) -> list[Config]:
    """The configurations of a later round; a list of configurations has none."""
    if setup.space is None:
        return []
    return setup.sampler.propose(setup.settings.seed, setup.space, records.history(), num_configs)[:num_configs]


def waiting(setup: Setup, records: Records, number: int) -> np.ndarray:
    """Configurations that train on in a leg of that number or a later one."""
    rounds = [leg.round for leg in setup.legs[number:] if leg.start]
    return np.flatnonzero(records.lasting() & np.isin(records.rounds, rounds))


def begin(setup: Setup, records: Records, leg: Leg) -> np.ndarray:
    """The configurations of a leg: those that go on, or those of a new round, which are taken in."""
    if leg.start:
        return np.flatnonzero(records.lasting() & (records.rounds == leg.round))
    configs = setup.configs if leg.round == 0 else propose(setup, records, setup.rounds[leg.round])
    rungs = setup.rungs(leg, len(configs))
    brackets = brackets_of(setup.settings.seed, rungs) if rungs else np.zeros(0, int)
    numbers = records.add(configs, brackets, round=leg.round)
    if setup.scheduler.edits:
        everyone = np.arange(len(numbers))
        cohort = Cohort(numbers, brackets, tuple(configs), setup.spec_of, 0, setup.space)
        records.plan_changes(cohort, Edit(everyone, everyone, cohort.configs))
    return numbers


def cohort_of(setup: Setup, state: SweepState, rungs: tuple[Rung, ...]) -> Cohort:
    """The configurations that are alive, as they are before they train up to their next rung."""
    numbers, records = state.alive, state.records
    assert numbers is not None
    configs = tuple(records.config(number) for number in numbers.tolist())
    epoch = max(setup.legs[state.leg].start, rungs[state.rung - 1].epochs if state.rung else 0)
    return Cohort(numbers, records.brackets[numbers], configs, setup.spec_of, epoch, setup.space)


def part(cohort: Cohort, places: np.ndarray) -> Cohort:
    """Some of a cohort."""
    configs = tuple(cohort.configs[place] for place in places)
    return dataclasses.replace(
        cohort, numbers=cohort.numbers[places], brackets=cohort.brackets[places], configs=configs
    )


def best_score(records: Records) -> float | None:
    """The highest-ranked score so far."""
    highest = records.highest(np.arange(len(records.configs)), 1)
    return float(records.final(np.array(highest))[0, records.rank_by]) if highest else None


def reached(setup: Setup, records: Records) -> bool:
    """Whether the target score has been reached."""
    target = setup.settings.target_score
    best = None if target is None else best_score(records)
    if target is None or best is None:
        return False
    return best >= target if setup.metric.greater_is_better else best <= target


def listening(setup: Setup, clock: Clock, stop: Callable[[], None], on_event: Listener | None) -> Listener:
    """A listener that notes compilations, stops at the target score, and passes everything on."""
    target, single = setup.settings.target_score, setup.settings.repeats == 1
    beyond = sum(setup.rounds) * setup.settings.repeats

    def listen(event: Event | Ranked | Resumed) -> None:
        if isinstance(event, Compiled):
            clock.compiling.append((event.start, event.start + event.seconds))
        if isinstance(event, TileEpoch) and target is not None and single and event.trials[0] < beyond:
            scores = event.scores[~event.diverged, setup.rank_by]
            if (scores >= target if setup.metric.greater_is_better else scores <= target).any():
                stop()
        if on_event is not None:
            on_event(event)

    return listen
