"""Every trial as a line across all hyperparameters."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from jaxbn.plots.scale import Scale, chosen
from jaxbn.plots.scores import Scores, best_row
from jaxbn.plots.style import BLACK, GREY, SMALL, VERMILION, legend, one
from jaxbn.plots.ticks import even_ticks, number_texts
from jaxbn.search import Space

if TYPE_CHECKING:
    import polars as pl
    from matplotlib.axes import Axes

UNUSED = -0.12
"""Where a line crosses the axis of a hyperparameter that its trial does not use: below it."""


def parallel(
    trials: "pl.DataFrame",
    space: Space | None = None,
    *,
    metric: str,
    greater_is_better: bool,
    names: Sequence[str] | None = None,
    best: int | None = None,
    ax: "Axes | None" = None,
) -> "Axes":
    """Draw parallel coordinates: an upright axis for each hyperparameter on its own scale, the score as the last.

    Lines are coloured by score, the better the brighter and the further in front; a trial that does not use a
    hyperparameter passes below its axis.

    Args:
        trials: a row per trial.
        space: what was searched.
        metric: the score, such as "accuracy".
        greater_is_better: its direction; the best are at the top of the last axis.
        names: which hyperparameters; None: all that were searched.
        best: the trial to mark; None is the one with the best score.
        ax: axes to draw on; None makes a figure.

    Returns:
        The axes.

    Raises:
        UserError: there is no such metric or hyperparameter, or nothing to draw.
    """
    scores = Scores.of(trials, metric, greater_is_better)
    names = chosen(names, trials, space)
    scales = [Scale.of(name, trials, space) for name in names]
    low, high = scores.limits
    shares = (scores.clipped - low) / (high - low)
    columns = [scale.share(scale.spread(scale.numbers(trials), 0.3)) for scale in scales]
    heights = np.column_stack([*columns, shares if greater_is_better else 1 - shares])
    unused = np.isnan(heights)
    heights = np.where(unused, UNUSED, heights)
    places = np.arange(len(names) + 1)
    paths = [np.column_stack([places, row]) for row in heights]

    ax = one(ax, (max(6.0, 0.95 * len(places)), 4.0))
    from matplotlib.collections import LineCollection

    order = scores.order
    rank = np.linspace(0, 1, len(order)) if len(order) > 1 else np.ones(1)
    lines = LineCollection(
        [paths[row] for row in order],
        array=scores.clipped[order],
        cmap=scores.colors,
        clim=scores.window,
        linewidths=0.5 + rank,
        # What the good ones have in common is what a reader looks for; hundreds of others would bury it.
        alpha=np.maximum(rank**4, np.clip(20 / len(order), 0.06, 0.5)),
    )
    ax.add_collection(lines, autolim=False)
    if scores.failed.any():
        lost = [paths[row][:-1] for row in np.flatnonzero(scores.failed)]
        ax.add_collection(
            LineCollection(lost, colors=VERMILION, linewidths=0.8, linestyles="dotted", label="diverged"), autolim=False
        )
    top = best_row(trials, scores, best)
    ax.plot(*paths[top].T, color=BLACK, linewidth=1.8, label=f"best: trial {trials['trial'][top]}")
    for place, scale in enumerate(scales):
        values, texts = scale.ticks()
        _upright(ax, place, scale.share(values).tolist(), texts)
    ticks = even_ticks(low, high)
    at = [(tick - low) / (high - low) for tick in ticks]
    _upright(ax, len(names), at if greater_is_better else [1 - share for share in at], number_texts(ticks))
    ax.set_xticks(places, [_broken(name) for name in [*names, scores.label]], fontsize=SMALL)
    ax.set_yticks([UNUSED] if unused[:, :-1].any() else [], ["not used"] if unused[:, :-1].any() else [])
    ax.tick_params(axis="both", length=0, labelsize=SMALL)
    ax.spines[:].set_visible(False)
    ax.set_xlim(-0.15, places[-1] + 0.05 * len(places))
    ax.set_ylim(UNUSED - 0.05 if unused[:, :-1].any() else -0.03, 1.03)
    ax.set_title(f"the brighter, the better the {scores.label}", fontsize=SMALL + 1, loc="left")
    legend(ax, loc="lower right", bbox_to_anchor=(1, 0.98), borderaxespad=0, ncols=2, framealpha=0)
    return ax


def _upright(ax: "Axes", place: float, shares: list[float], texts: list[str]) -> None:
    """An axis with its ticks and their labels, on a ground of its own so that lines do not cross them out."""
    ax.plot([place, place], [0, 1], color=GREY, linewidth=1, zorder=2.5, label="_axis")
    for share, text in zip(shares, texts, strict=True):
        ax.plot([place, place + 0.04], [share, share], color=GREY, linewidth=1, zorder=2.5, label="_tick")
        ax.text(
            place + 0.06,
            share,
            text,
            fontsize=SMALL,
            va="center",
            zorder=4,
            bbox={"facecolor": "white", "alpha": 0.75, "edgecolor": "none", "pad": 0.6},
        )


def _broken(name: str) -> str:
    """A name over several lines, so that those of neighbouring axes do not meet."""
    return name.replace("_", "\n").replace(" ", "\n")
