"""The planner: every configuration once, tiles of one batch size, the least estimated cost, no look at samples."""

import dataclasses
import functools
import html
import itertools
import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from jaxbn.engine import cost, planner
from jaxbn.engine.ladder import choose_ladder, expected_tiles, largest_tile_size
from jaxbn.engine.padding import SHARE, best_cuts
from jaxbn.engine.planner import plan_tiles
from jaxbn.engine.programs import Problem
from jaxbn.engine.tiles import stacked, taken
from jaxbn.nn.types import Spec, TrainState
from jaxbn.search import Band, Choice, Float, Int, Padding, Rung, Space, from_values
from jaxbn.search.halving import halving_rungs, to_the_end
from jaxbn.search.propose import random

RATES = cost.rates("cpu", 2)
PROBLEM = Problem("classification", 64, 10, 1536, 384, ("loss", "accuracy"))


def plan_of(configs, space, *, num_epochs=20, **options):
    rungs = to_the_end(len(configs), num_epochs)
    return plan_tiles(configs, space, [PROBLEM], num_rows=[1078], rungs=rungs, **({"rates": RATES} | options))


@given(
    count=st.integers(1, 7),
    costs=st.lists(st.floats(0, 10), min_size=28, max_size=28),
)
def test_cuts_are_the_best_of_all(count, costs):
    table = {pair: costs[i] for i, pair in enumerate((a, b) for a in range(7) for b in range(a, 7))}
    total, tops = best_cuts(count, lambda first, last: table[first, last])

    def cost_of(cuts):
        starts = (0, *(cut + 1 for cut in cuts[:-1]))
        return sum(table[first, last] for first, last in zip(starts, cuts, strict=True))

    every = ((*inner, count - 1) for size in range(count) for inner in itertools.combinations(range(count - 1), size))
    assert total == pytest.approx(min(cost_of(cuts) for cuts in every))
    assert cost_of(tops) == pytest.approx(total)


@pytest.mark.parametrize("num_configs", [1, 2, 17, 300])
def test_every_trial_is_in_one_tile(num_configs):
    space = Space.default()
    plan = plan_of(random(0, space, None, num_configs), space)
    trials = sorted(trial for tile in plan.tiles for trial in tile.trials)
    assert trials == list(range(num_configs))
    assert plan.num_trials == num_configs


def test_a_tile_holds_its_members_and_one_batch_size():
    space = Space.default()
    configs = random(3, space, None, 200)
    plan = plan_of(configs, space)
    for tile in plan.tiles:
        spec, size = tile.program.spec, tile.program.tile_size
        assert len(tile.trials) <= size
        assert tile.hyperparams.learning_rate.shape == (size,)
        assert len(set(tile.hyperparams.batch_size.tolist())) == 1
        for slot, trial in enumerate(tile.trials):
            config = configs[trial]
            assert tile.hyperparams.learning_rate[slot] == config.learning_rate
            assert tile.hyperparams.batch_size[slot] == config.batch_size <= spec.batch_size
            assert len(spec.widths) == config.num_layers
            assert all(w <= p for w, p in zip(config.widths, spec.widths, strict=True))
            assert config.optimizer == spec.optimizers[tile.hyperparams.optimizer[slot]]
        for slot in range(len(tile.trials), size):  # Padding members repeat the first.
            assert tile.hyperparams.learning_rate[slot] == tile.hyperparams.learning_rate[0]


def test_programs_are_those_of_the_tiles_longest_first():
    space = Space.default()
    plan = plan_of(random(0, space, None, 100), space)
    assert set(plan.programs) == {tile.program for tile in plan.tiles}
    seconds = [plan.train_seconds(program) for program in plan.programs]
    assert seconds == sorted(seconds, reverse=True)
    assert [line.split()[0] for line in str(plan).splitlines()[1:-3]] == [str(i) for i in range(len(plan.programs))]


