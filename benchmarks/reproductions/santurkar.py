"""Covariate shift that does no harm, and a loss that batch normalisation makes smoother (Santurkar et al. 2018).

`python -m benchmarks.reproductions.santurkar [--seeds 5] [--json FILE] [--figure FILE]`

Their three claims, https://arxiv.org/abs/1805.11604:

1. In a linear network of 25 layers, trained by gradient descent on all rows at once, the gradient of a layer changes
   when the layers below it take their step (their definition of internal covariate shift, 2.1). With batch
   normalisation it changes no less, and turns more, and yet the network trains better.
2. Noise after each normalisation, of another mean and deviation at every step, brings the shift back and takes little
   of the speed away: a noisy network still trains faster than one without normalisation.
3. Along the gradient, the loss of a normalised network varies less and its gradient turns less.

Ours: the linear network on normal inputs and targets that a random matrix makes of them (their sizes are not known to
us; ours are 10 inputs, units and outputs and 512 rows). The other two on digits with 8 hidden layers of 32 rectified
units instead of VGG on CIFAR-10. Every way has the best of the same learning rates, by its last training loss, the mean
over seeds; all rates and seeds train at once. The noise is theirs as far as we remember: the mean of each unit uniform
in -0.5 to 0.5, its deviation uniform in 1 to 1.25, and for each row uniform and normal by 0.1 round these.
"""

import argparse
import functools
import itertools
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import flax.struct
import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import Array

import jaxbn
from benchmarks.about import about_machine
from benchmarks.reproductions.trainable_share import interval
from jaxbn.nn import batch_norm, dense, losses, train
from jaxbn.nn.batch_norm import BatchNormParams, BatchNormState
from jaxbn.nn.mlp import BATCH_NORM, Normalization, mlp
from jaxbn.nn.types import Batch, Hyperparams, Leaf, Model, PyTree, Spec, TrainState, Variables

DEPTH, WIDTH, ROWS = 25, 10, 512
LINEAR_STEPS, LINEAR_RATES = 200, tuple(np.logspace(-6, 0, 13).tolist())
LOOKED_AT = (4, 12, 20)
"""Layers of the linear network, from 0, whose shift is measured."""

HIDDEN, UNITS, BATCH, EPOCHS = 8, 32, 64, 15
RATES = tuple(np.logspace(-3, 0, 10).tolist())
WAYS = {"none": "without", "batch": "batch normalisation", "noisy": "noisy batch normalisation"}
MEAN, DEVIATION, BY_ROW = 0.5, 1.25, 0.1
ALONG = tuple(np.linspace(0.05, 0.4, 8).tolist())
"""Lengths of the steps along the gradient at which the landscape is looked at."""

# 1. The linear network.


@flax.struct.dataclass
class Layer:
    """A layer of the linear network: [WIDTH, WIDTH], and gamma and beta where it is normalised."""

    kernel: Leaf
    norm: BatchNormParams | None


def linear_outputs(layers: tuple[Layer, ...], x: Array) -> Array:
    """The outputs [N, WIDTH]; all layers but the last are normalised, if any is."""
    for layer in layers:
        x = dense.apply(dense.Dense(layer.kernel, None), x)
        if layer.norm is not None:
            x = batch_norm.normalize(x, batch_norm.moments(x), layer.norm, epsilon=1e-5)
    return x


def linear_loss(layers: tuple[Layer, ...], x: Array, y: Array) -> Array:
    """Half the mean squared error."""
    return 0.5 * jnp.square(linear_outputs(layers, x) - y).mean()


def linear_problem(key: Array, *, normalized: bool) -> tuple[tuple[Layer, ...], Array, Array]:
    """Weights, inputs and targets; the same whether normalised or not."""
    for_weights, for_x, for_map = jax.random.split(key, 3)
    kernels = jax.random.normal(for_weights, (DEPTH, WIDTH, WIDTH)) / jnp.sqrt(WIDTH)
    norm = batch_norm.init(WIDTH)[0] if normalized else None
    layers = tuple(Layer(kernels[k], norm if k + 1 < DEPTH else None) for k in range(DEPTH))
    x = jax.random.normal(for_x, (ROWS, WIDTH))
    return layers, x, x @ jax.random.normal(for_map, (WIDTH, WIDTH)) / jnp.sqrt(WIDTH)


