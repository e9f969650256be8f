"""The training of one network. It knows of no population: `jax.vmap` makes one of it."""

import dataclasses
from collections.abc import Callable

import jax
import jax.numpy as jnp
import optax
from jax import Array
from jax.typing import ArrayLike

from jaxbn.nn import losses
from jaxbn.nn.optimizers import learning_rate, optimizer
from jaxbn.nn.types import Batch, Hyperparams, Loss, Metrics, Model, Rows, Spec, TrainState, Variables

Step = Callable[[TrainState, Batch, Hyperparams], tuple[TrainState, Metrics]]


def init(key: Array, hyperparams: Hyperparams, *, model: Model, spec: Spec) -> TrainState:
    """A network before its first update.

    Args:
        key: consumed. Two configurations with one key start from the same draws.
        hyperparams: `hidden_units` and `init_scale` are read.
        model: what to train.
        spec: names the optimizer.

    Returns:
        The state, with step 0.
    """
    variables = model.init(key, hyperparams)
    opt_state = optimizer(hyperparams, spec=spec).init(variables.params)
    return TrainState(variables.params, variables.model_state, opt_state, jnp.zeros((), jnp.int32))


def step(
    state: TrainState,
    batch: Batch,
    hyperparams: Hyperparams,
    *,
    model: Model,
    spec: Spec,
    loss: Loss = losses.softmax_cross_entropy,
) -> tuple[TrainState, Metrics]:
    """One update: forward, loss, gradients, optimizer. It drops into `jax.lax.scan` and `jax.vmap`.

    Args:
        state: before the update.
        batch: the rows to learn from.
        hyperparams: scalars; under `jax.vmap` each member has its own.
        model: what is trained.
        spec: names the optimizer and what else shapes the program.
        loss: turns outputs and batch into sums of losses.

    Returns:
        The state after the update, and the loss before it as sums.

    Example:
        >>> from jaxbn.nn.mlp import mlp
        >>> spec = Spec(widths=(8,), optimizers=("sgd",))
        >>> model = mlp(spec, num_inputs=2, num_outputs=2)
        >>> h = Hyperparams(learning_rate=0.5)
        >>> state = init(jax.random.key(0), h, model=model, spec=spec)
        >>> batch = Batch(x=jnp.array([[0.0, 1.0], [1.0, 0.0]]), y=jnp.array([0, 1]))
        >>> for _ in range(20):
        ...     state, metrics = step(state, batch, h, model=model, spec=spec)
        >>> metrics.loss.item() < 0.1, state.step.item()
        (True, 20)
    """

    def objective(params):
        outputs, model_state = model.apply(
            Variables(params, state.model_state),
            batch.x,
            hyperparams,
            training=True,
            where=batch.where,
            key=batch.key,
        )
        metrics = loss(outputs, batch, hyperparams, spec=spec)
        return metrics.loss, (metrics, model_state)

    grads, (metrics, model_state) = jax.grad(objective, has_aux=True)(state.params)
    rate = learning_rate(hyperparams, state.step, steps_per_epoch=batch.steps_per_epoch)
    tx = optimizer(dataclasses.replace(hyperparams, learning_rate=rate), spec=spec)
    updates, opt_state = tx.update(grads, state.opt_state, state.params)
    params = optax.apply_updates(state.params, updates)
    return TrainState(params, model_state, opt_state, state.step + 1), metrics


def order(key: Array, num_rows: ArrayLike, *, size: int) -> Array:
    """A random order of the rows that exist, followed by those that do not.

    Args:
        key: consumed.
        num_rows: how many rows exist.
        size: rows with padding; it does not change the order of those that exist.

    Returns:
        int [size], row numbers.

    Example:
        >>> order(jax.random.key(0), 3, size=5)[3:]
        Array([3, 4], dtype=int32)
    """
    draw = jax.random.bits(key, (size,), jnp.uint32)
    exists = jnp.arange(size) < num_rows
    # Sort by (row is padding, draw): padding can then share no place with a row, whatever is drawn.
    return jnp.lexsort((draw, ~exists)).astype(jnp.int32)


