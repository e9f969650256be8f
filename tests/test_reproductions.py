"""The pure parts of `benchmarks.reproductions`."""

import itertools

import numpy as np
import pytest

from benchmarks.reproductions.effective_dimension import relevance
from benchmarks.reproductions.hpobench import correlations, expected_best, leaders
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
