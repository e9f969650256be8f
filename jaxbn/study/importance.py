"""Which hyperparameters mattered, how, and how much of the space is good."""

import dataclasses
from typing import TYPE_CHECKING, Any

import numpy as np

from jaxbn.errors import UserError, unknown
from jaxbn.search import Space
from jaxbn.search.coordinates import coordinate, coordinates, distribution, is_few, share, values_of
from jaxbn.search.optuna_extra import quiet, require
from jaxbn.study.efficiency import num_given
from jaxbn.study.per_config import PerConfig, per_config, space_of

if TYPE_CHECKING:
    from jaxbn.study.results import Results

METHODS = ("ped_anova", "fanova")
LEAST = 10
"""Fewer configurations are refused; shares are steady from about fifty, five of them in the best tenth."""


def importance(results: "Results", *, method: str = "ped_anova", seed: int = 0) -> dict[str, float]:
    """The share of each searched hyperparameter in what made configurations differ, largest first, summing to 1.

    Both see hyperparameters on their own scales and the mean score over replicates and folds; what diverged counts as
    the worst score. A hyperparameter that no configuration uses is left out.

    Args:
        results: of a sweep; most telling where configurations cover the space, as random and Sobol ones do.
        method: "ped_anova" (Watanabe et al. 2023): what sets the best 10 % of configurations apart from all; one that
            only some configurations use counts among those (its conditional form). "fanova" (Hutter et al. 2014): the
            share of the variance of a random forest that each explains alone; where a hyperparameter is not used, the
            forest sees the middle of its domain. Slow: 20 seconds for a thousand configurations, where PED-ANOVA takes
            one.
        seed: of the forest; PED-ANOVA draws nothing.

    Raises:
        UserError: an unknown method, Optuna is not installed, or fewer than ten configurations have trained.
    """
    if method not in METHODS:
        raise unknown("method of importance", method, METHODS)
    require("importance", "optuna")
    import optuna

    table = per_config(results)
    if len(table.configs) < LEAST:
        raise UserError(
            f"importance needs {LEAST} or more trained configurations and this sweep has {len(table.configs)}"
        )
    space = space_of(results, table.configs)
    points = [coordinates(space, config) for config in table.configs]
    used = {name: domain for name, domain in space.domains.items() if any(name in point for point in points)}
    middle = {name: coordinate(domain, domain.at(0.5)) for name, domain in used.items()}
    distributions = {name: distribution(domain) for name, domain in used.items()}
    if method == "fanova":
        points = [middle | point for point in points]
        evaluator: Any = optuna.importance.FanovaImportanceEvaluator(seed=seed)
    else:
        evaluator = optuna.importance.PedAnovaImportanceEvaluator()
    with quiet():
        study = optuna.create_study(direction="maximize" if table.greater_is_better else "minimize")
        study.add_trials(
            optuna.trial.create_trial(
                params=point, distributions={name: distributions[name] for name in point}, value=score
            )
            for point, score in zip(points, table.score.tolist(), strict=True)
        )
        found = optuna.importance.get_param_importances(study, evaluator=evaluator)
    return {name: float(value) for name, value in sorted(found.items(), key=lambda item: -item[1])}


@dataclasses.dataclass(frozen=True, eq=False)
class MainEffect:
    """The score against one hyperparameter, over all values of the others, in K bins that hold a configuration.

    Attributes:
        name: of the hyperparameter.
        values: K, the value in the middle of each bin, on the domain's own scale; where there are few, the value.
        shares: float [K], the share of the domain at the middle of each bin, in (0, 1).
        count: int [K], configurations.
        mean: float [K], of the score.
        std: float [K], of the score within the bin: what the other hyperparameters and chance do.
    """

    name: str
    values: tuple[Any, ...]
    shares: np.ndarray
    count: np.ndarray
    mean: np.ndarray
    std: np.ndarray


def main_effects(results: "Results", *, num_bins: int = 10) -> dict[str, MainEffect]:
    """How the score depends on each searched hyperparameter, in the order of the space.

    Bins are equally wide on the domain's own scale; a `Choice`, or a whole number of few values, has one for each
    value. What diverged counts as the worst score. Only configurations that use the hyperparameter count, and one that
    none uses is left out.

    Args:
        results: of a sweep; biased where configurations were not drawn alike over the space.
        num_bins: for real numbers, and whole numbers of more than 32 values.

    Raises:
        UserError: fewer than one bin, or no trial has a score.
    """
    if num_bins < 1:
        raise UserError(f"num_bins = {num_bins} is too few: give 1 or more")
    table = per_config(results)
    space = space_of(results, table.configs)
    points = [coordinates(space, config) for config in table.configs]
    effects = (_main_effect(name, space, points, table, num_bins) for name in space.domains)
    return {effect.name: effect for effect in effects if effect.values}


def _main_effect(name: str, space: Space, points: list[dict[str, Any]], table: PerConfig, num_bins: int) -> MainEffect:
    domain = space.domains[name]
    uses = np.array([name in point for point in points], bool)
    places = [point[name] for point in points if name in point]
    if is_few(domain):
        values = values_of(domain)
        bins, shares = np.array(places, int), np.array([share(domain, place) for place in range(len(values))])
    else:
        shares = (np.arange(num_bins) + 0.5) / num_bins
        values = tuple(domain.at(u) for u in shares.tolist())
        bins = np.minimum((np.array(places, float) * num_bins).astype(int), num_bins - 1)
    scores = table.score[uses]
    filled = np.unique(bins)
    return MainEffect(
        name=name,
        values=tuple(values[place] for place in filled),
        shares=shares[filled],
        count=np.array([(bins == place).sum() for place in filled], int),
        mean=np.array([scores[bins == place].mean() for place in filled]),
        std=np.array([scores[bins == place].std() for place in filled]),
    )


def share_near_best(results: "Results", percent: float) -> float:
    """The share of the space whose validation score is within so many per cent of the best one found.

    Estimated from configurations that were drawn alike over the space: all of a random or Sobol sweep, of any other the
    first round, without those that were enqueued. One that diverged is not near; one that was stopped early is judged
    by its last epoch, so a scheduler makes the share smaller than it is.

    Args:
        results: of a sweep.
        percent: of the best score's size: 5 means a score of 0.95 or more where the best accuracy is 1.

    Raises:
        UserError: a negative percentage, no trial has a score, or all were enqueued.
    """
    if percent < 0:
        raise UserError(f"percent = {percent} is negative: give how far from the best is still near, such as 5")
    table = per_config(results)
    drawn = table.rounds == 0
    if results.request.sampler in ("random", "sobol"):
        drawn[:] = True
    drawn[: num_given(results)] = False
    sign = 1.0 if table.greater_is_better else -1.0
    best = (sign * table.score).max()
    return float((sign * table.score[drawn] >= best - percent / 100 * abs(best)).mean())
