"""What to try: the table of hyperparameters, domains, spaces, samplers."""

from jaxbn.search.config import HYPERPARAMETERS, Config, Hyperparameter, from_values
from jaxbn.search.domains import Choice, Domain, Float, Int
from jaxbn.search.propose import SAMPLERS, Propose, sampler
from jaxbn.search.space import Space
from jaxbn.search.split import LADDER, Band, Padding, pad, split

__all__ = [
    "HYPERPARAMETERS",
    "LADDER",
    "SAMPLERS",
    "Band",
    "Choice",
    "Config",
    "Domain",
    "Float",
    "Hyperparameter",
    "Int",
    "Padding",
    "Propose",
    "Space",
    "from_values",
    "pad",
    "sampler",
    "split",
]
