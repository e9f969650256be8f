"""How arguments are written: their types, the rules for flags, and what a mistake in them is answered."""

import contextlib
import dataclasses
import difflib
import io
import re
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Annotated, Any, TypeVar

import tyro
from tyro.conf import DisallowNone, FlagCreatePairsOff, Positional, arg
from tyro.constructors import PrimitiveConstructorSpec

from jaxbn.errors import UserError

T = TypeVar("T")


def _seconds(word: str) -> float:
    """Seconds from words such as 90, 90s, 1.5m or 2h."""
    unit = {"s": 1, "m": 60, "h": 3600}.get(word[-1:])
    return float(word[:-1]) * unit if unit else float(word)


def _written(kind: Callable[[str], Any], metavar: str, expected: str) -> PrimitiveConstructorSpec:
    """A number on the command line, with an error that names what was expected."""

    def read(words: list[str]) -> Any:
        try:
            return kind(words[0])
        except ValueError:
            raise ValueError(f"{words[0]!r} is not {expected}") from None

    return PrimitiveConstructorSpec(
        nargs=1,
        metavar=metavar,
        instance_from_str=read,
        is_instance=lambda value: value is None or isinstance(value, int | float),
        str_from_instance=lambda value: [str(value)],
    )


_COUNT = _written(int, "N", "a whole number")
_FRACTION = _written(float, "X", "a number")
_TIME = _written(_seconds, "TIME", "a time such as 60s, 5m or 2h")
Count = Annotated[int, _COUNT]
MaybeCount = Annotated[int | None, _COUNT]
Fraction = Annotated[float, _FRACTION]
MaybeFraction = Annotated[float | None, _FRACTION]
MaybeSeconds = Annotated[float | None, _TIME]
Flag = Annotated[bool, arg(help_behavior_hint="")]
RunFolder = Annotated[Positional[str], arg(metavar="RUN", help_behavior_hint="")]
File = Annotated[Path | None, arg(metavar="FILE", help_behavior_hint="")]


def parse(kind: type[T], argv: Sequence[str], *, prog: str, description: str) -> T | None:
    """Arguments as a record.

    Args:
        kind: the frozen dataclass to be filled.
        argv: what was typed after the command.
        prog: the command, for its help.
        description: what its help begins with.

    Returns:
        The record; None where help was asked for and shown.

    Raises:
        UserError: the arguments are not those of the command.
    """
    known = ["--help", *(flag for field in dataclasses.fields(kind) for flag in _flags(field))]  # type: ignore[arg-type]
    for word in argv:
        option = word.partition("=")[0].replace("_", "-")
        if re.match(r"--?[a-z]", word) and option not in (*known, "-h"):
            near = difflib.get_close_matches(option, known, n=1)
            hint = f" (did you mean {near[0]}?)" if near else ""
            raise UserError(f"there is no option {word.partition('=')[0]}{hint}: see {prog} --help")
    said = io.StringIO()
    try:
        with contextlib.redirect_stderr(said):
            return tyro.cli(
                kind, prog=prog, description=description, args=argv, config=(FlagCreatePairsOff, DisallowNone)
            )
    except SystemExit as stop:
        if not stop.code:
            return None
    raise UserError(f"{_sentence(said.getvalue(), kind)}: see {prog} --help")


def as_flags(sentence: str, names: Iterable[str]) -> str:
    """A sentence about parameters, in the words of somebody who types them.

    Args:
        sentence: of an error of the library.
        names: of the parameters that are flags here. A name that is an everyday word is one where a value follows.

    Example:
        >>> said = "num_configs = 0 is none, nor is seed=-1: add overwrite=True"
        >>> as_flags(said, ["num_configs", "seed", "overwrite"])
        '--num-configs 0 is none, nor is --seed -1: add --overwrite'
    """
    long, short = (
        "|".join(name for name in names if ("_" in name) == underscored) or "(?!)" for underscored in (True, False)
    )
    name = rf"(?<![\w'\"./-])(?:({long})(?![\w'\"/])|({short})(?= ?=[^=]))( ?= ?True\b| ?= ?)?"

    def flag(found: re.Match[str]) -> str:
        value = "" if found[3] is None or found[3].endswith("True") else " "
        return f"--{(found[1] or found[2]).replace('_', '-')}{value}"

    return re.sub(name, flag, sentence)


def _flags(field: "dataclasses.Field[Any]") -> tuple[str, ...]:
    """How a field is written; a flag that is on by default can only be turned off."""
    name = field.name.replace("_", "-")
    return (f"--no-{name}",) if field.default is True else (f"--{name}",)


def _sentence(box: str, kind: type) -> str:
    """The first paragraph in a box drawn by tyro, whose lines are of ASCII or not, or better words for it."""
    words: list[str] = []
    for line in box.splitlines()[1:]:
        inside = line.strip("│ ")
        if inside.strip("─-╰╯"):
            words += inside.split()
        elif words:
            break
    said = " ".join(words).rstrip(".")
    if said.startswith("Missing from"):
        needed = [f.name.upper() for f in dataclasses.fields(kind) if f.default is dataclasses.MISSING]
        return f"{' and '.join(needed)} must be given"
    if said.startswith("Unrecognized options: "):
        return f"too much was given: {said.partition(': ')[2]}"
    return said.removeprefix("Error parsing ").replace("Expected 1 values", "Give one")
