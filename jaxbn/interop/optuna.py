"""A sweep as an Optuna study, and a space from Optuna's distributions and back."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from jaxbn.errors import UserError
from jaxbn.search import Choice, Float, Int, Space
from jaxbn.study.optuna_study import distributions_of, to_study
from jaxbn.study.per_config import layer_sizes

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution

__all__ = ["distributions_of", "space_from", "to_study"]


def space_from(distributions: "Mapping[str, BaseDistribution]") -> Space:
    """A space from Optuna's distributions, whose names are hyperparameters of jaxbn.

    A distribution of a single value becomes a fixed value.

    Raises:
        UserError: an unknown name, a step, or values that the hyperparameter cannot have.
    """
    return Space(**{name: _domain(name, distribution) for name, distribution in distributions.items()})


def _domain(name: str, distribution: "BaseDistribution") -> Any:
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    match distribution:
        case CategoricalDistribution():
            options = [layer_sizes(option) if name == "hidden_units" else option for option in distribution.choices]
            return Choice(*options) if len(options) > 1 else options[0]
        case FloatDistribution() | IntDistribution() if distribution.single():
            return distribution.low
        case FloatDistribution(step=None):
            return Float(distribution.low, distribution.high, scale="log" if distribution.log else "linear")
        case IntDistribution(step=1):
            return Int(distribution.low, distribution.high, scale="log" if distribution.log else "linear")
    raise UserError(
        f"{name} is {distribution}, which no domain of jaxbn is: leave out the step, or make it categorical"
    )
