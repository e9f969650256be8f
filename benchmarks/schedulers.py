"""What halving and Hyperband cost and lose against training everything to the end.

`python -m benchmarks.schedulers [--data digits] [--configs 1024] [--epochs 27] [--seeds 0 1 2 3 4] [--json FILE]`

Each scheduler first sweeps once with a seed of its own, which compiles its programs and gives the seconds of a cold
start. The seeds then follow in the same process and find their programs compiled, so that their seconds of training are
not those of waiting for a compiler. The schedulers take turns seed by seed.
"""

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np

import jaxbn

SCHEDULERS = ("none", "halving", "hyperband")
COLD_SEED = 100


def swept(scheduler: str, seed: int, data: jaxbn.Dataset, asked: argparse.Namespace) -> dict[str, Any]:
    """One sweep, in figures."""
    results = jaxbn.sweep(
        None, data, num_configs=asked.configs, num_epochs=asked.epochs, scheduler=scheduler, seed=seed, keep=1
    )
    row = {
        "seed": seed,
        "valid_accuracy": results.best.validation["accuracy"],
        "test_accuracy": results.test["accuracy"],
        "num_epochs": results.summary.num_epochs,
        "num_programs": results.summary.num_programs,
        "seconds": results.seconds.to_json(),
        "versions": results.request.versions,
        "device": results.request.device,
    }
    print(
        f"{scheduler}, seed {seed}: validation {row['valid_accuracy']:.4f}, test {row['test_accuracy']:.4f}, "
        f"train {results.seconds.train:.1f} s, compile {results.seconds.compile:.1f} s, "
        f"total {results.seconds.total:.1f} s",
        flush=True,
    )
    return row


def main() -> None:
    """Run it and print what came of it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default="digits")
    parser.add_argument("--configs", type=int, default=1024)
    parser.add_argument("--epochs", type=int, default=27)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2, 3, 4])
    parser.add_argument("--json", type=Path)
    asked = parser.parse_args()
    data = jaxbn.load_data(asked.data)
    cold = {name: swept(name, COLD_SEED, data, asked) for name in SCHEDULERS}
    warm: dict[str, list[dict[str, Any]]] = {name: [] for name in SCHEDULERS}
    for seed in asked.seeds:
        for name in SCHEDULERS:
            warm[name].append(swept(name, seed, data, asked))
        if asked.json:
            record = {"data": asked.data, "num_configs": asked.configs, "num_epochs": asked.epochs}
            asked.json.write_text(json.dumps(record | {"cold": cold, "warm": warm}, indent=1) + "\n")
    table(cold, warm)


def table(cold: dict[str, dict[str, Any]], warm: dict[str, list[dict[str, Any]]]) -> None:
    """Print means over the seeds, and ratios to the scheduler "none" seed by seed."""
    print(
        "| scheduler | validation | behind | test | epochs | train s | of full | cold: compile s | total s | of full |"
    )
    print("|---|---|---|---|---|---|---|---|---|---|")
    for name, rows in warm.items():
        accuracy, test, epochs = (
            float(np.mean([row[key] for row in rows])) for key in ("valid_accuracy", "test_accuracy", "num_epochs")
        )
        pairs = list(zip(warm["none"], rows, strict=True))
        behind = float(np.mean([whole["valid_accuracy"] - row["valid_accuracy"] for whole, row in pairs]))
        seconds = float(np.mean([row["seconds"]["train"] for row in rows]))
        share = float(np.median([row["seconds"]["train"] / whole["seconds"]["train"] for whole, row in pairs]))
        total = cold[name]["seconds"]["total"]
        print(
            f"| {name} | {accuracy:.4f} | {behind:+.4f} | {test:.4f} | {epochs:.0f} | {seconds:.1f} | {share:.2f} | "
            f"{cold[name]['seconds']['compile']:.1f} | {total:.1f} | {total / cold['none']['seconds']['total']:.2f} |"
        )


if __name__ == "__main__":
    main()
