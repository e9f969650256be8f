"""A randomised search with cross-validation: `SweepSearchCV` against scikit-learn's over `MLPClassifier`.

The same distributions, folds and epochs, in one run: learning rate, hidden units of one or two layers, mini-batch size.
It begins with nothing compiled, and both refit the best on all rows. `MLPClassifier` has no batch normalisation and
uses both cores by `n_jobs`. Digits, standardised beforehand.

    python -m benchmarks.search_cv [--candidates 256] [--epochs 20] [--kept] [--json FILE]

With --kept, an earlier search of the same process has compiled the programs.
"""

import argparse
import json
import time
import warnings
from pathlib import Path

from scipy.stats import loguniform
from sklearn.datasets import load_digits
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import RandomizedSearchCV, StratifiedKFold
from sklearn.neural_network import MLPClassifier
from sklearn.preprocessing import StandardScaler

from benchmarks.about import about_machine, cores
from jaxbn.estimators import BNMLPClassifier, SweepSearchCV

WIDTHS = [(16,), (32,), (64,), (128,), (16, 16), (32, 32), (64, 64), (128, 128)]
BATCH_SIZES = [32, 64, 128]


def main() -> None:
    """Search both ways and print what came of it."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.search_cv", description="Two searches, side by side.")
    parser.add_argument("--candidates", type=int, default=256)
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--kept", action="store_true", help="programs were compiled by an earlier search")
    parser.add_argument("--json", type=Path, help="file to write the figures to")
    asked = parser.parse_args()
    x, y = load_digits(return_X_y=True)
    x = StandardScaler().fit_transform(x)
    folds = StratifiedKFold(5, shuffle=True, random_state=0)
    rates = loguniform(1e-4, 1e-1)

    search = SweepSearchCV(
        BNMLPClassifier(num_epochs=asked.epochs, random_state=0),
        {"learning_rate": rates, "hidden_units": WIDTHS, "batch_size": BATCH_SIZES},
        n_iter=asked.candidates,
        cv=folds,
        random_state=0,
    )
    if asked.kept:
        search.fit(x, y)
    began = time.perf_counter()
    ours = search.fit(x, y)
    seconds = {"SweepSearchCV": time.perf_counter() - began}

    network = MLPClassifier(max_iter=asked.epochs, tol=0, n_iter_no_change=asked.epochs + 1, alpha=0, random_state=0)
    began = time.perf_counter()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        theirs = RandomizedSearchCV(
            network,
            {"learning_rate_init": rates, "hidden_layer_sizes": WIDTHS, "batch_size": BATCH_SIZES},
            n_iter=asked.candidates,
            cv=folds,
            random_state=0,
            n_jobs=cores(),
        ).fit(x, y)
    seconds["RandomizedSearchCV"] = time.perf_counter() - began

    ratio = seconds["RandomizedSearchCV"] / seconds["SweepSearchCV"]
    print("| search | seconds | best score |\n|---|---|---|")
    best = {"SweepSearchCV": float(ours.best_score_), "RandomizedSearchCV": float(theirs.best_score_)}
    for name, taken in seconds.items():
        print(f"| {name} | {taken:.1f} | {best[name]:.4f} |")
    print(f"{ratio:.2f} times as fast")
    if asked.json:
        record = {"about": about_machine(), "candidates": asked.candidates, "epochs": asked.epochs, "kept": asked.kept}
        record |= {"seconds": seconds, "best_score": best, "ratio": ratio}
        asked.json.write_text(json.dumps(record, indent=1) + "\n")


if __name__ == "__main__":
    main()
