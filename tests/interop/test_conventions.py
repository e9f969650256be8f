"""The table against worked numbers; training by it and arrays in its layouts against NumPy that shares no code."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxbn.errors import UserError
from jaxbn.interop import conventions
from jaxbn.interop.conventions import CONVENTIONS, export_network, from_arrays, import_network, to_arrays, track
from jaxbn.interop.conventions.averaging import Debiased, TimeConstant
from jaxbn.nn import batch_norm, train
from jaxbn.nn.batch_norm import BatchNormState
from jaxbn.nn.mlp import mlp
from jaxbn.nn.types import Batch, Hyperparams, Spec, Variables

FIRST, SECOND = np.array([[1.0], [2.0], [3.0], [4.0]]), np.array([[2.0], [6.0], [4.0], [12.0]])
"""Means 2.5 and 6, biased variances 1.25 and 14."""

GOLDEN = {
    "torch": ([0.25, 1.066666667, 1], [0.825, 2.826666667, 2]),
    "torch_cumulative": ([2.5, 1.666666667, 1], [4.25, 10.166666667, 2]),
    "theano": ([0.25, 1.066666667], [0.825, 2.826666667]),
    "mxnet": ([0.25, 1.025], [0.825, 2.3225]),
    "gluon": ([0.25, 1.025], [0.825, 2.3225]),
    "paddlepaddle": ([0.25, 1.025], [0.825, 2.3225]),
    "caffe2": ([0.25, 1.025], [0.825, 2.3225]),
    "caffe2_raw": ([0.25, 0.125], [0.825, 1.5125]),
    "dl4j": ([0.25, 0.005361933], [0.825, 0.182977861]),
    "dl4j_legacy": ([0.25, 1.025001], [0.825, 2.3225019]),
    "keras2": ([0.025, 1.006672224], [0.08475, 1.183334411]),
    "keras3": ([0.025, 1.0025], [0.08475, 1.132475]),
    "tf_keras": ([0.025, 1.0025], [0.08475, 1.132475]),
    "tf_fused": ([0.025, 1.006666667], [0.08475, 1.183266667]),
    "flax": ([0.025, 1.0025], [0.08475, 1.132475]),
    "lasagne": ([0.25, 0.989439142], [0.825, 0.917221256]),
    "caffe": ([2.5, 1.666666667, 1], [8.4975, 20.331666667, 1.999]),
    "cntk": ([2.5, 1.666666667, 4], [2.50279888, 1.680261228, 8]),
    "haiku": ([1, 0.25, 2.5, 1, 0.125, 1.25], [2, 0.825, 4.342105263, 2, 1.5125, 7.960526316]),
    "equinox": ([0, 2.5, 1.25], [0, 2.535, 1.3775]),
    "equinox_batch": ([1, 0.025, 1.0025], [2, 0.08475, 1.132475]),
}
"""What is stored after the first and after both, in the framework's order."""

INFERENCE = {
    "caffe": (4.250875438, 10.170918793),
    "haiku": (4.342105263, 7.960526316),
    "equinox_batch": (4.25879397, 56.908291457),
    "lasagne": (0.825, 1 / 0.917221256**2 - 1e-4),
    "dl4j": (0.825, 2.3225),
    "dl4j_legacy": (0.825, 2.3225019 - 1e-5),
}
"""The mean and variance that inference uses after both, where they are not what is stored."""


def flat(arrays):
    return [array.item() for array in arrays.values()]


@pytest.mark.parametrize("name", CONVENTIONS)
def test_worked_numbers(name):
    first, second = GOLDEN[name]
    np.testing.assert_allclose(flat(track(name, [FIRST])), first, atol=1e-8, rtol=1e-8)
    np.testing.assert_allclose(flat(track(name, [FIRST, SECOND])), second, atol=1e-8, rtol=1e-8)


@pytest.mark.parametrize("name", CONVENTIONS)
def test_what_inference_uses(name):
    row = CONVENTIONS[name]
    with jax.enable_x64(True):
        _, state = conventions.init(1, jnp.float64, convention=row)
        for batch in (FIRST, SECOND):
            state = conventions.update(state, batch_norm.moments(jnp.asarray(batch)), convention=row)
        moments = conventions.running_moments(state, convention=row)
    expected = INFERENCE.get(name) or [value for value in GOLDEN[name][1] if value != int(value)]
    np.testing.assert_allclose(np.ravel(moments[:2]), expected, rtol=1e-7)


