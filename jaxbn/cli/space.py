"""`jaxbn space`: every hyperparameter, for reading or as TOML to be edited."""

import dataclasses
from typing import TYPE_CHECKING, Any

from rich import box
from rich.table import Table
from rich.text import Text

from jaxbn.cli import board
from jaxbn.cli.options import Flag
from jaxbn.study.wording import number

if TYPE_CHECKING:
    from jaxbn.search import Domain, Hyperparameter


@dataclasses.dataclass(frozen=True)
class Arguments:
    """The arguments; the docstring of each is its help."""

    toml: Flag = False
    """Print the default space as TOML, to be edited and given to jaxbn sweep --space."""


def run(arguments: Arguments) -> int:
    """Print the hyperparameters.

    Args:
        arguments: in which form.

    Returns:
        Exit status 0.
    """
    if arguments.toml:
        print(toml(), end="")
        return 0
    from jaxbn.search.config import DEFAULTS, HYPERPARAMETERS
    from jaxbn.search.hyperparameter import legal

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0), show_edge=False)
    for name in ("", "hyperparameter", "default", "legal", "range when searched"):
        table.add_column(name)
    for name, row in HYPERPARAMETERS.items():
        table.add_row(
            "*" if row.in_default_space else "",
            Text(name, style="bold" if row.in_default_space else ""),
            number(DEFAULTS[name]) or "none",
            Text(legal(row)),
            Text(_described(row)),
        )
    console = board.stdout()
    console.print(table, Text())
    console.print(
        Text(
            "* is searched by default. The others keep their defaults unless a space file names them: "
            "jaxbn space --toml prints one."
        )
    )
    return 0


def toml() -> str:
    """The default space as TOML; the other hyperparameters follow, commented out."""
    from jaxbn.search.config import HYPERPARAMETERS
    from jaxbn.search.hyperparameter import legal

    lines = [
        "# What jaxbn sweep searches by default. Edit it, then: jaxbn sweep DATA --space FILE",
        "# A hyperparameter takes: low, high and scale (linear, log; one_minus_log for averages;",
        "# power_of_two for whole numbers), or choices = [...], or value = ... for one that is held fixed.",
        '# What is not named keeps its default. With when = { optimizer = "adam" } a range holds only there.',
    ]
    for chosen, mark in ((True, ""), (False, "# ")):
        for name, row in HYPERPARAMETERS.items():
            if row.in_default_space != chosen or row.domain is None:
                continue
            lines += ["", f"# {row.doc}: {legal(row)}", f"{mark}[{name}]"]
            lines += [f"{mark}{key} = {_written(value)}" for key, value in _table(row.domain).items()]
    return "\n".join(lines) + "\n"


def _table(domain: "Domain") -> dict[str, Any]:
    from jaxbn.search import Choice

    if isinstance(domain, Choice):
        return {"choices": list(domain.options)}
    return {"low": domain.low, "high": domain.high, "scale": domain.scale}


def _written(value: Any) -> str:
    if isinstance(value, list):
        return f"[{', '.join(_written(item) for item in value)}]"
    return f'"{value}"' if isinstance(value, str) else repr(value)


def _described(row: "Hyperparameter") -> str:
    if row.domain is None:
        return ""
    table = _table(row.domain)
    if "choices" in table:
        return "any" if table["choices"] == list(row.options) else " | ".join(table["choices"])
    return f"{table['low']:g} to {table['high']:g}, {table['scale']}"
