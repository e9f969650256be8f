"""The other ways to train many small batch-normalised networks, each written as a good practitioner would.

Every rival trains the same thing: 64-64-64-10 with batch normalisation and relu, Adam, one network per
learning rate, on the same mini-batches in the same order, the last of an epoch partial. Data sit on the
device beforehand, losses are fetched once all steps are queued, state is donated where that helps (not on a
CPU). Compiling, warming up and drawing initial weights are timed apart. Nothing here imports jaxbn.
"""

import math
import multiprocessing
import os
import time
import warnings
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from itertools import pairwise
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import linen
from sklearn.datasets import load_digits
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier
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

    Where `num_configs` members advance together the number is part of the rival.
    """

    name: str
    run: Callable[..., Timing]
    num_configs: int
    needs: str | None = None  # a package of the extra `bench`


class State(NamedTuple):
    """One network in training: weights, running statistics, Adam's moments."""

    params: optax.Params
    stats: list[dict[str, jax.Array]]
    opt_state: optax.OptState


def digits() -> tuple[np.ndarray, np.ndarray]:
    """The 1,437 training rows of digits, standardised: x [1437, 64] float32, y [1437] int32."""
    x, y = load_digits(return_X_y=True)
    x, _, y, _ = train_test_split(x, y, test_size=360, stratify=y, random_state=0)
    return np.asarray(StandardScaler().fit_transform(x), np.float32), np.asarray(y, np.int32)


def torch_eager_loop(x, y, learning_rates, num_epochs, batch_size, seed, *, fused=False) -> Timing:
    """PyTorch in eager mode, one config after the other."""
    import torch  # pyright: ignore[reportMissingImports]

    data = _torch_data(_torch_device(), x, y, num_epochs, seed)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # tensors this small gain nothing from more, and on busy cores they wait
    start = time.perf_counter()
    members = _eager_members(learning_rates, data, batch_size, seed, fused=fused)
    ready = time.perf_counter()
    losses = [_eager_train(member, data, batch_size) for member in members]
    end = time.perf_counter()
    torch.set_num_threads(threads)
    return _timing("torch_eager_loop", losses, ready - start, end - ready)


def torch_eager_fused(x, y, learning_rates, num_epochs, batch_size, seed) -> Timing:
    """`torch_eager_loop` with Adam's fused kernel, which is not the default on a CPU."""
    timing = torch_eager_loop(x, y, learning_rates, num_epochs, batch_size, seed, fused=True)
    return replace(timing, name="torch_eager_fused")


def torch_eager_processes(x, y, learning_rates, num_epochs, batch_size, seed) -> Timing:
    """`torch_eager_loop` in as many processes as cores, the configs divided evenly among them.

    Starting the processes counts as warming up; sending the learning rates out and the losses back is in the time.
    """
    context = multiprocessing.get_context("spawn")
    device = _torch_device()
    num_processes = min(_num_cores(), len(learning_rates))
    start = time.perf_counter()
    processes, pipes = [], []
    for i in range(num_processes):
        ours, theirs = context.Pipe()
        shared = (x, y, learning_rates[i::num_processes], num_epochs, batch_size, seed)
        processes.append(context.Process(target=_eager_process, args=(theirs, device, *shared), daemon=True))
        processes[-1].start()
        theirs.close()
        pipes.append(ours)
    for pipe in pipes:
        pipe.recv()  # warmed up
    ready = time.perf_counter()
    for pipe in pipes:
        pipe.send(None)  # go
    losses = [loss for pipe in pipes for loss in pipe.recv()]
    end = time.perf_counter()
    for process in processes:
        process.join()
    return _timing("torch_eager_processes", losses, ready - start, end - ready)