def test_a_plan_is_read_in_a_line_and_as_tables():
    space = Space.default()
    plan = plan_of(random(0, space, None, 40), space)
    assert repr(plan) == f"Plan(40 trials x at most 20 epochs in {len(plan.programs)} programs)"
    made = plan._repr_html_()
    # The same cells in a notebook as on a terminal.
    printed = " ".join(str(plan).split())
    cells = [html.unescape(cell) for cell in re.findall(r"<(?:t[hd]|div)>(.*?)</", made)]
    assert " ".join(cells) == printed and made.count("<table>") == 1
    assert not any(word in made for word in ("color", "src=", "href=", "<script"))
    rungs = (Rung(5, (40,)), Rung(20, (10,)))
    halved = plan_tiles(random(0, space, None, 40), space, [PROBLEM], num_rows=[1078], rungs=rungs, rates=RATES)
    assert halved._repr_html_().count("<table>") == 2


def test_specification_and_tile_do_not_depend_on_other_samples():
    space = Space.default()
    first, second = random(0, space, None, 64), random(1, space, None, 63)
    mixed = [first[0], *second]
    one, other = plan_of(first, space), plan_of(mixed, space)

    def program_of(plan, trial):
        return next(tile.program for tile in plan.tiles if trial in tile.trials)

    assert program_of(one, 0) == program_of(other, 0)


def test_more_budget_means_tighter_padding():
    space = Space(hidden_units=Int(16, 256, scale="log"))
    few, many = (plan_of(random(0, space, None, n), space) for n in (8, 5000))
    assert len(few.padding.bands) < len(many.padding.bands)


def test_plan_of_one_configuration():
    config = from_values(hidden_units=(50, 20), batch_size=33)
    plan = plan_of([config], Space(hidden_units=(50, 20), batch_size=33))
    (program,) = plan.programs
    assert program.spec.widths[0] >= 50
    assert program.spec.batch_size >= 33
    assert program.tile_size == 1


def test_choices_of_layer_tuples():
    space = Space(hidden_units=Choice((32,), (64, 16), (128, 64, 32)), learning_rate=Float(1e-3, 1e-1))
    plan = plan_of(random(0, space, None, 40), space)
    assert {len(program.spec.widths) for program in plan.programs} == {1, 2, 3}


def test_forced_tile_size():
    space = Space.default()
    plan = plan_of(random(0, space, None, 50), space, tile_size=3)
    assert {program.tile_size for program in plan.programs} == {3}


def test_memory_and_flops_are_counted_by_hand():
    config = from_values(hidden_units=64, num_layers=1, batch_size=64)
    plan = plan_of([config], Space(hidden_units=64, num_layers=1, batch_size=64), num_epochs=1)
    kernels = 64 * 64 + 64 * 10
    assert plan.useful_flops == 6 * kernels * 1078
    assert plan.flops == 6 * kernels * 17 * 64
    spec = plan.programs[0].spec
    assert cost.bytes_per_member(spec, cost.Sizes(64, 10)) == 4 * (3 * (kernels + 10 + 128) + 128)


@functools.cache
def tiles_by_counting(members, tile):
    """The expected number of tiles, by summing over how many members there may be."""
    many = np.arange(0, 2000)
    return (stats.poisson.pmf(many, members) * np.ceil(many / tile)).sum()


