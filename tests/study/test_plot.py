"""Every picture of `results.plot`, from one sweep: each reaches its data, and says so where it cannot."""

import dataclasses

import matplotlib
import numpy as np
import polars as pl
import pytest

import jaxbn
from jaxbn import Choice, Float, Int, Space, UserError, load_data
from jaxbn.data import split_rows
from jaxbn.plots.boundary import boundary
from jaxbn.study.plot import Plots

matplotlib.use("Agg")


@pytest.fixture(scope="module")
def results():
    space = Space(
        learning_rate=Float(1e-3, 1e-1, scale="log"),
        hidden_units=Int(8, 32, scale="log"),
        num_layers=1,
        optimizer=Choice("momentum", "adam"),
    )
    return jaxbn.sweep(space, "iris", num_configs=16, num_epochs=3, seed=0)


@pytest.fixture(autouse=True)
def _close_figures():
    yield
    import matplotlib.pyplot as plt

    plt.close("all")


@pytest.mark.parametrize(
    ("name", "args", "panels"),
    [
        ("learning_curves", (), 1),
        ("response", (), 3),
        ("response", ("learning_rate",), 1),
        ("pairs", ("learning_rate", "hidden_units", "optimizer"), 3),
        ("parallel", (), 1),
        ("rounds", (), 1),
        ("rungs", (), 2),
        ("efficiency", (), 1),
        ("calibration", (), 2),
        ("confusion", (), 1),
        ("boundary", (), 1),
    ],
)
def test_each_picture_is_drawn(results, name, args, panels):
    axes = np.atleast_1d(getattr(Plots(results), name)(*args))
    assert axes.size == panels
    axes[0].figure.canvas.draw()


def test_importance_by_two_methods(results):
    pytest.importorskip("optuna")
    ax = Plots(results).importance("ped_anova", "fanova")
    assert len(ax.patches) == 6
    assert Plots(results).pairs().size == 3


def test_pictures_find_the_winner_and_the_direction(results):
    accuracy, loss = Plots(results).learning_curves(), Plots(results).learning_curves(metric="loss")
    assert f"best: trial {results.best.trial}" in accuracy.get_legend_handles_labels()[1]
    lowest = results.trials.sort("valid_loss")["trial"][0]
    assert f"best: trial {lowest}" in loss.get_legend_handles_labels()[1]


def test_confusion_is_of_the_test_split(results):
    ax = Plots(results).confusion()
    counts = [int(text.get_text()) for text in ax.texts]
    assert sum(counts) == results.summary.num_test
    codes = [(text.get_position(), int(text.get_text())) for text in ax.texts]
    right = sum(count for (column, row), count in codes if column == row)
    assert right / sum(counts) == pytest.approx(results.test["accuracy"])


def test_boundary_names_its_features(results):
    names = [column.name for column in load_data("iris").features.columns]
    ax = Plots(results).boundary(names[2], names[3])
    assert (ax.get_xlabel(), ax.get_ylabel()) == (names[2], names[3])
    with pytest.raises(UserError, match="unknown numeric feature 'petal'"):
        Plots(results).boundary("petal")


def test_boundary_holds_categories_at_the_most_frequent():
    rng = np.random.default_rng(0)
    x, y = rng.random((2, 120))
    colour = np.where(np.arange(120) % 4 > 0, "red", "blue")
    frame = pl.DataFrame({"width": x, "colour": colour, "height": y, "side": np.where(x > y, "right", "left")})
    data = load_data(frame, target="side")
    results = jaxbn.sweep(Space(num_layers=0), data, num_configs=1, num_epochs=2)
    ax = Plots(results).boundary(data=data)
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("width", "height")
    model, rows = results.best_model, split_rows(data)[0].test

    def drawn_with(word):
        """The picture of the probabilities that the model itself gives rows of that colour."""

        def predict_proba(points):
            of_word = pl.DataFrame(points, schema=["width", "height"]).with_columns(colour=pl.lit(word))
            return model.predict_proba(of_word).to_numpy()

        picture = boundary(predict_proba, data.features.numeric[rows], data.target[rows], data.classes)
        return picture.images[0].get_array()

    np.testing.assert_allclose(ax.images[0].get_array(), drawn_with("red"), atol=1e-6)
    assert np.abs(ax.images[0].get_array() - drawn_with("blue")).max() > 0.01
    with pytest.raises(UserError, match="give the data again"):
        Plots(results).confusion()


def test_random_against_grid(results):
    axes = Plots(results).random_against_grid(results, x="learning_rate", y="hidden_units")
    assert axes.shape == (2, 2)


def test_a_sweep_without_copies_has_no_lineage(results):
    with pytest.raises(UserError, match="population-based training alone"):
        Plots(results).lineage()


def test_what_a_sweep_has_not(results):
    with pytest.raises(UserError, match="r2"):
        Plots(results).response(metric="r2")
    regression = dataclasses.replace(results.best_model, task="regression")
    other = dataclasses.replace(results, models=(regression,))
    with pytest.raises(UserError, match="this picture is for classes"):
        Plots(other).confusion()
