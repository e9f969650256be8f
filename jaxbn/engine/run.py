"""Tiles over workers: a pool of threads on a CPU, a thread for each device on accelerators.

All workers call the same compiled executables and wait for their own results. Programs compile, as many at a time as
there are cores for, while tiles whose programs are ready already train.
"""

import dataclasses
import functools
import threading
import time
from collections import deque
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
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
from jaxbn.engine.programs import Program, Report, executable, fresh_opt_state, of_evaluate, of_init, start
from jaxbn.engine.tiles import Tile, stacked
from jaxbn.nn import train
from jaxbn.nn.types import Device, Hyperparams, Metrics, PyTree, Spec, TrainState

ORDERS_BYTES = 64 << 20

AHEAD = {"cpu": 0}
"""Epochs that are queued while the host looks at one, by platform: an accelerator must not wait for the host."""

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
    """What a tile has learned, in E epochs.

    Attributes:
        tile: what was trained.
        train_loss: [E, n].
        scores: [E, n, M], on the validation split.
        epochs: [n], epochs since the beginning of training that count: all, or up to and with the one that broke the
            trial.
        diverged: bool [n].
        state: of all members after the last epoch, on the device [T, ...]; whoever needs it fetches what is needed.
        start: when training started, by `time.perf_counter`.
        seconds: how long it took.
    """

    tile: Tile
    train_loss: np.ndarray
    scores: np.ndarray
    epochs: np.ndarray
    diverged: np.ndarray
    state: TrainState
    start: float
    seconds: float


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
    ) -> None:
        self.plan, self.seed, self.on_event, self.deadline = plan, seed, on_event, deadline
        self.devices = workers(devices)
        self.x64 = jax.dtypes.canonicalize_dtype(float) == jnp.float64
        self.data = {(fold, dev): place(rows, dev) for dev in set(self.devices) for fold, rows in enumerate(data)}
        self.order = _orders(seed, plan)
        self.fresh: dict[Program, PyTree] = {}
        self.free, self.lock = list(self.devices), threading.Lock()
        self.stopping, self.leaving = threading.Event(), threading.Event()
        self.compiling = ThreadPoolExecutor(compilers(), thread_name_prefix="compile")
        self.training = ThreadPoolExecutor(len(self.devices), thread_name_prefix="train")
        self.ready: dict[Program, Future[bool]] = {}

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

    def stop(self) -> None:
        """Let every tile end after the epoch that it is in, and start no other."""
        self.stopping.set()

    @property
    def stopped(self) -> bool:
        """Whether tiles are to end: somebody said so, or time is up."""
        return self.stopping.is_set() or time.perf_counter() > self.deadline

    def train(self, tiles: Sequence[Tile]) -> Generator[TileResult, None, None]:
        """Train tiles.

        Args:
            tiles: in the order in which they start.

        Yields:
            A result for each tile, in the order in which they finish. Where training is stopped, results are of fewer
            epochs, and tiles that had not trained for one have none.
        """
        for tile in tiles:
            self._submit(tile.program)
        # No list of futures: each holds the state of its tile, and must go when its result has been taken.
        for future in as_completed([self.training.submit(self._in_context, self._train_one, tile) for tile in tiles]):
            result = future.result()
            if result is not None:
                yield result
            del future, result

    def _submit(self, program: Program) -> None:
        if program not in self.ready:
            self.ready[program] = self.compiling.submit(self._in_context, self._compile, program)

    def _in_context(self, work: Callable[[Any], Any], what: Any) -> Any:
        with jax.enable_x64(self.x64):  # The setting is thread-local.
            return work(what)

    def _compile(self, program: Program) -> bool:
        began = time.perf_counter()
        fresh = program.tile_size == self.plan.program(program.spec, 0, 0).tile_size
        needed = [program, of_evaluate(program), *([of_init(program)] if fresh else [])]
        for device in dict.fromkeys(self.devices):
            for one in needed:
                # What could not be used any more before time is up is not begun.
                if time.perf_counter() + self.plan.rates.compile > self.deadline:
                    self.stop()
                if self.stopped:
                    return False
                executable(one, device)
        self.on_event(Compiled(program, began, time.perf_counter() - began))
        return True

    def _train_one(self, tile: Tile) -> TileResult | None:
        if not self.ready[tile.program].result() or self.stopped:
            return None
        with self.lock:
            device = self.free.pop()
        try:
            return self._train(tile, device)
        finally:
            with self.lock:
                self.free.append(device)

    def _train(self, tile: Tile, device: Device) -> TileResult | None:
        began = time.perf_counter()
        program, count, data = tile.program, len(tile.trials), self.data[tile.fold, device]
        purpose = functools.partial(keys.for_epoch, self.seed, replicate=tile.replicate, fold=tile.fold)
        hyperparams = _on_device(tile.hyperparams, device)
        one_epoch, evaluate = executable(program, device), executable(of_evaluate(program), device)
        state = self._begin(tile, hyperparams, device)

        losses, scores = [], []
        epochs, diverged, first_loss = np.full(count, tile.start), np.zeros(count, bool), tile.first_loss

        def record(index: int, sums: Metrics, report: Report) -> None:
            nonlocal diverged, first_loss
            loss = np.asarray(sums.loss_sum)[:count] / np.asarray(sums.weight)[:count]
            new = np.asarray(report.scores)[:count]
            first_loss = np.where(np.isnan(first_loss), loss, first_loss)
            # A trial that diverges keeps its row for the epoch that broke it and is not looked at again. Its slot goes
            # on computing; neighbours do not notice.
            live = ~diverged
            epochs[live] = index + 1
            losses.append(np.where(live, loss, np.nan))
            scores.append(np.where(live[:, None], new, np.nan))
            healthy = np.asarray(report.finite)[:count] & np.isfinite(loss) & np.isfinite(new[:, 0])
            diverged = diverged | ~healthy | (loss > DIVERGED_ABOVE * first_loss)
            self.on_event(TileEpoch(tile.trials, index + 1, scores[-1], diverged))

        queued: deque[tuple[int, Metrics, Report]] = deque()
        for index in range(tile.start, tile.until):
            if self.stopped or diverged.all():
                break
            key = jax.device_put(purpose(keys.DROPOUT, index), device)
            order = self.order(index, tile.replicate, tile.fold, device)
            state, sums = one_epoch(key, state, data.train, order, hyperparams)
            queued.append((index, sums, evaluate(state.variables, hyperparams, data.valid, data.target_scale)))
            if len(queued) > AHEAD.get(device.platform, 1):
                record(*queued.popleft())
        for waiting in queued:
            record(*waiting)
        if not losses or self.leaving.is_set():
            return None
        seconds = time.perf_counter() - began
        return TileResult(tile, np.stack(losses), np.stack(scores), epochs, diverged, state, began, seconds)

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


@functools.cache
def _fresh(spec: Spec) -> Callable[[PyTree], PyTree]:
    return jax.jit(functools.partial(fresh_opt_state, spec=spec))


def _orders(seed: int, plan: Plan) -> Callable[[int, int, int, Device], Array]:
    """The order of the rows in an epoch of a replicate and fold: one for all tiles, whatever their batch size."""
    size = max(problem.train_rows for problem in plan.problems)
    draw = jax.jit(train.order, static_argnames="size")

    @functools.lru_cache(maxsize=max(2, ORDERS_BYTES // (4 * size)))
    def order(epoch: int, replicate: int, fold: int, device: Device) -> Array:
        key = jax.device_put(keys.for_epoch(seed, keys.ORDER, epoch, replicate=replicate, fold=fold), device)
        return draw(key, np.int32(plan.num_rows[fold]), size=plan.problems[fold].train_rows)

    return order


def _on_device(hyperparams: Hyperparams, device: Device) -> Hyperparams:
    real = jax.dtypes.canonicalize_dtype(float)
    as_real = jax.tree.map(lambda a: a.astype(real) if a.dtype == np.float64 else a, hyperparams)
    return jax.device_put(as_real, device)
