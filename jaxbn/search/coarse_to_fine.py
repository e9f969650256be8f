"""Coarse to fine (section 1 of the notes): zoom into the regions that did well and sample them more densely."""

import zlib

import numpy as np

from jaxbn.search.config import Config
from jaxbn.search.domains import Choice
from jaxbn.search.history import History
from jaxbn.search.propose import random
from jaxbn.search.space import Space

NUM_ROUNDS = 4
ELITE = 16
"""One configuration in so many is the middle of a box."""
SHRINK = 0.5
"""How wide the boxes of a round are, against those of the round before."""
STAY = 0.75
"""How often a categorical choice is that of the middle; otherwise it is drawn as often as it is among the middles."""


def coarse_to_fine(seed: int, space: Space, history: History | None, num_configs: int) -> list[Config]:
    """A wide round of random draws, then rounds of draws in boxes round the best configurations so far.

    Each box is a box of the unit cube, hence of each domain on its own scale. It never leaves the space.

    Example:
        >>> space = Space.default()
        >>> coarse_to_fine(0, space, None, 5) == random(0, space, None, 5)
        True
    """
    worked = 0 if history is None else int(np.isfinite(history.objective).sum())
    if history is None or not worked:
        return random(seed, space, history, num_configs)
    number = int(history.rounds.max()) + 1
    best = np.argsort(history.rank)[: max(worked // ELITE, 1)]
    middles = [space.point(history.configs[place]) for place in best]
    draws = {
        name: np.random.default_rng([seed, zlib.crc32(name.encode()), number]).random((num_configs, 2))
        for name in space.domains
    }
    configs = []
    for i in range(num_configs):
        middle = middles[i % len(middles)]
        point = {}
        for name, domain in space.domains.items():
            u, other = draws[name][i].tolist()
            if name not in middle:
                point[name] = u  # The middle does not use it, so it says nothing about it.
            elif isinstance(domain, Choice):
                used = [m[name] for m in middles if name in m]
                point[name] = middle[name] if other < STAY else used[int(u * len(used))]
            else:
                low, high = box(middle[name], SHRINK**number)
                point[name] = low + u * (high - low)
        configs.append(space.config(point))
    return configs


def box(middle: float, width: float) -> tuple[float, float]:
    """An interval of a width within [0, 1], as near to the middle as it can be.

    Example:
        >>> box(0.5, 0.5), box(0.9, 0.5), box(0.1, 0.25)
        ((0.25, 0.75), (0.5, 1.0), (0.0, 0.25))
    """
    low = min(max(middle - width / 2, 0.0), 1.0 - width)
    return low, low + width
