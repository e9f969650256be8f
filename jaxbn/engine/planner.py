"""From a space and a budget to a plan: what shares a program, how many members a tile has.

Padding and tile sizes follow from the space, the budget and the kind of machine, never from the configurations that
happened to be sampled: the planner looks at a fixed set of probe configurations of the space instead.
"""

import dataclasses
import itertools
import math
from collections import defaultdict
from collections.abc import Sequence

from jaxbn.engine import cost
from jaxbn.engine.ladder import choose_ladder, expected_tiles
from jaxbn.engine.padding import choose_padding
from jaxbn.engine.plan import Load, Plan, shape_of
from jaxbn.engine.programs import Problem, Program, sizes_of
from jaxbn.engine.tiles import Member, fitting
from jaxbn.nn.types import Spec
from jaxbn.search import Config, Rung, Space, split
from jaxbn.search.propose import random

NUM_PROBES = 512
PROBE_SEED = 2015


def plan_tiles(
    configs: Sequence[Config],
    space: Space | None,
    problems: Sequence[Problem],
    *,
    num_rows: Sequence[int],
    rungs: Sequence[Rung],
    rates: cost.Rates,
    num_rounds: int = 1,
    num_replicates: int = 1,
    probes: Sequence[Config] | None = None,
    extra: Sequence[Config] = (),
    tile_size: int | None = None,
    precision: str = "float32",
) -> Plan:
    """Decide programs and tiles for configurations of a space.

    Args:
        configs: of the first round; trial numbers go through their replicates, and for each of these through its folds.
        space: where they come from; padding follows from it. None where they were listed.
        problems: sizes of the data, for each fold.
        num_rows: training rows, for each fold.
        rungs: of the first round.
        rates: of the machine.
        num_rounds: rounds like the first one.
        num_replicates: seeds of each configuration.
        probes: configurations that stand for the space; by default a fixed sample of it.
        extra: more configurations, known beforehand, that do not come from the space and train to the end; they are in
            the estimate and among the programs, but not in the tiles.
        tile_size: T of every tile, instead of the planner's choice.
        precision: of matrix products.

    Returns:
        The plan.
    """
    problem, rows, rungs = problems[0], num_rows[0], tuple(rungs)
    if probes is None:
        probes = random(PROBE_SEED, space, None, NUM_PROBES) if space is not None and space.domains else configs[:1]
    probes, extra = ([fitting(config, rows) for config in some] for some in (probes, extra))
    repeats = num_replicates * len(problems)
    share = len(configs) / len(probes)
    alive = [sum(rung.survivors) / max(sum(rungs[0].survivors), 1) for rung in rungs]
    epochs = [rung.epochs - before for rung, before in zip(rungs, [0, *(rung.epochs for rung in rungs)], strict=False)]
    mean_epochs = sum(part * e for part, e in zip(alive, epochs, strict=True))
    padding = choose_padding(
        probes,
        problem,
        share * repeats * num_rounds,
        num_rows=rows,
        num_epochs=mean_epochs,
        rates=rates,
    )
    padding = dataclasses.replace(padding, precision=precision)

    expected: dict[tuple[Spec, int], float] = defaultdict(float)
    for probe in probes:
        expected[split(probe, padding=padding)[0], probe.batch_size] += share
    others: dict[tuple[Spec, int], float] = defaultdict(float)
    for config in extra:
        others[split(config, padding=padding)[0], config.batch_size] += 1

    groups: dict[Program, dict[tuple[Spec, int], float]] = defaultdict(dict)
    for (spec, batch_size), count in [*expected.items(), *others.items()]:
        group = groups[shape_of(spec, problem)]
        group[spec, batch_size] = group.get((spec, batch_size), 0.0) + count
    known = set(groups)
    for config in configs:
        # A shape that no probe has is rare: one configuration of it is to be expected.
        config = fitting(config, rows)
        spec = split(config, padding=padding)[0]
        if shape_of(spec, problem) not in known:
            groups[shape_of(spec, problem)].setdefault((spec, config.batch_size), 1.0)
    ladders = {
        shape: (tile_size,) * len(rungs)
        if tile_size
        else choose_ladder(
            group,
            problem,
            num_rows=rows,
            alive=alive,
            epochs=epochs,
            repeats=repeats * num_rounds,
            rates=rates,
        )
        for shape, group in groups.items()
    }
    sizes_in = defaultdict(set)
    for spec, batch_size in itertools.chain(*groups.values()):
        sizes_in[spec].add(batch_size)
    # A program that counts its steps serves one batch size and folds of as many steps; it must not be one program more.
    counted = frozenset(
        (spec, *some)
        for spec, some in sizes_in.items()
        if rates.uncounted and len(some) == 1 and len({math.ceil(n / min(*some, n)) for n in num_rows}) == 1
    )
    plan = Plan(tuple(problems), tuple(num_rows), rungs, padding, ladders, (), (), (), rates, counted)
    members = [
        Member((number * num_replicates + replicate) * len(problems) + fold, config, replicate=replicate, fold=fold)
        for number, config in enumerate(configs)
        for replicate in range(num_replicates)
        for fold in range(len(problems))
    ]
    loads = _loads(
        plan,
        configs,
        probes,
        extra,
        num_rounds=num_rounds,
        num_replicates=num_replicates,
        alive=alive,
        epochs=epochs,
    )
    unordered = dataclasses.replace(plan, loads=tuple(loads))
    # The longest first, so that few workers wait at the end; what later rungs need comes after all of the first.
    first = {load.program for load in loads if load.rung == 0}
    programs = sorted(
        {load.program for load in loads}, key=lambda p: (p not in first, -unordered.train_seconds(p), repr(p))
    )
    planned = dataclasses.replace(unordered, programs=tuple(programs))
    return dataclasses.replace(planned, tiles=tuple(planned.pack(members, rung=0, start=0, until=rungs[0].epochs)))


