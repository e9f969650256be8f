"""A configuration, split into what shapes the program and what is traced through it."""

import dataclasses
from typing import Any

import numpy as np

from jaxbn.nn.types import DECAY_KINDS, Architecture, Hyperparams, Spec
from jaxbn.search.config import Config

TRACED = ("dropout", "init_scale", "bn_decay", "bn_epsilon")
"""What an architecture reads of the table that is traced; numbers of units and layers shape its program."""

LADDER = tuple(sorted({size for power in range(24) for size in (1 << power, 3 << power >> 1)}))
"""Sizes that padding may have: powers of two and their 1.5-folds."""


@dataclasses.dataclass(frozen=True)
class Band:
    """A padded width of networks of one depth, and the padded batch sizes that it is trained with.

    Attributes:
        num_layers: hidden layers.
        width: padded width.
        batch_sizes: padded batch sizes, ascending; a larger batch size stays as it is.
    """

    num_layers: int
    width: int
    batch_sizes: tuple[int, ...]


@dataclasses.dataclass(frozen=True)
class Padding:
    """What unlike configurations share: the planner's choice for a space and a budget.

    Attributes:
        bands: by depth and ascending width; what fits in none stays as it is, so `()` pads nothing.
        optimizers: optimizers that share programs, of which a traced index chooses; `()` merges none.
        precision: of the matrix products of all of them; nobody searches it.
    """

    bands: tuple[Band, ...] = ()
    optimizers: tuple[str, ...] = ()
    precision: str = "float32"

    def pad(self, widths: tuple[int, ...], batch_size: int) -> tuple[tuple[int, ...], int]:
        """Padded widths and batch size of a configuration.

        Each layer takes the narrowest width that holds it; the batch size goes with the widest layer.

        Example:
            >>> padding = Padding((Band(2, 32, (64,)), Band(2, 128, (32, 256))))
            >>> padding.pad((100, 20), 16), padding.pad((20, 20), 16), padding.pad((20,), 16)
            (((128, 32), 32), ((32, 32), 64), ((20,), 16))
        """
        bands = [band for band in self.bands if band.num_layers == len(widths)]
        ladder = tuple(band.width for band in bands)
        widest = next((band for band in bands if band.width >= max(widths, default=0)), None)
        padded = tuple(pad(width, ladder) for width in widths)
        return padded, pad(batch_size, widest.batch_sizes) if widest else batch_size


def pad(size: int, ladder: tuple[int, ...]) -> int:
    """The smallest rung that holds a size, or the size itself where none does.

    Example:
        >>> pad(50, (32, 64)), pad(70, (32, 64))
        (64, 70)
    """
    return next((rung for rung in ladder if rung >= size), size)


def split(config: Config, *, num_epochs: int = 1, padding: Padding = Padding()) -> tuple[Spec, Hyperparams]:
    """What shapes the program, and the scalars that are traced through it.

    Args:
        config: one assignment of all hyperparameters.
        num_epochs: where a cosine decay ends.
        padding: chosen by the planner from the space and the budget, never from sampled values.

    Returns:
        A hashable spec, and hyperparams of NumPy scalars, ready to be stacked.

    Example:
        >>> from jaxbn.search.config import from_values
        >>> spec, h = split(from_values(hidden_units=50), padding=Padding((Band(2, 64, (64,)),)))
        >>> spec.widths, h.hidden_units.tolist()
        ((64, 64), [50, 50])
    """
    architecture, own = config.architecture, dict(config.own)
    hidden = config.num_layers > 0 and architecture is None
    # An architecture of one's own says itself what it does with its hyperparameters.
    dropout = config.dropout if hidden or architecture is not None else 0.0
    kind = "adam" if config.optimizer == "adamw" else config.optimizer
    kinds = padding.optimizers if kind in padding.optimizers else (kind,)
    widths, batch_size = padding.pad(config.widths, config.batch_size)
    spec = Spec(
        widths=widths,
        batch_size=batch_size,
        optimizers=kinds,
        activation=config.activation if hidden else "identity",
        normalization=config.normalization if hidden else "none",
        dropout=hidden and dropout > 0,
        label_smoothing=config.label_smoothing > 0,
        clip_norm=config.clip_norm is not None,
        precision=padding.precision,
        architecture=architecture,
        own=() if architecture is None else _shaping(config, architecture),
    )
    scalar = np.float64
    hyperparams = Hyperparams(
        optimizer=np.int32(kinds.index(kind)),
        learning_rate=scalar(config.learning_rate),
        momentum=scalar(config.momentum),
        b1=scalar(config.b1),
        b2=scalar(config.b2),
        eps=scalar(config.eps),
        learning_rate_decay=scalar(config.learning_rate_decay),
        decay_kind=np.int32(DECAY_KINDS.index(config.decay_kind)),
        warmup_epochs=scalar(config.warmup_epochs),
        num_epochs=np.int32(num_epochs),
        weight_decay=scalar(config.weight_decay),
        dropout=scalar(dropout),
        label_smoothing=scalar(config.label_smoothing),
        clip_norm=scalar(1.0 if config.clip_norm is None else config.clip_norm),
        init_scale=scalar(config.init_scale),
        bn_decay=scalar(config.bn_decay),
        bn_epsilon=scalar(config.bn_epsilon),
        hidden_units=np.asarray(config.widths, np.int32),
        batch_size=np.int32(config.batch_size),
        own=None if architecture is None else {name: scalar(own[name]) for name in architecture.traced},
    )
    return spec, hyperparams


def _shaping(config: Config, architecture: Architecture) -> tuple[tuple[str, Any], ...]:
    """The values that shape a network: of its own hyperparameters, and of those of the table that it reads so."""
    names = [name for name, _ in architecture.defaults if name not in (*TRACED, *architecture.traced)]
    return tuple((name, getattr(config, name)) for name in names)
