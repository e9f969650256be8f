"""The oracle itself: its gradients by finite differences, everything else against numbers worked by hand."""

import itertools
import math
from dataclasses import replace

import numpy as np
import pytest

from tests.oracle import numpy_trainer as oracle
from tests.oracle.numpy_trainer import OracleConfig

F, K, B = 5, 3, 7
PLAIN = OracleConfig(num_epochs=4, optimizer="sgd", learning_rate=0.1, hidden_units=())


def random_params(rng, config):
    widths = (F, *config.hidden_units, K)
    layers = [{"kernel": rng.normal(size=shape)} for shape in itertools.pairwise(widths)]
    for layer, h in zip(layers, config.hidden_units, strict=False):
        if config.normalization == "batch":
            layer |= {"gamma": rng.normal(size=h), "beta": rng.normal(size=h)}
        else:
            layer |= {"bias": rng.normal(size=h)}
    layers[-1] |= {"bias": rng.normal(size=K)}
    return layers


def random_problem(config, *, task="labels", rows=B, seed=0):
    rng = np.random.default_rng(seed)
    params = random_params(rng, config)
    x = rng.normal(size=(rows, F))
    y = rng.integers(K, size=rows) if task == "labels" else rng.normal(size=(rows, K))
    uniforms = [rng.random((rows, h)) for h in config.hidden_units]
    return params, x, y, uniforms, rng.uniform(0.1, 2.0, size=rows)


def central_differences(loss_of, params, h=1e-6):
    out = []
    for layer in params:
        out.append({name: np.zeros_like(value) for name, value in layer.items()})
        for name, value in layer.items():
            for index in np.ndindex(value.shape):
                kept = value[index]
                value[index] = kept + h
                above = loss_of(params)
                value[index] = kept - h
                below = loss_of(params)
                value[index] = kept
                out[-1][name][index] = (above - below) / (2 * h)
    return out


def assert_gradients_match(config, *, task="labels", rows=B, weighted=False):
    params, x, y, uniforms, weight = random_problem(config, task=task, rows=rows)
    given = {"uniforms": uniforms if config.dropout else None, "weight": weight if weighted else None}

    def loss_of(params):
        return oracle.loss_and_gradients(params, x, y, config, **given)[0]

    state = oracle.init_state(config, params)
    _, loss, gradients = oracle.step(state, x, y, config, steps_per_epoch=1, **given)
    assert loss == loss_of(params)
    expected = central_differences(loss_of, params)
    for got, want in zip(gradients, expected, strict=True):
        assert got.keys() == want.keys()
        for name in want:
            np.testing.assert_allclose(got[name], want[name], rtol=2e-6, atol=2e-8, err_msg=name)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("regularised", [False, True])
@pytest.mark.parametrize("normalization", ["batch", "none"])
@pytest.mark.parametrize("activation", ["relu", "tanh", "sigmoid", "gelu", "identity"])
def test_gradients_are_the_finite_differences(activation, normalization, regularised, weighted):
    config = OracleConfig(
        num_epochs=1,
        hidden_units=(4, 6),
        activation=activation,
        normalization=normalization,
        dropout=0.3 if regularised else 0.0,
        label_smoothing=0.2 if regularised else 0.0,
        bn_epsilon=1e-3,
    )
    assert_gradients_match(config, weighted=weighted)


@pytest.mark.parametrize("task", ["labels", "targets"])
@pytest.mark.parametrize("hidden_units", [(), (4,), (4, 3, 4), (3, 4, 3, 4)])
def test_gradients_at_every_depth_and_task(hidden_units, task):
    assert_gradients_match(OracleConfig(num_epochs=1, hidden_units=hidden_units, activation="tanh"), task=task)


@pytest.mark.parametrize("rows", [1, 2, 3])
def test_gradients_of_tiny_batches(rows):
    assert_gradients_match(OracleConfig(num_epochs=1, hidden_units=(4,), activation="tanh", bn_epsilon=0.1), rows=rows)


