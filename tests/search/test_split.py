"""A configuration split into what shapes the program and what is traced through it."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jaxbn.nn.types import DECAY_KINDS, OPTIMIZERS, Hyperparams, Spec
from jaxbn.search import HYPERPARAMETERS, LADDER, Band, Padding, Space, from_values, pad, propose, split


def test_the_ladder_is_the_powers_of_two_and_their_one_and_a_half_folds():
    assert LADDER[:12] == (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64)
    assert list(LADDER) == sorted(set(LADDER)) and LADDER[-1] > 10**6


@given(st.integers(1, 10**6))
def test_padding_to_the_ladder_is_the_smallest_rung_and_wastes_less_than_half(size):
    rung = pad(size, LADDER)
    assert rung >= size and rung in LADDER and rung < 1.5 * size + 1
    assert not any(size <= other < rung for other in LADDER)


def test_what_no_rung_holds_stays_as_it_is():
    assert pad(70, (32, 64)) == 70 and pad(5, ()) == 5


def test_every_traced_value_arrives_and_every_static_one_shapes_the_spec():
    config = from_values(
        learning_rate=0.2,
        momentum=0.7,
        b1=0.6,
        b2=0.8,
        eps=1e-3,
        batch_size=48,
        hidden_units=(5, 9),
        learning_rate_decay=0.4,
        decay_kind="staircase",
        optimizer="rmsprop",
        weight_decay=0.1,
        dropout=0.3,
        label_smoothing=0.05,
        clip_norm=2.0,
        warmup_epochs=1.5,
        init_scale=3.0,
        bn_decay=0.5,
        bn_epsilon=1e-3,
        activation="tanh",
    )
    spec, h = split(config, num_epochs=7)
    assert spec == Spec(
        widths=(5, 9),
        batch_size=48,
        optimizers=("rmsprop",),
        activation="tanh",
        normalization="batch",
        dropout=True,
        label_smoothing=True,
        clip_norm=True,
    )
    for name, row in HYPERPARAMETERS.items():
        if row.kind is float:
            assert getattr(h, name) == getattr(config, name), name
            assert getattr(h, name).dtype == np.float64, name
    assert h.hidden_units.tolist() == [5, 9] and h.batch_size == 48 and h.num_epochs == 7
    assert DECAY_KINDS[h.decay_kind] == "staircase" and h.optimizer == 0
    for name in ("hidden_units", "batch_size", "num_epochs", "decay_kind", "optimizer"):
        assert getattr(h, name).dtype == np.int32, name
    missing = [field.name for field in dataclasses.fields(Hyperparams) if getattr(h, field.name) is None]
    assert missing == ["own"]


def test_features_that_are_off_are_not_in_the_program():
    spec, h = split(from_values())
    assert not (spec.dropout or spec.label_smoothing or spec.clip_norm)
    assert np.isfinite(h.clip_norm)
    assert split(from_values(dropout=0.1))[0].dropout
    assert split(from_values(label_smoothing=0.1))[0].label_smoothing
    assert split(from_values(clip_norm=1.0))[0].clip_norm


def test_without_hidden_layers_what_shapes_them_makes_no_other_program():
    specs = {
        split(from_values(num_layers=0, hidden_units=8, dropout=rate, activation=kind, normalization=norm))[0]
        for rate, kind, norm in ((0.0, "relu", "batch"), (0.5, "tanh", "none"))
    }
    assert len(specs) == 1 and not specs.pop().dropout


@pytest.mark.parametrize("kind", OPTIMIZERS)
def test_optimizers_share_a_program_where_the_padding_says_so(kind):
    config = from_values(optimizer=kind)
    same = "adam" if kind == "adamw" else kind
    assert split(config)[0].optimizers == (same,)
    spec, h = split(config, padding=Padding(optimizers=("momentum", "adam")))
    if same in ("momentum", "adam"):
        assert spec.optimizers == ("momentum", "adam") and spec.optimizers[h.optimizer] == same
    else:
        assert spec.optimizers == (same,) and h.optimizer == 0


PADDING = Padding((Band(1, 16, (32, 64)), Band(2, 32, (64,)), Band(2, 128, (32, 256))))


@pytest.mark.parametrize(
    ("values", "widths", "batch_size"),
    [
        ({"hidden_units": (10,), "batch_size": 20}, (16,), 32),
        ({"hidden_units": (17,), "batch_size": 20}, (17,), 20),
        ({"hidden_units": (10, 32), "batch_size": 20}, (32, 32), 64),
        ({"hidden_units": (10, 33), "batch_size": 20}, (32, 128), 32),
        ({"hidden_units": (128, 33), "batch_size": 33}, (128, 128), 256),
        ({"hidden_units": (128, 33), "batch_size": 300}, (128, 128), 300),
        ({"hidden_units": (200, 5), "batch_size": 20}, (200, 32), 20),
        ({"hidden_units": (8, 8, 8), "batch_size": 20}, (8, 8, 8), 20),
    ],
)
def test_padding_by_bands(values, widths, batch_size):
    spec, h = split(from_values(**values), padding=PADDING)
    assert (spec.widths, spec.batch_size) == (widths, batch_size)
    assert tuple(h.hidden_units) == values["hidden_units"] and h.batch_size == values["batch_size"]


def test_the_split_of_a_configuration_knows_of_no_other():
    configs = propose.random(0, Space.default(), None, 20)
    among = [split(config, padding=PADDING) for config in configs]
    for config, (spec, h) in zip(configs, among, strict=True):
        alone, h_alone = split(config, padding=PADDING)
        assert alone == spec and hash(alone) == hash(spec)
        assert all(np.array_equal(getattr(h, f.name), getattr(h_alone, f.name)) for f in dataclasses.fields(h))
        assert all(u <= p for u, p in zip(h.hidden_units, spec.widths, strict=True))
        assert h.batch_size <= spec.batch_size
