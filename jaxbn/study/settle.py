"""From what a person asks for to a setup and its plan, before anything is compiled."""

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from jaxbn.data import Dataset, fold_rows, load_data, prepare
from jaxbn.engine.cost import Rates
from jaxbn.engine.data import problem_of
from jaxbn.engine.machine import machine, workers
from jaxbn.engine.plan import Plan
from jaxbn.engine.planner import plan_tiles
from jaxbn.engine.programs import sizes_of
from jaxbn.engine.work import work_of
from jaxbn.errors import UserError
from jaxbn.nn.types import Architecture
from jaxbn.search import Choice, Config, Float, Sampler, Scheduler, Space, sampler, scheduler
from jaxbn.search.patience import with_patience
from jaxbn.search.propose import grid, random
from jaxbn.search.space import applies
from jaxbn.study.budget import RESERVE, Draft, round_sizes, within
from jaxbn.study.leg import Leg, Lengthened
from jaxbn.study.score import check_classes, choose_metrics
from jaxbn.study.settings import Settings, enqueued, settings_of
from jaxbn.study.setup import Fold, Setup

LINEAR = Space(num_layers=0, optimizer="adam", learning_rate=Float(1e-4, 1, scale="log"), decay_kind=Choice("none"))
NUM_TRIED = 100
"""Random configurations among which one uses what the space searches, if ever one does."""
NUM_LINEAR = 9
"""Learning rates of the best linear model, the baseline: two for each decade."""


class Settled(NamedTuple):
    """What was settled when a sweep began, and is not settled anew when it is resumed.

    Attributes:
        num_configs: how many configurations fitted the time budget.
        rates: what was assumed of the machine; padding and tile sizes follow from it.
        halvings: how often tiles were halved since, because a device had no memory left.
        added: configurations of each round that was added since.
        lengthened: what epochs were added since.
    """

    num_configs: int
    rates: Rates
    halvings: int = 0
    added: tuple[int, ...] = ()
    lengthened: tuple[Lengthened, ...] = ()

    def carried_out(self, setup: Setup) -> Setup:
        """A sweep as it was begun, with what has changed since, in the order in which it did."""
        for _ in range(self.halvings):
            setup = setup.halved()
        longer = list(self.lengthened)
        for count in (*self.added, None):
            while longer and longer[0].num_rounds == len(setup.rounds):
                setup = setup.with_epochs(longer.pop(0))
            setup = setup if count is None else setup.with_round(count)
        return setup


def to_train(given: Space | Sequence[Config] | None) -> Space | list[Config]:
    """The space that is to be searched, or the configurations that were listed; the default space where neither is.

    Raises:
        UserError: it is neither.
    """
    if given is None or isinstance(given, Space):
        return Space.default() if given is None else given
    if isinstance(given, Mapping):
        raise UserError(f"a dict with {', '.join(map(str, given)):.60} was given as the space: write Space(**dict)")
    if not isinstance(given, Sequence) or not all(isinstance(config, Config) for config in given):
        raise UserError(f"{given!r:.60} is no Space and no list of configs: the space comes first, then the data")
    if not given:
        raise UserError("there are no configs to train: give at least one, or a Space")
    return list(given)


