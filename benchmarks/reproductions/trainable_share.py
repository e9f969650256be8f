"""How much of the default learning-rate range trains well, with batch normalisation and without, by depth.

`python -m benchmarks.reproductions.trainable_share [--seeds 5] [--rates 32] [--json FILE] [--figure FILE]`

Section 6 of the notes says that batch normalisation makes the search for hyperparameters easier. Here only the learning
rate is searched, over its default range, 1e-4 to 1, at the same evenly spaced places of its log scale for all. A rate
trains well if its validation accuracy is within 2 points of the best that any rate reached, with or without, for that
depth, optimizer and seed. A seed has a split of its own, weights and data order. The same rates and seeds train both
ways, so the difference is paired.
"""

import argparse
import json
import time
from pathlib import Path
from typing import Any

import numpy as np
from scipy import stats

import jaxbn
from benchmarks.about import about_machine
from jaxbn import Config

WAYS = {"batch": "with", "none": "without"}
LOW, HIGH = 1e-4, 1.0
TOLERANCE = 0.02


def rates_of(count: int) -> list[float]:
    """The middles of as many equal parts of the default range, on its log scale."""
    places = (np.arange(count) + 0.5) / count
    return (LOW * (HIGH / LOW) ** places).tolist()


def configs_of(asked: argparse.Namespace) -> list[Config]:
    """In the order of the axes optimizer, depth, normalisation, rate."""
    return [
        Config(
            learning_rate=rate,
            optimizer=optimizer,
            num_layers=depth,
            normalization=normalization,
            hidden_units=asked.width,
        )
        for optimizer in asked.optimizers
        for depth in asked.depths
        for normalization in WAYS
        for rate in rates_of(asked.rates)
    ]


def interval(values: np.ndarray) -> list[float]:
    """Student's 95 % interval of the mean."""
    if len(values) < 2 or not values.std():
        return [float(values.mean())] * 2
    low, high = stats.t.interval(0.95, len(values) - 1, values.mean(), stats.sem(values))
    return [float(low), float(high)]


def row_of(accuracy: np.ndarray, optimizer: str, depth: int) -> dict[str, Any]:
    """What came of one optimizer and depth: accuracy is [seed, way, rate]."""
    best = accuracy.max((1, 2), keepdims=True)
    share = (accuracy >= best - TOLERANCE).mean(-1)
    gain = share[:, 0] - share[:, 1]
    row: dict[str, Any] = {"optimizer": optimizer, "num_layers": depth}
    for place, name in enumerate(WAYS):
        row[f"share_{name}"] = share[:, place].tolist()
        row[f"mean_share_{name}"] = float(share[:, place].mean())
        row[f"interval_95_{name}"] = interval(share[:, place])
        row[f"best_accuracy_{name}"] = float(accuracy[:, place].max(-1).mean())
    return row | {"mean_gain": float(gain.mean()), "interval_95_gain": interval(gain)}


def main() -> None:
    """Run it and print what came of it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default="digits")
    parser.add_argument("--depths", type=int, nargs="+", default=[1, 2, 4, 8, 16])
    parser.add_argument("--optimizers", nargs="+", default=["momentum", "adam"])
    parser.add_argument("--rates", type=int, default=32)
    parser.add_argument("--width", type=int, default=32)
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--figure", type=Path)
    asked = parser.parse_args()
    dataset = jaxbn.load_data(asked.data)
    found, began, device = [], time.perf_counter(), ""
    for seed in range(asked.seeds):
        results = jaxbn.sweep(configs_of(asked), dataset, num_epochs=asked.epochs, seed=seed)
        device = results.request.device
        # A trial that diverged has no score: it did not train well.
        found.append(np.nan_to_num(results.trials["valid_accuracy"].to_numpy().astype(float)))
        print(f"seed {seed}: {len(results.trials)} trials, {results.seconds.total:.0f} s", flush=True)
    accuracy = np.array(found).reshape(asked.seeds, len(asked.optimizers), len(asked.depths), len(WAYS), asked.rates)
    rows = [
        row_of(accuracy[:, i, j], optimizer, depth)
        for i, optimizer in enumerate(asked.optimizers)
        for j, depth in enumerate(asked.depths)
    ]
    record = {
        "data": asked.data,
        "device": device,
        **about_machine(),
        "learning_rate": [LOW, HIGH],
        "num_rates": asked.rates,
        "hidden_units": asked.width,
        "num_epochs": asked.epochs,
        "num_seeds": asked.seeds,
        "tolerance": TOLERANCE,
        "seconds": round(time.perf_counter() - began, 1),
        "rows": rows,
    }
    show(rows)
    if asked.json:
        asked.json.write_text(json.dumps(record, indent=1) + "\n")
    if asked.figure:
        figure(record, asked.figure)


def show(rows: list[dict[str, Any]]) -> None:
    """The table, as Markdown."""
    print("| optimizer | hidden layers | share with | share without | gain, 95 % interval | best with | best without |")
    print("|---|---|---|---|---|---|---|")
    for row in rows:
        low, high = row["interval_95_gain"]
        print(
            f"| {row['optimizer']} | {row['num_layers']} | {row['mean_share_batch']:.2f} | "
            f"{row['mean_share_none']:.2f} | {row['mean_gain']:+.2f} ({low:+.2f} to {high:+.2f}) | "
            f"{row['best_accuracy_batch']:.3f} | {row['best_accuracy_none']:.3f} |"
        )


def figure(record: dict[str, Any], path: Path) -> None:
    """Share against depth, a panel for each optimizer."""
    from jaxbn.plots.style import BLUE, VERMILION, legend, many, tidy

    rows = record["rows"]
    optimizers = list(dict.fromkeys(row["optimizer"] for row in rows))
    panels = many(None, len(optimizers), columns=2, panel=(3.6, 3.0), sharey=True)
    for ax, optimizer in zip(panels, optimizers, strict=True):
        drawn = [row for row in rows if row["optimizer"] == optimizer]
        places = np.arange(len(drawn))
        for (name, word), color, marker in zip(WAYS.items(), (BLUE, VERMILION), "os", strict=True):
            middle = np.array([row[f"mean_share_{name}"] for row in drawn])
            low, high = np.array([row[f"interval_95_{name}"] for row in drawn]).clip(0, 1).T
            ax.errorbar(
                places,
                middle,
                yerr=[middle - low, high - middle],
                color=color,
                fmt=f"{marker}-",
                markersize=4,
                capsize=3,
                label=f"{word} batch normalisation",
            )
        ax.set_xticks(places, [str(row["num_layers"]) for row in drawn])
        ax.set_ylim(0, 1)
        first = "share of learning rates that train well" if ax is panels[0] else None
        tidy(ax, x="hidden layers", y=first, title=optimizer)
    legend(panels[-1], loc="upper right")
    panels[0].figure.savefig(path, dpi=150)


if __name__ == "__main__":
    main()
