"""The records of the table: what a framework does with running statistics, and how it lays its arrays out."""

import dataclasses
from collections.abc import Callable
from typing import Any, Literal

import numpy as np

from jaxbn.errors import UserError
from jaxbn.interop.conventions.averaging import Averaging
from jaxbn.interop.conventions.statistic import Correction, Statistic

Held = Literal["kernel", "bias", "gamma", "beta", "mean", "statistic", "seen", "mean_read", "statistic_read"]
"""What an array is: weights; the running sums as they are averaged; those sums divided as they are read."""


@dataclasses.dataclass(frozen=True)
class Form:
    """How an array of jaxbn (kernel [F, H], vector [H], scalar) is laid out elsewhere, and back."""

    pack: Callable[[np.ndarray], np.ndarray]
    unpack: Callable[[np.ndarray], np.ndarray]


@dataclasses.dataclass(frozen=True)
class Entry:
    """One array of one layer.

    Attributes:
        layer: how the layer is named: `{index}` counts such layers from 0 and `{number}` from 1, `{tail}` is "", "_1",
            "_2" ..., and `{dense}` and `{norm}` are places in a chain of dense, normalisation and activation layers.
        leaf: the name of the array in its layer.
        holds: what it is.
        form: how it is laid out.
    """

    layer: str
    leaf: str
    holds: Held
    form: Form

    def name(self, index: int) -> str:
        """The name of the array in the index-th layer, from 0."""
        tail = f"_{index}" if index else ""
        places = {"index": index, "number": index + 1, "tail": tail, "dense": 3 * index, "norm": 3 * index + 1}
        return self.layer.format(**places) + self.leaf


@dataclasses.dataclass(frozen=True)
class Layout:
    """The arrays of a dense network with batch normalisation, in the framework's own order.

    Attributes:
        hidden: arrays of a dense layer and its normalisation.
        output: arrays of the last layer.
        apart: arrays of the normalisation layers that come after all of those, as where weights and running
            statistics are two collections.
    """

    hidden: tuple[Entry, ...]
    output: tuple[Entry, ...]
    apart: tuple[Entry, ...] = ()

    @property
    def statistics(self) -> tuple[Entry, ...]:
        """The entries that hold running statistics."""
        return tuple(e for e in self.hidden + self.apart if e.holds not in ("kernel", "bias", "gamma", "beta"))


@dataclasses.dataclass(frozen=True)
class Convention:
    """What batch normalisation is in one framework. To change a default use `dataclasses.replace`.

    All of them normalise, in training, by the biased variance with epsilon inside the square root: that of the
    mini-batch, but where `trains_with` or `batch_of_one` say otherwise.

    Attributes:
        name: in this table.
        framework: which one, with the versions it holds for.
        layer: what it is called there.
        averaging: how a running statistic takes a mini-batch in.
        argument: the framework's own argument for that, with its default, as it is written there.
        correction: which variance is averaged.
        statistic: what is averaged and stored in place of that variance.
        epsilon: the default.
        epsilon_floor: the least epsilon in force; None where there is none.
        below_floor: what becomes of a smaller one.
        initial_mean: running sum of means before training.
        initial_statistic: running sum of statistics before training.
        trains_with: what normalises a mini-batch in training: its own moments, or the running ones after it went in.
        gamma: whether the scale is learned by default, or held at 1.
        batch_of_one: what a mini-batch of a single row does: its variance of 0 is averaged, an error is raised, or the
            row is copied to the output and the statistics are left alone.
        updated_in: the pass in which running statistics change.
        layout: names, order and form of the arrays.
        checked: against what the row has been checked.
        source: where it was read.
        notes: what else to know.
        doubts: what is not settled.
    """

    name: str
    framework: str
    layer: str
    averaging: Averaging
    argument: str
    correction: Correction
    statistic: Statistic
    epsilon: float
    layout: Layout
    source: str
    checked: str
    epsilon_floor: float | None = None
    below_floor: Literal["raised", "error"] = "raised"
    initial_mean: float = 0.0
    initial_statistic: float = 1.0
    trains_with: Literal["batch", "running"] = "batch"
    gamma: Literal["learned", "1"] = "learned"
    batch_of_one: Literal["variance 0", "error", "unchanged"] = "variance 0"
    updated_in: Literal["forward", "backward"] = "forward"
    notes: tuple[str, ...] = ()
    doubts: tuple[str, ...] = ()

    @property
    def effective_epsilon(self) -> float:
        """The epsilon in force.

        Raises:
            UserError: the framework refuses one so small.
        """
        floor = self.epsilon_floor
        # Theano compares what float32 makes of it, so that 1e-5 itself is refused.
        if floor is None or float(np.float32(self.epsilon)) >= floor:
            return self.epsilon
        if self.below_floor == "raised":
            return floor
        raise UserError(f"{self.framework} refuses an epsilon of {self.epsilon:g}: give more than {floor:g}")

    def to_json(self) -> dict[str, Any]:
        """The record with plain values."""
        kept = {f.name: getattr(self, f.name) for f in dataclasses.fields(self) if f.name != "layout"}
        return kept | {
            "averaging": {"kind": type(self.averaging).__name__, **dataclasses.asdict(self.averaging)},
            "correction": self.correction.__name__,
            "statistic": self.statistic.name,
            "arrays": [entry.name(0) for entry in (*self.layout.hidden, *self.layout.apart)],
        }
