"""Rows of the table against the frameworks themselves, where installed: `make test-frameworks` sees to that."""

import importlib.util
from pathlib import Path

import jax
import numpy as np
import pytest

from jaxbn.interop import conventions
from jaxbn.interop.conventions import CONVENTIONS, export_network, import_network, to_arrays
from jaxbn.nn import train
from jaxbn.nn.mlp import mlp
from jaxbn.nn.types import Batch, Hyperparams, Spec

_SPEC = importlib.util.spec_from_file_location("rivals", Path(__file__).parent / "rivals.py")
assert _SPEC is not None and _SPEC.loader is not None
rivals = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(rivals)

pytestmark = pytest.mark.filterwarnings("ignore")

STEPS, RATE, TOLERANCE = 20, 0.5, 1e-5
SPEC = Spec(widths=rivals.WIDTHS, batch_size=16, optimizers=("sgd",))
SIZES = {"num_inputs": rivals.NUM_INPUTS, "num_outputs": rivals.NUM_OUTPUTS}


def adapter(name):
    return rivals.ADAPTERS[name]()


def largest(a, b):
    assert set(a) == set(b)
    # NumPy's maximum, because Python's passes over NaN.
    return float(np.max([np.abs(np.asarray(a[k], float) - np.asarray(b[k], float)).max() for k in a]))


def without(arrays, names):
    return {name: array for name, array in arrays.items() if name not in names}


def batches():
    rng = np.random.default_rng(0)
    return rng.normal(1, 2, (STEPS, 16, 4)).astype("f"), rng.integers(0, 3, (STEPS, 16))


@pytest.mark.parametrize("name", rivals.ADAPTERS)
def test_twenty_steps_there_and_here(name, seen):
    """From the same weights on the same mini-batches: weights, statistics and predictions."""
    with jax.numpy_rank_promotion("allow"):
        there = adapter(name)
        row, h, (x, y) = CONVENTIONS[rivals.ROWS[name]], Hyperparams(learning_rate=RATE), batches()
        model = conventions.mlp(SPEC, **SIZES, convention=row)
        state = train.init(jax.random.key(0), h, model=model, spec=SPEC)
        start = to_arrays(state.variables, row)
        step = jax.jit(lambda state, batch: train.step(state, batch, h, model=model, spec=SPEC)[0])
        for rows, labels in zip(x, y, strict=True):
            state = step(state, Batch(x=rows, y=labels))
        mine, theirs = to_arrays(state.variables, row), there.train(start, x, y, RATE)
        outputs = np.asarray(there.predict(theirs, x[0]))
        here, _ = model.apply(state.variables, x[0], h, training=False)
        own, _ = mlp(SPEC, **SIZES).apply(import_network(theirs, row), x[0], Hyperparams(), training=False)
    statistics = {entry.name(i) for entry in row.layout.statistics for i in range(len(SPEC.widths))}
    weights = set(mine) - statistics
    differences = {
        "weights": largest(without(mine, statistics), without(theirs, statistics)),
        "statistics": largest(without(mine, weights), without(theirs, weights)),
        "outputs": float(np.abs(outputs - here).max()),
        "imported": float(np.abs(outputs - own).max()),
    }
    seen(name, f"live: {there.version}", **differences)
    assert largest(without(start, statistics), without(mine, statistics)) > 0.1
    assert all(value < TOLERANCE for value in differences.values()), differences


@pytest.fixture(scope="module")
def trained():
    """A network of jaxbn after 20 steps, rows, and its outputs for them."""
    with jax.numpy_rank_promotion("allow"):
        h, (x, y), model = Hyperparams(learning_rate=RATE), batches(), mlp(SPEC, **SIZES)
        state = train.init(jax.random.key(1), h, model=model, spec=SPEC)
        step = jax.jit(lambda state, batch: train.step(state, batch, h, model=model, spec=SPEC)[0])
        for rows, labels in zip(x, y, strict=True):
            state = step(state, Batch(x=rows, y=labels))
        return state.variables, x[0], np.asarray(predict(state.variables, x[0]))


def predict(variables, x):
    return mlp(SPEC, **SIZES).apply(variables, x, Hyperparams(), training=False)[0]


@pytest.mark.parametrize("name", rivals.ADAPTERS)
def test_a_network_of_jaxbn_predicts_the_same_there(name, trained, seen):
    variables, x, here = trained
    with jax.numpy_rank_promotion("allow"):
        there = adapter(name)
        outputs = np.asarray(there.predict(export_network(variables, rivals.ROWS[name]), x))
    seen(name, f"live: {there.version}", exported=np.abs(outputs - here).max())
    np.testing.assert_allclose(outputs, here, atol=TOLERANCE, rtol=TOLERANCE)


@pytest.mark.parametrize("name", CONVENTIONS)
def test_there_and_back(name, trained, seen):
    """Through the arrays of every layer of the table, also of those that cannot be run here."""
    variables, x, here = trained
    back = np.asarray(predict(import_network(export_network(variables, name), name), x))
    seen(name, CONVENTIONS[name].checked, there_and_back=np.abs(back - here).max())
    np.testing.assert_allclose(back, here, atol=TOLERANCE, rtol=TOLERANCE)


def test_the_table_says_which_rows_are_checked_live():
    assert {name for name, row in CONVENTIONS.items() if row.checked.startswith("live")} == set(rivals.ROWS.values())


def test_torch_refuses_a_batch_of_one():
    torch = pytest.importorskip("torch")
    with pytest.raises(ValueError, match="more than 1 value per channel"):
        torch.nn.BatchNorm1d(2).train()(torch.ones(1, 2))


def test_paddle_copies_a_batch_of_one():
    paddle = rivals.import_paddle()
    norm, row = paddle.nn.BatchNorm1D(2), paddle.to_tensor([[5.0, -2.0]])
    norm.train()
    norm.weight.set_value(paddle.to_tensor([3.0, 3.0]))
    np.testing.assert_array_equal(norm(row).numpy(), row.numpy())
    np.testing.assert_array_equal(norm._variance.numpy(), 1)


def test_mxnet_averages_in_the_backward_pass():
    found = rivals.ask_mxnet("forward_without_backward")
    np.testing.assert_array_equal(found["before"], 0)
    np.testing.assert_allclose(found["after"], 0.25, rtol=1e-6)
    assert {CONVENTIONS[name].updated_in for name in ("mxnet", "gluon")} == {"backward"}
