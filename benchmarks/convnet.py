"""Convolutional networks: does it pay to train them in tiles, and against a jitted loop over them one by one?

The same networks (those of `examples/convnet_sweep.py`, 16 features, mini-batches of 64) in the same run: the engine as
the planner has it, the engine with tiles of 2 and 4 stacked members, and a jitted epoch that is called for one network
after another, whose operations XLA spreads over all cores. All score the validation rows after each epoch; the engine
trains its nine linear models too, which is little. Seconds are of training; compiling is apart.

    python -m benchmarks.convnet --data mnist5k --json FILE
"""

import argparse
import functools
import json
import math
import statistics
import time
from pathlib import Path

import jax
import numpy as np

from benchmarks.about import about_machine
from examples.convnet_sweep import space
from jaxbn.data import load_data
from jaxbn.engine import keys
from jaxbn.engine.data import host_data, place
from jaxbn.engine.programs import CHUNK, sizes_of
from jaxbn.engine.work import network
from jaxbn.nn import train
from jaxbn.search import Config, Space, split
from jaxbn.study.settings import Settings
from jaxbn.study.settle import set_up
from jaxbn.study.setup import Setup
from jaxbn.study.sweep import sweep


def configs_of(data: str, count: int) -> list[Config]:
    """So many networks of one shape, each with its own learning rate, dropout and decay of the statistics."""
    searched = space(data)
    domains = {name: domain for name, domain in searched.domains.items() if name not in ("features", "batch_size")}
    narrow = Space(
        architecture=searched.architecture, **{**searched.fixed, **domains, "features": 16, "batch_size": 64}
    )
    rng = np.random.default_rng(0)
    return [narrow.config({name: rng.random() for name in narrow.domains}) for _ in range(count)]


def one_by_one(setup: Setup, num_epochs: int) -> float:
    """Seconds of a jitted epoch, and of scoring the validation rows, called for one network after another."""
    problem, fold = setup.plan.problem, setup.folds[0]
    data = place(host_data(fold.prepared, problem), jax.local_devices()[0])
    num_rows = len(fold.prepared.train.x)
    spec, _ = split(setup.configs[0])
    model = network(spec, sizes_of(problem))
    step = functools.partial(train.step, model=model, spec=spec)

    @jax.jit
    def epoch(key, state, order, hyperparams):
        size = {"batch_size": hyperparams.batch_size, "size": spec.batch_size}
        with jax.default_matmul_precision("highest"):
            return train.epoch(key, state, data.train, order, hyperparams, **size, step=step)

    @jax.jit
    def scored(state, hyperparams):
        given = (state.variables, data.valid.x, data.valid.num_rows, hyperparams)
        with jax.default_matmul_precision("highest"):
            outputs = train.evaluate(*given, model=model, size=CHUNK)
        return (outputs.argmax(1) == data.valid.y).sum()

    draw = jax.jit(functools.partial(train.order, size=problem.train_rows))
    start = jax.jit(functools.partial(train.init, model=model, spec=spec))
    order, drop = (keys.purpose(0, purpose) for purpose in (keys.ORDER, keys.DROPOUT))

    def run(configs: list[Config]) -> float:
        began = time.perf_counter()
        for config in configs:
            _, h = split(config, num_epochs=num_epochs)
            h = jax.tree.map(lambda a: a.astype(np.float32) if a.dtype == np.float64 else a, h)
            state = start(keys.purpose(0, keys.INIT), h)
            for number in range(num_epochs):
                rows = draw(jax.random.fold_in(order, number), num_rows)
                state, _ = epoch(jax.random.fold_in(drop, number), state, rows, h)
                scored(state, h).block_until_ready()
        return time.perf_counter() - began

    run(setup.configs[:1])  # To compile.
    return run(setup.configs)


def main() -> None:
    """Measure, print, and write JSON where asked."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.convnet", description="Convolutional networks in tiles, and one by one."
    )
    parser.add_argument("--data", choices=("digits", "mnist5k"), default="digits")
    parser.add_argument("--num-configs", type=int, default=8)
    parser.add_argument("--num-epochs", type=int, default=3)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--tiles", type=int, nargs="*", default=[2, 4])
    parser.add_argument("--json", help="file to write the figures to")
    asked = parser.parse_args()
    dataset, configs = load_data(asked.data), configs_of(asked.data, asked.num_configs)
    settings = {"num_epochs": asked.num_epochs}
    setup = set_up(configs, dataset, Settings(num_configs=len(configs), **settings))
    planned = next(program.tile_size for program in setup.plan.programs if program.spec.architecture is not None)
    ways: dict[str, list[float]] = {}
    for _ in range(asked.repeats):
        for size in (None, *asked.tiles):
            name = f"engine, tiles of {size or planned}" + ("" if size else " (the planner's)")
            seconds = sweep(configs, dataset, tile_size=size, **settings).seconds
            ways.setdefault(name, []).append(seconds.train / len(configs))
        ways.setdefault("a jitted epoch, one network after another", []).append(
            one_by_one(setup, asked.num_epochs) / len(configs)
        )
    rows = [{"way": name, "seconds": statistics.median(found), "all": found} for name, found in ways.items()]
    least = min(row["seconds"] for row in rows if "planner" in row["way"])
    print(f"{asked.data}, {len(configs)} networks, {asked.num_epochs} epochs, medians of {asked.repeats}")
    for row in rows:
        row["ratio"] = row["seconds"] / least
        print(f"{row['way']:45} {row['seconds']:8.3f} s a network {row['ratio']:6.2f} x the planner's")
    estimate = setup.plan.total_train_seconds / len(configs)
    print(f"the plan's estimate: {estimate:.3f} s a network, {estimate / least:.2f} x what it was")
    assert math.isfinite(least)
    if asked.json:
        record = {"about": about_machine(), "asked": vars(asked), "rows": rows, "estimate": estimate}
        Path(asked.json).write_text(json.dumps(record, indent=1) + "\n")


if __name__ == "__main__":
    main()
