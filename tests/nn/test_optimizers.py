"""Optimizers against optax's own aliases and steps written out in NumPy; decays against their formulas."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxbn.nn import learning_rate, optimizer
from jaxbn.nn.optimizers import kernels
from jaxbn.nn.types import DECAY_KINDS, OPTIMIZERS, Hyperparams, Spec

RATE, BETA, B1, B2, EPS, STEPS = 0.05, 0.8, 0.7, 0.95, 1e-3, 5
H = Hyperparams(learning_rate=RATE, momentum=BETA, b1=B1, b2=B2, eps=EPS)
KINDS = tuple(kind for kind in OPTIMIZERS if kind != "adamw")
ALIASES = {
    "sgd": optax.sgd(RATE),
    "momentum": optax.sgd(RATE, momentum=BETA),
    "nesterov": optax.sgd(RATE, momentum=BETA, nesterov=True),
    "rmsprop": optax.rmsprop(RATE, decay=B2, eps=EPS, eps_in_sqrt=False),
    "adam": optax.adam(RATE, b1=B1, b2=B2, eps=EPS),
    "adamw": optax.adamw(RATE, b1=B1, b2=B2, eps=EPS, weight_decay=0.1, mask=kernels),
}


@pytest.fixture
def x64():
    with jax.enable_x64(True):
        yield


def params():
    rng = np.random.default_rng(0)
    return {"a": {"kernel": rng.normal(size=(3, 2)), "bias": rng.normal(size=2)}, "gamma": rng.normal(size=2)}


def gradients(step):
    rng = np.random.default_rng(1 + step)
    return jax.tree.map(lambda leaf: jnp.asarray(rng.normal(size=leaf.shape)), params())


def run(tx, steps=STEPS):
    """Params after each step."""
    w = jax.tree.map(jnp.asarray, params())
    state, path = tx.init(w), []
    update = jax.jit(tx.update)
    for step in range(steps):
        updates, state = update(gradients(step), state, w)
        w = optax.apply_updates(w, updates)
        path.append(w)
    return path


def assert_equal_paths(got, want, **tolerance):
    for a, b in zip(jax.tree.leaves(got), jax.tree.leaves(want), strict=True):
        np.testing.assert_allclose(a, b, **tolerance)


@pytest.mark.parametrize("kind", ALIASES)
def test_equals_the_alias_of_optax(x64, kind):
    h = H.replace(weight_decay=0.1 if kind == "adamw" else 0.0)
    got = run(optimizer(h, spec=Spec(optimizers=(kind,))))
    assert_equal_paths(got, run(ALIASES[kind]), rtol=1e-14, atol=1e-15)


def test_the_aliases_leave_out_only_the_form_of_the_notes():
    assert set(OPTIMIZERS) - set(ALIASES) == {"momentum_ewa"}


def by_hand(kind, w, gs, decay=0.0):
    v = m = s = np.zeros_like(w)
    for t, g in enumerate(gs, 1):
        match kind:
            case "sgd":
                d = g
            case "momentum":
                d = v = BETA * v + g
            case "nesterov":
                v = BETA * v + g
                d = g + BETA * v
            case "momentum_ewa":
                d = v = BETA * v + (1 - BETA) * g
            case "rmsprop":
                s = B2 * s + (1 - B2) * g**2
                d = g / (np.sqrt(s) + EPS)
            case "adam" | "adamw":
                m, s = B1 * m + (1 - B1) * g, B2 * s + (1 - B2) * g**2
                d = (m / (1 - B1**t)) / (np.sqrt(s / (1 - B2**t)) + EPS)
        w = w - RATE * (d + decay * w)
    return w


@pytest.mark.parametrize("decay", [0.0, 0.3])
@pytest.mark.parametrize("kind", OPTIMIZERS)
def test_equals_the_steps_by_hand_and_weight_decay_hits_kernels_only(x64, kind, decay):
    got = run(optimizer(H.replace(weight_decay=decay), spec=Spec(optimizers=(kind,))))[-1]
    gs = [gradients(step) for step in range(STEPS)]
    kernel = by_hand(kind, params()["a"]["kernel"], [np.asarray(g["a"]["kernel"]) for g in gs], decay)
    bias = by_hand(kind, params()["a"]["bias"], [np.asarray(g["a"]["bias"]) for g in gs])
    gamma = by_hand(kind, params()["gamma"], [np.asarray(g["gamma"]) for g in gs])
    np.testing.assert_allclose(got["a"]["kernel"], kernel, rtol=1e-12)
    np.testing.assert_allclose(got["a"]["bias"], bias, rtol=1e-12)
    np.testing.assert_allclose(got["gamma"], gamma, rtol=1e-12)


@pytest.mark.parametrize("norm", [0.1, 1.0, 100.0])
def test_gradients_are_clipped_by_their_global_norm(x64, norm):
    got = run(optimizer(H.replace(clip_norm=norm), spec=Spec(optimizers=("sgd",), clip_norm=True)), steps=1)[-1]
    g = gradients(0)
    size = math.sqrt(sum(float((np.asarray(leaf) ** 2).sum()) for leaf in jax.tree.leaves(g)))
    want = jax.tree.map(lambda w, leaf: w - RATE * leaf * min(1, norm / size), params(), g)
    assert_equal_paths(got, want, rtol=1e-13)


def test_a_gradient_of_0_can_be_clipped():
    tx = optimizer(H, spec=Spec(optimizers=("sgd",), clip_norm=True))
    zero = {"kernel": jnp.zeros(3)}
    updates, _ = tx.update(zero, tx.init(zero), zero)
    np.testing.assert_array_equal(updates["kernel"], np.zeros(3))


def float32_path(h, kinds):
    tx = optimizer(h, spec=Spec(optimizers=kinds))
    w = jax.tree.map(lambda leaf: jnp.asarray(leaf, jnp.float32), params())
    state, path = tx.init(w), []
    for step in range(STEPS):
        g = jax.tree.map(lambda leaf: leaf.astype(jnp.float32), gradients(step))
        updates, state = tx.update(g, state, w)
        w = optax.apply_updates(w, updates)
        path.append(w)
    return path


@pytest.mark.parametrize("kinds", [("momentum", "adam"), KINDS])
def test_merged_optimizers_equal_each_alone_bit_for_bit(kinds):
    h = H.replace(weight_decay=0.1)
    compiled = jax.jit(jax.vmap(lambda index: float32_path(h.replace(optimizer=index), kinds)))
    together = compiled(jnp.arange(len(kinds)))
    for number, kind in enumerate(kinds):
        merged = jax.tree.leaves(float32_path(h.replace(optimizer=number), kinds))
        alone = jax.tree.leaves(float32_path(h, (kind,)))
        for a, b, c in zip(merged, alone, jax.tree.leaves(together), strict=True):
            np.testing.assert_array_equal(a, b)
            # Compiled, the two are different programs, whose multiplications and additions are fused differently.
            np.testing.assert_allclose(c[number], b, rtol=1e-6, atol=1e-7)


def test_a_merged_optimizer_that_diverges_beside_the_chosen_one_is_not_heard():
    tx = optimizer(H.replace(optimizer=0, momentum=1e30), spec=Spec(optimizers=("sgd", "momentum")))
    w = {"kernel": jnp.ones(3)}
    state = tx.init(w)
    for _ in range(3):
        updates, state = tx.update({"kernel": jnp.ones(3)}, state, w)
    assert not np.isfinite(np.concatenate([np.ravel(leaf) for leaf in jax.tree.leaves(state)])).all()
    np.testing.assert_array_equal(updates["kernel"], np.full(3, -RATE, np.float32))


def test_members_under_vmap_have_hyperparameters_of_their_own(x64):
    rates, momenta = np.array([0.01, 0.1]), np.array([0.5, 0.99])

    @jax.jit
    @jax.vmap
    def two_steps(rate, momentum):
        tx = optimizer(Hyperparams(learning_rate=rate, momentum=momentum), spec=Spec(optimizers=("momentum",)))
        w = jnp.ones(())
        state = tx.init(w)
        for _ in range(2):
            updates, state = tx.update(jnp.ones(()), state, w)
            w = w + updates
        return w

    np.testing.assert_allclose(two_steps(rates, momenta), 1 - rates * (2 + momenta), rtol=1e-14)


def test_hyperparameters_stay_out_of_the_state():
    w = jax.tree.map(jnp.asarray, params())
    for kind in OPTIMIZERS:
        a, b = (optimizer(h, spec=Spec(optimizers=(kind,))).init(w) for h in (H, Hyperparams()))
        for x, y in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True):
            np.testing.assert_array_equal(x, y)
            assert not np.asarray(x).any()


def test_an_unknown_optimizer_is_named():
    with pytest.raises(ValueError, match="'adagrad'"):
        optimizer(H, spec=Spec(optimizers=("adagrad",)))


# Decays


def factor(kind, k, epochs, num_epochs):
    whole = math.floor(epochs)
    return {
        "none": 1.0,
        "inverse_time": 1 / (1 + k * whole),
        "exponential": math.exp(-k * epochs),
        "staircase": math.exp(-k * whole),
        "inverse_sqrt": 1 / math.sqrt(1 + k * epochs),
        "cosine": (1 + math.cos(math.pi * min(epochs / num_epochs, 1))) / 2,
    }[kind]


@pytest.mark.parametrize("k", [0.0, 0.1, 3.0])
@pytest.mark.parametrize("kind", DECAY_KINDS)
def test_decays_equal_their_formulas(x64, kind, k):
    steps = np.arange(40)
    for per_epoch in (1, 7, 10):
        h = Hyperparams(learning_rate=0.3, learning_rate_decay=k, decay_kind=DECAY_KINDS.index(kind), num_epochs=4)
        got = jax.vmap(lambda step, h=h, n=per_epoch: learning_rate(h, step, steps_per_epoch=n))(steps)
        want = [0.3 * factor(kind, k, step / per_epoch, 4) for step in steps]
        np.testing.assert_allclose(got, want, rtol=1e-13, atol=1e-16)


@pytest.mark.parametrize("warmup", [0.0, 0.25, 1.0, 2.5])
def test_warm_up_rises_linearly_to_the_decayed_rate(x64, warmup):
    h = Hyperparams(learning_rate=0.3, learning_rate_decay=0.5, decay_kind=2, warmup_epochs=warmup)
    for step in range(30):
        rise = min((step + 1) / (warmup * 8), 1) if warmup else 1
        want = 0.3 * math.exp(-0.5 * step / 8) * rise
        np.testing.assert_allclose(learning_rate(h, step, steps_per_epoch=8), want, rtol=1e-13)


def test_the_worked_table_of_inverse_time_decay():
    # Course notes on decay: alpha0 0.2 and rate 1 give 0.1, 0.067, 0.05, 0.04 in the epochs 1 to 4.
    h = Hyperparams(learning_rate=0.2, learning_rate_decay=1.0, decay_kind=DECAY_KINDS.index("inverse_time"))
    rates = [round(float(learning_rate(h, 9 * epoch + 8, steps_per_epoch=9)), 3) for epoch in range(5)]
    assert rates == [0.2, 0.1, 0.067, 0.05, 0.04]
