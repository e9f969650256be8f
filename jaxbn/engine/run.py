"""Tiles over workers: a pool of threads on a CPU, a thread for each device on accelerators.

All workers call the same compiled executables and wait for their own results. Programs compile, as many at a time as
there are cores for, while tiles whose programs are ready already train.
"""

import dataclasses
import functools
import queue
import threading
import time
from collections import deque
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from jaxbn.engine import keys
from jaxbn.engine.data import Data, place
from jaxbn.engine.machine import compilers, workers
from jaxbn.engine.plan import Plan
from jaxbn.engine.programs import Program, Report, executable, fresh_opt_state, is_compiled, of_evaluate, of_init, start
from jaxbn.engine.tiles import Tile, TileResult, stacked
from jaxbn.nn import train
from jaxbn.nn.types import Device, Hyperparams, Metrics, PyTree, Spec, TrainState

ORDERS_BYTES = 64 << 20

AHEAD = {"cpu": 0}
"""Epochs that are queued while the host looks at one, by platform: an accelerator must not wait for the host."""

IDLE = 0.2
"""Seconds between two looks of the host at what else there is to do, while nothing comes from the workers."""

DIVERGED_ABOVE = 1e3
"""A training loss above this many times that of the first epoch, where that is positive, is a divergence."""


@dataclasses.dataclass(frozen=True)
class Compiled:
    """A program is ready on a device.

    Attributes:
        program: which one.
        device: where.
        start: when its compilation started, by `time.perf_counter`.
        seconds: how long it took.
    """

    program: Program
    device: Device
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