def torch_stacked_bmm(x, y, learning_rates, num_epochs, batch_size, seed, *, group=32) -> Timing:
    """PyTorch with all members' weights stacked [members, in, out], batched products, Adam on the stacks.

    On a CPU `group` members at a time on all cores, an accelerator gets them all at once. Of 16, 32, 64 and 256,
    groups of 32 were quickest on 2 cores: they stay in the cache, and their tensors are still worth the threads.
    """
    import torch  # pyright: ignore[reportMissingImports]

    device = _torch_device()
    features, labels, orders = _torch_data(device, x, y, num_epochs, seed)
    rates = torch.tensor(np.asarray(learning_rates), dtype=torch.float32, device=device).view(-1, 1, 1)
    groups = rates.split(group if device == "cpu" else len(rates))

    def train(net, orders):
        mean = torch.zeros(())
        for order in orders:
            mean = torch.zeros(len(net.rates), device=device)
            for rows in order.split(batch_size):
                mean += net.step(features[rows], labels[rows]) * (len(rows) / len(x))
        return mean

    start = time.perf_counter()
    train(_StackedNet(groups[0], seed), orders[:1])
    _torch_wait(device)
    warm = time.perf_counter()
    nets = [_StackedNet(rates, seed) for rates in groups]
    _torch_wait(device)
    ready = time.perf_counter()
    losses = torch.cat([train(net, orders) for net in nets]).tolist()
    end = time.perf_counter()
    return _timing("torch_stacked_bmm", losses, warm - start, end - ready)


def sklearn_mlp(x, y, learning_rates, num_epochs, batch_size, seed) -> Timing:
    """scikit-learn's MLPClassifier, one config after the other: no batch normalisation, so it does less.

    It shuffles by itself, always on a CPU, and draws its weights within the time.
    """

    def fit(learning_rate, num_epochs):
        model = MLPClassifier(
            HIDDEN,
            solver="adam",
            alpha=0,
            batch_size=batch_size,
            learning_rate_init=float(learning_rate),
            max_iter=num_epochs,
            shuffle=True,
            random_state=seed,
            tol=0,
            n_iter_no_change=num_epochs + 1,
        )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # it counts epochs, as asked
            return model.fit(x, y).loss_

    start = time.perf_counter()
    fit(1e-3, 1)
    ready = time.perf_counter()
    losses = [fit(rate, num_epochs) for rate in learning_rates]
    end = time.perf_counter()
    return _timing("sklearn_mlp", losses, ready - start, end - ready)


def jax_step_loop(x, y, learning_rates, num_epochs, batch_size, seed) -> Timing:
    """A jitted JAX step called from a Python loop, one config after the other."""
    x, y = jax.device_put((x, y))

    @partial(jax.jit, donate_argnums=_donated())
    def step(state, rate, x, y, rows):
        return _step(state, rate, x, y, rows)

    epochs = _batched_orders(len(x), num_epochs, batch_size, seed)

    def train(state, rate, epochs):
        losses = []
        for batches in epochs:
            losses = []
            for rows in batches:
                state, loss = step(state, rate, x, y, rows)
                losses.append(loss)
        return losses

    start = time.perf_counter()
    state, rate = _members(learning_rates[:1], seed)[0]
    jax.block_until_ready(train(state, rate, [[epochs[0][0], epochs[0][-1]]]))
    warm = time.perf_counter()
    members = jax.block_until_ready(_members(learning_rates, seed))
    ready = time.perf_counter()
    losses = jax.block_until_ready([train(state, rate, epochs) for state, rate in members])
    end = time.perf_counter()
    return _timing("jax_step_loop", [_mean(run, epochs[-1]) for run in losses], warm - start, end - ready)


class FlaxNet(linen.Module):
    """The network as Flax's users write it."""

    @linen.compact
    def __call__(self, x, training: bool):
        for h in HIDDEN:
            x = linen.Dense(h, use_bias=False)(x)
            x = linen.BatchNorm(not training, momentum=BN_DECAY, epsilon=BN_EPSILON)(x)
            x = linen.relu(x)
        return linen.Dense(NUM_CLASSES)(x)


