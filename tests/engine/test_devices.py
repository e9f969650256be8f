"""Several devices: where T and padding are the same, a sweep over eight is the sweep over one, bit for bit."""

import os
import subprocess
import sys
from pathlib import Path

import jax
import polars as pl
import pytest
from polars.testing import assert_frame_equal

import jaxbn
from jaxbn.engine.machine import machine, workers
from jaxbn.errors import UserError

SWEEP = """
import sys, jax, jaxbn
assert len(jax.local_devices()) == 8
space = jaxbn.Space(hidden_units=8, num_layers=1, batch_size=32, learning_rate=jaxbn.Float(0.001, 0.1, scale="log"))
from jaxbn.engine.run import Trainer
train_one, compile_one, used, order = Trainer._train, Trainer._compile, set(), []
def train(self, tile, device):
    used.add(device)
    order.append("trains")
    return train_one(self, tile, device)
def compile(self, program, device):
    done = compile_one(self, program, device)
    order.append("compiled")
    return done
Trainer._train, Trainer._compile = train, compile
for name, devices, at_least in (("all", None, 2), ("three", 3, 2), ("one", 1, 1)):
    used.clear()
    order.clear()
    results = jaxbn.sweep(space, "iris", num_configs=13, num_epochs=3, tile_size=2, devices=devices)
    results.trials.drop("train_seconds").write_parquet(f"{sys.argv[1]}/{name}.parquet")
    assert at_least <= len(used) <= (devices or 8), used
    # Whoever has its program does not wait until the others have theirs.
    assert name != "all" or "trains" in order[:8], order
    assert results.request.devices == (devices or 8)
used.clear()
jaxbn.sweep(jaxbn.Space(hidden_units=9, num_layers=1, batch_size=32), "iris", num_configs=1, num_epochs=1)
# One tile and two of the baseline: they train where programs are ready first.
assert {device.id for device in used} <= {0, 1, 2}, used
"""


def test_eight_devices_learn_what_one_does(tmp_path):
    environment = {**os.environ, "JAX_PLATFORMS": "cpu", "XLA_FLAGS": "--xla_force_host_platform_device_count=8"}
    done = subprocess.run([sys.executable, "-c", SWEEP, str(tmp_path)], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    one, every, three = (pl.read_parquet(tmp_path / f"{name}.parquet") for name in ("one", "all", "three"))
    assert_frame_equal(one, every, check_exact=True)
    assert_frame_equal(one, three, check_exact=True)


@pytest.mark.skipif(jax.default_backend() != "cpu", reason="an accelerator has a worker each")
def test_one_cpu_has_a_worker_per_core():
    assert len(workers()) >= machine().workers
    assert len(set(workers())) == len(jax.local_devices())


def test_more_devices_than_there_are_is_a_mistake():
    with pytest.raises(UserError, match=r"devices = 99 and JAX has \d+ of kind .*: ask for 1"):
        jaxbn.plan(None, "iris", num_configs=2, devices=99)


LATE = """
import dataclasses, sys, time
sys.path.insert(0, sys.argv[1])
import jax
from jaxbn.engine import run
from tests.engine.test_run import config, data, plan_of
first, second = jax.local_devices()[:2]
plan = plan_of([config(0.01)] * 8, tile_size=1)
compiled = run.Trainer._compile
def compile(self, program, device):
    # Of the second device it is not known that time would be too short before the first one trains.
    if device == second:
        while not trained:
            time.sleep(0.01)
        self.late.set()
        return False
    return compiled(self, program, device)
trained = []
run.Trainer._compile = compile
with run.Trainer(plan, [data()], seed=0, on_event=trained.append, devices=2) as trainer:
    results = list(trainer.train(plan.tiles))
assert sorted(result.trials[0] for result in results) == list(range(8)), results
"""


def test_a_device_whose_program_is_late_takes_no_tile_from_the_others():
    environment = {**os.environ, "JAX_PLATFORMS": "cpu", "XLA_FLAGS": "--xla_force_host_platform_device_count=2"}
    root = str(Path(__file__).parents[2])
    done = subprocess.run([sys.executable, "-c", LATE, root], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
