"""How soon a search has a good network: best validation score so far against seconds from the start of its process.

Importing, compiling and reading are inside the time. jaxbn's sweep with Hyperband, with successive halving, and with
halving in eight rounds from which TPE or coarse to fine learns; Optuna (TPE, Hyperband pruner) over torch;
scikit-learn's HalvingRandomSearchCV: see `benchmarks.searches`. All use the same training and validation rows. They
run one after the other, each stopped after `--seconds` or when it is done.

By default jaxbn compiles everything anew. With `--kept` it finds its programs where an earlier search of another seed,
which is not measured, has left them, as `jaxbn sweep` does from its second run on.

The target is the score that only the best 1 % of configs reach, at any epoch, in a full sweep with another seed:

    python -m benchmarks.time_to_best --data mnist5k --make-target --json FILE --figure FILE
"""

import argparse
import contextlib
import importlib.util
import json
import math
import os
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict
from pathlib import Path

import numpy as np

from benchmarks.about import about_machine, cores
from benchmarks.curves import Run, draw, reached_by, summarise, table, thinned
from benchmarks.searches import SEARCHES, Job, record_of

PACKAGES = {
    "jaxbn_hyperband": ("jax", "flax", "optax", "sklearn"),
    "jaxbn_halving": ("jax", "flax", "optax", "sklearn"),
    "jaxbn_tpe": ("jax", "flax", "optax", "sklearn", "optuna"),
    "jaxbn_coarse_to_fine": ("jax", "flax", "optax", "sklearn"),
    "optuna_torch": ("optuna", "torch"),
    "sklearn_halving": ("sklearn.model_selection", "sklearn.neural_network"),
}
"""What a search imports."""

TARGET_SEED, TARGET_SHARE = 100, 0.01


def write_rows(data: str, seed: int, path: Path) -> None:
    """The rows of a seed as all searches have them: those of jaxbn's own split, standardised on the training rows."""
    from jaxbn.data import load_data, prepare, split_rows

    dataset = load_data(data)
    ready = prepare(dataset, split_rows(dataset, seed=seed)[0])
    train, valid = ready.train, ready.valid
    np.savez(path, x_train=train.x, y_train=train.y, x_valid=valid.x, y_valid=valid.y)


def measure(
    search: str, limit: float, asked: argparse.Namespace, seed: int, rows: Path, kept: Path | None = None
) -> Run:
    """Run one search in a process of its own, for so many seconds at most."""
    memory = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    # A compilation that is kept from an earlier run would be a head start.
    environment = {name: value for name, value in os.environ.items() if name != "JAX_COMPILATION_CACHE_DIR"}
    environment["PYTHONWARNINGS"] = "ignore"
    with tempfile.TemporaryDirectory(dir=memory) as folder:
        environment["JOBLIB_TEMP_FOLDER"] = folder
        errors = Path(folder) / "errors.txt"
        began = time.monotonic()
        job = Job(
            search,
            asked.data,
            str(rows),
            seed,
            asked.num_configs,
            asked.num_epochs,
            cores(),
            began,
            folder,
            None if kept is None else str(kept),
        )
        with errors.open("w") as stderr:
            process = subprocess.Popen(
                [sys.executable, "-m", "benchmarks.searches", json.dumps(asdict(job))],
                env=environment,
                stderr=stderr,
                start_new_session=True,
            )
            try:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(limit if math.isfinite(limit) else None)
            finally:
                finished, ran = process.poll() is not None, time.monotonic() - began
                _end(process)
        if finished and process.returncode:
            sys.exit(f"{search} failed with seed {seed}:\n{errors.read_text()}")
        path = Path(record_of(job).path)
        noted = [line.split() for line in path.read_text().splitlines()] if path.exists() else []
    # What was being written when the process ended has no third column.
    scores = [(float(line[0]), float(line[1]), int(line[2])) for line in noted if len(line) == 3]
    scores = [score for score in scores if score[0] <= limit]
    curve = thinned([(seconds, score) for seconds, score, _ in scores])
    return Run(search, seed, ran, finished, sum(epochs for *_, epochs in scores), curve)


def _end(process: subprocess.Popen) -> None:
    """End a process and its workers, some of which outlive it: all are in a group of its own."""
    with contextlib.suppress(ProcessLookupError):
        # Those that clean up behind the others ignore the first signal, and are given a moment.
        os.killpg(process.pid, signal.SIGTERM)
        process.wait()
        for _ in range(20):
            os.killpg(process.pid, 0)
            time.sleep(0.1)
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def make_target(data: str, num_configs: int, num_epochs: int, folder: Path) -> None:
    """A full sweep, of a seed that is not measured, into a run directory."""
    command = [sys.executable, "-m", "jaxbn", "sweep", data, "--out", str(folder), "--seed", str(TARGET_SEED)]
    command += ["--num-configs", str(num_configs), "--num-epochs", str(num_epochs)]
    subprocess.run(command, check=True)