def set_up(
    space: Space | Sequence[Config] | None,
    data: Any,
    settings: Settings,
    *,
    elapsed: float = 0.0,
    settled: Settled | None = None,
) -> Setup:
    """Load, split, prepare, propose and plan.

    Args:
        space: what to search; None is the default space; a list of configurations is trained as it stands.
        data: a `Dataset`, or what `load_data` reads.
        settings: how to search.
        elapsed: seconds of the time budget that have gone.
        settled: what was settled when the sweep began, where it is resumed.

    Raises:
        UserError: something that was asked for cannot be done.
    """
    method, ask = _scheduler(settings), sampler(settings.sampler)
    given = to_train(space)
    space, listed = (given, None) if isinstance(given, Space) else (None, given)
    if listed is not None and settings.enqueue:
        raise UserError("configurations were listed and others enqueued: put them all into the list")
    if method.edits:
        _check_edits(space)
    architecture = _architecture(space, listed)
    dataset = data if isinstance(data, Dataset) else load_data(data)
    if dataset.task == "regression" and (architecture is None or architecture.loss is None):
        _check_smoothing(space, listed, dataset)
    metrics, rank_by = choose_metrics(settings.metric, dataset.task)
    most, score = settings.target_score, metrics[rank_by]
    if most is not None and (most > 1 if score.greater_is_better else most < 0):
        raise UserError(f"target_score = {most:g} is beyond the best {score.name}: give one that can be reached")
    splits, notes = fold_rows(
        dataset,
        num_folds=settings.folds,
        seed=settings.seed,
        valid_fraction=settings.valid_fraction,
        test_fraction=settings.test_fraction,
    )
    folds = tuple(Fold(split, prepare(dataset, split, class_weight=settings.class_weight)) for split in splits)
    check_classes(metrics[rank_by], [fold.prepared.valid.y for fold in folds])
    names = tuple(metric.name for metric in metrics)
    problems = [
        problem_of(fold.train, fold.valid, dataset.task, fold.num_outputs, names, architecture)
        for fold in (fold.prepared for fold in folds)
    ]
    linear = grid(settings.seed, LINEAR, None, NUM_LINEAR)
    num_rows = [len(split.train) for split in splits]
    rates = machine(settings.devices) if settled is None else settled.rates

    def draft(num_configs: int) -> Draft:
        if listed is None:
            assert space is not None
            first = enqueued(settings, space)[:num_configs]
            rounds = round_sizes(num_configs - len(first), settings.num_rounds or ask.num_rounds)
            configs = first + proposed(ask, settings, space, settings.num_configs - len(first), rounds[0])
            rounds = (len(configs), *rounds[1:])
        else:
            configs = listed[:num_configs]
            rounds = (len(configs),)
        return (
            rounds,
            configs,
            plan_tiles(
                configs,
                space,
                problems,
                num_rows=num_rows,
                rungs=method.rungs(rounds[0], settings.num_epochs),
                rates=rates,
                num_rounds=len(rounds),
                num_replicates=settings.replicates,
                probes=None if space is not None else configs,
                extra=linear,
                tile_size=settings.tile_size,
                precision=settings.precision,
            ),
        )

    wanted = settings.num_configs if listed is None else len(listed)
    if settings.time_budget is None:
        rounds, configs, plan = draft(wanted)
    elif settled is not None:
        rounds, configs, plan = draft(settled.num_configs)
    else:
        rounds, configs, plan = within(draft, wanted, settings.time_budget - elapsed - RESERVE)
    if settings.keep_states:
        _check_decay(configs)
    setup = Setup(
        settings,
        dataclasses.replace(settings, num_configs=sum(rounds), enqueue=settings.enqueue[: rounds[0]]),
        space,
        dataset,
        folds,
        metrics,
        rank_by,
        ask,
        method,
        rounds,
        tuple(Leg(number, 0, settings.num_epochs) for number in range(len(rounds))),
        configs,
        linear,
        dataclasses.replace(plan, keeps=settings.keep_states),
        (*dataset.notes, *notes, *_noticed(settings, space, rounds, configs, plan, wanted=wanted)),
    )
    return setup if settled is None else settled.carried_out(setup)


def _noticed(
    settings: Settings,
    space: Space | None,
    rounds: tuple[int, ...],
    configs: Sequence[Config],
    plan: Plan,
    *,
    wanted: int,
) -> Iterator[str]:
    """Sentences to tell the user of what was settled."""
    if settings.time_budget is not None and sum(rounds) < wanted:
        yield (
            f"about {sum(rounds)} of {wanted} configs fit the time budget of {settings.time_budget:g} s, "
            "so that many are tried"
        )
    if space is not None:
        tried = (*configs, *random(settings.seed, space, None, NUM_TRIED))
        never = [name for name in space.domains if not any(_reads(config, name, space) for config in tried)]
        if never:
            yield f"the space searches {', '.join(never)}, which no config of it uses"
    if settings.scheduler != "none" and len(plan.rungs) == 1:
        yield f"{settings.num_epochs} epochs leave {settings.scheduler} nothing to decide: everything trains to the end"
    if settings.precision == "tf32" and workers(settings.devices)[0].platform == "cpu":
        yield "a CPU has no tf32: it multiplies in float32"
    convolving = [p.tile_size for p in plan.programs if work_of(p.spec, sizes_of(p.problem)).convolves]
    if plan.rates.largest_convolving == 1 and convolving and max(convolving) == 1:
        yield "networks with convolutions train one by one on each core: stacked, they take longer on a CPU"
    full = sum(config.batch_size > plan.num_rows[0] for config in configs)
    if full:
        yield (
            f"{full} of {len(configs)} configs have a batch size above the {plan.num_rows[0]} training rows: "
            "each of their steps takes all rows"
        )


