"""Files that are not what they should be: real ones, altered at random. Each is read, or refused in one sentence.

`python tests/faults/fuzz.py FOLDER SEED NUM_INPUTS`

One JSON object on one line says what came of it.
"""

import contextlib
import functools
import gzip
import hashlib
import json
import os
import random
import resource
import shutil
import signal
import struct
import sys
import time
import traceback
import warnings
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from types import FrameType

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import polars as pl
from sklearn.datasets import load_wine

import jaxbn
from jaxbn import Config, Results, Settings, Space, UserError
from jaxbn.cli.experiment import configs_of
from jaxbn.engine.run import IDLE
from jaxbn.engine.tiles import TileResult
from jaxbn.study import checkpoint, conduct, keeper
from jaxbn.study.clock import Clock
from jaxbn.study.fitted import FittedModel
from jaxbn.study.logbook import Log
from jaxbn.study.run_dir import request_in
from jaxbn.study.settings import enqueued
from jaxbn.study.settle import set_up
from jaxbn.study.setup import Setup
from jaxbn.study.state import SweepState

SLOW = 5.0
"""Seconds after which reading a small file counts as hanging."""
MEMORY = 1 << 30
TOKENS = [
    *(
        b"nan",
        b"-inf",
        b"1e999",
        b"9" * 400,
        b"-1",
        b"0",
        b"null",
        b"true",
        b"[]",
        b"{}",
        b'"',
        b"'",
        b",",
        b"\n",
        b"\r",
    ),
    *(b"\t", b";", b"=cmd|' /C calc'!A0", b"\x00", b"\xff\xfe", b"\xef\xbb\xbf", b"../../../etc/passwd", b"[" * 300),
    *(
        b"\xf0\x9f\x90\xbc",
        b"4294967296",
        b"18446744073709551616",
        b"1e-320",
        b"__class__",
        b"\\u0000",
        b"inf",
        b"0x1f",
    ),
]
SPACE = b"""[learning_rate]
low = 1e-4
high = 1.0
scale = "log"
[hidden_units]
low = 4
high = 16
[optimizer]
choices = ["adam", "momentum"]
[momentum]
low = 0.8
high = 0.99
scale = "one_minus_log"
when = { optimizer = ["momentum"] }
"""
CONFIGS = b"""[[config]]
learning_rate = 0.01
hidden_units = [8, 4]
[[config]]
optimizer = "momentum"
momentum = 0.95
"""


SPACE_OF_ONE = Space(learning_rate=jaxbn.Float(0.01, 0.1), hidden_units=4, num_layers=1)


