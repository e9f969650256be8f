"""Settings of every test. The device is JAX's own choice, so that the same tests run on an accelerator."""

import gc
import importlib.util
import os
from pathlib import Path

import jax
import pytest
from hypothesis import settings

from jaxbn.engine import programs

# Tests count compilations, and leave nothing behind.
os.environ["JAXBN_CACHE"] = "off"
os.environ.pop("JAX_COMPILATION_CACHE_DIR", None)
jax.config.update("jax_compilation_cache_dir", None)

jax.config.update("jax_numpy_rank_promotion", "raise")

# A first example compiles, which outlasts any deadline; the same examples each run: red means a change.
settings.register_profile("jaxbn", deadline=None, derandomize=True)
settings.load_profile("jaxbn")

HERE = Path(__file__).parent
BARE = ("nn", "engine", "search", "test_member_alone.py", "test_numpy_trainer.py")
"""What needs no more than a bare accelerator machine has: `python -m pytest -m accelerator tests`."""
NOT_BARE = ("engine/test_cache.py", "engine/test_devices.py", "search/test_model_based.py")


def is_bare(path):
    place = path.relative_to(HERE)
    return place.parts[0] in BARE and place.as_posix() not in NOT_BARE


MAPS, MOST_MAPS = Path("/proc/self/maps"), 15_000
"""A process may have 65,530 maps of memory; every compiled program takes some, and where none is left it crashes."""


@pytest.fixture(scope="module", autouse=True)
def programs_go():
    """Let go of compiled programs when a file of tests is done, if there are many."""
    yield
    if MAPS.exists() and MAPS.read_bytes().count(b"\n") > MOST_MAPS:
        programs._COMPILED.clear()
        jax.clear_caches()
        gc.collect()


if importlib.util.find_spec("polars") is None:
    # Others could not even be collected.
    collect_ignore = [*(path.name for path in HERE.iterdir() if path.name not in BARE), *NOT_BARE]


def pytest_collection_modifyitems(items):
    for item in items:
        if HERE in item.path.parents and is_bare(item.path):
            item.add_marker("accelerator")
