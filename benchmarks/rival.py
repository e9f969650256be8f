"""What the rivals of `benchmarks.throughput` share: the job, and how a time is told."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler

NUM_INPUTS, HIDDEN, NUM_CLASSES = 64, (64, 64), 10
BN_DECAY, BN_EPSILON = 0.9, 1e-5


@dataclass(frozen=True)
class Timing:
    """What a rival took: `seconds_train` for all `num_configs` together, compiling and warming up excluded.

    `final_loss` is the median over configs of the mean training loss of the last epoch.
    """

    name: str
    num_configs: int
    seconds_compile: float
    seconds_train: float
    final_loss: float

    @property
    def milliseconds_per_config(self) -> float:
        return 1e3 * self.seconds_train / self.num_configs


@dataclass(frozen=True)
class Rival:
    """A way to train, and how many configs measure its time per config steadily (CPU).

    Where `num_configs` members advance together the number is part of the rival, unless another one is asked for.
    """

    name: str
    run: Callable[..., Timing]
    num_configs: int
    together: bool = False
    needs: str | None = None  # a package of the extra `bench`
    gpu: bool = False  # it needs one


def digits() -> dict[str, np.ndarray]:
    """Digits, standardised: x [1437, 64] float32 and y [1437] int32 to train on, and 360 other rows."""
    x, y = load_digits(return_X_y=True)
    x, x_valid, y, y_valid = train_test_split(x, y, test_size=360, stratify=y, random_state=0)
    scaler = StandardScaler().fit(x)
    x, x_valid = (np.asarray(scaler.transform(part), np.float32) for part in (x, x_valid))
    return {"x": x, "y": np.asarray(y, np.int32), "x_valid": x_valid, "y_valid": np.asarray(y_valid, np.int32)}


def epoch_orders(num_rows: int, num_epochs: int, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return np.stack([rng.permutation(num_rows) for _ in range(num_epochs)]).astype(np.int32)


def timing(name: str, losses, seconds_compile: float, seconds_train: float) -> Timing:
    losses = np.asarray(losses)
    return Timing(name, losses.size, seconds_compile, seconds_train, float(np.median(losses)))
