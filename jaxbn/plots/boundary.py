"""Where in the plane of two features a classifier decides for which class."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from jaxbn.errors import UserError
from jaxbn.plots.style import BLACK, CYCLE, legend, one, tidy

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
        UserError: there is no point, it has not two features, or there are too many classes.
    """
    x, y_true = np.asarray(x, dtype=float), np.asarray(y_true).astype(int)
    if x.ndim != 2 or x.shape[1] != 2 or len(x) != len(y_true) or not len(x):
        raise UserError(f"points of shape {x.shape} with {len(y_true)} labels: give [N, 2] and [N], and at least one")
    if not 2 <= len(classes) <= len(CYCLE):
        raise UserError(f"{len(classes)} classes cannot be told apart by colour: give 2 to {len(CYCLE)}")
    points = x[np.isfinite(x).all(1)]
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
