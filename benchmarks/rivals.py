"""The other ways to train many small batch-normalised networks, each written as a good practitioner would.

Every rival trains the same thing: 64-64-64-10 with batch normalisation and relu, Adam, one network per
learning rate, on the same mini-batches in the same order, the last of an epoch partial. Data sit on the
device beforehand, losses are fetched once all steps are queued, state is donated where that helps (not on a
CPU). Compiling, warming up and drawing initial weights are timed apart. Nothing here imports jaxbn.
"""

import time
import warnings
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from itertools import pairwise
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import linen
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPClassifier

from benchmarks.about import cores
from benchmarks.rival import BN_DECAY, BN_EPSILON, HIDDEN, NUM_CLASSES, NUM_INPUTS, Rival, Timing, epoch_orders, timing
from benchmarks.torch_rivals import (
    torch_eager_fused,
    torch_eager_loop,
    torch_eager_processes,
    torch_stacked_bmm,
    torch_stacked_compiled,
    torch_stacked_graph,
)


class State(NamedTuple):
    """One network in training: weights, running statistics, Adam's moments."""

    params: optax.Params
    stats: list[dict[str, jax.Array]]
    opt_state: optax.OptState


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
    return timing("sklearn_mlp", losses, ready - start, end - ready)


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
    return timing("jax_step_loop", [_mean(run, epochs[-1]) for run in losses], warm - start, end - ready)


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
    return timing("flax_vmapped_step", _mean(losses, epochs[-1]), warm - start, end - ready)


def vmap_all(x, y, learning_rates, num_epochs, batch_size, seed) -> Timing:
    """One vmap over all members of a scan over the steps of an epoch, one call an epoch."""
    x, y = jax.device_put((x, y))
    orders = list(jax.device_put(epoch_orders(len(x), num_epochs, seed)))
    rates = jnp.asarray(learning_rates, jnp.float32)
    state = jax.jit(jax.vmap(lambda _: _init(seed)))(rates)
    epoch_of_all = jax.vmap(partial(_epoch, batch_size=batch_size), in_axes=(0, 0, None, None, None))
    jax.block_until_ready((state, orders))
    start = time.perf_counter()
    epoch = jax.jit(epoch_of_all, donate_argnums=_donated()).lower(state, rates, x, y, orders[0]).compile()
    jax.block_until_ready(epoch(jax.tree.map(jnp.copy, state), rates, x, y, orders[0]))
    ready = time.perf_counter()
    losses = rates
    for order in orders:
        state, losses = epoch(state, rates, x, y, order)
    jax.block_until_ready(losses)
    return timing("vmap_all", losses, ready - start, time.perf_counter() - ready)


def serial_scan(x, y, learning_rates, num_epochs, batch_size, seed, *, num_threads=1) -> Timing:
    """One executable, a scan over the steps of an epoch, for one config at a time on each thread."""
    x, y = jax.device_put((x, y))
    orders = list(jax.device_put(epoch_orders(len(x), num_epochs, seed)))
    members = jax.block_until_ready(_members(learning_rates, seed))
    jitted = jax.jit(partial(_epoch, batch_size=batch_size), donate_argnums=_donated())
    start = time.perf_counter()
    epoch = jitted.lower(*members[0], x, y, orders[0]).compile()
    jax.block_until_ready(epoch(*jax.tree.map(jnp.copy, members[0]), x, y, orders[0]))
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
    return timing("serial_scan", losses, ready - start, end - ready)


def scan_per_core(x, y, learning_rates, num_epochs, batch_size, seed) -> Timing:
    """`serial_scan` on as many threads as cores; an accelerator gets one."""
    threads = cores() if jax.default_backend() == "cpu" else 1
    timing = serial_scan(x, y, learning_rates, num_epochs, batch_size, seed, num_threads=threads)
    return replace(timing, name="scan_per_core")


RIVALS = (
    Rival("torch_eager_loop", torch_eager_loop, 16, needs="torch"),
    Rival("torch_eager_fused", torch_eager_fused, 16, needs="torch"),
    Rival("torch_eager_processes", torch_eager_processes, 32, needs="torch"),
    Rival("torch_stacked_bmm", torch_stacked_bmm, 256, together=True, needs="torch"),
    Rival("torch_stacked_graph", torch_stacked_graph, 256, together=True, needs="torch", gpu=True),
    Rival("torch_stacked_compiled", torch_stacked_compiled, 256, together=True, needs="torch", gpu=True),
    Rival("sklearn_mlp", sklearn_mlp, 32),
    Rival("jax_step_loop", jax_step_loop, 32),
    Rival("flax_vmapped_step", flax_vmapped_step, 256, together=True),
    Rival("flax_vmapped_step_64", flax_vmapped_step, 64),  # narrower, so that it stays in a CPU's cache
    Rival("vmap_all", vmap_all, 256, together=True),
    Rival("serial_scan", serial_scan, 128),
    Rival("scan_per_core", scan_per_core, 256),
)


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


def _batched_orders(num_rows: int, num_epochs: int, batch_size: int, seed: int) -> list[list[jax.Array]]:
    cuts = range(batch_size, num_rows, batch_size)
    return [jax.device_put(np.split(order, cuts)) for order in epoch_orders(num_rows, num_epochs, seed)]


def _mean(losses, batches) -> np.ndarray:
    """The mean over an epoch's rows of its mini-batches' losses (each a scalar, or one per member)."""
    return np.average(np.asarray(losses), axis=0, weights=[len(rows) for rows in batches])


def _donated() -> tuple[int, ...]:
    return () if jax.default_backend() == "cpu" else (0,)
