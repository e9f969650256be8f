"""One hyperparameter matters and one does not: 25 random trials against a 5 x 5 grid (section 1 of the notes).

`python -m benchmarks.random_against_grid [--json FILE] [--figure FILE]`

Adam's learning rate matters, its epsilon hardly does. Where the best learning rate lies within the range is luck, so
the range is shifted many times; both searches see the same ranges, the same seeds and the same data, and all of their
configurations train together as one list.
"""

import argparse
import json
from pathlib import Path

import numpy as np
from scipy import stats

import jaxbn
from jaxbn import Float, Space
from jaxbn.search import Config, sampler

NUM_TRIALS = 25
DECADES = 4.0


def space_of(shift: float) -> Space:
    """Four decades of learning rates and six of epsilon, moved by a number of decades."""
    return Space(
        learning_rate=Float(10 ** (-4.5 + shift), 10 ** (-4.5 + shift + DECADES), scale="log"),
        eps=Float(10 ** (-10 + shift), 10 ** (-4 + shift), scale="log"),
        hidden_units=64,
        num_layers=1,
        optimizer="adam",
    )


def configs_of(num_shifts: int) -> list[Config]:
    """For each shift 25 configurations of the grid, then 25 random ones."""
    configs = []
    for number, shift in enumerate(np.linspace(-0.5, 0.5, num_shifts).tolist()):
        space = space_of(shift)
        for name in ("grid", "random"):
            configs += sampler(name).propose(number, space, None, NUM_TRIALS)
    return configs


def main() -> None:
    """Run it and print what came of it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shifts", type=int, default=40)
    parser.add_argument("--replicates", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--figure", type=Path)
    asked = parser.parse_args()
    results = jaxbn.sweep(
        configs_of(asked.shifts), "digits", num_epochs=asked.epochs, replicates=asked.replicates, metric="loss"
    )
    loss = results.trials["valid_loss"].to_numpy().astype(float)
    # shift, method, configuration, replicate
    loss = loss.reshape(asked.shifts, 2, NUM_TRIALS, asked.replicates)
    best = np.nanmin(loss, axis=2).mean(-1)
    gain = best[:, 0] - best[:, 1]
    low, high = stats.t.interval(0.95, len(gain) - 1, gain.mean(), stats.sem(gain))
    record = {
        "versions": results.request.versions,
        "device": results.request.device,
        "num_shifts": asked.shifts,
        "replicates": asked.replicates,
        "num_epochs": asked.epochs,
        "grid_best_valid_loss": best[:, 0].tolist(),
        "random_best_valid_loss": best[:, 1].tolist(),
        "mean_gain_of_random": float(gain.mean()),
        "interval_95": [float(low), float(high)],
        "share_of_shifts_where_random_is_better": float((gain > 0).mean()),
        "standard_deviation_over_shifts": {"grid": float(best[:, 0].std()), "random": float(best[:, 1].std())},
    }
    print(f"best of 25, mean validation loss over {asked.shifts} shifted ranges and {asked.replicates} seeds:")
    print(f"  grid {best[:, 0].mean():.4f}, random {best[:, 1].mean():.4f}")
    print(f"  random is better by {gain.mean():+.4f}, 95 % interval {low:+.4f} to {high:+.4f}")
    print(f"  random is better in {record['share_of_shifts_where_random_is_better']:.0%} of the ranges")
    if asked.json:
        asked.json.write_text(json.dumps(record, indent=1) + "\n")
    if asked.figure:
        figure(results, asked, asked.figure)


def figure(results: jaxbn.Results, asked: argparse.Namespace, path: Path) -> None:
    """The figure of the notes, from the middle range."""
    import polars as pl

    from jaxbn.plots.random_against_grid import random_against_grid

    first = asked.shifts // 2 * 2 * NUM_TRIALS
    trials = results.trials.filter(pl.col("replicate") == 0)
    grid, random = (
        trials.filter(pl.col("config").is_between(start, start + NUM_TRIALS - 1))
        for start in (first, first + NUM_TRIALS)
    )
    axes = random_against_grid(grid, random, space_of(0.0), metric="loss", greater_is_better=False)
    axes.flat[0].figure.savefig(path, dpi=150)


if __name__ == "__main__":
    main()