def take(rows: Rows, order: Array, index: ArrayLike, *, batch_size: ArrayLike, size: int, key: Array) -> Batch:
    """Mini-batch number `index` of an epoch.

    Args:
        rows: the data set.
        order: int [N], from `order`.
        index: from 0.
        batch_size: rows in a full mini-batch; the last of an epoch may have fewer.
        size: the padded size B, at least `batch_size`.
        key: randomness of the epoch.

    Returns:
        A batch of `size` rows of which `where` says which exist.
    """
    place = index * batch_size + jnp.arange(size)
    where = (jnp.arange(size) < batch_size) & (place < rows.num_rows)
    row = order[jnp.where(where, place, 0)]
    return Batch(
        x=rows.x[row],
        y=rows.y[row],
        steps_per_epoch=-(-rows.num_rows // batch_size),
        where=where,
        weight=rows.weight[row],
        key=jax.random.fold_in(key, index),
    )


def epoch(
    key: Array,
    state: TrainState,
    rows: Rows,
    order: Array,
    hyperparams: Hyperparams,
    *,
    batch_size: ArrayLike,
    size: int,
    step: Step,
    steps: int | None = None,
) -> tuple[TrainState, Metrics]:
    """Every row once, in mini-batches; the last one may be partial.

    Each mini-batch is gathered once and handed to `step`, which trains one network or, vmapped, all members of a tile.

    Args:
        key: randomness of this epoch (dropout).
        state: of one network, or stacked.
        rows: the data set.
        order: int [N], from `order`.
        hyperparams: of one network, or stacked.
        batch_size: rows in a mini-batch, at most `size`; more than there are rows means one full batch.
        size: padded rows in a mini-batch (static).
        step: `train.step` with everything static bound.
        steps: how many mini-batches that makes, where it is known beforehand (static): an accelerator need not ask the
            host before each.

    Returns:
        The state after the epoch, and the training loss over it as sums (each mini-batch before its update).
    """
    batch_size = jnp.minimum(batch_size, rows.num_rows)
    if steps is None:
        steps = -(-rows.num_rows // batch_size)

    def body(index: Array, carry: tuple[TrainState, Metrics]) -> tuple[TrainState, Metrics]:
        state, metrics = carry
        batch = take(rows, order, index, batch_size=batch_size, size=size, key=key)
        state, new = step(state, batch, hyperparams)
        return state, metrics.merge(new)

    zero = jnp.zeros(state.step.shape, float)
    return jax.lax.fori_loop(0, steps, body, (state, Metrics(zero, zero)))


def epoch_without_masks(
    key: Array,
    state: TrainState,
    rows: Rows,
    order: Array,
    hyperparams: Hyperparams,
    *,
    batch_size: int,
    step: Step,
) -> tuple[TrainState, Metrics]:
    """An epoch for models that cannot leave rows out: the last mini-batch has a shape of its own if it is partial.

    Args:
        key: randomness of this epoch (dropout).
        state: of one network, or stacked.
        rows: the data set, without padding.
        order: int [N], from `order`.
        hyperparams: of one network, or stacked.
        batch_size: rows in a mini-batch, at most N (static).
        step: `train.step` with everything static bound.

    Returns:
        As `epoch`.
    """
    num_rows = rows.x.shape[0]
    steps, rest = divmod(num_rows, batch_size)

    def one(index: ArrayLike, carry: tuple[TrainState, Metrics], size: int) -> tuple[TrainState, Metrics]:
        state, metrics = carry
        batch = take(rows, order, index, batch_size=batch_size, size=size, key=key)
        state, new = step(state, dataclasses.replace(batch, where=None), hyperparams)
        return state, metrics.merge(new)

    zero = jnp.zeros(state.step.shape, float)
    carry = jax.lax.fori_loop(0, steps, lambda i, c: one(i, c, batch_size), (state, Metrics(zero, zero)))
    return one(steps, carry, rest) if rest else carry


def evaluate(
    variables: Variables, x: Array, num_rows: ArrayLike, hyperparams: Hyperparams, *, model: Model, size: int
) -> Array:
    """Outputs for many rows by the running statistics, a chunk at a time so that memory stays small.

    Args:
        variables: weights and running statistics.
        x: [N, F], N a multiple of `size`.
        num_rows: rows that exist; chunks beyond them are not computed.
        hyperparams: of the network.
        model: what computes.
        size: rows in a chunk (static).

    Returns:
        [N, C]; zeros in chunks that were not computed.
    """

    def chunk(index: Array, outputs: Array) -> Array:
        rows = jax.lax.dynamic_slice_in_dim(x, index * size, size)
        new, _ = model.apply(variables, rows, hyperparams, training=False)
        return jax.lax.dynamic_update_slice_in_dim(outputs, new.astype(outputs.dtype), index * size, 0)

    shape = jax.eval_shape(lambda x: model.apply(variables, x, hyperparams, training=False)[0], x)
    chunks = -(-jnp.asarray(num_rows) // size)
    return jax.lax.fori_loop(0, chunks, chunk, jnp.zeros(shape.shape, shape.dtype))
