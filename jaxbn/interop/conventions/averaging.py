"""How a running statistic takes a new mini-batch in: a record for each way.

All of them are one formula, `running = kept * running + taken * batch`, with weights that may depend on how much has
been seen. A record gives the weights, what the sum is divided by when it is read, and what `seen` is after long
training. `seen` counts mini-batches unless a record says otherwise.
"""

import dataclasses
import math

import jax.numpy as jnp
from jax.typing import ArrayLike

from jaxbn.errors import UserError

SETTLED = 1e-8
"""What the start may still weigh in a statistic that counts as long trained: less than float32 can hold beside 1."""


@dataclasses.dataclass(frozen=True)
class Ema:
    """`decay * old + (1 - decay) * batch` from the initial values on.

    Example:
        >>> Ema(0.75).weights(0.0, 64)
        (0.75, 0.25, 1.0)
    """

    decay: float

    def weights(self, seen: ArrayLike, count: ArrayLike) -> tuple[ArrayLike, ArrayLike, ArrayLike]:
        """`(kept, taken, seen afterwards)` for a mini-batch of `count` rows."""
        return self.decay, 1 - self.decay, seen + 1

    def divisor(self, seen: ArrayLike) -> ArrayLike:
        """What the running sum is divided by when it is read."""
        return 1.0

    def settled(self) -> float:
        """`seen` of a statistic that has been trained for long."""
        return 1.0

    def __str__(self) -> str:
        return f"average, {self.decay:g} old"


@dataclasses.dataclass(frozen=True)
class Debiased:
    """As `Ema`, but divided by `1 - decay^n` when read: the weight of the n mini-batches seen.

    From zeros that is a mean of what was seen (Haiku). Equinox starts the variance from one and divides all the same.
    """

    decay: float

    def weights(self, seen: ArrayLike, count: ArrayLike) -> tuple[ArrayLike, ArrayLike, ArrayLike]:
        """`(kept, taken, seen afterwards)` for a mini-batch of `count` rows."""
        return self.decay, 1 - self.decay, seen + 1

    def divisor(self, seen: ArrayLike) -> ArrayLike:
        """What the running sum is divided by when it is read; 1 before anything is seen."""
        return jnp.where(jnp.asarray(seen) > 0, 1 - jnp.asarray(self.decay) ** seen, 1.0)

    def settled(self) -> float:
        """`seen` of a statistic that has been trained for long."""
        return float(math.ceil(math.log(SETTLED) / math.log(self.decay))) if self.decay > 0 else 1.0

    def __str__(self) -> str:
        return f"debiased, {self.decay:g} old"


@dataclasses.dataclass(frozen=True)
class SumAndScale:
    """`sum = decay * sum + batch`, and `seen = decay * seen + 1` is what it is divided by (Caffe).

    Example:
        >>> SumAndScale(0.5).weights(1.0, 64)
        (0.5, 1.0, 1.5)
    """

    decay: float

    def weights(self, seen: ArrayLike, count: ArrayLike) -> tuple[ArrayLike, ArrayLike, ArrayLike]:
        """`(kept, taken, seen afterwards)` for a mini-batch of `count` rows."""
        return self.decay, 1.0, self.decay * seen + 1

    def divisor(self, seen: ArrayLike) -> ArrayLike:
        """What the running sum is divided by when it is read; 1 before anything is seen."""
        return jnp.where(jnp.asarray(seen) > 0, seen, 1.0)

    def settled(self) -> float:
        """`seen` of a statistic that has been trained for long."""
        return 1 / (1 - self.decay)

    def __str__(self) -> str:
        return f"sum and scale, {self.decay:g} old"


@dataclasses.dataclass(frozen=True)
class Cumulative:
    """The plain mean over all mini-batches: the n-th weighs 1/n, and the first replaces the initial values."""

    def weights(self, seen: ArrayLike, count: ArrayLike) -> tuple[ArrayLike, ArrayLike, ArrayLike]:
        """`(kept, taken, seen afterwards)` for a mini-batch of `count` rows."""
        return seen / (seen + 1), 1 / (seen + 1), seen + 1

    def divisor(self, seen: ArrayLike) -> ArrayLike:
        """What the running sum is divided by when it is read."""
        return 1.0

    def settled(self) -> float:
        """`seen` where it is not known: the statistic counts as one mini-batch."""
        return 1.0

    def __str__(self) -> str:
        return "mean of all batches"


@dataclasses.dataclass(frozen=True)
class FirstReplaces:
    """As `Ema`, but the first mini-batch replaces the initial values (Equinox)."""

    decay: float

    def weights(self, seen: ArrayLike, count: ArrayLike) -> tuple[ArrayLike, ArrayLike, ArrayLike]:
        """`(kept, taken, seen afterwards)` for a mini-batch of `count` rows."""
        kept = jnp.where(jnp.asarray(seen) > 0, self.decay, 0.0)
        return kept, 1 - kept, seen + 1

    def divisor(self, seen: ArrayLike) -> ArrayLike:
        """What the running sum is divided by when it is read."""
        return 1.0

    def settled(self) -> float:
        """`seen` of a statistic that has been trained for long."""
        return 1.0

    def __str__(self) -> str:
        return f"{self.decay:g} old after the first"


@dataclasses.dataclass(frozen=True)
class TimeConstant:
    """`taken = 1 - exp(-count / samples)`, so a row weighs the same in a small and in a large mini-batch (CNTK).

    The first mini-batch replaces the initial values. `seen` counts rows.
    """

    samples: float

    def __post_init__(self) -> None:
        if not self.samples > 0:
            raise UserError(f"a time constant of {self.samples:g} rows: give one above 0, such as 5000")

    def weights(self, seen: ArrayLike, count: ArrayLike) -> tuple[ArrayLike, ArrayLike, ArrayLike]:
        """`(kept, taken, seen afterwards)` for a mini-batch of `count` rows."""
        kept = jnp.where(jnp.asarray(seen) > 0, jnp.exp(-jnp.asarray(count) / self.samples), 0.0)
        return kept, 1 - kept, seen + count

    def divisor(self, seen: ArrayLike) -> ArrayLike:
        """What the running sum is divided by when it is read."""
        return 1.0

    def settled(self) -> float:
        """`seen` of a statistic that has been trained for long."""
        return self.samples

    def __str__(self) -> str:
        return f"exp(-B/{self.samples:g}) after first"


Averaging = Ema | Debiased | SumAndScale | Cumulative | FirstReplaces | TimeConstant
