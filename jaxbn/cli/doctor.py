"""`jaxbn doctor`: does the installed JAX compute the right numbers?"""

import contextlib
import dataclasses
import json
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

from rich.table import Table
from rich.text import Text

from jaxbn.cli import board
from jaxbn.cli.options import Flag
from jaxbn.errors import UserError

if TYPE_CHECKING:
    from jaxbn.doctor import Report


@dataclasses.dataclass(frozen=True)
class Arguments:
    """The arguments; the docstring of each is its help."""

    json: Flag = False
    """Print one JSON object on one line, and nothing else."""


def run(arguments: Arguments) -> int:
    """Print the diagnosis.

    Args:
        arguments: how.

    Returns:
        Exit status: 0 where all is well, 1 where something is wrong.
    """
    from jaxbn.doctor import diagnose

    report = diagnose()
    if arguments.json:
        print(json.dumps(json.loads(report.to_json())))
        return 0 if report.ok else 1
    console = board.stdout()
    console.print(Text(", ".join(f"{name} {version}" for name, version in report.versions.items())))
    console.print(Text(f"{report.backend}: {', '.join(report.devices)}\n"))
    table = Table.grid(padding=(0, 2))
    for check in report.checks:
        mark = Text("ok", style="green") if check.ok else Text("WRONG", style="bold red")
        table.add_row(mark, Text(check.name), Text(check.detail, style="dim" if check.ok else ""))
    console.print(table, Text())
    if report.known_bad:
        console.print(Text(report.known_bad, style="bold red"))
    if report.ok:
        console.print(Text("JAX computes the right numbers."))
    else:
        console.print(Text("Do not trust this JAX: pip install 'jax>=0.10.1,!=0.10.2,!=0.11.0,!=0.11.1'"))
    return 0 if report.ok else 1


def examine(*, strict: bool) -> None:
    """Warn of a JAX that computes wrong numbers, before they are computed with it.

    A machine and version are examined once, and remembered where compiled programs are kept. Where nothing is kept, the
    release is looked up and nothing is tried.

    Args:
        strict: refuse instead.

    Raises:
        UserError: numbers are wrong, and that was asked for.
    """
    from jaxbn.engine.cache import kept_in

    wrong = _wrong(kept_in())
    if not wrong:
        return
    if strict:
        raise UserError(f"this JAX computes wrong numbers ({wrong}): install another release, or leave --strict out")
    warnings.warn(f"DO NOT TRUST THIS SWEEP: {wrong}; jaxbn doctor says more", stacklevel=2)


def _wrong(folder: Path | None) -> str:
    """What is wrong with this JAX, in words; empty where nothing is."""
    import jax

    from jaxbn.doctor import diagnose, known_bad, signature

    if folder is None:
        return known_bad(signature()["jaxlib"], jax.default_backend()) or ""
    path = folder / f"doctor-{jax.default_backend()}.json"
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
        found = json.loads(path.read_text())
        if found["signature"] == signature():
            return str(found["wrong"])
    wrong = _in_words(diagnose())
    with contextlib.suppress(OSError):
        path.write_text(json.dumps({"signature": signature(), "wrong": wrong}) + "\n")
    return wrong


def _in_words(report: "Report") -> str:
    failing = [f"{check.name}: {check.detail}" for check in report.checks if not check.ok]
    return "; ".join([*([report.known_bad] if report.known_bad else []), *failing])
