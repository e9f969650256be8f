"""Every learning curve at once: the fan, its middle, and the best."""

from typing import TYPE_CHECKING

import numpy as np

from jaxbn.errors import UserError
from jaxbn.plots.scores import Scores, best_row
from jaxbn.plots.style import BLACK, BLUE, GREY, SKY, SMALL, VERMILION, counted, curves_of, legend, one, tidy

if TYPE_CHECKING:
    import polars as pl
    from matplotlib.axes import Axes


def learning_curves(
    curves: "pl.DataFrame",
    trials: "pl.DataFrame",
    *,
    metric: str,
    greater_is_better: bool,
    best: int | None = None,
    band: tuple[float, float] = (25, 75),
    ax: "Axes | None" = None,
) -> "Axes":
    """Draw the validation score of every trial after every epoch.

    Thin lines are trials; a dot marks where one was stopped early, a cross where one diverged. The band and the line
    in it are over the trials that were still training in each epoch.

    Args:
        curves: a row per trial and epoch; those of other trials are left out.
        trials: a row per trial.
        metric: the score, such as "accuracy".
        greater_is_better: its direction.
        best: the trial to highlight; None is the one with the best final score.
        band: percentiles of the band.
        ax: axes to draw on; None makes a figure.

    Returns:
        The axes.

    Raises:
        UserError: there is no such metric, or nothing to draw, or the best trial has no curve.
    """
    curves = curves_of(trials, curves)
    scores = Scores.of(curves, metric, greater_is_better, kind="epochs")
    trial, epoch = curves["trial"].to_numpy(), curves["epoch"].to_numpy()
    fan = np.full((int(trial.max()) + 1, int(epoch.max())), np.nan)
    fan[trial, epoch - 1] = scores.values
    best = int(trials["trial"][best_row(trials, Scores.of(trials, metric, greater_is_better), best)])
    if best not in trial:
        raise UserError(f"the best of them, trial {best}, has no curve: give the curves of all trials that are drawn")
    ax = one(ax)
    from matplotlib.collections import LineCollection
    from matplotlib.ticker import MaxNLocator

    epochs = np.arange(1, fan.shape[1] + 1)
    lines = [np.column_stack([epochs, row])[np.isfinite(row)] for row in fan]
    thin = float(np.clip(80 / len(lines), 0.1, 0.6))
    ax.add_collection(LineCollection(lines, colors=GREY, linewidths=0.6, alpha=thin, label="_trials"), autolim=False)
    low, middle, high = _percentiles(fan, (band[0], 50, band[1]))
    ax.fill_between(epochs, low, high, color=SKY, alpha=0.45, linewidth=0, label=f"{band[0]:g} to {band[1]:g} %")
    ax.plot(
        epochs,
        middle,
        color=BLUE,
        linewidth=1.8,
        label="median of those in training",
        marker="o" if len(epochs) == 1 else None,
    )
    _ends(ax, trials, lines, scores)
    line = lines[best]
    ax.plot(*line.T, color=BLACK, linewidth=1.8, label=f"best: trial {best}", marker="o" if len(line) == 1 else None)
    margin = 0.02 * len(epochs) if len(epochs) > 1 else 0.5
    ax.set_xlim(1 - margin, len(epochs) + margin)
    ax.set_ylim(*scores.limits)
    ax.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    tidy(ax, x="epoch", y=scores.label, title=counted(len(trials), "trial"))
    legend(ax, loc="lower right" if greater_is_better else "upper right")
    return ax


def _percentiles(fan: np.ndarray, percents: tuple[float, ...]) -> np.ndarray:
    """Percentiles over the trials that have a score in each epoch, [P, E]; NaN where none has."""
    columns = [column[np.isfinite(column)] for column in fan.T]
    return np.array([[np.percentile(c, p) if len(c) else np.nan for c in columns] for p in percents])


def _ends(ax: "Axes", trials: "pl.DataFrame", lines: list[np.ndarray], scores: Scores) -> None:
    """Mark the last epoch of each trial that did not train to its end."""
    marks = {"pruned": (".", BLUE), "stopped": (".", GREY), "diverged": ("x", VERMILION)}
    status = dict(zip(trials["trial"].to_list(), trials["status"].to_list(), strict=True))
    for name, (marker, color) in marks.items():
        numbers = [number for number, what in status.items() if what == name]
        ends = [lines[number][-1] for number in numbers if number < len(lines) and len(lines[number])]
        if ends:
            x, y = np.array(ends).T
            label = f"{name} ({len(numbers)})"
            ax.scatter(x, np.clip(y, *scores.window), s=SMALL, marker=marker, color=color, label=label, zorder=3)
