"""How early scores tell the final ones, and what halving gains by it, in the network space of HPOBench.

`python -m benchmarks.reproductions.hpobench [--data digits] [--json FILE] [--figure FILE]`

Theirs (Eggensperger et al. 2021; `nn_benchmark.py` of their package): a multilayer perceptron of 1 to 3 hidden layers
of one width, ReLU, Adam, with learning rate, batch size and L2 penalty; the fidelity is the number of epochs, 3 to 243.
Their claim (from memory): what is cheap to try at a low fidelity tells enough of the full one for multi-fidelity
searches to pay. Their tables are of OpenML tasks, which have to be downloaded, so the space carries over and their
numbers do not: the data here come with scikit-learn.

For each data set and seed (a split, weights, data order and draws of its own) 27 random configurations train for 81
epochs, and once more under successive halving from 3 epochs on, which spends 243 epochs, those of three whole trials.
Then: how scores at 3, 9 and 27 epochs rank the configurations beside those at 81 (Spearman); how good the winner of
halving is beside the expected best of as many random trials as cost the same; and which hyperparameters matter
(PED-ANOVA over all configurations of all seeds). Theirs has no batch normalisation; here the same points of the space
train without it and with it. Intervals are Student's over seeds; those of the importance hold 90 % of resamples of 80 %
of the configurations.

What is capped, so that it takes minutes on two cores: 81 epochs of 243, at most 64 hidden units of 1,024, at least 32
rows in a batch instead of 4 (which would be 240 steps an epoch on digits). What is different: L2 is a decoupled weight
decay, where scikit-learn adds the penalty to the loss before Adam; a third of the rows that are not for testing
validates, as theirs.

With `--json`, what the file holds of other data sets stays and is drawn too, so that the three may run one by one.
"""

import argparse
import dataclasses
import json
import time
from pathlib import Path
from typing import Any

import numpy as np
from scipy import stats

import jaxbn
from benchmarks.about import about_machine
from benchmarks.reproductions.rectangles import chance_of_winning
from benchmarks.reproductions.trainable_share import interval
from jaxbn import Float, Int, Results, Space

WAYS = {"none": "without", "batch": "with"}
NAMES = ("learning_rate", "batch_size", "hidden_units", "num_layers", "weight_decay")
TEST = 0.2
VALID = 0.33 * (1 - TEST)
FACTOR, FIRST = 3, 3
RESAMPLES, RESAMPLED = 20, 0.8


def space_of(normalization: str) -> Space:
    """Their space, narrower where the module says so."""
    return Space(
        learning_rate=Float(1e-5, 1, scale="log"),
        batch_size=Int(32, 256, scale="log"),
        hidden_units=Int(16, 64, scale="log"),
        num_layers=Int(1, 3),
        weight_decay=Float(1e-8, 1, scale="log"),
        optimizer="adam",
        decay_kind="none",
        normalization=normalization,
    )


def searched(data: str, way: str, seed: int, scheduler: str, asked: argparse.Namespace) -> Results:
    """A sweep over the same configurations, whatever the way and the scheduler."""
    return jaxbn.sweep(
        space_of(way),
        data,
        num_configs=asked.configs,
        num_epochs=asked.epochs,
        scheduler=scheduler,
        factor=FACTOR,
        min_epochs=FIRST,
        valid_fraction=VALID,
        test_fraction=TEST,
        seed=seed,
        keep=1,
    )


def curves_of(results: Results) -> np.ndarray:
    """Validation accuracy, [configuration, epoch], NaN where one was not trained; one that diverged scores 0."""
    found = np.full((results.trials.height, results.request.num_epochs), np.nan)
    table = results.curves.select("trial", "epoch", "valid_accuracy").to_numpy().astype(float)
    found[table[:, 0].astype(int), table[:, 1].astype(int) - 1] = np.nan_to_num(table[:, 2])
    diverged = results.trials["status"].to_numpy() == "diverged"
    # It stops where it diverged, and is the worst from there on.
    found[diverged] = np.nan_to_num(found[diverged])
    return found


def correlations(curves: np.ndarray, fidelities: list[int]) -> list[float]:
    """Spearman's rank correlation of the scores after some epochs with those after all."""
    # Of ranks that ties share, Pearson's correlation is Spearman's.
    ranks = stats.rankdata(curves, axis=0)
    return [float(np.corrcoef(ranks[:, epochs - 1], ranks[:, -1])[0, 1]) for epochs in fidelities]


