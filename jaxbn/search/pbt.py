"""Population-based training (Jaderberg et al. 2017): the worst take over from the best, and change what they do."""

from collections.abc import Callable
from typing import Any

import numpy as np

from jaxbn.nn.types import Spec
from jaxbn.search.config import Config
from jaxbn.search.domains import Choice, Domain, Int
from jaxbn.search.history import History
from jaxbn.search.schedule import Cohort, Edit, Rung
from jaxbn.search.space import Space, applies

SHARE = 0.25
"""Of the members of a spec: how many take over, and from how many."""

RESAMPLE = 0.25
"""How often a hyperparameter is drawn anew instead of perturbed."""

PERTURB = 0.1
"""How far it is perturbed, as a share of its domain on the domain's own scale."""


def pbt_rungs(num_configs: int, num_epochs: int, *, interval: int = 1) -> tuple[Rung, ...]:
    """Everybody trains to the end, with a decision every `interval` epochs.

    Example:
        >>> [rung.epochs for rung in pbt_rungs(16, 10, interval=4)]
        [4, 8, 10]
    """
    ends = dict.fromkeys([*range(interval, num_epochs, interval), num_epochs])
    return tuple(Rung(end, (num_configs,)) for end in ends)


def exploit_and_explore(seed: int, cohort: Cohort, history: History, rung: Rung) -> Edit:
    """Within each spec, the lowest-ranked quarter goes on from members of the highest-ranked quarter.

    A member that takes over copies everything: weights, statistics, the optimizer's state and hyperparameters; then it
    explores. What would make a lie of the copied state (`hidden_units`, `init_scale`, `b1`, `b2`) stays as it is in the
    parent. A member that failed takes over whatever its rank, and is stopped where nobody of its spec has not failed.
    """
    del rung
    assert cohort.space is not None, "population-based training explores a space"
    number = int(history.rounds[cohort.numbers].max(initial=0))
    source, configs = np.arange(len(cohort)), list(cohort.configs)
    failed = np.isnan(history.objective[cohort.numbers])
    rank = history.rank[cohort.numbers]
    groups: dict[Spec, list[int]] = {}
    for place, config in enumerate(cohort.configs):
        groups.setdefault(cohort.spec_of(config), []).append(place)
    for places in groups.values():
        ranked = sorted(places, key=lambda place: rank[place])
        count = max(round(SHARE * len(ranked)), len(ranked) > 1)
        parents = [place for place in ranked[:count] if not failed[place]]
        losers = [place for place in ranked if place not in parents and (failed[place] or place in ranked[-count:])]
        for loser in losers if parents else ():
            # A stream for each member and decision: what becomes of one changes no other.
            rng = np.random.default_rng([seed, number, cohort.epoch, int(cohort.numbers[loser])])
            parent = parents[rng.integers(len(parents))]
            source[loser] = parent
            configs[loser] = explore(rng, cohort.configs[parent], cohort.space, cohort.spec_of)
    # What failed and has nobody to take over from has nothing to train on with.
    keep = np.flatnonzero(~failed | (source != np.arange(len(cohort))))
    return Edit(keep, source[keep], tuple(configs[place] for place in keep))


def explore(rng: np.random.Generator, config: Config, space: Space, spec_of: Callable[[Config], Spec]) -> Config:
    """A configuration near another, with some hyperparameters drawn anew, that can go on from the other's state.

    Args:
        rng: consumed.
        config: of the parent.
        space: what may be changed, and on which scale.
        spec_of: what shapes the program of a configuration.

    Returns:
        A configuration whose network, optimizer and program are those of the parent.
    """
    explored = config
    for name, u in space.point(config).items():
        domain = space.domains[name]
        anew, resampled, step = rng.random(), rng.random() < RESAMPLE, rng.choice([-PERTURB, PERTURB])
        if not space.table[name].editable or (isinstance(domain, Choice) and not resampled):
            continue
        if not applies(domain, explored):
            continue
        value = domain.at(anew) if resampled else beside(domain, u, step)
        changed = _with_dependents(rng, explored, explored.changed(**{name: value}), space)
        if changed is not None and spec_of(changed) == spec_of(config):
            explored = changed
    return explored


def beside(domain: Domain, u: float, step: float) -> Any:
    """The value a step away from the one at the share u of a domain; of whole numbers, another one at least.

    Example:
        >>> [beside(Int(16, 256, scale="power_of_two"), 0.5, step) for step in (-0.1, 0.1)]
        [32, 128]
    """
    value, moved = domain.at(u), domain.at(min(max(u + step, 0.0), 1.0))
    if moved != value or not isinstance(domain, Int):
        return moved
    if domain.scale == "power_of_two":
        moved = value * 2 if step > 0 else value // 2
    else:
        moved = value + (1 if step > 0 else -1)
    return min(max(moved, int(domain.low)), int(domain.high))


def _with_dependents(rng: np.random.Generator, old: Config, new: Config, space: Space) -> Config | None:
    """A changed configuration in which what depends on the change is drawn anew, or has its default again.

    Returns:
        None where that would change what may not change in the middle of training.
    """
    for name, domain in space.domains.items():
        holds = applies(domain, new)
        if not domain.when or holds == applies(domain, old):
            continue
        if not space.table[name].editable:
            return None
        value = domain.at(rng.random()) if holds else space.default_of(name, new)
        new = new.changed(**{name: value})
    return new
