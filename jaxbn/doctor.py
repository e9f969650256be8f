"""Does the installed JAX compute the right numbers?

Some releases of jaxlib return wrong numbers without a warning. `diagnose` looks the release up in `KNOWN_BAD`
and, since nobody knows the next bad one, also runs canaries: small programs, each the shape of a published
miscompilation or of what this package leans on, against NumPy in float64. The canaries use nothing else of
jaxbn, so that they judge JAX alone.

Example:
    >>> report = diagnose()
    >>> [check.name for check in report.checks if not check.ok]
    []
"""

import json
import platform
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from importlib import metadata
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np


class BadRelease(NamedTuple):
    """A release of jaxlib that must not be used; `backend` is None where every backend is meant."""

    jaxlib: str
    backend: str | None
    defect: str


KNOWN_BAD = (
    BadRelease(
        "0.10.2",
        "cpu",
        "computes wrong sums of squares of vmapped products above 32,768 rows (jax issue 39103)",
    ),
    BadRelease(
        "0.10.2",
        "gpu",
        "was seen to leave b unscaled in a jitted alpha * (A @ B + b) on a GPU (jax issue 39336)",
    ),
    BadRelease("0.11.0", None, "was seen to compute wrong numbers outside jit on a GPU (jax issue 40633)"),
    BadRelease("0.11.1", None, "was seen to compute wrong numbers outside jit on a GPU (jax issue 40633)"),
)
"""Releases known to be bad; `pyproject.toml` keeps pip from installing them."""


@dataclass(frozen=True)
class Check:
    """What one canary found; `seconds` includes compiling."""

    name: str
    ok: bool
    detail: str
    seconds: float


@dataclass(frozen=True)
class Report:
    """What `diagnose` found: versions by package, devices, the verdict of `known_bad`, and the checks."""

    versions: Mapping[str, str]
    backend: str
    devices: tuple[str, ...]
    known_bad: str | None
    checks: tuple[Check, ...]

    @property
    def ok(self) -> bool:
        """Whether the release is not known to be bad and every canary agrees with NumPy."""
        return self.known_bad is None and all(check.ok for check in self.checks)

    def to_json(self) -> str:
        """The report as a JSON object, with `ok`."""
        return json.dumps({"ok": self.ok, **asdict(self)}, indent=2)


class Canary(NamedTuple):
    """A program and its oracle; both return an array of the same shape, `oracle` in float64."""

    name: str
    program: Callable[[], np.ndarray]
    oracle: Callable[[], np.ndarray]


def known_bad(jaxlib_version: str, backend: str) -> str | None:
    """What is known to be wrong with a release of jaxlib.

    Args:
        jaxlib_version: such as "0.10.2".
        backend: as `jax.default_backend()` names it: "cpu", "gpu" or "tpu".

    Returns:
        One sentence, or None where nothing is known.

    Example:
        >>> known_bad("0.10.1", "cpu") is None
        True
    """
    for release in KNOWN_BAD:
        if release.jaxlib == jaxlib_version and release.backend in (None, backend):
            return f"jaxlib {jaxlib_version} {release.defect}: install another release"
    return None


def run(canary: Canary) -> Check:
    """Runs one canary at the highest matmul precision, so that TF32 is no reason to fail.

    Returns:
        A `Check` that is ok where every entry is within 1e-4 of the oracle, relative to the larger of 1 and
        that entry: far above float32 rounding of these sizes, far below any wrong number seen so far. NaN is
        never ok.
    """
    start = time.perf_counter()
    try:
        with jax.default_matmul_precision("highest"):
            got = np.asarray(canary.program(), np.float64)
    except jax.errors.JaxRuntimeError as error:
        return Check(canary.name, False, f"XLA failed: {error}", time.perf_counter() - start)
    want = canary.oracle()
    wrong = ~(np.abs(got - want) <= 1e-4 * np.maximum(1, np.abs(want)))
    seconds = time.perf_counter() - start
    if not wrong.any():
        return Check(canary.name, True, f"{want.size:,} numbers agree with NumPy float64", seconds)
    first = np.flatnonzero(wrong)[0]
    example = f"{got.flat[first]:.8g} instead of {want.flat[first]:.8g}"
    detail = f"{wrong.sum():,} of {want.size:,} numbers are wrong, such as {example}"
    return Check(canary.name, False, detail, seconds)


def canaries() -> tuple[Check, ...]:
    """Runs every canary of `CANARIES`, in about a second together."""
    return tuple(run(canary) for canary in CANARIES)


