"""`jaxbn report`: a finished sweep as one HTML file."""

import dataclasses
from pathlib import Path
from typing import Annotated

from tyro.conf import Positional, arg

from jaxbn.cli.options import Flag
from jaxbn.errors import UserError


@dataclasses.dataclass(frozen=True)
class Arguments:
    """The arguments; the docstring of each is its help."""

    run: Annotated[Positional[Path], arg(metavar="RUN", help_behavior_hint="")]
    """The folder that a sweep wrote."""
    out: Annotated[Path | None, arg(metavar="PATH", help_behavior_hint="(default: RUN/report.html)")] = None
    """Where to write it: a file in .html."""
    overwrite: Flag = False
    """Replace a file that is there."""


def run(arguments: Arguments) -> int:
    """Write the report, and say where it is.

    Args:
        arguments: of which run, and where to.

    Returns:
        Exit status 0.

    Raises:
        UserError: there is no such run, it is not finished, or the file exists.
    """
    out = arguments.out or arguments.run / "report.html"
    if out.suffix.lower() not in (".html", ".htm"):
        raise UserError(f"--out {str(out)!r} would not be opened by a browser: give a name in .html")
    from jaxbn.report.page import check_free, write
    from jaxbn.study.results import Results

    check_free(out, overwrite=arguments.overwrite)
    write(Results.load(arguments.run), out, name=arguments.run.resolve().name, overwrite=arguments.overwrite)
    print(f"The report is in {out}: {out.stat().st_size / 1e6:.1f} MB, to be opened in any browser.")
    return 0
