"""`jaxbn leaderboard`: the ranking of a finished sweep."""

import dataclasses
import json

from rich.text import Text

from jaxbn.cli import board
from jaxbn.cli.options import Count, Flag, RunFolder
from jaxbn.errors import UserError


@dataclasses.dataclass(frozen=True)
class Arguments:
    """The arguments; the docstring of each is its help."""

    run: RunFolder
    """The folder that a sweep wrote."""
    top: Count = 10
    """How many trials to show."""
    json: Flag = False
    """Print one JSON object on one line, and nothing else."""


def run(arguments: Arguments) -> int:
    """Print the ranking.

    Args:
        arguments: whose, and how much of it.

    Returns:
        Exit status 0.

    Raises:
        UserError: there is no such run, or it is broken.
    """
    if arguments.top < 1:
        raise UserError(f"--top {arguments.top} shows nothing: give a whole number of at least 1")
    from jaxbn.study.results import Results

    results = Results.load(arguments.run)
    if arguments.json:
        rows = results.leaderboard(arguments.top).to_dicts()
        print(json.dumps({**results.summary.to_json(), "run": arguments.run, "leaderboard": rows}, allow_nan=False))
        return 0
    console = board.stdout()
    console.print(board.ranking(results, arguments.top, console.width), Text())
    if results.request.replicates * results.request.folds > 1:
        console.print(board.differences(results, arguments.top), Text())
    console.print(board.comparison(results))
    return 0