def flax_vmapped_step(x, y, learning_rates, num_epochs, batch_size, seed) -> Timing:
    """A Flax + optax step, vmapped over all learning rates, jitted and called from a Python loop."""
    x, y = jax.device_put((x, y))
    net = FlaxNet()

    def init(rate):
        variables = net.init(jax.random.key(seed), jnp.zeros((1, NUM_INPUTS)), training=False)
        return variables["params"], variables["batch_stats"], optax.adam(rate).init(variables["params"])

    def step(state, rate, x, y):
        params, stats, opt_state = state

        def loss_of(params):
            variables = {"params": params, "batch_stats": stats}
            logits, updated = net.apply(variables, x, training=True, mutable=["batch_stats"])
            losses = optax.softmax_cross_entropy_with_integer_labels(logits, y)
            return losses.mean(), updated["batch_stats"]

        (loss, stats), gradients = jax.value_and_grad(loss_of, has_aux=True)(params)
        updates, opt_state = optax.adam(rate).update(gradients, opt_state, params)
        return (optax.apply_updates(params, updates), stats, opt_state), loss

    @partial(jax.jit, donate_argnums=_donated())
    def step_all(state, rates, x, y, rows):
        return jax.vmap(step, in_axes=(0, 0, None, None))(state, rates, x[rows], y[rows])

    def train(state, epochs):
        losses = []
        for batches in epochs:
            losses = []
            for rows in batches:
                state, loss = step_all(state, rates, x, y, rows)
                losses.append(loss)
        return losses

    rates = jnp.asarray(learning_rates, jnp.float32)
    epochs = _batched_orders(len(x), num_epochs, batch_size, seed)
    init_all = jax.jit(jax.vmap(init))
    start = time.perf_counter()
    jax.block_until_ready(train(init_all(rates), [[epochs[0][0], epochs[0][-1]]]))
    warm = time.perf_counter()
    state = jax.block_until_ready(init_all(rates))
    ready = time.perf_counter()
    losses = jax.block_until_ready(train(state, epochs))
    end = time.perf_counter()
    return _timing("flax_vmapped_step", _mean(losses, epochs[-1]), warm - start, end - ready)


def vmap_all(x, y, learning_rates, num_epochs, batch_size, seed) -> Timing:
    """One vmap over all members of a scan over the steps of an epoch, one call an epoch."""
    x, y = jax.device_put((x, y))
    orders = list(jax.device_put(_orders(len(x), num_epochs, seed)))
    rates = jnp.asarray(learning_rates, jnp.float32)
    state = jax.jit(jax.vmap(lambda _: _init(seed)))(rates)
    epoch_of_all = jax.vmap(partial(_epoch, batch_size=batch_size), in_axes=(0, 0, None, None, None))
    jax.block_until_ready((state, orders))
    start = time.perf_counter()
    epoch = jax.jit(epoch_of_all, donate_argnums=_donated()).lower(state, rates, x, y, orders[0]).compile()
    ready = time.perf_counter()
    losses = rates
    for order in orders:
        state, losses = epoch(state, rates, x, y, order)
    jax.block_until_ready(losses)
    return _timing("vmap_all", losses, ready - start, time.perf_counter() - ready)


def serial_scan(x, y, learning_rates, num_epochs, batch_size, seed, *, num_threads=1) -> Timing:
    """One executable, a scan over the steps of an epoch, for one config at a time on each thread."""
    x, y = jax.device_put((x, y))
    orders = list(jax.device_put(_orders(len(x), num_epochs, seed)))
    members = jax.block_until_ready(_members(learning_rates, seed))
    jitted = jax.jit(partial(_epoch, batch_size=batch_size), donate_argnums=_donated())
    start = time.perf_counter()
    epoch = jitted.lower(*members[0], x, y, orders[0]).compile()
    ready = time.perf_counter()

    def train(member):
        state, rate = member
        loss = rate
        for order in orders:
            state, loss = epoch(state, rate, x, y, order)
        return jax.block_until_ready(loss)

    with ThreadPoolExecutor(num_threads) as pool:
        losses = list(pool.map(train, members))
    end = time.perf_counter()
    return _timing("serial_scan", losses, ready - start, end - ready)


