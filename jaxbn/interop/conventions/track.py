"""What a framework has stored after some mini-batches."""

from collections.abc import Sequence

import jax
import numpy as np
from numpy.typing import ArrayLike

from jaxbn.errors import UserError
from jaxbn.interop.conventions import running
from jaxbn.interop.conventions.convention import Convention
from jaxbn.interop.conventions.table import lookup
from jaxbn.interop.conventions.weights import statistics
from jaxbn.nn import batch_norm


def track(convention: str | Convention, batches: Sequence[ArrayLike]) -> dict[str, np.ndarray]:
    """The running statistics of one normalisation layer, by the framework's own names, after a list of mini-batches.

    Args:
        convention: a name in the table, for the framework's defaults, or a record.
        batches: each [B, F]. A mini-batch of no rows changes nothing.

    Returns:
        The arrays in the framework's order and form, float64 where they are not counts.

    Raises:
        UserError: there is no such name; a batch is no array of numbers [B, F], or not as wide as the first; or the
            framework refuses a batch of one row.

    Example:
        >>> track("torch", [[[1.0], [2.0], [3.0], [4.0]]])["running_var"].round(4)
        array([1.0667])
    """
    convention = lookup(convention)
    try:
        arrays = [np.asarray(batch, np.float64) for batch in batches]
    except (TypeError, ValueError) as error:
        raise UserError(f"mini-batches that are no arrays of numbers ({error}): give a list of arrays [B, F]") from None
    if not arrays or arrays[0].ndim != 2 or not arrays[0].shape[1]:
        raise UserError(f"{_shapes(arrays)} given as mini-batches: give a list of arrays [B, F], F at least 1")
    if any(array.shape[1:] != arrays[0].shape[1:] for array in arrays):
        raise UserError(f"{_shapes(arrays)} given as mini-batches: give arrays [B, F] of the same F")
    with jax.enable_x64(True):
        _, state = running.init(arrays[0].shape[1], np.float64, convention=convention)
        for array in arrays:
            if convention.batch_of_one == "error" and len(array) == 1:
                raise running.refusal(convention)
            state = running.update(state, batch_norm.moments(jax.numpy.asarray(array)), convention=convention)
        return statistics(state, convention)


def _shapes(arrays: Sequence[np.ndarray]) -> str:
    return f"arrays of shape {', '.join(str(array.shape) for array in arrays)}" if arrays else "nothing"
