"""How much each hyperparameter mattered."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from jaxbn.errors import UserError
from jaxbn.plots.style import CYCLE, SMALL, legend, one, tidy

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def importance(values: Mapping[str, float] | Mapping[str, Mapping[str, float]], *, ax: "Axes | None" = None) -> "Axes":
    """Draw a bar for each hyperparameter, the most important at the top.

    Args:
        values: importance by hyperparameter; or such a mapping for each of several methods, by its name, to be drawn
            side by side and sorted by the first.
        ax: axes to draw on; None makes a figure.

    Returns:
        The axes.

    Raises:
        UserError: there is nothing to draw, or a value is no number.
    """
    methods: dict[str, Mapping[str, float]] = {}
    for name, value in values.items():
        if isinstance(value, Mapping):
            methods[name] = value
        else:
            methods.setdefault("importance", {})
            methods["importance"] = {**methods["importance"], name: value}
    names = list(dict.fromkeys(name for method in methods.values() for name in method))
    if not names:
        raise UserError("there is no importance to draw: give a number for each hyperparameter")
    table = np.array([[method.get(name, 0.0) for name in names] for method in methods.values()], dtype=float)
    if not np.isfinite(table).all():
        raise UserError("an importance is not finite, so it cannot be a bar: leave that hyperparameter out")
    order = np.argsort(table[0], kind="stable")
    ax = one(ax, (6.0, max(2.0, 0.8 + 0.3 * len(names))))
    places, height = np.arange(len(names)), 0.8 / len(table)
    for number, (method, row) in enumerate(zip(methods, table, strict=True)):
        up = places + height * ((len(table) - 1) / 2 - number)
        ax.barh(up, row[order], height=height, color=CYCLE[number % len(CYCLE)], label=method)
        for y, value in zip(up, row[order], strict=True):
            ax.annotate(f"{value:.2f}", (value, y), (3, 0), textcoords="offset points", va="center", fontsize=SMALL)
    ax.set_yticks(places, [names[i] for i in order])
    ax.set_xlim(min(0.0, table.min()), max(table.max(), 1e-9) * 1.12)
    tidy(ax, x="importance (share of the total)")
    if len(methods) > 1:
        legend(ax, loc="lower right")
    return ax
