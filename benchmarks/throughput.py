"""How fast many small networks train: jaxbn against the ways a person would write it, in one run.

Digits, 64-64-64-10 with batch normalisation, Adam, batch 64; a learning rate for each network. Every round
runs every way once, so that a machine whose speed drifts slows them alike; a ratio is the median over rounds of the
ratio within a round. Compile time is shown apart. On a GPU the same command runs unchanged; every way's matrix
products are then in one precision, which JAX by itself would not choose (its products of float32 are tf32 there).

    python -m benchmarks.throughput [--rounds 5] [--configs 256] [--members 4096] [--epochs 5] [--precision tf32]
        [--ways NAME ...] [--json FILE]
"""

import argparse
import functools
import importlib.util
import json
import statistics
import time
from dataclasses import asdict

import jax
import numpy as np

from benchmarks.about import about_device
from benchmarks.rival import Rival, Timing, digits
from benchmarks.rivals import RIVALS
from jaxbn.data import Rows
from jaxbn.engine.data import Data, padded
from jaxbn.engine.machine import machine
from jaxbn.engine.plan import Plan
from jaxbn.engine.planner import plan_tiles
from jaxbn.engine.programs import CHUNK, MATMUL, Problem
from jaxbn.engine.run import Compiled, run
from jaxbn.search import LADDER, Choice, Config, Space, pad
from jaxbn.search.halving import to_the_end

BATCH_SIZE, SEED = 64, 0

GOALS = {
    "torch_eager_loop": 20.0,
    "jax_step_loop": 10.0,
    "torch_stacked_bmm": 4.0,
    "flax_vmapped_step": 3.0,
    "vmap_all": 2.5,
    "serial_scan": 1.8,
    "scan_per_core": 1.05,
}
"""Time per config of each way over jaxbn's, on 2 cores: what the project promises."""

GOALS_GPU = {"torch_eager_loop": 1000.0, "torch_stacked_graph": 3.0, "torch_stacked_compiled": 3.0}
"""The same on a GPU, with 4,096 members."""


def jaxbn_tiles(
    x, y, learning_rates, num_epochs: int, batch_size: int, seed: int, *, precision: str = "float32"
) -> Timing:
    """The engine of a sweep. After each epoch it also scores every member, here on one chunk of rows."""
    rates = sorted({float(rate) for rate in learning_rates})
    space = Space(learning_rate=Choice(*rates), hidden_units=64, num_layers=2, batch_size=batch_size)
    configs = [space.config({"learning_rate": (i + 0.5) / len(rates)}) for i in range(len(rates))]
    return trained(configs, space, x, y, num_epochs, seed, precision=precision)


def trained(
    configs: list[Config], space: Space | None, x, y, num_epochs: int, seed: int, *, precision: str = "float32"
) -> Timing:
    """Configurations trained by the engine, of a space or listed."""
    problem = Problem("classification", x.shape[1], 10, pad(len(x), LADDER), CHUNK, ("loss", "accuracy"))
    plan = plan_tiles(
        configs,
        space,
        [problem],
        num_rows=[len(x)],
        rungs=to_the_end(len(configs), num_epochs),
        rates=machine(),
        probes=None if space is not None else configs,
        precision=precision,
    )
    weight = np.ones(len(x), np.float32)
    data = Data(
        padded(Rows(x, y, weight), problem.train_rows),
        padded(Rows(x[:1], y[:1], weight[:1]), problem.valid_rows),
        np.ones(10),
    )
    # The first pass compiles what is not compiled yet, and warms up.
    compile_seconds, _, _ = _timed(plan, data, seed)
    _, train_seconds, losses = _timed(plan, data, seed)
    return Timing("jaxbn", len(configs), compile_seconds, train_seconds, float(np.median(losses)))


def _timed(plan: Plan, data: Data, seed: int) -> tuple[float, float, list[float]]:
    """Seconds of compiling, seconds of the whole pass, and last losses."""
    compiling: list[float] = []

    def listen(event: object) -> None:
        if isinstance(event, Compiled):
            compiling.append(event.seconds)

    start = time.perf_counter()
    losses = [loss for tile in run(plan, [data], seed=seed, on_event=listen) for loss in tile.train_loss[-1]]
    return sum(compiling), time.perf_counter() - start, losses


