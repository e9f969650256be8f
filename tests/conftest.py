"""Settings of every test. The device is JAX's own choice, so that the same tests run on an accelerator."""

import importlib.util
import os
from pathlib import Path

import jax
from hypothesis import settings

# Tests count compilations, and leave nothing behind.
os.environ["JAXBN_CACHE"] = "off"
os.environ.pop("JAX_COMPILATION_CACHE_DIR", None)
jax.config.update("jax_compilation_cache_dir", None)

jax.config.update("jax_numpy_rank_promotion", "raise")

# A first example compiles, which outlasts any deadline; the same examples each run: red means a change.
settings.register_profile("jaxbn", deadline=None, derandomize=True)
settings.load_profile("jaxbn")

HERE = Path(__file__).parent
BARE = ("nn", "engine", "search", "test_member_alone.py", "test_numpy_trainer.py", "test_tile_invariance.py")
"""What needs no more than a bare accelerator machine has: `python -m pytest -m accelerator tests`."""
NOT_BARE = ("engine/test_cache.py", "engine/test_devices.py", "search/test_model_based.py")


def is_bare(path):
    place = path.relative_to(HERE)
    return place.parts[0] in BARE and place.as_posix() not in NOT_BARE


if importlib.util.find_spec("polars") is None:
    # Others could not even be collected.
    collect_ignore = [*(path.name for path in HERE.iterdir() if path.name not in BARE), *NOT_BARE]


def pytest_collection_modifyitems(items):
    for item in items:
        if HERE in item.path.parents and is_bare(item.path):
            item.add_marker("accelerator")
