"""How fast this machine is beside the one whose rates `cost` holds: measured once, and remembered.

What is measured is an epoch program like any other, so that one number scales all rates of training and another one
those of compiling. Both are rounded, so that a machine measured twice plans the same.
"""

import contextlib
import dataclasses
import json
import math
import statistics
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxbn.engine import cost, keys
from jaxbn.engine.cache import kind_of_machine
from jaxbn.engine.ladder import tile_step_seconds
from jaxbn.engine.programs import OPTIONS, Problem, Program, arguments, function, sizes_of
from jaxbn.nn.types import Device, Spec

PROGRAM = Program("epoch", Spec(), 8, Problem("classification", 64, 10, 1024, 0, ()))
LEAST, MOST = 1 / 16, 16.0
REPEATS, EPOCHS = 5, 4
COMPILE_ALONE = {"cpu": 0.75}
"""Seconds that the program takes to compile with nothing beside it, where `cost.rates` holds; elsewhere as there."""


@dataclasses.dataclass(frozen=True)
class Speed:
    """Factors by which a machine is faster than the one of `cost.rates`, in training and in compiling."""

    training: float = 1.0
    compiling: float = 1.0

    def scaled(self, rates: cost.Rates) -> cost.Rates:
        """The rates of a machine of this speed."""
        return dataclasses.replace(
            rates,
            flops=rates.flops * self.training,
            activation=rates.activation / self.training,
            parameter=rates.parameter / self.training,
            step=rates.step / self.training,
            compile=rates.compile / self.compiling,
            compile_small=rates.compile_small / self.compiling,
        )


def remembered(folder: Path, devices: list[Device], rates: cost.Rates) -> Speed:
    """The speed that a file in a folder holds for this machine, or that is measured now and written there.

    Args:
        folder: where it is remembered.
        devices: one for each worker.
        rates: of the machine that has speed 1.

    Returns:
        The speed. What cannot be read is measured again; what cannot be written is not remembered.
    """
    path = folder / f"speed-{devices[0].platform}-{len(devices)}.json"
    machine = f"{kind_of_machine()} {devices[0].device_kind} x {len(devices)}"
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
        found = json.loads(path.read_text())
        if found["machine"] == machine:
            speed = Speed(float(found["training"]), float(found["compiling"]))
            if all(LEAST <= factor <= MOST for factor in dataclasses.astuple(speed)):
                return speed
    speed = measure(devices, rates)
    with contextlib.suppress(OSError):
        path.write_text(json.dumps({"machine": machine, **dataclasses.asdict(speed)}) + "\n")
    return speed


def measure(devices: list[Device], rates: cost.Rates) -> Speed:
    """Compile one program and let every worker train with it: two seconds on a CPU.

    Args:
        devices: one for each worker.
        rates: of the machine that has speed 1.

    Returns:
        The speed.
    """
    run = function(PROGRAM)
    # A name of its own: a program taken from disk would tell nothing of compiling.
    run.__name__ = f"jaxbn_speed_{time.time_ns()}"
    programs, compiling = {}, 0.0
    for device in dict.fromkeys(devices):
        given = jax.device_put(jax.tree.map(_filled, arguments(PROGRAM)), device)
        began = time.perf_counter()
        programs[device] = jax.jit(run).lower(*given).compile(OPTIONS.get(device.platform)), given
        compiling = compiling or time.perf_counter() - began

    def train(device: Device) -> None:
        epoch, given = programs[device]
        for _ in range(EPOCHS):
            jax.block_until_ready(epoch(*given))

    seconds = []
    with ThreadPoolExecutor(len(devices)) as pool:
        for _ in range(1 + REPEATS):
            began = time.perf_counter()
            list(pool.map(train, devices))
            seconds.append(time.perf_counter() - began)
    steps = EPOCHS * math.ceil(PROGRAM.problem.train_rows / PROGRAM.spec.batch_size)
    step = tile_step_seconds(PROGRAM.spec, PROGRAM.tile_size, sizes_of(PROGRAM.problem), rates)
    # The first was to warm up.
    return Speed(
        rounded(steps * step / statistics.median(seconds[1:])),
        rounded(COMPILE_ALONE.get(devices[0].platform, rates.compile) / compiling),
    )


def rounded(factor: float) -> float:
    """A factor as a power of two, between a sixteenth and sixteen: a shared machine drifts by a quarter in an hour.

    Example:
        >>> rounded(1.9), rounded(1e9)
        (2.0, 16.0)
    """
    return min(max(2.0 ** round(math.log2(factor)), LEAST), MOST)


def _filled(leaf: Any) -> Any:
    """Numbers for an argument: what they are does not change how long a step takes."""
    if jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key):
        return keys.key()
    if leaf.shape == () and leaf.dtype == np.int32:
        return np.int32(PROGRAM.problem.train_rows)
    fill = (
        PROGRAM.spec.batch_size if leaf.dtype == np.int32 and leaf.ndim == 1 and leaf.size == PROGRAM.tile_size else 1
    )
    return np.full(leaf.shape, fill, leaf.dtype)
