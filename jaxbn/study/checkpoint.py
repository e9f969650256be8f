"""A checkpoint: the state of a sweep as files, written whole and read with suspicion.

NUMBER/
  search.json                what is plain: configurations, lineage, where in the search
  arrays-000.safetensors     curves, and weights and states by their names; more files where there is more
  manifest.json              written last: the size and SHA-256 of each of the others
"""

import contextlib
import dataclasses
import functools
import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import jax
import numpy as np

from jaxbn.engine.programs import Program, arguments
from jaxbn.engine.tiles import TileResult
from jaxbn.nn.types import TrainState
from jaxbn.search import Config, from_values
from jaxbn.study.clock import Clock
from jaxbn.study.files import new_folder, read_json, write, write_json
from jaxbn.study.named import from_named, named
from jaxbn.study.records import ARRAYS, Ancestry, Records
from jaxbn.study.setup import Setup
from jaxbn.study.state import SweepState
from jaxbn.study.summary import Seconds
from jaxbn.study.typed import misfit
from jaxbn.study.weights import shapes

FORMAT, VERSION = "jaxbn-checkpoint", 1
FILE_BYTES = 64 << 20
"""About how large a file of arrays grows: it is built in memory."""

Arrays = dict[str, np.ndarray]


def save(folder: Path, state: SweepState) -> None:
    """Write a checkpoint as a folder that appears when it is whole.

    Raises:
        OSError: it cannot be written.
    """
    from safetensors.numpy import save as packed

    with new_folder(folder) as partial:
        manifest: dict[str, dict[str, Any]] = {}

        def add(name: str, content: bytes) -> None:
            write(partial / name, content)
            manifest[name] = {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}

        add("search.json", json.dumps(_plain(state)).encode())
        for number, arrays in enumerate(_in_files(state)):
            add(f"arrays-{number:03}.safetensors", packed(arrays))
        write_json(partial / "manifest.json", {"format": FORMAT, "version": VERSION, "files": manifest})


def load(folder: Path, setup: Setup, clock: Clock) -> SweepState:
    """Read a checkpoint.

    Args:
        folder: that `save` wrote.
        setup: of the sweep.
        clock: of the process that goes on with it.

    Raises:
        UserError: it has no manifest.
        OSError: a file cannot be read.
        ValueError: it is not what was written, or not of this sweep.
        LookupError, TypeError, AttributeError, ArithmeticError, RecursionError: the same.
    """
    plain, arrays = _checked(folder)
    before = Seconds(**plain["seconds"])
    if misfit(before):
        raise ValueError(f"no number of seconds: {before}")
    state = SweepState.fresh(setup, dataclasses.replace(clock, before=before))
    _place(state, plain, setup)
    for part in ("records", "linear"):
        # The baseline is linear whatever is searched.
        read = functools.partial(from_values, architecture=setup.architecture if part == "records" else None)
        _fill(getattr(state, part), plain[part], _below(f"{part}/", arrays), setup, read)
    if state.rung > (0 if state.alive is None else len(state.rungs(setup))):
        raise ValueError(f"no rung {state.rung}")
    for tile in plain["begun"]:
        trials = tuple(tile["trials"])
        own = _below(f"begun/{trials[0]}/", arrays)
        _check_tile(own, len(trials), len(setup.metrics))
        # Tiles have been halved since where its state does not fit: they begin again.
        with contextlib.suppress(ValueError):
            state.begun[trials[0]] = TileResult(
                trials=trials,
                start=tile["start"],
                **{name: own[name] for name in TILE_ARRAYS},
                state=from_named(_of_tile(setup, state, trials[0]), _below("state/", own)),
                interval=(0.0, 0.0),
                seconds=tile["seconds"],
            )
    return state


def _check_tile(arrays: Arrays, count: int, num_metrics: int) -> None:
    epochs = len(arrays["train_loss"])
    expected = ((count,), (epochs, count), (epochs, count, num_metrics), (count,), (count,))
    if not epochs or tuple(arrays[name].shape for name in TILE_ARRAYS) != expected:
        raise ValueError("arrays of a tile that do not go together")


def _place(state: SweepState, plain: Mapping[str, Any], setup: Setup) -> None:
    """Where in the search it is."""
    rung, number, alive = plain["rung"], plain["leg"], plain["alive"]
    known = range(len(plain["records"]["configs"]))
    if not (isinstance(number, int) and 0 <= number <= len(setup.legs) and isinstance(rung, int) and rung >= 0):
        raise ValueError(f"no place in the search: leg {number!r}, rung {rung!r}")
    if alive is not None and not (isinstance(alive, list) and all(type(one) is int and one in known for one in alive)):
        raise ValueError("configurations that there are not")
    state.leg, state.rung = number, rung
    state.alive = None if alive is None else np.array(alive, int)


TILE_ARRAYS = ("first_loss", "train_loss", "scores", "epochs", "diverged")


def _plain(state: SweepState) -> dict[str, Any]:
    return {
        "leg": state.leg,
        "rung": state.rung,
        "alive": None if state.alive is None else state.alive.tolist(),
        "seconds": vars(state.clock.seconds()),
        "records": _plain_records(state.records),
        "linear": _plain_records(state.linear),
        "begun": [
            {"trials": tile.trials, "start": tile.start, "seconds": tile.seconds} for tile in state.begun.values()
        ],
    }


