"""The range and scale of one hyperparameter.

A domain maps the unit interval onto its values: `at(u)` is the value below which a share u of the draws fall. Samplers
therefore know only unit cubes, and a uniform u is a draw on the domain's own scale (section 2 of the notes).
"""

import dataclasses
import math
from collections.abc import Mapping
from typing import Any, ClassVar

from jaxbn.errors import UserError, unknown

Condition = tuple[tuple[str, tuple[Any, ...]], ...]


def _condition(when: Mapping[str, Any] | Condition | None) -> Condition:
    """`{name: value or list of values}` as a hashable record."""
    if not when:
        return ()
    if isinstance(when, tuple) and all(isinstance(part, tuple) and len(part) == 2 for part in when):
        return when
    if not isinstance(when, Mapping):
        raise UserError(f"when = {when!r} is no dict: write when={{'optimizer': 'adam'}}")
    allowed = {name: tuple(v) if isinstance(v, list | tuple) else (v,) for name, v in when.items()}
    return tuple((name, tuple(tuple(v) if isinstance(v, list) else v for v in some)) for name, some in allowed.items())


def plain(value: Any) -> Any:
    """A NumPy scalar as the Python number that it holds, also within a tuple; anything else as it is."""
    if isinstance(value, tuple):
        return tuple(map(plain, value))
    return value.item() if hasattr(value, "item") and not getattr(value, "shape", ()) else value


def _written(domain: "Domain", *values: Any) -> str:
    """A domain as it is written in Python, without what it would be anyway."""
    inside = [repr(value) for value in values]
    if getattr(domain, "scale", "linear") != "linear":
        inside.append(f"scale={domain.scale!r}")  # type: ignore[union-attr]
    if domain.when:
        when = {name: allowed[0] if len(allowed) == 1 else allowed for name, allowed in domain.when}  # type: ignore[misc]
        inside.append(f"when={when!r}")
    return f"{type(domain).__name__}({', '.join(inside)})"


def _check(domain: "Float | Int") -> None:
    described = f"{type(domain).__name__}({domain.low!r}, {domain.high!r}, scale={domain.scale!r})"
    if domain.scale not in domain.SCALES:
        raise unknown("scale", domain.scale, domain.SCALES)
    for bound in (domain.low, domain.high):
        if isinstance(bound, bool) or not isinstance(bound, (int, float)) or not math.isfinite(bound):
            raise UserError(f"{described} has a bound that is no finite number: give two numbers, low < high")
        if isinstance(domain, Int) and bound != int(bound):
            raise UserError(f"{described} has a bound that is no whole number: use Float, or whole bounds")
    if domain.low >= domain.high:
        raise UserError(f"{described} is empty: low must be below high (a fixed value needs no domain)")
    if domain.scale == "log" and domain.low <= 0:
        raise UserError(f"{described} reaches down to {domain.low}: a log scale needs low > 0")
    if domain.scale == "one_minus_log" and not 0 < domain.low < domain.high < 1:
        raise UserError(f"{described} leaves (0, 1): one_minus_log needs 0 < low < high < 1")
    if domain.scale == "power_of_two":
        for bound in (int(domain.low), int(domain.high)):
            if bound < 1 or bound & (bound - 1):
                raise UserError(f"{described} has the bound {bound}: power_of_two needs 1, 2, 4, 8, ...")


@dataclasses.dataclass(frozen=True)
class Float:
    """A real number in [low, high].

    Attributes:
        low: smallest value.
        high: largest value.
        scale: "linear"; "log", uniform in the exponent (learning rates); or "one_minus_log", 1 - value uniform in the
            exponent (averages such as momentum, where 0.9 averages 10 values and 0.999 a thousand).
        when: the domain holds only where other hyperparameters have these values, else the default is taken.

    Raises:
        UserError: the bounds do not suit the scale.

    Example:
        >>> Float(1e-4, 1, scale="log").at(0.5), round(Float(0.9, 0.999, scale="one_minus_log").at(0.5), 6)
        (0.01, 0.99)
    """

    low: float
    high: float
    scale: str = "linear"
    when: Condition | Mapping[str, Any] | None = None

    SCALES: ClassVar[tuple[str, ...]] = ("linear", "log", "one_minus_log")

    def __post_init__(self) -> None:
        object.__setattr__(self, "when", _condition(self.when))
        object.__setattr__(self, "low", plain(self.low))
        object.__setattr__(self, "high", plain(self.high))
        _check(self)

    def __repr__(self) -> str:
        return _written(self, self.low, self.high)

    def at(self, u: float) -> float:
        """The value at the share u, in [0, 1], of the domain."""
        match self.scale:
            case "linear":
                value = self.low + u * (self.high - self.low)
            case "log":
                value = 10 ** (math.log10(self.low) + u * (math.log10(self.high) - math.log10(self.low)))
            case _:
                low, high = math.log10(1 - self.low), math.log10(1 - self.high)
                value = 1 - 10 ** (low + u * (high - low))
        return float(min(max(value, self.low), self.high))

    def share(self, value: float) -> float:
        """The share of the domain below a value, in [0, 1]: the inverse of `at`. A value beyond lies at the end.

        Example:
            >>> Float(1e-4, 1, scale="log").share(0.01)
            0.5
        """
        value = min(max(value, self.low), self.high)
        match self.scale:
            case "linear":
                u = (value - self.low) / (self.high - self.low)
            case "log":
                u = math.log(value / self.low) / math.log(self.high / self.low)
            case _:
                u = math.log((1 - value) / (1 - self.low)) / math.log((1 - self.high) / (1 - self.low))
        return min(max(u, 0.0), 1.0)

    @property
    def num_values(self) -> None:
        """Uncountable."""
        return None