def test_names_are_the_frameworks_own():
    assert {name: list(track(name, [FIRST])) for name in CONVENTIONS} == {
        "caffe": ["blobs[0]", "blobs[1]", "blobs[2]"],
        "caffe2": ["rm", "riv"],
        "caffe2_raw": ["rm", "riv"],
        "cntk": ["aggregate_mean", "aggregate_variance", "aggregate_count"],
        "dl4j": ["mean", "log10stdev"],
        "dl4j_legacy": ["mean", "var"],
        "keras2": ["moving_mean", "moving_variance"],
        "keras3": ["moving_mean", "moving_variance"],
        "tf_fused": ["moving_mean", "moving_variance"],
        "tf_keras": ["moving_mean", "moving_variance"],
        "lasagne": ["mean", "inv_std"],
        "mxnet": ["moving_mean", "moving_var"],
        "gluon": ["running_mean", "running_var"],
        "paddlepaddle": ["_mean", "_variance"],
        "theano": ["running_mean", "running_var"],
        "torch": ["running_mean", "running_var", "num_batches_tracked"],
        "torch_cumulative": ["running_mean", "running_var", "num_batches_tracked"],
        "flax": ["mean", "var"],
        "haiku": [f"{x}_ema/{leaf}" for x in ("mean", "var") for leaf in ("counter", "hidden", "average")],
        "equinox": ["ema_first_time_index", "ema_state_index[0]", "ema_state_index[1]"],
        "equinox_batch": ["batch_counter", "batch_state_index[0]", "batch_state_index[1]"],
    }


def test_epsilons():
    """The defaults, by heart of each framework's documentation."""
    thousandth, tenth_of_that = {"keras2", "keras3", "tf_keras", "tf_fused", "mxnet"}, {"lasagne", "theano"}
    for name, row in CONVENTIONS.items():
        assert row.effective_epsilon == (1e-3 if name in thousandth else 1e-4 if name in tenth_of_that else 1e-5)
    assert dataclasses.replace(CONVENTIONS["tf_fused"], epsilon=1e-6).effective_epsilon == 1.001e-5
    assert dataclasses.replace(CONVENTIONS["theano"], epsilon=2e-5).effective_epsilon == 2e-5
    with pytest.raises(UserError, match="Theano 1 refuses an epsilon of 1e-05: give more"):
        _ = dataclasses.replace(CONVENTIONS["theano"], epsilon=1e-5).effective_epsilon


def test_features_do_not_meddle_and_batches_may_differ():
    rng = np.random.default_rng(0)
    batches = [rng.normal(size=(rows, 3)) for rows in (5, 2, 9)]
    for name in CONVENTIONS:
        together = track(name, batches)
        for k in range(3):
            for key, array in track(name, [batch[:, [k]] for batch in batches]).items():
                whole = np.atleast_1d(together[key])[..., k] if together[key].size == 3 else together[key]
                np.testing.assert_allclose(np.ravel(whole), np.ravel(array), rtol=1e-12)
    kept = np.exp(-2 / 5000)
    mean = kept * batches[0].mean(0) + (1 - kept) * batches[1].mean(0)
    np.testing.assert_allclose(track("cntk", batches[:2])["aggregate_mean"], mean, rtol=1e-12)