def test_forward_pass_by_hand():
    # z = 1, 3: mean 2, variance 1; z_norm = -1/2, 1/2 with epsilon 3; 2 z_norm + 3/2 = 1/2, 5/2.
    # Of keep 1/2 the first unit is dropped and the second doubled: 0, 5; outputs 1, 6; errors 1 and 2.
    config = replace(PLAIN, hidden_units=(1,), bn_epsilon=3.0, dropout=0.5, bn_decay=0.75)
    params = [{"kernel": [[1.0]], "gamma": [2.0], "beta": [1.5]}, {"kernel": [[1.0]], "bias": [1.0]}]
    state = oracle.init_state(config, params)
    x, y, u = np.array([[1.0], [3.0]]), np.array([[0.0], [4.0]]), np.array([[0.5], [0.4]])
    new, loss, _ = oracle.step(state, x, y, config, steps_per_epoch=1, uniforms=[u])
    assert loss == pytest.approx((1 + 4) / 2)
    assert oracle.step(state, x, y, config, steps_per_epoch=1, uniforms=[u], weight=[1.0, 3.0])[1] == pytest.approx(
        (1 + 3 * 4) / 4
    )
    assert {name: float(np.squeeze(value)) for name, value in new.bn[0].items()} == pytest.approx(
        {"mean": 0.5, "var": 0.25, "weight": 0.25}
    )
    # Nothing seen yet: mean 0, variance 1, so 2 * 3 / sqrt(4) + 3/2 = 9/2, and nothing is dropped.
    assert oracle.predict(state, [[3.0]], config) == pytest.approx(5.5)
    seen = replace(new, params=state.params)  # after one step the debiased statistics are the batch's: 1/2, 5/2
    np.testing.assert_allclose(oracle.predict(seen, x, config), [[1.5], [3.5]])


def test_running_statistics_are_weighted_averages():
    config = replace(PLAIN, hidden_units=(2,), bn_decay=0.6, learning_rate=0.0)
    params = [
        {"kernel": np.eye(2), "gamma": np.ones(2), "beta": np.zeros(2)},
        {"kernel": np.ones((2, 3)), "bias": np.zeros(3)},
    ]
    state, rng = oracle.init_state(config, params), np.random.default_rng(0)
    batches = [rng.normal(size=(rows, 2)) for rows in (4, 1, 5)]
    for x in batches:
        state, _, _ = oracle.step(state, x, np.zeros(len(x), int), config, steps_per_epoch=3)
    shares = 0.4 * 0.6 ** np.array([2, 1, 0])
    np.testing.assert_allclose(state.bn[0]["mean"], shares @ [x.mean(0) for x in batches])
    np.testing.assert_allclose(state.bn[0]["var"], shares @ [x.var(0) for x in batches])
    assert state.bn[0]["weight"] == pytest.approx(shares.sum()) == pytest.approx(1 - 0.6**3)


@pytest.mark.parametrize(
    ("kind", "z", "value", "slope"),
    [
        ("relu", 0.0, 0.0, 0.0),
        ("relu", 2.0, 2.0, 1.0),
        ("tanh", math.log(2), 0.6, 0.64),
        ("sigmoid", math.log(3), 0.75, 0.1875),
        ("gelu", 1.0, 0.8413447460685429, 1.0833154705876864),
        ("identity", -3.0, -3.0, 1.0),
    ],
)
def test_activations_at_known_points(kind, z, value, slope):
    got = oracle.activate(kind, np.array(z))
    assert (float(got[0]), float(got[1])) == pytest.approx((value, slope), rel=1e-14)


def test_softmax_loss_by_hand():
    # The notes' y_hat = [0.3 0.2 0.1 0.4] for class 1: L = -log 0.2 and dZ = y_hat - y. Smoothed by 0.4
    # the target is 0.6 y + 0.1.
    p, y = np.array([0.3, 0.2, 0.1, 0.4]), np.array([1])
    params = [{"kernel": np.zeros((1, 4)), "bias": np.log(p) + 700.0}]
    state = oracle.init_state(PLAIN, params)
    _, loss, gradients = oracle.step(state, [[1.0]], y, PLAIN, steps_per_epoch=1)
    assert loss == pytest.approx(-math.log(0.2))
    np.testing.assert_allclose(gradients[0]["bias"], p - [0, 1, 0, 0], atol=1e-12)
    smooth = replace(PLAIN, label_smoothing=0.4)
    _, loss, gradients = oracle.step(state, [[1.0]], y, smooth, steps_per_epoch=1)
    assert loss == pytest.approx(-np.dot([0.1, 0.7, 0.1, 0.1], np.log(p)))
    np.testing.assert_allclose(gradients[0]["bias"], p - [0.1, 0.7, 0.1, 0.1], atol=1e-12)