def _plain_records(records: Records) -> dict[str, Any]:
    return {
        "configs": [config.values() for config in records.configs],
        "released": sorted(records.released),
        "states": sorted(records.states),
        "weights": sorted(records.weights),
        "changes": [[number, config.values(), source] for number, (config, source) in records.changes.items()],
        "lineage": [[line.trial, line.epoch, line.source, line.config.values()] for line in records.lineage],
    }


def _arrays(state: SweepState) -> Iterator[tuple[str, Any]]:
    for part in ("records", "linear"):
        records: Records = getattr(state, part)
        yield from ((f"{part}/{name}", getattr(records, name)) for name in ARRAYS)
        for trial, one in records.states.items():
            yield from ((f"{part}/states/{trial}/{name}", leaf) for name, leaf in named(one).items())
        for number, variables in records.weights.items():
            yield from ((f"{part}/weights/{number}/{name}", leaf) for name, leaf in named(variables).items())
    for trial, tile in state.begun.items():
        yield from ((f"begun/{trial}/{name}", getattr(tile, name)) for name in TILE_ARRAYS)
        yield from ((f"begun/{trial}/state/{name}", leaf) for name, leaf in named(tile.state).items())


def _in_files(state: SweepState) -> Iterator[Arrays]:
    arrays: Arrays = {}
    size = 0
    for name, leaf in _arrays(state):
        # safetensors writes the bytes as they lie.
        arrays[name] = np.asarray(leaf, order="C")
        size += arrays[name].nbytes
        if size > FILE_BYTES:
            yield arrays
            arrays, size = {}, 0
    yield arrays


def _checked(folder: Path) -> tuple[dict[str, Any], Arrays]:
    """What is plain and what is arrays, if every byte is as it was written."""
    from safetensors import SafetensorError
    from safetensors.numpy import load as unpacked

    manifest = read_json(folder / "manifest.json", format=FORMAT, version=VERSION)["files"]
    plain, arrays = {}, {}
    for number, (name, said) in enumerate(sorted(manifest.items(), key=lambda item: item[0] != "search.json")):
        # Names are not taken from the manifest: one could lead out of the folder.
        expected = f"arrays-{number - 1:03}.safetensors" if number else "search.json"
        if name != expected or (folder / name).stat().st_size != said["bytes"]:
            raise ValueError(f"{expected} is not what the manifest says")
        content = (folder / name).read_bytes()
        if hashlib.sha256(content).hexdigest() != said["sha256"]:
            raise ValueError(f"{name} has changed")
        if number:
            try:
                arrays.update(unpacked(content))
            except SafetensorError as error:
                raise ValueError(str(error)) from error
        else:
            plain = json.loads(content)
    return plain, arrays


def _below(prefix: str, arrays: Mapping[str, np.ndarray]) -> Arrays:
    return {name.removeprefix(prefix): array for name, array in arrays.items() if name.startswith(prefix)}


def _fill(
    records: Records, plain: Mapping[str, Any], arrays: Arrays, setup: Setup, read: Callable[..., Config]
) -> None:
    records.configs = [read(**config) for config in plain["configs"]]
    count = len(records.configs)
    for name in ARRAYS:
        old, new = getattr(records, name), arrays[name]
        rows = count if name in ("rounds", "brackets") else count * records.repeats
        if new.shape != (rows, *old.shape[1:]) or new.dtype != old.dtype:
            raise ValueError(f"no array {name} of {rows} rows")
        setattr(records, name, new)
    records.released = set(plain["released"])
    records.changes = {number: (read(**config), source) for number, config, source in plain["changes"]}
    records.lineage = [
        Ancestry(trial, epoch, source, read(**config)) for trial, epoch, source, config in plain["lineage"]
    ]
    by_owner: dict[str, Arrays] = {}
    for name, array in arrays.items():
        if "/" in name:
            kind, owner, leaf = name.split("/", 2)
            by_owner.setdefault(f"{kind}/{owner}", {})[leaf] = array
    problem = setup.plan.problem
    for trial in plain["states"]:
        one = _of_member(setup, records.configs[trial // records.repeats])
        records.states[trial] = from_named(one, by_owner[f"states/{trial}"])
    for number in plain["weights"]:
        like = shapes(records.configs[number], problem.num_inputs, problem.num_outputs)
        records.weights[number] = from_named(jax.tree.map(_as_real, like), by_owner[f"weights/{number}"])


def _as_real(leaf: np.ndarray) -> np.ndarray:
    return leaf.astype(jax.dtypes.canonicalize_dtype(float)) if leaf.dtype.kind == "f" else leaf


def _of_member(setup: Setup, config: Config) -> TrainState:
    """Shapes and types of the state of one trial."""
    state = arguments(Program("epoch", setup.spec_of(config), 1, setup.plan.problem))[1]
    return jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape[1:], leaf.dtype), state)


def _of_tile(setup: Setup, state: SweepState, trial: int) -> TrainState:
    """Shapes and types of the state of the tile that begins with a trial."""
    beyond = sum(setup.rounds) * state.records.repeats
    records, first, rung = (state.records, 0, state.rung) if trial < beyond else (state.linear, beyond, 0)
    number, place = divmod(trial - first, records.repeats)
    fold = place % len(setup.folds)
    spec = setup.spec_of(records.config(number), fold)
    return arguments(Program("epoch", spec, setup.plan.tile_size(spec, rung), setup.plan.problem))[1]
