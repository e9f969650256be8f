"""Whether a classifier is right as often as it says: the reliability diagram."""

from typing import TYPE_CHECKING, Any

import numpy as np

from jaxbn.errors import UserError
from jaxbn.plots.style import BLUE, GREY, PALE, counted, legend, many, tidy

if TYPE_CHECKING:
    import numpy.typing as npt


def check_predictions(y_true: Any, probabilities: Any, classes: Any) -> tuple["npt.NDArray", "npt.NDArray"]:
    """Class codes [N] and probabilities [N, C] as arrays.

    Raises:
        UserError: there is no row, the shapes do not go together, or a code is that of no class.
    """
    y_true, probabilities = np.asarray(y_true), np.asarray(probabilities, dtype=float)
    if y_true.ndim != 1 or not len(y_true) or probabilities.shape != (len(y_true), len(classes)):
        raise UserError(
            f"labels of shape {y_true.shape}, probabilities of shape {probabilities.shape} and {len(classes)} classes "
            "do not go together: give a row of probabilities for each label, and at least one row"
        )
    return check_codes(y_true, classes), probabilities


def check_codes(y_true: "npt.NDArray", classes: Any) -> "npt.NDArray":
    """Class codes as whole numbers, int [N].

    Raises:
        UserError: one is that of no class.
    """
    strange = y_true[~np.isin(y_true, np.arange(len(classes)))].tolist()
    if strange:
        raise UserError(
            f"{strange[0]!r} is the code of none of {len(classes)} classes: give whole numbers from 0 to "
            f"{len(classes) - 1}, the places of the classes"
        )
    return y_true.astype(int)


def calibration(y_true: Any, probabilities: Any, classes: Any, *, num_bins: int = 10, axes: Any = None) -> "np.ndarray":
    """Draw, for predictions about as sure as each other, how many were right, and how many predictions there were.

    Args:
        y_true: class codes, int [N].
        probabilities: of each class, [N, C]; the largest of a row is how sure the prediction is.
        classes: what the codes mean, [C].
        num_bins: bins of equal width between 0 and 1.
        axes: two axes; None makes a figure.

    Returns:
        The axes, [2]: the share that was right above, with the 95 % interval of Wilson (1927); counts below. The
        title holds the expected calibration error of Guo et al. (2017): the mean distance from the diagonal.

    Raises:
        UserError: there is no row or no bin, the shapes do not go together, or a code is that of no class.
    """
    from scipy.stats import binomtest

    y_true, probabilities = check_predictions(y_true, probabilities, classes)
    if num_bins < 1:
        raise UserError(f"predictions cannot be put into {num_bins} bins: give at least 1")
    sure = probabilities.max(-1)
    right = probabilities.argmax(-1) == y_true
    bins = np.clip(np.ceil(sure * num_bins).astype(int) - 1, 0, num_bins - 1)
    counts = np.bincount(bins, minlength=num_bins)
    full = np.flatnonzero(counts)
    said = np.array([sure[bins == b].mean() for b in full])
    found = np.array([right[bins == b].mean() for b in full])
    intervals = [binomtest(int(right[bins == b].sum()), int(counts[b])).proportion_ci(method="wilson") for b in full]
    spans = np.array([[max(p - i.low, 0), max(i.high - p, 0)] for p, i in zip(found, intervals, strict=True)]).T
    error = float(np.sum(counts[full] * np.abs(said - found)) / len(y_true))

    above, below = drawn = many(axes, 2, columns=1, panel=(5.0, 2.3), height_ratios=[2.6, 1])
    above.plot([0, 1], [0, 1], color=GREY, linewidth=1, linestyle="--", label="as sure as right")
    above.errorbar(said, found, yerr=spans, color=BLUE, ecolor=BLUE, fmt="o", markersize=4, linewidth=1.2,
                   elinewidth=1, capsize=2, label="this model, 95 % interval")  # fmt: skip
    above.set_ylim(-0.02, 1.02)
    edges = np.linspace(0, 1, num_bins + 1)
    below.bar((edges[1:] + edges[:-1]) / 2, counts, width=0.92 / num_bins, color=PALE, edgecolor=GREY, linewidth=0.6)
    below.bar_label(below.containers[0], [f"{count}" if count else "" for count in counts], fontsize=8, padding=1)
    below.set_ylim(0, counts.max() * 1.35)
    for ax in drawn:
        ax.set_xlim(-0.02, 1.02)
    above.tick_params(labelbottom=False)
    rows = counted(len(y_true), "row")
    tidy(above, y="share that was right", title=f"expected calibration error {error:.3f}, {rows}")
    tidy(below, x="probability of the predicted class", y="rows")
    legend(above, loc="upper left")
    return drawn
