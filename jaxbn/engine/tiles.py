"""Members that train together: one program, one batch size, one replicate, one fold."""

import dataclasses
from collections.abc import Callable, Sequence

import jax
import numpy as np

from jaxbn.engine.programs import Program
from jaxbn.nn.types import Hyperparams, PyTree, Spec, TrainState
from jaxbn.search import Config, Padding, split


@dataclasses.dataclass(frozen=True, eq=False)
class Member:
    """A trial that is to be trained, from the start or on.

    Attributes:
        trial: its number.
        config: its hyperparameters.
        replicate: its seed, from 0.
        fold: its split, from 0.
        state: NumPy arrays without a member axis; None before the first epoch.
        first_loss: training loss of its first epoch, NaN before.
    """

    trial: int
    config: Config
    replicate: int = 0
    fold: int = 0
    state: TrainState | None = None
    first_loss: float = float("nan")


@dataclasses.dataclass(frozen=True, eq=False)
class TileResult:
    """What the n members in use of a tile have learned, in E epochs: all that are asked for, or those up to now.

    Attributes:
        trials: trial numbers of the members.
        start: epochs that they had trained before.
        first_loss: [n], training loss of the first epoch of the weights that they have; NaN if there was none before.
        train_loss: [E, n].
        scores: [E, n, M], on the validation split.
        epochs: [n], epochs since the beginning of training that count: all, or up to and with the one that broke the
            trial.
        diverged: bool [n].
        state: of all members after the last epoch, on the device [T, ...]; whoever needs it fetches what is needed.
        interval: when this process trained it, from and to, by `time.perf_counter`.
        seconds: how long it took, in this process and before.
    """

    trials: tuple[int, ...]
    start: int
    first_loss: np.ndarray
    train_loss: np.ndarray
    scores: np.ndarray
    epochs: np.ndarray
    diverged: np.ndarray
    state: TrainState
    interval: tuple[float, float]
    seconds: float


@dataclasses.dataclass(frozen=True, eq=False)
class Tile:
    """T members and what is to be done with them.

    Attributes:
        program: the epoch program.
        trials: trial numbers of the members in use; the tile is filled up with copies of the first.
        hyperparams: NumPy arrays [T, ...].
        replicate: of all members.
        fold: of all members.
        start: epochs that they have trained.
        until: epochs that they will have trained.
        states: of the members in use; empty before the first epoch.
        first_loss: [n], training loss of the first epoch, NaN before.
        begun: what it has learned since `start`, where it goes on after an interruption.
    """

    program: Program
    trials: tuple[int, ...]
    hyperparams: Hyperparams
    replicate: int
    fold: int
    start: int
    until: int
    states: tuple[TrainState, ...]
    first_loss: np.ndarray
    begun: TileResult | None = None


def fitting(config: Config, num_rows: int) -> Config:
    """A batch size above the number of rows means a full batch."""
    return dataclasses.replace(config, batch_size=min(config.batch_size, num_rows))


def pack(
    members: Sequence[Member],
    program_of: Callable[[Spec, int, int], Program],
    *,
    padding: Padding,
    num_rows: Sequence[int],
    num_epochs: int,
    start: int,
    until: int,
) -> list[Tile]:
    """Put members into as few tiles as they need.

    Args:
        members: in the order in which they fill tiles.
        program_of: `(spec, batch size, fold) -> program`, with its T.
        padding: what unlike configurations share.
        num_rows: training rows of each fold.
        num_epochs: where a cosine decay ends.
        start: epochs that all members have trained.
        until: epochs that they will have trained.

    Returns:
        Tiles, in the order in which their first members come.
    """
    groups: dict[tuple[Spec, int, int, int], list[tuple[Member, Hyperparams]]] = {}
    for member in members:
        config = fitting(member.config, num_rows[member.fold])
        spec, hyperparams = split(config, num_epochs=num_epochs, padding=padding)
        key = (spec, config.batch_size, member.replicate, member.fold)
        groups.setdefault(key, []).append((member, hyperparams))
    tiles = []
    for (spec, batch_size, replicate, fold), group in groups.items():
        program = program_of(spec, batch_size, fold)
        for first in range(0, len(group), program.tile_size):
            part = group[first : first + program.tile_size]
            filled = [hyperparams for _, hyperparams in part]
            filled += filled[:1] * (program.tile_size - len(filled))
            tiles.append(
                Tile(
                    program,
                    tuple(member.trial for member, _ in part),
                    jax.tree.map(lambda *leaves: np.stack(leaves), *filled),
                    replicate,
                    fold,
                    start,
                    until,
                    tuple(member.state for member, _ in part if member.state is not None),
                    np.array([member.first_loss for member, _ in part]),
                )
            )
    return tiles


def stacked(tile: Tile, num_rows: int) -> TrainState:
    """The states of a tile's members, bit for bit: NumPy arrays [T, ...].

    Args:
        tile: after its first epoch.
        num_rows: training rows.

    Returns:
        A state whose `step` counts updates as if the mini-batch had always had the size it has now: learning-rate
        decays count epochs in steps.
    """
    states = tile.states + tile.states[:1] * (tile.program.tile_size - len(tile.states))
    state: TrainState = jax.tree.map(lambda *leaves: np.stack(leaves), *states)
    steps = tile.start * -(-num_rows // tile.hyperparams.batch_size)
    return dataclasses.replace(state, step=np.asarray(steps, np.int32))


def taken(state: PyTree, place: int) -> PyTree:
    """What is one member's of a tile's arrays [T, ...], copied to the host, so that the tile can go."""
    # An array comes to the host once, whole, and stays there as long as it lives.
    return jax.tree.map(lambda leaf: np.array(np.asarray(leaf)[place]), state)