@pytest.mark.parametrize("name", CONVENTIONS)
def test_a_batch_of_one_a_constant_feature_and_no_rows(name):
    row, one = CONVENTIONS[name], np.array([[3.0]])
    if name.startswith("torch") or name == "theano":
        with pytest.raises(UserError, match=f"1 row, which {row.framework} refuses"):
            track(name, [one])
        params, state = conventions.init(1, convention=row)
        with pytest.raises(UserError, match="1 row"):
            conventions.apply(params, state, jnp.asarray(one), Hyperparams(), training=True, convention=row)
    elif name == "paddlepaddle":
        assert flat(track(name, [FIRST, one])) == flat(track(name, [FIRST]))
    else:
        mean, spread = [a.item() for k, a in track(name, [one]).items() if "count" not in k and "first" not in k][:2]
        taken = {
            "keras2": 0.01,
            "keras3": 0.01,
            "tf_keras": 0.01,
            "tf_fused": 0.01,
            "flax": 0.01,
            "equinox_batch": 0.01,
        }
        whole = 1.0 if name in ("caffe", "cntk", "equinox") else taken.get(name, 0.1)
        assert mean == pytest.approx(3 * whole) and np.isfinite(spread)
    constant = track(name, [np.full((4, 1), 7.0)] * 2)
    assert all(np.isfinite(array).all() for array in constant.values())
    assert flat(track(name, [FIRST, np.empty((0, 1))])) == flat(track(name, [FIRST]))


def test_a_single_row_of_paddle_passes_as_it_is():
    row = CONVENTIONS["paddlepaddle"]
    params, state = conventions.init(2, convention=row)
    params = dataclasses.replace(params, gamma=params.gamma * 3, beta=params.beta + 1)
    x = jnp.array([[5.0, -2.0]])
    z, after = conventions.apply(params, state, x, Hyperparams(), training=True, convention=row)
    np.testing.assert_array_equal(z, x)
    np.testing.assert_array_equal(after.mean, state.mean)


@pytest.mark.parametrize("name", CONVENTIONS)
def test_rows_left_out_change_nothing(name):
    row = CONVENTIONS[name]
    params, state = conventions.init(2, convention=row)
    x = jax.random.normal(jax.random.key(0), (6, 2))
    padded = jnp.concatenate([x, jnp.full((3, 2), jnp.nan)])
    z, after = conventions.apply(params, state, x, Hyperparams(), training=True, convention=row)
    z_padded, after_padded = jax.jit(
        lambda x, where: conventions.apply(params, state, x, Hyperparams(), training=True, where=where, convention=row)
    )(padded, jnp.arange(9) < 6)
    np.testing.assert_allclose(z_padded[:6], z, rtol=1e-5, atol=1e-6)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5), after_padded, after)


# What each framework computes at inference, from its arrays under its own names, in plain NumPy.


def scaled(z, mean, std, gamma, beta):
    return (z - mean) / std * gamma + beta


def positions(a, x, depth, *, out_in, mean, var, gamma="weight", beta="bias", eps=1e-5):
    for i in range(depth + 1):
        kernel = a[f"{3 * i}.weight"].T if out_in else a[f"{3 * i}.weight"]
        if i == depth:
            return x @ kernel + a[f"{3 * i}.bias"]
        norm = f"{3 * i + 1}."
        std = np.sqrt(a[norm + var] + eps)
        x = np.maximum(scaled(x @ kernel, a[norm + mean], std, a[norm + gamma], a[norm + beta]), 0)


def numbered(a, x, depth, *, dense, norm, first=1, out_in=False, head=None):
    """`dense(i)` names a kernel and a bias, `norm(i)` gives (mean, std, gamma, beta)."""
    for i in range(first, depth + first):
        kernel = a[dense(i)[0]]
        x = np.maximum(scaled(x @ (kernel.T if out_in else kernel), *norm(i)), 0)
    kernel, bias = (a[name] for name in dense(depth + first))
    return x @ (kernel.T if out_in else kernel) + bias