def leaders(curves: np.ndarray, trained: np.ndarray, rungs: list[dict[str, Any]]) -> tuple[list[int], list[float]]:
    """What halving has spent by each rung, in epochs, and the score of whoever leads there.

    Args:
        curves: scores, [configuration, epoch]; NaN where one was not trained.
        trained: epochs that each has trained, [configuration].
        rungs: as the request of a sweep holds them.

    Example:
        >>> curves = np.array([[0.5, 0.9], [0.4, np.nan]])
        >>> leaders(curves, np.array([2, 1]), [{"epochs": 1}, {"epochs": 2}])
        ([2, 3], [0.5, 0.9])
    """
    spent = [int(np.minimum(trained, rung["epochs"]).sum()) for rung in rungs]
    return spent, [float(np.nanmax(curves[:, rung["epochs"] - 1])) for rung in rungs]


def expected_best(scores: np.ndarray) -> list[float]:
    """The mean best of s of the scores, for s = 1 to all."""
    return [float(chance_of_winning(scores, size) @ scores) for size in range(1, len(scores) + 1)]


def of_data(data: str, asked: argparse.Namespace) -> dict[str, Any]:
    """Everything about one data set."""
    began, found, whole = time.perf_counter(), {}, []
    for way in WAYS:
        whole = [searched(data, way, seed, "none", asked) for seed in range(asked.seeds)]
        halved = [searched(data, way, seed, "halving", asked) for seed in range(asked.seeds)]
        found[way] = row_of(whole, halved)
        print(f"{data}, {WAYS[way]}: {time.perf_counter() - began:.0f} s", flush=True)
    summary = whole[0].summary
    return {
        "device": whole[0].request.device,
        "num_rows": {"train": summary.num_train, "valid": summary.num_valid, "test": summary.num_test},
        "seconds": round(time.perf_counter() - began, 1),
        **found,
    }


def row_of(whole: list[Results], halved: list[Results]) -> dict[str, Any]:
    """What came of one data set and way, over seeds."""
    rungs = halved[0].request.rungs
    fidelities = [rung["epochs"] for rung in rungs[:-1]]
    curves = [curves_of(results) for results in whole]
    rank = np.array([correlations(curve, fidelities) for curve in curves])
    random = np.array([expected_best(curve[:, -1]) for curve in curves])
    found = (leaders(curves_of(results), results.trials["epochs"].to_numpy(), rungs) for results in halved)
    spent, leading = zip(*found, strict=True)
    winner = np.array(leading)[:, -1]
    # A trial that diverges may end early, so that halving spends a little less than this.
    budgets = np.diff([0, *(rung["epochs"] for rung in rungs)])
    planned = sum(rung["survivors"][0] * epochs for rung, epochs in zip(rungs, budgets, strict=True))
    num_same = round(planned / curves[0].shape[1])
    gain, loss = winner - random[:, num_same - 1], winner - random[:, -1]
    return {
        "fidelities": fidelities,
        "rank_correlation": rank.mean(0).tolist(),
        "interval_95_rank_correlation": [interval(column) for column in rank.T],
        "random_best": random.mean(0).tolist(),
        "halving_epochs": np.mean(spent, 0).tolist(),
        "halving_best": np.mean(leading, 0).tolist(),
        "trials_of_same_epochs": num_same,
        "gain_on_same_epochs": float(gain.mean()),
        "interval_95_gain": interval(gain),
        "gain_on_all": float(loss.mean()),
        "interval_95_gain_on_all": interval(loss),
        "num_diverged": sum(results.summary.num_diverged for results in whole),
        "importance": importance_of(whole),
        "seeds": {"rank_correlation": rank.tolist(), "halving_best": winner.tolist(), "random_best": random.tolist()},
    }


def importance_of(seeds: list[Results]) -> dict[str, list[float]]:
    """The share of each hyperparameter over all seeds, and the 5 % and 95 % quantiles over resamples."""
    import polars as pl

    size = seeds[0].trials.height
    trials = pl.concat(
        results.trials.with_columns(pl.col("config") + place * size) for place, results in enumerate(seeds)
    )
    rng, shares = np.random.default_rng(0), []
    for _ in range(RESAMPLES):
        some = rng.choice(trials.height, round(RESAMPLED * trials.height), replace=False)
        share = dataclasses.replace(seeds[0], trials=trials.filter(pl.col("config").is_in(some.tolist()))).importance()
        shares.append([share[name] for name in NAMES])
    whole = dataclasses.replace(seeds[0], trials=trials).importance()
    low, high = np.quantile(shares, [0.05, 0.95], axis=0)
    return {name: [whole[name], float(low[i]), float(high[i])] for i, name in enumerate(NAMES)}


