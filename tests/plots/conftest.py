"""One small sweep of each kind, its tables, and what other methods would add to them."""

import matplotlib
import numpy as np
import polars as pl
import pytest

import jaxbn
from jaxbn import Choice, Float, Int, Space

matplotlib.use("Agg")

SPACE = Space(
    learning_rate=Float(1e-4, 1, scale="log"),
    momentum=Float(0.9, 0.999, scale="one_minus_log"),
    batch_size=Int(16, 64, scale="power_of_two"),
    hidden_units=Int(8, 64, scale="log"),
    num_layers=1,
    optimizer=Choice("momentum", "adam"),
)


@pytest.fixture(autouse=True)
def _no_figure_is_left():
    yield
    import matplotlib.pyplot as plt

    for number in plt.get_fignums():
        # Drawing is where matplotlib finds out that something cannot be drawn.
        plt.figure(number).canvas.draw()
    plt.close("all")


@pytest.fixture(scope="session")
def space() -> Space:
    return SPACE


@pytest.fixture(scope="session")
def results():
    return jaxbn.sweep(SPACE, "iris", num_configs=24, num_epochs=4, seed=0)


@pytest.fixture(scope="session")
def trials(results) -> pl.DataFrame:
    """With two trials that diverged."""
    lost = pl.col("trial").is_in([3, 7])
    scores = [name for name in results.trials.columns if name.startswith("valid_")]
    return results.trials.with_columns(
        pl.when(lost).then(pl.lit("diverged")).otherwise("status").alias("status"),
        *(pl.when(lost).then(None).otherwise(name).alias(name) for name in scores),
        round=pl.col("trial") // 8,
        bracket=pl.lit(0),
    )


@pytest.fixture(scope="session")
def curves(results) -> pl.DataFrame:
    return results.curves


@pytest.fixture(scope="session")
def halved(trials, curves) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Trials 0 to 15 were pruned after one epoch, 16 to 20 after two."""
    end = pl.when(pl.col("trial") < 16).then(1).when(pl.col("trial") < 21).then(2).otherwise(4)
    status = pl.when(pl.col("trial") < 21).then(pl.lit("pruned")).otherwise(pl.lit("ok"))
    return trials.with_columns(epochs=end, status=status), curves.filter(pl.col("epoch") <= end)


@pytest.fixture(scope="session")
def lineage() -> pl.DataFrame:
    """Four members, four epochs; 3 takes over from 0 after two, and 2 from 3 after three."""
    rates = {0: [0.01, 0.01, 0.01], 1: [0.1, 0.1, 0.1], 2: [0.5, 0.5, 0.02], 3: [0.001, 0.012, 0.012]}
    sources = {0: [0, 0, 0], 1: [1, 1, 1], 2: [2, 2, 3], 3: [3, 0, 3]}
    rows = [(t, e, sources[t][i], rates[t][i], None) for i, e in enumerate((0, 2, 3)) for t in range(4)]
    schema = {"trial": int, "epoch": int, "source": int, "learning_rate": float, "momentum": float}
    return pl.DataFrame(rows, schema=schema, orient="row")


@pytest.fixture(scope="session")
def regression():
    space = Space(learning_rate=Float(1e-3, 1, scale="log"), num_layers=1, hidden_units=8)
    return jaxbn.sweep(space, "diabetes", num_configs=8, num_epochs=2, metric="mse", seed=0)


@pytest.fixture(scope="session")
def predictions() -> tuple[np.ndarray, np.ndarray, tuple[str, ...]]:
    """Of 200 rows and three classes, right as often as it says."""
    rng = np.random.default_rng(0)
    probabilities = rng.dirichlet([0.5, 0.5, 0.5], 200)
    return np.array([rng.choice(3, p=row) for row in probabilities]), probabilities, ("a", "b", "c")
