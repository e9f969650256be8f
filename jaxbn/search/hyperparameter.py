"""What the table says of one hyperparameter."""

import dataclasses
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from jaxbn.errors import UserError, unknown
from jaxbn.search.domains import Domain

if TYPE_CHECKING:
    from jaxbn.search.config import Config


LEAST, MOST = 2.0**-126, 1 - 2.0**-24
"""The smallest number above 0, and the largest below 1, that float32 keeps apart from them on all devices."""
LARGEST = (2 - 2.0**-23) * 2.0**127
"""Of float32."""


@dataclasses.dataclass(frozen=True)
class Hyperparameter:
    """A row of the table.

    Attributes:
        kind: float, int or str.
        lives: "traced" (may differ between the members of a program) or "spec" (shapes the program).
        doc: what it is.
        domain: where it is searched when nobody says otherwise; None: nowhere.
        in_default_space: whether the default space searches it.
        low: smallest legal value.
        high: largest legal value.
        open_low: low itself is not legal.
        open_high: high itself is not legal.
        options: legal values of a string.
        optional: None is legal, and means off.
        used: whether a configuration reads it at all.
        fixed_from_start: a change in the middle of training would make a lie of the state: of weights that were drawn
            with it, or of averages that were debiased with it.
        of_network: it says something of the MLP itself; an architecture of one's own may read it or not.
    """

    kind: type
    lives: str
    doc: str
    domain: Domain | None = None
    in_default_space: bool = False
    low: float = 0.0
    high: float = float("inf")
    open_low: bool = False
    open_high: bool = False
    options: tuple[str, ...] = ()
    optional: bool = False
    used: Callable[["Config"], bool] = lambda config: True
    fixed_from_start: bool = False
    of_network: bool = False

    @property
    def editable(self) -> bool:
        """Whether it may change in the middle of training."""
        return self.lives == "traced" and not self.fixed_from_start


def legal(row: Hyperparameter) -> str:
    """The values that a hyperparameter can have, in words.

    Example:
        >>> from jaxbn.search import HYPERPARAMETERS
        >>> legal(HYPERPARAMETERS["momentum"]), legal(HYPERPARAMETERS["batch_size"])
        ('a number in [0, 1)', 'a whole number in [1, 1e9]')
    """
    if row.kind is str:
        return " | ".join(row.options)
    noun = "a whole number" if row.kind is int else "a number"
    if row.high == float("inf"):
        return f"{noun} {'>' if row.open_low else '>='} {row.low:g}"
    high = f"{row.high:g}".replace("e+0", "e")
    return f"{noun} in {'(' if row.open_low else '['}{row.low:g}, {high}{')' if row.open_high else ']'}"


def check_value(name: str, value: Any, row: Hyperparameter) -> None:
    """Refuse a value that a hyperparameter cannot have.

    Args:
        name: what it is called.
        value: what was given.
        row: what the table says of it.

    Raises:
        UserError: with the values it can have.
    """
    if value is None and row.optional:
        return
    if row.kind is str:
        if value not in row.options:
            raise unknown(f"value of {name}", value, row.options)
        return
    numbers: tuple[Any, ...] = value if name == "hidden_units" and isinstance(value, tuple) else (value,)
    for number in numbers:
        whole = isinstance(number, int) and not isinstance(number, bool)
        if not (whole or (row.kind is float and isinstance(number, float))):
            expected = "a whole number" if row.kind is int else "a number"
            raise UserError(f"{name} = {number!r} is not {expected}: expected {legal(row)}")
        above = row.low < number if row.open_low else row.low <= number
        # A whole number may be beyond what a float holds.
        below = number < row.high if row.open_high else number <= row.high and number <= sys.float_info.max
        if not (above and below):
            raise UserError(f"{name} = {number!r} is out of range: expected {legal(row)}")
        if number > LARGEST:
            raise UserError(f"{name} = {number!r} is infinite in the 32 bits of training: expected {legal(row)}")
        if (row.open_low and number < LEAST) or (row.open_high and number > MOST * row.high):
            raise UserError(f"{name} = {number!r} is {number:.0f} in the 32 bits of training: expected {legal(row)}")