class Trainer:
    """The workers of a sweep, the programs of its plan, and its data on their devices.

    Use it as a context: programs begin to compile on entering; on leaving, whatever is under way stops after the epoch
    that it is in.

    Args:
        plan: what is to be compiled.
        data: padded arrays on the host, for each fold.
        seed: of weights, data order and dropout.
        on_event: called from worker threads, as things happen.
        deadline: when to stop, by `time.perf_counter`.
        devices: how many of the local devices train; None is all of them.
        report_every: seconds after which a tile leaves what it has learned in `begun`, and again after as many.
    """

    def __init__(
        self,
        plan: Plan,
        data: Sequence[Data],
        *,
        seed: int,
        on_event: Callable[[Event], None],
        deadline: float = float("inf"),
        devices: int | None = None,
        report_every: float = float("inf"),
    ) -> None:
        self.plan, self.seed, self.on_event, self.deadline = plan, seed, on_event, deadline
        self.report_every = report_every
        self.devices = workers(devices)
        self.x64 = jax.dtypes.canonicalize_dtype(float) == jnp.float64
        self.data = {(fold, dev): place(rows, dev) for dev in set(self.devices) for fold, rows in enumerate(data)}
        self.draw = _draws(seed, plan)
        self.fresh: dict[Program, PyTree] = {}
        self.free, self.freed = list(self.devices), threading.Condition()
        self.at_work: set[int] = set()
        """Of tiles that train, the number of the first trial."""
        self.stopping, self.late, self.leaving = threading.Event(), threading.Event(), threading.Event()
        self.compiling = ThreadPoolExecutor(compilers(), thread_name_prefix="compile")
        self.training = ThreadPoolExecutor(len(self.devices), thread_name_prefix="train")
        self.ready: dict[tuple[Program, Device], Future[bool]] = {}
        self.begun: dict[int, TileResult] = {}
        """By the number of its first trial, what each tile has learned whose result has not been taken."""

    def __enter__(self) -> "Trainer":
        for program in self.plan.programs:
            self._submit(program)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
        self.leaving.set()
        # A compilation cannot be interrupted and nobody needs its result any more.
        self.compiling.shutdown(wait=False, cancel_futures=True)
        self.training.shutdown(wait=True, cancel_futures=True)
        # At once, whoever still knows of the trainer: the device may have no room for the next one's.
        self.data.clear()
        self.begun.clear()

    def stop(self) -> None:
        """Let every tile end after the epoch that it is in, and start no other."""
        self.stopping.set()

    @property
    def stopped(self) -> bool:
        """Whether tiles are to end: somebody said so, or time is up."""
        return self.stopping.is_set() or time.perf_counter() > self.deadline

    def settle(self, seconds: float) -> bool:
        """Stop, and wait until no tile trains any more; programs may still compile.

        Args:
            seconds: how long to wait at the most.

        Returns:
            Whether it came to that: an epoch may take longer.
        """
        self.stop()
        ends = time.perf_counter() + seconds
        while self.at_work and time.perf_counter() < ends:
            time.sleep(0.01)
        return not self.at_work

    def train(
        self, tiles: Sequence[Tile], *, idle: Callable[[], None] = lambda: None
    ) -> Generator[TileResult, None, None]:
        """Train tiles.

        Args:
            tiles: in the order in which they start.
            idle: called now and then while nothing comes.

        Yields:
            A result for each tile, in the order in which they finish. Where training is stopped, results are of fewer
            epochs, and tiles that had not trained for one have none.
        """
        for tile in tiles:
            self._submit(tile.program)
            if tile.begun is not None:
                self.begun[tile.trials[0]] = tile.begun
        # No list of futures: each holds the state of its tile, and must go when its result has been taken.
        finished: queue.SimpleQueue[Future[TileResult | None]] = queue.SimpleQueue()
        for tile in tiles:
            self.training.submit(self._in_context, self._train_one, tile).add_done_callback(finished.put)
        for _ in tiles:
            result = _next(finished, idle).result()
            if result is not None:
                self.begun.pop(result.trials[0], None)
                yield result
            del result
        if self.late.is_set():
            self.stop()

    def _submit(self, program: Program) -> None:
        for device in dict.fromkeys(self.devices):
            if (program, device) not in self.ready:
                self.ready[program, device] = self.compiling.submit(self._in_context, self._compile, program, device)

    def _in_context(self, work: Callable[..., Any], *what: Any) -> Any:
        with jax.enable_x64(self.x64):  # The setting is thread-local.
            return work(*what)

    def _compile(self, program: Program, device: Device) -> bool:
        """Whether there is time for it: what could not be used any more before time is up is not begun."""
        began = time.perf_counter()
        fresh = program.tile_size == self.plan.tile_size(program.spec, 0)
        needed = [program, of_evaluate(program), *([of_init(program)] if fresh else [])]
        # The rate is of programs for all devices, with all compilers at work.
        takes = self.plan.rates.compile * compilers() / len(set(self.devices))
        for one in needed:
            if self.stopped:
                return False
            if not is_compiled(one, device) and (self.late.is_set() or time.perf_counter() + takes > self.deadline):
                self.late.set()
                return False
            executable(one, device)
        self.on_event(Compiled(program, device, began, time.perf_counter() - began))
        return True

    def _train_one(self, tile: Tile) -> TileResult | None:
        while (device := self._taken(tile.program)) is not None:
            try:
                if self.ready[tile.program, device].result() and not self.stopped:
                    self.at_work.add(tile.trials[0])
                    return self._train(tile, device)
            finally:
                self.at_work.discard(tile.trials[0])
                with self.freed:
                    self.free.append(device)
                    self.freed.notify_all()
        return tile.begun

    def _taken(self, program: Program) -> Device | None:
        """A device that is free and has a program, or awaits it; None where none ever will, or tiles are to end."""
        with self.freed:
            while not self.stopped:
                known = {device: self.ready[program, device] for device in dict.fromkeys(self.devices)}
                usable = [device for device, ready in known.items() if not ready.done() or ready.result()]
                if not usable:
                    break
                # Those that have it come first, and then the first: programs compile for it first.
                usable.sort(key=lambda device: not known[device].done())
                for device in usable:
                    if device in self.free:
                        self.free.remove(device)
                        return device
                self.freed.wait(IDLE)
        return None

    def _train(self, tile: Tile, device: Device) -> TileResult | None:
        began = time.perf_counter()
        program, count, data = tile.program, len(tile.trials), self.data[tile.fold, device]
        hyperparams = _on_device(tile.hyperparams, device)
        one_epoch, evaluate = executable(program, device), executable(of_evaluate(program), device)
        reported, before = began, 0.0
        losses, scores = [], []
        epochs, diverged, first_loss = np.full(count, tile.start), np.zeros(count, bool), tile.first_loss
        if tile.begun is None:
            state = self._begin(tile, hyperparams, device)
        else:
            state, before = jax.device_put(tile.begun.state, device), tile.begun.seconds
            losses, scores = list(tile.begun.train_loss), list(tile.begun.scores)
            epochs, diverged = tile.begun.epochs.copy(), tile.begun.diverged
            first_loss = np.where(np.isnan(first_loss), losses[0], first_loss)

        def record(index: int, sums: Metrics, report: Report) -> None:
            nonlocal diverged, first_loss
            sums, report = jax.device_get((sums, report))
            loss, new = sums.loss_sum[:count] / sums.weight[:count], report.scores[:count]
            first_loss = np.where(np.isnan(first_loss), loss, first_loss)
            # A trial that diverges keeps its row for the epoch that broke it and is not looked at again. Its slot goes
            # on computing; neighbours do not notice.
            live = ~diverged
            epochs[live] = index + 1
            losses.append(np.where(live, loss, np.nan))
            scores.append(np.where(live[:, None], new, np.nan))
            healthy = report.finite[:count] & np.isfinite(loss) & np.isfinite(new[:, 0])
            # Of a loss that begins at 0 or below, as a likelihood's may, no multiple means anything.
            exploded = (first_loss > 0) & (loss > DIVERGED_ABOVE * first_loss)
            diverged = diverged | ~healthy | exploded
            self.on_event(TileEpoch(tile.trials, index + 1, scores[-1], diverged))

        def learned(state: TrainState) -> TileResult:
            now = time.perf_counter()
            return TileResult(
                tile.trials,
                tile.start,
                tile.first_loss,
                np.stack(losses),
                np.stack(scores),
                epochs.copy(),
                diverged,
                state,
                (began, now),
                before + now - began,
            )

        queued: deque[tuple[int, Metrics, Report]] = deque()

        def record_down_to(number: int) -> None:
            while len(queued) > number:
                record(*queued.popleft())

        for index in range(tile.start + len(losses), tile.until):
            if self.stopped or diverged.all():
                break
            key, order = self.draw(index, tile.replicate, tile.fold, device)
            state, sums = one_epoch(key, state, data.train, order, hyperparams)
            queued.append((index, sums, evaluate(state.variables, hyperparams, data.valid, data.target_scale)))
            record_down_to(AHEAD.get(device.platform, 1))
            if time.perf_counter() - reported > self.report_every:
                record_down_to(0)
                # The next epoch consumes its state on an accelerator.
                kept = state if device.platform == "cpu" else jax.tree.map(jnp.copy, state)
                self.begun[tile.trials[0]], reported = learned(kept), time.perf_counter()
        record_down_to(0)
        if not losses or self.leaving.is_set():
            return None
        result = self.begun[tile.trials[0]] = learned(state)
        return result

    def _begin(self, tile: Tile, hyperparams: Hyperparams, device: Device) -> TrainState:
        """The members' states before their next epoch."""
        if tile.states:
            return jax.device_put(stacked(tile, self.plan.num_rows[tile.fold]), device)
        key = keys.purpose(self.seed, keys.INIT, replicate=tile.replicate, fold=tile.fold)
        variables = executable(of_init(tile.program), device)(jax.device_put(key, device), hyperparams)
        if device.platform != "cpu":
            # The epoch program consumes its state there, so that every tile needs a new one.
            return start(variables, _fresh(tile.program.spec)(variables.params))
        # Building it takes milliseconds, and it is alike for all tiles of a program.
        if tile.program not in self.fresh:
            self.fresh[tile.program] = fresh_opt_state(variables.params, spec=tile.program.spec)
        return start(variables, self.fresh[tile.program])


