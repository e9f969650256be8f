"""Batches without near-duplicates: a configuration that all but repeats another one teaches nothing.

Models asked for a batch like to name one place many times (Optuna issue 2610), and jaxbn trains on common random
numbers, so an exact repeat gives the same bits.
"""

import itertools
import math
from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from jaxbn.search.config import Config
from jaxbn.search.coordinates import coordinates, share, values_of
from jaxbn.search.domains import Float
from jaxbn.search.space import Space

TRIES = 4
DRAWS = 32
COUNTABLE = 10_000
"""Spaces with at most so many configurations are listed once the suggestions repeat."""


def radius(space: Space, num_configs: int) -> float:
    """The least distance between two configurations of a batch, in the unit cube.

    A hundredth of a domain, less where so many would not fit: a tenth of the spacing of a grid of `num_configs`. A
    space without real numbers refuses exact repeats alone.

    Example:
        >>> round(radius(Space(learning_rate=Float(0.1, 1)), 64), 4), radius(Space.default(), 64)
        (0.0016, 0.01)
    """
    real = sum(isinstance(domain, Float) for domain in space.domains.values())
    return min(0.01, 0.1 * num_configs ** (-1 / real)) if real else 1e-9


def embed(space: Space, configs: Iterable[Config]) -> np.ndarray:
    """Points of the unit cube, [n, D]; -1, at least 1 from any share, where a configuration does not use a domain."""
    rows = []
    for config in configs:
        places = coordinates(space, config)
        rows.append([share(d, places[name]) if name in places else -1.0 for name, d in space.domains.items()])
    return np.array(rows, float).reshape(len(rows), len(space.domains))


def distinct(
    suggestions: Iterator[Config], space: Space, past: Sequence[Config], num_configs: int, rng: np.random.Generator
) -> list[Config]:
    """The first suggestions that stay apart from each other and from the past.

    Where four suggestions in a row come too near, the place is filled with an untried configuration of a small
    countable space, or with the random draw farthest from all others. Only once every configuration has been tried do
    repeats come through.

    Args:
        suggestions: as many as are asked for; they may end early.
        space: what is searched.
        past: configurations that have been tried.
        num_configs: how many to return.
        rng: draws what fills a place.

    Returns:
        `num_configs` configurations.
    """
    least = radius(space, num_configs)
    taken = embed(space, past)
    untried: dict[tuple[float, ...], Config] | None = None
    batch: list[Config] = []
    for _ in range(num_configs):
        config = None
        for config in itertools.islice(suggestions, TRIES):
            if _distance(embed(space, [config]), taken)[0] >= least:
                break
        else:
            untried = _countable(space) if untried is None else untried
            for point in map(tuple, taken.tolist()):
                untried.pop(point, None)
            if untried:
                config = list(untried.values())[rng.integers(len(untried))]
            elif config is None or not _is_countable(space):
                config = _farthest(space, taken, rng)
        taken = np.concatenate([taken, embed(space, [config])])
        batch.append(config)
    return batch


def _distance(points: np.ndarray, taken: np.ndarray) -> np.ndarray:
    """From each point to the nearest of those taken, [n]; infinite where none is."""
    return np.sqrt(((points[:, None, :] - taken[None, :, :]) ** 2).sum(-1)).min(1, initial=np.inf)


def _farthest(space: Space, taken: np.ndarray, rng: np.random.Generator) -> Config:
    cube = rng.random((DRAWS, len(space.domains))).tolist()
    draws = [space.config(dict(zip(space.domains, u, strict=True))) for u in cube]
    return draws[int(_distance(embed(space, draws), taken).argmax())]


def _is_countable(space: Space) -> bool:
    counts = [domain.num_values for domain in space.domains.values()]
    return None not in counts and math.prod(count or 0 for count in counts) <= COUNTABLE


def _countable(space: Space) -> dict[tuple[float, ...], Config]:
    """Every configuration of a small space without real numbers, by its point; none of any other."""
    if not _is_countable(space):
        return {}
    axes = [[domain.share(value) for value in values_of(domain)] for domain in space.domains.values()]
    configs = [space.config(dict(zip(space.domains, point, strict=True))) for point in itertools.product(*axes)]
    return dict(zip(map(tuple, embed(space, configs).tolist()), configs, strict=True))
