"""Whatever a configuration holds, the process goes on, and its neighbours do not notice."""

import dataclasses
import os

import numpy as np
import polars as pl

import jaxbn
from jaxbn import Choice, Float, Int, Space
from jaxbn.nn.types import ACTIVATIONS, DECAY_KINDS, NORMALIZATIONS, OPTIMIZERS
from jaxbn.search.propose import random

EXTREME = Space(
    learning_rate=Float(1e-30, 1e30, scale="log"),
    momentum=Choice(0.0, 0.9, 0.9999999),
    b1=Choice(0.0, 0.9, 0.9999999),
    b2=Choice(0.0, 0.999, 0.9999999),
    eps=Float(2e-38, 1e10, scale="log"),
    batch_size=Choice(1, 7, 1000),
    hidden_units=Int(1, 6),
    num_layers=Int(0, 3),
    learning_rate_decay=Choice(0.0, 1e-10, 1.0, 1e10),
    decay_kind=Choice(*DECAY_KINDS),
    optimizer=Choice(*OPTIMIZERS),
    weight_decay=Choice(0.0, 1e-3, 1e10),
    dropout=Choice(0.0, 0.5, 0.9999),
    label_smoothing=Choice(0.0, 0.5, 0.99),
    clip_norm=Choice(None, 1e-30, 1.0, 1e30),
    warmup_epochs=Choice(0.0, 0.5, 100.0),
    init_scale=Choice(1e-30, 1.0, 1e15),
    bn_decay=Choice(0.0, 0.9, 0.9999999),
    bn_epsilon=Float(1e-30, 1e10, scale="log"),
    activation=Choice(*ACTIVATIONS),
    normalization=Choice(*NORMALIZATIONS),
)
"""Legal values at the ends of their ranges, and far beyond what anybody would search."""


def swept(configs, **settings):
    return jaxbn.sweep(configs, "iris", num_epochs=2, seed=0, **settings)


def test_no_configuration_makes_the_process_fail():
    configs = random(7, EXTREME, None, int(os.environ.get("JAXBN_CONFIGS", "16")))
    trials = swept([*configs, dataclasses.replace(configs[0], learning_rate=0.01)]).trials
    assert len(trials) == len(configs) + 1
    finished = trials.filter(pl.col("status") == "ok")
    # Both happen, or the ranges say nothing.
    assert 0 < len(finished) < len(trials)
    assert np.isfinite(finished["valid_loss"].to_numpy()).all()
    assert (trials.filter(pl.col("status") == "diverged")["epochs"] <= 2).all()


def test_a_finite_member_stays_as_it_is_among_any_neighbours():
    one = dict(hidden_units=4, num_layers=2, batch_size=16)
    calm = [jaxbn.Config(**one, learning_rate=rate) for rate in (0.01, 0.02, 0.05, 0.1)]
    wild = [
        jaxbn.Config(**one, learning_rate=rate, init_scale=scale, bn_epsilon=epsilon)
        for rate, scale, epsilon in ((1e30, 1.0, 1e-5), (0.1, 1e15, 1e-30), (1e10, 1e-30, 1e10), (1e-30, 1e15, 1e-5))
    ]

    def told(configs):
        trials = swept(configs, tile_size=4).trials
        return trials.filter(pl.col("learning_rate").is_in([c.learning_rate for c in calm]), pl.col("init_scale") == 1)

    alone = told([calm[0], *wild[:3], calm[1], *wild[1:], calm[2], wild[0], calm[3], wild[3]])
    together = told(calm)
    assert len(together) == len(alone) == 4
    assert (together["status"] == "ok").all()
    for name in ("valid_loss", "valid_accuracy", "train_loss"):
        assert together[name].to_list() == alone[name].to_list()
