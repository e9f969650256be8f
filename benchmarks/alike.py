"""Populations of networks that are all alike, on made-up rows: what times the engine and nothing else."""

import time

import numpy as np

from jaxbn.data import Rows
from jaxbn.engine.data import Data, padded
from jaxbn.engine.machine import machine
from jaxbn.engine.plan import Plan
from jaxbn.engine.planner import plan_tiles
from jaxbn.engine.programs import CHUNK, Problem
from jaxbn.engine.run import run
from jaxbn.search import Float, Space
from jaxbn.search.halving import to_the_end
from jaxbn.search.propose import random

NUM_CLASSES = 10


def planned(
    *, members: int, epochs: int, rows: int, num_inputs: int, width: int, depth: int, batch_size: int
) -> tuple[Plan, Data]:
    """A plan without padding of widths and mini-batches, and rows of that size; scores are of one chunk of rows."""
    rng = np.random.default_rng(0)
    y = rng.integers(0, NUM_CLASSES, rows).astype(np.int32)
    x = (rng.normal(size=(rows, num_inputs)) + np.eye(NUM_CLASSES, num_inputs)[y]).astype(np.float32)
    problem = Problem("classification", num_inputs, NUM_CLASSES, rows, CHUNK, ("loss", "accuracy"))
    space = Space(
        learning_rate=Float(1e-3, 1e-2, scale="log"),
        hidden_units=width,
        num_layers=depth,
        batch_size=batch_size,
        optimizer="adam",
    )
    plan = plan_tiles(
        random(0, space, None, members),
        space,
        [problem],
        num_rows=[rows],
        rungs=to_the_end(members, epochs),
        rates=machine(),
    )
    weight = np.ones(rows, np.float32)
    train, valid = Rows(x, y, weight), Rows(x[:1], y[:1], weight[:1])
    return plan, Data(padded(train, rows), padded(valid, CHUNK), np.ones(NUM_CLASSES))


def seconds_of(plan: Plan, data: Data) -> float:
    """Seconds of a pass over all tiles; the first of a process compiles."""
    began = time.perf_counter()
    for _ in run(plan, [data], seed=0, on_event=lambda event: None):
        pass
    return time.perf_counter() - began
