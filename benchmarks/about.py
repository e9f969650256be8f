"""Where a figure was measured."""

import contextlib
import importlib.metadata
import os
import platform
from typing import Any

PACKAGES = ("jaxbn", "jax", "jaxlib", "numpy", "scikit-learn", "optuna", "torch", "mlxtend")


def cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def about_machine() -> dict[str, Any]:
    """Versions and cores; nothing is imported for it."""
    versions = {"python": platform.python_version()}
    for name in PACKAGES:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            versions[name] = importlib.metadata.version(name)
    return {"cores": cores(), "machine": platform.machine(), "versions": versions}


def about_device() -> dict[str, Any]:
    """The same, and the device that JAX has."""
    import jax

    device = jax.local_devices()[0]
    return {"device": f"{device.platform}: {device.device_kind}", **about_machine()}
