"""What to try: the table of hyperparameters, domains, spaces, samplers, schedulers."""

from jaxbn.search.config import HYPERPARAMETERS, Config, from_values, table_of
from jaxbn.search.domains import Choice, Domain, Float, Int
from jaxbn.search.history import History
from jaxbn.search.hyperparameter import Hyperparameter
from jaxbn.search.propose import Propose
from jaxbn.search.samplers import SAMPLERS, Sampler, sampler
from jaxbn.search.schedule import Cohort, Edit, Rung, Scheduler
from jaxbn.search.schedulers import SCHEDULERS, scheduler
from jaxbn.search.space import Space
from jaxbn.search.split import LADDER, Band, Padding, pad, split

__all__ = [
    "HYPERPARAMETERS",
    "LADDER",
    "SAMPLERS",
    "SCHEDULERS",
    "Band",
    "Choice",
    "Cohort",
    "Config",
    "Domain",
    "Edit",
    "Float",
    "History",
    "Hyperparameter",
    "Int",
    "Padding",
    "Propose",
    "Rung",
    "Sampler",
    "Scheduler",
    "Space",
    "from_values",
    "pad",
    "sampler",
    "scheduler",
    "split",
    "table_of",
]
