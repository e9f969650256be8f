"""The score against each hyperparameter, on its own scale."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from jaxbn.plots.scale import Scale, chosen
from jaxbn.plots.scores import Scores, best_row
from jaxbn.plots.style import BLACK, BLUE, ORANGE, VERMILION, legend, many, tidy
from jaxbn.search import Space

if TYPE_CHECKING:
    import polars as pl
    from matplotlib.axes import Axes

BINS = 8
FEWEST = 3
"""Trials of which a median says something."""


def response(
    trials: "pl.DataFrame",
    space: Space | None = None,
    *,
    metric: str,
    greater_is_better: bool,
    names: Sequence[str] | None = None,
    best: int | None = None,
    axes: Any = None,
) -> "np.ndarray":
    """Draw the score of every trial against its value of each hyperparameter.

    A dot is a trial, a triangle at the edge one whose score lies beyond the axis, a cross one that diverged; the
    line is the median of the trials in each eighth of the axis, or at each value where the values are few.

    Args:
        trials: a row per trial.
        space: what was searched.
        metric: the score, such as "accuracy".
        greater_is_better: its direction.
        names: which hyperparameters; None: all that were searched.
        best: the trial to mark; None is the one with the best score.
        axes: axes to draw on, one per hyperparameter; None makes a figure.

    Returns:
        The axes, [len(names)].

    Raises:
        UserError: there is no such metric or hyperparameter, or nothing to draw.
    """
    scores = Scores.of(trials, metric, greater_is_better)
    names = chosen(names, trials, space)
    scales = [Scale.of(name, trials, space) for name in names]
    columns = 1 if len(names) == 1 else 2 if len(names) in (2, 4) else 3
    drawn = many(axes, len(names), columns=columns, panel=(6, 4) if columns == 1 else (7.5 / columns, 2.3))
    top = best_row(trials, scores, best)
    for ax, scale in zip(drawn, scales, strict=True):
        _panel(ax, scale, trials, scores, top)
    for number, ax in enumerate(drawn):
        tidy(ax, y=scores.label if number % columns == 0 else None)
    legend(drawn, above=axes is None)
    return drawn


def _panel(ax: "Axes", scale: Scale, trials: "pl.DataFrame", scores: Scores, top: int) -> None:
    values = scale.numbers(trials)
    places = scale.spread(values)
    used = np.isfinite(values)
    size = float(np.clip(2000 / len(values), 5, 22))
    alpha = float(np.clip(120 / len(values), 0.25, 0.8))
    end = 0 if scores.greater_is_better else 1
    inside = used & ~scores.failed & ~scores.beyond
    ax.scatter(places[inside], scores.values[inside], s=size, color=BLUE, alpha=alpha, linewidths=0, label="_inside")
    for rows, edge, marker, color, label in (
        (used & scores.beyond, scores.window[end], "v^"[end], BLUE, "beyond the axis"),
        (used & scores.failed, scores.limits[end], "x", VERMILION, "diverged"),
    ):
        if rows.any():
            height = np.full(rows.sum(), edge)
            style = {"s": 14, "marker": marker, "color": color, "alpha": 0.6, "linewidths": 0.8, "label": label}
            ax.scatter(places[rows], height, clip_on=False, **style)
    middle = _medians(scale, values, scores.clipped)
    if len(middle):
        style = {"marker": "_", "markersize": 16, "markeredgewidth": 2.5} if scale.levels else {}
        ax.plot(*middle.T, color=ORANGE, linewidth=0 if scale.levels else 2, label="median", **style)
    if used[top]:
        ax.scatter(places[top], scores.clipped[top], s=70, marker="*", color=BLACK, label="best", zorder=3)
    scale.put_on(ax, "x", wrap=34)
    ax.set_ylim(*scores.limits)


def _medians(scale: Scale, values: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """The median score in each part of the axis that has enough trials, [parts, 2]: value, score."""
    known = np.isfinite(values) & np.isfinite(scores)
    if scale.levels:
        centres = np.array(scale.levels)
        part = np.abs(scale.forward(values[known])[:, None] - scale.forward(centres)[None, :]).argmin(1)
    else:
        low, high = scale.forward([scale.low, scale.high]).tolist()
        edges = np.linspace(low, high, BINS + 1)
        centres = scale.inverse((edges[1:] + edges[:-1]) / 2)
        part = np.searchsorted(edges[1:-1], scale.forward(values[known]))
    rows = [
        (centres[p], np.median(scores[known][part == p])) for p in range(len(centres)) if (part == p).sum() >= FEWEST
    ]
    return np.array(rows).reshape(-1, 2)
