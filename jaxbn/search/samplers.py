"""The samplers by name, and in how many rounds they ask."""

import dataclasses

from jaxbn.errors import unknown
from jaxbn.search import coarse_to_fine, model_based
from jaxbn.search.propose import Propose, grid, random, sobol


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
        known = (found for found in SAMPLERS.values() if found.propose is given)
        # A name that no sampler can have: nobody may take a function of one's own for one of these.
        return next(known, Sampler(f"{getattr(given, '__name__', 'custom')}()", given))
    if given not in SAMPLERS:
        raise unknown("sampler", given, SAMPLERS)
    return SAMPLERS[given]
