"""Finished sweeps of every kind, small; and a large one that never ran."""

import dataclasses
import json
import re

import jax.numpy as jnp
import numpy as np
import polars as pl
import pytest
from flax import linen as nn

from jaxbn import Choice, Float, Int, Space, load_data, sweep
from jaxbn.interop.flax import from_linen
from jaxbn.search import propose
from jaxbn.study.frames import hyperparameter_columns

SPACE = Space(
    learning_rate=Float(1e-3, 0.3, scale="log"),
    optimizer=Choice("momentum", "adam"),
    momentum=Float(0.9, 0.999, scale="one_minus_log"),
    hidden_units=Int(4, 8, scale="log"),
    num_layers=1,
)
FIXED = Space(learning_rate=Float(0.01, 0.1, scale="log"), hidden_units=4, num_layers=1)
ENDLESS = Space(learning_rate=Float(0.1, 1e6, scale="log"), optimizer="sgd", hidden_units=4, num_layers=1)
LISTED = [{"learning_rate": 0.01, "hidden_units": 8, "num_layers": 1}, {"hidden_units": (4, 8), "optimizer": "adamw"}]


class Net(nn.Module):
    """A network that is no MLP of jaxbn's."""

    num_outputs: int
    features: int = 4
    slope: float = 0.1

    @nn.compact
    def __call__(self, x, *, where):
        x = nn.Dense(self.features)(x)
        return nn.Dense(self.num_outputs)(jnp.maximum(x, self.slope * x))


FLAX = Space(architecture=from_linen(Net, traced=("slope",)), features=Choice(3, 5), slope=Float(0, 0.5))
NASTY = ["</script><script>alert(1)</script>", "\"&'<img src=x onerror=alert(2)>", "plain\u2028name"]


def nasty():
    """Rows whose classes, columns and target have names that would like to be markup."""
    rng = np.random.default_rng(0)
    codes = np.arange(90) % 3
    frame = pl.DataFrame(
        {"<b>&\"'": rng.normal(size=90) + codes, "</style>": rng.normal(size=90), "<i>t": [NASTY[c] for c in codes]}
    )
    return load_data(frame, target="<i>t")


def listed():
    from jaxbn.search import from_values

    return [from_values(**values) for values in LISTED]


KINDS = {
    "plain": lambda: sweep(SPACE, "iris", num_configs=12, num_epochs=4),
    "regression": lambda: sweep(FIXED, "diabetes", num_configs=3, num_epochs=2),
    "loss": lambda: sweep(FIXED, "wine", num_configs=3, num_epochs=2, metric="loss"),
    "replicates": lambda: sweep(FIXED, "iris", num_configs=4, num_epochs=3, replicates=3),
    "folds": lambda: sweep(FIXED, "iris", num_configs=4, num_epochs=3, folds=3),
    "halving": lambda: sweep(FIXED, "iris", num_configs=9, num_epochs=9, scheduler="halving"),
    "hyperband": lambda: sweep(FIXED, "iris", num_configs=9, num_epochs=9, scheduler="hyperband"),
    "pbt": lambda: sweep(FIXED, "iris", num_configs=8, num_epochs=6, scheduler="pbt", interval=2),
    "diverged": lambda: sweep(ENDLESS, "iris", num_configs=12, num_epochs=3),
    "listed": lambda: sweep(listed(), "iris", num_epochs=2),
    "one": lambda: sweep(Space(hidden_units=4, num_layers=1), "iris", num_configs=1, num_epochs=1),
    "flax": lambda: sweep(FLAX, "iris", num_configs=4, num_epochs=2),
    "nasty": lambda: sweep(FIXED, nasty(), num_configs=3, num_epochs=2),
}
made = {}


def of(*kinds):
    """Run a test for these kinds of sweep."""
    return pytest.mark.parametrize("results", kinds, indirect=True)


def record_in(html):
    """What is embedded in a report."""
    return json.loads(re.search(r'<script type="application/json" id="data">(.*?)</script>', html, re.DOTALL)[1])


def many(results, num_trials, num_epochs):
    """Results as of a large sweep of the default space, with made-up scores: the learning rate and chance decide."""
    rng = np.random.default_rng(0)
    space = Space.default()
    configs = propose.random(0, space, None, num_trials)
    rate = np.array([np.log10(config.learning_rate) for config in configs])
    best = np.clip(0.995 - 0.06 * (rate + 2) ** 2 + 0.02 * rng.normal(size=num_trials), 0.1, 0.9975)
    status = np.where(rng.random(num_trials) < 0.02, "diverged", "ok")
    epochs = np.where(status == "diverged", rng.integers(1, num_epochs, num_trials), num_epochs)
    ramp = 1 - np.exp(-np.arange(1, num_epochs + 1)[None, :] / (2 + 6 * rng.random(num_trials)[:, None]))
    accuracy = np.round((0.1 + (best[:, None] - 0.1) * ramp) * 359) / 359
    loss = 0.02 + 2.5 * (1 - accuracy) + 0.01 * rng.random(accuracy.shape)
    trial, epoch = np.nonzero(np.arange(num_epochs)[None, :] < epochs[:, None])
    last = np.arange(num_trials), epochs - 1
    diverged = status == "diverged"

    def known(values):
        return [None if bad else value for bad, value in zip(diverged, values.tolist(), strict=True)]

    trials = pl.DataFrame(
        {
            "trial": np.arange(num_trials),
            "config": np.arange(num_trials),
            "replicate": np.zeros(num_trials, int),
            "fold": np.zeros(num_trials, int),
            "round": np.zeros(num_trials, int),
            "bracket": np.zeros(num_trials, int),
            **hyperparameter_columns(configs),
            "status": status,
            "epochs": epochs,
            "best_epoch": epochs,
            "train_loss": known(loss[last] * 0.8),
            "valid_loss": known(loss[last]),
            "valid_accuracy": known(accuracy[last]),
            "train_seconds": rng.random(num_trials),
        }
    )
    curves = pl.DataFrame(
        {
            "trial": trial,
            "epoch": epoch + 1,
            "learning_rate": np.ones(len(trial)),
            "train_loss": loss[trial, epoch] * 0.8,
            "valid_loss": loss[trial, epoch],
            "valid_accuracy": accuracy[trial, epoch],
        }
    )
    request = dataclasses.replace(results.request, space=space.to_json(), num_configs=num_trials, num_epochs=num_epochs)
    changed = dataclasses.replace(results, request=request, trials=trials, curves=curves)
    first = changed.leaderboard(1).row(0, named=True)
    winner = {name: value for name, value in configs[first["trial"]].row().items() if value is not None}
    scores = {"loss": first["valid_loss"], "accuracy": first["valid_accuracy"]}
    summary = dataclasses.replace(
        results.summary,
        best=dataclasses.replace(results.summary.best, trial=first["trial"], config=winner, validation=scores),
        standard_error=0.004,
        num_tied=37,
        num_trials=num_trials,
        num_diverged=int(diverged.sum()),
        num_epochs=int(epochs.sum()),
    )
    return dataclasses.replace(changed, summary=summary)
