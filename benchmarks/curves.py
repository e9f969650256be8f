"""Curves of the best score so far: when they reach a target, as a table and as a picture."""

import math
import statistics
from dataclasses import dataclass

import numpy as np

Curve = list[tuple[float, float]]
"""Seconds and best score so far, where it rose."""

SHOWN = 3
"""How many times the error of the best search a picture shows."""


@dataclass(frozen=True)
class Run:
    """What one search found with one seed.

    Attributes:
        search: its name.
        seed: of the split and of the search.
        seconds: how long it ran.
        finished: it ended by itself.
        epochs: that it trained, over all configurations.
        curve: its best score so far.
    """

    search: str
    seed: int
    seconds: float
    finished: bool
    epochs: int
    curve: Curve


def thinned(scores: Curve) -> Curve:
    """The scores that are higher than all before them.

    Example:
        >>> thinned([(2.0, 0.5), (1.0, 0.4), (3.0, 0.5), (4.0, 0.9)])
        [(1.0, 0.4), (2.0, 0.5), (4.0, 0.9)]
    """
    best, kept = -math.inf, []
    for seconds, score in sorted(scores):
        if score > best:
            best = score
            kept.append((seconds, score))
    return kept


def seconds_to(curve: Curve, target: float) -> float:
    """When a curve reached a score; infinity where it did not.

    Scores are shares of a few hundred rows, in float32 here and in float64 there: they are equal to within 1e-6.
    """
    return next((seconds for seconds, score in curve if score >= target - 1e-6), math.inf)


def best_at(curve: Curve, times: np.ndarray) -> np.ndarray:
    """The best score so far at some moments, NaN before the first."""
    scores = np.array([math.nan, *(score for _, score in curve)])
    return scores[np.searchsorted([seconds for seconds, _ in curve], times, side="right")]


def reached_by(scores: np.ndarray, share: float) -> float:
    """The lowest of some scores that at most a share of them reach; the highest where ties leave none.

    Example:
        >>> reached_by(np.array([0.1, 0.9, 0.8, 0.9]), 0.5), reached_by(np.array([0.1, 0.9, 0.8, 0.9]), 0.25)
        (0.9, 0.9)
    """
    values = np.unique(scores)
    few = [value for value in values if np.mean(scores >= value) <= share]
    return float(few[0] if few else values[-1])


def summarise(runs: list[Run], target: float | None, limit: float) -> list[dict]:
    """A row for each search. A time that is not there is None: the target was not reached within the limit.

    The ratio is that of the medians over seeds, to that of the first search; `bound` says that it is at least, or at
    most, what is written, because one of the two medians is beyond the limit.
    """
    rows = []
    searches = list(dict.fromkeys(run.search for run in runs))
    medians = {}
    for search in searches:
        own = [run for run in runs if run.search == search]
        times = [math.inf if target is None else seconds_to(run.curve, target) for run in own]
        medians[search] = statistics.median(times)
        rows.append(
            {
                "search": search,
                "seconds": {str(run.seed): _or_none(t) for run, t in zip(own, times, strict=True)},
                "median": _or_none(medians[search]),
                "ratio": None,
                "bound": "",
                "best": statistics.median(run.curve[-1][1] if run.curve else 0.0 for run in own),
                "epochs": statistics.median(run.epochs for run in own),
                "ran": statistics.median(run.seconds for run in own),
            }
        )
    ours = medians[searches[0]] if searches else math.inf
    for row in rows:
        theirs = medians[row["search"]]
        if math.isfinite(ours) or math.isfinite(theirs):
            row["ratio"] = min(theirs, limit) / min(ours, limit)
            row["bound"] = "" if math.isfinite(ours + theirs) else ">" if math.isfinite(ours) else "<"
    return rows


def table(rows: list[dict], limit: float | None) -> str:
    """The rows as Markdown; without a limit, which is where there is no target, times that are not there are blank."""
    seeds = list(dict.fromkeys(seed for row in rows for seed in row["seconds"]))
    names = [
        "search",
        *(f"seed {seed}" for seed in seeds),
        "median s",
        f"x {rows[0]['search']}",
        "best",
        "epochs",
        "ran s",
    ]
    lines = ["| " + " | ".join(names) + " |", "|---" * len(names) + "|"]
    for row in rows:
        cells = [row["search"]]
        cells += ["" if seed not in row["seconds"] else _time(row["seconds"][seed], limit) for seed in seeds]
        cells.append(_time(row["median"], limit))
        cells.append("" if row["ratio"] is None else f"{row['bound']} {row['ratio']:.2f}".strip())
        cells += [f"{row['best']:.4f}", f"{row['epochs']:.0f}", f"{row['ran']:.1f}"]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _or_none(seconds: float) -> float | None:
    return seconds if math.isfinite(seconds) else None


def _time(seconds: float | None, limit: float | None) -> str:
    if seconds is not None:
        return f"{seconds:.1f}"
    return "" if limit is None else f"> {limit:g}"


def draw(runs: list[Run], target: float | None, limit: float, title: str, path: str) -> None:
    """The median over seeds of each search, and its range, into a file."""
    from matplotlib.ticker import LogLocator, NullFormatter

    from jaxbn.plots.style import BLACK, CYCLE, legend, pyplot, tidy

    figure, ax = pyplot().subplots(figsize=(7.0, 4.2), layout="constrained")
    highs = []
    for search, colour in zip(dict.fromkeys(run.search for run in runs), CYCLE, strict=False):
        curves = [run.curve for run in runs if run.search == search and run.curve]
        if not curves:
            continue
        # Before the last seed has a score there is no median.
        first = max(curve[0][0] for curve in curves)
        times = np.unique([first, limit, *(seconds for curve in curves for seconds, _ in curve if seconds > first)])
        scores = np.stack([best_at(curve, times) for curve in curves])
        middle = np.median(scores, axis=0)
        highs.append(middle[-1])
        ax.fill_between(times, scores.min(0), scores.max(0), step="post", color=colour, alpha=0.18, linewidth=0)
        ax.step(times, middle, where="post", color=colour, linewidth=1.8, label=search.replace("_", " "))
    if target is not None:
        ax.axhline(target, color=BLACK, linewidth=1, linestyle="--", label=f"target: {target:.4f}")
    ax.set_xscale("log")
    ax.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    ax.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
    ax.xaxis.set_minor_formatter(NullFormatter())
    ax.set_xlim(right=limit)
    # The first epochs of bad configurations would flatten all that is to be compared.
    ax.set_ylim(1 - SHOWN * (1 - max(highs, default=0.0)), 1.0)
    num_seeds = len({run.seed for run in runs})
    tidy(
        ax,
        x="seconds from the start of the process (log scale)",
        y="best validation accuracy so far",
        title=f"{title}: median and range over {num_seeds} seed{'s' * (num_seeds > 1)}",
    )
    legend(ax, above=True, loc="outside lower center")
    figure.savefig(path, dpi=160)
