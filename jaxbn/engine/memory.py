"""How much memory there is, so that a sweep which cannot fit is refused before it starts."""

import os
from pathlib import Path

from jaxbn.engine.plan import Plan
from jaxbn.errors import UserError
from jaxbn.nn.types import Device

GROUP = Path("/sys/fs/cgroup")
MEMINFO = Path("/proc/meminfo")
SPARE = 0.9
"""The share of what is free that a sweep may plan to take."""


def free_bytes() -> int | None:
    """Memory that this process could still take: of the machine, or of the control group that it is confined to.

    Returns:
        Bytes; None where the system does not tell.
    """
    found = [free for free in (_of_machine(), _of_group()) if free is not None]
    return min(found) if found else None


def check_memory(plan: Plan, device: Device) -> None:
    """Refuse what cannot fit.

    Args:
        plan: of the sweep.
        device: one of those that train.

    Raises:
        UserError: the host or the device has less memory than is needed.
    """
    free = free_bytes()
    if free is not None and plan.host_bytes > SPARE * free:
        fits = int(plan.num_trials * SPARE * free / plan.host_bytes)
        why = "states that wait for a decision" if plan.waiting_bytes * 2 > plan.host_bytes else "curves and results"
        raise UserError(
            f"{plan.num_trials:,} trials need about {plan.host_bytes / 1e9:.1f} GB of memory, mostly for {why}, and "
            f"{free / 1e9:.1f} GB are free: train at most {fits:,} at once"
            + (", or use the scheduler none, which keeps no states" if plan.waiting_bytes * 2 > plan.host_bytes else "")
        )
    limit = (device.memory_stats() or {}).get("bytes_limit")
    if limit is not None and plan.bytes > SPARE * limit:
        raise UserError(
            f"a tile and the data need about {plan.bytes / 1e9:.1f} GB of the device's {limit / 1e9:.1f} GB: give a "
            "smaller tile_size, fewer hidden units, or fewer rows"
        )


def _of_machine() -> int | None:
    if not MEMINFO.exists():
        if not hasattr(os, "sysconf") or "SC_PHYS_PAGES" not in os.sysconf_names:
            return None
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    lines = dict(line.split(":", 1) for line in MEMINFO.read_text().splitlines() if ":" in line)
    return int(lines["MemAvailable"].split()[0]) * 1024 if "MemAvailable" in lines else None


def _of_group() -> int | None:
    try:
        most, used = (int((GROUP / name).read_text()) for name in ("memory.max", "memory.current"))
    except (OSError, ValueError):  # There is no group, or it says "max".
        return None
    return max(most - used, 0)
