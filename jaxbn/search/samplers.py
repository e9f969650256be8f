"""The samplers by name, and in how many rounds they ask."""

import dataclasses
import functools
from collections.abc import Iterable, Mapping

from jaxbn.errors import UserError, unknown
from jaxbn.search import coarse_to_fine, model_based
from jaxbn.search.config import Config
from jaxbn.search.propose import Propose, grid, random, sobol
from jaxbn.search.schedule import History
from jaxbn.search.space import Space


@dataclasses.dataclass(frozen=True)
class Sampler:
    """A way to propose configurations.

    Attributes:
        name: what a person calls it.
        propose: called once a round.
        num_rounds: unless somebody asks for another number.
        whole: what it proposes makes sense as a whole only, in one round.
    """

    name: str
    propose: Propose
    num_rounds: int = 1
    whole: bool = False


SAMPLERS: dict[str, Sampler] = {
    sampler.name: sampler
    for sampler in (
        Sampler("random", random),
        Sampler("grid", grid, whole=True),
        Sampler("sobol", sobol),
        Sampler("coarse_to_fine", coarse_to_fine.coarse_to_fine, coarse_to_fine.NUM_ROUNDS),
        Sampler("tpe", model_based.tpe, model_based.NUM_ROUNDS),
        Sampler("cmaes", model_based.cmaes, model_based.NUM_ROUNDS),
        Sampler("gp", model_based.gp, model_based.NUM_ROUNDS),
    )
}


def sampler(given: str | Propose) -> Sampler:
    """A sampler by name, or one round of a function of one's own.

    Raises:
        UserError: there is none of that name.
    """
    if not isinstance(given, str):
        if not callable(given):
            raise UserError(f"sampler = {given!r} is neither a name nor a function: choose from {', '.join(SAMPLERS)}")
        known = (found for found in SAMPLERS.values() if found.propose is given)
        # A name that no sampler can have: nobody may take a function of one's own for one of these.
        name = f"{getattr(given, '__name__', 'custom')}()"
        return next(known, Sampler(name, functools.partial(_configs_of, given, name)))
    if given not in SAMPLERS:
        raise unknown("sampler", given, SAMPLERS)
    return SAMPLERS[given]


def _configs_of(
    given: Propose, name: str, seed: int, space: Space, history: History | None, num_configs: int
) -> list[Config]:
    """What a sampler of one's own proposes.

    Raises:
        UserError: it is no list of configurations.
    """
    found = given(seed, space, history, num_configs)
    if isinstance(found, Iterable) and not isinstance(found, str | Mapping):
        configs = list(found)
        if all(isinstance(config, Config) for config in configs):
            return configs
    raise UserError(
        f"the sampler {name!r} returned {found!r:.60}, which is no list of configs: return what space.config(u) gives"
    )
