"""How the input of a hidden unit moves while the network learns (Ioffe and Szegedy 2015, figure 1)."""

from typing import TYPE_CHECKING, Any

import numpy as np

from jaxbn.errors import UserError
from jaxbn.plots.style import BLUE, VERMILION, legend, many, tidy

if TYPE_CHECKING:
    from collections.abc import Sequence


def activations(
    without: Any,
    with_bn: Any,
    *,
    steps: "Sequence[float] | None" = None,
    percentiles: tuple[float, float, float] = (15, 50, 85),
    xlabel: str = "epoch",
    axes: Any = None,
) -> "np.ndarray":
    """Draw three percentiles of the input of a unit's activation function, without and with batch normalisation.

    Args:
        without: percentiles after each epoch, low to high, [E, 3], of a network without batch normalisation.
        with_bn: the same of one with it.
        steps: where along training the rows are, [E]; None counts epochs from 1.
        percentiles: which ones.
        xlabel: what the steps are.
        axes: two axes; None makes a figure.

    Returns:
        The axes, [2], with one range of values.

    Raises:
        UserError: the arrays are not [E, 3] of one length.
    """
    bands = {"without batch normalisation": without, "with batch normalisation": with_bn}
    arrays = {name: np.asarray(values, dtype=float) for name, values in bands.items()}
    shapes = {values.shape for values in arrays.values()}
    shape = next(iter(shapes))
    if len(shapes) > 1 or len(shape) != 2 or shape[1] != 3 or not shape[0]:
        raise UserError(f"percentiles of shapes {', '.join(map(str, sorted(shapes)))}: give two arrays [E, 3], E >= 1")
    places = np.arange(1, shape[0] + 1) if steps is None else np.asarray(steps)
    if len(places) != shape[0]:
        raise UserError(f"{len(places)} steps for {shape[0]} rows of percentiles: give as many")
    drawn = many(axes, 2, columns=2, panel=(3.3, 3.0))
    finite = np.concatenate([values[np.isfinite(values)] for values in arrays.values()])
    low, high = (finite.min(), finite.max()) if len(finite) else (0.0, 1.0)
    margin = 0.05 * (high - low) or 0.5
    first, middle, last = percentiles
    for ax, (name, values), color in zip(drawn, arrays.items(), (VERMILION, BLUE), strict=True):
        ax.fill_between(places, values[:, 0], values[:, 2], color=color, alpha=0.2, linewidth=0,
                        label=f"{first:g} to {last:g} %")  # fmt: skip
        ax.plot(places, values[:, [0, 2]], color=color, linewidth=0.8)
        ax.plot(places, values[:, 1], color=color, linewidth=1.8, label=f"{middle:g} %")
        ax.set_ylim(low - margin, high + margin)
        tidy(ax, x=xlabel, y="input of the unit" if ax is drawn[0] else None, title=name)
        legend(ax)
    return drawn
