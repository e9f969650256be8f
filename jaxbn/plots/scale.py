"""How the values of one hyperparameter lie along an axis: evenly on its domain's own scale, read in its own units."""

import dataclasses
import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from jaxbn.errors import UserError, unknown
from jaxbn.plots.style import SMALL
from jaxbn.plots.ticks import even_ticks, log_ticks, number_texts
from jaxbn.search import HYPERPARAMETERS, Choice, Domain, Float, Int, Space

if TYPE_CHECKING:
    import polars as pl
    from matplotlib.axes import Axes

FEW = 10
"""As many distinct whole numbers get a place each, with room to spread the points that share it."""

MARGIN = 0.04
"""Share of the range that an axis shows beyond either end."""

_GOLDEN = 0.6180339887498949


@dataclasses.dataclass(frozen=True)
class Scale:
    """The axis of one hyperparameter.

    Attributes:
        name: of the hyperparameter.
        kind: "linear", "log", "one_minus_log", or "choice", where a value is the place of its option, from 0.
        low: smallest value.
        high: largest value.
        levels: all the values there are, if they are few.
        options: the text of each option of a choice.
    """

    name: str
    kind: str
    low: float
    high: float
    levels: tuple[float, ...] = ()
    options: tuple[str, ...] = ()
    doc: str = ""

    @classmethod
    def of(cls, name: str, trials: "pl.DataFrame", space: Space | None = None) -> "Scale":
        """The axis that suits a hyperparameter of some trials.

        Args:
            name: the hyperparameter.
            trials: with a column of its values.
            space: what was searched; None takes the usual scale and the range of the values.

        Returns:
            The axis: it holds the whole domain and all values.

        Raises:
            UserError: there is no such hyperparameter, or no trial uses it.
        """
        table = HYPERPARAMETERS if space is None else HYPERPARAMETERS | space.table
        if name not in table or name not in trials.columns:
            raise unknown("hyperparameter", name, [name for name in table if name in trials.columns])
        searched = None if space is None else space.domains.get(name)
        domain, doc = searched or table[name].domain, table[name].doc
        column = trials[name].drop_nulls()
        if not len(column):
            raise UserError(f"no trial uses {name}, so there is nothing to draw: choose another hyperparameter")
        # Widths per layer, such as 64-32, are text; so is what a Choice held, whatever it chose between.
        if isinstance(searched, Choice) or not column.dtype.is_numeric():
            listed = [option_text(option) for option in domain.options] if isinstance(domain, Choice) else []
            seen = {option_text(value) for value in column.to_list()}
            options = tuple(option for option in listed if option in seen or searched)
            options += tuple(sorted(seen - set(options)))
            places = tuple(float(place) for place in range(len(options)))
            return cls(name, "choice", 0.0, places[-1], places, options, doc)
        values = np.unique(column.to_numpy().astype(float))
        low, high = float(values[0]), float(values[-1])
        if isinstance(searched, Float | Int):
            low, high = min(low, float(searched.low)), max(high, float(searched.high))
        kind = _kind(domain, low, high)
        levels: tuple[float, ...] = ()
        if (table[name].kind is int or isinstance(searched, Int)) and len(values) <= FEW:
            levels = _levels(searched, values)
        return cls(name, kind, low, high, levels, doc=doc)

    def numbers(self, trials: "pl.DataFrame") -> np.ndarray:
        """The values of its column as they are drawn, float64 [n]; NaN where it is not used."""
        column = trials[self.name]
        if self.kind != "choice":
            return np.array(column.cast(float).to_numpy(), dtype=float)
        place = {option: number for number, option in enumerate(self.options)}
        return np.array([np.nan if v is None else place[option_text(v)] for v in column.to_list()], dtype=float)

    def forward(self, values: Any) -> np.ndarray:
        """Where values lie on a scale on which its domain is even."""
        values = np.asarray(values, dtype=float)
        match self.kind:
            case "log":
                return np.log10(np.maximum(values, 1e-300))
            case "one_minus_log":
                return -np.log10(np.maximum(1 - values, 1e-15))
            case _:
                return values

    def inverse(self, places: Any) -> np.ndarray:
        """The values at some places: the inverse of `forward`."""
        places = np.asarray(places, dtype=float)
        match self.kind:
            case "log":
                return 10**places
            case "one_minus_log":
                return 1 - 10**-places
            case _:
                return places

    @property
    def step(self) -> float:
        """The distance between neighbouring levels where `forward` put them; 0 without levels."""
        if len(self.levels) < 2:
            return 1.0 if self.levels else 0.0
        return float(np.diff(self.forward(self.levels)).min())

    @property
    def ends(self) -> tuple[float, float]:
        """Where `forward` puts the ends of the axis, a margin included."""
        low, high = self.forward([self.low, self.high]).tolist()
        # Widths on a log scale have room of their own at their ends; options need half a step.
        margin = self.step / 2 or MARGIN * (high - low) or 0.5
        return low - margin, high + margin

    def share(self, values: Any) -> np.ndarray:
        """Where values lie between the ends of the axis, in [0, 1]."""
        low, high = self.ends
        return (self.forward(values) - low) / (high - low)

    def spread(self, values: np.ndarray, width: float = 0.5) -> np.ndarray:
        """Values of an axis with levels moved apart, evenly within a share of a step, so that none hides another."""
        if not self.levels:
            return values
        offset = np.arange(1, len(values) + 1) * _GOLDEN % 1 - 0.5
        return self.inverse(self.forward(values) + offset * width * self.step)

    def ticks(self) -> tuple[list[float], list[str]]:
        """Values to label, and what to write."""
        if self.kind == "choice":
            return list(self.levels), list(self.options)
        if self.levels:
            return list(self.levels), [f"{level:g}" for level in self.levels]
        match self.kind:
            case "log":
                values = log_ticks(self.low, self.high)
            case "one_minus_log":
                values = [1 - value for value in reversed(log_ticks(1 - self.high, 1 - self.low))]
            case _:
                values = even_ticks(self.low, self.high)
        return values, number_texts(values)

    def put_on(self, ax: "Axes", which: Literal["x", "y"], *, doc: bool = True, wrap: int = 44) -> None:
        """Make it an axis of a picture: scale, limits, ticks, label."""
        x = which == "x"
        set_scale, set_limits = (ax.set_xscale, ax.set_xlim) if x else (ax.set_yscale, ax.set_ylim)
        if self.kind == "one_minus_log":
            set_scale("function", functions=(self.forward, self.inverse))
        elif self.kind == "log":
            set_scale("log")
        set_limits(*self.inverse(self.ends).tolist())
        values, texts = self.ticks()
        axis = ax.xaxis if x else ax.yaxis
        axis.set_ticks(values, texts)
        axis.set_ticks([], minor=True)
        axis.set_tick_params(labelsize=SMALL)
        # Long names of options would run into each other side by side.
        if x and self.kind == "choice" and sum(map(len, texts)) > 24:
            axis.set_tick_params(rotation=30)
        (ax.set_xlabel if x else ax.set_ylabel)(self.label(doc=doc, wrap=wrap), fontsize=SMALL)

    def label(self, *, doc: bool = True, wrap: int = 44) -> str:
        """Its name, and below it what it is."""
        if not doc:
            return self.name
        return f"{self.name}\n{textwrap.fill(self.doc, wrap)}"


