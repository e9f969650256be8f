"""Successive halving: who trains on from rung to rung, and by which scores that was settled."""

from typing import TYPE_CHECKING, Any

import numpy as np

from jaxbn.plots.scores import Scores
from jaxbn.plots.style import BLACK, BLUE, CYCLE, VERMILION, counted, curves_of, legend, many, need, tidy

if TYPE_CHECKING:
    import polars as pl
    from matplotlib.axes import Axes

_GOLDEN = 0.6180339887498949


def rungs(
    trials: "pl.DataFrame",
    curves: "pl.DataFrame",
    *,
    metric: str,
    greater_is_better: bool,
    axes: Any = None,
) -> "np.ndarray":
    """Draw how many trials were in training in each epoch, and the scores at each rung.

    Args:
        trials: a row per trial, with the column `bracket`; the brackets of Hyperband are stacked.
        curves: a row per trial and epoch; those of other trials are left out.
        metric: the score, such as "accuracy".
        greater_is_better: its direction.
        axes: two axes; None makes a figure.

    Returns:
        The axes, [2]: survivors above, scores at the rungs below. There, a cross is a trial that was pruned at the
        rung, a dot one that was not, and a bar the median.

    Raises:
        UserError: there is no such metric, or nothing to draw.
    """
    need(trials, "trial", "status", "epochs", "bracket", kind="trials")
    curves = curves_of(trials, curves)
    scores = Scores.of(curves, metric, greater_is_better, kind="epochs")
    last = int(curves["epoch"].to_numpy().max())
    rungs_of = _rungs(trials, last)
    marks = sorted(set().union(*rungs_of.values()))
    # Rungs grow by a factor; those of a linear axis would crowd at its beginning.
    log = len(marks) > 2
    left, right = (1 / 1.3, last * 1.3) if log else (0.5 if last == 1 else 1, last + max(0.05 * last, 0.5))

    survivors, strip = drawn = many(axes, 2, columns=1, panel=(6, 2.2))
    from matplotlib.ticker import MaxNLocator, NullLocator

    _survivors(survivors, trials, last, left)
    _strip(strip, trials, curves, scores, rungs_of, log=log)
    for ax in drawn:
        if log:
            ax.set_xscale("log")
            ax.set_xticks(marks, [str(mark) for mark in marks])
            ax.xaxis.set_minor_locator(NullLocator())
        else:
            ax.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
        ax.set_xlim(left, right)
    strip.set_ylim(*scores.limits)
    tidy(survivors, y="trials in training", title=_title(marks))
    tidy(strip, x="epochs trained", y=scores.label)
    for ax in drawn:
        legend(ax, loc="lower right", bbox_to_anchor=(1, 1), ncols=4, borderaxespad=0.1)
    return drawn


def _title(marks: list[int]) -> str:
    *before, last = marks
    if not before:
        return f"nothing was pruned in {counted(last, 'epoch')}"
    return f"rungs after {', '.join(map(str, before))} and {last} epochs"


def _rungs(trials: "pl.DataFrame", last: int) -> dict[int, set[int]]:
    """The rungs of each bracket: where it pruned a trial, and its end."""
    brackets, epochs = trials["bracket"].to_numpy(), trials["epochs"].to_numpy()
    pruned = (trials["status"] == "pruned").to_numpy()
    return {
        bracket: {*epochs[pruned & (brackets == bracket)].tolist(), last} for bracket in np.unique(brackets).tolist()
    }


def _survivors(ax: "Axes", trials: "pl.DataFrame", last: int, left: float) -> None:
    """Steps that go down after each rung, a colour per bracket."""
    epochs, brackets = trials["epochs"].to_numpy(), trials["bracket"].to_numpy()
    steps = np.arange(1, last + 1)
    floor = np.zeros(last + 1)
    names = np.unique(brackets)
    for number, bracket in enumerate(names):
        alive = (epochs[brackets == bracket][:, None] >= steps[None, :]).sum(0)
        top = floor + np.append(alive[0], alive)
        label = f"bracket {bracket}" if len(names) > 1 else None
        x = np.append(left, steps)
        ax.fill_between(
            x, floor, top, step="pre", color=CYCLE[number % len(CYCLE)], alpha=0.7, linewidth=0, label=label
        )
        floor = top
    ax.set_ylim(0, floor.max() * 1.05)


def _strip(
    ax: "Axes",
    trials: "pl.DataFrame",
    curves: "pl.DataFrame",
    scores: Scores,
    rungs_of: dict[int, set[int]],
    *,
    log: bool,
) -> None:
    """The scores at each rung of those who reached it."""
    of_trial = trials.select("trial", "bracket", "status", "epochs")
    rows = curves.select("trial", "epoch").join(of_trial, on="trial", how="left", maintain_order="left")
    epoch = rows["epoch"].to_numpy()
    pairs = zip(rows["bracket"].to_list(), epoch.tolist(), strict=True)
    judged = np.array([rung in rungs_of[bracket] for bracket, rung in pairs])
    pruned = ((rows["status"] == "pruned") & (rows["epochs"] == rows["epoch"])).to_numpy()
    width = 0.15 * epoch if log else np.full(len(epoch), 0.015 * epoch.max())
    places = epoch + 2 * width * (np.arange(1, len(epoch) + 1) * _GOLDEN % 1 - 0.5)
    style = {"s": 16, "linewidths": 0.8, "alpha": 0.6}
    for chosen, marker, color, label in (
        (judged & ~pruned, "o", BLUE, "trained on, or to the end"),
        (judged & pruned, "x", VERMILION, "pruned here"),
    ):
        if chosen.any():
            ax.scatter(places[chosen], scores.clipped[chosen], marker=marker, color=color, label=label, **style)
    for rung in np.unique(epoch[judged]):
        there = judged & (epoch == rung)
        known = scores.clipped[there & ~scores.failed]
        if len(known):
            half = 1.2 * width[there][0]
            ax.hlines(np.median(known), rung - half, rung + half, color=BLACK, linewidth=2)