@dataclasses.dataclass(frozen=True)
class Int:
    """A whole number in [low, high], both included.

    Attributes:
        low: smallest value.
        high: largest value.
        scale: "linear"; "log", each value as likely as its share of the logarithmic range; or "power_of_two", only
            powers of two, each as likely.
        when: see `Float`.

    Raises:
        UserError: the bounds do not suit the scale.

    Example:
        >>> [Int(32, 256, scale="power_of_two").at(u) for u in (0.0, 0.3, 0.6, 1.0)]
        [32, 64, 128, 256]
    """

    low: int
    high: int
    scale: str = "linear"
    when: Condition | Mapping[str, Any] | None = None

    SCALES: ClassVar[tuple[str, ...]] = ("linear", "log", "power_of_two")

    def __post_init__(self) -> None:
        object.__setattr__(self, "when", _condition(self.when))
        object.__setattr__(self, "low", plain(self.low))
        object.__setattr__(self, "high", plain(self.high))
        _check(self)

    def __repr__(self) -> str:
        return _written(self, self.low, self.high)

    def at(self, u: float) -> int:
        """The value at the share u, in [0, 1], of the domain."""
        low, high = int(self.low), int(self.high)
        match self.scale:
            case "linear":
                value = math.floor(low + u * (high + 1 - low))
            case "log":
                value = math.floor(math.exp(math.log(low) + u * (math.log(high + 1) - math.log(low))))
            case _:
                first = low.bit_length() - 1
                value = 1 << math.floor(first + u * (high.bit_length() - first))
        return min(max(value, low), high)

    def share(self, value: int) -> float:
        """The middle of the shares that `at` maps to a value, in (0, 1).

        Example:
            >>> Int(1, 4).share(1), Int(32, 256, scale="power_of_two").share(256)
            (0.125, 0.875)
        """
        low, high = int(self.low), int(self.high)
        value = min(max(value, low), high)
        match self.scale:
            case "linear":
                u = (value + 0.5 - low) / (high + 1 - low)
            case "log":
                u = (math.log(value * (value + 1)) / 2 - math.log(low)) / (math.log(high + 1) - math.log(low))
            case _:
                u = (math.log2(value) + 0.5 - math.log2(low)) / self.num_values
        return min(max(u, 0.0), 1.0)

    @property
    def num_values(self) -> int:
        """How many values it holds."""
        if self.scale == "power_of_two":
            return int(self.high).bit_length() - int(self.low).bit_length() + 1
        return int(self.high) - int(self.low) + 1


@dataclasses.dataclass(frozen=True, init=False)
class Choice:
    """One of several values, each as likely.

    Example:
        >>> Choice("momentum", "adam").at(0.5)
        'adam'
    """

    options: tuple[Any, ...]
    when: Condition

    def __init__(self, *options: Any, when: Mapping[str, Any] | Condition | None = None) -> None:
        if not options:
            raise UserError("Choice() has no options: name at least one")
        frozen = tuple(plain(tuple(option) if isinstance(option, list) else option) for option in options)
        object.__setattr__(self, "options", frozen)
        object.__setattr__(self, "when", _condition(when))

    def __repr__(self) -> str:
        return _written(self, *self.options)

    def at(self, u: float) -> Any:
        """The option at the share u, in [0, 1], of the domain."""
        return self.options[min(int(u * len(self.options)), len(self.options) - 1)]

    def share(self, value: Any) -> float:
        """The middle of the shares that `at` maps to an option.

        Example:
            >>> Choice("momentum", "adam").share("adam")
            0.75
        """
        return (self.options.index(value) + 0.5) / len(self.options)

    @property
    def num_values(self) -> int:
        """How many options there are."""
        return len(self.options)


Domain = Float | Int | Choice
