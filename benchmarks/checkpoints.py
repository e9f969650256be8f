"""What checkpoints cost while a sweep trains, and how long one takes to go on from them.

`python -m benchmarks.checkpoints [--data digits] [--configs 1024] [--epochs 20] [--scheduler none] [--pairs 2]
[--json FILE]`

Sweeps with a run directory and without take turns; programs are compiled beforehand. Of each pair the ratio of seconds
of training is given, and the share of them in which a checkpoint was being written, beside the training. Then a sweep
is left two thirds of the way, and gone on with: seconds from the call to the first epoch that is trained, by a process
whose programs are compiled.
"""

import argparse
import json
import shutil
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import jaxbn
from benchmarks.about import about_machine
from jaxbn.engine.run import TileEpoch
from jaxbn.study import keeper


class Left(BaseException):
    """What stands for the end of the process."""


def watched(monitor: list[float]) -> None:
    """Note how long each checkpoint takes to write."""
    write = keeper.Keeper._write

    def noting(self: keeper.Keeper, state: Any) -> None:
        write(self, state)
        monitor.append(self.took)

    keeper.Keeper._write = noting  # type: ignore[method-assign]


def pair(settings: dict[str, Any], folder: Path, monitor: list[float]) -> dict[str, float]:
    """One sweep without a run directory, one with."""
    plain = jaxbn.sweep(None, **settings).seconds.train
    monitor.clear()
    began = time.perf_counter()
    kept = jaxbn.sweep(None, run_dir=folder, **settings).seconds.train
    total = time.perf_counter() - began
    shutil.rmtree(folder)
    found = {"plain": plain, "kept": kept, "ratio": kept / plain, "writing": sum(monitor) / kept}
    print(
        f"train {plain:.1f} s without, {kept:.1f} s with ({found['ratio']:.3f}): {len(monitor)} checkpoints in "
        f"{sum(monitor):.2f} s ({found['writing']:.2%}); {total:.1f} s in all",
        flush=True,
    )
    return found | {"checkpoints": len(monitor)}


def resumed(settings: dict[str, Any], folder: Path, whole: int) -> dict[str, float]:
    """Leave a sweep after two thirds of its epochs, and go on."""
    seen = [0]

    def leave(event: object) -> None:
        if isinstance(event, TileEpoch):
            seen[0] += len(event.trials)

    consider = keeper.Keeper.consider

    def considering(self: keeper.Keeper, state: Any, begun: Any, *, decided: bool) -> None:
        consider(self, state, begun, decided=decided)
        if seen[0] > 2 * whole / 3:
            self.save(state, begun)
            raise Left

    keeper.Keeper.consider = considering  # type: ignore[method-assign]
    try:
        jaxbn.sweep(None, run_dir=folder, on_event=leave, **settings)
    except Left:
        pass
    finally:
        keeper.Keeper.consider = consider  # type: ignore[method-assign]
    size = sum(path.stat().st_size for path in keeper.generations(folder / "checkpoints")[0].iterdir())
    first: list[float] = []
    began = time.perf_counter()
    jaxbn.resume(
        folder,
        on_event=lambda event: first.append(time.perf_counter() - began) if isinstance(event, TileEpoch) else None,
    )
    shutil.rmtree(folder)
    print(f"a checkpoint of {size / 1e6:.1f} MB; {first[0]:.2f} s from the call to the first epoch", flush=True)
    return {"megabytes": size / 1e6, "seconds_to_first_epoch": first[0]}


def main() -> None:
    """Run it and print what came of it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default="digits")
    parser.add_argument("--configs", type=int, default=1024)
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--scheduler", default="none")
    parser.add_argument("--pairs", type=int, default=2)
    parser.add_argument("--json", type=Path)
    asked = parser.parse_args()
    settings = {
        "data": jaxbn.load_data(asked.data),
        "num_configs": asked.configs,
        "num_epochs": asked.epochs,
        "scheduler": asked.scheduler,
        "keep": 1,
    }
    monitor: list[float] = []
    watched(monitor)
    with tempfile.TemporaryDirectory() as top:
        folder = Path(top, "run")
        warm = jaxbn.sweep(None, **settings)
        pairs = [pair(settings, folder, monitor) for _ in range(asked.pairs)]
        again = resumed(settings, folder, warm.summary.num_epochs)
    ratio = statistics.median(found["ratio"] for found in pairs)
    writing = statistics.median(found["writing"] for found in pairs)
    print("| configs | epochs | scheduler | train, with / without | writing | checkpoint | to the first epoch |")
    print("|---|---|---|---|---|---|---|")
    print(
        f"| {asked.configs:,} | {asked.epochs} | {asked.scheduler} | {ratio:.3f} | {writing:.2%} | "
        f"{again['megabytes']:.1f} MB | {again['seconds_to_first_epoch']:.2f} s |"
    )
    if asked.json:
        record = {
            **about_machine(),
            "data": asked.data,
            "num_configs": asked.configs,
            "num_epochs": asked.epochs,
            "scheduler": asked.scheduler,
            "ratio": ratio,
            "writing": writing,
            "pairs": pairs,
            **again,
        }
        asked.json.write_text(json.dumps(record, indent=1) + "\n")


if __name__ == "__main__":
    main()