def scan_per_core(x, y, learning_rates, num_epochs, batch_size, seed) -> Timing:
    """`serial_scan` on as many threads as cores; an accelerator gets one."""
    threads = _num_cores() if jax.default_backend() == "cpu" else 1
    timing = serial_scan(x, y, learning_rates, num_epochs, batch_size, seed, num_threads=threads)
    return replace(timing, name="scan_per_core")


RIVALS = (
    Rival("torch_eager_loop", torch_eager_loop, 16, needs="torch"),
    Rival("torch_eager_fused", torch_eager_fused, 16, needs="torch"),
    Rival("torch_eager_processes", torch_eager_processes, 32, needs="torch"),
    Rival("torch_stacked_bmm", torch_stacked_bmm, 256, needs="torch"),
    Rival("sklearn_mlp", sklearn_mlp, 32),
    Rival("jax_step_loop", jax_step_loop, 32),
    Rival("flax_vmapped_step", flax_vmapped_step, 256),
    Rival("flax_vmapped_step_64", flax_vmapped_step, 64),  # narrower, so that it stays in a CPU's cache
    Rival("vmap_all", vmap_all, 256),
    Rival("serial_scan", serial_scan, 128),
    Rival("scan_per_core", scan_per_core, 256),
)


def _torch_device() -> str:
    import torch  # pyright: ignore[reportMissingImports]

    return "cuda" if jax.default_backend() == "gpu" and torch.cuda.is_available() else "cpu"


def _torch_wait(device: str) -> None:
    import torch  # pyright: ignore[reportMissingImports]

    if device == "cuda":
        torch.cuda.synchronize()


def _torch_data(device: str, x, y, num_epochs: int, seed: int):
    """Features, labels, and each epoch's order of rows."""
    import torch  # pyright: ignore[reportMissingImports]

    orders = [torch.tensor(order, device=device) for order in _orders(len(x), num_epochs, seed)]
    return torch.tensor(x, device=device), torch.tensor(y, device=device).long(), orders


def _eager_members(learning_rates, data, batch_size: int, seed: int, *, fused: bool = False) -> list:
    """A model and an optimizer for each learning rate, after one epoch of another to warm up."""
    features, labels, orders = data
    _eager_train(_eager_build(1e-3, features.device, seed, fused), (features, labels, orders[:1]), batch_size)
    return [_eager_build(rate, features.device, seed, fused) for rate in learning_rates]


def _eager_build(learning_rate, device, seed: int, fused: bool):
    import torch  # pyright: ignore[reportMissingImports]

    torch.manual_seed(seed)
    layers, width = [], NUM_INPUTS
    for h in HIDDEN:
        layers += [
            torch.nn.Linear(width, h, bias=False),
            torch.nn.BatchNorm1d(h, eps=BN_EPSILON),
            torch.nn.ReLU(),
        ]
        width = h
    model = torch.nn.Sequential(*layers, torch.nn.Linear(width, NUM_CLASSES)).to(device)
    return model, torch.optim.Adam(model.parameters(), lr=float(learning_rate), fused=fused)


def _eager_train(member, data, batch_size: int) -> float:
    import torch  # pyright: ignore[reportMissingImports]

    (model, optimizer), (features, labels, orders) = member, data
    loss_fn = torch.nn.CrossEntropyLoss()
    model.train()
    mean = torch.zeros((), device=features.device)
    for order in orders:
        mean = torch.zeros((), device=features.device)
        for rows in order.split(batch_size):
            optimizer.zero_grad()
            loss = loss_fn(model(features[rows]), labels[rows])
            loss.backward()
            optimizer.step()
            mean += loss.detach() * (len(rows) / len(features))
    return mean.item()