def proposed(ask: Sampler, settings: Settings, space: Space, wanted: int, count: int) -> list[Config]:
    """The configurations of the first round.

    Args:
        ask: the sampler.
        settings: what was asked for.
        space: what is searched.
        wanted: how many configurations there would be without a time budget.
        count: how many there are in the first round.

    Raises:
        UserError: the sampler has none, or makes no sense in rounds.
    """
    if not count:
        return []
    if not ask.whole:
        configs = ask.propose(settings.seed, space, None, count)[:count]
    elif (settings.num_rounds or 1) > 1:
        raise UserError(f"a {ask.name} in {settings.num_rounds} rounds is no {ask.name}: leave num_rounds out")
    else:
        # A smaller grid would be another one; some of its points are what there is time for.
        whole = ask.propose(settings.seed, space, None, wanted)
        some = np.random.default_rng(settings.seed).permutation(len(whole))[:count]
        configs = [whole[place] for place in sorted(some.tolist())]
    if not configs:
        raise UserError(f"the sampler {ask.name!r} proposed no configuration: it must return num_configs of them")
    return configs


def _reads(config: Config, name: str, space: Space) -> bool:
    """Whether a configuration uses its own value of what a space searches."""
    return name not in config.unused() and applies(space.domains[name], config)


def _scheduler(settings: Settings) -> Scheduler:
    method = scheduler(
        settings.scheduler,
        num_epochs=settings.num_epochs,
        factor=settings.factor,
        min_epochs=settings.min_epochs,
        interval=settings.interval or max(round(settings.num_epochs / 10), 1),
    )
    return method if settings.patience is None else with_patience(method, settings.patience)


def _architecture(space: Space | None, listed: Sequence[Config] | None) -> Architecture | None:
    if listed is None:
        return None if space is None else space.architecture
    if any(config.architecture != listed[0].architecture for config in listed):
        raise UserError("the configurations that were listed are of several architectures: sweep each by itself")
    return listed[0].architecture


def _check_edits(space: Space | None) -> None:
    if space is None:
        raise UserError("population-based training explores a space and configurations were listed: give a Space")
    names = [name for name, row in space.table.items() if row.editable]
    if not set(space.domains) & set(names):
        raise UserError(
            f"population-based training changes hyperparameters while it trains and this space searches none that may "
            f"change: search at least one of {', '.join(names)}"
        )


def _check_smoothing(space: Space | None, listed: Sequence[Config] | None, dataset: Dataset) -> None:
    name = "label_smoothing"
    searched = space is not None and (name in space.domains or bool(space.fixed.get(name)))
    if searched or any(config.label_smoothing for config in listed or ()):
        raise UserError(f"{name} is of classes and the targets of {dataset.name!r} are numbers: leave it out")


def _check_decay(configs: Sequence[Config]) -> None:
    """Refuse before anything is trained what could not train on afterwards."""
    cosine = sum(config.decay_kind == "cosine" for config in configs)
    if cosine:
        raise UserError(
            f"{cosine} of {len(configs)} configs have a cosine decay, which ends at num_epochs, so that they could not "
            "train on from states that are kept: search other decay kinds, or leave keep_states out"
        )


def plan(space: Space | Sequence[Config] | None = None, data: Any = "digits", **settings: Any) -> Plan:
    """What `sweep` with the same arguments would run, and about what it would cost. Runs nothing.

    Args:
        space: as for `sweep`.
        data: as for `sweep`.
        **settings: those of `Settings`, by name.

    Returns:
        A plan; print it.

    Raises:
        UserError: something that was asked for cannot be done.

    Example:
        >>> print(plan(Space(num_layers=1), "iris", num_configs=1, num_epochs=2).num_trials)
        10
    """
    return set_up(space, data, settings_of(settings)).plan