def _loads(
    plan: Plan,
    configs: Sequence[Config],
    probes: Sequence[Config],
    extra: Sequence[Config],
    *,
    num_rounds: int,
    num_replicates: int,
    alive: Sequence[float],
    epochs: Sequence[int],
) -> list[Load]:
    """The work that the configurations of the first round are, and that as many like the probes will be."""
    loads: dict[tuple[Program, int, int, int], Load] = {}

    def add(
        some: Sequence[Config], rungs: Sequence[tuple[int, float, int]], *, each: float, times: int, known: bool
    ) -> None:
        """Count configurations of which each stands for so many of a round, and the round for so many rounds."""
        groups: dict[tuple[int, Spec, int], list[Config]] = defaultdict(list)
        for fold, config in itertools.product(range(len(plan.problems)), some):
            config = fitting(config, plan.num_rows[fold])
            groups[fold, split(config, padding=plan.padding)[0], config.batch_size].append(config)
        for (fold, spec, batch_size), group in groups.items():
            for rung, share, length in rungs:
                program = plan.program(spec, batch_size, fold, rung)
                sizes = sizes_of(program.problem)
                count = len(group) * each * share
                # What is known is counted; what is to come, and who survives a rung, is expected.
                counted = known and rung == 0
                tiles = math.ceil(count / program.tile_size) if counted else expected_tiles(count, program.tile_size)
                rows = sum(cost.flops_per_row(dataclasses.replace(spec, widths=c.widths), sizes) for c in group)
                repeats = num_replicates * times
                key = (program, rung, batch_size, length)
                old = loads.get(key, Load(*key[:3], length, 0.0, 0.0, 0.0))
                loads[key] = dataclasses.replace(
                    old,
                    tiles=old.tiles + tiles * repeats,
                    members=old.members + count * repeats,
                    flops_per_row=old.flops_per_row + rows * each * share * repeats,
                )

    rungs = [(rung, share, length) for rung, (share, length) in enumerate(zip(alive, epochs, strict=True))]
    add(configs, rungs, each=1, times=1, known=True)
    add(extra, [(0, 1.0, plan.num_epochs)], each=1, times=1, known=True)
    if num_rounds > 1:
        add(probes, rungs, each=len(configs) / len(probes), times=num_rounds - 1, known=False)
    return list(loads.values())
