"""Samplers that model what they have seen, through Optuna: `(seed, space, history, num_configs) -> configurations`.

Each call builds its model anew from the whole history, so that a batch depends on the arguments alone and a search that
was killed goes on as if it had not been. Three things are the same for all:

- A model is told the place of each configuration in the sweep's own ranking, never its score: a failure is then simply
  the last, which is how it is learned from (Optuna forgets a trial that is told as failed), and a configuration that
  was stopped early keeps the place that the sweep gave it. Told as pruned, one that patience stopped would rank behind
  everything that trained to the end. TPE and CMA-ES use nothing but the order anyway.
- Domains are modelled on their own scale (`coordinates`), with only what a configuration uses.
- Batches hold no near-duplicates, of each other or of the past (`apart`).
"""

import dataclasses
import importlib.util
import itertools
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import ndtri

from jaxbn.errors import UserError
from jaxbn.search.apart import distinct
from jaxbn.search.config import Config
from jaxbn.search.coordinates import coordinates, distribution, is_few, share, values_of
from jaxbn.search.domains import Choice, Domain, Int
from jaxbn.search.history import History
from jaxbn.search.optuna_extra import quiet, require
from jaxbn.search.propose import random, sobol
from jaxbn.search.space import Space

if TYPE_CHECKING:
    from optuna.samplers import BaseSampler

NUM_ROUNDS = 8
"""Rounds unless somebody asks for another number: enough to learn from, few enough to fill tiles."""

STARTUP = 10
"""Trained configurations that a model needs; with fewer, Sobol points are proposed."""

BEST = 25
OTHERS = 225
"""How many of the best and of the others are told to a model whose cost grows with them."""

LIE = 0.0
"""What the process is told of a configuration that it has just proposed: an average result, as a normal score."""

SIGMA = 0.3
"""Where CMA-ES begins: about the standard deviation of the uniform draws that it is first told."""


@dataclasses.dataclass(frozen=True)
class _Seen:
    """A trained configuration: its coordinates by name, its place in the ranking, the round that proposed it."""

    point: dict[str, int | float]
    place: int
    round: int


def tpe(seed: int, space: Space, history: History | None, num_configs: int) -> list[Config]:
    """Tree-structured Parzen estimator (Bergstra et al. 2011): draws where good configurations are dense.

    Multivariate, and by groups where configurations use different hyperparameters. Each draw takes the batch so far for
    bad (the constant liar). Optuna fits its densities anew for every draw, which costs more the longer the history. It
    never counts more than 25 configurations as good, so of a long history the best 25 are told, and 225 drawn from the
    others: the density of the good ones stays what it was, that of the others is estimated from fewer, and the liar
    weighs more, which spreads a large batch.

    Args:
        seed: of all draws.
        space: what is searched.
        history: all there is so far; with none, or fewer than ten trained configurations, Sobol points come back.
        num_configs: size of the batch.

    Raises:
        UserError: Optuna is not installed.
    """
    require("the tpe sampler", "optuna")

    def suggest(seen: list[_Seen], rng: np.random.Generator) -> Iterator[dict[str, float]]:
        return _tpe(_thin(seen, rng), space.domains, rng)

    return _propose(suggest, seed, space, history, num_configs)


def gp(seed: int, space: Space, history: History | None, num_configs: int) -> list[Config]:
    """A Gaussian process and expected improvement (Optuna's GPSampler): for few, dear trials.

    What a configuration does not use is told as the middle of its domain, so that one process covers the whole space.
    Each draw of a batch is told at once as an average result (the constant liar of Ginsbourger et al. 2010). Left
    running, for which Optuna has a joint improvement, draws repeat each other wherever scores are noisy. The process is
    fitted anew for each draw, so of a long history the best 25 and 225 of the others are told; `tpe` is quicker.

    Args:
        seed: of all draws.
        space: what is searched.
        history: all there is so far; with none, or fewer than ten trained configurations, Sobol points come back.
        num_configs: size of the batch.

    Raises:
        UserError: Optuna or PyTorch is not installed.
    """
    require("the gp sampler", "optuna")
    if importlib.util.find_spec("torch") is None:
        raise UserError("the gp sampler needs PyTorch, which is not installed: pip install torch, or use tpe")

    def suggest(seen: list[_Seen], rng: np.random.Generator) -> Iterator[dict[str, float]]:
        from optuna.samplers import GPSampler

        middle = {name: _middle(domain) for name, domain in space.domains.items()}
        thinned = [dataclasses.replace(one, point=middle | one.point) for one in _thin(seen, rng)]
        return _ask(thinned, space.domains, GPSampler(seed=_seed(rng), n_startup_trials=0), lie=LIE)

    return _propose(suggest, seed, space, history, num_configs)


def cmaes(seed: int, space: Space, history: History | None, num_configs: int) -> list[Config]:
    """CMA-ES (Hansen 2016) over real and whole numbers on their own scales, through the package that Optuna's uses.

    The search of all earlier rounds is told again from the start. A generation is a round: a batch is its population,
    so that a large batch is one well-founded step (Optuna's own sampler keeps a dozen of it and drops the others). A
    round of another size is told as that many of its quantiles, rounds much smaller wait for the next. Each `Choice` is
    drawn by `tpe`, as Optuna draws it apart from the others.

    A number that a configuration does not use is told as a fresh draw, which neither pulls the mean nor narrows the
    search, and a whole number as a draw from its own cell, which keeps the step from shrinking below one.

    Args:
        seed: of all draws.
        space: what is searched.
        history: all there is so far; with none, or fewer than ten trained configurations, Sobol points come back.
        num_configs: size of the batch.

    Raises:
        UserError: Optuna or cmaes is not installed.
    """
    require("the cmaes sampler", "optuna", "cmaes")
    choices = {name: domain for name, domain in space.domains.items() if isinstance(domain, Choice)}
    numbers = {name: domain for name, domain in space.domains.items() if not isinstance(domain, Choice)}

    def suggest(seen: list[_Seen], rng: np.random.Generator) -> Iterator[dict[str, float]]:
        chosen = _tpe(_thin(seen, rng), choices, rng) if choices else itertools.repeat({})
        drawn = _cmaes(seen, numbers, num_configs, rng) if numbers else itertools.repeat({})
        return (a | b for a, b in zip(chosen, drawn, strict=False))

    return _propose(suggest, seed, space, history, num_configs)


