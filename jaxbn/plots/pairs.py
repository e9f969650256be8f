"""The score over the plane of two hyperparameters, each on its own scale."""

import itertools
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from jaxbn.errors import UserError
from jaxbn.plots.scale import Scale, plane
from jaxbn.plots.scores import Scores, best_row
from jaxbn.plots.style import BLACK, SMALL, VERMILION, key, legend, many, tidy
from jaxbn.search import Space

if TYPE_CHECKING:
    import polars as pl
    from matplotlib.axes import Axes


def pairs(
    trials: "pl.DataFrame",
    names: Sequence[str],
    space: Space | None = None,
    *,
    metric: str,
    greater_is_better: bool,
    best: int | None = None,
    axes: Any = None,
) -> "np.ndarray":
    """Draw, for each two of some hyperparameters, the score of every trial as a colour in their plane.

    Args:
        trials: a row per trial.
        names: two or more hyperparameters.
        space: what was searched.
        metric: the score, such as "accuracy".
        greater_is_better: its direction; the better, the brighter.
        best: the trial to mark; None is the one with the best score.
        axes: axes to draw on, one per pair; None makes a figure.

    Returns:
        The axes, one per pair, in the order of `itertools.combinations`.

    Raises:
        UserError: fewer than two hyperparameters are named, or there is nothing to draw.
    """
    names = list(dict.fromkeys(names))
    if len(names) < 2:
        raise UserError(f"a map has two hyperparameters and {len(names)} were named: name two or more")
    scores = Scores.of(trials, metric, greater_is_better)
    scales = {name: Scale.of(name, trials, space) for name in names}
    planes = list(itertools.combinations(names, 2))
    columns = 1 if len(planes) == 1 else 3
    drawn = many(axes, len(planes), columns=columns, panel=(6, 4) if columns == 1 else (3.0, 2.7))
    top = best_row(trials, scores, best)
    alone = len(planes) == 1
    points = [
        _panel(ax, scales[x], scales[y], trials, scores, top, doc=alone)
        for ax, (x, y) in zip(drawn, planes, strict=True)
    ]
    key(drawn, points[0], scores.label, extend=scores.extend)
    legend(drawn, above=axes is None)
    return drawn


def _panel(ax: "Axes", x: Scale, y: Scale, trials: "pl.DataFrame", scores: Scores, top: int, *, doc: bool) -> Any:
    across, up = plane(x, y, trials)
    both = np.isfinite(across)
    shown = scores.order[both[scores.order]]
    low, high = scores.window
    size = float(np.clip(6000 / len(across), 12, 40))
    points = ax.scatter(
        across[shown],
        up[shown],
        c=scores.clipped[shown],
        cmap=scores.colors,
        vmin=low,
        vmax=high,
        s=size,
        linewidths=0.3,
        edgecolors="white",
    )
    lost = both & scores.failed
    if lost.any():
        ax.scatter(across[lost], up[lost], s=size, marker="x", color=VERMILION, linewidths=0.8, label="diverged")
    if both[top]:
        ax.scatter(
            across[top], up[top], s=110, marker="*", facecolors="white", edgecolors=BLACK, linewidths=1.2, label="best"
        )
    if not both.any():
        ax.text(0.5, 0.5, "never used together", transform=ax.transAxes, ha="center", va="center", fontsize=SMALL)
    x.put_on(ax, "x", doc=doc)
    y.put_on(ax, "y", doc=doc)
    tidy(ax)
    return points
