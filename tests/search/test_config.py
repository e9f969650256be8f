"""The table of hyperparameters: one row for each, legal values, and what a configuration does not read."""

import dataclasses
import math

import numpy as np
import pytest

from jaxbn.errors import UserError
from jaxbn.nn.types import ACTIVATIONS, DECAY_KINDS, NORMALIZATIONS, OPTIMIZERS, Hyperparams, Spec
from jaxbn.search import HYPERPARAMETERS, Choice, Config, Space, from_values, split

NAMES = set(HYPERPARAMETERS)


def test_the_table_has_the_hyperparameters_of_the_design_with_their_defaults():
    assert Config() == Config(
        learning_rate=1e-3,
        momentum=0.9,
        b1=0.9,
        b2=0.999,
        eps=1e-8,
        batch_size=64,
        hidden_units=64,
        num_layers=2,
        learning_rate_decay=0.0,
        decay_kind="inverse_time",
        optimizer="adam",
        weight_decay=0.0,
        dropout=0.0,
        label_smoothing=0.0,
        clip_norm=None,
        warmup_epochs=0.0,
        init_scale=1.0,
        bn_decay=0.9,
        bn_epsilon=1e-5,
        activation="relu",
        normalization="batch",
    )
    assert len(NAMES) == 21


def test_the_default_space_is_the_nine_of_the_notes_and_the_optimizer():
    space = Space.default()
    table = {
        name: (d.options if isinstance(d, Choice) else (d.low, d.high, d.scale)) for name, d in space.domains.items()
    }
    assert table == {
        "learning_rate": (1e-4, 1, "log"),
        "momentum": (0.9, 0.999, "one_minus_log"),
        "b1": (0.8, 0.99, "one_minus_log"),
        "b2": (0.9, 0.9999, "one_minus_log"),
        "eps": (1e-10, 1e-4, "log"),
        "batch_size": (32, 256, "power_of_two"),
        "hidden_units": (16, 256, "log"),
        "num_layers": (1, 3, "linear"),
        "learning_rate_decay": (1e-3, 10, "log"),
        "optimizer": ("momentum", "adam"),
    }
    assert not space.fixed and space.config(dict.fromkeys(space, 0.5)).decay_kind == "inverse_time"


def test_every_row_says_where_it_lives_and_hyperparams_and_spec_have_it_there():
    traced = {field.name for field in dataclasses.fields(Hyperparams)}
    static = {field.name for field in dataclasses.fields(Spec)}
    for name, row in HYPERPARAMETERS.items():
        assert row.doc and row.domain is not None, name
        if row.lives == "traced":
            assert name in traced, name
        else:
            assert row.lives == "spec"
            assert name in static or name in ("num_layers", "optimizer"), name
    # What lives on the device is a hyperparameter, the end of the cosine, or what an architecture has of its own.
    assert traced - NAMES == {"num_epochs", "own"}
    # What is not searched shapes the program all the same.
    assert static - NAMES == {"widths", "optimizers", "precision", "architecture", "own"}


def test_the_defaults_of_a_config_are_those_of_hyperparams():
    config, h = Config(decay_kind="none"), Hyperparams()
    for field in dataclasses.fields(Hyperparams):
        default = getattr(h, field.name)
        if field.name in NAMES - {"decay_kind", "optimizer", "clip_norm", "hidden_units", "batch_size"}:
            assert default == getattr(config, field.name), field.name
    assert DECAY_KINDS[h.decay_kind] == "none"
    spec, _ = split(Config())
    assert spec == Spec(widths=(64, 64), batch_size=64)


def test_domains_and_options_reach_only_legal_values():
    for name, row in HYPERPARAMETERS.items():
        Space(**{name: row.domain})
    assert HYPERPARAMETERS["optimizer"].options == OPTIMIZERS
    assert HYPERPARAMETERS["decay_kind"].options == DECAY_KINDS
    assert HYPERPARAMETERS["activation"].options == ACTIVATIONS
    assert HYPERPARAMETERS["normalization"].options == NORMALIZATIONS


# The smallest and largest values of each that a network can be trained with.
LEGAL = {
    "learning_rate": (1e-30, 1e6),
    "momentum": (0, 0.9999999),
    "b1": (0, 0.9999999),
    "b2": (0, 0.9999999),
    "eps": (1e-30, 1),
    "batch_size": (1, 10**6),
    "hidden_units": (1, 10**6),
    "num_layers": (0, 100),
    "learning_rate_decay": (0, 1e6),
    "weight_decay": (0, 1e6),
    "dropout": (0, 0.9999999),
    "label_smoothing": (0, 0.9999999),
    "clip_norm": (1e-30, 1e6),
    "warmup_epochs": (0, 1e6),
    "init_scale": (1e-30, 1e6),
    "bn_decay": (0, 0.9999999),
    "bn_epsilon": (1e-30, 1e6),
}
ILLEGAL = {
    "learning_rate": (0, -1),
    "momentum": (1, -0.1, 1.5),
    "b1": (1, -0.1),
    "b2": (1, -0.1),
    "eps": (0, -1e-8),
    "batch_size": (0, -1, 2.5, 32.0, True),
    "hidden_units": (0, 1.5, (8, 0)),
    "num_layers": (-1, 1.0),
    "learning_rate_decay": (-1,),
    "weight_decay": (-1e-9,),
    "dropout": (1, -0.1),
    "label_smoothing": (1, -0.1),
    "clip_norm": (0, -1),
    "warmup_epochs": (-1,),
    "init_scale": (0,),
    "bn_decay": (1, -0.5),
    "bn_epsilon": (0,),
}


