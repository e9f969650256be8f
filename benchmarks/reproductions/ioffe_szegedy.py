"""Sigmoid networks with batch normalisation and without, and larger learning rates (Ioffe and Szegedy 2015).

`python -m benchmarks.reproductions.ioffe_szegedy [--seeds 5] [--epochs 40] [--json FILE] [--figure FILE]`

Their section 4.1: three hidden layers of 100 sigmoid units on MNIST, 60 rows to a mini-batch, test accuracy against
training steps, and the 15th, 50th and 85th percentiles of the input of a typical unit of the last hidden layer. Their
section 4.2: Inception on ImageNet at its learning rate and, with batch normalisation, at 1, 5 and 30 times that rate;
how many steps each needs to the best accuracy of Inception without. Here the network of section 4.1 does both, the
second with sigmoid and with relu.

The learning rate x1 is chosen for the network *without* batch normalisation: of 1, 3 and 10 for sigmoid and 0.1, 0.3
and 1 for relu, the one of the highest validation accuracy over the last 10 epochs, mean over seeds. Accuracies that are
compared are of test rows. A seed has a split, initial weights and a data order of its own, which all networks share, so
differences are paired. Networks of one activation and one way differ in their learning rate only: they train together,
as one program.

What is not theirs: 5,000 images of MNIST (3,600 to train, 400 to choose the rate, 1,000 to test) where they have
60,000 and 10,000, and 2,400 steps where they have 50,000: so that it takes minutes. They give no learning rate for
MNIST; ours is the x1 above. Their small Gaussian weights have a standard deviation that the paper does not give; ours
is 1 / sqrt(inputs), times sqrt(2) under relu. Their percentiles are of the network as it trains, ours of test rows by
the running statistics. In their section 4.2 the networks at x5 and x30 have, beside the larger rate, no dropout, less
weight decay, a faster decay of the rate and other changes of the kind, and train with momentum; here the rate alone
changes, it does not decay, and there is no momentum.
"""

import argparse
import functools
import json
import math
import time
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

import jaxbn
from benchmarks.about import about_device
from benchmarks.curves import seconds_to
from benchmarks.reproductions.trainable_share import interval
from jaxbn import Dataset, Hyperparams, Spec, mlp, train
from jaxbn.data import split_rows
from jaxbn.nn.metrics import accuracy
from jaxbn.nn.mlp import unit_inputs
from jaxbn.nn.types import Rows, TrainState, Variables

WAYS = {"none": "without", "batch": "with"}
ACTIVATIONS = ("sigmoid", "relu")
WIDTHS, BATCH_SIZE = (100, 100, 100), 60
CANDIDATES = {"sigmoid": (1.0, 3.0, 10.0), "relu": (0.1, 0.3, 1.0)}
"""The lowest and the highest of each train worse than those between."""

TIMES: tuple[int, ...] = (1, 5, 30)
PERCENTILES = (15, 50, 85)
VALID_FRACTION, TEST_FRACTION = 0.08, 0.2
EARLY = 0.8
"""A test accuracy that is the same for all, beside the two levels that follow from the baseline."""

LAST = 10
"""Epochs at the end over which an accuracy is averaged: single ones are noisy."""

THEIRS = {
    "without x1": {"steps": 31.0e6, "best": 0.722},
    "without x5": {"failed": "diverged"},
    "with x1": {"steps": 13.3e6, "best": 0.727},
    "with x5": {"steps": 2.1e6, "best": 0.730},
    "with x30": {"steps": 2.7e6, "best": 0.748},
}
"""Their figure 3 and section 4.2.2: steps to 72.2 %, and the highest validation accuracy."""

Parts = tuple[Rows, Rows, Rows]
"""To train, to choose the rate, to test."""


def parts_of(dataset: Dataset, seed: int) -> Parts:
    """The pictures of one split, in black and white as theirs are."""
    split, _ = split_rows(dataset, seed=seed, valid_fraction=VALID_FRACTION, test_fraction=TEST_FRACTION)

    def rows(numbers: np.ndarray) -> Rows:
        ink = jnp.asarray(dataset.features.numeric[numbers] > 127, jnp.float32)
        return Rows(ink, jnp.asarray(dataset.target[numbers]), jnp.ones(len(numbers)), len(numbers))

    return rows(split.train), rows(split.valid), rows(split.test)


