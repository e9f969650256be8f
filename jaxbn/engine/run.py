"""Tiles over workers: a pool of threads on a CPU, a thread for each device on accelerators.

All workers call the same compiled executables and wait for their own results. Programs compile one after the other
while tiles whose programs are ready already train.
"""

import dataclasses
import functools
import os
import threading
import time
from collections.abc import Callable, Generator
from concurrent.futures import ThreadPoolExecutor, as_completed
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from jaxbn.engine import cost, keys
from jaxbn.engine.data import Data, place
from jaxbn.engine.plan import Plan, Tile
from jaxbn.engine.programs import Program, executable, fresh_opt_state, of_evaluate, of_init, start
from jaxbn.nn import train
from jaxbn.nn.types import Device, Hyperparams, PyTree, Variables

ORDERS_BYTES = 64 << 20

DIVERGED_ABOVE = 1e3
"""A training loss above this many times that of the first epoch is a divergence."""


@dataclasses.dataclass(frozen=True)
class Compiled:
    """A program is ready.

    Attributes:
        program: which one.
        start: when its compilation started, by `time.perf_counter`.
        seconds: how long it took.
    """

    program: Program
    start: float
    seconds: float


@dataclasses.dataclass(frozen=True, eq=False)
class TileEpoch:
    """A tile has trained for an epoch.

    Attributes:
        trials: trial numbers, n of them.
        epoch: from 1.
        scores: [n, M].
        diverged: bool [n], who has diverged by now.
    """

    trials: tuple[int, ...]
    epoch: int
    scores: np.ndarray
    diverged: np.ndarray


Event = Compiled | TileEpoch


@dataclasses.dataclass(frozen=True, eq=False)
class TileResult:
    """A trained tile.

    Attributes:
        tile: what was trained.
        train_loss: [E, n].
        scores: [E, n, M], on the validation split.
        epochs: [n], epochs that count: all, or up to and with the one that broke the trial.
        diverged: bool [n].
        variables: weights and statistics after the last epoch, [T, ...].
        start: when training started, by `time.perf_counter`.
        seconds: how long it took.
    """

    tile: Tile
    train_loss: np.ndarray
    scores: np.ndarray
    epochs: np.ndarray
    diverged: np.ndarray
    variables: Variables
    start: float
    seconds: float


@dataclasses.dataclass(frozen=True)
class Shared:
    """What the tiles of a run have in common.

    Attributes:
        order: `(epoch, device) -> order of the rows`.
        fresh: by program, the optimizer's state before the first update.
    """

    order: Callable[[int, Device], Array]
    fresh: dict[Program, PyTree]

    def opt_state(self, program: Program, params: PyTree, device: Device) -> PyTree:
        """The optimizer's state before the first update: alike for all tiles of a program.

        Building it takes milliseconds, so a CPU's tiles share one. Where the epoch program consumes its state, on
        accelerators, each tile needs its own.
        """
        if device.platform != "cpu":
            return fresh_opt_state(params, spec=program.spec)
        if program not in self.fresh:
            self.fresh[program] = fresh_opt_state(params, spec=program.spec)
        return self.fresh[program]


def workers() -> list[Device]:
    """A device for each worker: the accelerators, or the CPU once per core that this process may use."""
    devices = jax.local_devices()
    if devices[0].platform == "cpu":
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
        return [devices[0]] * cores
    return devices


def machine() -> cost.Rates:
    """Rates of this machine."""
    devices = workers()
    return cost.rates(devices[0].platform, len(devices))


