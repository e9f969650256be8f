"""What a person is told when what they asked for cannot be done."""

import difflib
from collections.abc import Iterable

MOST = 24
"""Names that an error lists."""


class UserError(ValueError):
    """A mistake in what was asked for, in one sentence: what was given, what was expected, what to do.

    The command line prints the sentence and exits with status 2; a library user sees an ordinary `ValueError`.
    """


def unknown(kind: str, given: object, known: Iterable[str]) -> UserError:
    """The error for a name that is not among the known ones, with the nearest name when there is one.

    Args:
        kind: what was being named, such as "hyperparameter".
        given: the name that was given.
        known: the names that exist.

    Returns:
        The error, to be raised by the caller.

    Example:
        >>> print(unknown("metric", "acuracy", ["accuracy", "loss"]))
        unknown metric 'acuracy' (did you mean 'accuracy'?): choose from accuracy, loss
    """
    names = list(known)
    near = difflib.get_close_matches(str(given), names, n=1)
    hint = f" (did you mean {near[0]!r}?)" if near else ""
    listed = ", ".join(names[:MOST]) + (f" and {len(names) - MOST} more" if len(names) > MOST else "")
    return UserError(f"unknown {kind} {str(given)!r}{hint}: choose from {listed}")
