"""Samplers that do not learn: `(seed, space, history, num_configs) -> the next num_configs configurations`.

Every one is a way to choose points of the unit cube; the space turns points into configurations. Random and Sobol draw
each configuration from its number alone, so the first ones stay the same when more are asked for.
"""

import itertools
import math
import zlib
from collections.abc import Callable

import numpy as np
from scipy.stats import qmc

from jaxbn.errors import UserError
from jaxbn.search.config import Config
from jaxbn.search.domains import Choice, Domain, Int
from jaxbn.search.history import History
from jaxbn.search.space import Space

Propose = Callable[[int, Space, History | None, int], list[Config]]
"""`(seed, space, history, num_configs) -> the next configurations`, pure in its arguments."""


def random(seed: int, space: Space, history: History | None, num_configs: int) -> list[Config]:
    """Independent draws, each hyperparameter from a stream of its own, so that one more changes no other.

    Example:
        >>> space = Space.default()
        >>> random(0, space, None, 5) == random(0, space, None, 9)[:5]
        True
    """
    first = len(history) if history else 0
    points = uniform_points(seed, tuple(space.domains), first + num_configs)[first:]
    return [space.config(dict(zip(space.domains, point, strict=True))) for point in points.tolist()]


def uniform_points(seed: int, names: tuple[str, ...], count: int) -> np.ndarray:
    """Independent points of the unit cube, [count, len(names)]: a column depends on its name, a row on its number."""
    columns = [np.random.default_rng([seed, zlib.crc32(name.encode())]).random(count) for name in names]
    return np.stack(columns, axis=1) if columns else np.zeros((count, 0))


def sobol(seed: int, space: Space, history: History | None, num_configs: int) -> list[Config]:
    """Scrambled Sobol points (Owen 1998), which cover the cube more evenly than independent ones."""
    if not space.domains:
        return [space.config({})] * num_configs
    first = len(history) if history else 0
    points = sobol_points(seed, len(space.domains), first + num_configs)[first:]
    return [space.config(dict(zip(space.domains, point, strict=True))) for point in points.tolist()]


def sobol_points(seed: int, dimensions: int, count: int) -> np.ndarray:
    """The first points of a scrambled Sobol sequence, [count, dimensions]."""
    sequence = qmc.Sobol(dimensions, scramble=True, rng=np.random.default_rng(seed))
    # A whole power of two keeps the balance of the sequence; the surplus is dropped.
    return sequence.random_base2(max(count - 1, 0).bit_length())[:count]


def grid(seed: int, space: Space, history: History | None, num_configs: int) -> list[Config]:
    """Every combination of evenly spaced values on each domain's scale, ends included.

    As many values per hyperparameter as keep the number of combinations within `num_configs`: all options of each
    `Choice`, and as even a number as possible of the others, the first declared getting one more where that fits. The
    number of configurations is therefore at most `num_configs`. Combinations that differ only in what they do not use,
    or in whole numbers that come out alike, are listed once. A grid is whole in its first round; nothing comes after.

    Raises:
        UserError: `num_configs` is too small for two values of each hyperparameter.
    """
    del seed
    if history:
        return []
    most = {name: domain.num_values or num_configs for name, domain in space.domains.items()}
    levels = {
        name: most[name] if isinstance(domain, Choice) else min(most[name], 2) for name, domain in space.domains.items()
    }
    if math.prod(levels.values()) > num_configs:
        raise UserError(
            f"a grid over {len(levels)} hyperparameters has at least {math.prod(levels.values())} configurations, "
            f"more than num_configs = {num_configs}: search fewer, ask for more, or use the random sampler"
        )
    growing = True
    while growing:
        growing = False
        for name in levels:
            others = math.prod(levels.values()) // levels[name]
            if levels[name] < most[name] and others * (levels[name] + 1) <= num_configs:
                levels[name] += 1
                growing = True
    axes = [_levels(space.domains[name], n) for name, n in levels.items()]
    configs = [space.config(dict(zip(levels, point, strict=True))) for point in itertools.product(*axes)]
    return list({tuple(config.row().items()): config for config in reversed(configs)}.values())[::-1]


def _levels(domain: Domain, count: int) -> list[float]:
    """Shares of a domain, evenly spaced; of whole numbers, where all are wanted, one for each."""
    if isinstance(domain, Int) and count == domain.num_values and domain.scale == "log":
        return [domain.share(value) for value in range(int(domain.low), int(domain.high) + 1)]
    return np.linspace(0, 1, count).tolist() if count > 1 else [0.5]
