"""Which classes a classifier takes for which."""

from typing import TYPE_CHECKING, Any

import numpy as np

from jaxbn.plots.calibration import check_predictions
from jaxbn.plots.style import COUNTS, SMALL, counted, key, one, tidy

if TYPE_CHECKING:
    from matplotlib.axes import Axes

WRITTEN = 16
"""As many classes have their counts written into the cells, and every name beside them."""


def confusion(y_true: Any, probabilities: Any, classes: Any, *, ax: "Axes | None" = None) -> "Axes":
    """Draw the confusion matrix: a row per true class, a column per predicted one.

    Args:
        y_true: class codes, int [N].
        probabilities: of each class, [N, C].
        classes: what the codes mean, [C].
        ax: axes to draw on; None makes a figure.

    Returns:
        The axes. A cell holds a count; its colour is the share of the true class, so that rare classes show.

    Raises:
        UserError: there is no row, the shapes do not go together, or a code is that of no class.
    """
    from sklearn.metrics import confusion_matrix

    y_true, probabilities = check_predictions(y_true, probabilities, classes)
    predicted = probabilities.argmax(-1)
    codes = np.arange(len(classes))
    counts = confusion_matrix(y_true, predicted, labels=codes)
    shares = counts / np.maximum(counts.sum(1, keepdims=True), 1)
    names = [str(name) for name in classes]

    ax = one(ax, (5.6, 4.6))
    image = ax.imshow(shares, cmap=COUNTS, vmin=0, vmax=1)
    key(ax, image, "share of the true class")
    few = len(classes) <= WRITTEN
    if few:
        for row, column in np.argwhere(counts):
            color = "black" if shares[row, column] > 0.5 else "white"
            ax.text(column, row, str(counts[row, column]), ha="center", va="center", fontsize=SMALL, color=color)
    shown = codes if few else codes[:: -(-len(classes) // WRITTEN)]
    upright = max(map(len, names)) > 4
    ax.set_xticks(
        shown, [names[code] for code in shown], rotation=45 if upright else 0, ha="right" if upright else "center"
    )
    ax.set_yticks(shown, [names[code] for code in shown])
    wrong = int((predicted != y_true).sum())
    tidy(ax, x="predicted class", y="true class", title=f"{wrong} of {counted(len(y_true), 'row')} wrong")
    return ax
