"""The pure parts of `benchmarks.reproductions`."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxbn
from benchmarks.reproductions import santurkar
from benchmarks.reproductions.effective_dimension import relevance
from benchmarks.reproductions.hpobench import correlations, expected_best, leaders
from benchmarks.reproductions.ioffe_szegedy import (
    best_rate,
    drift,
    growth,
    movement,
    over_time,
    parts_of,
    rates_row,
    steps_to,
    times_fewer,
    trained,
    typical,
)
from benchmarks.reproductions.rectangles import LEAST_DIFFERENCE, SIDE, chance_of_winning, quantiles, rectangles


def sides(picture):
    """Height and width of what is drawn in a picture."""
    rows, columns = np.nonzero(picture)
    return np.ptp(rows) + 1, np.ptp(columns) + 1


def test_rectangles_are_outlines_within_the_picture_and_named_by_their_longer_side():
    pictures, labels = rectangles(500, np.random.default_rng(0))
    assert pictures.shape == (500, SIDE * SIDE) and pictures.dtype == np.float32
    assert set(np.unique(pictures)) == {0, 1}
    for picture, label in zip(pictures.reshape(-1, SIDE, SIDE), labels, strict=True):
        height, width = sides(picture)
        assert abs(height - width) >= LEAST_DIFFERENCE
        assert label == ("tall" if height > width else "wide")
        # Filled and hollowed out again, it is the same: one rectangle, one pixel thick.
        top, left = np.argwhere(picture)[:, 0].min(), np.argwhere(picture)[:, 1].min()
        drawn = np.zeros((SIDE, SIDE))
        drawn[top : top + height, left : left + width] = 1
        drawn[top + 1 : top + height - 1, left + 1 : left + width - 1] = 0
        np.testing.assert_array_equal(picture, drawn)


def test_rectangles_take_every_legal_size_alike_and_come_again_from_the_same_seed():
    pictures, labels = rectangles(20_000, np.random.default_rng(1))
    found = {sides(picture) for picture in pictures.reshape(-1, SIDE, SIDE)}
    allowed = [(h, w) for h, w in itertools.product(range(1, SIDE + 1), repeat=2) if abs(h - w) >= LEAST_DIFFERENCE]
    assert found == set(allowed)
    assert np.mean(labels == "tall") == pytest.approx(0.5, abs=0.02)
    again, same = rectangles(20_000, np.random.default_rng(1))
    np.testing.assert_array_equal(again, pictures)
    np.testing.assert_array_equal(same, labels)


@pytest.mark.parametrize("size", [1, 2, 3, 5])
def test_the_chance_of_winning_is_that_of_all_choices(size):
    scores = np.array([0.7, 0.9, 0.7, 0.2, 0.9])
    counted = np.zeros(5)
    choices = list(itertools.combinations(range(5), size))
    for choice in choices:
        best = [place for place in choice if scores[place] == max(scores[list(choice)])]
        counted[best] += 1 / len(best) / len(choices)
    # Ties share evenly over all choices together: they are alike, so whoever of them was drawn.
    np.testing.assert_allclose(chance_of_winning(scores, size), counted, atol=1e-12)


def test_quantiles_weigh_each_seed_alike():
    searches = [{"valid": [0.1, 0.2], "test": [0.5, 0.6]}, {"valid": [0.1, 0.2], "test": [0.7, 0.8]}]
    assert quantiles(searches, 2) == [0.6, 0.8]
    assert quantiles(searches, 1) == [0.5, 0.8]


def test_scores_that_rank_alike_correlate_whatever_their_spacing():
    curves = np.array([[0.1, 0.3, 0.2], [0.2, 0.2, 0.3], [0.9, 0.1, 0.4]])
    np.testing.assert_allclose(correlations(curves, [1, 2]), [1, -1])


def test_halving_has_spent_what_was_trained_and_is_led_by_the_best_of_those_left():
    nothing = np.nan
    curves = np.array([[0.5, nothing, nothing], [0.6, 0.7, 0.9], [0.8, 0.6, nothing], [0.0, 0.0, 0.0]])
    # The last one diverged in its first epoch.
    trained = np.array([1, 3, 2, 1])
    rungs = [{"epochs": 1}, {"epochs": 2}, {"epochs": 3}]
    assert leaders(curves, trained, rungs) == ([4, 6, 7], [0.8, 0.7, 0.9])
    np.testing.assert_allclose(expected_best(np.array([0.0, 1.0, 0.5])), [0.5, 2.5 / 3, 1])


def test_the_process_finds_the_input_that_matters():
    rng = np.random.default_rng(0)
    x = rng.random((40, 3))
    found = relevance(x, np.sin(6 * x[:, 1]) + 0.01 * rng.normal(size=40))
    assert found.argmax() == 1 and found[1] > 10 * max(found[0], found[2])


def test_pictures_are_black_and_white_and_each_is_in_one_part():
    grey = np.random.default_rng(0).integers(0, 256, (200, 30))
    parts = parts_of(jaxbn.load_data((grey, np.tile(["a", "b"], 100))), seed=3)
    assert [part.num_rows for part in parts] == [144, 16, 40]
    found = np.concatenate([np.asarray(part.x) for part in parts])
    assert set(np.unique(found)) == {0, 1}
    places = {tuple(row): place for place, row in enumerate(np.where(grey > 127, 1.0, 0.0).tolist())}
    seen = [places[tuple(row)] for row in found.tolist()]
    assert sorted(seen) == list(range(200))
    labels = np.concatenate([np.asarray(part.y) for part in parts])
    np.testing.assert_array_equal(labels, np.array(seen) % 2)


def test_members_start_alike_and_one_that_takes_no_step_stays_where_it_was():
    rng = np.random.default_rng(0)
    grey = 255 * rng.integers(0, 2, (200, 5))
    parts = parts_of(jaxbn.load_data((grey, np.where(grey[:, 0] > 0, "ink", "paper"))), seed=0)
    found = trained(0, parts, "sigmoid", "none", (0.0, 1e-9, 1.0), 3)
    assert found["test"].shape == (3, 3) and found["percentiles"].shape == (3, 3, 3, 100)
    np.testing.assert_array_equal(found["percentiles"][0], np.repeat(found["percentiles"][0][:1], 3, axis=0))
    np.testing.assert_allclose(found["percentiles"][1], found["percentiles"][0], atol=1e-6)
    assert np.abs(found["percentiles"][2] - found["percentiles"][0]).max() > 0.1
    assert (np.diff(found["percentiles"], axis=2) >= 0).all()


def test_a_rate_is_chosen_by_how_it_ends_and_not_by_a_peak_before():
    valid = np.full((2, 2, 30), 0.5)
    valid[:, 0, :20] = 0.9
    valid[0, 1, 20:], valid[1, 1, 20:] = 0.4, 0.7
    assert best_rate((0.1, 0.3), valid) == 0.3


def test_an_input_drifts_in_units_of_its_spread_and_grows_from_its_first():
    # Inputs of two units: the first keeps its spread and wanders, the second stays and spreads.
    medians = np.array([[0.0, 5.0], [3.0, 5.0], [-1.0, 5.0]])
    spreads = np.array([[2.0, 0.5], [2.0, 3.0], [2.0, 1.0]])
    percentiles = np.stack([medians - 0.25 * spreads, medians, medians + 0.75 * spreads], axis=1)
    np.testing.assert_allclose(drift(percentiles), [2, 0])
    np.testing.assert_allclose(growth(percentiles), [1, 6])
    # In other units of the input, all the same.
    np.testing.assert_allclose(drift(7 * percentiles + 3), [2, 0], atol=1e-12)
    np.testing.assert_allclose(growth(7 * percentiles + 3), [1, 6])
    both = movement(np.stack([percentiles, 2 * percentiles]))
    assert both["growth"]["seeds"] == pytest.approx([3.5, 3.5]) and both["growth"]["mean"] == pytest.approx(3.5)
    assert both["typical_unit"] == 1
    np.testing.assert_allclose(both["typical_percentiles"], percentiles[:, :, 1])


@pytest.mark.parametrize("count", [1, 2, 5, 8])
def test_a_typical_unit_has_as_many_below_as_above(count):
    values = np.random.default_rng(count).permutation(count).astype(float)
    middle = values[typical(values)]
    assert (values > middle).sum() - (values < middle).sum() == (count + 1) % 2


def test_steps_to_a_level_are_those_of_the_first_epoch_that_reaches_it():
    scores = np.array([0.1, 0.5, 0.4, 0.9])
    assert [steps_to(scores, level, steps_per_epoch=60) for level in (0.05, 0.5, 0.51, 0.95)] == [60, 120, 240, np.inf]


def test_fewer_steps_are_a_geometric_mean_over_seeds_and_nothing_where_a_seed_does_not_get_there():
    found = times_fewer(np.array([100.0, 400.0]), np.array([50.0, 50.0]))
    assert found is not None and found["mean"] == pytest.approx(4)
    # Student's 97.5 % point with one degree of freedom is tan(0.475 pi), and the error of the mean is log 2.
    half = 2 ** np.tan(0.475 * np.pi)
    np.testing.assert_allclose(found["interval_95"], [4 / half, 4 * half])
    assert times_fewer(np.array([100.0, 400.0]), np.array([50.0, np.inf])) is None


def test_each_seed_has_the_level_of_its_own_baseline():
    baseline = {"test": np.array([[0.5, 0.80, 0.7], [0.5, 0.6, 0.90]]), "loss": np.ones((2, 3))}
    network = {"test": np.array([[0.795, 0.85, 0.6], [0.8, 0.85, 0.6]]), "loss": np.array([[1, 1, 1], [1, 1, np.nan]])}
    row = rates_row(network, baseline, steps_per_epoch=10)
    assert row["to_best"]["steps"] == [20, None]
    assert row["to_one_point_below"]["steps"] == [10, None]
    # The third level is 0.8 for all.
    assert row["to_early"]["steps"] == [20, 10] and row["to_early"]["times_fewer"]["mean"] == pytest.approx(3**0.5)
    assert row["to_best"]["seeds_that_reach"] == 1 and row["to_best"]["times_fewer"] is None
    assert row["num_diverged"] == 1 and row["last_loss"] is None
    assert row["best_test"] == pytest.approx(0.85)
    assert row["last_gain"] == pytest.approx(np.mean([2.245 / 3 - 2.0 / 3, 2.25 / 3 - 2.0 / 3]))
    same = rates_row(baseline, baseline, steps_per_epoch=10)
    assert same["to_best"]["steps"] == [20, 30] and same["to_best"]["median_steps"] == 25
    assert same["to_best"]["times_fewer"] == {"mean": 1, "interval_95": [1, 1]}


def test_differences_over_time_are_of_the_steps_that_they_name():
    without, with_bn = np.array([[0.1, 0.2, 0.3], [0.1, 0.4, 0.5]]), np.array([[0.2, 0.4, 0.3], [0.4, 0.6, 0.3]])
    rows = over_time(without, with_bn, steps_per_epoch=60)
    assert [row["steps"] for row in rows] == [60, 120, 180]
    np.testing.assert_allclose([row["gain"] for row in rows], [0.2, 0.2, -0.1])
    np.testing.assert_allclose([row["none"] for row in rows], [0.1, 0.3, 0.4])
    np.testing.assert_allclose(rows[1]["interval_95_gain"], [0.2, 0.2])


def test_the_loss_of_the_linear_network_is_that_of_numpy():
    layers, x, y = santurkar.linear_problem(jax.random.key(3), normalized=True)
    h = np.asarray(x, float)
    for place, layer in enumerate(layers):
        h = h @ np.asarray(layer.kernel, float)
        if place + 1 < santurkar.DEPTH:
            h = (h - h.mean(0)) / np.sqrt(h.var(0) + 1e-5)
    assert float(santurkar.linear_loss(layers, x, y)) == pytest.approx(
        0.5 * np.square(h - np.asarray(y)).mean(), rel=1e-3
    )
    plain, same, _ = santurkar.linear_problem(jax.random.key(3), normalized=False)
    assert plain[0].norm is None and (same == x).all() and (plain[4].kernel == layers[4].kernel).all()


def test_the_shift_is_what_the_steps_below_do_to_a_gradient():
    def layer(value):
        return santurkar.Layer(jnp.array([value]), None)

    # The loss is a b c: the gradient of c is a b.
    def gradient(layers):
        a, b, c = (float(one.kernel[0]) for one in layers)
        return tuple(map(layer, (b * c, a * c, a * b)))

    layers, stepped = tuple(map(layer, (2.0, 3.0, 5.0))), tuple(map(layer, (1.0, -1.0, 50.0)))
    length, cosine = santurkar.shift_of(layers, stepped, 2, gradient)
    assert float(length) == pytest.approx(7 / 6) and float(cosine) == pytest.approx(-1)
    # Nothing is below the first layer.
    assert float(santurkar.shift_of(layers, stepped, 0, gradient)[0]) == 0


def test_noise_has_the_moments_it_should_and_differs_from_call_to_call():
    z = np.random.default_rng(0).normal(size=(4000, 200)).astype(np.float32)
    one, other = (np.asarray(santurkar.noise(jax.random.key(seed), jnp.asarray(z))) for seed in (0, 1))
    assert np.abs(one.mean(0)).max() < 0.6 and one.mean(0).std() == pytest.approx(0.5 / np.sqrt(3), rel=0.15)
    assert one.std(0).min() > 0.95 and one.std(0).max() < 1.32 and one.std(0).mean() == pytest.approx(1.13, abs=0.03)
    assert np.abs(one.mean(0) - other.mean(0)).max() > 0.3
    # A little of it differs from row to row: of the shift alone, then of shift and scale.
    for value, expected in ((0.0, 0.1 / np.sqrt(3)), (1.0, np.sqrt(0.1**2 + 0.1**2 / 3))):
        rows = np.asarray(santurkar.noise(jax.random.key(2), jnp.full((4000, 200), value)))
        np.testing.assert_allclose(rows.std(0), expected, rtol=0.06)


def test_along_the_gradient_of_a_square_loss_and_gradient_change_as_they_must():
    # Half the square: the gradient is w itself, so a step of length t of |w| leads to (1 - t) w.
    w = jnp.array([3.0, 4.0])
    change, turned = santurkar.along(lambda p: (0.5 * (p**2).sum(), p), w)
    t = np.array(santurkar.ALONG)
    np.testing.assert_allclose(change, 12.5 * ((1 - t) ** 2 - 1), rtol=1e-4)
    np.testing.assert_allclose(turned, t, rtol=1e-4)
