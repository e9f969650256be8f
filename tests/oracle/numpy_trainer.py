"""One batch-normalised MLP, unpadded, trained in NumPy float64 with a backward pass derived by hand.

This is the oracle for "a member learns what it would have learned alone". It is written from the equations
and shares no code with jaxbn: no JAX, no optax, no automatic differentiation, no masks. Letters: B rows of
the batch (the valid ones only), F features, H units of a hidden layer, K outputs (or classes).

A network is a list of layers, each a dict of arrays: hidden layers hold `kernel` [in, H] and either `gamma`,
`beta` [H] (batch normalisation, which makes a bias useless) or `bias` [H]; the last layer holds `kernel` and
`bias`.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import erf

Array = NDArray[np.float64]
Layers = list[dict[str, Array]]
Uniforms = Sequence[Array | None] | None

SLOTS = {
    "sgd": (),
    "momentum": ("v",),
    "nesterov": ("v",),
    "momentum_ewa": ("v",),
    "rmsprop": ("s",),
    "adam": ("m", "s"),
    "adamw": ("m", "s"),
}


@dataclass(frozen=True, kw_only=True)
class OracleConfig:
    """The plain values of one config; names and meanings are those of the table of hyperparameters."""

    num_epochs: int  # where the cosine ends
    hidden_units: tuple[int, ...] = (64, 64)  # one per hidden layer; () is softmax or linear regression
    learning_rate: float = 1e-3
    momentum: float = 0.9
    b1: float = 0.9
    b2: float = 0.999
    eps: float = 1e-8
    batch_size: int = 64
    learning_rate_decay: float = 0.0
    decay_kind: str = "inverse_time"
    optimizer: str = "adam"
    weight_decay: float = 0.0
    dropout: float = 0.0
    label_smoothing: float = 0.0
    clip_norm: float | None = None
    warmup_epochs: float = 0.0
    bn_decay: float = 0.9
    bn_epsilon: float = 1e-5
    activation: str = "relu"
    normalization: str = "batch"


@dataclass(frozen=True)
class State:
    """What training carries.

    `bn` has mean, var [H] and the scalar weight of each normalised layer, `opt` the layers' structure once
    more for each slot of the optimizer, and `step` counts the updates made.
    """

    params: Layers
    bn: Layers
    opt: dict[str, Layers]
    step: int


def init_state(config: OracleConfig, params: Sequence[Mapping[str, ArrayLike]]) -> State:
    """The state before the first step, from given initial weights."""
    layers = [{name: np.array(value, np.float64) for name, value in layer.items()} for layer in params]
    widths = tuple(layer["kernel"].shape[1] for layer in layers[:-1])
    hidden = {"batch": {"kernel", "gamma", "beta"}, "none": {"kernel", "bias"}}[config.normalization]
    names = [hidden] * len(widths) + [{"kernel", "bias"}]
    if widths != config.hidden_units or [set(layer) for layer in layers] != names:
        raise ValueError(f"params of widths {widths}, names {[set(layer) for layer in layers]} are not of {config}")
    bn = [{"mean": np.zeros(h), "var": np.zeros(h), "weight": np.zeros(())} for h in widths]
    opt = {slot: _zeros_like(layers) for slot in SLOTS[config.optimizer]}
    return State(layers, bn if config.normalization == "batch" else [], opt, 0)


def step(
    state: State,
    x: ArrayLike,
    y: ArrayLike,
    config: OracleConfig,
    *,
    steps_per_epoch: int,
    uniforms: Uniforms = None,
    weight: ArrayLike | None = None,
) -> tuple[State, float, Layers]:
    """One update on one mini-batch.

    Args:
        state: what training carries.
        x: inputs [B, F].
        y: integer labels [B], or float targets [B, K], which make the loss a mean squared error.
        config: the hyperparameters.
        steps_per_epoch: mini-batches in an epoch.
        uniforms: a hidden layer's numbers in [0, 1), [B, H]; a unit stays where u < keep. None drops nothing.
        weight: of each row in the loss, [B]; None is 1. It plays no part in the batch statistics.

    Returns:
        The next state, the loss before the update, and its gradients before clipping.
    """
    with np.errstate(all="ignore"):  # a run that diverges is a value too
        loss, gradients, moments = loss_and_gradients(state.params, x, y, config, uniforms=uniforms, weight=weight)
        clipped = _clip(gradients, config.clip_norm)
        alpha = learning_rate(state.step, steps_per_epoch, config)
        params, opt = _zeros_like(state.params), {slot: _zeros_like(state.params) for slot in state.opt}
        for i, layer in enumerate(state.params):
            for name, w in layer.items():
                old = {slot: layers[i][name] for slot, layers in state.opt.items()}
                direction, new = _direction(clipped[i][name], old, config, state.step + 1)
                for slot, value in new.items():
                    opt[slot][i][name] = value
                decay = config.weight_decay * w if name == "kernel" else 0.0
                params[i][name] = w - alpha * (direction + decay)
        d = config.bn_decay
        bn = [
            {name: d * old[name] + (1 - d) * new for name, new in (("mean", mu), ("var", var), ("weight", 1.0))}
            for old, (mu, var) in zip(state.bn, moments, strict=True)
        ]
    return State(params, bn, opt, state.step + 1), loss, gradients


def epoch(
    state: State,
    x: ArrayLike,
    y: ArrayLike,
    order: ArrayLike,
    config: OracleConfig,
    uniforms_of_step: Callable[[int], Uniforms] | None = None,
    weight: ArrayLike | None = None,
) -> tuple[State, float]:
    """One pass over the rows `order`, cut into mini-batches of which the last may be partial.

    `uniforms_of_step(step)` gives a step's uniforms; rows beyond those of a partial batch are ignored.
    Returns the next state and the (weighted) mean over all rows of the losses that the steps saw.
    """
    x, y, order = np.asarray(x), np.asarray(y), np.asarray(order)
    weight = np.ones(len(x)) if weight is None else np.asarray(weight, np.float64)
    size = min(config.batch_size, len(order))
    batches = [order[start : start + size] for start in range(0, len(order), size)]
    total = 0.0
    for rows in batches:
        uniforms = uniforms_of_step(state.step) if uniforms_of_step else None
        uniforms = uniforms and [None if u is None else u[: len(rows)] for u in uniforms]
        state, loss, _ = step(
            state,
            x[rows],
            y[rows],
            config,
            steps_per_epoch=len(batches),
            uniforms=uniforms,
            weight=weight[rows],
        )
        total += loss * float(weight[rows].sum())
    return state, total / float(weight[order].sum())


def predict(state: State, x: ArrayLike, config: OracleConfig) -> Array:
    """Outputs [B, K] (logits or predictions) for inputs [B, F], from the debiased running statistics."""
    a = np.asarray(x, np.float64)
    with np.errstate(all="ignore"):
        for i, layer in enumerate(state.params[:-1]):
            z = a @ layer["kernel"]
            if config.normalization == "batch":
                bn = state.bn[i]
                mu, var = (bn["mean"] / bn["weight"], bn["var"] / bn["weight"]) if bn["weight"] > 0 else (0.0, 1.0)
                z = layer["gamma"] * (z - mu) / np.sqrt(var + config.bn_epsilon) + layer["beta"]
            else:
                z = z + layer["bias"]
            a, _ = activate(config.activation, z)
        return a @ state.params[-1]["kernel"] + state.params[-1]["bias"]


def loss_and_gradients(
    params: Layers,
    x: ArrayLike,
    y: ArrayLike,
    config: OracleConfig,
    *,
    uniforms: Uniforms = None,
    weight: ArrayLike | None = None,
) -> tuple[float, Layers, list[tuple[Array, Array]]]:
    """The training loss of a mini-batch, its gradients, and each normalised layer's (mean, variance)."""
    a, y = np.asarray(x, np.float64), np.asarray(y)
    keep = 1.0 - config.dropout
    batch_norm = config.normalization == "batch"
    tape, moments = [], []
    for i, layer in enumerate(params[:-1]):
        inputs = a
        z = inputs @ layer["kernel"]
        normed, inverse = z, np.ones(())
        if batch_norm:
            mu = z.mean(axis=0)
            var = ((z - mu) ** 2).mean(axis=0)
            moments.append((mu, var))
            inverse = 1.0 / np.sqrt(var + config.bn_epsilon)
            normed = (z - mu) * inverse
            z = layer["gamma"] * normed + layer["beta"]
        else:
            z = z + layer["bias"]
        a, slope = activate(config.activation, z)
        u = uniforms[i] if uniforms else None
        mask = np.ones(()) if u is None else (u < keep) / keep
        a = a * mask
        tape.append((inputs, normed, inverse, slope * mask))
    outputs = a @ params[-1]["kernel"] + params[-1]["bias"]
    loss, delta = _loss(outputs, y, config.label_smoothing, weight)

    gradients = _zeros_like(params)
    gradients[-1] = {"kernel": a.T @ delta, "bias": delta.sum(axis=0)}
    delta = delta @ params[-1]["kernel"].T
    for i in reversed(range(len(tape))):
        inputs, normed, inverse, slope = tape[i]
        delta = delta * slope
        if batch_norm:
            gradients[i]["gamma"] = (delta * normed).sum(axis=0)
            gradients[i]["beta"] = delta.sum(axis=0)
            delta = delta * params[i]["gamma"]
            # The mean and the variance depend on z too: they take out what lies along 1 and along z_norm.
            delta = inverse * (delta - delta.mean(axis=0) - normed * (delta * normed).mean(axis=0))
        else:
            gradients[i]["bias"] = delta.sum(axis=0)
        gradients[i]["kernel"] = inputs.T @ delta
        delta = delta @ params[i]["kernel"].T
    return loss, gradients, moments


