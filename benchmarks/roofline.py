"""How near training comes to what the machine can multiply.

The product rate: every worker multiplies 1,024 x 1,024 float32 matrices at the same time. A job: the engine trains a
population whose networks are all alike, without padding; its rate is the operations of its matrix products, over the
seconds of a second pass (nothing compiles). Rounds alternate, and the shares are medians of the ratios within a round.

    python -m benchmarks.roofline [--rounds 5] [--json FILE]
"""

import argparse
import json
import statistics
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import jax
import numpy as np

from benchmarks.about import about_device
from benchmarks.alike import planned, seconds_of
from jaxbn.engine.machine import workers

SIZE, PRODUCTS = 1024, 32


@dataclass(frozen=True)
class Job:
    """A population of networks that are alike."""

    name: str
    num_inputs: int
    width: int
    batch_size: int
    num_rows: int
    num_configs: int
    num_epochs: int
    goal: float


JOBS = (
    Job("reference: digits, 64-64-64-10, batch 64", 64, 64, 64, 1437, 256, 5, 0.30),
    Job("image: mnist5k, 784-256-256-10, batch 128", 784, 256, 128, 3000, 16, 2, 0.50),
)


def product_rate() -> float:
    """Operations per second of large matrix products, all workers together."""
    devices = workers()

    def many(a: jax.Array, b: jax.Array) -> jax.Array:
        with jax.default_matmul_precision("highest"):
            # Each product needs the one before, or XLA would compute only one.
            return jax.lax.fori_loop(0, PRODUCTS, lambda _, c: c @ b, a)

    compiled = {device: jax.jit(many).lower(*_pair(device)).compile() for device in dict.fromkeys(devices)}
    pairs = [_pair(device) for device in devices]

    def multiply(place: int) -> None:
        jax.block_until_ready(compiled[devices[place]](*pairs[place]))

    best = 0.0
    with ThreadPoolExecutor(len(devices)) as pool:
        for _ in range(4):
            began = time.perf_counter()
            list(pool.map(multiply, range(len(devices))))
            best = max(best, len(devices) * PRODUCTS * 2 * SIZE**3 / (time.perf_counter() - began))
    return best


def _pair(device: object) -> tuple[jax.Array, jax.Array]:
    rng = np.random.default_rng(0)
    a, b = (rng.normal(size=(SIZE, SIZE)).astype(np.float32) for _ in range(2))
    return jax.device_put((a, b / np.float32(np.sqrt(SIZE))), device)  # type: ignore[arg-type]


def main() -> None:
    """Measure, print a table, and write JSON where asked."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.roofline", description="How near to the product rate.")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", type=Path, help="file to write the figures to")
    asked = parser.parse_args()
    ready = []
    for job in JOBS:
        plan, data = planned(
            members=job.num_configs,
            epochs=job.num_epochs,
            rows=job.num_rows,
            num_inputs=job.num_inputs,
            width=job.width,
            depth=2,
            batch_size=job.batch_size,
        )
        ready.append((job, plan, data))
    for _, plan, data in ready:
        seconds_of(plan, data)
    found: dict[str, list[dict[str, float]]] = {job.name: [] for job in JOBS}
    for _ in range(asked.rounds):
        for job, plan, data in ready:
            peak = product_rate()
            # Useful operations only: copies that fill a tile up, and rows that fill a mini-batch up, do not count.
            rate = plan.useful_flops / seconds_of(plan, data)
            found[job.name].append({"peak": peak, "rate": rate, "share": rate / peak})
    print(
        "| job | product rate, GFLOP/s | training, GFLOP/s | share, median (min to max) | goal |\n|---|---|---|---|---|"
    )
    for job in JOBS:
        rows = found[job.name]
        peak, rate, share = (statistics.median(row[key] for row in rows) for key in ("peak", "rate", "share"))
        low, high = (pick(row["share"] for row in rows) for pick in (min, max))
        print(
            f"| {job.name} | {peak / 1e9:.0f} | {rate / 1e9:.0f} | {share:.2f} ({low:.2f} to {high:.2f}) | {job.goal} |"
        )
    if asked.json:
        asked.json.write_text(json.dumps({"about": about_device(), "rounds": found}, indent=1) + "\n")


if __name__ == "__main__":
    main()
