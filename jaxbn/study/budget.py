"""As many configurations as a time budget has room for, and the rounds that they are tried in."""

from collections.abc import Callable

from jaxbn.engine.plan import Plan
from jaxbn.search import Config

RESERVE = 2.0
"""Seconds that judging and writing take after training, kept free of a time budget."""
TRIES = 6
FEW = 128

Draft = tuple[tuple[int, ...], list[Config], Plan]
"""Rounds, the configurations of the first one, and a plan."""


def within(draft: Callable[[int], Draft], wanted: int, seconds: float) -> Draft:
    """The draft of about as many configurations as can be trained in a time, at most as many as are wanted.

    Drafting takes time too, so it begins with few. Fewer configurations share fewer programs, so the estimate is made
    anew for each number.
    """
    count = min(wanted, FEW)
    drafted = draft(count)
    for _ in range(TRIES):
        plan = drafted[2]
        free = max(seconds - plan.compile_seconds, 0.0)
        fits = int(count * min(free / max(plan.total_train_seconds, 1e-9), 8))
        if count <= fits <= count * 1.1 or (count == wanted and fits >= count) or (count == 1 and fits <= 1):
            break
        count = min(max(fits, count // 8, 1), wanted)
        drafted = draft(count)
    return drafted


def round_sizes(num_configs: int, num_rounds: int) -> tuple[int, ...]:
    """Configurations of each round, as even as can be, none empty but the only one.

    Example:
        >>> round_sizes(10, 4), round_sizes(2, 4), round_sizes(0, 3)
        ((3, 3, 2, 2), (1, 1), (0,))
    """
    num_rounds = max(min(num_rounds, num_configs), 1)
    return tuple(num_configs // num_rounds + (number < num_configs % num_rounds) for number in range(num_rounds))
