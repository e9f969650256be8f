"""A domain as an Optuna distribution on the domain's own scale, so that a model's distances are the domain's."""

from typing import TYPE_CHECKING, Any

from jaxbn.search.config import Config
from jaxbn.search.domains import Choice, Domain, Float
from jaxbn.search.space import Space

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution

FEW = 32
"""Whole numbers with more values than this are modelled as real: exact masses of many values are slow in Optuna."""


def values_of(domain: Domain) -> tuple[Any, ...]:
    """Every value of a domain in order; none for real numbers.

    Example:
        >>> from jaxbn.search.domains import Int
        >>> values_of(Int(32, 256, scale="power_of_two")), values_of(Float(0, 1))
        ((32, 64, 128, 256), ())
    """
    if isinstance(domain, Float):
        return ()
    if isinstance(domain, Choice):
        return domain.options
    if domain.scale == "power_of_two":
        return tuple(int(domain.low) << place for place in range(domain.num_values))
    return tuple(range(int(domain.low), int(domain.high) + 1))


def is_few(domain: Domain) -> bool:
    """Whether a domain is modelled by the places of its values instead of by shares."""
    return isinstance(domain, Choice) or (domain.num_values is not None and domain.num_values <= FEW)


def distribution(domain: Domain) -> "BaseDistribution":
    """What Optuna samples: a place among few values, categories for a `Choice`, else the share of the domain."""
    from optuna import distributions

    if isinstance(domain, Choice):
        return distributions.CategoricalDistribution(tuple(range(domain.num_values)))
    if is_few(domain):
        return distributions.IntDistribution(0, len(values_of(domain)) - 1)
    return distributions.FloatDistribution(0.0, 1.0)


def coordinate(domain: Domain, value: Any) -> int | float:
    """Where a value lies in the distribution; a number that the domain lacks takes the nearest place.

    Example:
        >>> from jaxbn.search.domains import Int
        >>> coordinate(Int(32, 256, scale="power_of_two"), 128), coordinate(Float(1e-4, 1, scale="log"), 0.01)
        (2, 0.5)
    """
    if isinstance(domain, Choice):
        return domain.options.index(value)
    if is_few(domain):
        values = values_of(domain)
        return min(range(len(values)), key=lambda place: abs(values[place] - value))
    return domain.share(value)


def share(domain: Domain, place: int | float) -> float:
    """The share of the domain at a coordinate: what `Space.config` takes.

    Example:
        >>> share(Choice("momentum", "adam"), 1), share(Float(0, 8), 0.3)
        (0.75, 0.3)
    """
    return domain.share(values_of(domain)[int(place)]) if is_few(domain) else float(place)


def coordinates(space: Space, config: Config) -> dict[str, int | float]:
    """Where a configuration lies: a coordinate of each searched hyperparameter that it uses.

    Example:
        >>> space = Space(learning_rate=Float(1e-4, 1, scale="log"), b1=Float(0.8, 0.9), optimizer="momentum")
        >>> coordinates(space, space.config({"learning_rate": 0.25, "b1": 0.5}))
        {'learning_rate': 0.25}
    """
    return {name: coordinate(space.domains[name], getattr(config, name)) for name in space.point(config)}
