"""What training costs: operations, bytes, seconds. Estimates, for the planner and for the plan it prints."""

import dataclasses

from jaxbn.engine.work import Sizes, work_of
from jaxbn.nn.types import Spec

OPTIMIZER_SLOTS = {"sgd": 0, "momentum": 1, "nesterov": 1, "momentum_ewa": 1, "rmsprop": 1, "adam": 2}
"""Arrays the size of the parameters that each optimizer keeps."""
KEPT_OF_INPUT, KEPT_OF_UNIT = 1.2, 3.4
"""Numbers that a step holds at once for each input and each unit of a row: as XLA's memory analysis says of programs
with mini-batches of 1,024 to 12,288 rows."""


@dataclasses.dataclass(frozen=True)
class Rates:
    """How fast a machine is. Absolute numbers are rough; the planner needs their ratios.

    Attributes:
        flops: operations of matrix products per second, of one worker.
        activation: seconds per row and unit, for all that happens to an activation beside products.
        parameter: seconds per parameter and update.
        step: seconds that a step costs beside all that, whatever its size.
        uncounted: about how many seconds more it costs where the program does not know how many steps there are. In no
            estimate; where it is not 0, programs know it if they can.
        compile: seconds to trace and compile an epoch program, with all workers at it.
        compile_small: the same of a program that draws weights and one that evaluates, together.
        workers: tiles that train at the same time.
        cache: bytes of state that a tile should not exceed.
        largest_tile: members of a tile at the most.
        largest_convolving: the same of networks with convolutions.
        convolution: how many times longer than one of a matrix product an operation of theirs takes.
    """

    flops: float
    activation: float
    parameter: float
    step: float
    compile: float
    compile_small: float
    workers: int
    cache: int
    largest_tile: int
    uncounted: float = 0.0
    largest_convolving: int = 1
    convolution: float = 27.0


def rates(platform: str, workers: int) -> Rates:
    """Rates of a kind of machine: "cpu", or an accelerator.

    The CPU's were fitted to measured steps on cores with AVX-512 and 1 MiB of level-2 cache, the accelerator's to steps
    of 64 to 16,384 members on an H200 (docs/performance.md). Convolutions were measured on a CPU alone.
    """
    if platform == "cpu":
        return Rates(
            flops=75e9,
            activation=2.2e-9,
            parameter=0.6e-9,
            step=9e-5,
            compile=1.8 / min(workers, 2),
            compile_small=1.0 / min(workers, 2),
            workers=workers,
            cache=5 << 19,
            largest_tile=64,
        )
    return Rates(
        flops=26e12,
        activation=8.5e-12,
        parameter=6.5e-12,
        step=9e-5,
        compile=1.5,
        compile_small=1.5,
        workers=workers,
        cache=2 << 30,
        largest_tile=16384,
        uncounted=3e-5,
        largest_convolving=16384,
        convolution=1.0,
    )


def bytes_per_member(spec: Spec, sizes: Sizes) -> int:
    """Bytes of float32 state of a member: weights, what optimizers keep, running statistics.

    Optimizers that keep less than Adam are counted like it, so that one tile size, and so one program that draws
    weights and one that evaluates, serves all of them.
    """
    work = work_of(spec, sizes)
    slots = max(sum(OPTIMIZER_SLOTS[kind] for kind in spec.optimizers), OPTIMIZER_SLOTS["adam"])
    return 4 * ((1 + slots) * work.params + work.statistics)


def bytes_of_step(spec: Spec, sizes: Sizes) -> int:
    """Bytes that a step of a member takes beside its state: its mini-batch, and what is kept of each unit."""
    return round(4 * spec.batch_size * (KEPT_OF_INPUT * sizes.num_inputs + KEPT_OF_UNIT * work_of(spec, sizes).units))


def flops_per_row(spec: Spec, sizes: Sizes) -> int:
    """Operations of the products of a training step, per row: once forwards, twice backwards."""
    return 3 * work_of(spec, sizes).products


def member_step_seconds(spec: Spec, batch_size: int, sizes: Sizes, rates: Rates) -> float:
    """Seconds of one worker that a step of one member adds to a tile."""
    work = work_of(spec, sizes)
    # An input is gathered and handed to the members; a unit is also normalised, and has a derivative.
    units = sizes.num_inputs / 4 + work.units
    slower = rates.convolution if work.convolves else 1.0
    per_row = 3 * work.products * slower / rates.flops + units * rates.activation
    # Merged optimizers all pass over the parameters.
    return batch_size * per_row + work.params * rates.parameter * (1 + len(spec.optimizers)) / 2
