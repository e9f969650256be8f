"""Population-based training from a poor range of learning rates, against the best fixed rate of that range.

`python -m benchmarks.population [--configs 32] [--epochs 20] [--seeds 5]`

Both begin with the same configurations, all with learning rates that are too small; population-based training may
leave the range, as its rates drift within the wide space that it explores.
"""

import argparse
import json
from pathlib import Path

import numpy as np
from scipy import stats

import jaxbn
from jaxbn import Float, Space
from jaxbn.search import sampler

POOR = Space(learning_rate=Float(1e-5, 1e-4, scale="log"), hidden_units=64, num_layers=2)
WIDE = Space(learning_rate=Float(1e-5, 1, scale="log"), hidden_units=64, num_layers=2)


def main() -> None:
    """Run it and print what came of it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--configs", type=int, default=32)
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--figure", type=Path)
    asked = parser.parse_args()
    rows, request = [], None
    for seed in range(asked.seeds):
        poor = sampler("random").propose(seed, POOR, None, asked.configs)
        options = {"num_configs": asked.configs, "num_epochs": asked.epochs, "seed": seed, "metric": "accuracy"}
        fixed = jaxbn.sweep(poor, "digits", **options)
        evolved = jaxbn.sweep(WIDE, "digits", enqueue=poor, scheduler="pbt", interval=1, **options)
        request = fixed.request
        rows.append(
            {
                name: {"validation": results.best.validation, "test": results.test}
                for name, results in (("fixed", fixed), ("pbt", evolved))
            }
        )
        one, other = (rows[-1][name]["validation"]["accuracy"] for name in ("fixed", "pbt"))
        print(f"seed {seed}: best fixed {one:.4f}, population-based {other:.4f}", flush=True)
        if asked.figure and seed == 0:
            figure = evolved.plot.lineage().get_figure(root=True)
            assert figure is not None
            figure.savefig(asked.figure, dpi=150)
    gain = np.array([row["pbt"]["validation"]["accuracy"] - row["fixed"]["validation"]["accuracy"] for row in rows])
    low, high = stats.t.interval(0.95, len(gain) - 1, gain.mean(), stats.sem(gain))
    print(f"population-based training is better by {gain.mean():+.4f}, 95 % interval {low:+.4f} to {high:+.4f}")
    if asked.json and request is not None:
        record = {
            "versions": request.versions,
            "device": request.device,
            "num_configs": asked.configs,
            "num_epochs": asked.epochs,
            "seeds": rows,
            "gain": {"mean": float(gain.mean()), "interval_95": [float(low), float(high)]},
        }
        asked.json.write_text(json.dumps(record, indent=1) + "\n")


if __name__ == "__main__":
    main()
