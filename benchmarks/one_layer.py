"""One hidden layer without batch normalisation, and every network as wide as it likes: jaxbn against ParallelMLPs.

ParallelMLPs (Farias, Ludermir and Bastos-Filho 2022, https://arxiv.org/abs/2206.08369) lays the hidden units of all
networks side by side in one wide layer. The first product is then an ordinary one; the second is a product by elements
of activations and output weights, summed over the units of each network by a scatter-add. Written anew from the paper,
in JAX. It pads nothing, and does without batch normalisation and deeper networks; jaxbn pads widths and multiplies
matrices.

Digits, 64-h-10 with h from 1 to 100, relu, Adam, batch 64, a learning rate for each network.

    python -m benchmarks.one_layer [--rounds 5] [--members 256] [--epochs 5] [--json FILE]
"""

import argparse
import time

import jax
import jax.numpy as jnp
import numpy as np
import optax

from benchmarks.about import about_device
from benchmarks.rival import NUM_CLASSES, NUM_INPUTS, Rival, Timing, epoch_orders, timing
from benchmarks.throughput import measure, summarise, table, trained, write
from jaxbn.search import from_values

WIDEST = 100


def widths_of(count: int) -> np.ndarray:
    """Hidden units of each network: every number from 1 to 100 about as often."""
    return 1 + np.arange(count) * 37 % WIDEST


def jaxbn_tiles(x, y, learning_rates, num_epochs: int, batch_size: int, seed: int) -> Timing:
    """The engine of a sweep, on networks of unlike widths."""
    configs = [
        from_values(
            learning_rate=float(rate),
            hidden_units=int(width),
            num_layers=1,
            batch_size=batch_size,
            normalization="none",
        )
        for rate, width in zip(learning_rates, widths_of(len(learning_rates)), strict=True)
    ]
    return trained(configs, None, x, y, num_epochs, seed)


def parallel_mlps(x, y, learning_rates, num_epochs: int, batch_size: int, seed: int) -> Timing:
    """All networks as one, whose output weights meet only the units of their own network."""
    x, y = jax.device_put((x, y))
    widths = widths_of(len(learning_rates))
    owner = jnp.asarray(np.repeat(np.arange(len(widths)), widths))
    rates = jnp.asarray(learning_rates, jnp.float32)
    of_unit = rates[owner]
    adam = optax.scale_by_adam()

    @jax.jit
    def init():
        keys = jax.random.split(jax.random.key(seed))
        units = len(owner)
        params = {
            "kernel": jax.random.normal(keys[0], (NUM_INPUTS, units)) * np.sqrt(2 / NUM_INPUTS),
            "bias": jnp.zeros(units),
            "output": jax.random.normal(keys[1], (units, NUM_CLASSES))
            * jnp.sqrt(2 / jnp.asarray(widths)[owner])[:, None],
            "output_bias": jnp.zeros((len(widths), NUM_CLASSES)),
        }
        return params, adam.init(params)

    def losses_of(params, rows):
        hidden = jax.nn.relu(x[rows] @ params["kernel"] + params["bias"])
        each = hidden[:, :, None] * params["output"][None]
        summed = jax.ops.segment_sum(each.swapaxes(0, 1), owner, len(widths), indices_are_sorted=True)
        logits = summed + params["output_bias"][:, None]
        labels = jnp.broadcast_to(y[rows][None], logits.shape[:2])
        return optax.softmax_cross_entropy_with_integer_labels(logits, labels).mean(1)

    def step(state, rows):
        params, opt_state = state

        def total(params):
            losses = losses_of(params, rows)
            return losses.sum(), losses

        grads, losses = jax.grad(total, has_aux=True)(params)
        updates, opt_state = adam.update(grads, opt_state)
        scales = {"kernel": of_unit, "bias": of_unit, "output": of_unit[:, None], "output_bias": rates[:, None]}
        params = jax.tree.map(lambda p, u, rate: p - rate * u, params, updates, scales)
        return (params, opt_state), losses

    def epoch(state, order):
        count = len(order) // batch_size
        full, rest = order[: count * batch_size], order[count * batch_size :]
        state, losses = jax.lax.scan(step, state, full.reshape(count, batch_size))
        total = losses.sum(0) * batch_size
        if len(rest):
            state, last = step(state, rest)
            total += last * len(rest)
        return state, total / len(order)

    orders = list(jax.device_put(epoch_orders(len(x), num_epochs, seed)))
    state = jax.block_until_ready(init())
    start = time.perf_counter()
    compiled = jax.jit(epoch).lower(state, orders[0]).compile()
    jax.block_until_ready(compiled(state, orders[0]))
    ready = time.perf_counter()
    losses = rates
    for order in orders:
        state, losses = compiled(state, order)
    jax.block_until_ready(losses)
    return timing("parallel_mlps", losses, ready - start, time.perf_counter() - ready)


def main() -> None:
    """Measure, print a table, and write JSON where asked."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.one_layer", description="jaxbn against ParallelMLPs.")
    parser.add_argument("--rounds", type=int, default=5, help="how often each way runs (default 5)")
    parser.add_argument("--members", type=int, default=256, help="networks (default 256)")
    parser.add_argument("--epochs", type=int, default=5, help="of each network (default 5)")
    parser.add_argument("--json", help="file to write the figures to")
    asked = parser.parse_args()
    rivals = (
        Rival("jaxbn", jaxbn_tiles, asked.members, together=True),
        Rival("parallel_mlps", parallel_mlps, asked.members, together=True),
    )
    with jax.default_matmul_precision("highest"):
        timings = measure(
            rivals, rounds=asked.rounds, most=asked.members, members=asked.members, num_epochs=asked.epochs
        )
    rows = summarise(timings)
    print(table(rows))
    if asked.json:
        write(asked.json, {**about_device(), "rounds": asked.rounds, "epochs": asked.epochs}, rows, timings)


if __name__ == "__main__":
    main()
