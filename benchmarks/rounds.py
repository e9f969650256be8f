"""Coarse to fine against one random round of the same size, paired over seeds.

`python -m benchmarks.rounds [--data digits] [--configs 128] [--epochs 10] [--seeds 10] [--samplers coarse_to_fine tpe]`
"""

import argparse
import json
from pathlib import Path

import numpy as np
from scipy import stats

import jaxbn


def main() -> None:
    """Run it and print what came of it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default="digits")
    parser.add_argument("--configs", type=int, default=128)
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--samplers", nargs="+", default=["coarse_to_fine"])
    parser.add_argument("--json", type=Path)
    asked = parser.parse_args()
    dataset = jaxbn.load_data(asked.data)
    best: dict[str, list[float]] = {name: [] for name in ("random", *asked.samplers)}
    seconds: dict[str, list[float]] = {name: [] for name in best}
    ran: dict[str, object] = {}
    for seed in range(asked.seeds):
        for name in best:
            results = jaxbn.sweep(
                None,
                dataset,
                num_configs=asked.configs,
                num_epochs=asked.epochs,
                sampler=name,
                metric="loss",
                seed=seed,
            )
            ran = {"versions": results.request.versions, "device": results.request.device}
            best[name].append(results.best.validation["loss"])
            seconds[name].append(results.seconds.train)
            print(f"seed {seed}: {name} {best[name][-1]:.4f} ({seconds[name][-1]:.0f} s of training)", flush=True)
    record = {
        "data": asked.data,
        "num_configs": asked.configs,
        "num_epochs": asked.epochs,
        **ran,
        "best_valid_loss": best,
        "train_seconds": seconds,
        "gain_over_random": {},
    }
    for name in asked.samplers:
        gain = np.array(best["random"]) - np.array(best[name])
        low, high = stats.t.interval(0.95, len(gain) - 1, gain.mean(), stats.sem(gain))
        record["gain_over_random"][name] = {"mean": float(gain.mean()), "interval_95": [float(low), float(high)]}
        print(
            f"{asked.data}: {name} is better than random by {gain.mean():+.4f} in validation loss, 95 % interval "
            f"{low:+.4f} to {high:+.4f}, in {(gain > 0).sum()} of {len(gain)} seeds"
        )
    if asked.json:
        asked.json.write_text(json.dumps(record, indent=1) + "\n")


if __name__ == "__main__":
    main()
