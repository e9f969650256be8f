"""What every picture shares: the axes it is drawn on, its colours, its manners."""

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from jaxbn.errors import UserError

if TYPE_CHECKING:
    import polars as pl
    from matplotlib.axes import Axes

SMALL = 8
"""Points of the smallest text."""

# Okabe and Ito's colours, which people with any of the common colour blindnesses tell apart.
BLUE, ORANGE, GREEN, VERMILION = "#0072B2", "#E69F00", "#009E73", "#D55E00"
SKY, PURPLE, YELLOW, BLACK = "#56B4E9", "#CC79A7", "#F0E442", "#000000"
CYCLE = (BLUE, VERMILION, GREEN, ORANGE, PURPLE, SKY, BLACK, YELLOW)
GREY, PALE = "#767676", "#C8C8C8"

SCORES = "viridis"
"""The colour map of scores: the better, the brighter."""

COUNTS = "cividis"
"""The colour map of counts and of what runs from early to late."""


def pyplot() -> Any:
    """The module `matplotlib.pyplot`.

    Raises:
        UserError: matplotlib is not installed.
    """
    try:
        import matplotlib.pyplot
    except ImportError as error:
        raise UserError('pictures need matplotlib, which is not there: pip install "jaxbn[plots]"') from error
    return matplotlib.pyplot


def one(ax: "Axes | None", size: tuple[float, float] = (6.0, 4.0)) -> "Axes":
    """The axes that were given, or those of a new figure of some inches."""
    plt = pyplot()
    return plt.subplots(figsize=size, layout="constrained")[1] if ax is None else ax


def many(
    axes: Any, count: int, *, columns: int, panel: tuple[float, float] = (2.4, 2.2), **figure: Any
) -> "np.ndarray":
    """As many axes as there are panels.

    Args:
        axes: axes that were given, in any arrangement; None makes a new figure.
        count: how many panels.
        columns: the most panels side by side.
        panel: inches of each.
        **figure: of `matplotlib.pyplot.subplots`.

    Returns:
        Axes [count], row by row.

    Raises:
        UserError: fewer axes were given than there are panels.
    """
    plt = pyplot()
    if axes is not None:
        given = np.ravel(np.asarray(axes, dtype=object))
        if len(given) < count:
            raise UserError(f"{count} panels are to be drawn and {len(given)} axes were given: give {count}, or none")
        return given[:count]
    columns = min(columns, count)
    rows = math.ceil(count / columns)
    size = (panel[0] * columns, panel[1] * rows)
    made = plt.subplots(rows, columns, figsize=size, layout="constrained", squeeze=False, **figure)[1].ravel()
    for spare in made[count:]:
        spare.remove()
    return made[:count]


def tidy(ax: "Axes", *, x: str | None = None, y: str | None = None, title: str | None = None) -> None:
    """Label the axes, and take away the frame where nothing is read off."""
    ax.spines[["top", "right"]].set_visible(False)
    ax.tick_params(labelsize=SMALL)
    if x is not None:
        ax.set_xlabel(x, fontsize=SMALL + 1)
    if y is not None:
        ax.set_ylabel(y, fontsize=SMALL + 1)
    if title is not None:
        ax.set_title(title, fontsize=SMALL + 2, loc="left")


def legend(axes: Any, *, above: bool = False, **where: Any) -> None:
    """Say what each mark with a label is, once for all panels; nothing where nothing has a label.

    Args:
        axes: one, or an array of panels.
        above: over the picture, which must be a figure of its own; else in the first panel.
        **where: of matplotlib's `legend`.
    """
    panels = np.ravel(np.asarray(axes, dtype=object))
    marks = {}
    for ax in panels:
        handles, labels = ax.get_legend_handles_labels()
        marks = dict(zip(labels, handles, strict=True)) | marks
    if not marks:
        return
    if above:
        place = {"loc": "outside upper right", "ncols": len(marks), "frameon": False}
        panels[0].figure.legend(list(marks.values()), list(marks), fontsize=SMALL, **(place | where))
    else:
        place = {"loc": "best", "framealpha": 0.8, "edgecolor": "none"}
        panels[0].legend(list(marks.values()), list(marks), fontsize=SMALL, **(place | where))


def key(axes: Any, drawn: Any, label: str, **where: Any) -> None:
    """A bar beside one or several axes that says which colour is which number."""
    panels = np.ravel(np.asarray(axes, dtype=object))
    bar = panels[0].figure.colorbar(drawn, ax=list(panels), **where)
    bar.set_label(label, fontsize=SMALL + 1)
    bar.ax.tick_params(labelsize=SMALL)
    if bar.solids is not None:
        # The points may be see-through; what explains them must not be.
        bar.solids.set_alpha(1)


def need(frame: "pl.DataFrame", *columns: str, kind: str) -> None:
    """Refuse a table from which nothing can be drawn.

    Args:
        frame: the table.
        *columns: what it must have.
        kind: what its rows are, in the plural, such as "trials".

    Raises:
        UserError: a column is missing, or there is no row.
    """
    for column in columns:
        if column not in frame.columns:
            raise UserError(f"the table of {kind} has no column {column!r}: give the {kind} of a sweep's results")
    if not frame.height:
        raise UserError(f"there are no {kind} to draw: the table has no row")


def curves_of(trials: "pl.DataFrame", curves: "pl.DataFrame") -> "pl.DataFrame":
    """The rows of `curves` that are of these trials: either table may be a part of a sweep's.

    Raises:
        UserError: a table lacks what it must have, or no trial has a curve.
    """
    need(trials, "trial", kind="trials")
    need(curves, "trial", "epoch", kind="epochs")
    found = curves.join(trials, on="trial", how="semi", maintain_order="left")
    if not found.height:
        raise UserError(
            f"none of the {counted(trials.height, 'trial')} has a curve: give the trials and the curves of one sweep"
        )
    return found


def counted(number: int, noun: str) -> str:
    """How many there are of something.

    Example:
        >>> counted(1, "trial"), counted(3, "trial")
        ('1 trial', '3 trials')
    """
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
