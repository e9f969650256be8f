"""The best of s configurations against s (Bergstra and Bengio 2012, figure 5)."""

from typing import TYPE_CHECKING, Any

import numpy as np

from jaxbn.errors import UserError
from jaxbn.plots.style import BLUE, SKY, legend, one, tidy

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def efficiency(
    sizes: Any, mean: Any, low: Any, high: Any, *, metric: str, band: str = "90 % of searches", ax: "Axes | None" = None
) -> "Axes":
    """Draw how good the best of s configurations is: what a smaller search would have found.

    Args:
        sizes: s, [S].
        mean: the mean score of the best of s configurations, [S].
        low: the lower end of where it fell, [S].
        high: the upper end, [S].
        metric: the score, such as "accuracy".
        band: what lies between low and high.
        ax: axes to draw on; None makes a figure.

    Returns:
        The axes, s on a log scale.

    Raises:
        UserError: the arrays are empty, or not of one length, or a size is below 1.
    """
    sizes, mean, low, high = (np.asarray(values, dtype=float) for values in (sizes, mean, low, high))
    if not sizes.size or not sizes.shape == mean.shape == low.shape == high.shape:
        lengths = ", ".join(str(values.size) for values in (sizes, mean, low, high))
        raise UserError(f"sizes, mean, low and high have {lengths} numbers: give as many of each, and at least one")
    below = sizes[~(sizes >= 1)]
    if len(below):
        raise UserError(f"there is no best of a search of {below[0]:g} configurations: give sizes of at least 1")
    ax = one(ax)
    from matplotlib.ticker import NullLocator

    ax.fill_between(sizes, low, high, color=SKY, alpha=0.45, linewidth=0, label=band)
    ax.plot(sizes, mean, color=BLUE, linewidth=1.8, marker="o", markersize=3.5, label="mean")
    ax.set_xscale("log")
    powers = 2.0 ** np.arange(np.floor(np.log2(sizes.min())), np.ceil(np.log2(sizes.max())) + 1)
    ax.set_xticks(powers, [f"{power:g}" for power in powers])
    ax.xaxis.set_minor_locator(NullLocator())
    ax.set_xlim(sizes.min() / 1.15, sizes.max() * 1.15)
    tidy(ax, x="configurations tried, s", y=f"validation {metric} of the best of s")
    legend(ax)
    return ax
