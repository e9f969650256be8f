"""Settings of every test. The device is JAX's own choice, so that the same tests run on an accelerator."""

import os

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
