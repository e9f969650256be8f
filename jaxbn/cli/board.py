"""The results of a sweep for reading: the ranking, what it is to be compared with, where the time went."""

import math
import shutil
import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rich import box
from rich.console import Console, Group, RenderableType
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from jaxbn.study.wording import ranked, score, searched_in, ties

if TYPE_CHECKING:
    from jaxbn.study.results import Results, Seconds, Summary

PIPE_WIDTH = 120
"""Columns of text where stdout is no terminal."""
FIRST_TO_GO = ("eps", "b2", "b1", "bn_epsilon", "bn_decay", "learning_rate_decay", "momentum")
"""What a narrow table leaves out first: what is hardly ever worth tuning (section 1 of the notes)."""


def stdout() -> Console:
    """Where results are printed."""
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else PIPE_WIDTH
    return Console(width=width, highlight=False, markup=False, emoji=False)


def differences(results: "Results", top: int) -> RenderableType:
    """How far the next ones are behind the winner, and whether that is more than chance."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0), show_edge=False)
    for name in ("trial", "behind by", "95 % interval", "p", ""):
        table.add_column(name, justify="left" if not name else "right")
    repeats = results.request.replicates * results.request.folds
    for one in results.compare(top):
        interval = f"{one.low:+.4f} to {one.high:+.4f}" if math.isfinite(one.low) else "no scatter"
        verdict = "behind" if one.real else "no difference shown"
        table.add_row(str(one.config * repeats), f"{one.mean:.4f}", interval, f"{one.p_value:.2g}", verdict)
    folds, replicates = results.request.folds, results.request.replicates
    pairs = f"{folds} folds" if folds > 1 else f"{replicates} replicates"
    return Group(Text(f"Behind the winner, paired over {pairs}", style="bold"), Text(), table)


def notes(given: Sequence[str]) -> RenderableType:
    """What was noticed, a line each."""
    table = Table.grid(padding=(0, 1))
    for note in given:
        table.add_row("note:", Text(note))
    return table


def ranking(results: "Results", top: int, width: int) -> RenderableType:
    """The highest-ranked trials, with as many of the searched hyperparameters as there is room for."""
    summary = results.summary
    metric = summary.metric
    shown = results.leaderboard(top)
    searched = searched_in(results)
    hidden: list[str] = []
    leaving = [name for name in FIRST_TO_GO if name in searched]
    leaving += [name for name in reversed(searched) if name not in leaving]
    while True:
        columns = [name for name in searched if name not in hidden]
        table = _ranking(shown.to_dicts(), metric, columns)
        if Measurement.get(Console(width=1000), Console(width=1000).options, table).maximum <= width or not leaving:
            break
        hidden.append(leaving.pop(0))
    repeats = results.request.replicates * results.request.folds
    noun, total = ("trials", summary.num_trials) if repeats == 1 else ("configs", summary.num_trials // repeats)
    count = f"{len(shown)} of {total:,} {noun}" if len(shown) < total else f"all {noun}"
    count += f", the mean of {repeats} trials each," if repeats > 1 else ""
    parts: list[RenderableType] = [
        Text(f"Ranking: {count} by validation {metric}", style="bold"),
        Text(),
        table,
        Text(),
        Text(ties(summary)),
    ]
    if hidden:
        names = ", ".join(name for name in searched if name in hidden)
        parts.append(Text(f"No room here for {names}: see trials.parquet, or a wider terminal.", style="dim"))
    return Group(*parts)


def _ranking(rows: list[dict[str, Any]], metric: str, columns: list[str]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0), show_edge=False)
    header, *body = ranked(rows, metric, columns)
    for name in header:
        text = name in columns and any(isinstance(row[name], str) for row in rows)
        table.add_column(name.replace("_", "\n"), justify="left" if text else "right", vertical="bottom")
    for row, cells in zip(rows, body, strict=True):
        table.add_row(*cells, style=None if row["status"] == "ok" else "dim")
    return table


def comparison(results: "Results") -> RenderableType:
    """The winner beside the baselines, on validation and test rows."""
    summary, request = results.summary, results.request
    names = list(summary.best.validation)
    names.sort(key=lambda name: (name != summary.metric, name == "loss"))
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0), show_edge=False)
    table.add_column("")
    for split in ("validation", "test"):
        for name in names:
            table.add_column(f"{split}\n{name}", justify="right")
    rows: list[tuple[str, Mapping[str, float], Mapping[str, float]]] = [
        (f"trial {summary.best.trial}", summary.best.validation, summary.test),
        *((baseline.name, baseline.validation, baseline.test) for baseline in reversed(summary.baselines)),
    ]
    for place, (name, validation, test) in enumerate(rows):
        values = [score(scores[metric]) for scores in (validation, test) for metric in names]
        table.add_row(name, *values, style="bold" if place == 0 else None)
    told = f"{summary.num_train:,} training, {summary.num_valid:,} validation and {summary.num_test:,} test rows"
    # Of a run that was extended an earlier winner may have been judged by them.
    told += "." if request.added or request.lengthened else "; the winner saw the test rows once."
    parts = [Text("The winner and the baselines", style="bold"), Text(), table, Text(), Text(told)]
    ahead = [one.name for one in summary.baselines if _better(one.validation, summary)]
    if ahead:
        told = f"On the validation rows the {' and the '.join(ahead)} did better."
        parts.append(Text(f"{told} A space with num_layers = 0 is of linear models."))
    return Group(*parts)


def _better(validation: "Mapping[str, float]", summary: "Summary") -> bool:
    """Whether a baseline is ahead of the winner by the metric that ranks."""
    ours, theirs = summary.best.validation[summary.metric], validation[summary.metric]
    return theirs > ours if summary.greater_is_better else theirs < ours


def duration(seconds: "Seconds") -> str:
    """Where the time went, in a sentence.

    Example:
        >>> from jaxbn.study.results import Seconds
        >>> duration(Seconds(3.0, 10.0, 15.0, 20.0))
        '20.0 s in all: import 3.0 s, compile 10.0 s, train 15.0 s (compiling and training overlap).'
    """
    return (
        f"{seconds.total:.1f} s in all: import {seconds.import_:.1f} s, compile {seconds.compile:.1f} s, "
        f"train {seconds.train:.1f} s (compiling and training overlap)."
    )


def scores(given: Mapping[str, Mapping[str, float]]) -> Table:
    """Scores by split and metric."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0), show_edge=False)
    table.add_column("")
    names = list(next(iter(given.values())))
    for name in [*names[1:], names[0]]:
        table.add_column(name, justify="right")
    for split, values in given.items():
        table.add_row(split, *(score(values[name]) for name in [*names[1:], names[0]]))
    return table