def predict(name, a, x, depth):
    tail = lambda i: f"_{i}" if i else ""  # noqa: E731
    match name:
        case "torch" | "torch_cumulative":
            return positions(a, x, depth, out_in=True, mean="running_mean", var="running_var")
        case "paddlepaddle":
            return positions(a, x, depth, out_in=False, mean="_mean", var="_variance")
        case "gluon":
            names = {"gamma": "gamma", "beta": "beta", "mean": "running_mean", "var": "running_var"}
            return positions(a, x, depth, out_in=True, **names)
        case "mxnet":
            aux, arg = "aux:batchnorm{}_moving_{}".format, "arg:batchnorm{}_{}".format
            norm = lambda i: (a[aux(i, "mean")], np.sqrt(a[aux(i, "var")] + 1e-3), 1.0, a[arg(i, "beta")])  # noqa: E731
            dense = lambda i: (f"arg:fullyconnected{i}_weight", f"arg:fullyconnected{i}_bias")  # noqa: E731
            return numbered(a, x, depth, dense=dense, norm=norm, first=0, out_in=True)
        case "caffe":
            norm = lambda i: (  # noqa: E731
                a[f"bn{i}.blobs[0]"] / a[f"bn{i}.blobs[2]"],
                np.sqrt(a[f"bn{i}.blobs[1]"] / a[f"bn{i}.blobs[2]"] + 1e-5),
                a[f"scale{i}.blobs[0]"],
                a[f"scale{i}.blobs[1]"],
            )
            dense = lambda i: (f"ip{i}.blobs[0]", f"ip{i}.blobs[1]")  # noqa: E731
            return numbered(a, x, depth, dense=dense, norm=norm, out_in=True)
        case "caffe2" | "caffe2_raw":
            norm = lambda i: (  # noqa: E731
                a[f"bn{i}_rm"] - a[f"fc{i}_b"],
                np.sqrt(a[f"bn{i}_riv"] + 1e-5),
                a[f"bn{i}_s"],
                a[f"bn{i}_b"],
            )
            return numbered(a, x, depth, dense=lambda i: (f"fc{i}_w", f"fc{i}_b"), norm=norm, out_in=True)
        case "cntk":
            norm = lambda i: (  # noqa: E731
                a[f"bn{i}.aggregate_mean"],
                np.sqrt(a[f"bn{i}.aggregate_variance"] + 1e-5),
                a[f"bn{i}.scale"],
                a[f"bn{i}.bias"],
            )
            return numbered(a, x, depth, dense=lambda i: (f"dense{i}.W", f"dense{i}.b"), norm=norm)
        case "theano":
            norm = lambda i: (  # noqa: E731
                a[f"bn{i}.running_mean"],
                np.sqrt(a[f"bn{i}.running_var"] + 1e-4),
                a[f"bn{i}.gamma"],
                a[f"bn{i}.beta"],
            )
            return numbered(a, x, depth, dense=lambda i: (f"dense{i}.W", f"dense{i}.b"), norm=norm)
        case "lasagne":
            norm = lambda i: (a[f"bn{i}.mean"], 1 / a[f"bn{i}.inv_std"], a[f"bn{i}.gamma"], a[f"bn{i}.beta"])  # noqa: E731
            return numbered(a, x, depth, dense=lambda i: (f"dense{i}.W", f"dense{i}.b"), norm=norm)
        case "dl4j" | "dl4j_legacy":

            def norm(i):
                at = f"{3 * i + 1}_"
                new = name == "dl4j"
                std = np.sqrt((10 ** a[at + "log10stdev"]) ** 2 + 1e-5) if new else np.sqrt(a[at + "var"])
                return a[at + "mean"], std, a[at + "gamma"], a[at + "beta"]

            return numbered(a, x, depth, dense=lambda i: (f"{3 * i}_W", f"{3 * i}_b"), norm=norm, first=0)
        case "keras2" | "keras3" | "tf_keras" | "tf_fused":
            norm = lambda i: (  # noqa: E731
                a[f"batch_normalization{tail(i)}/moving_mean"],
                np.sqrt(a[f"batch_normalization{tail(i)}/moving_variance"] + 1e-3),
                a[f"batch_normalization{tail(i)}/gamma"],
                a[f"batch_normalization{tail(i)}/beta"],
            )
            dense = lambda i: (f"dense{tail(i)}/kernel", f"dense{tail(i)}/bias")  # noqa: E731
            return numbered(a, x, depth, dense=dense, norm=norm, first=0)
        case "flax":
            norm = lambda i: (  # noqa: E731
                a[f"batch_stats/BatchNorm_{i}/mean"],
                np.sqrt(a[f"batch_stats/BatchNorm_{i}/var"] + 1e-5),
                a[f"params/BatchNorm_{i}/scale"],
                a[f"params/BatchNorm_{i}/bias"],
            )
            dense = lambda i: (f"params/Dense_{i}/kernel", f"params/Dense_{i}/bias")  # noqa: E731
            return numbered(a, x, depth, dense=dense, norm=norm, first=0)
        case "haiku":
            norm = lambda i: (  # noqa: E731
                a[f"batch_norm{tail(i)}/~/mean_ema/average"],
                np.sqrt(a[f"batch_norm{tail(i)}/~/var_ema/average"] + 1e-5),
                a[f"batch_norm{tail(i)}/scale"],
                a[f"batch_norm{tail(i)}/offset"],
            )
            dense = lambda i: (f"linear{tail(i)}/w", f"linear{tail(i)}/b")  # noqa: E731
            return numbered(a, x, depth, dense=dense, norm=norm, first=0)
        case "equinox" | "equinox_batch":

            def norm(i):
                at, states = f"layers[{3 * i + 1}].", "ema_state_index" if name == "equinox" else "batch_state_index"
                weight = 1.0 if name == "equinox" else 1 - 0.99 ** float(a[at + "batch_counter"])
                std = np.sqrt(a[f"{at}{states}[1]"] / weight + 1e-5)
                return a[f"{at}{states}[0]"] / weight, std, a[at + "weight"], a[at + "bias"]

            dense = lambda i: (f"layers[{3 * i}].weight", f"layers[{3 * i}].bias")  # noqa: E731
            return numbered(a, x, depth, dense=dense, norm=norm, first=0, out_in=True)
    raise AssertionError(name)


