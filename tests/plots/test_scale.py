import matplotlib.pyplot as plt
import numpy as np
import polars as pl
import pytest

from jaxbn import Choice, Float, Int, Space, UserError
from jaxbn.plots.scale import Scale, plane, searched
from jaxbn.plots.ticks import even_ticks, log_ticks, number_texts


def frame(**columns):
    return pl.DataFrame(columns)


def on_axis(scale):
    ax = plt.figure().add_subplot()
    scale.put_on(ax, "x")
    return ax


def test_a_log_domain_is_a_log_axis_that_holds_its_bounds():
    space = Space(learning_rate=Float(1e-4, 1, scale="log"))
    ax = on_axis(Scale.of("learning_rate", frame(learning_rate=[0.01, 0.1]), space))
    assert ax.get_xscale() == "log"
    assert ax.get_xlim()[0] < 1e-4 < 1 < ax.get_xlim()[1] < 2
    assert [t.get_text() for t in ax.get_xticklabels()] == [f"$10^{{{e}}}$" for e in range(-4, 1)]
    assert ax.get_xlabel() == "learning_rate\nstep size alpha"


def test_one_minus_log_is_even_in_the_number_of_values_averaged():
    space = Space(momentum=Float(0.9, 0.999, scale="one_minus_log"))
    ax = on_axis(Scale.of("momentum", frame(momentum=[0.95]), space))
    x = ax.transData.transform([(value, 0) for value in (0.9, 0.99, 0.999)])[:, 0]
    np.testing.assert_allclose(x[1] - x[0], x[2] - x[1], rtol=1e-6)
    assert [t.get_text() for t in ax.get_xticklabels()] == ["0.9", "0.99", "0.999"]


def test_a_choice_is_a_place_for_each_option_even_one_that_was_not_drawn():
    space = Space(activation=Choice("relu", "tanh", "gelu"))
    trials = frame(activation=["gelu", None, "relu"])
    scale = Scale.of("activation", trials, space)
    np.testing.assert_array_equal(scale.numbers(trials), [2, np.nan, 0])
    ax = on_axis(scale)
    assert [t.get_text() for t in ax.get_xticklabels()] == ["relu", "tanh", "gelu"]
    assert ax.get_xlim() == (-0.5, 2.5)


def test_widths_per_layer_and_a_choice_of_numbers_are_options():
    space = Space(hidden_units=Choice((16, 8), (32, 16)), num_layers=2)
    assert Scale.of("hidden_units", frame(hidden_units=["32-16"]), space).options == ("16-8", "32-16")
    space = Space(batch_size=Choice(24, 48))
    trials = frame(batch_size=[48, 24])
    assert Scale.of("batch_size", trials, space).numbers(trials).tolist() == [1, 0]


def test_few_whole_numbers_get_a_tick_each():
    space = Space(batch_size=Int(32, 256, scale="power_of_two"))
    scale = Scale.of("batch_size", frame(batch_size=[64, 64]), space)
    assert scale.levels == (32, 64, 128, 256)
    spread = scale.spread(np.full(50, 64.0))
    assert len(np.unique(spread)) == 50
    assert spread.min() > 64 / 2**0.5 and spread.max() < 64 * 2**0.5


def test_shares_are_even_on_the_domains_own_scale():
    space = Space(learning_rate=Float(1e-4, 1, scale="log"))
    scale = Scale.of("learning_rate", frame(learning_rate=[0.01]), space)
    shares = scale.share([1e-4, 1e-2, 1])
    np.testing.assert_allclose(np.diff(shares), (shares[-1] - shares[0]) / 2)
    assert shares[0] > 0 and shares[-1] < 1
    np.testing.assert_allclose(scale.inverse(scale.forward([0.003, 0.2])), [0.003, 0.2])


def test_values_outside_the_space_are_on_the_axis_and_zero_is_not_on_a_log_axis():
    space = Space(learning_rate=Float(1e-2, 1e-1, scale="log"))
    assert Scale.of("learning_rate", frame(learning_rate=[0.5]), space).high == 0.5
    assert Scale.of("weight_decay", frame(weight_decay=[0.0, 0.1])).kind == "linear"


def test_a_single_value_still_has_an_axis():
    ax = on_axis(Scale.of("dropout", frame(dropout=[0.2, 0.2])))
    low, high = ax.get_xlim()
    assert low < 0.2 < high and np.isfinite([low, high]).all()


def test_the_plane_knows_only_trials_that_use_both():
    trials = frame(momentum=[0.9, None, 0.95], b1=[None, 0.9, 0.9])
    x, y = plane(Scale.of("momentum", trials), Scale.of("b1", trials), trials)
    assert np.isfinite(x).tolist() == np.isfinite(y).tolist() == [False, False, True]


def test_searched_without_a_space_is_what_differs():
    assert searched(frame(learning_rate=[0.1, 0.2], eps=[1e-8, 1e-8])) == ["learning_rate"]
    with pytest.raises(UserError, match="same hyperparameters"):
        searched(frame(eps=[1e-8, 1e-8]))


def test_unknown_and_unused_hyperparameters_are_named():
    with pytest.raises(UserError, match="did you mean 'learning_rate'"):
        Scale.of("learning_rat", frame(learning_rate=[0.1]))
    with pytest.raises(UserError, match="no trial uses momentum"):
        Scale.of("momentum", frame(momentum=pl.Series([None, None], dtype=pl.Float64)))


@pytest.mark.parametrize(
    ("low", "high", "ticks"),
    [(1e-10, 1e-4, 7), (16, 256, 4), (0.1, 10, 3), (1e-30, 1, 7), (0.031, 0.034, 2)],
)
def test_ticks_lie_inside_and_are_few(low, high, ticks):
    found = log_ticks(low, high)
    assert ticks <= len(found) <= 7
    assert all(low * 0.99 <= tick <= high * 1.01 for tick in found)
    assert len(set(number_texts(found))) == len(found)


def test_even_ticks_of_a_point():
    assert even_ticks(3, 3) == [3]