def _eager_process(pipe, device: str, x, y, learning_rates, num_epochs: int, batch_size: int, seed: int) -> None:
    """A process of `torch_eager_processes`: warms up, says so, waits for the start, trains its members."""
    import torch  # pyright: ignore[reportMissingImports]

    torch.set_num_threads(1)
    data = _torch_data(device, x, y, num_epochs, seed)
    members = _eager_members(learning_rates, data, batch_size, seed)
    pipe.send(None)
    pipe.recv()
    pipe.send([_eager_train(member, data, batch_size) for member in members])


class _StackedNet:
    """Members in training together: every tensor has them on its first axis, rates are [members, 1, 1]."""

    def __init__(self, rates, seed: int):
        import torch  # pyright: ignore[reportMissingImports]

        self.rates = rates
        generator = torch.Generator().manual_seed(seed)

        def stack(tensor):
            return tensor.to(rates.device).repeat(len(rates), 1, 1).requires_grad_()

        def he(inputs, outputs):
            return stack(torch.randn(inputs, outputs, generator=generator) * math.sqrt(2 / inputs))

        self.layers, self.stats = [], []
        for shape in pairwise((NUM_INPUTS, *HIDDEN)):
            self.layers.append((he(*shape), stack(torch.ones(1, shape[1])), stack(torch.zeros(1, shape[1]))))
            running = torch.zeros(1, shape[1]), torch.ones(1, shape[1])
            self.stats.append([stack(tensor).detach() for tensor in running])
        self.last = he(HIDDEN[-1], NUM_CLASSES), stack(torch.zeros(1, NUM_CLASSES))
        self.params = [tensor for layer in (*self.layers, self.last) for tensor in layer]
        self.first_moments = [torch.zeros_like(tensor) for tensor in self.params]
        self.second_moments = [torch.zeros_like(tensor) for tensor in self.params]
        self.num_steps = 0

    def step(self, x, y):
        """One step on a mini-batch that all share; returns each member's loss."""
        import torch  # pyright: ignore[reportMissingImports]

        num_members = len(self.rates)
        a = x.expand(num_members, *x.shape)
        for (kernel, gamma, beta), (running_mean, running_var) in zip(self.layers, self.stats, strict=True):
            z = torch.bmm(a, kernel)
            mean = z.mean(dim=1, keepdim=True)
            z = z - mean
            var = z.square().mean(dim=1, keepdim=True)  # torch.var_mean is slower: the whole takes half as long again
            running_mean.lerp_(mean.detach(), 1 - BN_DECAY)
            running_var.lerp_(var.detach(), 1 - BN_DECAY)
            a = torch.addcmul(beta, z, gamma * torch.rsqrt(var + BN_EPSILON)).relu()
        kernel, bias = self.last
        logits = torch.baddbmm(bias, a, kernel)
        losses = torch.nn.functional.cross_entropy(
            logits.view(-1, NUM_CLASSES), y.repeat(num_members), reduction="none"
        )
        losses = losses.view(num_members, -1).mean(dim=1)
        self._adam(torch.autograd.grad(losses.sum(), self.params))
        return losses.detach()

    def _adam(self, gradients, beta1: float = 0.9, beta2: float = 0.999, epsilon: float = 1e-8) -> None:
        """In place. The second moment's correction goes to the rate and to epsilon, which spares a pass."""
        import torch  # pyright: ignore[reportMissingImports]

        ops: Any = torch  # these are there for optimizers, but not exported
        self.num_steps += 1
        root = math.sqrt(1 - beta2**self.num_steps)
        with torch.no_grad():
            ops._foreach_lerp_(self.first_moments, gradients, 1 - beta1)
            ops._foreach_mul_(self.second_moments, beta2)
            ops._foreach_addcmul_(self.second_moments, gradients, gradients, 1 - beta2)
            divisors = ops._foreach_sqrt(self.second_moments)
            ops._foreach_add_(divisors, epsilon * root)
            updates = ops._foreach_div(self.first_moments, divisors)
            rates = self.rates * (-root / (1 - beta1**self.num_steps))
            ops._foreach_addcmul_(self.params, updates, [rates] * len(updates))


