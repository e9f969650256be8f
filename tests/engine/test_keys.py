"""Draws depend on the seed, the replicate, the fold and the purpose, whatever JAX's own settings are."""

import os
import subprocess
import sys
from pathlib import Path

import jax
import pytest

from jaxbn.engine import keys
from jaxbn.engine.programs import Problem, Program, arguments
from jaxbn.errors import UserError
from jaxbn.nn import dense
from jaxbn.nn.types import Spec
from tests.engine import test_run

DIGEST = """
import hashlib
from tests.engine import test_run
trials = test_run.train(test_run.plan_of(test_run.BASE[:2], tile_size=2))
print(hashlib.sha256(b"".join(leaf.tobytes() for trial in sorted(trials) for leaf in trials[trial])).hexdigest())
"""


def test_the_default_generator_of_jax_changes_no_bit():
    def digest(generator):
        environment = {**os.environ, "JAX_DEFAULT_PRNG_IMPL": generator}
        command = [sys.executable, "-c", DIGEST]
        root = Path(__file__).parents[2]
        return subprocess.run(command, env=environment, cwd=root, capture_output=True, text=True, check=True).stdout

    assert digest("rbg") == digest("threefry2x32")


def test_draws_are_alike_up_to_where_shorter_ones_end():
    with jax.default_prng_impl("rbg"):
        narrow, wide = (dense.draws(keys.key(3), [(2, size)])[0] for size in (5, 12))
    assert (narrow == wide[:, :5]).all()


@pytest.fixture
def unprefixed():
    keys.purpose(0, keys.INIT)
    jax.config.update("jax_threefry_partitionable", False)
    yield
    jax.config.update("jax_threefry_partitionable", True)


@pytest.mark.usefixtures("unprefixed")
def test_draws_that_would_change_with_padding_are_refused():
    program = Program("epoch", Spec(widths=(3,)), 2, Problem("classification", 6, 3, 96, 128, ("loss",)))
    for ask in (
        lambda: keys.purpose(0, keys.INIT),
        lambda: arguments(program),
        lambda: test_run.train(test_run.plan_of(test_run.BASE[:2], tile_size=2)),
    ):
        with pytest.raises(UserError, match="jax_threefry_partitionable is off"):
            ask()