def shift_of(
    layers: tuple[Layer, ...], stepped: tuple[Layer, ...], place: int, gradient: Callable[..., tuple[Layer, ...]]
) -> tuple[Array, Array]:
    """How the gradient of a layer changes when those below it take their step (their definition 2.1).

    Args:
        layers: before the step.
        stepped: after it.
        place: of the layer.
        gradient: of the loss by all layers.

    Returns:
        The length of the change in units of the gradient's own, and the cosine between before and after.
    """
    before = gradient(layers)[place].kernel.ravel()
    after = gradient((*stepped[:place], *layers[place:]))[place].kernel.ravel()
    lengths = jnp.linalg.norm(before) * jnp.linalg.norm(after)
    return jnp.linalg.norm(after - before) / jnp.linalg.norm(before), before @ after / lengths


@functools.partial(jax.jit, static_argnames=("normalized", "looking"))
def linear_run(key: Array, rate: Array, *, normalized: bool, looking: bool) -> tuple[Array, Array, Array]:
    """Losses [S] of a run, and the relative shifts and cosines of the layers looked at, [S, 3]."""
    layers, x, y = linear_problem(key, normalized=normalized)
    gradient = jax.grad(lambda layers: linear_loss(layers, x, y))

    def step(layers: tuple[Layer, ...], _: None) -> tuple[tuple[Layer, ...], tuple[Array, Array, Array]]:
        stepped = jax.tree.map(lambda w, g: w - rate * g, layers, gradient(layers))
        shifts = [shift_of(layers, stepped, place, gradient) for place in LOOKED_AT] if looking else []
        lengths, cosines = (
            jnp.stack(part) if looking else jnp.zeros(0) for part in zip(*shifts or [((), ())], strict=True)
        )
        return stepped, (linear_loss(layers, x, y), lengths, cosines)

    return jax.lax.scan(step, layers, None, length=LINEAR_STEPS)[1]


def linear_part(num_seeds: int) -> dict[str, Any]:
    """What comes of the linear network, with and without."""
    keys = jax.random.split(jax.random.key(0), num_seeds)
    found: dict[str, Any] = {}
    for name, normalized in (("none", False), ("batch", True)):
        run = functools.partial(linear_run, normalized=normalized, looking=False)
        tried = jax.vmap(jax.vmap(run, in_axes=(None, 0)), in_axes=(0, None))(keys, jnp.array(LINEAR_RATES))[0]
        place = best(np.asarray(tried)[:, :, -1])
        rate = LINEAR_RATES[place]
        run = functools.partial(linear_run, normalized=normalized, looking=True)
        curves, lengths, cosines = (np.asarray(part) for part in jax.vmap(run, in_axes=(0, None))(keys, rate))
        found[name] = {
            "rate": rate,
            "losses": curves.mean(0).tolist(),
            "last_loss": curves[:, -1].tolist(),
            "shift": lengths.mean((1, 2)).tolist(),
            "cosine": cosines.mean((1, 2)).tolist(),
            "cosines": cosines.mean((0, 2)).tolist(),
        }
    for name in ("last_loss", "shift", "cosine"):
        change = np.array(found["batch"][name]) - np.array(found["none"][name])
        found[f"change_of_{name}"] = [float(change.mean()), *interval(change)]
    return found


def best(last: np.ndarray) -> int:
    """The place of the rate with the least mean of the last losses, [seeds, rates]; what is not finite never wins.

    Example:
        >>> best(np.array([[1.0, 0.5, np.nan], [1.0, 0.7, 0.1]]))
        1
    """
    means = last.mean(0)
    return int(np.argmin(np.where(np.isfinite(means), means, np.inf)))


# 2. Noise after each normalisation.