# One weight and one bias, loss (w + b)^2 from w = 1, b = 0: both gradients are 2 (w + b), at first 2. Rate
# 0.1, momentum = b1 = 1/2, b2 = 3/4, eps = 1. Each row: w after one step, w after two (b moves as w does).
RMSPROP_D2 = 1.6 / (math.sqrt(1.39) + 1)  # d 2 / (1 + 1), then g 1.6; S 1, then 0.75 + 0.64
# d 2 / (2 + 1), then g 26/15; m 1, 0.5 + 13/15, over 1/2, 3/4; s 1, 0.75 + 169/225, over 1/4, 7/16.
ADAM_D2 = (82 / 45) / (math.sqrt((0.75 + 169 / 225) * 16 / 7) + 1)
TWO_STEPS = {
    "sgd": (0.8, 0.68),  # g 2, 1.2
    "momentum": (0.8, 0.58),  # v 2, 1 + 1.2
    "nesterov": (0.7, 0.53),  # v 2, 1 + 0.8; d 2 + 1, 0.8 + 0.9
    "momentum_ewa": (0.9, 0.77),  # v 1, 0.5 + 0.8
    "rmsprop": (0.9, 0.9 - 0.1 * RMSPROP_D2),
    "adam": (14 / 15, 14 / 15 - 0.1 * ADAM_D2),
    "adamw": (14 / 15, 14 / 15 - 0.1 * ADAM_D2),
}


def two_steps(config):
    config = replace(config, momentum=0.5, b1=0.5, b2=0.75, eps=1.0)
    states = [oracle.init_state(config, [{"kernel": [[1.0]], "bias": [0.0]}])]
    for _ in range(2):
        states.append(oracle.step(states[-1], [[1.0]], [[0.0]], config, steps_per_epoch=1)[0])
    return [(float(s.params[0]["kernel"][0, 0]), float(s.params[0]["bias"][0])) for s in states[1:]]


@pytest.mark.parametrize("optimizer", oracle.SLOTS)
def test_two_steps_of_every_optimizer(optimizer):
    first, second = TWO_STEPS[optimizer]
    got = two_steps(replace(PLAIN, optimizer=optimizer, decay_kind="none"))
    np.testing.assert_allclose(got, [(first, first - 1), (second, second - 1)], rtol=1e-13)


@pytest.mark.parametrize("optimizer", oracle.SLOTS)
def test_weight_decay_shrinks_kernels_only_and_is_decoupled(optimizer):
    config = replace(PLAIN, optimizer=optimizer, hidden_units=(4,), clip_norm=0.1)
    params, x, y, _, _ = random_problem(config)
    state = oracle.init_state(config, params)
    plain, decayed = (
        oracle.step(state, x, y, replace(config, weight_decay=wd), steps_per_epoch=1)[0] for wd in (0.0, 0.5)
    )
    for start, without, got in zip(params, plain.params, decayed.params, strict=True):
        for name in start:
            shrunk = 0.1 * 0.5 * start[name] if name == "kernel" else 0.0
            np.testing.assert_allclose(got[name], without[name] - shrunk, atol=1e-15, err_msg=name)


def test_clipping_by_global_norm():
    # Both gradients are 2, so the norm is sqrt(8): clipped to sqrt(2) they are 1 each; else nothing happens.
    for clip_norm, w in ((math.sqrt(2), 0.9), (2.9, 0.8), (None, 0.8)):
        config = replace(PLAIN, clip_norm=clip_norm)
        assert two_steps(config)[0] == pytest.approx((w, w - 1))
    state = oracle.init_state(PLAIN, [{"kernel": [[1.0]], "bias": [0.0]}])
    _, _, gradients = oracle.step(state, [[1.0]], [[0.0]], replace(PLAIN, clip_norm=0.1), steps_per_epoch=1)
    assert gradients[0]["bias"] == pytest.approx(2.0)  # as they were before clipping


