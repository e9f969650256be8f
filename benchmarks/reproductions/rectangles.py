"""Eight random trials against a grid of a hundred, on tall and wide rectangles (Bergstra and Bengio 2012).

`python -m benchmarks.reproductions.rectangles [--seeds 3] [--trials 64] [--json FILE] [--figure FILE]`

Their data set: outlines of rectangles, 28 x 28 pixels, taller than wide or wider than tall by 3 pixels or more. Their
network: one hidden layer, tanh or sigmoid, plain stochastic gradient descent. Their claim (section 2.4, caption of
figure 5): the best of 8 random trials tests as well as the winner of a grid of about a hundred. Here a grid spreads 100
trials over the learning rate, its decay and the hidden units, in the ranges that the random search has, which searches
four hyperparameters more. Each seed has images, initial weights, data order and random draws of its own, so the
difference between the two searches is paired over seeds.

From one random search of n trials follows what any smaller one would have found: of all choices of s trials, the share
that each trial wins. Trials that tie on the 200 validation rows win equal shares. The random search runs once more with
batch normalisation, at the same points of the same space.

What is not theirs: at most 128 hidden units where they have 1,024, 20 passes where they have 100 to 1,000 and stop
early, 5,000 test rows where they have 50,000: so that it takes minutes. Features are standardised; the learning rate
decays by 1 / (1 + k epoch) from the start instead of from a moment that is searched; weight decay is always on instead
of half the time; initial weights are normal instead of normal or uniform. The paper does not say how small a rectangle
may be: sides here are 1 to 28 pixels. They weigh trials by how likely each is the best one given the error of its
validation score; here validation scores count as they are.
"""

import argparse
import json
import time
from pathlib import Path
from typing import Any

import numpy as np
from scipy.special import comb, expit

import jaxbn
from benchmarks.about import about_machine
from benchmarks.reproductions.trainable_share import interval
from jaxbn import Choice, Dataset, Float, Int, Results, Space
from jaxbn.study.per_config import per_config

SIDE, LEAST_DIFFERENCE = 28, 3
NUM_TRAIN, NUM_VALID = 1000, 200
WAYS = {"none": "without", "batch": "with"}
THEIR_ERROR = 0.0716
"""Of the network that the grid of Larochelle et al. (2007) chose on their rectangles; quoted from memory."""


