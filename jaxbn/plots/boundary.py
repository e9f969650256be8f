"""Where in the plane of two features a classifier decides for which class."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from jaxbn.errors import UserError
from jaxbn.plots.calibration import check_codes
from jaxbn.plots.style import BLACK, CYCLE, counted, legend, one, tidy

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MARKERS = "os^Dv*PX"


def boundary(
    predict_proba: Callable[[np.ndarray], np.ndarray],
    x: Any,
    y_true: Any,
    classes: Any,
    *,
    names: tuple[str, str] = ("x1", "x2"),
    resolution: int = 200,
    ax: "Axes | None" = None,
) -> "Axes":
    """Draw the decision regions of a classifier of two features, with points.

    Args:
        predict_proba: from rows [M, 2] to probabilities [M, C].
        x: the points, [N, 2].
        y_true: their class codes, int [N].
        classes: what the codes mean, [C], at most eight.
        names: of the two features.
        resolution: points of the grid along each axis.
        ax: axes to draw on; None makes a figure.

    Returns:
        The axes. A region is the paler, the less sure the classifier is; where two classes meet runs a line. A point
        has the colour and the marker of its true class.

    Raises:
        UserError: there is no point with both features, the grid has none, there are too many classes, or a code is
            that of none.
    """
    x, y_true = np.asarray(x, dtype=float), np.asarray(y_true)
    if x.ndim != 2 or x.shape[1] != 2 or y_true.shape != x.shape[:1] or not len(x):
        raise UserError(
            f"points of shape {x.shape} with labels of shape {y_true.shape}: give [N, 2] and [N], and at least one"
        )
    if not 2 <= len(classes) <= len(CYCLE):
        raise UserError(f"{len(classes)} classes cannot be told apart by colour: give 2 to {len(CYCLE)}")
    if resolution < 1:
        raise UserError(f"a grid of {resolution} points along each axis shows nothing: give at least 1")
    y_true, points = check_codes(y_true, classes), x[np.isfinite(x).all(1)]
    if not len(points):
        raise UserError(f"none of the {counted(len(x), 'point')} has both features: give at least one that has")
    low, high = points.min(0), points.max(0)
    margin = np.where(high > low, 0.08 * (high - low), 0.5)
    low, high = low - margin, high + margin
    across, up = (np.linspace(low[i], high[i], resolution) for i in range(2))
    grid = np.stack(np.meshgrid(across, up), -1)
    probabilities = np.asarray(predict_proba(grid.reshape(-1, 2))).reshape(resolution, resolution, len(classes))
    sure, winner = probabilities.max(-1), probabilities.argmax(-1)

    ax = one(ax, (5.6, 4.4))

    from matplotlib.colors import to_rgb

    palette = np.array([to_rgb(color) for color in CYCLE[: len(classes)]])
    # From white where all classes are as likely to a clear tint where one is certain.
    strength = 0.08 + 0.37 * (sure - 1 / len(classes)) / (1 - 1 / len(classes))
    tint = 1 - strength[..., None] * (1 - palette[winner])
    ax.imshow(tint, origin="lower", extent=(low[0], high[0], low[1], high[1]), aspect="auto", interpolation="nearest")
    for code in range(len(classes)):
        lead = probabilities[..., code] - np.delete(probabilities, code, -1).max(-1)
        if lead.min() < 0 < lead.max():
            ax.contour(across, up, lead, levels=[0], colors=BLACK, linewidths=0.8)
        rows = y_true == code
        if rows.any():
            style = {"s": 22, "marker": MARKERS[code], "color": CYCLE[code], "edgecolors": "white", "linewidths": 0.5}
            ax.scatter(x[rows, 0], x[rows, 1], label=str(classes[code]), **style)
    ax.set_xlim(low[0], high[0])
    ax.set_ylim(low[1], high[1])
    tidy(ax, x=names[0], y=names[1])
    legend(ax, loc="upper left", bbox_to_anchor=(1, 1))
    return ax
