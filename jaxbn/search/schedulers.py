"""The schedulers by name."""

from jaxbn.errors import UserError, unknown
from jaxbn.search.halving import budgets, halving_rungs, hyperband_rungs, keep_best, to_the_end
from jaxbn.search.pbt import exploit_and_explore, pbt_rungs
from jaxbn.search.schedule import Scheduler

SCHEDULERS = ("none", "halving", "hyperband", "pbt")
READ_BY = {"factor": ("halving", "hyperband"), "min_epochs": ("halving", "hyperband"), "interval": ("pbt",)}
"""The schedulers that read an argument; the others would ignore it in silence."""


def scheduler(name: str, *, num_epochs: int, factor: float = 3, min_epochs: int = 1, interval: int = 1) -> Scheduler:
    """A scheduler by name.

    Args:
        name: one of `SCHEDULERS`.
        num_epochs: of the last rung.
        factor: one in how many configurations survives a rung of halving and Hyperband.
        min_epochs: of their first rung.
        interval: epochs between two decisions of population-based training.

    Raises:
        UserError: there is none of that name, or its numbers make no sense.

    Example:
        >>> scheduler("halving", num_epochs=9).rungs(90, 9)[-1]
        Rung(epochs=9, survivors=(10,))
    """
    match name:
        case "none":
            return Scheduler(name, to_the_end, keep_best)
        case "halving" | "hyperband":
            budgets(num_epochs, factor, min_epochs)
            table = halving_rungs if name == "halving" else hyperband_rungs
            return Scheduler(
                name, lambda n, e: table(n, e, factor=factor, min_epochs=min_epochs), keep_best, early=True
            )
        case "pbt":
            if interval < 1:
                raise UserError(f"an interval of {interval} epochs is no budget: give a whole number of at least 1")
            return Scheduler(name, lambda n, e: pbt_rungs(n, e, interval=interval), exploit_and_explore, edits=True)
    raise unknown("scheduler", name, SCHEDULERS)
