"""How near training on an accelerator comes to what it could do at best.

The floor of a step is the longer of two times: the operations of its matrix products at the rate of large products (of
8,192 x 8,192 float32 matrices in full precision), and the bytes that must pass through memory at the rate of a large
copy: weights and both of Adam's averages, read once and written once. Mini-batches and activations count as staying in
the cache. A job trains a population of like networks with the engine; drawing weights, scoring one chunk of rows after
each epoch and the host's work are inside its time, compiling is not.

    python -m benchmarks.floor [--members 64 1024 16384] [--widths 16 64 256] [--json FILE]
"""

import argparse
import json
import math
import statistics
import time
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp

from benchmarks.about import about_device
from benchmarks.alike import planned, seconds_of
from jaxbn.engine.programs import sizes_of
from jaxbn.engine.work import work_of

SIZE, ROWS, BATCH_SIZE, EPOCHS, REPEATS = 8192, 1437, 64, 10, 3


def product_rate(size: int = SIZE) -> float:
    """Operations per second of large matrix products in float32."""
    a = jax.random.normal(jax.random.key(0), (size, size), jnp.float32)
    multiply = jax.jit(lambda a, b: jnp.matmul(a, b, precision="highest"))
    return 2 * size**3 / _least(multiply, a, a)


def copy_rate(numbers: int = 1 << 28) -> float:
    """Bytes read and written per second by a large copy."""
    x = jnp.ones(numbers, jnp.float32)
    return 2 * x.nbytes / _least(jax.jit(lambda x: x + 1), x)


def _least(work: Any, *arguments: jax.Array) -> float:
    jax.block_until_ready(work(*arguments))
    seconds = []
    for _ in range(5):
        began = time.perf_counter()
        jax.block_until_ready(work(*arguments))
        seconds.append(time.perf_counter() - began)
    return min(seconds)


def measure(members: int, width: int, products: float, copies: float) -> dict[str, Any]:
    """Train one population, and compare."""
    plan, data = planned(
        members=members, epochs=EPOCHS, rows=ROWS, num_inputs=64, width=width, depth=2, batch_size=BATCH_SIZE
    )
    program = plan.programs[0]
    steps = EPOCHS * math.ceil(ROWS / BATCH_SIZE)
    moved = 6 * 4 * work_of(program.spec, sizes_of(program.problem)).params * members
    floor = max(plan.useful_flops / steps / products, moved / copies)
    seconds_of(plan, data)
    step = statistics.median(seconds_of(plan, data) for _ in range(REPEATS)) / steps
    row = {
        "members": members,
        "width": width,
        "tile_size": program.tile_size,
        "flops_ms": 1e3 * plan.useful_flops / steps / products,
        "bytes_ms": 1e3 * moved / copies,
        "step_ms": 1e3 * step,
        "share": floor / step,
    }
    print(
        f"| {members} | {width} | {program.tile_size} | {row['flops_ms']:.3f} | {row['bytes_ms']:.3f} | "
        f"{row['step_ms']:.3f} | {row['share']:.2f} |",
        flush=True,
    )
    return row


def main() -> None:
    """Measure, print a table, and write JSON where asked."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.floor", description="How near to the floor.")
    parser.add_argument("--members", type=int, nargs="+", default=[64, 1024, 16384])
    parser.add_argument("--widths", type=int, nargs="+", default=[16, 64, 256])
    parser.add_argument("--json", type=Path, help="file to write the figures to")
    asked = parser.parse_args()
    products, copies = product_rate(), copy_rate()
    print(f"products {products / 1e12:.1f} TFLOP/s, copies {copies / 1e12:.2f} TB/s")
    print("| members | width | T | products, ms | bytes, ms | step, ms | share of the floor |")
    print("|---|---|---|---|---|---|---|")
    rows = []
    for width in asked.widths:
        for members in asked.members:
            rows.append(measure(members, width, products, copies))
            if asked.json:
                record = {"about": about_device(), "product_rate": products, "copy_rate": copies, "rows": rows}
                asked.json.write_text(json.dumps(record, indent=1) + "\n")


if __name__ == "__main__":
    main()
