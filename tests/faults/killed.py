"""A sweep in processes that are killed, until one of them comes to the end.

`python tests/faults/killed.py FOLDER SEED NUM_KILLS`

Processes are forked from this one, which has imported everything and has started no thread of JAX's. Each goes on with
the sweep where the last one was killed: at a random instant, or before or after a random call that changes the disk.
One JSON object on one line says what came of it.
"""

import functools
import json
import os
import random
import shutil
import signal
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import polars as pl  # noqa: F401
import sklearn.linear_model
import sklearn.model_selection
import sklearn.preprocessing  # noqa: F401

import jaxbn
from jaxbn import Choice, Float, Int, Space
from jaxbn.engine.cache import keep_programs
from jaxbn.study import conduct, keeper

SPACE = Space(
    learning_rate=Float(1e-3, 1, scale="log"),
    momentum=Float(0.8, 0.99, scale="one_minus_log"),
    optimizer=Choice("adam", "momentum"),
    hidden_units=Int(4, 8),
    num_layers=1,
)
KINDS = {
    "halving": {"scheduler": "halving", "num_epochs": 9},
    "pbt": {"scheduler": "pbt", "interval": 2, "num_epochs": 8},
    "folds": {"folds": 2, "replicates": 2, "num_epochs": 4},
    "longer": {"num_epochs": 3, "keep_states": True},
}
LONGER = {"longer": 6}
"""Epochs to which a sweep is extended when it has ended."""
CALLS = ("fsync", "replace", "rename", "unlink", "rmdir", "mkdir")
"""Of `os`, which change the disk or make sure of a change."""
MOST_CALLS = 200
"""A process ends at one of so many calls, if it makes as many."""
KILLS_OF_ONE = 6
"""How often one sweep is killed, so that it comes to its end."""


def swept(kind: str, folder: Path) -> None:
    """Begin the sweep, or go on with it, with a checkpoint whenever there could be one."""
    keeper.SHARE, conduct.REPORT = float("inf"), 0.0
    keeper.EVERY = 0.0
    keep_programs()
    jaxbn.sweep(SPACE, "wine", num_configs=12, tile_size=2, run_dir=folder, resume=True, **KINDS[kind])
    if kind in LONGER:
        jaxbn.resume(folder, num_epochs=LONGER[kind])


def forked(work: Callable[[], None]) -> int:
    """A process that does something and then exits with 0."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # That JAX has threads: it has none yet.
        child = os.fork()
    if child:
        return child
    status = 1
    try:
        work()
        status = 0
    finally:
        os._exit(status)


def suicidal(work: Callable[[], None], number: int, *, after: bool) -> Callable[[], None]:
    """The same work, which ends before or after one of the calls that change the disk."""
    count = [0]

    def counted(call):
        def one(*arguments, **named):
            count[0] += 1
            here = count[0] == number
            if here and not after:
                os.kill(os.getpid(), signal.SIGKILL)
            found = call(*arguments, **named)
            if here:
                os.kill(os.getpid(), signal.SIGKILL)
            return found

        return one

    def run() -> None:
        for name in CALLS:
            setattr(os, name, counted(getattr(os, name)))
        work()

    return run


def outcome(folder: Path) -> dict[str, object]:
    """What is to be the same, and what files there are."""
    results = jaxbn.Results.load(folder)
    tables = {
        name: getattr(results, name).drop("train_seconds", strict=False).write_json()
        for name in ("trials", "curves", "lineage")
    }
    files = sorted(path.relative_to(folder.parent).as_posix() for path in folder.parent.rglob("*"))
    return {**tables, "model": (folder / "best" / "model.safetensors").read_bytes().hex(), "files": files}


def outcome_of(folder: Path) -> dict[str, object]:
    """The outcome, looked at in a process of its own: reading a table starts threads."""
    path = folder.parent.with_suffix(".json")

    def look() -> None:
        path.write_text(json.dumps(outcome(folder)))

    assert os.waitpid(forked(look), 0)[1] == 0
    return json.loads(path.read_text())


def end_at(child: int, seconds: float) -> None:
    """Kill a process at an instant, unless it has ended by then."""
    ends = time.perf_counter() + seconds
    while os.waitid(os.P_PID, child, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
        if time.perf_counter() > ends:
            os.kill(child, signal.SIGKILL)
            return
        time.sleep(0.005)


def main() -> None:
    """Kill until that has happened so often, and until every sweep is finished."""
    top, draw, num_kills = Path(sys.argv[1]), random.Random(int(sys.argv[2])), int(sys.argv[3])
    folder = top / "runs" / "run"
    works = {kind: functools.partial(swept, kind, folder) for kind in KINDS}
    expected, took = {}, {}
    for kind, work in works.items():
        for _ in range(2):  # The first one fills the cache of programs.
            began = time.perf_counter()
            assert os.waitpid(forked(work), 0)[1] == 0
            took[kind] = time.perf_counter() - began
            expected[kind] = outcome_of(folder)
            shutil.rmtree(folder.parent)
    at, finished, wrong = {"instant": 0, "call": 0}, 0, []
    while sum(at.values()) < num_kills:
        kind = list(KINDS)[finished % len(KINDS)]
        for attempt in range(KILLS_OF_ONE + 1):
            how = draw.choice(("instant", "call", "call")) if attempt < KILLS_OF_ONE else "left alone"
            work = works[kind]
            if how == "call":
                work = suicidal(work, draw.randrange(1, MOST_CALLS), after=draw.random() < 0.5)
            child = forked(work)
            if how == "instant":
                end_at(child, draw.random() * took[kind])
            status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
            if status == 0:
                break
            if status != -signal.SIGKILL:
                raise SystemExit(f"{kind} failed after {attempt} kills")
            at[how] += 1
        found = outcome_of(folder)
        wrong += [f"{kind}: {name}" for name in found if found[name] != expected[kind][name]]
        shutil.rmtree(folder.parent)
        finished += 1
    print(json.dumps({"kills": sum(at.values()), "at": at, "finished": finished, "wrong": wrong}))


if __name__ == "__main__":
    main()