@flax.struct.dataclass
class NoisyState:
    """Running statistics, and where the noise comes from."""

    norm: BatchNormState
    key: Array


def noise(key: Array, z: Array) -> Array:
    """Shift and scale each unit at random, another way for each call, and a little for each row.

    Args:
        key: consumed.
        z: [B, F].
    """
    keys = jax.random.split(key, 4)
    units = z.shape[1:]
    mean = jax.random.uniform(keys[0], units, minval=-MEAN, maxval=MEAN)
    deviation = jax.random.uniform(keys[1], units, minval=1, maxval=DEVIATION)
    shift = mean[None, :] + jax.random.uniform(keys[2], z.shape, minval=-BY_ROW, maxval=BY_ROW)
    scale = deviation[None, :] + BY_ROW * jax.random.normal(keys[3], z.shape)
    return scale * z + shift


def noisy() -> Normalization:
    """Batch normalisation with noise after it in training."""
    layers = itertools.count()

    def init(num_features: int, dtype: Any) -> tuple[BatchNormParams, NoisyState]:
        params, state = BATCH_NORM.init(num_features, dtype)
        return params, NoisyState(state, jax.random.key(next(layers)))

    def apply(
        params: BatchNormParams, state: NoisyState, x: Array, hyperparams: Hyperparams, *, training: bool, where: Any
    ) -> tuple[Array, NoisyState]:
        z, norm = BATCH_NORM.apply(params, state.norm, x, hyperparams, training=training, where=where)
        if not training:
            return z, NoisyState(norm, state.key)
        key, now = jax.random.split(state.key)
        return noise(now, z), NoisyState(norm, key)

    return Normalization(init, apply)


def spec_of(way: str) -> Spec:
    """The network of a way; plain gradient descent."""
    normalization = "none" if way == "none" else "batch"
    return Spec(widths=(UNITS,) * HIDDEN, batch_size=BATCH, optimizers=("sgd",), normalization=normalization)


def model_of(way: str, num_inputs: int, num_outputs: int) -> Model:
    """The same as functions."""
    norm = noisy() if way == "noisy" else BATCH_NORM
    return mlp(spec_of(way), num_inputs=num_inputs, num_outputs=num_outputs, norm=norm)


def rows() -> tuple[np.ndarray, np.ndarray]:
    """Digits, standardised by the deviation of all pixels, and labels."""
    data = jaxbn.load_data("digits")
    x = data.features.numeric.astype(np.float32)
    return (x - x.mean()) / x.std(), np.asarray(data.target, np.int32)