def main() -> None:
    """Run it and print what came of it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", nargs="+", default=["digits"])
    parser.add_argument("--configs", type=int, default=27)
    parser.add_argument("--epochs", type=int, default=81)
    parser.add_argument("--seeds", type=int, default=4)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--figure", type=Path)
    asked = parser.parse_args()
    asked_for = {
        "space": space_of("none").to_json(),
        "num_configs": asked.configs,
        "num_epochs": asked.epochs,
        "num_seeds": asked.seeds,
        "valid_fraction": VALID,
        "test_fraction": TEST,
    }
    found = {data: about_machine() | asked_for | of_data(data, asked) for data in asked.data}
    show(found)
    if asked.json and asked.json.exists():
        found = json.loads(asked.json.read_text()) | found
    if asked.json:
        asked.json.write_text(json.dumps(found, indent=1) + "\n")
    if asked.figure:
        figure(found, asked.figure)


def show(found: dict[str, Any]) -> None:
    """The tables, as Markdown."""
    rows = [(data, word, record[way], record) for data, record in found.items() for way, word in WAYS.items()]
    fidelities = rows[0][2]["fidelities"]
    print(f"| data | batch norm | {' | '.join(f'{epochs} epochs' for epochs in fidelities)} |")
    print("|---|---|" + "---|" * len(fidelities))
    for data, word, row, _ in rows:
        pairs = zip(row["rank_correlation"], row["interval_95_rank_correlation"], strict=True)
        cells = " | ".join(f"{rank:.2f} ({low:.2f} to {high:.2f})" for rank, (low, high) in pairs)
        print(f"| {data} | {word} | {cells} |")
    print()
    print("| data | batch norm | halving | random, same epochs | halving's gain | random, all | halving minus all |")
    print("|---|---|---|---|---|---|---|")
    for data, word, row, _ in rows:
        low, high = row["interval_95_gain"]
        down, up = row["interval_95_gain_on_all"]
        print(
            f"| {data} | {word} | {row['halving_best'][-1]:.4f} in {row['halving_epochs'][-1]:.0f} epochs | "
            f"{row['random_best'][row['trials_of_same_epochs'] - 1]:.4f} | {row['gain_on_same_epochs']:+.4f} "
            f"({low:+.4f} to {high:+.4f}) | {row['random_best'][-1]:.4f} | {row['gain_on_all']:+.4f} "
            f"({down:+.4f} to {up:+.4f}) |"
        )
    print()
    print(f"| data | batch norm | {' | '.join(name.replace('_', ' ') for name in NAMES)} |")
    print("|---|---|" + "---|" * len(NAMES))
    for data, word, row, _ in rows:
        cells = (row["importance"][name] for name in NAMES)
        print(
            f"| {data} | {word} | " + " | ".join(f"{m:.2f} ({low:.2f} to {high:.2f})" for m, low, high in cells) + " |"
        )


def figure(found: dict[str, Any], path: Path) -> None:
    """Best score against epochs spent above, rank correlation against fidelity below; a column for each data set."""
    from jaxbn.plots.style import BLUE, VERMILION, legend, many, tidy

    panels = many(None, 2 * len(found), columns=len(found), panel=(3.0, 2.7)).reshape(2, -1)
    for column, (data, record) in enumerate(found.items()):
        above, below = panels[:, column]
        epochs, fidelities = record["num_epochs"], record["none"]["fidelities"]
        spent = epochs * np.arange(1, record["num_configs"] + 1)
        for (way, word), color, marker, shift in zip(WAYS.items(), (VERMILION, BLUE), "so", (-0.06, 0.06), strict=True):
            row, label = record[way], f"{word} batch norm"
            above.plot(spent, 100 * np.array(row["random_best"]), "--", color=color, label=f"random, {label}")
            halving = 100 * np.array(row["halving_best"])
            above.plot(
                row["halving_epochs"], halving, f"{marker}-", color=color, markersize=4, label=f"halving, {label}"
            )
            rank = np.array(row["rank_correlation"])
            low, high = np.array(row["interval_95_rank_correlation"]).T
            # Beside each other, so that one interval does not hide the other.
            places, reach = np.arange(len(rank)) + shift, [rank - low, high - rank]
            below.errorbar(places, rank, yerr=reach, color=color, fmt=f"{marker}-", markersize=4, capsize=3)
        above.set_xscale("log")
        tidy(above, x="epochs spent (log scale)", y=None if column else "best validation accuracy, %", title=data)
        below.set_xticks(range(len(fidelities)), [str(fidelity) for fidelity in fidelities])
        below.set_ylim(top=1.02)
        tidy(below, x="epochs trained", y=None if column else f"rank correlation with {epochs} epochs")
    legend(panels, above=True, loc="outside lower center", ncols=4 if len(found) > 1 else 1)
    panels[0, 0].figure.savefig(path, dpi=150)


if __name__ == "__main__":
    main()
