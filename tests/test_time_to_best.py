"""The pure parts of `benchmarks.time_to_best`."""

import math
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from benchmarks.curves import Run, best_at, reached_by, seconds_to, summarise, table, thinned


def run(search, seed, *curve, finished=True):
    return Run(search, seed, seconds=9.0, finished=finished, epochs=5, curve=list(curve))


def test_a_curve_keeps_what_rose_in_order_of_time():
    written = [(3.0, 0.7), (1.0, 0.5), (2.0, 0.4), (4.0, 0.7), (5.0, 0.9)]
    assert thinned(written) == [(1.0, 0.5), (3.0, 0.7), (5.0, 0.9)]
    assert thinned([]) == []


def test_a_target_is_reached_when_the_curve_first_comes_up_to_it():
    curve = [(1.0, 0.5), (3.0, 0.7), (5.0, 0.9)]
    assert [seconds_to(curve, score) for score in (0.1, 0.7, 0.71, 0.95)] == [1.0, 3.0, 5.0, math.inf]
    # The same share of rows, once in float32.
    assert seconds_to([(2.0, float(np.float32(0.9)))], 0.9) == 2.0
    assert seconds_to([(2.0, float(np.float32(0.988889)))], 0.99) == math.inf


def test_the_best_at_a_moment_holds_until_the_next():
    times = np.array([0.5, 1.0, 2.9, 3.0, 99.0])
    np.testing.assert_array_equal(best_at([(1.0, 0.5), (3.0, 0.7)], times), [np.nan, 0.5, 0.5, 0.7, 0.7])


def test_the_target_is_the_lowest_score_that_few_enough_reach():
    scores = np.arange(1000) / 1000
    assert reached_by(scores, 0.01) == 0.990  # 990 to 999, ten of a thousand
    # Where more than the share are tied at the score, the next one above it.
    assert reached_by(np.append(scores, [0.990] * 9), 0.01) == 0.991
    assert reached_by(np.ones(50), 0.01) == 1.0


def test_medians_over_seeds_count_what_was_not_reached_as_later_than_all():
    runs = [
        *(run("jaxbn_hyperband", seed, (10.0 + seed, 0.9)) for seed in range(3)),
        run("slow", 0, (40.0, 0.9)),
        run("slow", 1, (30.0, 0.8), (44.0, 0.95)),
        run("slow", 2, (1.0, 0.5)),
        run("never", 0, (1.0, 0.5)),
        run("never", 1, (90.0, 0.9)),
        run("never", 2),
    ]
    ours, slow, never = summarise(runs, 0.9, limit=110.0)
    assert (ours["median"], ours["ratio"], ours["bound"]) == (11.0, 1.0, "")
    assert slow["seconds"] == {"0": 40.0, "1": 44.0, "2": None}
    assert (slow["median"], slow["ratio"], slow["bound"]) == (44.0, 4.0, "")
    assert (never["median"], never["ratio"], never["bound"]) == (None, 10.0, ">")
    assert [row["best"] for row in (ours, slow, never)] == [0.9, 0.9, 0.5]


def test_a_ratio_turns_round_where_the_reference_misses_the_target():
    missed, found = summarise([run("jaxbn_hyperband", 0, (1.0, 0.5)), run("other", 0, (20.0, 0.9))], 0.9, limit=100.0)
    assert (missed["median"], missed["ratio"]) == (None, None)
    assert (found["ratio"], found["bound"]) == (0.2, "<")


@pytest.mark.parametrize("target", [None, 0.99])
def test_there_is_no_ratio_of_two_misses(target):
    rows = summarise([run("jaxbn_hyperband", 0, (1.0, 0.5)), run("other", 0, (2.0, 0.6))], target, limit=100.0)
    assert [(row["median"], row["ratio"]) for row in rows] == [(None, None)] * 2


def test_the_table_says_what_is_a_bound():
    runs = [run("jaxbn_hyperband", 0, (20.0, 0.9)), run("other", 0, (2.0, 0.6)), run("other", 1, (50.0, 0.9))]
    text = table(summarise(runs, 0.9, limit=180.0), limit=180.0)
    lines = text.splitlines()
    assert lines[0] == "| search | seed 0 | seed 1 | median s | x jaxbn_hyperband | best | epochs | ran s |"
    assert lines[2] == "| jaxbn_hyperband | 20.0 |  | 20.0 | 1.00 | 0.9000 | 5 | 9.0 |"
    assert lines[3] == "| other | > 180 | 50.0 | > 180 | > 9.00 | 0.7500 | 5 | 9.0 |"
    blank = table(summarise(runs, None, limit=180.0), limit=None).splitlines()
    assert blank[3] == "| other |  |  |  |  | 0.7500 | 5 | 9.0 |"


def test_the_command_imports_no_rival():
    code = (
        "import sys, benchmarks.time_to_best; print(sorted({'torch', 'optuna', 'jax', 'sklearn'} & set(sys.modules)))"
    )
    root = Path(__file__).parents[1]
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=root)
    assert said.stdout.strip() == "[]"