SPEC = Spec(widths=(6, 5), batch_size=16)


def network(*, positive=False):
    """A network of jaxbn with statistics and weights of all kinds, and rows."""
    rng = np.random.default_rng(3)
    variables = jax.tree.map(np.asarray, mlp(SPEC, num_inputs=4, num_outputs=3).init(jax.random.key(1), Hyperparams()))
    hidden, states = [], []
    for layer in variables.params.hidden:
        size = layer.norm.gamma.shape
        gamma = np.ones(size) if positive else rng.normal(1, 0.7, size)
        norm = dataclasses.replace(layer.norm, gamma=gamma.astype("f"), beta=rng.normal(size=size).astype("f"))
        hidden.append(dataclasses.replace(layer, norm=norm))
        mean, var, weight = rng.normal(size=size), rng.uniform(0.5, 2, size), np.float32(0.75)
        states.append(BatchNormState((mean * weight).astype("f"), (var * weight).astype("f"), weight))
    params = dataclasses.replace(variables.params, hidden=tuple(hidden))
    return Variables(params, tuple(states)), rng.normal(size=(10, 4)).astype("f")


def outputs(variables, x, *, epsilon=1e-5):
    model = mlp(SPEC, num_inputs=4, num_outputs=3)
    return model.apply(variables, x, Hyperparams(bn_epsilon=epsilon), training=False)[0]


@pytest.mark.parametrize("epsilon", [1e-5, 3e-3])
@pytest.mark.parametrize("name", CONVENTIONS)
def test_out_and_in_again(name, epsilon):
    variables, x = network()
    arrays = export_network(variables, name, epsilon=epsilon)
    expected = outputs(variables, x, epsilon=epsilon)
    np.testing.assert_allclose(predict(name, arrays, x.astype(float), 2), expected, atol=1e-5, rtol=1e-5)
    assert all(array.dtype.kind in "fib" for array in arrays.values())
    for other in (1e-5, 1e-4):
        back = import_network(arrays, name, epsilon=other)
        np.testing.assert_allclose(outputs(back, x, epsilon=other), expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("name", CONVENTIONS)
def test_the_round_trip_is_exact(name):
    variables, _ = network(positive=True)
    back = import_network(export_network(variables, name), name)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-6, atol=1e-6), back.params, variables.params)
    for mine, theirs in zip(back.model_state, variables.model_state, strict=True):
        for a, b in zip(*(batch_norm.running_moments(s)[:2] for s in (mine, theirs)), strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-6, atol=1e-6)