def _propose(
    suggest: Callable[[list[_Seen], np.random.Generator], Iterator[dict[str, float]]],
    seed: int,
    space: Space,
    history: History | None,
    num_configs: int,
) -> list[Config]:
    history = history or History.empty()
    rng = np.random.default_rng([seed, len(history)])
    seen = _seen(space, history)
    with quiet():
        if len(seen) < STARTUP or not space.domains:
            start = _seed(rng)
            suggestions = iter(sobol(start, space, None, num_configs) + random(start, space, None, num_configs))
        else:
            suggestions = map(space.config, suggest(seen, rng))
        return distinct(suggestions, space, history.configs, num_configs, rng)


def _seen(space: Space, history: History) -> list[_Seen]:
    """What has trained, in order; what has failed ranks last."""
    return [
        _Seen(coordinates(space, config), int(history.rank[n]), int(history.rounds[n]))
        for n, config in enumerate(history.configs)
        if history.epochs[n] > 0
    ]


def _thin(seen: list[_Seen], rng: np.random.Generator) -> list[_Seen]:
    """The best ones and a draw of the others, in their order."""
    ranked = sorted(range(len(seen)), key=lambda n: seen[n].place)
    others = ranked[BEST:]
    drawn = rng.permutation(others)[:OTHERS] if others else []
    return [seen[n] for n in sorted([*ranked[:BEST], *(int(n) for n in drawn)])]


def _tpe(seen: list[_Seen], domains: Mapping[str, Domain], rng: np.random.Generator) -> Iterator[dict[str, float]]:
    from optuna.samplers import TPESampler

    grouped = any(domains.keys() - one.point.keys() for one in seen)
    sampler = TPESampler(seed=_seed(rng), multivariate=True, group=grouped, constant_liar=True, n_startup_trials=0)
    return _ask(seen, domains, sampler)


def _ask(
    seen: Sequence[_Seen], domains: Mapping[str, Domain], sampler: "BaseSampler", *, lie: float | None = None
) -> Iterator[dict[str, float]]:
    """Shares of domains, without end, from a study that holds what has been seen.

    What was asked stays running, for samplers that know what to make of that, or is told as the lie, a normal score.
    """
    import optuna

    distributions = {name: distribution(domain) for name, domain in domains.items()}
    # Normal scores of the ranks: an order is all that TPE reads, and a process wants values without outliers.
    ranks = np.argsort(np.argsort([one.place for one in seen], kind="stable"), kind="stable")
    scores = ndtri((ranks + 0.5) / len(seen)).tolist()
    study = optuna.create_study(sampler=sampler)
    study.add_trials(
        optuna.trial.create_trial(
            params={name: place for name, place in one.point.items() if name in domains},
            distributions={name: distributions[name] for name in one.point if name in domains},
            value=score,
        )
        for one, score in zip(seen, scores, strict=True)
    )
    while True:
        trial = study.ask(distributions)
        if lie is not None:
            study.tell(trial, lie)
        yield {name: share(domain, trial.params[name]) for name, domain in domains.items()}


def _cmaes(
    seen: list[_Seen], domains: Mapping[str, Domain], num_configs: int, rng: np.random.Generator
) -> Iterator[dict[str, float]]:
    from cmaes import CMA

    population = min(max(num_configs, 4 + math.floor(3 * math.log(len(domains)))), len(seen))
    bounds = np.tile([0.0, 1.0], (len(domains), 1))
    search = CMA(np.full(len(domains), 0.5), SIGMA, bounds=bounds, seed=_seed(rng), population_size=population)
    for generation in _generations(seen, population):
        solutions = []
        for place in np.linspace(0, len(generation) - 1, population).round().astype(int):
            point, fresh = generation[place].point, search.ask()
            shares = [
                _inside_cell(domain, point[name], rng) if name in point else other
                for (name, domain), other in zip(domains.items(), fresh.tolist(), strict=True)
            ]
            solutions.append((np.array(shares), float(generation[place].place)))
        search.tell(solutions)
    while True:
        yield dict(zip(domains, search.ask().clip(0, 1).tolist(), strict=True))


def _generations(seen: list[_Seen], population: int) -> Iterator[list[_Seen]]:
    """Whole rounds, best first, of at least three quarters of the population each."""
    generation: list[_Seen] = []
    for _, members in itertools.groupby(seen, key=lambda one: one.round):
        generation += members
        if 4 * len(generation) >= 3 * population:
            yield sorted(generation, key=lambda one: one.place)
            generation = []


def _inside_cell(domain: Domain, place: int | float, rng: np.random.Generator) -> float:
    """A draw from the shares that `at` maps to the value at a coordinate."""
    middle = share(domain, place)
    if not isinstance(domain, Int):
        return middle
    width = 1 / domain.num_values
    if domain.scale == "log":
        width = math.log1p(1 / domain.at(middle)) / math.log((domain.high + 1) / domain.low)
    return middle + width * (rng.random() - 0.5)


def _middle(domain: Domain) -> int | float:
    return len(values_of(domain)) // 2 if is_few(domain) else 0.5


def _seed(rng: np.random.Generator) -> int:
    return int(rng.integers(2**31))
