"""Settings of every test. The device is JAX's own choice, so that the same tests run on an accelerator."""

import jax
from hypothesis import settings

jax.config.update("jax_numpy_rank_promotion", "raise")

# A first example compiles, which outlasts any deadline; the same examples each run: red means a change.
settings.register_profile("jaxbn", deadline=None, derandomize=True)
settings.load_profile("jaxbn")