def diagnose() -> Report:
    """Looks at the installed JAX and its devices, looks its release up, and runs the canaries."""
    packages = ("jax", "jaxlib", "flax", "optax", "numpy")
    versions = {"python": platform.python_version()} | {name: metadata.version(name) for name in packages}
    backend = jax.default_backend()
    return Report(
        versions=versions,
        backend=backend,
        devices=_devices(),
        known_bad=known_bad(versions["jaxlib"], backend),
        checks=(*canaries(), loop_cost()),
    )


def signature() -> dict[str, str]:
    """What a diagnosis holds for: another release, or another device, is to be diagnosed anew."""
    return {name: metadata.version(name) for name in ("jax", "jaxlib")} | {"devices": ", ".join(_devices())}


def _devices() -> tuple[str, ...]:
    return tuple(f"{device.platform}:{device.id} {device.device_kind}" for device in jax.devices())


LOOP, MOST, TRIES = 1000, 3.9, 3
"""Steps of the shorter loop, how many times as long the one of twice as many may take, and how often it may fail to:
something else may run on the machine."""


def loop_cost(timed: Callable[[int], float] | None = None) -> Check:
    """Whether a loop of twice as many steps takes about twice as long.

    A compiler that copies the whole stack of results in each step makes it four times and more.

    Args:
        timed: seconds that a loop of so many steps takes; measured if not given.
    """
    start = time.perf_counter()
    ratio = float("inf")
    for _ in range(TRIES):
        short, long = ((timed or _loop_seconds)(steps) for steps in (LOOP, 2 * LOOP))
        ratio = min(ratio, long / short)
        if ratio < MOST:
            break
    took = f"{2 * LOOP:,} steps take {ratio:.1f} times as long as {LOOP:,}"
    ok = ratio < MOST
    return Check("the cost of a loop", ok, took if ok else f"{took}, not twice", time.perf_counter() - start)


def _loop_seconds(steps: int) -> float:
    """The least of several, which other work on the machine disturbs least."""

    @jax.jit
    def loop(carry):
        return jax.lax.scan(lambda carry, _: (carry * 0.999 + 0.001, carry), carry, length=steps)

    carry = jnp.ones(256)
    jax.block_until_ready(loop(carry))
    seconds = []
    for _ in range(7):
        began = time.perf_counter()
        jax.block_until_ready(loop(carry))
        seconds.append(time.perf_counter() - began)
    return min(seconds)


# What follows are the canaries: each program beside its oracle, over the same float32 numbers. `_wide` gives
# an oracle those numbers in float64.


