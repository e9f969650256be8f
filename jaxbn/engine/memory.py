"""How much memory there is, so that a sweep which cannot fit is refused before it starts."""

import os
from pathlib import Path

from jaxbn.engine.plan import Plan
from jaxbn.errors import UserError
from jaxbn.nn.types import Device

GROUP = Path("/sys/fs/cgroup")
OWN_GROUP = Path("/proc/self/cgroup")
MEMINFO = Path("/proc/meminfo")
SPARE = 0.9
"""The share of what is free that a sweep may plan to take."""


def free_bytes() -> int | None:
    """Memory that this process could still take: of the machine, or of the control group that it is confined to.

    Returns:
        Bytes; where the system tells only how much there is in all, that; None where it tells nothing.
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
    free, on_cpu = free_bytes(), device.platform == "cpu"
    # Data and tiles take as much however many trials there are.
    fixed = plan.bytes if on_cpu else 0
    needed = plan.host_bytes + fixed
    if free is not None and needed > SPARE * free:
        if fixed > SPARE * free:
            less = "a smaller tile_size, smaller batches or fewer hidden units"
            less = "fewer rows" if plan.data_bytes * 2 > fixed else less
            raise UserError(
                f"the data and the tiles that train at once need about {fixed / 1e9:.1f} GB of memory, and "
                f"{free / 1e9:.1f} GB are free: give {less}"
            )
        fits = int(plan.num_trials * (SPARE * free - fixed) / plan.host_bytes)
        advice = f"train at most {fits:,} at once" if fits else "give fewer epochs, or fewer hidden units"
        why = "states that are kept" if plan.kept_bytes * 2 > needed else "curves, results and data"
        why = "states that wait for a decision" if plan.waiting_bytes * 2 > needed else why
        raise UserError(
            f"{plan.num_trials:,} trials need about {needed / 1e9:.1f} GB of memory, mostly for {why}, and "
            f"{free / 1e9:.1f} GB are free: {advice}"
        )
    limit = None if on_cpu else (device.memory_stats() or {}).get("bytes_limit")
    if limit is not None and plan.bytes_of_one_worker > SPARE * limit:
        raise UserError(
            f"a tile and the data need about {plan.bytes_of_one_worker / 1e9:.1f} GB of the device's "
            f"{limit / 1e9:.1f} GB: give a smaller tile_size, fewer hidden units, or fewer rows"
        )


def _of_machine() -> int | None:
    if not MEMINFO.exists():
        if not hasattr(os, "sysconf") or "SC_PHYS_PAGES" not in os.sysconf_names:
            return None
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    lines = dict(line.split(":", 1) for line in MEMINFO.read_text().splitlines() if ":" in line)
    return int(lines["MemAvailable"].split()[0]) * 1024 if "MemAvailable" in lines else None


def _of_group() -> int | None:
    """What is left within the control groups (version 2) that this process is in, without what the kernel can drop."""
    try:
        inside = Path(OWN_GROUP.read_text().split("::", 1)[1].strip().lstrip("/")).parts
    except (OSError, IndexError):
        inside = ()
    found = []
    for depth in range(len(inside) + 1):
        group = GROUP.joinpath(*inside[:depth])
        try:
            most, used = (int((group / name).read_text()) for name in ("memory.max", "memory.current"))
            lines = dict(line.split() for line in (group / "memory.stat").read_text().splitlines())
            found.append(max(most - used + int(lines.get("inactive_file", 0)), 0))
        except (OSError, ValueError):  # It is no group, or it says "max".
            continue
    return min(found, default=None)