@pytest.mark.parametrize(
    ("kind", "at_start", "at_6", "at_20"),
    [
        ("none", 1.0, 1.0, 1.0),
        ("inverse_time", 1.0, 1 / (1 + 2), 1 / (1 + 10)),
        ("exponential", 1.0, math.exp(-3), math.exp(-10)),
        ("staircase", 1.0, math.exp(-2), math.exp(-10)),
        ("inverse_sqrt", 1.0, 0.5, 1 / math.sqrt(11)),
        ("cosine", 1.0, 0.5 * (1 + math.cos(1.5 * math.pi / 4)), 0.0),
    ],
)
def test_decays_by_hand(kind, at_start, at_6, at_20):
    # Four steps an epoch: steps 6 and 20 are epochs 1.5 and 5, the last beyond the cosine's four epochs.
    config = replace(PLAIN, decay_kind=kind, learning_rate_decay=2.0)
    got = [oracle.learning_rate(step, 4, config) for step in (0, 6, 20)]
    assert got == pytest.approx([0.1 * at_start, 0.1 * at_6, 0.1 * at_20], abs=1e-16)


def test_warmup_rises_to_one():
    config = replace(PLAIN, warmup_epochs=1.5)
    got = [oracle.learning_rate(step, 2, config) / 0.1 for step in range(5)]
    assert got == pytest.approx([1 / 3, 2 / 3, 1, 1, 1])


def test_step_applies_the_decayed_rate():
    config = replace(PLAIN, decay_kind="exponential", learning_rate_decay=math.log(2))
    assert two_steps(config)[1][0] == pytest.approx(0.8 - 0.05 * 1.2)


def test_epoch_is_its_steps_in_order():
    config = OracleConfig(num_epochs=2, hidden_units=(4,), batch_size=3, dropout=0.4, weight_decay=0.1)
    params, x, y, _, weight = random_problem(config)
    uniforms = np.random.default_rng(1).random((6, 3, 4))
    order = np.array([6, 2, 0, 5, 1, 3, 4])
    state = start = oracle.init_state(config, params)
    got, mean_loss = oracle.epoch(start, x, y, order, config, lambda step: [uniforms[step]], weight)
    total = 0.0
    for i, rows in enumerate(([6, 2, 0], [5, 1, 3], [4])):
        state, loss, _ = oracle.step(
            state,
            x[rows],
            y[rows],
            config,
            steps_per_epoch=3,
            uniforms=[uniforms[i][: len(rows)]],
            weight=weight[rows],
        )
        total += loss * weight[rows].sum()
    assert got.step == 3
    assert mean_loss == pytest.approx(total / weight.sum())
    for a, b in zip(got.params, state.params, strict=True):
        for name in a:
            np.testing.assert_array_equal(a[name], b[name])


def test_batch_size_above_the_rows_is_one_full_batch():
    config = replace(PLAIN, hidden_units=(4,), batch_size=100)
    params, x, y, _, _ = random_problem(config)
    state, loss = oracle.epoch(oracle.init_state(config, params), x, y, np.arange(B), config)
    assert state.step == 1
    assert loss == pytest.approx(oracle.loss_and_gradients(params, x, y, config)[0])


def test_divergence_is_a_value():
    config = replace(PLAIN, hidden_units=(4,), normalization="none", activation="identity", learning_rate=1e30)
    params, x, y, _, _ = random_problem(config, task="targets")
    state = oracle.init_state(config, params)
    for _ in range(20):
        state = oracle.step(state, x, y, config, steps_per_epoch=1)[0]
    assert not np.isfinite(state.params[-1]["kernel"]).all()
    assert not np.isfinite(oracle.predict(state, x, config)).all()


def test_training_learns_a_separable_problem():
    config = OracleConfig(num_epochs=30, hidden_units=(16,), batch_size=32, learning_rate=0.03)
    rng = np.random.default_rng(0)
    x = rng.normal(size=(200, F))
    y = (x @ rng.normal(size=(F, K))).argmax(axis=1)
    state = oracle.init_state(config, random_params(rng, config))
    state, first = oracle.epoch(state, x, y, rng.permutation(200), config)
    last = first
    for _ in range(29):
        state, last = oracle.epoch(state, x, y, rng.permutation(200), config)
    assert last < 0.3 * first
    assert (oracle.predict(state, x, config).argmax(axis=1) == y).mean() > 0.9


def test_params_of_another_config_are_refused():
    params = random_params(np.random.default_rng(0), replace(PLAIN, hidden_units=(4,)))
    with pytest.raises(ValueError, match="widths"):
        oracle.init_state(replace(PLAIN, hidden_units=(5,)), params)
    with pytest.raises(ValueError, match="names"):
        oracle.init_state(replace(PLAIN, hidden_units=(4,), normalization="none"), params)