def measure(
    rivals: tuple[Rival, ...], *, rounds: int, most: int, members: int | None, num_epochs: int
) -> dict[str, list[Timing]]:
    """Every way once in each round."""
    rows = digits()
    x, y = rows["x"], rows["y"]
    timings: dict[str, list[Timing]] = {rival.name: [] for rival in rivals}
    for number in range(rounds):
        for rival in rivals:
            count = members if members and rival.together else min(rival.num_configs, most)
            rates = np.logspace(-3.5, -1.5, count)
            timings[rival.name].append(rival.run(x, y, rates, num_epochs, BATCH_SIZE, SEED))
            print(
                f"round {number + 1}: {rival.name} {timings[rival.name][-1].milliseconds_per_config:.2f} ms",
                flush=True,
            )
    return timings


def summarise(timings: dict[str, list[Timing]]) -> list[dict]:
    """A row for each way, slowest first."""
    ours = [timing.milliseconds_per_config for timing in timings["jaxbn"]]
    goals = GOALS_GPU if jax.default_backend() == "gpu" else GOALS
    rows = []
    for name, of_rival in timings.items():
        theirs = [timing.milliseconds_per_config for timing in of_rival]
        ratios = [a / b for a, b in zip(theirs, ours, strict=True)]
        rows.append(
            {
                "name": name,
                "num_configs": of_rival[0].num_configs,
                "ms_per_config": statistics.median(theirs),
                "ms_per_config_all": theirs,
                "ratio": statistics.median(ratios),
                "ratio_min": min(ratios),
                "ratio_max": max(ratios),
                "goal": goals.get(name),
                "compile_seconds": of_rival[0].seconds_compile,
                "final_loss": of_rival[0].final_loss,
            }
        )
    return sorted(rows, key=lambda row: -row["ms_per_config"])


def table(rows: list[dict]) -> str:
    """The rows as Markdown."""
    lines = [
        "| way | configs | ms/config | x jaxbn (min to max) | goal | compile s | final loss |",
        "|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        goal = "" if row["goal"] is None else f"{row['goal']:g}"
        lines.append(
            f"| {row['name']} | {row['num_configs']} | {row['ms_per_config']:.4g} | {row['ratio']:.2f} "
            f"({row['ratio_min']:.2f} to {row['ratio_max']:.2f}) | {goal} | {row['compile_seconds']:.1f} | "
            f"{row['final_loss']:.4f} |"
        )
    return "\n".join(lines)


def write(path: str, about: dict, rows: list[dict], timings: dict[str, list[Timing]]) -> None:
    """The figures as JSON."""
    every = {name: [asdict(one) for one in some] for name, some in timings.items()}
    with open(path, "w") as file:
        json.dump({"about": about, "rows": rows, "timings": every}, file, indent=1)
        file.write("\n")


def main() -> None:
    """Measure, print a table, and write JSON where asked."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.throughput", description="How fast many small networks train."
    )
    parser.add_argument("--rounds", type=int, default=5, help="how often each way runs (default 5)")
    parser.add_argument("--configs", type=int, default=256, help="configs at the most (default 256)")
    parser.add_argument("--members", type=int, help="configs of jaxbn and of the ways that train many together")
    parser.add_argument("--epochs", type=int, default=5, help="of each network (default 5)")
    parser.add_argument("--ways", nargs="+", metavar="NAME", help="of the rivals, these alone")
    parser.add_argument(
        "--precision", choices=("float32", "tf32"), default="float32", help="of all matrix products (default float32)"
    )
    parser.add_argument("--json", help="file to write the figures to")
    arguments = parser.parse_args()
    there = []
    for rival in RIVALS:
        if arguments.ways and rival.name not in arguments.ways:
            continue
        if rival.needs is not None and importlib.util.find_spec(rival.needs) is None:
            print(f"{rival.name} is left out: {rival.needs} is not installed")
        elif rival.gpu and jax.default_backend() != "gpu":
            print(f"{rival.name} is left out: JAX has no GPU")
        else:
            there.append(rival)
    ours = functools.partial(jaxbn_tiles, precision=arguments.precision)
    rivals = (Rival("jaxbn", ours, 256, together=True), *there)
    if importlib.util.find_spec("torch") is not None:
        import torch  # pyright: ignore[reportMissingImports]

        torch.backends.cuda.matmul.allow_tf32 = arguments.precision == "tf32"
    with jax.default_matmul_precision(MATMUL[arguments.precision]):
        timings = measure(
            rivals,
            rounds=arguments.rounds,
            most=arguments.configs,
            members=arguments.members,
            num_epochs=arguments.epochs,
        )
    rows = summarise(timings)
    about = {
        **about_device(),
        "rounds": arguments.rounds,
        "epochs": arguments.epochs,
        "precision": arguments.precision,
    }
    print(table(rows))
    if arguments.json:
        write(arguments.json, about, rows, timings)


if __name__ == "__main__":
    main()
