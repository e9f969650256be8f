"""The network: padding that takes no part, initial weights, dropout, and where batch normalisation stands."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxbn.nn import dropout, mlp, optimizer, train
from jaxbn.nn.mlp import MLPParams, unit_inputs
from jaxbn.nn.types import (
    ACTIVATIONS,
    DECAY_KINDS,
    NORMALIZATIONS,
    OPTIMIZERS,
    Batch,
    Hyperparams,
    Spec,
    TrainState,
    Variables,
)

F, C = 3, 4
WIDTHS, PADDED = (5, 2, 7), (8, 8, 8)
KEY = jax.random.key(0)


@pytest.fixture
def x64():
    with jax.enable_x64(True):
        yield


def model_of(spec):
    return mlp(spec, num_inputs=F, num_outputs=C)


def padded_pair(**fields):
    """The same network padded and not: (model, hyperparams) of each."""
    padded, plain = Spec(widths=PADDED, **fields), Spec(widths=WIDTHS, **fields)
    h = Hyperparams(hidden_units=jnp.array(WIDTHS), dropout=0.4)
    return (model_of(padded), h), (model_of(plain), h.replace(hidden_units=None))


def cut(leaf, shape):
    return leaf[tuple(slice(size) for size in shape)]


@pytest.mark.parametrize("normalization", NORMALIZATIONS)
def test_padding_changes_no_initial_weight_and_is_0(normalization):
    (model, h), (plain, h_plain) = padded_pair(normalization=normalization)
    padded, alone = jax.jit(model.init)(KEY, h), jax.jit(plain.init)(KEY, h_plain)
    for wide, narrow in zip(jax.tree.leaves(padded), jax.tree.leaves(alone), strict=True):
        np.testing.assert_allclose(cut(wide, narrow.shape), narrow, rtol=1e-6)
        assert np.count_nonzero(wide) == np.count_nonzero(narrow)


@pytest.mark.parametrize(("activation", "scale"), [*((kind, 1.0) for kind in ACTIVATIONS), ("relu", 0.25)])
def test_initial_weights_are_normal_with_the_deviation_of_he_or_lecun(activation, scale):
    spec = Spec(widths=(200, 300), activation=activation)
    h = Hyperparams(init_scale=scale)
    params = jax.jit(mlp(spec, num_inputs=100, num_outputs=400).init)(KEY, h).params
    gain = 2 if activation in ("relu", "gelu") else 1
    kernels = [layer.dense.kernel for layer in params.hidden] + [params.output.kernel]
    for kernel, variance in zip(kernels, (gain / 100, gain / 200, 1 / 300), strict=True):
        kernel = np.asarray(kernel) / (scale * np.sqrt(variance))
        # 20,000 draws and more: four standard errors.
        assert abs(kernel.mean()) < 4 / np.sqrt(kernel.size)
        assert abs(kernel.std() - 1) < 4 / np.sqrt(2 * kernel.size)
        assert abs((kernel**4).mean() - 3) < 4 * np.sqrt(96 / kernel.size)
    np.testing.assert_array_equal(params.output.bias, np.zeros(400))
    # Layers do not share their draws, nor do the units of one: four standard errors of a correlation.
    rows = [np.asarray(kernel)[row, :200] for kernel in kernels for row in (0, 1)]
    assert np.abs(np.corrcoef(rows) - np.eye(6)).max() < 4 / np.sqrt(200)


def test_float64_starts_from_the_float32_draws(x64):
    wide = jax.jit(model_of(Spec(widths=WIDTHS)).init)(KEY, Hyperparams())
    with jax.enable_x64(False):
        narrow = jax.jit(model_of(Spec(widths=WIDTHS)).init)(KEY, Hyperparams())
    for a, b in zip(jax.tree.leaves(wide), jax.tree.leaves(narrow), strict=True):
        assert a.dtype == jnp.float64 and b.dtype == jnp.float32
        np.testing.assert_allclose(a, b, rtol=1e-6)


@functools.cache
def initial(normalization, widths):
    """Initial variables in float64; the number of units in use and the deviations are those of `WIDTHS`."""
    h = Hyperparams(hidden_units=jnp.array(WIDTHS))
    return jax.jit(model_of(Spec(widths=widths, normalization=normalization)).init)(KEY, h)


@pytest.mark.parametrize("normalization", NORMALIZATIONS)
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_padded_units_and_rows_take_no_part(x64, activation, normalization):
    fields = {"activation": activation, "normalization": normalization, "dropout": True}
    (model, h), (plain, h_plain) = padded_pair(**fields)
    padded, alone = initial(normalization, PADDED), initial(normalization, WIDTHS)
    x = jnp.asarray(np.random.default_rng(0).normal(size=(6, F)))
    more, where = jnp.concatenate([x, 100 * jnp.ones((3, F))]), jnp.arange(9) < 6
    for training in (True, False):
        options = {"training": training, "key": KEY if training else None}
        wide, wide_state = jax.jit(functools.partial(model.apply, **options))(padded, more, h, where=where)
        narrow, narrow_state = jax.jit(functools.partial(plain.apply, **options))(alone, x, h_plain)
        np.testing.assert_allclose(wide[:6], narrow, rtol=1e-10, atol=1e-12)
        for a, b in zip(jax.tree.leaves(wide_state), jax.tree.leaves(narrow_state), strict=True):
            np.testing.assert_allclose(cut(a, b.shape), b, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("number", range(8))
def test_padded_params_gradients_and_optimizer_state_stay_0(x64, number):
    # Every optimizer, alone and merged; every activation, among them sigmoid, which is 0.5 at 0; every decay.
    optimizers = (OPTIMIZERS[number],) if number < len(OPTIMIZERS) else ("momentum", "adam")
    normalization = NORMALIZATIONS[number % 2]
    spec = Spec(
        widths=PADDED,
        optimizers=optimizers,
        activation=ACTIVATIONS[number % 5],
        normalization=normalization,
        dropout=True,
        label_smoothing=True,
        clip_norm=number % 3 > 0,
    )
    model = model_of(spec)
    h = Hyperparams(
        hidden_units=jnp.array(WIDTHS),
        dropout=0.2,
        label_smoothing=0.1,
        clip_norm=0.5,
        weight_decay=0.1,
        learning_rate=0.1,
        learning_rate_decay=0.5,
        num_epochs=4,
        optimizer=len(optimizers) - 1,
    )
    x = jnp.asarray(np.random.default_rng(1).normal(size=(8, F)))
    batch = Batch(x=x, y=jnp.arange(8) % C, where=jnp.arange(8) < 7, key=KEY)
    variables = initial(normalization, PADDED)
    opt_state = optimizer(h, spec=spec).init(variables.params)

    @jax.jit
    @jax.vmap
    def run(kind):
        def one(_, state):
            return train.step(state, batch, h.replace(decay_kind=kind), model=model, spec=spec)[0]

        start = TrainState(variables.params, variables.model_state, opt_state, jnp.zeros((), jnp.int32))
        return jax.lax.fori_loop(0, 4, one, start)

    state = run(jnp.arange(len(DECAY_KINDS)))
    leaves = jax.tree.leaves((state.params, state.opt_state), is_leaf=lambda node: isinstance(node, MLPParams))
    trees = [leaf for leaf in leaves if isinstance(leaf, MLPParams)]
    slots = {"sgd": 0, "adam": 2, "adamw": 2}
    assert len(trees) == 1 + sum(slots.get(kind, 1) for kind in optimizers)
    for tree in trees:
        used_in = F
        for layer, used in zip(tree.hidden, WIDTHS, strict=True):
            kernel = np.asarray(layer.dense.kernel)
            assert kernel[:, :used_in, :used].any()
            assert not kernel[:, used_in:].any() and not kernel[:, :, used:].any()
            for leaf in jax.tree.leaves((layer.dense.bias, layer.norm)):
                assert not np.asarray(leaf)[:, used:].any()
            used_in = used
        assert not np.asarray(tree.output.kernel)[:, used_in:].any()


def test_dropout_keeps_each_unit_as_often_as_it_should_and_scales_it(x64):
    spec = Spec(widths=(64,), activation="identity", normalization="none", dropout=True)
    model = mlp(spec, num_inputs=1, num_outputs=64)
    variables = model.init(KEY, Hyperparams())
    # The identity up to the output, so that the hidden units can be read there.
    layer = variables.params.hidden[0]
    hidden = dataclasses.replace(layer, dense=layer.dense.replace(kernel=jnp.zeros((1, 64)), bias=jnp.ones(64)))
    output = variables.params.output.replace(kernel=jnp.eye(64))
    variables = Variables(dataclasses.replace(variables.params, hidden=(hidden,), output=output), ())
    for rate in (0.0, 0.1, 0.5):
        h = Hyperparams(dropout=rate)
        a, _ = model.apply(variables, jnp.ones((500, 1)), h, training=True, key=jax.random.key(3))
        a = np.asarray(a)
        assert set(np.round(np.unique(a), 12)) <= {0.0, np.round(1 / (1 - rate), 12)}
        assert abs((a > 0).mean() - (1 - rate)) < 4 * np.sqrt(rate * (1 - rate) / a.size) + 1e-12
        # Neither rows nor units share their draws.
        if rate == 0.5:
            assert len(np.unique(a, axis=0)) == 500 and len(np.unique(a, axis=1).T) == 64
        serving, _ = model.apply(variables, jnp.ones((5, 1)), h, training=False)
        np.testing.assert_array_equal(serving, np.ones((5, 64)))


def test_dropout_of_layers_and_steps_differs():
    spec = Spec(widths=(32,), activation="identity", normalization="none", dropout=True)
    model = mlp(spec, num_inputs=1, num_outputs=1)
    variables = model.init(KEY, Hyperparams())
    h = Hyperparams(dropout=0.5)
    outputs = [model.apply(variables, jnp.ones((4, 1)), h, training=True, key=jax.random.key(k))[0] for k in (0, 0, 1)]
    np.testing.assert_array_equal(outputs[0], outputs[1])
    assert not np.allclose(outputs[0], outputs[2])


def test_dropout_without_a_key_says_so():
    model = model_of(Spec(widths=(4,), dropout=True))
    variables = model.init(KEY, Hyperparams())
    with pytest.raises(ValueError, match="needs a key"):
        model.apply(variables, jnp.ones((2, F)), Hyperparams(dropout=0.5), training=True)
    model.apply(variables, jnp.ones((2, F)), Hyperparams(dropout=0.5), training=False)


def test_a_constant_added_before_normalisation_changes_no_output(x64):
    # b has no effect under BN: the network with the bias that it lacks computes the same.
    model = model_of(Spec(widths=(5,), activation="tanh"))
    variables = model.init(KEY, Hyperparams())
    x = jnp.asarray(np.random.default_rng(0).normal(size=(9, F)))
    bias = jnp.array([1.0, -2.0, 30.0, 0.1, 5.0])
    layer = variables.params.hidden[0]
    shifted = dataclasses.replace(layer, dense=layer.dense.replace(bias=bias))
    params = dataclasses.replace(variables.params, hidden=(shifted,))
    want, _ = model.apply(variables, x, Hyperparams(), training=True)
    got, _ = model.apply(Variables(params, variables.model_state), x, Hyperparams(), training=True)
    np.testing.assert_allclose(got, want, rtol=0, atol=1e-12)


def test_no_hidden_layer_is_one_affine_map():
    model = model_of(Spec(widths=()))
    variables = model.init(KEY, Hyperparams(hidden_units=jnp.zeros(0, jnp.int32)))
    assert variables.model_state == () and variables.params.hidden == ()
    x = np.random.default_rng(0).normal(size=(5, F)).astype(np.float32)
    got, _ = model.apply(variables, jnp.asarray(x), Hyperparams(), training=True)
    want = x @ np.asarray(variables.params.output.kernel) + np.asarray(variables.params.output.bias)
    np.testing.assert_allclose(got, want, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("normalization", NORMALIZATIONS)
def test_unit_inputs_are_what_the_activations_see(normalization):
    spec = Spec(widths=(5, 6), activation="tanh", normalization=normalization)
    model = mlp(spec, num_inputs=F, num_outputs=C)
    variables = model.init(KEY, Hyperparams())
    # Statistics that are not those of the beginning.
    noise = np.random.default_rng(0)
    variables = jax.tree.map(lambda leaf: leaf + noise.uniform(0.1, 1, leaf.shape).astype(leaf.dtype), variables)
    x = noise.normal(size=(7, F)).astype(np.float32)
    inputs = unit_inputs(variables, x, Hyperparams(), spec=spec)
    hidden = x
    for z, layer, place in zip(inputs, variables.params.hidden, range(2), strict=True):
        expected = hidden @ np.asarray(layer.dense.kernel, np.float64)
        if layer.norm is None:
            expected = expected + np.asarray(layer.dense.bias)[None]
        else:
            state = variables.model_state[place]
            mean, var = (np.asarray(a / state.weight, np.float64)[None] for a in (state.mean, state.var))
            expected = (expected - mean) / np.sqrt(var + 1e-5) * layer.norm.gamma[None] + layer.norm.beta[None]
        np.testing.assert_allclose(z, expected, rtol=1e-5, atol=1e-5)
        hidden = np.tanh(np.asarray(z, np.float64))


def test_dropout_scales_whole_numbers_too():
    dropped = dropout.apply(jax.random.key(0), jnp.full((2, 50), 3), 0.25)
    assert set(np.unique(dropped).tolist()) == {0, 4}
    assert dropped.dtype == jnp.zeros(()).dtype
