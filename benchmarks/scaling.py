"""Does cost grow as work grows? Time and memory against members, epochs, rows, width and depth, one at a time.

Each point is a process of its own, which trains made-up rows eight times and takes the median of the last seven:
compiling and warming up are outside. Time is compared with a straight line through all points but the first, fitted by
least relative squares: against members, epochs, rows and depth themselves, and for the width against the operations
that the plan counts. Peak memory is that of the process; what the plan says it should have grown by stands beside it.

    python -m benchmarks.scaling [--json FILE] [--figure FILE]
"""

import argparse
import json
import resource
import statistics
import subprocess
import sys
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np

from benchmarks.about import about_device

REPEATS = 7


@dataclass(frozen=True)
class Work:
    """What a point trains."""

    members: int = 512
    epochs: int = 2
    rows: int = 1024
    width: int = 64
    depth: int = 2


@dataclass(frozen=True)
class Point:
    """What it took: seconds of training, peak bytes of the process, and what the plan said."""

    work: Work
    x: float
    seconds: float
    peak_bytes: int
    planned_bytes: int
    tile_size: int


VALUES = {
    "members": (64, 128, 256, 512, 1024, 2048, 4096),
    "epochs": (1, 2, 4, 8, 16, 32),
    "rows": (256, 512, 1024, 2048, 4096, 8192),
    "width": (32, 64, 128, 256, 512),
    "depth": (1, 2, 3, 4, 5, 6),
}
BASE = {
    "epochs": Work(members=128),
    "rows": Work(members=128),
    "width": Work(members=128, epochs=4),
    "depth": Work(members=256, epochs=4),
}


def measure(work: Work, against: str) -> Point:
    """Train one point in this process."""
    from benchmarks.alike import planned, seconds_of

    plan, data = planned(**asdict(work), num_inputs=64, batch_size=64)
    seconds = [seconds_of(plan, data) for _ in range(1 + REPEATS)]
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    amount = plan.flops if against == "width" else getattr(work, against)
    median = statistics.median(seconds[1:])
    return Point(work, float(amount), median, peak, plan.bytes + plan.host_bytes, plan.programs[0].tile_size)


def line(points: list[Point]) -> tuple[float, float, float]:
    """Intercept and slope of the straight line through all points but the first, and the largest relative distance."""
    x, y = (np.array([getattr(point, name) for point in points[1:]]) for name in ("x", "seconds"))
    design = np.stack([np.ones_like(x), x], 1)
    (intercept, slope), *_ = np.linalg.lstsq(design / y[:, None], np.ones_like(y), rcond=None)
    return float(intercept), float(slope), float(np.abs((intercept + slope * x) / y - 1).max())


def table(curves: dict[str, list[Point]]) -> str:
    """The points as Markdown."""
    lines = [
        "| against | values | seconds | T | largest distance from the line | peak MB | planned to grow by, MB |",
        "|---|---|---|---|---|---|---|",
    ]
    for against, points in curves.items():
        cells = (
            ", ".join(str(getattr(point.work, against)) for point in points),
            ", ".join(f"{point.seconds:.2f}" for point in points),
            ", ".join(str(point.tile_size) for point in points),
            f"{line(points)[2]:.0%}",
            ", ".join(f"{point.peak_bytes / 1e6:.0f}" for point in points),
            f"{(max(p.planned_bytes for p in points) - min(p.planned_bytes for p in points)) / 1e6:.0f}",
        )
        lines.append(f"| {against} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def draw(curves: dict[str, list[Point]], path: str) -> None:
    """A panel for each: time above, peak memory below."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(2, len(curves), figsize=(3.2 * len(curves), 5.4), constrained_layout=True)
    for (above, below), (against, points) in zip(axes.T, curves.items(), strict=True):
        x = np.array([point.x for point in points])
        intercept, slope, far = line(points)
        above.plot(x, [point.seconds for point in points], "o", color="#0072B2", label="measured")
        above.plot(x[1:], intercept + slope * x[1:], "-", color="#D55E00", label=f"line, within {far:.0%}")
        above.set(xlim=(0, None), ylim=(0, None), ylabel="seconds of training")
        above.legend(frameon=False, fontsize=8)
        below.plot(x, [point.peak_bytes / 1e6 for point in points], "o-", color="#009E73")
        top = 1.1 * max(point.peak_bytes for point in points) / 1e6
        below.set(xlim=(0, None), ylim=(0, top), ylabel="peak MB of the process")
        below.set_xlabel("operations (width)" if against == "width" else against)
    figure.savefig(path, dpi=110)


def main() -> None:
    """Measure, print a table, and write JSON and a figure where asked."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.scaling", description="Does cost grow as work grows?")
    parser.add_argument("--against", nargs="+", choices=tuple(VALUES), default=list(VALUES), metavar="WHAT")
    parser.add_argument("--json", type=Path, help="file to write the figures to")
    parser.add_argument("--figure", help="file to draw the curves into")
    parser.add_argument("--point", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.point:
        given = json.loads(asked.point)
        print(json.dumps(asdict(measure(Work(**given["work"]), given["against"]))))
        return
    curves: dict[str, list[Point]] = {}
    for against in asked.against:
        curves[against] = []
        for value in VALUES[against]:
            work = replace(BASE.get(against, Work()), **{against: value})
            given = json.dumps({"work": asdict(work), "against": against})
            done = subprocess.run(
                [sys.executable, "-m", "benchmarks.scaling", "--point", given],
                check=True,
                stdout=subprocess.PIPE,
                text=True,
            )
            found = json.loads(done.stdout)
            curves[against].append(Point(**found | {"work": Work(**found["work"])}))
            print(f"{against} {value}: {curves[against][-1].seconds:.3f} s", flush=True)
    print(table(curves))
    if asked.json:
        lines = {
            against: dict(zip(("intercept", "slope", "far"), line(points), strict=True))
            for against, points in curves.items()
        }
        record = {
            "about": about_device(),
            "lines": lines,
            "curves": {k: [asdict(p) for p in v] for k, v in curves.items()},
        }
        asked.json.write_text(json.dumps(record, indent=1) + "\n")
    if asked.figure:
        draw(curves, asked.figure)


if __name__ == "__main__":
    main()
