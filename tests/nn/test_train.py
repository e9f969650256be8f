"""The training loop: batches, epochs, evaluation, and the running statistics that it leaves behind."""

import functools
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxbn.nn import batch_norm, dense, mlp, train
from jaxbn.nn.types import Batch, Hyperparams, Metrics, Rows, Spec

F, C = 4, 3
KEY = jax.random.key(0)


@pytest.fixture
def x64():
    with jax.enable_x64(True):
        yield


def rows(number, *, size=None, garbage=0.0):
    """A problem whose row i holds the number i in its first column; what lies below it is garbage."""
    rng = np.random.default_rng(0)
    size = size or number
    x = np.full((size, F), garbage)
    x[:number] = rng.normal(size=(number, F))
    x[:number, 0] = np.arange(number)
    y = np.zeros(size, np.int32)
    y[:number] = (x[:number, 1] > 0).astype(int) + (x[:number, 2] > 0)
    weight = np.full(size, garbage)
    weight[:number] = 1 + np.arange(number)
    return Rows(jnp.asarray(x), jnp.asarray(y), jnp.asarray(weight), jnp.int32(number))


def batches(data, order, batch_size, size):
    """The row numbers of each batch of an epoch, and the batches."""
    seen = []

    def step(state, batch, h):
        chosen = np.asarray(batch.x[:, 0])[np.asarray(batch.where)]
        seen.append((chosen.astype(int).tolist(), batch))
        return state + 1, Metrics(jnp.zeros(()), jnp.zeros(()))

    number = int(data.num_rows)
    with jax.disable_jit():
        state = type("Counter", (int,), {"step": jnp.zeros(()), "__add__": lambda self, _: self})(0)
        train.epoch(KEY, state, data, order, None, batch_size=batch_size, size=size, step=step)
    assert len(seen) == -(-number // min(batch_size, number))
    return [chosen for chosen, _ in seen], [batch for _, batch in seen]


@pytest.mark.parametrize(
    ("number", "batch_size", "size"), [(10, 3, 4), (10, 5, 5), (10, 10, 16), (10, 64, 64), (1, 4, 4), (7, 1, 8)]
)
def test_an_epoch_sees_every_row_once_in_the_order_given_and_the_last_batch_is_partial(number, batch_size, size):
    data = rows(number, size=16, garbage=np.nan)
    order = np.asarray(train.order(KEY, number, size=16))
    numbers, taken = batches(data, jnp.asarray(order), batch_size, size)
    assert list(itertools.chain(*numbers)) == order[:number].tolist()
    full = min(batch_size, number)
    assert [len(chosen) for chosen in numbers] == [full] * (number // full) + [number % full] * (number % full > 0)
    for chosen, batch in zip(numbers, taken, strict=True):
        assert batch.x.shape == (size, F) and int(batch.steps_per_epoch) == len(numbers)
        assert np.asarray(batch.where).tolist() == [True] * len(chosen) + [False] * (size - len(chosen))
        np.testing.assert_array_equal(batch.y[: len(chosen)], data.y[jnp.array(chosen)])
        np.testing.assert_array_equal(batch.weight[: len(chosen)], np.array(chosen) + 1)
        assert bool(jnp.isfinite(batch.x).all())
    keys = {tuple(jax.random.key_data(batch.key).tolist()) for batch in taken}
    assert len(keys) == len(taken)


def test_the_order_is_a_permutation_that_padding_does_not_change():
    alone = np.asarray(train.order(KEY, 13, size=13))
    assert sorted(alone.tolist()) == list(range(13)) and alone.tolist() != list(range(13))
    for size in (14, 16, 64, 1024):
        padded = np.asarray(train.order(KEY, 13, size=size))
        np.testing.assert_array_equal(padded[:13], alone)
        np.testing.assert_array_equal(np.sort(padded), np.arange(size))
    assert (np.asarray(train.order(jax.random.key(1), 13, size=13)) != alone).any()


def test_every_order_is_as_likely():
    keys = jax.random.split(KEY, 6000)
    orders = np.asarray(jax.jit(jax.vmap(lambda key: train.order(key, 3, size=8)))(keys))[:, :3]
    _, counts = np.unique(orders, axis=0, return_counts=True)
    assert len(counts) == 6 and abs(counts - 1000).max() < 4 * np.sqrt(1000 * 5 / 6)


@functools.cache
def trained(batch_size=8, bn_decay=0.9, epochs=3, size=8, padded=32):
    spec = Spec(widths=(6, 5), batch_size=size)
    model = mlp(spec, num_inputs=F, num_outputs=C)
    h = Hyperparams(learning_rate=0.05, bn_decay=bn_decay)
    data = rows(29, size=padded)
    state = jax.jit(functools.partial(train.init, model=model, spec=spec))(KEY, h)
    step = functools.partial(train.step, model=model, spec=spec)
    epoch = jax.jit(functools.partial(train.epoch, batch_size=batch_size, size=size, step=step))
    losses = []
    for number in range(epochs):
        order = train.order(jax.random.key(number), 29, size=padded)
        state, metrics = epoch(jax.random.key(number), state, data, order, h)
        losses.append(float(metrics.loss))
    return model, h, state, data, losses


def test_training_lowers_the_loss_and_counts_its_steps(x64):
    *_, state, _, losses = trained(epochs=30)
    assert losses[-1] < 0.5 * losses[0]
    assert int(state.step) == 30 * 4


def assert_same_run(a, b, **tolerance):
    np.testing.assert_allclose(a[4], b[4], **tolerance)
    for x, y in zip(jax.tree.leaves(a[2]), jax.tree.leaves(b[2]), strict=True):
        np.testing.assert_allclose(x, y, **tolerance)


def test_padded_rows_and_padded_batches_change_nothing(x64):
    assert_same_run(trained(size=16, padded=64), trained(), rtol=1e-9, atol=1e-11)


def test_a_batch_size_above_the_number_of_rows_is_a_full_batch(x64):
    assert_same_run(trained(batch_size=64, size=64), trained(batch_size=29, size=29), rtol=1e-9, atol=1e-11)


def test_an_epoch_is_its_steps_and_their_losses_merged(x64):
    model, h, state, data, _ = trained()
    spec = Spec(widths=(6, 5), batch_size=8)
    step = functools.partial(train.step, model=model, spec=spec)
    order, key = train.order(KEY, 29, size=32), jax.random.key(9)
    together, metrics = jax.jit(functools.partial(train.epoch, batch_size=8, size=8, step=step))(
        key, state, data, order, h
    )
    one = jax.jit(step)
    loss = weight = 0.0
    for start in range(0, 29, 8):
        chosen = order[:29][start : start + 8]
        batch = Batch(x=data.x[chosen], y=data.y[chosen], steps_per_epoch=4, weight=data.weight[chosen], key=key)
        state, new = one(state, batch, h)
        loss, weight = loss + float(new.loss_sum), weight + float(new.weight)
    np.testing.assert_allclose(metrics.loss, loss / weight, rtol=1e-12)
    for x, y in zip(jax.tree.leaves(together), jax.tree.leaves(state), strict=True):
        np.testing.assert_allclose(x, y, rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("size", [1, 4, 16, 32])
def test_evaluation_in_chunks_equals_all_at_once_and_skips_what_does_not_exist(x64, size):
    model, h, state, data, _ = trained()
    evaluate = jax.jit(functools.partial(train.evaluate, model=model, size=size))
    got = evaluate(state.variables, data.x, data.num_rows, h)
    want, _ = model.apply(state.variables, data.x, h, training=False)
    np.testing.assert_allclose(got[:29], want[:29], rtol=1e-12, atol=1e-13)
    computed = -(-29 // size) * size
    np.testing.assert_array_equal(got[computed:], np.zeros((32 - computed, C)))


def test_a_single_example_is_predicted_as_within_a_batch(x64):
    model, h, state, data, _ = trained()
    together, _ = model.apply(state.variables, data.x, h, training=False)
    for row in range(5):
        alone, _ = model.apply(state.variables, data.x[row][None], h, training=False)
        np.testing.assert_allclose(alone[0], together[row], rtol=1e-12, atol=1e-13)


def test_evaluation_leaves_the_statistics_alone(x64):
    model, h, state, data, _ = trained()
    _, after = model.apply(state.variables, data.x, h, training=False)
    for x, y in zip(jax.tree.leaves(after), jax.tree.leaves(state.model_state), strict=True):
        np.testing.assert_array_equal(x, y)


def test_running_statistics_against_exact_ones_of_the_training_rows(x64):
    # At a rate of nearly 0 the weights stand still. The average over a whole epoch of equal batches is then the
    # population's, up to the weights of the batches and, of the variance, the spread of the batches' own means.
    spec = Spec(widths=(6,), batch_size=7)
    model = mlp(spec, num_inputs=F, num_outputs=C)
    h = Hyperparams(learning_rate=1e-30, bn_decay=0.999)
    data = rows(28)
    state = jax.jit(functools.partial(train.init, model=model, spec=spec))(KEY, h)
    step = functools.partial(train.step, model=model, spec=spec)
    epoch = jax.jit(functools.partial(train.epoch, batch_size=7, size=7, step=step))
    z = np.asarray(dense.apply(state.params.hidden[0].dense, data.x))
    within, means, weights = [], [], []
    for number in range(40):
        order = train.order(jax.random.key(number), 28, size=28)
        state, _ = epoch(KEY, state, data, order, h)
        for chosen in np.asarray(order).reshape(4, 7):
            means.append(z[chosen].mean(0))
            within.append(z[chosen].var(0))
    weights = 0.001 * 0.999 ** np.arange(160)[::-1]
    running = batch_norm.running_moments(state.model_state[0])
    np.testing.assert_allclose(running.mean, weights @ means / weights.sum(), rtol=1e-10)
    np.testing.assert_allclose(running.var, weights @ within / weights.sum(), rtol=1e-10)
    np.testing.assert_allclose(running.mean, z.mean(0), atol=0.01 * z.std(0).max())
    # Batches of 7 of 28 without replacement: E[var of a batch] = (6 / 7) (28 / 27) of the population's.
    np.testing.assert_allclose(running.var, z.var(0) * 6 / 7 * 28 / 27, rtol=0.05)


def test_a_step_in_which_no_row_exists_moves_nothing_under_sgd(x64):
    spec = Spec(widths=(6,), optimizers=("sgd",))
    model = mlp(spec, num_inputs=F, num_outputs=C)
    h = Hyperparams(learning_rate=1.0)
    data = rows(8)
    state = jax.jit(functools.partial(train.init, model=model, spec=spec))(KEY, h)
    batch = Batch(x=data.x, y=data.y, where=jnp.zeros(8, bool))
    after, metrics = jax.jit(functools.partial(train.step, model=model, spec=spec))(state, batch, h)
    assert metrics.loss == 0 and int(after.step) == 1
    for x, y in zip(jax.tree.leaves(after.variables), jax.tree.leaves(state.variables), strict=True):
        np.testing.assert_array_equal(x, y)
