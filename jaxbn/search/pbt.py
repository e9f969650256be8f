"""Population-based training (Jaderberg et al. 2017): the worst take over from the best, and change what they do."""

import dataclasses

import numpy as np

from jaxbn.nn.types import Spec
from jaxbn.search.config import HYPERPARAMETERS, Config
from jaxbn.search.domains import Choice
from jaxbn.search.history import History
from jaxbn.search.schedule import Cohort, Edit, Rung
from jaxbn.search.space import Space
from jaxbn.search.split import split

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
    explores. What would make a lie of the copied state (`hidden_units`, `init_scale`, `b2`) stays as the parent's is.
    A member that failed takes over whatever its rank.
    """
    del rung
    rng = np.random.default_rng([seed, cohort.epoch, 2017])
    source, configs = np.arange(len(cohort)), list(cohort.configs)
    assert cohort.space is not None, "population-based training explores a space"
    failed = np.isnan(history.objective[cohort.numbers])
    rank = history.rank[cohort.numbers]
    groups: dict[object, list[int]] = {}
    for place, spec in enumerate(cohort.specs):
        groups.setdefault(spec, []).append(place)
    for places in groups.values():
        ranked = sorted(places, key=lambda place: rank[place])
        count = max(round(SHARE * len(ranked)), len(ranked) > 1)
        parents = [place for place in ranked[:count] if not failed[place]]
        losers = [place for place in ranked[count:] if failed[place] or place in ranked[-count:]]
        for loser in losers if parents else ():
            parent = parents[rng.integers(len(parents))]
            source[loser] = parent
            configs[loser] = explore(rng, cohort.configs[parent], cohort.space)
    return Edit(np.arange(len(cohort)), source, tuple(configs))


def explore(rng: np.random.Generator, config: Config, space: Space) -> Config:
    """A configuration near another, with some hyperparameters drawn anew, that can go on from the other's state.

    Args:
        rng: consumed.
        config: of the parent.
        space: what may be changed, and on which scale.

    Returns:
        A configuration whose network and optimizer are those of the parent.
    """
    explored = config
    for name, u in space.point(config).items():
        domain = space.domains[name]
        # The same draws for each hyperparameter, whatever becomes of them: one more in the space changes no other.
        anew, resampled, step = rng.random(), rng.random() < RESAMPLE, rng.choice([-PERTURB, PERTURB])
        if not HYPERPARAMETERS[name].editable or (isinstance(domain, Choice) and not resampled):
            continue
        value = domain.at(anew if resampled else min(max(u + step, 0.0), 1.0))
        changed = dataclasses.replace(explored, **{name: value})
        if _shape(changed) == _shape(config):
            explored = changed
    return explored


def _shape(config: Config) -> Spec:
    """What must not change under a state; the mini-batch may."""
    return dataclasses.replace(split(config)[0], batch_size=0)