def run(
    plan: Plan, data: Sequence[Data], *, seed: int, on_event: Callable[[Event], None]
) -> Generator[TileResult, None, None]:
    """Train the tiles of a plan up to its first rung: all there is to do where nobody decides.

    The arguments are those of `Trainer`, the results those of its `train`. Closing the iterator stops the workers.
    """
    with Trainer(plan, data, seed=seed, on_event=on_event) as trainer:
        yield from trainer.train(plan.tiles)


def _next(
    finished: "queue.SimpleQueue[Future[TileResult | None]]", idle: Callable[[], None]
) -> "Future[TileResult | None]":
    while True:
        try:
            return finished.get(timeout=IDLE)
        except queue.Empty:
            idle()


@functools.lru_cache(maxsize=1024)
def _fresh(spec: Spec) -> Callable[[PyTree], PyTree]:
    return jax.jit(functools.partial(fresh_opt_state, spec=spec))


def _draws(seed: int, plan: Plan) -> Callable[[int, int, int, Device], tuple[Array, Array]]:
    """What is drawn for an epoch of a replicate and fold, for all tiles, whatever their batch size.

    Returns:
        `(epoch, replicate, fold, device) -> (key of dropout, order of the rows)`.
    """
    size = max(problem.train_rows for problem in plan.problems)

    @functools.lru_cache(maxsize=max(2, ORDERS_BYTES // (4 * size)))
    def drawn(epoch: int, replicate: int, fold: int, device: Device) -> tuple[Array, Array]:
        dropout, order = (
            keys.purpose(seed, purpose, replicate=replicate, fold=fold) for purpose in (keys.DROPOUT, keys.ORDER)
        )
        numbers = np.uint32(epoch), np.int32(plan.num_rows[fold])
        return _draw(*jax.device_put((dropout, order, *numbers), device), size=plan.problems[fold].train_rows)

    return drawn


@functools.partial(jax.jit, static_argnames="size")
def _draw(dropout: Array, order: Array, epoch: Array, num_rows: Array, *, size: int) -> tuple[Array, Array]:
    # One program: an accelerator would take longer to be asked for each number than to draw all.
    dropout, order = (jax.random.fold_in(key, epoch) for key in (dropout, order))
    return dropout, train.order(order, num_rows, size=size)


def _on_device(hyperparams: Hyperparams, device: Device) -> Hyperparams:
    real = jax.dtypes.canonicalize_dtype(float)
    as_real = jax.tree.map(lambda a: a.astype(real) if a.dtype == np.float64 else a, hyperparams)
    return jax.device_put(as_real, device)
