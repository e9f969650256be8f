"""Every picture of `results.plot`, drawn from real sweeps: `python examples/pictures.py FOLDER`."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import matplotlib as mpl

mpl.use("Agg")

import jax.numpy as jnp
import numpy as np
from sklearn.datasets import load_digits

from jaxbn import Float, Hyperparams, Int, Panda, Space, sweep
from jaxbn.nn.mlp import unit_inputs
from jaxbn.plots.activations import activations

RATE = Float(1e-4, 1, scale="log")


def percentiles(normalization: str, epochs: int) -> np.ndarray:
    """Percentiles of what goes into a unit of the last hidden layer, after each epoch, [E, 3]."""
    config = {"num_layers": 3, "activation": "sigmoid", "normalization": normalization, "learning_rate": 0.01}
    panda, rows, found = Panda(config, "digits", num_epochs=epochs), load_digits(return_X_y=True)[0], []
    for _ in range(epochs):
        model = panda.train(1).model
        hyperparams = Hyperparams(bn_epsilon=model.config.bn_epsilon)
        *_, last = unit_inputs(model.variables, jnp.asarray(model.inputs(rows)), hyperparams, spec=model.spec)
        found.append(np.percentile(last[:, 0], (15, 50, 85)))
    return np.array(found)


def pictures() -> Iterator[tuple[str, Any]]:
    """Names and axes."""
    halving = sweep(None, "digits", num_configs=128, num_epochs=9, scheduler="halving")
    yield "learning_curves", halving.plot.learning_curves()
    yield "rungs", halving.plot.rungs()
    yield "confusion", halving.plot.confusion()
    yield "calibration", halving.plot.calibration()
    space = Space(
        learning_rate=RATE, momentum=Float(0.5, 0.999, scale="one_minus_log"), hidden_units=Int(8, 64, scale="log"),
        optimizer="momentum", num_layers=1,
    )  # fmt: skip
    whole = sweep(space, "digits", num_configs=96, num_epochs=5)
    yield "response", whole.plot.response()
    yield "pairs", whole.plot.pairs()
    yield "parallel", whole.plot.parallel()
    yield "importance", whole.plot.importance("ped_anova", "fanova")
    yield "efficiency", whole.plot.efficiency()
    rounds = sweep(space, "digits", num_configs=96, num_epochs=5, sampler="coarse_to_fine")
    yield "rounds", rounds.plot.rounds()
    population = sweep(
        Space(learning_rate=RATE, hidden_units=32), "digits", num_configs=16, num_epochs=10, scheduler="pbt"
    )
    yield "lineage", population.plot.lineage()
    plane = Space(learning_rate=RATE, eps=Float(1e-10, 1e-4, scale="log"), hidden_units=32, num_layers=1)
    grid, random = (sweep(plane, "digits", num_configs=25, num_epochs=5, sampler=name) for name in ("grid", "random"))
    yield "random_against_grid", random.plot.random_against_grid(grid)
    flowers = sweep(Space(learning_rate=RATE, hidden_units=16), "iris", num_configs=16, num_epochs=10)
    yield "boundary", flowers.plot.boundary("petal length (cm)", "petal width (cm)")
    yield "activations", activations(percentiles("none", 15), percentiles("batch", 15))


def main(folder: Path) -> None:
    """Draw them all."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, axes in pictures():
        figure = np.ravel(axes)[0].get_figure(root=True)
        figure.savefig(folder / f"{name}.png", dpi=110)
        print(folder / f"{name}.png")


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "pictures"))
