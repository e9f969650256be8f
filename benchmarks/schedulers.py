"""What halving and Hyperband cost and lose against training everything to the end.

`python -m benchmarks.schedulers [--data digits] [--configs 1024] [--epochs 27] [--seeds 0 1 2 3 4] [--json FILE]`

Every sweep is a fresh process, so that each compiles for itself.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

SCHEDULERS = ("none", "halving", "hyperband")


def swept(scheduler: str, seed: int, asked: argparse.Namespace, folder: str) -> dict:
    """What `jaxbn sweep --json` says."""
    command = (
        f"-m jaxbn sweep {asked.data} --num-configs {asked.configs} --num-epochs {asked.epochs} "
        f"--scheduler {scheduler} --seed {seed} --json --out {folder}/{scheduler}-{seed}"
    )
    done = subprocess.run([sys.executable, *command.split()], capture_output=True, text=True, check=True)
    found = json.loads(done.stdout.splitlines()[-1])
    return {
        "seed": seed,
        "valid_accuracy": found["best"]["validation"]["accuracy"],
        "test_accuracy": found["test"]["accuracy"],
        "num_epochs": found["num_epochs"],
        "num_programs": found["num_programs"],
        "seconds": found["seconds"],
    }


def main() -> None:
    """Run it and print what came of it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default="digits")
    parser.add_argument("--configs", type=int, default=1024)
    parser.add_argument("--epochs", type=int, default=27)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2, 3, 4])
    parser.add_argument("--json", type=Path)
    asked = parser.parse_args()
    rows: dict[str, list[dict]] = {name: [] for name in SCHEDULERS}
    with tempfile.TemporaryDirectory() as folder:
        for seed in asked.seeds:
            for name in SCHEDULERS:
                rows[name].append(row := swept(name, seed, asked, folder))
                seconds = row["seconds"]
                print(
                    f"seed {seed} {name}: validation {row['valid_accuracy']:.4f}, test {row['test_accuracy']:.4f}, "
                    f"train {seconds['train']:.1f} s, compile {seconds['compile']:.1f} s, "
                    f"total {seconds['total']:.1f} s",
                    flush=True,
                )

    whole = rows["none"]
    print("| scheduler | validation | behind | test | epochs | train s | of full | compile s | total s | of full |")
    print("|---|---|---|---|---|---|---|---|---|---|")
    for name, found in rows.items():
        accuracy, test, epochs = (
            float(np.mean([row[key] for row in found])) for key in ("valid_accuracy", "test_accuracy", "num_epochs")
        )
        behind = float(np.mean([w["valid_accuracy"] - f["valid_accuracy"] for w, f in zip(whole, found, strict=True)]))
        train, compiling, total = (
            float(np.mean([row["seconds"][key] for row in found])) for key in ("train", "compile", "total")
        )
        train_share, total_share = (
            float(np.median([f["seconds"][key] / w["seconds"][key] for w, f in zip(whole, found, strict=True)]))
            for key in ("train", "total")
        )
        print(
            f"| {name} | {accuracy:.4f} | {behind:+.4f} | {test:.4f} | {epochs:.0f} | {train:.1f} | {train_share:.2f} "
            f"| {compiling:.1f} | {total:.1f} | {total_share:.2f} |"
        )
    if asked.json:
        record = {"data": asked.data, "num_configs": asked.configs, "num_epochs": asked.epochs, "sweeps": rows}
        asked.json.write_text(json.dumps(record, indent=1) + "\n")


if __name__ == "__main__":
    main()