@functools.partial(jax.jit, static_argnames=("spec", "num_epochs"))
def _trained(key: Array, parts: Parts, rates: Array, *, spec: Spec, num_epochs: int) -> dict[str, Array]:
    """What `trained` returns, as arrays on the device."""
    learn, judged = parts[0], dict(zip(("valid", "test"), parts[1:], strict=True))
    model = mlp(spec, num_inputs=learn.x.shape[1], num_outputs=10)
    hyperparams = jax.vmap(lambda rate: Hyperparams(learning_rate=rate))(rates)
    init_key, order_key = jax.random.split(key)
    init = functools.partial(train.init, init_key, model=model, spec=spec)
    # A mini-batch is gathered once for all members; each has its own weights and its own rate.
    step = jax.vmap(functools.partial(train.step, model=model, spec=spec), in_axes=(0, None, 0))

    def judge(variables: Variables, h: Hyperparams) -> dict[str, Array]:
        seen = {}
        for name, rows in judged.items():
            outputs, _ = model.apply(variables, rows.x, h, training=False)
            seen[name] = accuracy(outputs, rows.y, jnp.ones(len(rows.y), bool))
        if spec.activation == "sigmoid":
            # Sorting costs a fifth of the training, and their figure is of sigmoid.
            *_, last = unit_inputs(variables, judged["test"].x, h, spec=spec)
            seen["percentiles"] = jnp.percentile(last, jnp.array(PERCENTILES), axis=0)
        return seen

    def epoch(state: TrainState, key: Array) -> tuple[TrainState, dict[str, Array]]:
        order = train.order(key, learn.num_rows, size=len(learn.x))
        state, metrics = train.epoch(
            key, state, learn, order, hyperparams, batch_size=BATCH_SIZE, size=BATCH_SIZE, step=step
        )
        return state, {"loss": metrics.loss, **jax.vmap(judge)(state.variables, hyperparams)}

    _, found = jax.lax.scan(epoch, jax.vmap(init)(hyperparams), jax.random.split(order_key, num_epochs))
    return {name: jnp.moveaxis(values, 0, 1) for name, values in found.items()}


def trained(
    seed: int, parts: Parts, activation: str, way: str, rates: tuple[float, ...], num_epochs: int
) -> dict[str, np.ndarray]:
    """A population that differs in its learning rate alone, looked at after each epoch.

    Returns:
        Training loss, validation and test accuracy, [rate, epoch] each; under sigmoid also the percentiles of the
        input of each unit of the last hidden layer over the test rows, [rate, epoch, 3, unit].
    """
    spec = Spec(widths=WIDTHS, batch_size=BATCH_SIZE, optimizers=("sgd",), activation=activation, normalization=way)
    key = jax.random.key(seed)
    found = _trained(key, parts, jnp.array(rates, jnp.float32), spec=spec, num_epochs=num_epochs)
    return {name: np.asarray(values) for name, values in found.items()}


def best_rate(rates: tuple[float, ...], valid: np.ndarray) -> float:
    """The rate of the highest accuracy over the last epochs, mean over seeds; valid is [seed, rate, epoch].

    Example:
        >>> best_rate((0.1, 1.0), np.array([[[0.2, 0.9], [0.2, 0.1]], [[0.3, 0.3], [0.3, 0.4]]]))
        0.1
    """
    return rates[int(valid[..., -LAST:].mean((0, 2)).argmax())]


def growth(percentiles: np.ndarray) -> np.ndarray:
    """How many times its first spread the spread of a unit's input became, [unit]; percentiles are [epoch, 3, unit].

    The spread is from the 15th to the 85th percentile.
    """
    spread = percentiles[:, 2] - percentiles[:, 0]
    return spread.max(0) / spread[0]


def drift(percentiles: np.ndarray) -> np.ndarray:
    """From its lowest to its highest, the median of a unit's input in units of its mean spread, [unit]."""
    return np.ptp(percentiles[:, 1], axis=0) / (percentiles[:, 2] - percentiles[:, 0]).mean(0)


