"""Results in words: numbers rounded for reading, the lines of a ranking, how sure it is."""

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jaxbn.study.results import Results
    from jaxbn.study.summary import Summary


def number(value: Any) -> str:
    """A value of a table of results, rounded for reading; what is near 1 keeps two digits of its distance.

    Example:
        >>> [number(value) for value in (0.00123456, 0.99987, 0.999, 64, "adam", None, 123456.0)]
        ['0.00123', '0.99987', '0.999', '64', 'adam', '', '123456']
    """
    if value is None:
        return ""
    if not isinstance(value, float):
        return str(value)
    if 0.9 < value < 1:
        return f"{value:.{1 - math.floor(math.log10(1 - value))}f}".rstrip("0")
    return f"{value:.3g}" if abs(value) < 1000 else f"{value:.0f}"


def score(value: float | None) -> str:
    """A score, rounded for reading.

    Example:
        >>> score(0.98333), score(3012.5312), score(None)
        ('0.9833', '3012.5', '')
    """
    if value is None:
        return ""
    return f"{value:.4f}" if abs(value) < 100 else f"{value:.5g}"


def scored(row: Mapping[str, Any], metric: str) -> str:
    """A score of a row of the leaderboard, with its standard error where there is one."""
    error = row.get(f"valid_{metric}_se")
    return score(row[f"valid_{metric}"]) + ("" if error is None else f" ± {score(error)}")


def ties(summary: "Summary") -> str:
    """How sure the ranking is, and what became of the other trials, in a sentence."""
    tied = summary.num_tied - 1
    others = {0: "No other is", 1: "1 other is"}.get(tied, f"{tied:,} others are")
    fates = [
        f"{count:,} {fate}"
        for count, fate in (
            (summary.num_diverged, "diverged"),
            (summary.num_pruned, "were pruned"),
            (summary.num_stopped, "were cut short"),
        )
        if count
    ]
    rest = f"; of {summary.num_trials:,} trials {' and '.join(fates)}" if fates else ""
    # Where the best has everything right there is no error to be within.
    near = f"within one standard error ({score(summary.standard_error)}) of" if summary.standard_error else "as good as"
    return f"{others} {near} the best{rest}."


def searched_in(results: "Results") -> list[str]:
    """The hyperparameters that a sweep searched, in the order of its space."""
    space = results.request.space or {}
    # What is held at a value is null in the rows that do not use it, and another in rows that a person gave.
    values = {name: results.trials[name].drop_nulls().n_unique() for name in space}
    return [name for name, table in space.items() if "value" not in table or values[name] > 1]


def ranked(rows: Sequence[Mapping[str, Any]], metric: str, columns: Sequence[str]) -> list[tuple[str, ...]]:
    """A ranking as cells: a header, then place, trial, scores, these hyperparameters, and epochs where they differ.

    Args:
        rows: of `Results.leaderboard`.
        metric: what ranks.
        columns: hyperparameters.
    """
    names = [metric] if metric == "loss" else [metric, "loss"]
    spread = ["epochs"] if len({row["epochs"] for row in rows}) > 1 else []
    lines = [("#", "trial", *names, *columns, *spread)]
    for place, row in enumerate(rows, 1):
        values = [scored(row, name) for name in names] + [number(row[name]) for name in [*columns, *spread]]
        lines.append(("-" if row["status"] == "diverged" else str(place), str(row["trial"]), *values))
    return lines
