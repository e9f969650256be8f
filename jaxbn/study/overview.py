"""The results of a sweep at first sight: in a line, and in a notebook."""

from pathlib import Path
from typing import TYPE_CHECKING

from jaxbn import markup
from jaxbn.study.wording import ranked, score, searched_in, ties

if TYPE_CHECKING:
    from jaxbn.study.results import Results

TOP = 10


def as_text(results: "Results") -> str:
    """The sweep in a line: how much of what, and the winner."""
    return f"Results({_counts(results)}; {_winner(results)})"


def as_html(results: "Results") -> str:
    """The sweep as a notebook shows it: what a line says, how sure the ranking is, and its first as a table."""
    metric = results.summary.metric
    table = ranked(results.leaderboard(TOP).to_dicts(), metric, searched_in(results))
    lines = [f"{_counts(results)}, ranked by validation {metric}", _winner(results), ties(results.summary)]
    return "".join([*map(markup.line, lines), markup.table(table)])


def _counts(results: "Results") -> str:
    request, summary = results.request, results.summary
    # A name is enough: where it lies concerns nobody to whom a notebook is given.
    of = f" of {Path(request.source).name}" if request.source else ""
    trials = f"{summary.num_trials:,} trial{'s' * (summary.num_trials != 1)}"
    return f"{trials}{of}, {summary.num_epochs:,} epoch{'s' * (summary.num_epochs != 1)} in all"


def _winner(results: "Results") -> str:
    summary = results.summary
    metric, error = summary.metric, summary.standard_error
    found = score(summary.best.validation[metric]) + (f" ± {score(error)}" if error else "")
    return f"best is trial {summary.best.trial}: {metric} {found} in validation, {score(summary.test[metric])} in test"
