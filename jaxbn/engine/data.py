"""A problem's arrays, padded to sizes that many problems share, on a device."""

import dataclasses

import jax
import numpy as np

from jaxbn.data import Prepared
from jaxbn.data import Rows as HostRows
from jaxbn.engine.programs import CHUNK, Problem
from jaxbn.nn.types import Architecture, Device, Rows
from jaxbn.search import LADDER, pad


@dataclasses.dataclass(frozen=True, eq=False)
class Data:
    """The training and validation splits of a problem.

    Attributes:
        train: padded training rows.
        valid: padded validation rows.
        target_scale: float [C], what regression targets were divided by; ones in classification.
    """

    train: Rows
    valid: Rows
    target_scale: np.ndarray


def problem_of(
    train: HostRows,
    valid: HostRows,
    task: str,
    num_outputs: int,
    metrics: tuple[str, ...],
    architecture: Architecture | None = None,
) -> Problem:
    """What programs must know of the data: sizes are padded to a ladder, so that small tables and folds share them."""
    # What cannot leave rows out must not be given any that there are not.
    masks_rows = architecture is None or architecture.masks_rows
    return Problem(
        task=task,
        num_inputs=train.x.shape[1],
        num_outputs=num_outputs,
        train_rows=pad(len(train.x), LADDER) if masks_rows else len(train.x),
        valid_rows=CHUNK * pad(-(-len(valid.x) // CHUNK), LADDER),
        metrics=metrics,
    )


def host_data(prepared: Prepared, problem: Problem) -> Data:
    """The splits as padded NumPy arrays, in the float type that is enabled."""
    scale = prepared.target_scale
    return Data(
        train=padded(prepared.train, problem.train_rows),
        valid=padded(prepared.valid, problem.valid_rows),
        target_scale=np.ones(problem.num_outputs) if scale is None else np.asarray(scale.scale),
    )


def padded(rows: HostRows, size: int) -> Rows:
    """Rows with zeros below them, up to `size`."""
    real = jax.dtypes.canonicalize_dtype(float)

    def fill(array: np.ndarray) -> np.ndarray:
        kind = np.int32 if np.issubdtype(array.dtype, np.integer) else real
        out = np.zeros((size, *array.shape[1:]), kind)
        out[: len(array)] = array
        return out

    return Rows(fill(rows.x), fill(rows.y), fill(rows.weight), np.int32(len(rows.x)))  # type: ignore[arg-type]


def place(data: Data, device: Device) -> Data:
    """The splits on a device."""
    real = jax.dtypes.canonicalize_dtype(float)
    train, valid, scale = jax.device_put((data.train, data.valid, data.target_scale.astype(real)), device)
    return Data(train, valid, scale)
