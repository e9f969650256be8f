"""Whether a record that was read from a file is what its declaration says."""

import dataclasses
import types
import typing
from typing import Any


def misfit(record: Any) -> str | None:
    """The first field of a dataclass that does not hold what its annotation says.

    Args:
        record: an instance, whose annotations are made of plain types, containers of them and dataclasses.

    Returns:
        Its name; None where all is well.

    Example:
        >>> @dataclasses.dataclass
        ... class Point:
        ...     x: float
        ...     names: tuple[str, ...]
        >>> misfit(Point(1, ("a",))), misfit(Point(1, ("a", 2)))
        (None, 'names')
    """
    hints = typing.get_type_hints(type(record))
    return next((name for name, hint in hints.items() if not _fits(getattr(record, name), hint)), None)


def _fits(value: Any, hint: Any) -> bool:
    origin, inside = typing.get_origin(hint), typing.get_args(hint)
    if hint is Any:
        return True
    if origin in (types.UnionType, typing.Union):
        return any(_fits(value, one) for one in inside)
    if origin is dict:
        return isinstance(value, dict) and all(_fits(one, inside[1]) for one in value.values())
    if origin in (list, tuple):
        return isinstance(value, list | tuple) and all(_fits(one, inside[0]) for one in value)
    if hint in (int, float):
        # JSON writes 1.0 as either, and true is neither.
        return isinstance(value, (int, hint)) and not isinstance(value, bool)
    return isinstance(value, hint) and (not dataclasses.is_dataclass(hint) or misfit(value) is None)