def trained(name, steps=20):
    """A network trained by a convention, and the rows it saw first."""
    row = CONVENTIONS[name]
    spec = dataclasses.replace(SPEC, optimizers=("sgd",))
    model, h = conventions.mlp(spec, num_inputs=4, num_outputs=3, convention=row), Hyperparams(learning_rate=0.05)
    state = train.init(jax.random.key(2), h, model=model, spec=spec)
    step = jax.jit(lambda state, batch: train.step(state, batch, h, model=model, spec=spec))
    rng = np.random.default_rng(5)
    x, y = rng.normal(1, 2, size=(steps, 16, 4)).astype("f"), rng.integers(0, 3, (steps, 16))
    losses = []
    for rows, labels in zip(x, y, strict=True):
        state, metrics = step(state, Batch(x=rows, y=labels))
        losses.append(metrics.loss.item())
    return model, state.variables, x, y, losses


@pytest.mark.parametrize("name", CONVENTIONS)
def test_what_was_trained_by_a_convention_predicts_as_it_would_there(name):
    model, variables, x, _, losses = trained(name)
    assert np.isfinite(losses).all()
    arrays = to_arrays(variables, name)
    mine, _ = model.apply(variables, x[0], Hyperparams(), training=False)
    np.testing.assert_allclose(predict(name, arrays, x[0].astype(float), 2), mine, atol=2e-5, rtol=2e-5)
    back = from_arrays(arrays, name)
    again, _ = model.apply(back, x[0], Hyperparams(), training=False)
    np.testing.assert_allclose(again, mine, atol=1e-5, rtol=1e-5)
    own = import_network(arrays, name)
    np.testing.assert_allclose(outputs(own, x[0]), mine, atol=2e-5, rtol=2e-5)
    # Training goes on where it was: one more mini-batch, from both.
    (z, states), (z_back, states_back) = (model.apply(v, x[1], Hyperparams(), training=True) for v in (variables, back))
    np.testing.assert_allclose(z_back, z, rtol=2e-5, atol=2e-5)
    for a, b in zip(states_back, states, strict=True):
        np.testing.assert_allclose(a.mean, b.mean, rtol=2e-5, atol=2e-5)
        np.testing.assert_allclose(a.statistic, b.statistic, rtol=2e-5, atol=2e-5)


def test_order_is_the_frameworks():
    variables, _ = network()
    assert list(export_network(variables, "lasagne"))[:6] == [
        "dense1.W", "bn1.beta", "bn1.gamma", "bn1.mean", "bn1.inv_std", "dense2.W",
    ]  # fmt: skip
    assert list(export_network(variables, "flax"))[-6:] == [
        "params/Dense_2/kernel", "params/Dense_2/bias", "batch_stats/BatchNorm_0/mean", "batch_stats/BatchNorm_0/var",
        "batch_stats/BatchNorm_1/mean", "batch_stats/BatchNorm_1/var",
    ]  # fmt: skip
    shapes = {name: array.shape for name, array in export_network(variables, "torch").items()}
    assert shapes["0.weight"] == (6, 4) and shapes["1.num_batches_tracked"] == () and shapes["6.weight"] == (3, 5)
    assert export_network(variables, "paddlepaddle")["0.weight"].shape == (4, 6)
    assert export_network(variables, "haiku")["batch_norm/scale"].shape == (1, 6)


def test_a_bias_before_normalisation_goes_into_the_mean():
    variables, x = network()
    arrays = export_network(variables, "torch")
    bias = np.arange(6, dtype="f")
    arrays["0.bias"], arrays["1.running_mean"] = bias, arrays["1.running_mean"] + bias
    np.testing.assert_allclose(outputs(import_network(arrays, "torch"), x), outputs(variables, x), atol=2e-5, rtol=2e-5)


