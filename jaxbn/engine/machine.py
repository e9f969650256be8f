"""The machine: its devices, its workers, and what they are reckoned to cost."""

import dataclasses
import functools
import os
from pathlib import Path

import jax

from jaxbn.engine import cost
from jaxbn.engine.cache import kept_in
from jaxbn.engine.speed import Speed, remembered
from jaxbn.errors import UserError
from jaxbn.nn.types import Device


def workers(count: int | None = None) -> list[Device]:
    """A device for each worker: every local device once, or a single CPU once per core that this process may use.

    Args:
        count: how many of the local devices; None is all of them.

    Raises:
        UserError: there are fewer.
    """
    devices = jax.local_devices()
    if count is not None and not 1 <= count <= len(devices):
        kind = devices[0].device_kind
        most = f"1 to {len(devices)}" if len(devices) > 1 else "1"
        raise UserError(f"devices = {count} and JAX has {len(devices)} of kind {kind!r}: ask for {most}")
    devices = devices[:count]
    return devices * _cores() if len(devices) == 1 and devices[0].platform == "cpu" else devices


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def compilers() -> int:
    """How many programs are compiled at a time: a compiler uses nearly two cores, and training needs some too."""
    return max(1, min(4, _cores() // 4))


def machine(count: int | None = None) -> cost.Rates:
    """Rates of this machine: measured once and remembered where compiled programs are kept, else those of its kind.

    Args:
        count: how many of the local devices are used; None is all of them.
    """
    devices, folder = workers(count), kept_in()
    if devices[0].platform == "cpu":
        # More devices than cores, which XLA can be told to make of a CPU, are no faster, and are planned for alike.
        devices = devices[:1] * min(len(devices), _cores())
    rates = cost.rates(devices[0].platform, len(devices))
    if folder is not None:
        rates = _speed(folder, tuple(devices)).scaled(rates)
    # Every accelerator has programs of its own.
    times = len(set(devices)) / compilers()
    return dataclasses.replace(rates, compile=rates.compile * times, compile_small=rates.compile_small * times)


@functools.cache
def _speed(folder: Path, devices: tuple[Device, ...]) -> Speed:
    return remembered(folder, list(devices), cost.rates(devices[0].platform, len(devices)))
