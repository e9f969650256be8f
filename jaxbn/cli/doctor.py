"""`jaxbn doctor`: does the installed JAX compute the right numbers?"""

import dataclasses
import json

from rich.table import Table
from rich.text import Text

from jaxbn.cli import board
from jaxbn.cli.options import Flag


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
