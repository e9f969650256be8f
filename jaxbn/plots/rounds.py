"""Coarse to fine: where each round of a search looked."""

from typing import TYPE_CHECKING

import numpy as np

from jaxbn.plots.scale import Scale, plane
from jaxbn.plots.scores import Scores, best_row
from jaxbn.plots.style import BLACK, CYCLE, counted, legend, need, one, tidy
from jaxbn.search import Space

if TYPE_CHECKING:
    import polars as pl
    from matplotlib.axes import Axes

# One less than there are colours, so that the pairs do not repeat as soon as these do.
MARKERS = "osD^vPX"


def rounds(
    trials: "pl.DataFrame",
    x: str,
    y: str,
    space: Space | None = None,
    *,
    metric: str,
    greater_is_better: bool,
    best: int | None = None,
    ax: "Axes | None" = None,
) -> "Axes":
    """Draw the trials of each round in the plane of two hyperparameters, with a box round them.

    Args:
        trials: a row per trial, with the column `round`.
        x: the hyperparameter across.
        y: the hyperparameter upwards.
        space: what was searched.
        metric: the score, such as "accuracy".
        greater_is_better: its direction.
        best: the trial to mark; None is the one with the best score.
        ax: axes to draw on; None makes a figure.

    Returns:
        The axes. A box is the smallest that holds the trials of its round, the failed ones too.

    Raises:
        UserError: there is no such metric or hyperparameter, or nothing to draw.
    """
    need(trials, "round", kind="trials")
    scores = Scores.of(trials, metric, greater_is_better)
    scales = Scale.of(x, trials, space), Scale.of(y, trials, space)
    across, up = plane(*scales, trials)
    which = trials["round"].to_numpy()
    size = float(np.clip(5000 / len(across), 8, 30))
    ax = one(ax)
    from matplotlib.patches import Rectangle

    for number in np.unique(which):
        members = which == number
        rows = members & np.isfinite(across)
        color, marker = CYCLE[number % len(CYCLE)], MARKERS[number % len(MARKERS)]
        style = {"s": size, "marker": marker, "color": color, "alpha": 0.65, "linewidths": 0}
        ax.scatter(across[rows], up[rows], label=f"round {number} ({counted(members.sum(), 'trial')})", **style)
        if rows.any():
            left, low = across[rows].min(), up[rows].min()
            width, height = np.ptp(across[rows]), np.ptp(up[rows])
            ax.add_patch(Rectangle((left, low), width, height, fill=False, edgecolor=color, linewidth=1.6))
    top = best_row(trials, scores, best)
    if np.isfinite(across[top]):
        label = f"best: {scores.label} {scores.values[top]:.4g}"
        star = {"s": 130, "marker": "*", "facecolors": "white", "edgecolors": BLACK, "linewidths": 1.2, "zorder": 3}
        ax.scatter(across[top], up[top], label=label, **star)
    scales[0].put_on(ax, "x")
    scales[1].put_on(ax, "y")
    tidy(ax)
    legend(ax, loc="lower left", bbox_to_anchor=(0, 1), ncols=2, borderaxespad=0.2)
    return ax