def test_mistakes_are_said():
    variables, _ = network()
    arrays = export_network(variables, "torch")
    for change, words in [
        ({"1.weight_g": np.ones(6)}, "1.weight_g not known in a PyTorch network of 2 hidden layers"),
        ({"4.running_mean": np.ones(4)}, r"'4.running_mean' has shape \(4,\): give 5 numbers"),
        ({"3.weight": np.ones((5, 7))}, r"'3.weight' has shape \(5, 7\): give a matrix with 6 inputs"),
    ]:
        with pytest.raises(UserError, match=words):
            import_network(arrays | change, "torch")
    with pytest.raises(UserError, match=r"no array '3.weight' of a PyTorch network"):
        import_network({name: array for name, array in arrays.items() if name != "3.weight"}, "torch")
    with pytest.raises(UserError, match=r"unknown convention 'pytorch'.*'torch'"):
        track("pytorch", [FIRST])
    for batches in ([], [[1.0, 2.0]], [FIRST, np.ones((3, 2))], [np.ones((3, 0))], np.ones((1, 3, 0))):
        with pytest.raises(UserError, match="given as mini-batches"):
            track("torch", batches)
    for batches in ([[[1.0], [2.0, 3.0]]], [FIRST, [["wide"]]], "wide", [{"a": 1.0}], None, 3):
        with pytest.raises(UserError, match=r"mini-batches that are no arrays of numbers .*: give a list of arrays"):
            track("torch", batches)
    narrow = dataclasses.replace(variables.model_state[0], var=np.full(6, 1e-5, "f"))
    small = Variables(variables.params, (narrow, variables.model_state[1]))
    with pytest.raises(UserError, match=r"too small to be that of Keras 3 .* with epsilon 0.001"):
        export_network(small, "keras3")
    same = dataclasses.replace(CONVENTIONS["keras3"], epsilon=1e-5)
    back = import_network(export_network(small, same), same)
    np.testing.assert_allclose(back.model_state[0].var, 1e-5 / 0.75, rtol=1e-5)
    layer = variables.params.hidden[0]
    dead = dataclasses.replace(layer, norm=dataclasses.replace(layer.norm, gamma=np.zeros(6, "f")))
    params = dataclasses.replace(variables.params, hidden=(dead, variables.params.hidden[1]))
    with pytest.raises(UserError, match="a gamma of 0, and MXNet"):
        export_network(Variables(params, variables.model_state), "mxnet")
    plain = mlp(Spec(widths=(4,), normalization="none"), num_inputs=2, num_outputs=2)
    with pytest.raises(UserError, match="not normalised"):
        export_network(plain.init(jax.random.key(0), Hyperparams()), "torch")


def test_an_average_that_was_made_with_another_decay_is_not_misread():
    slow = dataclasses.replace(CONVENTIONS["haiku"], averaging=Debiased(0.999))
    model = conventions.mlp(Spec(widths=(4,)), num_inputs=3, num_outputs=2, convention=slow)
    variables = model.init(jax.random.key(0), Hyperparams())
    x = 1 + jax.random.normal(jax.random.key(1), (16, 3))
    for _ in range(20):
        _, state = model.apply(variables, x, Hyperparams(), training=True)
        variables = Variables(variables.params, state)
    arrays = conventions.to_arrays(variables, slow)
    for read in (conventions.import_network, conventions.from_arrays):
        with pytest.raises(UserError, match="with the decay of its training"):
            read(arrays, "haiku")
    there = conventions.import_network(arrays, slow)
    # What Haiku itself reads at inference.
    np.testing.assert_allclose(there.model_state[0].var, arrays["batch_norm/~/var_ema/average"][0], rtol=1e-4)
    np.testing.assert_allclose(there.model_state[0].mean, arrays["batch_norm/~/mean_ema/average"][0], rtol=1e-4)


def test_what_is_missing_is_what_is_named():
    model = conventions.mlp(Spec(widths=(4, 4)), num_inputs=3, num_outputs=2, convention=CONVENTIONS["torch"])
    arrays = conventions.to_arrays(model.init(jax.random.key(0), Hyperparams()), "torch")
    for name in ("0.weight", "1.running_mean", "3.weight", "4.running_var", "6.weight", "6.bias"):
        with pytest.raises(UserError, match=f"no array {name!r}"):
            conventions.import_network({key: array for key, array in arrays.items() if key != name}, "torch")
    with pytest.raises(UserError, match="give one number"):
        conventions.import_network(arrays | {"1.num_batches_tracked": np.zeros(7)}, "torch")


def test_a_time_constant_is_above_zero():
    with pytest.raises(UserError, match="give one above 0"):
        TimeConstant(-1.0)