def activate(kind: str, z: Array) -> tuple[Array, Array]:
    """An activation and its derivative at z; relu's derivative at 0 is 0."""
    match kind:
        case "relu":
            return np.maximum(z, 0.0), (z > 0.0).astype(np.float64)
        case "tanh":
            a = np.tanh(z)
            return a, 1.0 - a**2
        case "sigmoid":
            a = 1.0 / (1.0 + np.exp(-z))
            return a, a * (1.0 - a)
        case "gelu":
            below = 0.5 * (1.0 + erf(z / math.sqrt(2.0)))
            return z * below, below + z * np.exp(-0.5 * z**2) / math.sqrt(2.0 * math.pi)
        case "identity":
            return z, np.ones_like(z)
    raise ValueError(f"no activation {kind}")


def learning_rate(step: int, steps_per_epoch: int, config: OracleConfig) -> float:
    """alpha_t of the update that follows `step` earlier ones."""
    elapsed, whole, rate = step / steps_per_epoch, step // steps_per_epoch, config.learning_rate_decay
    factor = {
        "none": 1.0,
        "inverse_time": 1.0 / (1.0 + rate * whole),
        "exponential": math.exp(-rate * elapsed),
        "staircase": math.exp(-rate * whole),
        "inverse_sqrt": 1.0 / math.sqrt(1.0 + rate * elapsed),
        "cosine": 0.5 * (1.0 + math.cos(math.pi * min(elapsed / config.num_epochs, 1.0))),
    }[config.decay_kind]
    warmup_steps = config.warmup_epochs * steps_per_epoch
    warmup = min((step + 1) / warmup_steps, 1.0) if warmup_steps > 0 else 1.0
    return config.learning_rate * factor * warmup


