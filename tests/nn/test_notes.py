"""The worked examples of the course notes, sections 5, 8 and 9, to their printed digits."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from jaxbn.nn import losses, mlp, train
from jaxbn.nn.types import Batch, Hyperparams, Spec, Variables

REGRESSION = Spec(widths=(), optimizers=("sgd",))


@pytest.fixture
def x64():
    with jax.enable_x64(True):
        yield


def loss_of(logits, labels):
    batch = Batch(x=jnp.zeros((len(labels), 1)), y=jnp.asarray(labels))
    return losses.softmax_cross_entropy(jnp.asarray(logits), batch, Hyperparams(), spec=Spec()).loss


def test_section_8_softmax_of_5_2_minus1_3():
    # The network itself: no hidden layer, one input that is 1, and the logits as its weights.
    model = mlp(REGRESSION, num_inputs=1, num_outputs=4)
    variables = model.init(jax.random.key(0), Hyperparams())
    output = variables.params.output.replace(kernel=jnp.array([[5.0, 2.0, -1.0, 3.0]]), bias=jnp.zeros(4))
    z, _ = model.apply(
        Variables(variables.params.replace(output=output), ()),
        jnp.ones((1, 1)),
        Hyperparams(),
        training=False,
    )
    assert [f"{a:.3f}" for a in jax.nn.softmax(z)[0].tolist()] == ["0.842", "0.042", "0.002", "0.114"]
    for label, share in enumerate((0.842, 0.042, 0.002, 0.114)):
        assert round(float(np.exp(-loss_of(z, [label]))), 3) == share


def test_section_9_the_loss_of_0_2_is_minus_log_0_2():
    # y = [0 1 0 0], y_hat = [0.3 0.2 0.1 0.4].
    loss = loss_of(np.log([[0.3, 0.2, 0.1, 0.4]]), [1])
    np.testing.assert_allclose(loss, -np.log(0.2), rtol=1e-6)
    assert f"{float(loss):.4f}" == "1.6094"


def test_section_9_the_cost_is_the_mean_over_examples(x64):
    probabilities = np.random.default_rng(0).dirichlet(np.ones(4), size=6)
    labels = np.array([0, 3, 1, 1, 2, 0])
    want = -np.log(probabilities[np.arange(6), labels]).mean()
    np.testing.assert_allclose(loss_of(np.log(probabilities), labels), want, rtol=1e-13)


def test_section_9_dz_is_softmax_minus_y(x64):
    z = np.random.default_rng(0).normal(size=(7, 4)) * 3
    labels = np.array([0, 3, 1, 1, 2, 0, 3])
    dz = jax.grad(lambda z: loss_of(z, labels) * len(labels))(jnp.asarray(z))
    softmax = np.exp(z) / np.exp(z).sum(1, keepdims=True)
    np.testing.assert_allclose(dz, softmax - np.eye(4)[labels], rtol=0, atol=1e-14)


def binary_problem():
    rng = np.random.default_rng(3)
    x = rng.normal(size=(60, 2))
    y = (x @ [1.5, -1.0] + 0.5 + rng.logistic(size=60) > 0).astype(np.int64)
    return x, y


def test_section_8_two_classes_take_the_steps_of_logistic_regression(x64):
    # With weights W, b of two classes, z_1 - z_0 is the one logit; its weights are the columns' difference.
    x, y = binary_problem()
    model = mlp(REGRESSION, num_inputs=2, num_outputs=2)
    h = Hyperparams(learning_rate=0.3)
    state = train.init(jax.random.key(1), h, model=model, spec=REGRESSION)
    kernel, bias = (np.asarray(a) for a in (state.params.output.kernel, state.params.output.bias))
    w, b = kernel[:, 1] - kernel[:, 0], bias[1] - bias[0]
    step = jax.jit(lambda state, batch: train.step(state, batch, h, model=model, spec=REGRESSION))
    batch = Batch(x=jnp.asarray(x), y=jnp.asarray(y))
    for _ in range(50):
        state, metrics = step(state, batch)
        a = 1 / (1 + np.exp(-(x @ w + b)))
        np.testing.assert_allclose(metrics.loss, -np.log(np.where(y == 1, a, 1 - a)).mean(), rtol=1e-12)
        # Each class moves by the gradient, in opposite directions: the difference moves by twice it.
        w, b = w - 0.3 * 2 * x.T @ (a - y) / 60, b - 0.3 * 2 * (a - y).mean()
    kernel, bias = (np.asarray(a) for a in (state.params.output.kernel, state.params.output.bias))
    np.testing.assert_allclose(kernel[:, 1] - kernel[:, 0], w, rtol=1e-11)
    np.testing.assert_allclose(bias[1] - bias[0], b, rtol=1e-11)


def test_section_8_two_classes_reach_the_logistic_regression_of_scikit_learn(x64):
    x, y = binary_problem()
    model = mlp(REGRESSION, num_inputs=2, num_outputs=2)
    h = Hyperparams(learning_rate=0.5)
    state = train.init(jax.random.key(1), h, model=model, spec=REGRESSION)
    batch = Batch(x=jnp.asarray(x), y=jnp.asarray(y))
    one = jax.jit(lambda state, _: (train.step(state, batch, h, model=model, spec=REGRESSION)[0], None))
    state, _ = jax.lax.scan(one, state, None, length=3000)
    theirs = LogisticRegression(C=np.inf, tol=1e-12, max_iter=10_000).fit(x, y)
    outputs, _ = model.apply(state.variables, batch.x, h, training=False)
    np.testing.assert_allclose(jax.nn.softmax(outputs), theirs.predict_proba(x), atol=1e-6)


def test_section_8_without_hidden_layers_the_boundaries_are_linear(x64):
    # The logits at the middle of two points are the middle of their logits, so boundaries are straight.
    model = mlp(REGRESSION, num_inputs=2, num_outputs=3)
    variables = model.init(jax.random.key(0), Hyperparams())
    a, b = jnp.asarray(np.random.default_rng(0).normal(size=(2, 20, 2)))
    z, z_a, z_b = (model.apply(variables, x, Hyperparams(), training=False)[0] for x in ((a + b) / 2, a, b))
    np.testing.assert_allclose(z, (z_a + z_b) / 2, atol=1e-14)


def test_section_5_the_order_of_the_layers(x64):
    # X -> Z1 -> BN -> A1 -> Z2 -> BN -> A2 -> outputs, written out; W, gamma and beta, but no b under BN.
    spec = Spec(widths=(4, 3), activation="tanh")
    model = mlp(spec, num_inputs=2, num_outputs=2)
    variables = model.init(jax.random.key(0), Hyperparams())
    rng = np.random.default_rng(0)
    params = jax.tree.map(lambda leaf: jnp.asarray(rng.normal(size=leaf.shape)), variables.params)
    x = rng.normal(size=(9, 2))
    a = x
    for layer in params.hidden:
        assert layer.dense.bias is None
        z = a @ np.asarray(layer.dense.kernel)
        z_norm = (z - z.mean(0)) / np.sqrt(z.var(0) + 1e-5)
        a = np.tanh(np.asarray(layer.norm.gamma) * z_norm + np.asarray(layer.norm.beta))
    want = a @ np.asarray(params.output.kernel) + np.asarray(params.output.bias)
    got, _ = model.apply(Variables(params, variables.model_state), jnp.asarray(x), Hyperparams(), training=True)
    np.testing.assert_allclose(got, want, rtol=1e-12)