def _normal(seed: int, *shape: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def _wide(*arrays: np.ndarray) -> tuple[np.ndarray, ...]:
    return tuple(array.astype(np.float64) for array in arrays)


# jax issue 39103: the first number of rows that went wrong, and one with many wrong rows.
_MATRIX, _ROWS = _normal(0, 3, 3), (_normal(1, 32_769, 3), _normal(2, 40_000, 3))


def _squares() -> np.ndarray:
    squares = jax.jit(jax.vmap(lambda row: jnp.sum((_MATRIX @ row) ** 2)))
    return np.concatenate([squares(rows) for rows in _ROWS])


def _squares_oracle() -> np.ndarray:
    matrix, *parts = _wide(_MATRIX, *_ROWS)
    return np.concatenate([np.square(rows @ matrix.T).sum(axis=1) for rows in parts])


# jax issue 39336: the scale reached the product and not the bias. openxla/xla issue 46897: with a square
# product, the bias was added along the wrong axis. The scale must be a constant of the program and the bias
# an argument.
_A, _B, _BIAS, _SCALE = _normal(3, 32, 16), _normal(4, 16, 16), _normal(5, 16), 0.1


def _biases() -> np.ndarray:
    @jax.jit
    def program(a, b, bias):
        square = b @ b
        return jnp.concatenate([_SCALE * (a @ b + bias[None, :]), square + bias[None, :], square + bias[:, None]])

    return np.asarray(program(_A, _B, _BIAS))


def _biases_oracle() -> np.ndarray:
    a, b, bias = _wide(_A, _B, _BIAS)
    return np.concatenate([_SCALE * (a @ b + bias), b @ b + bias, b @ b + bias[:, np.newaxis]])


# One step of gradient descent on a batch-normalised network, T = 5 members with a rate each: what a sweep is
# made of. In turn: W1 [D, H], gamma [H], beta [H], W2 [H, C].
_EPSILON = 1e-5
_X, _Y = _normal(6, 24, 6), np.eye(3, dtype=np.float32)[np.arange(24) % 3]
_WEIGHTS = (_normal(7, 5, 6, 8), 1 + 0.1 * _normal(8, 5, 8), 0.1 * _normal(9, 5, 8), _normal(10, 5, 8, 3))
_RATES = np.logspace(-2, 0, 5, dtype=np.float32)


def _flat(members: tuple) -> np.ndarray:
    return np.concatenate([np.reshape(part, (len(part), -1)) for part in members], axis=1)


def _training() -> np.ndarray:
    def loss(weights):
        w1, gamma, beta, w2 = weights
        z = _X @ w1
        centred = z - z.mean(0)[None, :]
        normed = centred * jax.lax.rsqrt((centred**2).mean(0) + _EPSILON)[None, :]
        outputs = jnp.tanh(gamma[None, :] * normed + beta[None, :]) @ w2
        return -(_Y * jax.nn.log_softmax(outputs)).sum(1).mean()

    def step(weights, rate):
        return jax.tree.map(lambda w, g: w - rate * g, weights, jax.grad(loss)(weights))

    one = jax.jit(step)
    alone = [one(tuple(part[t] for part in _WEIGHTS), _RATES[t]) for t in range(len(_RATES))]
    together = jax.jit(jax.vmap(step))(_WEIGHTS, _RATES)
    return np.stack([_flat(together), _flat(tuple(np.stack(part) for part in zip(*alone, strict=True)))])


def _training_oracle() -> np.ndarray:
    x, y, rates, *weights = _wide(_X, _Y, _RATES, *_WEIGHTS)
    members = []
    for rate, w1, gamma, beta, w2 in zip(rates, *weights, strict=True):
        z = x @ w1
        deviation = np.sqrt(z.var(0) + _EPSILON)
        normed = (z - z.mean(0)) / deviation
        hidden = np.tanh(gamma * normed + beta)
        exponentials = np.exp(hidden @ w2)
        d_outputs = (exponentials / exponentials.sum(1, keepdims=True) - y) / len(x)
        d_scaled = d_outputs @ w2.T * (1 - hidden**2)
        d_normed = d_scaled * gamma
        d_z = (d_normed - d_normed.mean(0) - normed * (d_normed * normed).mean(0)) / deviation
        gradients = (x.T @ d_z, (d_scaled * normed).sum(0), d_scaled.sum(0), hidden.T @ d_outputs)
        members.append([w - rate * g for w, g in zip((w1, gamma, beta, w2), gradients, strict=True)])
    flat = _flat(tuple(np.stack(part) for part in zip(*members, strict=True)))
    return np.stack([flat, flat])


# A compiler that turns the two passes into E[x^2] - E[x]^2 loses the variance at this offset.
_OFFSET = 1e4 + _normal(11, 4, 64, 16)


def _moments() -> np.ndarray:
    @jax.jit
    @jax.vmap
    def moments(x):
        mean = x.mean(0)
        return jnp.stack([mean, ((x - mean[None, :]) ** 2).mean(0)])

    return np.asarray(moments(_OFFSET))


def _moments_oracle() -> np.ndarray:
    (x,) = _wide(_OFFSET)
    return np.stack([x.mean(1), x.var(1)], axis=1)


# jax issue 40633: operations outside jit read what the one before had left.
_POSITIVE = np.linspace(0.5, 8, 512, dtype=np.float32)


def _eager() -> np.ndarray:
    x = jnp.asarray(_POSITIVE)
    return np.stack([jnp.sqrt(x), jnp.ones_like(x) + 1, jnp.exp(-x), jnp.log(x), jnp.tanh(x)])


def _eager_oracle() -> np.ndarray:
    (x,) = _wide(_POSITIVE)
    return np.stack([np.sqrt(x), np.full_like(x, 2), np.exp(-x), np.log(x), np.tanh(x)])


CANARIES = (
    Canary("sums of squares of products, many rows", _squares, _squares_oracle),
    Canary("scaled products with a bias", _biases, _biases_oracle),
    Canary("a training step, vmapped and alone", _training, _training_oracle),
    Canary("batch statistics far from zero", _moments, _moments_oracle),
    Canary("operations outside jit", _eager, _eager_oracle),
)
"""Every canary, in the order that `canaries` runs them."""
