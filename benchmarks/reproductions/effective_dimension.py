"""Few hyperparameters matter, and not the same ones everywhere: a Gaussian process on the scores of random trials.

`python -m benchmarks.reproductions.effective_dimension [--data rectangles digits wine] [--json FILE] [--figure FILE]`

Bergstra and Bengio (2012, section 3 and figure 7) fit a Gaussian process with a squared exponential kernel to the
validation scores of random trials of one network on each of their data sets, with a length scale for each
hyperparameter. Where 1 / length scale is large, the score changes over a small part of the range: the hyperparameter
matters. Their claim: on each data set few of them matter (one to four, from memory of the figure), the learning rate
always, and the others differ.

Here: the space of `benchmarks.reproductions.rectangles` with at most 128 hidden units, without batch normalisation as
theirs and with it, at the same random points for all. A hyperparameter lies on the unit interval, on the scale of its
domain, and a choice of two at 1/4 and 3/4; the score is the validation accuracy, standardised; what diverged counts as
the worst. The process also has noise of a variance that is fitted, and one input more: random numbers, which cannot
matter, drawn anew for each resample. A hyperparameter is said to matter if its relevance exceeds that of the random
numbers in 95 % of the resamples, each of 80 % of the trials. Beside it stands jaxbn's own `results.importance()`
(PED-ANOVA), which asks another question: what sets the best tenth of the trials apart from all.

Theirs are eight data sets of images, of which `rectangles` is drawn here again; the others come with scikit-learn.
"""

import argparse
import dataclasses
import json
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np

import jaxbn
from benchmarks.about import about_machine
from benchmarks.reproductions.rectangles import NUM_TRAIN, NUM_VALID, WAYS, dataset_of, space_of
from jaxbn import Results
from jaxbn.study.per_config import per_config

MOST_UNITS = 128
RESAMPLES, RESAMPLED = 20, 0.8
RANDOM = "random numbers"
SHORTEST, LONGEST = 0.05, 100.0
"""Bounds of a length scale, in lengths of the domain."""


def searched(data: str, way: str, asked: argparse.Namespace) -> Results:
    """One random search."""
    dataset = dataset_of(0, num_test=10)[0] if data == "rectangles" else jaxbn.load_data(data)
    return jaxbn.sweep(
        space_of(way, most_units=MOST_UNITS),
        dataset,
        num_configs=asked.trials,
        num_epochs=asked.epochs,
        valid_fraction=NUM_VALID / (NUM_TRAIN + NUM_VALID) if data == "rectangles" else 0.3,
        keep=1,
    )