def seconds_of(ladder, groups, alive, epochs, repeats, rates):
    """What a ladder costs, compiling included."""
    seconds = len(set(ladder)) * (rates.compile * len({spec for spec, _ in groups}) + rates.compile_small)
    for rung, tile in enumerate(ladder):
        for (spec, batch), count in groups.items():
            one = cost.member_step_seconds(spec, spec.batch_size, cost.Sizes(64, 10), rates)
            step = rates.step + tile * one * (1.15 if tile == 1 else 1)
            tiles = tiles_by_counting(count * alive[rung], tile)
            seconds += repeats * epochs[rung] * -(-1078 // batch) * tiles * step / rates.workers
    return seconds


def every_ladder(rungs, largest):
    """All ways to step down from any T to T / 4 to 1."""
    for size in range(1, largest + 1):
        for ladder in itertools.product({size, max(size // 4, 1), 1}, repeat=rungs):
            if ladder[0] == size and list(ladder) == sorted(ladder, reverse=True):
                yield ladder


@pytest.mark.parametrize("count", [3.0, 40.0, 400.0])
@pytest.mark.parametrize("repeats", [1, 200])
@pytest.mark.parametrize("width", [16, 128])
@pytest.mark.parametrize("alive", [(1.0, 1 / 3, 1 / 9, 1 / 27), (1.0,)])
def test_no_other_ladder_is_much_better(count, repeats, width, alive):
    groups = {(Spec((width,), 64), 64): count, (Spec((width,), 128), 128): count / 2}
    epochs = [1, 2, 6, 18][: len(alive)]
    found = choose_ladder(groups, PROBLEM, num_rows=1078, alive=alive, epochs=epochs, repeats=repeats, rates=RATES)
    largest = largest_tile_size(groups, cost.Sizes(64, 10), RATES)
    told = (groups, alive, epochs, repeats, RATES)
    best = min(seconds_of(ladder, *told) for ladder in every_ladder(len(alive), largest))
    assert seconds_of(found, *told) <= 1.06 * best


def test_a_ladder_steps_down_where_it_pays():
    groups = {(Spec((16,), 64), 64): 400.0}
    options = {"num_rows": 1078, "alive": [1.0, 0.1, 0.01], "epochs": [1, 10, 100], "rates": RATES}
    assert len(set(choose_ladder(groups, PROBLEM, repeats=1000, **options))) > 1
    assert len(set(choose_ladder(groups, PROBLEM, repeats=1, **options))) == 1


def test_halved_tiles_have_as_many_slots():
    rungs = (Rung(1, (81,)), Rung(3, (27,)), Rung(9, (9,)))
    space = Space(learning_rate=Float(1e-3, 1), hidden_units=Choice(8, 16), num_layers=1, batch_size=32)
    plan = plan_tiles(random(0, space, None, 81), space, [PROBLEM], num_rows=[1078], rungs=rungs, rates=RATES)
    sizes = (7, 3, 1)
    ladders = dict.fromkeys(plan.ladders, sizes)
    loads = [
        dataclasses.replace(load, program=dataclasses.replace(load.program, tile_size=sizes[load.rung]))
        for load in plan.loads
    ]
    plan = dataclasses.replace(plan, ladders=ladders, loads=tuple(loads))
    for expected in ((3, 1, 1), (1, 1, 1), (1, 1, 1)):
        before, plan = plan, plan.halved()
        assert set(plan.ladders.values()) == {expected}
        assert {(load.rung, load.program.tile_size) for load in plan.loads} == set(enumerate(expected))
        assert plan.flops == pytest.approx(before.flops) and plan.num_trials == before.num_trials


@pytest.mark.parametrize("num_configs", [planner.NUM_PROBES - 1, planner.NUM_PROBES])
def test_later_rounds_are_expected_however_many_probes_there_are(num_configs):
    space = Space(learning_rate=Float(1e-3, 1), batch_size=Choice(32, 48, 64), num_layers=1, hidden_units=16)
    plan = plan_of(random(0, space, None, num_configs), space, num_rounds=2, tile_size=7)
    probes = random(planner.PROBE_SEED, space, None, planner.NUM_PROBES)
    share = num_configs / len(probes)
    later = sum(expected_tiles(share * sum(probe.batch_size == size for probe in probes), 7) for size in (32, 48, 64))
    assert sum(load.tiles for load in plan.loads) == pytest.approx(len(plan.tiles) + later)
    assert abs(later - round(later)) > 0.01


def test_a_shape_that_no_probe_has_is_known_by_the_batch_size_in_use():
    rates = dataclasses.replace(cost.rates("gpu", 1), uncounted=1e-5)
    space = Space(num_layers=1, hidden_units=Choice(16, 24), batch_size=Choice(40, 64))
    unforeseen = from_values(num_layers=1, hidden_units=16, batch_size=40, activation="tanh")
    plan = plan_of([*random(0, space, None, 40), unforeseen], space, rates=rates)
    (program,) = (program for program in plan.programs if program.spec.activation == "tanh")
    assert program.spec.batch_size > 40
    assert (program.spec, 40) in plan.counted and program.steps == -(-1078 // 40)


def test_states_are_stacked_bit_for_bit_and_steps_follow_the_mini_batch():
    rng = np.random.default_rng(0)

    def state(seed):
        return TrainState(
            {"w": rng.normal(size=(3, 2)).astype(np.float32)}, (), {"m": rng.normal(size=3)}, np.int32(seed)
        )

    states = [state(seed) for seed in (5, 7)]
    plan = plan_of([from_values(batch_size=100)], Space(batch_size=100), tile_size=3)
    tile = dataclasses.replace(plan.tiles[0], states=tuple(states), trials=(4, 9), start=4)
    whole = stacked(tile, 1078)
    for place, one in enumerate([*states, states[0]]):
        back = taken(whole, place)
        assert back.params["w"].tobytes() == one.params["w"].tobytes()
        assert back.opt_state["m"].tobytes() == one.opt_state["m"].tobytes()
    assert whole.step.tolist() == [4 * 11] * 3 and whole.step.dtype == np.int32


def every_way_to_cut(cells):
    """All ways to cut a row of cells into bands, each named by its last cell."""
    for size in range(len(cells)):
        for inner in itertools.combinations(cells[:-1], size):
            yield (*inner, cells[-1])


def every_padding(widths, batches):
    """All ways to share programs among networks of two layers: bands of widths, batch sizes of each, optimizers."""
    for tops in every_way_to_cut(widths):
        for chosen in itertools.product(every_way_to_cut(batches), repeat=len(tops)):
            bands = tuple(Band(2, width, some) for width, some in zip(tops, chosen, strict=True))
            for optimizers in ((), ("adam", "momentum")):
                yield Padding(bands, optimizers)


@pytest.mark.parametrize(("num_configs", "num_epochs"), [(8, 1), (60, 5), (200, 40), (200, 1000)])
@pytest.mark.parametrize("workers", [1, 16])
def test_no_other_way_to_share_programs_is_a_tenth_better(monkeypatch, num_configs, num_epochs, workers):
    """The planner weighs padding before it knows tile sizes; here whole plans are compared, tiles and all."""
    widths, batches = (16, 48, 128), (32, 128)
    space = Space(
        hidden_units=Choice(*widths), num_layers=2, batch_size=Choice(*batches), optimizer=Choice("adam", "momentum")
    )
    configs = random(0, space, None, num_configs)
    rates = dataclasses.replace(cost.rates("cpu", 2), workers=workers)

    def seconds(plan):
        return SHARE * plan.compile_seconds + plan.total_train_seconds

    chosen = seconds(plan_of(configs, space, num_epochs=num_epochs, rates=rates))
    others = []
    for padding in every_padding(widths, batches):
        monkeypatch.setattr(planner, "choose_padding", lambda *args, padding=padding, **kwargs: padding)
        others.append(seconds(plan_of(configs, space, num_epochs=num_epochs, rates=rates)))
    assert max(others) > 1.1 * min(others)  # there is something to choose
    assert chosen <= 1.1 * min(others)


def test_what_is_known_beforehand_is_added_to_what_is_expected():
    space = Space(num_layers=0, batch_size=64)
    configs = random(0, space, None, 600)
    alone, beside = plan_of(configs, space), plan_of(configs, space, extra=configs[:9])
    assert beside.programs[0].tile_size >= alone.programs[0].tile_size > 9


@pytest.mark.parametrize(("platform", "workers"), [("cpu", 2), ("cpu", 3), ("gpu", 1)])
@pytest.mark.parametrize("members", [1, 2, 5, 64, 100, 257, 4096])
def test_a_population_that_is_alike_is_divided_evenly(platform, workers, members):
    space = Space(learning_rate=Float(1e-3, 1e-1, scale="log"), hidden_units=64, num_layers=2, batch_size=64)
    configs = random(0, space, None, members)
    rates = cost.rates(platform, workers)
    tiles = plan_of(configs, space, rates=rates).tiles
    size = tiles[0].program.tile_size
    # No tile is left for some workers while others wait, and nearly no slot is a copy.
    assert len(tiles) <= workers or len(tiles) % workers in (0, workers - 1)
    assert len(tiles) * size - members < max(len(tiles), 2)
    # With several seeds their tiles fill the workers, and need not be divided.
    repeated = plan_of(configs, space, rates=rates, num_replicates=5).tiles
    assert repeated[0].program.tile_size >= min(2, members)


def test_steps_are_counted_only_where_that_is_no_program_more():
    rates = dataclasses.replace(cost.rates("gpu", 1), uncounted=1e-5)
    one_size = Space(learning_rate=Float(1e-3, 1e-1, scale="log"), batch_size=50)
    (program,) = plan_of(random(0, one_size, None, 40), one_size, rates=rates).programs
    assert program.steps == -(-1078 // 50)
    several = Space(learning_rate=Float(1e-3, 1e-1, scale="log"), batch_size=Choice(40, 50))
    (shared,) = plan_of(random(0, several, None, 40), several, rates=rates).programs
    assert shared.steps == 0
    # Folds of 100 and 101 rows make 2 and 3 steps of 50: one program that leaves it to the data serves both.
    folds = plan_tiles(
        random(0, one_size, None, 40),
        one_size,
        [PROBLEM, PROBLEM],
        num_rows=[100, 101],
        rungs=to_the_end(40, 5),
        rates=rates,
    )
    assert [program.steps for program in folds.programs] == [0]
    # A batch size that nobody foresaw gets a program that counts for itself.
    spec, batch_size = next(iter(plan_of(random(0, one_size, None, 40), one_size, rates=rates).counted))
    foreseen = plan_of(random(0, one_size, None, 40), one_size, rates=rates)
    assert foreseen.program(spec, batch_size, 0, 0) == program
    assert foreseen.program(spec, batch_size - 1, 0, 0).steps == 0


@pytest.mark.parametrize("table", [to_the_end, halving_rungs])
def test_a_plan_for_more_epochs_is_that_for_all_of_them(table):
    space = Space(hidden_units=Int(8, 32), num_layers=1, batch_size=32)
    configs = random(0, space, None, 81)
    fewer, whole = (
        plan_tiles(configs, space, [PROBLEM], num_rows=[1078], rungs=table(81, epochs), rates=RATES, tile_size=4)
        for epochs in (9, 27)
    )
    longer = fewer.lengthened(table(81, 27))
    assert (longer.rungs, longer.num_trials, longer.num_epochs) == (whole.rungs, whole.num_trials, 27)
    assert longer.useful_flops == pytest.approx(whole.useful_flops) and longer.useful_flops > fewer.useful_flops
    assert longer.total_train_seconds == pytest.approx(whole.total_train_seconds, rel=0.1)
    ladder = dataclasses.replace(longer, ladders={shape: (8, 4, 2) for shape in longer.ladders})
    (spec, *_) = {program.spec for program in longer.programs}
    assert [ladder.tile_size(spec, rung) for rung in range(5)] == [8, 4, 2, 2, 2]
    # Whoever came to the last rung has a state that is needed there.
    assert longer.keeps and not fewer.keeps and fewer.kept_bytes == 0 < longer.kept_bytes
