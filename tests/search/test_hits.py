"""Bergstra and Bengio 2012, section 4: how soon random, grid and Sobol points hit a target of 1 % of the volume."""

import numpy as np
import pytest
from scipy import stats

from jaxbn.search import Float, Space, sampler
from jaxbn.search.propose import sobol_points, uniform_points

VOLUME, MOST, NUM = 0.01, 512, 2000
NAMES = ("learning_rate", "momentum", "b1", "b2", "eps")


def targets(dimensions: int, shape: str) -> tuple[np.ndarray, np.ndarray]:
    """Lowest corners and sides of boxes within the unit cube, [NUM, dimensions] each."""
    rng = np.random.default_rng([dimensions, shape == "cube"])
    shares = np.ones((NUM, dimensions)) if shape == "cube" else rng.random((NUM, dimensions))
    sides = VOLUME ** (shares / shares.sum(1, keepdims=True))
    return rng.random((NUM, dimensions)) * (1 - sides), sides


def first_hits(points: np.ndarray, low: np.ndarray, sides: np.ndarray) -> np.ndarray:
    """The number, from 1, of the first point in the box; a large one where none is."""
    inside = ((points >= low) & (points < low + sides)).all(-1)
    return np.where(inside.any(-1), inside.argmax(-1) + 1, MOST + 1)


def hits_of(points_of, dimensions: int, shape: str) -> np.ndarray:
    low, sides = targets(dimensions, shape)
    return np.array([first_hits(points_of(seed), low[seed], sides[seed]) for seed in range(NUM)])


@pytest.mark.parametrize("shape", ["cube", "rectangle"])
@pytest.mark.parametrize("dimensions", [3, 5])
def test_random_search_hits_as_the_geometric_law_says(dimensions, shape):
    hits = hits_of(lambda seed: uniform_points(seed, NAMES[:dimensions], MOST), dimensions, shape)
    trials = np.arange(1, MOST + 1)
    seen = (hits[:, None] <= trials[None, :]).sum(0)
    # 99 % for all 512 numbers of trials together (Bonferroni).
    low, high = stats.binom.interval(1 - 0.01 / MOST, NUM, 1 - (1 - VOLUME) ** trials)
    assert ((low <= seen) & (seen <= high)).all()


def grid_points(levels: tuple[int, ...]) -> np.ndarray:
    """The points of the grid sampler, as shares of domains."""
    space = Space(**{name: Float(0.1, 0.9) for name in NAMES[: len(levels)]})
    configs = sampler("grid").propose(0, space, None, int(np.prod(levels)))
    return np.array([[space.domains[name].share(getattr(c, name)) for name in space] for c in configs])


@pytest.mark.parametrize("levels", [(5, 5, 5), (6, 6, 6), (7, 7, 7), (2,) * 5, (3,) * 5])
def test_grids_do_worse_on_rectangles(levels):
    points = grid_points(levels)
    low, sides = targets(len(levels), "rectangle")
    hit = np.array([(first_hits(points, low[i], sides[i]) <= MOST) for i in range(NUM)])
    expected = 1 - (1 - VOLUME) ** len(points)
    assert stats.binomtest(int(hit.sum()), NUM, expected, alternative="less").pvalue < 1e-6


@pytest.mark.parametrize("shape", ["cube", "rectangle"])
@pytest.mark.parametrize("dimensions", [3, 5])
def test_sobol_points_hit_a_few_per_cent_more_often(dimensions, shape):
    hits = hits_of(lambda seed: sobol_points(seed, dimensions, MOST), dimensions, shape)
    trials = np.arange(100, 301)
    gain = (hits[:, None] <= trials[None, :]).mean(0) - (1 - (1 - VOLUME) ** trials)
    assert 0.005 < gain.mean() < 0.12


def test_a_grid_tries_few_values_of_what_matters():
    grid = grid_points((5, 5))
    assert len({round(u, 9) for u, _ in grid.tolist()}) == 5
    assert len(set(uniform_points(0, NAMES[:2], 25)[:, 0])) == 25
