"""What narrower matrix products cost in accuracy: the winners of sweeps that differ in nothing else.

`python -m benchmarks.precision [--data digits] [--configs 128] [--epochs 10] [--seeds 0 1 2 3 4] [--json FILE]`

A CPU multiplies in float32 whatever tf32 says; there that row shows only that nothing else changes. Whatever a network
was trained with, its test score is computed in float32.
"""

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np

import jaxbn
from jaxbn.nn.types import PRECISIONS


def main() -> None:
    """Run it and print what came of it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default="digits")
    parser.add_argument("--configs", type=int, default=128)
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2, 3, 4])
    parser.add_argument("--json", type=Path)
    asked = parser.parse_args()
    data = jaxbn.load_data(asked.data)
    rows: dict[str, list[dict[str, Any]]] = {precision: [] for precision in PRECISIONS}
    for seed in asked.seeds:
        for precision in PRECISIONS:
            results = jaxbn.sweep(
                None, data, num_configs=asked.configs, num_epochs=asked.epochs, seed=seed, precision=precision
            )
            best, seconds = results.best, results.seconds
            rows[precision].append(
                {
                    "seed": seed,
                    "trial": best.trial,
                    "validation": best.validation["accuracy"],
                    "test": results.test["accuracy"],
                    "train_seconds": seconds.train,
                    "device": results.request.device,
                }
            )
            print(f"{precision}, seed {seed}: {rows[precision][-1]}", flush=True)
    print("| precision | validation | test | against float32, points | worst seed |\n|---|---|---|---|---|")
    exact = np.array([row["test"] for row in rows["float32"]])
    for precision, found in rows.items():
        test, valid = (np.array([row[key] for row in found]) for key in ("test", "validation"))
        behind = 100 * (test - exact)
        print(f"| {precision} | {valid.mean():.4f} | {test.mean():.4f} | {behind.mean():+.2f} | {behind.min():+.2f} |")
    if asked.json:
        record = {"data": asked.data, "num_configs": asked.configs, "num_epochs": asked.epochs, "rows": rows}
        asked.json.write_text(json.dumps(record, indent=1) + "\n")


if __name__ == "__main__":
    main()
