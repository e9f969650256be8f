"""Matrix products in less than float32: what is narrow, what stays wide, and how far off it is."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxbn
from jaxbn.engine.programs import Problem, Program, arguments, function
from jaxbn.errors import UserError
from jaxbn.nn import mlp, train
from jaxbn.nn.types import PRECISIONS, Batch, Hyperparams, Spec
from jaxbn.study.replay import replay

SPEC = Spec(widths=(32, 32), dropout=True)
KEY = jax.random.key(0)


def batch():
    rng = np.random.default_rng(0)
    y = rng.integers(0, 4, 64).astype(np.int32)
    x = (rng.normal(size=(64, 8)) + 3 * np.eye(4, 8)[y]).astype(np.float32)
    return Batch(x=jnp.asarray(x), y=jnp.asarray(y), where=jnp.arange(64) < 60, key=KEY)


def stepped(precision, steps=30):
    spec = dataclasses.replace(SPEC, precision=precision)
    model, h = mlp(spec, num_inputs=8, num_outputs=4), Hyperparams(learning_rate=0.01, dropout=0.1)
    state = train.init(KEY, h, model=model, spec=spec)
    step = jax.jit(lambda state: train.step(state, batch(), h, model=model, spec=spec))
    losses = []
    for _ in range(steps):
        state, metrics = step(state)
        losses.append(float(metrics.loss))
    return state, np.array(losses)


@pytest.mark.parametrize("precision", PRECISIONS)
def test_weights_statistics_and_the_optimizer_s_state_stay_float32(precision):
    state, losses = stepped(precision, 2)
    kinds = {leaf.dtype for leaf in jax.tree.leaves(state) if jnp.issubdtype(leaf.dtype, jnp.floating)}
    assert kinds == {jnp.dtype(jnp.float32)}
    assert np.isfinite(losses).all()


def test_bfloat16_learns_nearly_the_same():
    (_, exact), (_, narrow) = stepped("float32"), stepped("bfloat16")
    # bfloat16 has eight bits: 0.4 % a product. Equal curves would mean that nothing was narrowed.
    assert 0 < abs(narrow[0] / exact[0] - 1) < 0.02
    assert exact[-1] < exact[0] / 5
    assert abs(narrow[-1] - exact[-1]) < 0.1 * exact[0]


@pytest.mark.parametrize("precision", PRECISIONS)
def test_products_are_in_the_precision_that_was_asked_for(precision):
    spec = Spec(widths=(32, 32), precision=precision)
    program = Program("epoch", spec, 2, Problem("classification", 8, 4, 64, 128, ("loss",)))
    text = jax.jit(function(program)).lower(*arguments(program)).as_text()
    products = [line for line in text.splitlines() if "dot_general" in line]
    assert len(products) == 8  # Three forward, three for weights, two for activations.
    if precision == "bfloat16":
        assert all("xbf16>" in line and "xf32>" not in line for line in products)
    else:
        word = {"float32": "HIGHEST", "tf32": "HIGH"}[precision]
        assert all(f"precision = [{word}, {word}]" in line for line in products)


def test_statistics_are_not_of_narrow_numbers():
    spec = Spec(widths=(4,), precision="bfloat16")
    model, h = mlp(spec, num_inputs=3, num_outputs=2), Hyperparams()
    variables = model.init(KEY, h)
    x = jax.random.normal(KEY, (4096, 3)) + 1
    _, (found,) = model.apply(variables, x, h, training=True)
    kernel = variables.params.hidden[0].dense.kernel
    z = np.asarray(x.astype(jnp.bfloat16) @ kernel.astype(jnp.bfloat16)).astype(np.float64)
    np.testing.assert_allclose(found.mean / found.weight, z.mean(0), rtol=2e-3, atol=2e-3)
    np.testing.assert_allclose(found.var / found.weight, z.var(0), rtol=2e-3)


def test_a_sweep_in_bfloat16(tmp_path):
    pytest.importorskip("polars")
    space = jaxbn.Space(learning_rate=jaxbn.Float(0.01, 0.1), hidden_units=16, num_layers=1)
    settings = {"num_configs": 6, "num_epochs": 5, "seed": 0}
    exact = jaxbn.sweep(space, "iris", **settings)
    narrow = jaxbn.sweep(space, "iris", precision="bfloat16", run_dir=tmp_path / "run", **settings)
    assert {program["precision"] for program in narrow.request.programs} == {"bfloat16"}
    assert not exact.trials["valid_loss"].equals(narrow.trials["valid_loss"])
    difference = (exact.trials["valid_loss"] - narrow.trials["valid_loss"]).abs()
    assert difference.max() < 0.05
    replayed = replay(jaxbn.Results.load(tmp_path / "run"))
    lived = narrow.curves.filter(narrow.curves["trial"] == narrow.best.trial)
    assert replayed.curves["valid_loss"].equals(lived["valid_loss"])


def test_no_other_precision():
    with pytest.raises(UserError, match="bfloat16"):
        jaxbn.sweep(None, "iris", precision="float16")