def rectangles(num_rows: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Outlines of rectangles, one pixel thick.

    Height and width are uniform over all pairs that differ by 3 pixels or more, which is what redrawing the others
    comes to; so is the place over all at which the whole rectangle is in the picture.

    Returns:
        Pictures of zeros and ones, float32 [num_rows, 784], row by row; and "tall" or "wide" for each, [num_rows].
    """
    sides = np.arange(1, SIDE + 1)
    heights, widths = (sizes.ravel() for sizes in np.meshgrid(sides, sides, indexing="ij"))
    far_apart = np.flatnonzero(np.abs(heights - widths) >= LEAST_DIFFERENCE)
    drawn = rng.choice(far_apart, num_rows)
    height, width = heights[drawn], widths[drawn]
    in_rows, row_edges = _span(rng.integers(0, SIDE + 1 - height), height)
    in_columns, column_edges = _span(rng.integers(0, SIDE + 1 - width), width)
    pictures = row_edges[:, :, None] & in_columns[:, None, :]
    pictures |= in_rows[:, :, None] & column_edges[:, None, :]
    labels = np.where(height > width, "tall", "wide")
    return pictures.reshape(num_rows, SIDE * SIDE).astype(np.float32), labels


def _span(start: np.ndarray, length: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Which pixels of a line a rectangle covers, and which of them are its two ends, both [N, 28]."""
    pixel, first, last = np.arange(SIDE)[None, :], start[:, None], (start + length - 1)[:, None]
    return (pixel >= first) & (pixel <= last), (pixel == first) | (pixel == last)


def dataset_of(seed: int, num_test: int) -> tuple[Dataset, tuple[np.ndarray, np.ndarray]]:
    """1,200 rows to train on and to choose by, with a test set; and this test set once more as arrays."""
    rng = np.random.default_rng([seed, SIDE])
    chosen_by, test = rectangles(NUM_TRAIN + NUM_VALID, rng), rectangles(num_test, rng)
    return jaxbn.load_data(chosen_by, test=test), test


def space_of(normalization: str, *, most_units: int = 128) -> Space:
    """Their space, as far as it is written in jaxbn's words and fits the time."""
    return Space(
        learning_rate=Float(1e-3, 10, scale="log"),
        hidden_units=Int(18, most_units, scale="log"),
        learning_rate_decay=Float(1e-3, 1, scale="log"),
        batch_size=Choice(20, 100),
        weight_decay=Float(3.1e-7, 3.1e-5, scale="log"),
        init_scale=Float(0.1, 3, scale="log"),
        activation=Choice("tanh", "sigmoid"),
        num_layers=1,
        optimizer="sgd",
        normalization=normalization,
    )


def grid_space_of(normalization: str) -> Space:
    """Three of these hyperparameters; the others as a person would set them without searching."""
    searched = space_of(normalization).domains
    return Space(
        learning_rate=searched["learning_rate"],
        hidden_units=searched["hidden_units"],
        learning_rate_decay=searched["learning_rate_decay"],
        batch_size=20,
        activation="tanh",
        num_layers=1,
        optimizer="sgd",
        normalization=normalization,
    )


def chance_of_winning(scores: np.ndarray, size: int) -> np.ndarray:
    """The share of all choices of `size` trials that each trial wins; the higher score wins, ties win equal shares.

    The best of the choice is the one that i others are worse than in a share C(i, size - 1) / C(n, size) of choices.

    Example:
        >>> chance_of_winning(np.array([0.9, 0.5, 0.9]), 2).round(3).tolist()
        [0.5, 0.0, 0.5]
    """
    ascending = np.argsort(scores, kind="stable")
    chance = comb(np.arange(len(scores)), size - 1) / comb(len(scores), size)
    _, tie = np.unique(scores[ascending], return_inverse=True)
    shared = np.bincount(tie, chance) / np.bincount(tie)
    found = np.empty(len(scores))
    found[ascending] = shared[tie]
    return found


def scores_of(results: Results, pictures: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Validation and test accuracy of every configuration, [n] each.

    One that diverged has the lowest validation accuracy of the sweep, and half of the test rows: it was not kept.
    """
    table = per_config(results)
    x = results.best_model.inputs(pictures)
    codes = np.searchsorted(results.best_model.classes, labels)
    right = {model.config: float((_decide(model, x) == codes).mean()) for model in results.models}
    # Two ways to the same number, but for rows on the boundary.
    assert abs(right[results.best_model.config] - results.test["accuracy"]) < 2e-3
    return table.score, np.array([right.get(config, 0.5) for config in table.configs])


ACTIVATIONS = {"tanh": np.tanh, "sigmoid": expit}


def _decide(model: jaxbn.FittedModel, x: np.ndarray) -> np.ndarray:
    """The class of each row. In NumPy: JAX would compile anew for each width, of which all differ."""
    layer, output = model.variables.params.hidden[0], model.variables.params.output
    z = x @ np.asarray(layer.dense.kernel)
    if layer.norm is None:
        z += np.asarray(layer.dense.bias)
    else:
        state = model.variables.model_state[0]
        mean, var = (np.asarray(average) / np.asarray(state.weight) for average in (state.mean, state.var))
        z = (z - mean) * (np.asarray(layer.norm.gamma) / np.sqrt(var + model.config.bn_epsilon))
        z += np.asarray(layer.norm.beta)
    hidden = ACTIVATIONS[model.config.activation](z)
    return (hidden @ np.asarray(output.kernel) + np.asarray(output.bias)).argmax(-1)


def searched(space: Space, sampler: str, seed: int, num_trials: int, asked: argparse.Namespace) -> dict[str, Any]:
    """Validation and test accuracy of every trial of one search, and jaxbn's own efficiency curve of it."""
    dataset, (pictures, labels) = dataset_of(seed, asked.test_rows)
    results = jaxbn.sweep(
        space,
        dataset,
        sampler=sampler,
        num_configs=num_trials,
        num_epochs=asked.epochs,
        valid_fraction=NUM_VALID / (NUM_TRAIN + NUM_VALID),
        seed=seed,
        # Any trial may be the winner of a smaller search.
        keep=num_trials,
    )
    valid, test = scores_of(results, pictures, labels)
    print(f"seed {seed}, {sampler}: {len(valid)} trials, {results.seconds.total:.0f} s", flush=True)
    curve = results.efficiency()
    return {
        "device": results.request.device,
        "num_trials": len(valid),
        "num_diverged": results.summary.num_diverged,
        "sizes": curve.sizes.tolist(),
        "best_valid": curve.mean.tolist(),
        "valid": valid.round(4).tolist(),
        "test": test.round(4).tolist(),
    }


def expected(search: dict[str, Any], size: int) -> float:
    """The mean test accuracy of the winner, over all choices of `size` of the trials of a search."""
    return float(chance_of_winning(np.array(search["valid"]), size) @ np.array(search["test"]))


def quantiles(searches: list[dict[str, Any]], size: int) -> list[float]:
    """The test accuracies that 5 % and 95 % of searches of a size do not exceed; every seed counts alike."""
    test = np.concatenate([search["test"] for search in searches])
    chance = np.concatenate([chance_of_winning(np.array(search["valid"]), size) for search in searches])
    order = np.argsort(test)
    below = np.cumsum(chance[order]) / len(searches)
    return [float(test[order][min(np.searchsorted(below, share), len(test) - 1)]) for share in (0.05, 0.95)]


def summary_of(seeds: list[dict[str, Any]]) -> dict[str, Any]:
    """The claims: each difference is paired over seeds."""
    sizes = seeds[0]["none"]["sizes"]
    # Trials that tie on validation are equally the grid's winner.
    grid = np.array([expected(seed["grid"], seed["grid"]["num_trials"]) for seed in seeds])
    found: dict[str, Any] = {"grid_trials": seeds[0]["grid"]["num_trials"], "grid_test": grid.tolist()}
    found |= {"mean_grid_test": float(grid.mean()), "sizes": sizes}
    curves = {}
    for way in WAYS:
        searches = [seed[way] for seed in seeds]
        curves[way] = np.array([[expected(search, size) for size in sizes] for search in searches])
        gain = curves[way] - grid[:, None]
        as_good = [
            [
                float(chance_of_winning(np.array(search["valid"]), size) @ (np.array(search["test"]) >= level))
                for size in sizes
            ]
            for search, level in zip(searches, grid, strict=True)
        ]
        found[way] = {
            "test": curves[way].mean(0).tolist(),
            "searches_90": [quantiles(searches, size) for size in sizes],
            "gain_on_grid": gain.mean(0).tolist(),
            "interval_95_gain": [interval(column) for column in gain.T],
            "share_as_good_as_grid": np.mean(as_good, 0).tolist(),
            "best_valid": np.mean([search["best_valid"] for search in searches], 0).tolist(),
        }
    gain = curves["batch"] - curves["none"]
    return found | {
        "gain_of_batch_normalisation": gain.mean(0).tolist(),
        "interval_95_of_it": [interval(column) for column in gain.T],
    }


def main() -> None:
    """Run it and print what came of it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=64)
    parser.add_argument("--grid", type=int, default=100)
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--test-rows", type=int, default=5000)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--figure", type=Path)
    asked = parser.parse_args()
    began, seeds = time.perf_counter(), []
    for seed in range(asked.seeds):
        found = {way: searched(space_of(way), "random", seed, asked.trials, asked) for way in WAYS}
        found["grid"] = searched(grid_space_of("none"), "grid", seed, asked.grid, asked)
        seeds.append(found)
    record = {
        "device": seeds[0]["grid"]["device"],
        **about_machine(),
        "space": space_of("none").to_json(),
        "grid_space": grid_space_of("none").to_json(),
        "num_epochs": asked.epochs,
        "num_rows": {"train": NUM_TRAIN, "valid": NUM_VALID, "test": asked.test_rows},
        "num_seeds": asked.seeds,
        "their_error": THEIR_ERROR,
        "seconds": round(time.perf_counter() - began, 1),
        **summary_of(seeds),
        "seeds": seeds,
    }
    show(record)
    if asked.json:
        asked.json.write_text(json.dumps(record) + "\n")
    if asked.figure:
        figure(record, asked.figure)


def show(record: dict[str, Any]) -> None:
    """The tables, as Markdown."""
    print(f"grid of {record['grid_trials']}, without batch normalisation: test {record['mean_grid_test']:.3f}")
    print(f"theirs: test {1 - record['their_error']:.3f}, and the best of 8 random trials is as good")
    print("| random trials | without | minus grid, 95 % interval | as good as grid | with | with minus without |")
    print("|---|---|---|---|---|---|")
    without, normalised = record["none"], record["batch"]
    for place, size in enumerate(record["sizes"]):
        low, high = without["interval_95_gain"][place]
        down, up = record["interval_95_of_it"][place]
        print(
            f"| {size} | {without['test'][place]:.3f} | {without['gain_on_grid'][place]:+.3f} "
            f"({low:+.3f} to {high:+.3f}) | {without['share_as_good_as_grid'][place]:.0%} | "
            f"{normalised['test'][place]:.3f} | {record['gain_of_batch_normalisation'][place]:+.3f} "
            f"({down:+.3f} to {up:+.3f}) |"
        )


def figure(record: dict[str, Any], path: Path) -> None:
    """Test accuracy of the best of s trials against s, a panel for each way."""
    from matplotlib.ticker import NullLocator

    from jaxbn.plots.style import BLACK, BLUE, GREEN, VERMILION, legend, many, tidy

    panels = many(None, len(WAYS), columns=2, panel=(3.8, 3.3), sharey=True)
    sizes = record["sizes"]
    for ax, (way, word), color in zip(panels, WAYS.items(), (VERMILION, BLUE), strict=True):
        low, high = 100 * np.array(record[way]["searches_90"]).T
        ax.fill_between(sizes, low, high, color=color, alpha=0.2, linewidth=0, label="90 % of random searches")
        mean = 100 * np.array(record[way]["test"])
        ax.plot(sizes, mean, "o-", color=color, markersize=4, linewidth=1.8, label="mean of random searches")
        ax.axhline(
            100 * record["mean_grid_test"],
            color=BLACK,
            linestyle="--",
            linewidth=1.2,
            label=f"grid of {record['grid_trials']}, without",
        )
        theirs = 100 * (1 - record["their_error"])
        ax.axhline(theirs, color=GREEN, linestyle=":", linewidth=1.5, label="grid of Larochelle et al.")
        ax.set_xscale("log", base=2)
        ax.set_xticks(sizes, [str(size) for size in sizes])
        ax.xaxis.set_minor_locator(NullLocator())
        first = "test accuracy of the best of s, %" if ax is panels[0] else None
        tidy(ax, x="random trials, s", y=first, title=f"{word} batch normalisation")
        legend(ax, loc="lower right")
    panels[0].figure.savefig(path, dpi=150)


if __name__ == "__main__":
    main()