def idx(array: np.ndarray) -> bytes:
    """An array as IDX."""
    return (
        bytes([0, 0, 8, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape) + array.astype(np.uint8).tobytes()
    )


def real_files(top: Path) -> None:
    """A folder for each kind of input, with what a person has."""
    x, y = load_wine(return_X_y=True)
    rng = np.random.default_rng(0)
    frame = pl.DataFrame({f"x{k}": x[:, k] for k in range(4)}).with_columns(
        pl.Series("town", [("Ulm", "Bonn", "Jena, Ost", None)[k % 4] for k in range(len(x))]),
        pl.Series("kind", y).cast(pl.String),
    )
    for name in ("csv", "tsv", "gz", "npz", "parquet", "idx", "space", "configs", "panda"):
        (top / name).mkdir(parents=True)
    frame.write_csv(top / "csv/data.csv")
    frame.write_csv(top / "tsv/data.tsv", separator="\t")
    (top / "gz/data.csv.gz").write_bytes(gzip.compress((top / "csv/data.csv").read_bytes()))
    np.savez(top / "npz/data.npz", x=x, y=y)
    frame.write_parquet(top / "parquet/data.parquet")
    images = rng.integers(0, 255, (40, 5, 5))
    (top / "idx/train-images-idx3-ubyte").write_bytes(idx(images))
    (top / "idx/train-labels-idx1-ubyte").write_bytes(idx(np.arange(40) % 3))
    (top / "space/space.toml").write_bytes(SPACE)
    (top / "configs/configs.toml").write_bytes(CONFIGS)
    jaxbn.sweep(SPACE_OF_ONE, "iris", num_configs=3, num_epochs=2, run_dir=top / "run")
    shutil.copytree(top / "run/best", top / "model")
    for name in ("checkpoints", "signed"):
        under_way(top / name)
    panda = jaxbn.Panda(Config(hidden_units=4, num_layers=1), "iris")
    panda.train(2)
    panda.set(learning_rate=0.01)
    panda.log.save(top / "panda/log.jsonl")


SWEPT = Settings(num_configs=24, num_epochs=9, scheduler="halving", tile_size=2)


def under_way(folder: Path) -> None:
    """The checkpoint of a sweep that has decided once and has tiles in flight: one of everything that there can be."""

    class Left(BaseException):
        pass

    consider = keeper.Keeper.consider

    def leave(self: keeper.Keeper, state: SweepState, begun: dict[int, TileResult], *, decided: bool) -> None:
        if state.rung and state.records.states and begun:
            checkpoint.save(folder / "000001", state.copy(dict(begun)))
            raise Left

    keeper.Keeper.consider = leave  # type: ignore[method-assign]
    conduct.REPORT = 0.0
    try:
        # Tiles of the second rung rest in their last epoch until somebody has looked.
        rest = lambda event: time.sleep(3 * IDLE * (getattr(event, "epoch", 0) == 3))  # noqa: E731
        jaxbn.sweep(SPACE_OF_ONE, "iris", run_dir=folder.parent / "left", on_event=rest, **vars(SWEPT))
    except Left:
        shutil.rmtree(folder.parent / "left")
    finally:
        keeper.Keeper.consider = consider  # type: ignore[method-assign]
    assert (folder / "000001").is_dir()


@functools.cache
def swept() -> Setup:
    """What was settled of the sweep that the checkpoint is of."""
    return set_up(SPACE_OF_ONE, "iris", SWEPT)


def prepared(path: Path) -> None:
    """Data as far as the first program."""
    set_up([Config(hidden_units=4, num_layers=1)], jaxbn.load_data(path), Settings(num_configs=1, num_epochs=1))


def asked(folder: Path) -> None:
    """A run, read for whatever can be asked of it."""
    request_in(folder)
    results = Results.load(folder)
    results.leaderboard(3)
    results.best_model.predict(results.trials.select("trial", "config", "fold", "epochs").to_numpy())


def gone_on(folder: Path) -> None:
    """A checkpoint, of which an altered one is told of and passed over."""
    setup = swept()
    state = keeper.newest(folder, setup, Clock(0.0), lambda told: None)
    if state.leg < len(setup.legs) and state.alive is not None:
        state.records.members(state.alive, 1, start=0)
    state.clock.seconds()


def signed(folder: Path) -> None:
    """A checkpoint whose manifest has been altered with it, as somebody may who wants to do harm."""
    for checkpoint_folder in folder.iterdir():
        path = checkpoint_folder / "manifest.json"
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError, AttributeError):
            manifest = json.loads(path.read_bytes())
            for name, said in manifest["files"].items():
                content = (checkpoint_folder / Path(name).name).read_bytes()
                said |= {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
            path.write_text(json.dumps(manifest))
    gone_on(folder)


READERS: dict[str, Callable[[Path], object]] = {
    "csv": lambda folder: prepared(folder / "data.csv"),
    "tsv": lambda folder: prepared(folder / "data.tsv"),
    "gz": lambda folder: prepared(folder / "data.csv.gz"),
    "npz": lambda folder: prepared(folder / "data.npz"),
    "parquet": lambda folder: prepared(folder / "data.parquet"),
    "idx": prepared,
    "space": lambda folder: Space.from_toml(folder / "space.toml"),
    "configs": lambda folder: enqueued(Settings(enqueue=configs_of(folder / "configs.toml")), None),
    "run": asked,
    "model": lambda folder: FittedModel.load(folder).predict(np.ones((3, 4))),
    "checkpoints": gone_on,
    "signed": signed,
    "panda": lambda folder: Log.load(folder / "log.jsonl"),
}


def altered(content: bytes, draw: random.Random) -> bytes:
    """A file with a few accidents."""
    changed = bytearray(content)
    for _ in range(draw.choice((1, 1, 1, 2, 5))):
        at, to = sorted(draw.randrange(len(changed) + 1) for _ in range(2))
        to = min(to, at + draw.choice((1, 4, 40, 4000)))
        accident = draw.randrange(7)
        if accident == 0 and changed:
            changed[min(at, len(changed) - 1)] ^= 1 << draw.randrange(8)
        elif accident == 1:
            del changed[at:to]
        elif accident == 2:
            changed[at:at] = changed[at:to]
        elif accident == 3:
            changed[at:at] = draw.choice(TOKENS)
        elif accident == 4:
            changed[at:to] = draw.choice(TOKENS)
        elif accident == 5:
            changed[at:to] = draw.randbytes(to - at)
        else:
            del changed[at:]
    return bytes(changed)


def renumbered(content: bytes, draw: random.Random) -> bytes:
    """Text in which one number, word or bracket is another one: still of the right form, mostly."""
    words = content.replace(b",", b" , ").replace(b":", b" : ").split(b" ")
    if words:
        words[draw.randrange(len(words))] = draw.choice(TOKENS)
    return b" ".join(words).replace(b" , ", b",").replace(b" : ", b":")


class Hangs(BaseException):
    """Reading takes too long."""


def hang(number: int, frame: FrameType | None) -> None:
    """The alarm has gone off."""
    del number, frame
    raise Hangs


def main() -> None:
    """Alter and read."""
    top, draw, wanted = Path(sys.argv[1]), random.Random(int(sys.argv[2])), int(sys.argv[3])
    real_files(top / "real")
    warnings.simplefilter("ignore")
    signal.signal(signal.SIGALRM, hang)
    for kind, read in READERS.items():
        read(top / "real" / kind)
    baseline = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    counts: Counter[str] = Counter()
    failed: dict[str, str] = {}
    slowest = 0.0
    for number in range(wanted):
        kind = list(READERS)[number % len(READERS)]
        folder = top / "altered"
        shutil.copytree(top / "real" / kind, folder)
        path = draw.choice(sorted(path for path in folder.rglob("*") if path.is_file()))
        alter = renumbered if path.suffix in (".json", ".toml", ".csv") and draw.random() < 0.5 else altered
        path.write_bytes(alter(path.read_bytes(), draw))
        began = time.perf_counter()
        signal.setitimer(signal.ITIMER_REAL, SLOW)
        try:
            READERS[kind](folder)
            counts[f"{kind} read"] += 1
        except UserError as error:
            counts[f"{kind} refused"] += 1
            if "\n" in str(error) or len(str(error)) > 1000:
                failed.setdefault(f"{kind}: more than a sentence", str(error)[:2000])
        except BaseException as error:
            if isinstance(error, KeyboardInterrupt):
                raise
            where = traceback.extract_tb(error.__traceback__)[-1]
            failed.setdefault(
                f"{kind}: {type(error).__name__} at {where.filename}:{where.lineno}", f"{path.name}: {error}"
            )
            if len(failed) <= 20:
                shutil.copytree(folder, top / "failed" / str(number))
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
        slowest = max(slowest, time.perf_counter() - began)
        shutil.rmtree(folder)
    grown = 1024 * (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - baseline)
    print(json.dumps({"inputs": wanted, "counts": counts, "failed": failed, "slowest": slowest, "grown": grown}))


if __name__ == "__main__":
    main()