def target_from(folders: list[Path]) -> dict:
    """The score that only the best configs of some run directories reach, and where it comes from."""
    import polars as pl

    best, seeds, num_trials = [], [], 0
    for folder in folders:
        curves = pl.read_parquet(folder / "curves.parquet")
        reached = curves.with_columns(pl.col("valid_accuracy").fill_nan(None)).group_by("trial").max()
        best += reached["valid_accuracy"].drop_nulls().to_list()
        num_trials += pl.read_parquet(folder / "trials.parquet").height
        seeds.append(json.loads((folder / "run.json").read_text())["request"]["seed"])
    # A trial without a score reached none.
    scores = np.array(best + [0.0] * (num_trials - len(best)))
    return {"score": reached_by(scores, TARGET_SHARE), "share": TARGET_SHARE, "trials": num_trials, "seeds": seeds}


def main() -> None:
    """Measure, print a table, and write JSON and a figure where asked."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.time_to_best", description="How soon a search has a good network."
    )
    parser.add_argument("--data", choices=("digits", "mnist5k"), default="digits")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2, 3, 4])
    parser.add_argument("--seconds", type=float, default=180.0, help="when each search is stopped (default 180)")
    parser.add_argument("--searches", nargs="+", choices=tuple(SEARCHES), default=list(SEARCHES), metavar="NAME")
    parser.add_argument("--kept", action="store_true", help="let jaxbn find its programs compiled")
    parser.add_argument("--num-configs", type=int, default=1024, help="of jaxbn and scikit-learn (default 1024)")
    parser.add_argument("--num-epochs", type=int, default=27, help="the most for one config (default 27)")
    goal = parser.add_mutually_exclusive_group()
    goal.add_argument("--target", type=float, help="the score to reach")
    goal.add_argument("--target-from", type=Path, nargs="+", metavar="RUN", help="full sweeps to read it off")
    goal.add_argument("--make-target", action="store_true", help=f"run a full sweep for it, with seed {TARGET_SEED}")
    parser.add_argument("--json", help="file to write the figures to, after each run")
    parser.add_argument("--figure", help="file to draw the curves into")
    parser.add_argument("--redraw", metavar="JSON", help="measure nothing; print and draw what a file holds")
    arguments = parser.parse_args()
    if arguments.figure and not importlib.util.find_spec("matplotlib"):
        parser.error('--figure needs matplotlib: pip install "jaxbn[plots]"')

    with tempfile.TemporaryDirectory() as folder:
        record = json.loads(Path(arguments.redraw).read_text()) if arguments.redraw else _fresh(arguments)
        if arguments.make_target:
            arguments.target_from = [Path(folder) / "target"]
            make_target(record["data"], arguments.num_configs, arguments.num_epochs, arguments.target_from[0])
        if arguments.target_from:
            record["target"] = target_from(arguments.target_from)
            measured = {run["seed"] for run in record["runs"]} or set(arguments.seeds)
            if measured & set(record["target"]["seeds"]):
                parser.error("the target is read off a sweep whose seed is measured too: give a sweep of another seed")
        elif arguments.target is not None:
            record["target"] = {"score": arguments.target}
        if not arguments.redraw:
            _measure_all(arguments, record, Path(folder))
    runs = [Run(**run) for run in record["runs"]]
    target = record["target"]["score"] if record["target"] else None
    record["rows"] = summarise(runs, target, record["seconds"])
    print(f"target: {record['target'] or 'none'}")
    print(table(record["rows"], None if target is None else record["seconds"]))
    _write(arguments.json, record)
    if arguments.figure:
        title = f"{record['data']}, {record['about']['cores']} cores"
        draw(runs, target, record["seconds"], title, arguments.figure)


def _fresh(arguments: argparse.Namespace) -> dict:
    return {
        "about": about_machine(),
        "data": arguments.data,
        "seconds": arguments.seconds,
        "kept": arguments.kept,
        "num_configs": arguments.num_configs,
        "num_epochs": arguments.num_epochs,
        "target": None,
        "rows": [],
        "runs": [],
    }


def _measure_all(arguments: argparse.Namespace, record: dict, folder: Path) -> None:
    """Every search with every seed, so that a machine whose speed drifts slows them alike."""
    searches = []
    for search in arguments.searches:
        missing = [name for name in PACKAGES[search] if not importlib.util.find_spec(name)]
        if missing:
            print(f"{search} is left out: {' and '.join(missing)} is not installed")
        else:
            searches.append(search)
            # Whoever is first to import would wait for the disk.
            subprocess.run([sys.executable, "-c", f"import {', '.join(PACKAGES[search])}"], check=True)
    kept = folder / "kept" if arguments.kept else None
    for search in searches:
        if kept is not None and search.startswith("jaxbn"):
            measure(search, math.inf, arguments, TARGET_SEED, folder / "none", kept)
    for seed in arguments.seeds:
        rows = folder / f"rows-{seed}.npz"
        write_rows(arguments.data, seed, rows)
        for search in searches:
            run = measure(search, arguments.seconds, arguments, seed, rows, kept)
            record["runs"].append(asdict(run))
            best = run.curve[-1][1] if run.curve else math.nan
            ended = "done" if run.finished else "stopped"
            print(f"seed {seed}: {search} {ended} after {run.seconds:.1f} s, best {best:.4f}", flush=True)
            _write(arguments.json, record)


def _write(path: str | None, record: dict) -> None:
    if path:
        Path(path).write_text(json.dumps(record, indent=1) + "\n")


if __name__ == "__main__":
    main()
