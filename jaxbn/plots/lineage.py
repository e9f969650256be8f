"""Population-based training: the hyperparameter that each member lived, and from whom it took its state."""

import collections
import itertools
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from jaxbn.errors import UserError
from jaxbn.plots.scale import Scale
from jaxbn.plots.style import BLACK, CYCLE, PALE, SMALL, legend, one, tidy
from jaxbn.search import Space

if TYPE_CHECKING:
    import polars as pl
    from matplotlib.axes import Axes

NAMED = 5
"""Ancestors with a colour of their own."""

TURN = 0.2
"""Share of a segment in which a line moves from its old value to its new one."""


class Segment(NamedTuple):
    """What one member lived between two decisions: epochs, its value, whose state it took over, whose it is at root."""

    trial: int
    start: int
    end: int
    source: int
    value: float
    ancestor: int


def lineage(
    lineage: "pl.DataFrame",
    trials: "pl.DataFrame",
    name: str,
    space: Space | None = None,
    *,
    ax: "Axes | None" = None,
) -> "Axes":
    """Draw one hyperparameter of every member over its life, with an arrow wherever a state was copied.

    A line belongs to a member. Its colour is the ancestor whose weights it carries: the member in which they were
    initialised. An arrow leads from the member whose state was copied to the one that took it over.

    Args:
        lineage: a row per trial and segment: trial, epoch, source, and the values lived from there on.
        trials: a row per trial; a member lives for its `epochs`.
        name: the hyperparameter.
        space: what was searched.
        ax: axes to draw on; None makes a figure.

    Returns:
        The axes.

    Raises:
        UserError: there is no such hyperparameter, or no lineage: the sweep was not population-based training.
    """
    if not lineage.height:
        raise UserError("there is no lineage to draw: it comes of population-based training alone, scheduler='pbt'")
    scale = Scale.of(name, lineage, space)
    segments = _segments(lineage, scale.numbers(lineage), trials)
    final = {segment.trial: segment.ancestor for segment in segments}
    at_end, ever = (collections.Counter(roots) for roots in (final.values(), (s.ancestor for s in segments)))
    roots = sorted(ever, key=lambda root: (-at_end[root], -ever[root], root))[:NAMED]
    colors = dict(zip(roots, CYCLE, strict=False))

    ax = one(ax)
    from matplotlib.collections import LineCollection

    lines, line_colors, arrows = [], [], []
    lived: dict[int, Segment] = {}
    for start, group in itertools.groupby(segments, key=lambda segment: segment.start):
        before = dict(lived)
        for segment in group:
            lived[segment.trial] = segment
            source = before.get(segment.source)
            if not np.isfinite(segment.value):
                continue
            line = [(float(segment.start), segment.value), (float(segment.end), segment.value)]
            if source is not None and np.isfinite(source.value):
                turn = segment.start + TURN * (segment.end - segment.start)
                line[0] = (turn, segment.value)
                if segment.source == segment.trial:
                    line.insert(0, (float(start), source.value))
                else:
                    arrows.append(((start, source.value), (turn, segment.value)))
            lines.append(line)
            line_colors.append(colors.get(segment.ancestor, PALE))
    ax.add_collection(LineCollection(lines, colors=line_colors, linewidths=1.8, label="_members"), autolim=False)
    style = {"arrowstyle": "-|>", "color": BLACK, "linewidth": 0.7, "shrinkA": 0, "shrinkB": 0, "mutation_scale": 8}
    for tail, head in arrows:
        ax.annotate("", head, tail, arrowprops=style)
    for root, color in colors.items():
        ax.plot([], [], color=color, linewidth=1.8, label=f"trial {root} ({at_end[root]})")
    scale.put_on(ax, "y")
    last = max(segment.end for segment in segments)
    ax.set_xlim(-0.02 * last, max(last, 1) * 1.02)
    moments = sorted({moment for segment in segments for moment in (segment.start, segment.end)})
    ax.set_xticks(moments[:: -(-len(moments) // 12)])
    tidy(ax, x="epochs trained")
    title = f"{len(final)} members, {len(arrows)} copies; by whose first weights (members at the end):"
    where = {
        "loc": "lower left",
        "bbox_to_anchor": (0, 1),
        "ncols": NAMED,
        "columnspacing": 1.0,
        "handlelength": 1.2,
        "borderaxespad": 0.2,
    }
    legend(ax, title=title, title_fontsize=SMALL + 1, alignment="left", **where)
    return ax


def _segments(lineage: "pl.DataFrame", values: np.ndarray, trials: "pl.DataFrame") -> list[Segment]:
    """The segments in the order of time, each with its end and its ancestor."""
    epoch, member, source = (lineage[column].to_list() for column in ("epoch", "trial", "source"))
    rows: list[tuple[int, int, int, float]] = sorted(
        zip(epoch, member, source, values.tolist(), strict=True), key=lambda row: row[:2]
    )
    starts: dict[int, list[int]] = {}
    for start, trial, *_ in rows:
        starts.setdefault(trial, []).append(start)
    epochs = dict(zip(trials["trial"].to_list(), trials["epochs"].to_list(), strict=True))
    segments = []
    root: dict[int, int] = {}
    for start, group in itertools.groupby(rows, key=lambda row: row[0]):
        # Who is copied and copies at once hands on the state that it had before.
        before = dict(root)
        for _, trial, parent, value in group:
            root[trial] = before.get(parent, trial)
            later = [other for other in starts[trial] if other > start]
            end = min(later, default=max(epochs.get(trial, start), start))
            segments.append(Segment(trial, start, end, parent, value, root[trial]))
    return segments