def run(plan: Plan, data: Data, *, seed: int, on_event: Callable[[Event], None]) -> Generator[TileResult, None, None]:
    """Train all tiles of a plan.

    Args:
        plan: what to train.
        data: padded arrays on the host.
        seed: of weights, data order and dropout.
        on_event: called from worker threads, as things happen.

    Yields:
        A result for each tile, in the order in which they finish. Closing the iterator, or an interrupt, stops the
        workers after the epoch that they are in.
    """
    devices = workers()
    stop = threading.Event()
    x64 = jnp.zeros((), float).dtype == jnp.float64

    def in_context(work: Callable[[], Any]) -> Callable[[], Any]:
        def call() -> Any:
            with jax.enable_x64(x64):  # The setting is thread-local.
                return work()

        return call

    compiling = ThreadPoolExecutor(1, thread_name_prefix="compile")
    training = ThreadPoolExecutor(len(devices), thread_name_prefix="train")
    free = list(enumerate(devices))
    lock = threading.Lock()
    placed = {device: place(data, device) for device in set(devices)}
    shared = Shared(_orders(seed, plan), {})
    try:
        ready = {
            program: compiling.submit(in_context(functools.partial(_compile, program, devices, on_event, stop)))
            for program in plan.programs
        }

        def train_on_free_device(tile: Tile) -> TileResult | None:
            ready[tile.program].result()
            if stop.is_set():
                return None
            with lock:
                worker = free.pop()
            try:
                return _train(tile, plan, placed[worker[1]], worker[1], shared, seed, on_event, stop)
            finally:
                with lock:
                    free.append(worker)

        # No list of futures: each holds the weights of its tile, and must go when its result has been taken.
        for future in as_completed(
            [training.submit(in_context(functools.partial(train_on_free_device, tile))) for tile in plan.tiles]
        ):
            result = future.result()
            if result is not None:
                yield result
            del future, result
    finally:
        stop.set()
        # A compilation cannot be interrupted and nobody needs its result any more.
        compiling.shutdown(wait=False, cancel_futures=True)
        training.shutdown(wait=True, cancel_futures=True)


def _compile(program: Program, devices: list[Device], on_event: Callable[[Event], None], stop: threading.Event) -> None:
    start = time.perf_counter()
    for device in dict.fromkeys(devices):
        for needed in (of_init(program), program, of_evaluate(program)):
            if stop.is_set():
                return
            executable(needed, device)
    on_event(Compiled(program, start, time.perf_counter() - start))


def _orders(seed: int, plan: Plan) -> Callable[[int, Device], Array]:
    """The order of the rows in an epoch: one for all tiles, whatever their batch size."""
    size = plan.problem.train_rows
    draw = jax.jit(train.order, static_argnames="size")

    @functools.lru_cache(maxsize=max(2, ORDERS_BYTES // (4 * size)))
    def order(epoch: int, device: Device) -> Array:
        key = jax.device_put(keys.for_epoch(seed, keys.ORDER, epoch), device)
        return draw(key, np.int32(plan.num_rows), size=size)

    return order


def _train(
    tile: Tile,
    plan: Plan,
    data: Data,
    device: Device,
    shared: Shared,
    seed: int,
    on_event: Callable[[Event], None],
    stop: threading.Event,
) -> TileResult | None:
    """Train one tile to the end; None when told to stop."""
    began = time.perf_counter()
    program, count = tile.program, len(tile.trials)
    hyperparams = _on_device(tile.hyperparams, device)
    one_epoch, evaluate = executable(program, device), executable(of_evaluate(program), device)
    key = jax.device_put(keys.purpose(seed, keys.INIT), device)
    variables = executable(of_init(program), device)(key, hyperparams)
    state = start(variables, shared.opt_state(program, variables.params, device))

    shape = (plan.num_epochs, count)
    losses = np.full(shape, np.nan)
    scores = np.full((*shape, len(plan.problem.metrics)), np.nan)
    epochs, diverged = np.zeros(count, int), np.zeros(count, bool)
    for index in range(plan.num_epochs):
        if stop.is_set():
            return None
        key = jax.device_put(keys.for_epoch(seed, keys.DROPOUT, index), device)
        state, sums = one_epoch(key, state, data.train, shared.order(index, device), hyperparams)
        report = evaluate(state.variables, hyperparams, data.valid, data.target_scale)
        loss = np.asarray(sums.loss_sum)[:count] / np.asarray(sums.weight)[:count]
        new = np.asarray(report.scores)[:count]
        # A trial that diverges keeps its row for the epoch that broke it and is not looked at again. Its slot goes on
        # computing; neighbours do not notice.
        live = ~diverged
        epochs[live] = index + 1
        losses[index, live] = loss[live]
        scores[index, live] = new[live]
        healthy = np.asarray(report.finite)[:count] & np.isfinite(loss) & np.isfinite(new[:, 0])
        diverged |= ~healthy | (loss > DIVERGED_ABOVE * losses[0])
        on_event(TileEpoch(tile.trials, index + 1, scores[index], diverged.copy()))
        if diverged.all():
            break
    seconds = time.perf_counter() - began
    return TileResult(tile, losses, scores, epochs, diverged, state.variables, began, seconds)


def _on_device(hyperparams: Hyperparams, device: Device) -> Hyperparams:
    real = jnp.zeros((), float).dtype
    as_real = jax.tree.map(lambda a: a.astype(real) if a.dtype == np.float64 else a, hyperparams)
    return jax.device_put(as_real, device)
