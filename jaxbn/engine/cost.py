"""What training costs: operations, bytes, seconds. Estimates, for the planner and for the plan it prints."""

import dataclasses

from jaxbn.nn.types import Spec


@dataclasses.dataclass(frozen=True)
class Rates:
    """How fast a machine is. Absolute numbers are rough; the planner needs their ratios.

    Attributes:
        flops: operations of matrix products per second, of all workers together.
        elements: elements per second that pass through everything else (normalisation, activation, optimizer).
        step: seconds that a step costs beside its arithmetic, whatever its size.
        compile: seconds to trace and compile a program.
        workers: tiles that train at the same time.
        cache: bytes of state that a tile should not exceed.
        largest_tile: members of a tile at the most.
    """

    flops: float
    elements: float
    step: float
    compile: float
    workers: int
    cache: int
    largest_tile: int


def rates(platform: str, workers: int) -> Rates:
    """Rates of a kind of machine: "cpu", or an accelerator.

    The CPU's are from 2 cores with AVX-512 and 1 MiB of level-2 cache each (docs/performance.md).
    """
    if platform == "cpu":
        return Rates(45e9 * workers, 0.5e9 * workers, 5e-5, 0.9, workers, 768 << 10, 64)
    return Rates(5e12 * workers, 1e11 * workers, 4e-4, 3.0, workers, 256 << 20, 4096)


def _layers(spec: Spec, num_inputs: int, num_outputs: int) -> list[tuple[int, int]]:
    sizes = (num_inputs, *spec.widths, num_outputs)
    return list(zip(sizes, sizes[1:], strict=False))


def num_params(spec: Spec, num_inputs: int, num_outputs: int) -> int:
    """Weights of a padded network."""
    kernels = sum(a * b for a, b in _layers(spec, num_inputs, num_outputs))
    return kernels + num_outputs + sum(spec.widths) * (2 if spec.normalization == "batch" else 1)


def bytes_per_member(spec: Spec, num_inputs: int, num_outputs: int) -> int:
    """Bytes of float32 state of a member: weights, two moments of the optimizer, running statistics.

    Optimizers that keep less are counted alike, so that one tile size, and one `init` program, serves all of them.
    """
    statistics = 2 * sum(spec.widths) if spec.normalization == "batch" else 0
    return 4 * (3 * num_params(spec, num_inputs, num_outputs) + statistics)


def flops_per_row(spec: Spec, num_inputs: int, num_outputs: int) -> int:
    """Operations of the matrix products of a training step, per row: two forward, four backward per weight."""
    return 6 * sum(a * b for a, b in _layers(spec, num_inputs, num_outputs))


def member_step_seconds(spec: Spec, batch_size: int, num_inputs: int, num_outputs: int, rates: Rates) -> float:
    """Seconds of one worker that a step of one member adds to a tile."""
    products = batch_size * flops_per_row(spec, num_inputs, num_outputs) / rates.flops
    elementwise = batch_size * (sum(spec.widths) + num_outputs) + num_params(spec, num_inputs, num_outputs)
    return rates.workers * (products + elementwise / rates.elements)


def tile_step_seconds(
    spec: Spec, batch_size: int, tile_size: int, num_inputs: int, num_outputs: int, rates: Rates
) -> float:
    """Seconds of one worker that a step of a tile takes."""
    member = member_step_seconds(spec, batch_size, num_inputs, num_outputs, rates)
    return rates.step + tile_size * member