def _num_cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _init(seed: int) -> State:
    keys = jax.random.split(jax.random.key(seed), len(HIDDEN) + 1)
    he = jax.nn.initializers.he_normal()
    params = [
        {"kernel": he(key, shape), "gamma": jnp.ones(shape[1]), "beta": jnp.zeros(shape[1])}
        for key, shape in zip(keys[:-1], pairwise((NUM_INPUTS, *HIDDEN)), strict=True)
    ]
    params.append({"kernel": he(keys[-1], (HIDDEN[-1], NUM_CLASSES)), "bias": jnp.zeros(NUM_CLASSES)})
    stats = [{"mean": jnp.zeros(h), "var": jnp.ones(h)} for h in HIDDEN]
    return State(params, stats, optax.adam(1e-3).init(params))


def _step(state: State, rate: jax.Array, x: jax.Array, y: jax.Array, rows: jax.Array) -> tuple[State, jax.Array]:
    def loss_of(params):
        a, moments = x[rows], []
        for layer in params[:-1]:
            z = a @ layer["kernel"]
            mean, var = z.mean(axis=0), z.var(axis=0)
            moments.append({"mean": mean, "var": var})
            a = jax.nn.relu(layer["gamma"] * (z - mean) * jax.lax.rsqrt(var + BN_EPSILON) + layer["beta"])
        logits = a @ params[-1]["kernel"] + params[-1]["bias"]
        return optax.softmax_cross_entropy_with_integer_labels(logits, y[rows]).mean(), moments

    (loss, moments), gradients = jax.value_and_grad(loss_of, has_aux=True)(state.params)
    stats = optax.tree.add(optax.tree.scale(BN_DECAY, state.stats), optax.tree.scale(1 - BN_DECAY, moments))
    updates, opt_state = optax.adam(rate).update(gradients, state.opt_state)
    return State(optax.apply_updates(state.params, updates), stats, opt_state), loss


def _epoch(state, rate, x, y, order, *, batch_size):
    """A scan over the full mini-batches, then the partial one; returns the state and the mean loss."""
    num_full = len(order) // batch_size
    full, rest = order[: num_full * batch_size], order[num_full * batch_size :]
    state, losses = jax.lax.scan(
        lambda state, rows: _step(state, rate, x, y, rows), state, full.reshape(num_full, batch_size)
    )
    total = losses.sum() * batch_size
    if len(rest):
        state, loss = _step(state, rate, x, y, rest)
        total += loss * len(rest)
    return state, total / len(order)


def _members(learning_rates, seed: int) -> list[tuple[State, jax.Array]]:
    init = jax.jit(_init, static_argnums=0)
    return [(init(seed), jnp.float32(rate)) for rate in learning_rates]


def _orders(num_rows: int, num_epochs: int, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return np.stack([rng.permutation(num_rows) for _ in range(num_epochs)]).astype(np.int32)


def _batched_orders(num_rows: int, num_epochs: int, batch_size: int, seed: int) -> list[list[jax.Array]]:
    cuts = range(batch_size, num_rows, batch_size)
    return [jax.device_put(np.split(order, cuts)) for order in _orders(num_rows, num_epochs, seed)]


def _mean(losses, batches) -> np.ndarray:
    """The mean over an epoch's rows of its mini-batches' losses (each a scalar, or one per member)."""
    return np.average(np.asarray(losses), axis=0, weights=[len(rows) for rows in batches])


def _donated() -> tuple[int, ...]:
    return () if jax.default_backend() == "cpu" else (0,)


def _timing(name: str, losses, seconds_compile: float, seconds_train: float) -> Timing:
    losses = np.asarray(losses)
    return Timing(name, losses.size, seconds_compile, seconds_train, float(np.median(losses)))