def relevance(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """1 / length scale of each column of x, [D], in the most likely Gaussian process.

    Args:
        x: points of the unit cube, [N, D].
        y: scores, [N].
    """
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.gaussian_process import GaussianProcessRegressor
    from sklearn.gaussian_process.kernels import RBF, ConstantKernel, WhiteKernel

    scales: Any = np.ones(x.shape[1])
    kernel = ConstantKernel(1.0, (1e-2, 1e2)) * RBF(scales, (SHORTEST, LONGEST)) + WhiteKernel(0.1, (1e-4, 1e1))
    with warnings.catch_warnings():
        # A length scale at its bound is what an input that does not matter looks like.
        warnings.simplefilter("ignore", ConvergenceWarning)
        fitted: Any = GaussianProcessRegressor(kernel, normalize_y=True).fit(x, y)
    return 1 / np.asarray(fitted.kernel_.k1.k2.length_scale)


def resampled_relevance(x: np.ndarray, y: np.ndarray, num_resamples: int) -> np.ndarray:
    """The relevance in each of some resamples, [resample, D + 1]; the last is that of random numbers."""
    found = []
    for number in range(num_resamples):
        rng = np.random.default_rng(number)
        some = rng.choice(len(x), round(RESAMPLED * len(x)), replace=False)
        with_random = np.column_stack([x[some], rng.random(len(some))])
        found.append(relevance(with_random, y[some]))
    return np.array(found)


def row_of(results: Results) -> dict[str, Any]:
    """What came of one search."""
    import polars as pl

    table = per_config(results)
    space = space_of(table.configs[0].normalization, most_units=MOST_UNITS)
    names = list(space.domains)
    x = np.array([[space.point(config)[name] for name in names] for config in table.configs])
    found = resampled_relevance(x, table.score, RESAMPLES)
    matters = (found[:, :-1] > found[:, -1:]).mean(0) >= 0.95
    low, high = np.quantile(found, [0.05, 0.95], axis=0)
    shares = []
    for number in range(RESAMPLES):
        # The same trials as for the process.
        some = np.random.default_rng(number).choice(len(x), round(RESAMPLED * len(x)), replace=False)
        fewer = dataclasses.replace(results, trials=results.trials.filter(pl.col("config").is_in(some.tolist())))
        share = fewer.importance()
        shares.append([share[name] for name in names])
    share_low, share_high = np.quantile(shares, [0.05, 0.95], axis=0)
    return {
        "best_accuracy": float(table.score.max()),
        "num_diverged": results.summary.num_diverged,
        "matters": [name for name, does in zip(names, matters, strict=True) if does],
        "relevance": {
            name: [float(np.median(found[:, i])), float(low[i]), float(high[i])]
            for i, name in enumerate([*names, RANDOM])
        },
        "importance": {
            name: [float(np.median(shares, 0)[i]), float(share_low[i]), float(share_high[i])]
            for i, name in enumerate(names)
        },
    }


def main() -> None:
    """Run it and print what came of it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", nargs="+", default=["rectangles", "digits", "wine"])
    parser.add_argument("--trials", type=int, default=128)
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--figure", type=Path)
    asked = parser.parse_args()
    began, found, device = time.perf_counter(), {}, ""
    for data in asked.data:
        found[data] = {}
        for way, word in WAYS.items():
            results = searched(data, way, asked)
            device = results.request.device
            found[data][way] = row_of(results)
            print(f"{data}, {word}: {time.perf_counter() - began:.0f} s", flush=True)
    record = {
        "device": device,
        **about_machine(),
        "space": space_of("none", most_units=MOST_UNITS).to_json(),
        "num_trials": asked.trials,
        "num_epochs": asked.epochs,
        "num_resamples": RESAMPLES,
        "seconds": round(time.perf_counter() - began, 1),
        "data": found,
    }
    show(record)
    if asked.json:
        asked.json.write_text(json.dumps(record, indent=1) + "\n")
    if asked.figure:
        figure(record, asked.figure)


def show(record: dict[str, Any]) -> None:
    """The tables, as Markdown: relevance, then importance; what matters is set in bold."""
    rows = [(data, word, found[way]) for data, found in record["data"].items() for way, word in WAYS.items()]
    for key in ("relevance", "importance"):
        names = list(rows[0][2][key])
        print(f"| {key}: data | batch norm | {' | '.join(name.replace('_', ' ') for name in names)} |")
        print("|---|---|" + "---|" * len(names))
        for data, word, row in rows:
            cells = []
            for name in names:
                middle, low, high = row[key][name]
                cell = f"{middle:.2f} ({low:.2f} to {high:.2f})"
                cells.append(f"**{cell}**" if key == "relevance" and name in row["matters"] else cell)
            print(f"| {data} | {word} | {' | '.join(cells)} |")
        print()


def figure(record: dict[str, Any], path: Path) -> None:
    """Relevance of each hyperparameter, a panel for each data set."""
    from jaxbn.plots.style import BLUE, GREY, VERMILION, legend, many, tidy

    panels = many(None, len(record["data"]), columns=len(record["data"]), panel=(3.0, 3.2), sharex=True, sharey=True)
    names = list(next(iter(record["data"].values()))["none"]["relevance"])
    for ax, (data, found) in zip(panels, record["data"].items(), strict=True):
        for (way, word), color, marker, shift in zip(WAYS.items(), (VERMILION, BLUE), "so", (-0.15, 0.15), strict=True):
            middle, low, high = np.array(list(found[way]["relevance"].values())).T
            filled = [name in found[way]["matters"] for name in names]
            places = np.arange(len(names)) + shift
            ax.hlines(places, low, high, color=color, linewidth=1.4)
            ax.scatter(
                middle,
                places,
                marker=marker,
                s=24,
                facecolors=[color if does else "white" for does in filled],
                edgecolors=color,
                zorder=3,
                label=f"{word} batch norm (filled: matters)",
            )
        ax.axhline(len(names) - 1.5, color=GREY, linewidth=0.8)
        ax.set_xscale("log")
        ax.set_yticks(range(len(names)), [name.replace("_", " ") for name in names])
        tidy(ax, x="relevance, 1 / length scale", title=data)
    panels[0].invert_yaxis()
    legend(panels, above=True, loc="outside lower center")
    panels[0].figure.savefig(path, dpi=150)


if __name__ == "__main__":
    main()