def plane(x: Scale, y: Scale, trials: "pl.DataFrame") -> tuple[np.ndarray, np.ndarray]:
    """Where trials lie in the plane of two hyperparameters, those that share a level moved apart.

    Returns:
        Two arrays, float64 [n]; NaN where a trial does not use both.
    """
    # Offsets that run the other way, or the points of one cell would lie on its diagonal.
    across, up = x.spread(x.numbers(trials), 0.6), y.spread(y.numbers(trials)[::-1], 0.6)[::-1]
    used = np.isfinite(across) & np.isfinite(up)
    return np.where(used, across, np.nan), np.where(used, up, np.nan)


def chosen(names: Sequence[str] | None, trials: "pl.DataFrame", space: Space | None = None) -> list[str]:
    """The hyperparameters that were named; None: all that were searched.

    Raises:
        UserError: there is none.
    """
    if names is None:
        return searched(trials, space)
    if not names:
        raise UserError("no hyperparameter was named: name at least one, or leave the names out")
    return list(names)


def searched(trials: "pl.DataFrame", space: Space | None = None) -> list[str]:
    """The hyperparameters that were searched: those with a domain; without any, those that differ among trials.

    Raises:
        UserError: there is none.
    """
    declared = () if space is None else tuple(space.domains)
    fewest = 1 if declared else 2
    names = declared or (HYPERPARAMETERS if space is None else space.table)
    used = [name for name in names if name in trials.columns and trials[name].drop_nulls().n_unique() >= fewest]
    if not used:
        raise UserError("all trials have the same hyperparameters, so there is nothing to compare: search at least one")
    return used


def option_text(value: Any) -> str:
    """An option as a label: the widths (64, 32) as 64-32, numbers without needless digits.

    Example:
        >>> option_text((64, 32)), option_text(0.10), option_text("adam")
        ('64-32', '0.1', 'adam')
    """
    if isinstance(value, tuple):
        return "-".join(map(str, value))
    return f"{value:g}" if isinstance(value, float) else str(value)


def _kind(domain: Domain | None, low: float, high: float) -> str:
    """The scale of a domain, where the values allow it: a listed configuration may hold a weight decay of 0."""
    scale = getattr(domain, "scale", "linear")
    if scale == "one_minus_log":
        return scale if high < 1 else "linear"
    return "log" if scale in ("log", "power_of_two") and low > 0 else "linear"


def _levels(domain: Domain | None, values: np.ndarray) -> tuple[float, ...]:
    """The few whole numbers that a domain holds, or else those that were tried."""
    if isinstance(domain, Int) and domain.num_values <= FEW:
        low, high = int(domain.low), int(domain.high)
        held = [1 << k for k in range(low.bit_length() - 1, high.bit_length())]
        inside = held if domain.scale == "power_of_two" else range(low, high + 1)
        values = np.union1d(values, list(inside))
    elif domain is not None:
        return ()
    return tuple(values.tolist())
