"""Random search against a grid of as many trials: the figure of the course notes."""

from typing import TYPE_CHECKING, Any

import numpy as np

from jaxbn.plots.scale import Scale
from jaxbn.plots.scores import Scores
from jaxbn.plots.style import BLUE, PALE, VERMILION, many, need, tidy
from jaxbn.search import Space

if TYPE_CHECKING:
    import polars as pl
    from matplotlib.axes import Axes


def random_against_grid(
    grid: "pl.DataFrame",
    random: "pl.DataFrame",
    space: Space | None = None,
    *,
    metric: str,
    greater_is_better: bool,
    x: str = "learning_rate",
    y: str = "eps",
    axes: Any = None,
) -> "np.ndarray":
    """Draw two searches in the plane of two hyperparameters, and above each what it saw of the first alone.

    Where only the first matters, a grid of 5 x 5 tries 5 values of it and 25 random points try 25 (Bergstra and Bengio
    2012, figure 1). Every point is carried up to the score that it had.

    Args:
        grid: a row per trial of the grid.
        random: a row per trial of the random search.
        space: what both searched.
        metric: the score, such as "accuracy".
        greater_is_better: its direction.
        x: the hyperparameter that matters.
        y: the one that does not.
        axes: four axes: the scores of grid and random, then their planes; None makes a figure.

    Returns:
        The axes, [2, 2]: scores above, planes below; grid left, random right.

    Raises:
        UserError: there is no such metric or hyperparameter, or nothing to draw.
    """
    import polars as pl

    for trials in (grid, random):
        need(trials, x, y, f"valid_{metric}", kind="trials")
    columns = [x, y, "status", f"valid_{metric}"]
    both = pl.concat([grid.select(columns), random.select(columns)], how="vertical_relaxed")
    scores = Scores.of(both, metric, greater_is_better)
    across, up = Scale.of(x, both, space), Scale.of(y, both, space)
    places, heights, tops = across.numbers(both), up.numbers(both), scores.clipped
    is_grid = np.arange(both.height) < grid.height
    drawn = many(axes, 4, columns=2, panel=(3.2, 2.2), height_ratios=[1, 1.8]).reshape(2, 2)
    searches = (("grid", is_grid, VERMILION), ("random", ~is_grid, BLUE))
    for column, (name, rows, color) in enumerate(searches):
        above, plane = drawn[:, column]
        rows = rows & np.isfinite(places) & np.isfinite(heights)
        _points(above, places[rows], tops[rows], scores.limits[0], color)
        _points(plane, places[rows], heights[rows], up.inverse(up.ends)[1], color)
        tried = len(np.unique(np.round(across.forward(places[rows]), 9)))
        across.put_on(above, "x", doc=False)
        across.put_on(plane, "x", wrap=34)
        up.put_on(plane, "y", wrap=34)
        above.set_ylim(*scores.limits)
        tidy(above, x="", y=scores.label, title=f"{name}: {tried} values of {x}")
        tidy(plane)
        above.tick_params(labelbottom=False)
    for ax in drawn[:, 1]:
        ax.set_ylabel("")
        ax.tick_params(labelleft=False)
    return drawn


def _points(ax: "Axes", x: np.ndarray, y: np.ndarray, end: float, color: str) -> None:
    """Points, and the lines that carry them towards the other panel."""
    known = np.isfinite(y)
    ax.vlines(x[known], y[known], end, color=PALE, linewidth=0.8)
    ax.scatter(x[known], y[known], s=20, color=color, linewidths=0, zorder=3, clip_on=False)
