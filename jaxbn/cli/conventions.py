"""`jaxbn conventions`: what other frameworks mean by the same words."""

import dataclasses
import json
from typing import TYPE_CHECKING, Annotated

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text
from tyro.conf import Positional, arg

from jaxbn.cli import board
from jaxbn.cli.options import Flag
from jaxbn.errors import UserError
from jaxbn.study.wording import number

if TYPE_CHECKING:
    from jaxbn.interop.conventions import Convention


@dataclasses.dataclass(frozen=True)
class Arguments:
    """The arguments; the docstring of each is its help."""

    name: Annotated[Positional[str], arg(metavar="[NAME]", help_behavior_hint="")] = ""
    """Show this row in full, such as torch; all rows if not given."""

    optimizers: Flag = False
    """Show what Adam, momentum and RMSProp mean instead."""

    initialisers: Flag = False
    """Show how a dense layer begins instead."""

    json: Flag = False
    """Print one JSON object on one line, and nothing else."""


def run(arguments: Arguments) -> int:
    """Print the table, or a row of it.

    Args:
        arguments: which, and how.

    Returns:
        Exit status 0.

    Raises:
        UserError: there is no row of that name, or several things are asked for at once.
    """
    from jaxbn.interop.conventions import ADAM, CONVENTIONS, INITIALISERS, MOMENTUM, RMSPROP, lookup

    if bool(arguments.name) + arguments.optimizers + arguments.initialisers > 1:
        raise UserError("more than one of NAME, --optimizers and --initialisers was given: give one of them")
    if arguments.optimizers:
        tables = {"Adam": ADAM, "momentum": MOMENTUM, "RMSProp": RMSPROP}
        return _records(tables, arguments.json)
    if arguments.initialisers:
        return _records({"dense layer": INITIALISERS}, arguments.json)
    rows = {arguments.name: lookup(arguments.name)} if arguments.name else CONVENTIONS
    if arguments.json:
        print(json.dumps({name: row.to_json() for name, row in rows.items()}))
        return 0
    console = board.stdout()
    if arguments.name:
        _in_full(console, rows[arguments.name])
    else:
        _overview(console, rows)
    return 0


def _overview(console: Console, rows: "dict[str, Convention]") -> None:
    table = _table("name", "running statistics", "variance", "eps", "stored", "batch of 1", "checked")
    for name, row in rows.items():
        table.add_row(
            Text(name + ("?" if row.doubts else ""), style="bold"),
            str(row.averaging),
            row.correction.__name__.replace("unbiased_less_epsilon", "by B-1-eps"),
            f"{row.effective_epsilon:.0e}".replace("e-0", "e-"),
            row.statistic.name,
            row.batch_of_one,
            _checked(row.checked),
        )
    console.print(table, Text())
    console.print(
        Text(
            "old: the weight kept on the old statistic. biased: divided by B rows; unbiased: by B - 1.\n"
            "live: trained beside the framework itself; numbers: only against numbers worked out by hand.\n"
            "?: with a doubt that is not settled. A row with names, notes and sources: jaxbn conventions NAME.\n"
            "Also: jaxbn conventions --optimizers, --initialisers"
        )
    )


def _in_full(console: Console, row: "Convention") -> None:
    floor = f", {row.below_floor} below {row.epsilon_floor:g}" if row.epsilon_floor else ""
    initial = float(row.statistic.store(row.initial_statistic))
    described = {
        "framework": row.framework,
        "layer": row.layer,
        "running statistics": f"{row.averaging} ({row.argument})",
        "variance averaged": row.correction.__name__.replace("_", " "),
        "stored": row.statistic.name,
        "epsilon": f"{row.epsilon:g}{floor}",
        "initial values": f"mean {row.initial_mean:g}, {row.statistic.name} {initial:g}",
        "training uses": f"moments of the {'mini-batch' if row.trains_with == 'batch' else 'running average'}",
        "updated in": f"the {row.updated_in} pass",
        "gamma": row.gamma,
        "batch of one": row.batch_of_one,
        "arrays": "\n".join(entry.name(0) for entry in (*row.layout.hidden, *row.layout.apart)),
        "notes": "\n".join(row.notes) or "none",
        "doubts": "\n".join(row.doubts) or "none",
        "checked": row.checked,
        "source": row.source,
    }
    table = Table.grid(padding=(0, 2))
    for name, text in described.items():
        table.add_row(Text(name, style="bold"), Text(text))
    console.print(table)


def _records(tables: dict[str, dict], as_json: bool) -> int:
    """Tables of records, a column for each field; doubts become a mark."""
    if as_json:
        plain = {kind: {name: dataclasses.asdict(row) for name, row in rows.items()} for kind, rows in tables.items()}
        print(json.dumps(plain))
        return 0
    console = board.stdout()
    for kind, rows in tables.items():
        fields = [
            f.name
            for f in dataclasses.fields(next(iter(rows.values())))
            if f.name not in ("source", "doubts", "checked")
        ]
        fields.append("checked")
        table = _table(*(field.replace("_", " ") for field in fields))
        for row in rows.values():
            cells = [number(value) for value in (getattr(row, field) for field in fields[:-1])]
            cells.append(_checked(row.checked))
            table.add_row(cells[0] + ("?" if getattr(row, "doubts", ()) else ""), *cells[1:])
        console.print(Text(kind, style="bold"), Text(), table, Text())
    return 0


def _checked(text: str) -> str:
    """How a row was checked, without versions: live, numbers or formula."""
    return text.partition(":")[0].removeprefix("worked ")


def _table(*columns: str) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0), show_edge=False)
    for column in columns:
        table.add_column(column)
    return table