def _loss(outputs: Array, y: NDArray, smoothing: float, weight: ArrayLike | None) -> tuple[float, Array]:
    """The weighted mean loss of the rows and its gradient with respect to the outputs."""
    weight = np.ones(len(outputs)) if weight is None else np.asarray(weight, np.float64)
    share = weight / weight.sum()
    if np.issubdtype(y.dtype, np.integer):
        num_classes = outputs.shape[1]
        target = (1.0 - smoothing) * np.eye(num_classes)[y] + smoothing / num_classes
        shifted = outputs - outputs.max(axis=1, keepdims=True)
        log_p = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
        losses, delta = -(target * log_p).sum(axis=1), np.exp(log_p) - target
    else:
        error = outputs - y
        losses, delta = (error**2).mean(axis=1), 2.0 * error / error.shape[1]
    return float(share @ losses), delta * share[:, None]


def _clip(gradients: Layers, clip_norm: float | None) -> Layers:
    norm = math.sqrt(sum(float((g**2).sum()) for layer in gradients for g in layer.values()))
    if clip_norm is None or norm < clip_norm:
        return gradients
    return [{name: g * (clip_norm / norm) for name, g in layer.items()} for layer in gradients]


def _direction(g: Array, old: dict[str, Array], config: OracleConfig, t: int) -> tuple[Array, dict[str, Array]]:
    """The direction d of w -= alpha d at the t-th update (from 1), and the new slots of one array."""
    beta, b1, b2, eps = config.momentum, config.b1, config.b2, config.eps
    match config.optimizer:
        case "sgd":
            return g, {}
        case "momentum":
            v = beta * old["v"] + g
            return v, {"v": v}
        case "nesterov":
            v = beta * old["v"] + g
            return g + beta * v, {"v": v}
        case "momentum_ewa":
            v = beta * old["v"] + (1 - beta) * g
            return v, {"v": v}
        case "rmsprop":
            s = b2 * old["s"] + (1 - b2) * g**2
            return g / (np.sqrt(s) + eps), {"s": s}
        case "adam" | "adamw":
            m, s = b1 * old["m"] + (1 - b1) * g, b2 * old["s"] + (1 - b2) * g**2
            return (m / (1 - b1**t)) / (np.sqrt(s / (1 - b2**t)) + eps), {"m": m, "s": s}
    raise ValueError(f"no optimizer {config.optimizer}")


def _zeros_like(layers: Layers) -> Layers:
    return [{name: np.zeros_like(value) for name, value in layer.items()} for layer in layers]