@pytest.mark.parametrize("name", sorted(LEGAL))
def test_legal_bounds(name):
    assert set(LEGAL) == {name for name, row in HYPERPARAMETERS.items() if row.kind is not str}
    for value in LEGAL[name]:
        assert getattr(from_values(**{name: value}), name) == value
    for value in (*ILLEGAL[name], math.nan, math.inf, "1"):
        with pytest.raises(UserError, match=name):
            Space(**{name: value})
        with pytest.raises(UserError, match=name):
            from_values(**{name: value})


OPEN = sorted(name for name, row in HYPERPARAMETERS.items() if row.open_low or row.open_high)


@pytest.mark.parametrize("name", OPEN)
def test_what_is_its_end_in_float32_is_not_legal(name):
    value, rounded = (1e-40, "0") if HYPERPARAMETERS[name].open_low else (0.99999999, "1")
    with pytest.raises(UserError, match=f"{name} = {value!r} is {rounded} in the 32 bits"):
        from_values(**{name: value})


@pytest.mark.parametrize(("name", "value"), [("batch_size", 2**31), ("hidden_units", 2**24), ("num_layers", 256)])
def test_no_array_is_larger_than_a_device_can_count(name, value):
    with pytest.raises(UserError, match=f"{name} = {value} is out of range"):
        from_values(**{name: value})


def test_numbers_of_numpy_are_numbers():
    config = from_values(
        batch_size=np.int64(32), learning_rate=np.float32(0.5), hidden_units=(np.int32(8), np.int32(4))
    )
    assert config == from_values(batch_size=32, learning_rate=0.5, hidden_units=(8, 4))
    assert config == Config(
        batch_size=np.int64(32), learning_rate=np.float32(0.5), hidden_units=(np.int32(8), np.int32(4))
    )
    assert type(config.batch_size) is int and type(config.learning_rate) is float
    assert config.changed(batch_size=np.int64(16)).values()["batch_size"] == 16


def test_only_clip_norm_may_be_none():
    assert from_values(clip_norm=None).clip_norm is None
    for name in NAMES - {"clip_norm"}:
        with pytest.raises(UserError):
            from_values(**{name: None})


@pytest.mark.parametrize("name", ["optimizer", "decay_kind", "activation", "normalization"])
def test_an_unknown_option_is_named_with_the_nearest(name):
    option = HYPERPARAMETERS[name].options[0]
    with pytest.raises(UserError, match=f"unknown value of {name} '{option}x'.*did you mean '{option}'"):
        from_values(**{name: option + "x"})


def test_an_unknown_hyperparameter_is_named_with_the_nearest():
    with pytest.raises(UserError, match=r"unknown hyperparameter 'learnin_rate'.*'learning_rate'"):
        from_values(learnin_rate=0.1)


def test_a_number_of_units_for_each_layer():
    config = from_values(hidden_units=[8, 4, 2])
    assert (config.num_layers, config.widths, config.hidden_units) == (3, (8, 4, 2), (8, 4, 2))
    assert from_values(hidden_units=8, num_layers=3).widths == (8, 8, 8)
    assert from_values(num_layers=0).widths == ()
    with pytest.raises(UserError, match="names 2 layers but num_layers is 3"):
        from_values(hidden_units=(8, 4), num_layers=3)


def test_adamw_decays_weights_unless_told_otherwise():
    assert from_values(optimizer="adamw").weight_decay == 1e-4
    assert from_values(optimizer="adamw", weight_decay=0.0).weight_decay == 0
    assert from_values(optimizer="adam").weight_decay == 0


# What each choice does not read, written out.
UNUSED = [
    ({"optimizer": "sgd"}, {"momentum", "b1", "b2", "eps"}),
    ({"optimizer": "momentum"}, {"b1", "b2", "eps"}),
    ({"optimizer": "nesterov"}, {"b1", "b2", "eps"}),
    ({"optimizer": "momentum_ewa"}, {"b1", "b2", "eps"}),
    ({"optimizer": "rmsprop"}, {"momentum", "b1"}),
    ({"optimizer": "adam"}, {"momentum"}),
    ({"optimizer": "adamw"}, {"momentum"}),
    ({"decay_kind": "none"}, {"momentum", "learning_rate_decay"}),
    ({"decay_kind": "cosine"}, {"momentum", "learning_rate_decay"}),
    ({"decay_kind": "staircase"}, {"momentum"}),
    ({"normalization": "none"}, {"momentum", "bn_decay", "bn_epsilon"}),
    (
        {"num_layers": 0},
        {"momentum", "bn_decay", "bn_epsilon", "hidden_units", "dropout", "activation", "normalization"},
    ),
]


@pytest.mark.parametrize(("values", "unused"), UNUSED)
def test_what_a_configuration_does_not_use_is_none_in_its_row(values, unused):
    config = from_values(**values)
    assert set(config.unused()) == unused
    row = config.row()
    assert set(row) == NAMES
    for name, value in row.items():
        assert value == (None if name in unused else getattr(config, name))


def test_configurations_are_hashable_and_frozen():
    assert len({Config(), Config(), from_values(learning_rate=0.1)}) == 2
    with pytest.raises(dataclasses.FrozenInstanceError):
        Config().learning_rate = 1.0  # type: ignore[misc]


@pytest.mark.parametrize("name", ["eps", "warmup_epochs", "learning_rate_decay", "bn_epsilon", "clip_norm"])
def test_what_32_bits_cannot_hold_is_refused(name):
    with pytest.raises(UserError, match=f"{name} = 1e\\+39 is infinite in the 32 bits of training"):
        from_values(**{name: 1e39})
    assert getattr(from_values(**{name: 1e38}), name) == 1e38