def typical(values: np.ndarray) -> int:
    """The unit whose value is in the middle of the layer; of two in the middle, the lower."""
    return int(np.argsort(values, kind="stable")[(len(values) - 1) // 2])


def steps_to(scores: np.ndarray, level: float, *, steps_per_epoch: int) -> float:
    """Steps after which an accuracy was first seen to reach a level; infinity where it was not."""
    steps = steps_per_epoch * np.arange(1, len(scores) + 1)
    return seconds_to(list(zip(steps.tolist(), scores.tolist(), strict=True)), level)


def geometric(factors: np.ndarray) -> dict[str, Any]:
    """The geometric mean of factors above 0, one for each seed, and its 95 % interval: that of their logarithms."""
    logs = np.log(factors)
    return {"mean": math.exp(logs.mean()), "interval_95": [math.exp(end) for end in interval(logs)]}


def times_fewer(baseline: np.ndarray, steps: np.ndarray) -> dict[str, Any] | None:
    """By what factor `steps` are fewer than those of the baseline, paired over seeds; None where one is infinite."""
    return geometric(baseline / steps) if np.isfinite([baseline, steps]).all() else None


def rates_row(
    network: dict[str, np.ndarray], baseline: dict[str, np.ndarray], *, steps_per_epoch: int
) -> dict[str, Any]:
    """What came of one network at one rate, beside the network without at x1; arrays are [seed, epoch].

    Two levels are of their seed: the best test accuracy of the baseline, and one point less. The third is `EARLY`.
    """
    found: dict[str, Any] = {"num_diverged": int((~np.isfinite(network["loss"][:, -1])).sum())}
    best = baseline["test"].max(1)
    for name, levels in (("best", best), ("one_point_below", best - 0.01), ("early", np.full(len(best), EARLY))):
        theirs, steps = (
            np.array([steps_to(*pair, steps_per_epoch=steps_per_epoch) for pair in zip(tests, levels, strict=True)])
            for tests in (baseline["test"], network["test"])
        )
        reached = np.isfinite(steps)
        found[f"to_{name}"] = {
            # JSON has no word for infinity.
            "steps": [step if math.isfinite(step) else None for step in steps.tolist()],
            "seeds_that_reach": int(reached.sum()),
            "median_steps": float(np.median(steps)) if reached.all() else None,
            "times_fewer": times_fewer(theirs, steps),
        }
    last = network["test"][:, -LAST:].mean(1)
    gain = last - baseline["test"][:, -LAST:].mean(1)
    return found | {
        "best_test": float(network["test"].max(1).mean()),
        "last_test": float(last.mean()),
        "last_gain": float(gain.mean()),
        "interval_95_last_gain": interval(gain),
        "last_loss": float(network["loss"][:, -1].mean()) if not found["num_diverged"] else None,
    }


def movement(percentiles: np.ndarray) -> dict[str, Any]:
    """How far inputs move, for the median unit of each seed; percentiles are [seed, epoch, 3, unit]."""
    found: dict[str, Any] = {}
    for name, measure in (("drift", drift), ("growth", growth)):
        values = np.array([np.median(measure(of_seed)) for of_seed in percentiles])
        found[name] = {"seeds": values.tolist(), **geometric(values)}
    unit = typical(drift(percentiles[0]))
    drawn = percentiles[0][:, :, unit]
    return found | {"typical_unit": unit, "typical_percentiles": drawn.round(4).tolist()}


def over_time(without: np.ndarray, with_bn: np.ndarray, *, steps_per_epoch: int) -> list[dict[str, Any]]:
    """Test accuracy after some numbers of steps, [seed, epoch] both, and the paired difference."""
    num_epochs = without.shape[1]
    shown = [epoch for epoch in (1, 2, 5, 10, 20, 40) if epoch < num_epochs]
    return [
        {
            "steps": steps_per_epoch * epoch,
            "none": float(without[:, epoch - 1].mean()),
            "batch": float(with_bn[:, epoch - 1].mean()),
            "gain": float((with_bn - without)[:, epoch - 1].mean()),
            "interval_95_gain": interval((with_bn - without)[:, epoch - 1]),
        }
        for epoch in (*shown, num_epochs)
    ]


def networks_of(activation: str, seeds: list[Parts], num_epochs: int) -> tuple[float, dict[str, dict[str, np.ndarray]]]:
    """The rate x1, and every network that is compared, by a name such as "with x5"; arrays start with the seed."""

    def runs(way: str, rates: tuple[float, ...]) -> dict[str, np.ndarray]:
        found = [trained(seed, parts, activation, way, rates, num_epochs) for seed, parts in enumerate(seeds)]
        return {name: np.stack([run[name] for run in found]) for name in found[0]}

    candidates = CANDIDATES[activation]
    search = runs("none", candidates)
    base = best_rate(candidates, search["valid"])
    chosen = candidates.index(base)
    networks = {"without x1": {name: values[:, chosen] for name, values in search.items()}}
    # The baseline has trained already, among the candidates.
    for way, times in (("none", TIMES[1:]), ("batch", TIMES)):
        found = runs(way, tuple(base * factor for factor in times))
        for place, factor in enumerate(times):
            networks[f"{WAYS[way]} x{factor}"] = {name: values[:, place] for name, values in found.items()}
    return base, networks


def main() -> None:
    """Run it and print what came of it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--epochs", type=int, default=40)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--figure", type=Path)
    asked = parser.parse_args()
    began = time.perf_counter()
    dataset = jaxbn.load_data("mnist5k")
    seeds = [parts_of(dataset, seed) for seed in range(asked.seeds)]
    num_rows = [int(rows.num_rows) for rows in seeds[0]]
    steps_per_epoch = -(-num_rows[0] // BATCH_SIZE)
    found: dict[str, Any] = {}
    for activation in ACTIVATIONS:
        base, networks = networks_of(activation, seeds, asked.epochs)
        baseline = networks["without x1"]
        found[activation] = {
            "learning_rate": base,
            "rows": {
                name: rates_row(network, baseline, steps_per_epoch=steps_per_epoch)
                for name, network in networks.items()
            },
            "test": {name: network["test"].round(4).tolist() for name, network in networks.items()},
        }
        if activation == "sigmoid":
            both = {way: networks[f"{word} x1"] for way, word in WAYS.items()}
            found["over_time"] = over_time(both["none"]["test"], both["batch"]["test"], steps_per_epoch=steps_per_epoch)
            found["movement"] = {way: movement(network["percentiles"]) for way, network in both.items()}
        print(f"{activation}: {time.perf_counter() - began:.0f} s", flush=True)
    record = {
        **about_device(),
        "data": "mnist5k",
        "num_rows": dict(zip(("train", "valid", "test"), num_rows, strict=True)),
        "hidden_units": WIDTHS,
        "batch_size": BATCH_SIZE,
        "steps_per_epoch": steps_per_epoch,
        "num_epochs": asked.epochs,
        "num_seeds": asked.seeds,
        "candidates": CANDIDATES,
        "theirs": THEIRS,
        "seconds": round(time.perf_counter() - began, 1),
        **found,
    }
    show(record)
    if asked.json:
        asked.json.write_text(json.dumps(record) + "\n")
    if asked.figure:
        figure(record, asked.figure)


def show(record: dict[str, Any]) -> None:
    """The tables, as Markdown."""
    print("| training steps | ours, without | ours, with | with minus without, 95 % interval |")
    print("|---|---|---|---|")
    for row in record["over_time"]:
        low, high = row["interval_95_gain"]
        print(
            f"| {row['steps']:,} | {row['none']:.3f} | {row['batch']:.3f} | "
            f"{row['gain']:+.3f} ({low:+.3f} to {high:+.3f}) |"
        )
    print(f"\n| batch norm | steps to {EARLY:.0%} (times fewer) | median moves, in spreads | spread grows, times |")
    print("|---|---|---|---|")
    for way, word in WAYS.items():
        early = record["sigmoid"]["rows"][f"{word} x1"]["to_early"]
        cells = [_with_interval(record["movement"][way][name]) for name in ("drift", "growth")]
        print(f"| {word} | {_steps(early, record['num_seeds'], alone=way == 'none')} | {' | '.join(cells)} |")
    print(
        "\n| activation | network | rate | theirs: steps to 72.2 % (times fewer) | ours: steps to the best of "
        "x1 without (times fewer) | ours: to 1 point less | theirs: best | ours: best | ours: last epochs | "
        "minus x1 without |"
    )
    print("|---" * 10 + "|")
    for activation in ACTIVATIONS:
        found = record[activation]
        for name, row in found["rows"].items():
            low, high = row["interval_95_last_gain"]
            rate = found["learning_rate"] * int(name.rpartition("x")[2])
            # Inception is a network of relu units.
            theirs = _theirs(record["theirs"].get(name, {}) if activation == "relu" else {})
            alone = name == "without x1"
            best, below = (
                _steps(row[f"to_{level}"], record["num_seeds"], alone=alone) for level in ("best", "one_point_below")
            )
            gain = "" if alone else f"{row['last_gain']:+.3f} ({low:+.3f} to {high:+.3f})"
            diverged = f" ({row['num_diverged']} of {record['num_seeds']} diverged)" if row["num_diverged"] else ""
            cells = [activation, name, f"{rate:g}", theirs[0], best, below, theirs[1], f"{row['best_test']:.3f}"]
            cells += [f"{row['last_test']:.3f}{diverged}", gain]
            print(f"| {' | '.join(cells)} |")


def _with_interval(found: dict[str, Any]) -> str:
    low, high = found["interval_95"]
    return f"{found['mean']:.1f} ({low:.1f} to {high:.1f})"


def _theirs(row: dict[str, Any]) -> tuple[str, str]:
    """Steps and best accuracy, as far as the paper tells them."""
    if "steps" not in row:
        return row.get("failed", ""), ""
    fewer = THEIRS["without x1"]["steps"] / row["steps"]
    return f"{row['steps'] / 1e6:.1f}M" + (f" ({fewer:.1f})" if fewer != 1 else ""), f"{row['best']:.3f}"


def _steps(level: dict[str, Any], num_seeds: int, *, alone: bool) -> str:
    """The median number of steps, and the factor; only how many seeds got there where some did not."""
    if level["median_steps"] is None:
        return f"in {level['seeds_that_reach']} of {num_seeds} seeds"
    factor = "" if alone or level["times_fewer"] is None else f": {_with_interval(level['times_fewer'])}"
    return f"{level['median_steps']:,.0f}{factor}"


def figure(record: dict[str, Any], path: Path) -> None:
    """Their figure 1 above; below, test error against steps at each rate, a panel for each activation."""
    from matplotlib.ticker import NullFormatter

    from jaxbn.plots.activations import activations
    from jaxbn.plots.style import BLUE, VERMILION, legend, many, tidy

    panels = many(None, 6, columns=3, panel=(3.3, 2.9))
    steps = record["steps_per_epoch"] * np.arange(1, record["num_epochs"] + 1)
    colors = {"without": VERMILION, "with": BLUE}
    for word, color in colors.items():
        test = 100 * np.array(record["sigmoid"]["test"][f"{word} x1"])
        panels[0].fill_between(steps, test.min(0), test.max(0), color=color, alpha=0.2, linewidth=0)
        panels[0].plot(steps, test.mean(0), color=color, linewidth=1.8, label=f"{word} batch normalisation")
    rate = f"{record['sigmoid']['learning_rate']:g}"
    tidy(panels[0], x="training steps", y="test accuracy, %", title=f"sigmoid, rate {rate}")
    legend(panels[0], loc="lower right")
    moved = record["movement"]
    drawn = (moved[way]["typical_percentiles"] for way in WAYS)
    activations(*drawn, steps=steps, percentiles=PERCENTILES, xlabel="training steps", axes=panels[1:3])
    lines = dict(zip(TIMES, ("-", "--", ":"), strict=True))
    for ax, activation in zip(panels[3:5], ACTIVATIONS, strict=True):
        for name, test in record[activation]["test"].items():
            word, _, times = name.partition(" x")
            mean = 100 * (1 - np.array(test).mean(0))
            ax.plot(steps, mean, lines[int(times)], color=colors[word], linewidth=1.5, label=name)
        # Accuracies near 92 % and near 10 % are to be told apart in one panel.
        ax.set_yscale("log")
        ax.set_yticks((5, 10, 20, 50, 100), ("5", "10", "20", "50", "100"))
        ax.yaxis.set_minor_formatter(NullFormatter())
        ax.set_ylim(5, 110)
        rate = f"{record[activation]['learning_rate']:g}"
        tidy(ax, x="training steps", y="test error, % (log scale)", title=f"{activation}, x1 is rate {rate}")
    # The sixth panel is the place of what both say.
    panels[5].axis("off")
    handles, labels = panels[3].get_legend_handles_labels()
    panels[5].legend(
        handles,
        labels,
        loc="center left",
        frameon=False,
        fontsize=9,
        title="batch normalisation, rate",
        title_fontsize=9,
    )
    panels[0].figure.savefig(path, dpi=150)


if __name__ == "__main__":
    main()