def trained(
    key: Array, rate: Array, x: Array, y: Array, *, way: str, epochs: int = EPOCHS
) -> tuple[TrainState, dict[str, Array]]:
    """One run: the last state, and for each step the loss, the accuracy, and the moments of a middle layer's inputs."""
    spec, model = spec_of(way), model_of(way, x.shape[1], 10)
    h = Hyperparams(learning_rate=rate)
    for_init, for_order = jax.random.split(key)
    state = train.init(for_init, h, model=model, spec=spec)
    steps = len(x) // BATCH

    def step(state: TrainState, index: Array) -> tuple[TrainState, dict[str, Array]]:
        order = jax.random.permutation(jax.random.fold_in(for_order, index // steps), len(x))
        places = jax.lax.dynamic_slice_in_dim(order, index % steps * BATCH, BATCH)
        batch = Batch(x=x[places], y=y[places])
        outputs, _ = model.apply(Variables(state.params, state.model_state), batch.x, h, training=True)
        after, metrics = train.step(state, batch, h, model=model, spec=spec)
        right = (outputs.argmax(-1) == batch.y).mean()
        return after, {"loss": metrics.loss, "accuracy": right}

    return jax.lax.scan(step, state, jnp.arange(epochs * steps))


def noisy_part(num_seeds: int) -> dict[str, Any]:
    """Training curves of the three ways, each at its best rate."""
    x, y = (jnp.asarray(part) for part in rows())
    keys = jax.random.split(jax.random.key(1), num_seeds)
    found: dict[str, Any] = {}
    for way in WAYS:
        run = jax.jit(jax.vmap(jax.vmap(lambda k, r, way=way: trained(k, r, x, y, way=way)[1], (None, 0)), (0, None)))
        curves = {name: np.asarray(part) for name, part in run(keys, jnp.array(RATES)).items()}
        steps = len(x) // BATCH
        epochs = {name: part.reshape(num_seeds, len(RATES), EPOCHS, steps).mean(-1) for name, part in curves.items()}
        place = best(epochs["loss"][:, :, -1])
        accuracy = epochs["accuracy"][:, place]
        found[way] = {
            "rate": RATES[place],
            "loss": epochs["loss"][:, place].mean(0).tolist(),
            "accuracy": accuracy.mean(0).tolist(),
            "last_accuracy": accuracy[:, -1].tolist(),
            "epochs_to_90": [first_at(curve, 0.9) for curve in accuracy],
        }
        found[way]["landscape"] = landscape(keys, RATES[place], x, y, way)
    return found


def first_at(curve: np.ndarray, level: float) -> float:
    """The epoch, from 1, that first reaches a level; one more than there are if none does.

    Example:
        >>> first_at(np.array([0.2, 0.95, 0.8]), 0.9), first_at(np.array([0.2]), 0.9)
        (2.0, 2.0)
    """
    return float(np.argmax(curve >= level) + 1) if (curve >= level).any() else len(curve) + 1.0


# 3. The landscape along the gradient.


def along(gradient: Callable[[PyTree], tuple[Array, PyTree]], params: PyTree) -> tuple[Array, Array]:
    """The loss, and how far the gradient turns away, at some steps along the gradient.

    Args:
        gradient: the loss and its gradient.
        params: where to look from.

    Returns:
        Losses [len(ALONG)], less that at the start, and lengths of the change of the gradient [len(ALONG)], in units of
        its own. Steps have the lengths of `ALONG` in units of the length of all weights: a network whose weights are
        larger is not smoother for that.
    """
    loss, slope = gradient(params)
    scale = optax.tree.norm(params) / optax.tree.norm(slope)

    def at(length: Array) -> tuple[Array, Array]:
        there, turned = gradient(jax.tree.map(lambda w, g: w - length * scale * g, params, slope))
        change = optax.tree.norm(optax.tree.sub(turned, slope)) / optax.tree.norm(slope)
        return there - loss, change

    return jax.vmap(at)(jnp.array(ALONG))


def landscape(keys: Array, rate: float, x: Array, y: Array, way: str) -> dict[str, Any]:
    """What is met along the gradient after each of a few epochs: of losses the range, of gradients the mean change."""
    model, spec = model_of(way, x.shape[1], 10), spec_of(way)

    def one(key: Array, epochs: int) -> tuple[Array, Array]:
        state, _ = trained(key, jnp.asarray(rate), x, y, way=way, epochs=epochs)
        batch, h = Batch(x=x[:512], y=y[:512]), Hyperparams()

        def loss(params: PyTree) -> Array:
            outputs, _ = model.apply(Variables(params, state.model_state), batch.x, h, training=True)
            return losses.softmax_cross_entropy(outputs, batch, h, spec=spec).loss

        return along(jax.value_and_grad(loss), state.params)

    found = [jax.jit(jax.vmap(lambda key, e=epochs: one(key, e)))(keys) for epochs in (1, 2, 4)]
    change = np.array([np.asarray(part[0]) for part in found])
    turned = np.array([np.asarray(part[1]) for part in found])
    return {
        "loss_range": np.ptp(np.concatenate([0 * change[..., :1], change], -1), axis=-1).mean(0).tolist(),
        "turned": turned.mean((0, 2)).tolist(),
    }


def main() -> None:
    """Run it and print what came of it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--figure", type=Path)
    asked = parser.parse_args()
    began = time.perf_counter()
    linear, deep = linear_part(asked.seeds), noisy_part(asked.seeds)
    device = jax.local_devices()[0]
    record = {
        "device": f"{device.platform}: {device.device_kind}",
        **about_machine(),
        "num_seeds": asked.seeds,
        "linear": linear,
        "deep": deep,
        "seconds": round(time.perf_counter() - began, 1),
    }
    show(record)
    if asked.json:
        asked.json.write_text(json.dumps(record) + "\n")
    if asked.figure:
        figure(record, asked.figure)


def told(values: Any, digits: int = 3) -> str:
    """A mean and its interval."""
    values = np.asarray(values)
    low, high = interval(values)
    return f"{values.mean():.{digits}g} ({low:.{digits}g} to {high:.{digits}g})"


def show(record: dict[str, Any]) -> None:
    """The tables, as Markdown."""
    print("| linear network of 25 layers | rate | last loss | change of the gradient, relative | cosine |")
    print("|---|---|---|---|---|")
    for way in ("none", "batch"):
        row = record["linear"][way]
        figures = " | ".join(told(row[name]) for name in ("last_loss", "shift", "cosine"))
        print(f"| {WAYS[way]} | {row['rate']:.2g} | {figures} |")
    for name in ("last_loss", "shift", "cosine"):
        mean, low, high = record["linear"][f"change_of_{name}"]
        print(f"with minus without, {name}: {mean:+.3g} ({low:+.3g} to {high:+.3g})")
    print("| digits, 8 hidden layers | rate | epochs to 90 % | last accuracy | range of the loss | gradient turned |")
    print("|---|---|---|---|---|---|")
    for way, word in WAYS.items():
        row = record["deep"][way]
        ground = row["landscape"]
        print(
            f"| {word} | {row['rate']:.2g} | {told(row['epochs_to_90'])} | {told(row['last_accuracy'], 4)} | "
            f"{told(ground['loss_range'])} | {told(ground['turned'])} |"
        )
    print(f"{record['seconds']:.0f} s")


def figure(record: dict[str, Any], path: Path) -> None:
    """Loss and cosine of the linear network; accuracy of the three ways; the landscape."""
    from jaxbn.plots.style import BLUE, GREEN, VERMILION, legend, many, tidy

    colors = dict(zip(WAYS, (VERMILION, BLUE, GREEN), strict=True))
    panels = many(None, 4, columns=2, panel=(4.0, 2.9))
    for way in ("none", "batch"):
        row = record["linear"][way]
        steps = np.arange(LINEAR_STEPS)
        panels[0].plot(steps, row["losses"], color=colors[way], label=WAYS[way])
        panels[1].plot(steps, row["cosines"], color=colors[way], label=WAYS[way])
    panels[0].set_yscale("log")
    panels[1].axhline(0, color="#C8C8C8", linewidth=0.8)
    for way, word in WAYS.items():
        row = record["deep"][way]
        panels[2].plot(
            np.arange(EPOCHS) + 1, 100 * np.array(row["accuracy"]), "o-", ms=3, color=colors[way], label=word
        )
    places = np.arange(len(WAYS))
    for place, way in zip(places, WAYS, strict=True):
        ground = record["deep"][way]["landscape"]["turned"]
        low, high = interval(np.array(ground))
        middle = float(np.mean(ground))
        panels[3].errorbar(place, middle, yerr=[[middle - low], [high - middle]], fmt="o", capsize=4, color=colors[way])
    panels[3].set_xticks(places, ["without", "batch norm", "noisy"])
    panels[3].set_xlim(-0.5, len(WAYS) - 0.5)
    panels[3].set_yscale("log")
    tidy(panels[0], x="step", y="loss", title="linear network, 25 layers")
    tidy(panels[1], x="step", y="cosine before and after", title="how the gradient turns")
    tidy(panels[2], x="epoch", y="training accuracy, %", title="digits, 8 hidden layers")
    tidy(panels[3], y="change of the gradient, relative", title="along the gradient")
    legend(panels[2], loc="lower right")
    panels[0].figure.savefig(path, dpi=150)


if __name__ == "__main__":
    main()
