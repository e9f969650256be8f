"""What population-based training lived is one training run: replayed, it has the sweep's bits."""

import dataclasses

import jax
import numpy as np
import polars as pl
import pytest

import jaxbn
from jaxbn import Choice, Float, Int, Space, UserError
from jaxbn.search import HYPERPARAMETERS, Band, Padding
from jaxbn.study.lineage import schedule_of
from jaxbn.study.recorded_plan import recorded_padding, recorded_tile_size
from jaxbn.study.replay import replay
from jaxbn.study.results import Results

SPACE = Space(
    learning_rate=Float(1e-4, 1, scale="log"),
    hidden_units=Choice(6, 8),
    num_layers=1,
    batch_size=Int(16, 32),
    dropout=Float(0.05, 0.4),
)
SETTINGS = {"scheduler": "pbt", "num_configs": 12, "num_epochs": 6, "interval": 2, "replicates": 2, "seed": 1}


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """A finished run, as its folder tells it."""
    folder = tmp_path_factory.mktemp("pbt") / "run"
    jaxbn.sweep(SPACE, "iris", run_dir=folder, **SETTINGS)
    return Results.load(folder)


def walked(lineage, trial):
    """The past of a trial, told forwards: who was where at each epoch, found by trying all."""
    rows = {(row["trial"], row["epoch"]): row for row in lineage.iter_rows(named=True)}
    epochs = sorted({epoch for _, epoch in rows})
    past = [rows[trial, epochs[-1]]]
    for epoch in reversed(epochs[:-1]):
        past.append(rows[past[-1]["source"], epoch])
    return past[::-1]


def adopted(results):
    """Trials that ended in a state that was another's at the last decision."""
    last = results.lineage.filter(pl.col("epoch") == pl.col("epoch").max(), pl.col("trial") != pl.col("source"))
    return last["trial"].to_list()


def test_the_schedule_is_the_lineage_walked_back(results):
    assert adopted(results)
    for trial in range(results.summary.num_trials):
        past = walked(results.lineage, trial)
        schedule = schedule_of(results, trial)
        assert schedule[0].epoch == 0
        for row in past:
            config = next(s.config for s in reversed(schedule) if s.epoch <= row["epoch"])
            lived = config.row() | {"hidden_units": config.hidden_units}
            assert all(row[name] is None or row[name] == lived[name] for name in HYPERPARAMETERS)
        assert {s.epoch for s in schedule} <= {row["epoch"] for row in past}


def test_a_replay_has_the_bits_of_the_sweep(results):
    for trial in {*adopted(results)[:4], results.best.trial, 0}:
        again = replay(results, trial)
        seen = results.curves.filter(trial=trial).drop("trial")
        assert again.curves.height == 6
        assert again.curves[-1].equals(seen[-1])
        # Before, it was the trials whose states were taken over.
        for row in walked(results.lineage, trial):
            theirs = results.curves.filter(trial=row["trial"]).drop("trial")
            span = slice(row["epoch"], row["epoch"] + 2)
            assert again.curves[span].equals(theirs[span])


def test_the_replayed_winner_has_the_weights_of_the_winner(results):
    again, best = replay(results).model, results.best_model
    leaves = zip(jax.tree.leaves(again.variables), jax.tree.leaves(best.variables), strict=True)
    assert all(np.array_equal(a, b) for a, b in leaves)
    assert again.config == best.config


def test_with_another_tile_it_is_the_same_run_to_rounding(results):
    trial = adopted(results)[0]
    seen = results.curves.filter(trial=trial)
    again = replay(results, trial, tile_size=1, padding=Padding())
    assert again.curves["valid_loss"][-1] == pytest.approx(seen["valid_loss"][-1], rel=1e-2)


def test_retraining_goes_through_the_schedule(results):
    trial = adopted(results)[0]
    model, scores = jaxbn.retrain(results, trial)
    seen = results.trials.row(trial, named=True)
    assert scores["validation"]["loss"] == pytest.approx(seen["valid_loss"], rel=1e-2)
    assert model.config == schedule_of(results, trial)[-1].config
    without = dataclasses.replace(results, lineage=results.lineage.clear())
    assert jaxbn.retrain(without, trial)[1]["validation"]["loss"] != scores["validation"]["loss"]
    assert jaxbn.retrain(results, trial, refit=True)[1].keys() == {"test"}


def test_a_sweep_without_a_lineage_replays_too():
    space = Space(learning_rate=Float(1e-3, 1, scale="log"), hidden_units=Choice(6, 8), optimizer=Choice("adam", "sgd"))
    results = jaxbn.sweep(space, "iris", num_configs=9, num_epochs=3, scheduler="halving", folds=2)
    for trial in (0, results.best.trial + 1):
        seen = results.curves.filter(trial=trial).drop("trial")
        again = replay(results, trial).curves
        assert len(schedule_of(results, trial)) == 1
        assert again.height == seen.height
        np.testing.assert_allclose(again.to_numpy(), seen.to_numpy(), rtol=1e-4)


def test_no_such_trial(results):
    for wrong in (-1, 24):
        with pytest.raises(UserError, match="choose from 0 to 23"):
            replay(results, wrong)


def test_padding_is_read_from_the_record(results):
    planned = jaxbn.plan(SPACE, "iris", **SETTINGS)
    mine = recorded_padding(results.request)
    # The linear baseline has programs too; it pads to what its only batch size is.
    assert [band for band in mine.bands if band.num_layers] == list(planned.padding.bands)
    assert mine.optimizers == planned.padding.optimizers
    for shape, ladder in planned.ladders.items():
        assert recorded_tile_size(results.request, shape) == ladder[0]


def test_merged_optimizers_and_uneven_layers_are_read_from_the_record(results):
    kinds = ["adam", "momentum"]
    programs = [
        {"widths": [32, 8], "batch_size": 64, "optimizers": kinds, "tile_size": 4},
        {"widths": [32, 32], "batch_size": 32, "optimizers": kinds, "tile_size": 2},
        {"widths": [], "batch_size": 64, "optimizers": kinds, "tile_size": 8},
    ]
    bands = (Band(0, 0, (64,)), Band(2, 8, ()), Band(2, 32, (32, 64)))
    request = dataclasses.replace(results.request, programs=programs)
    assert recorded_padding(request) == Padding(bands, tuple(kinds))


def test_a_trial_trained_again_is_the_trial(results):
    for trial in (results.best.trial, adopted(results)[0]):
        scores = jaxbn.retrain(results, trial)[1]["validation"]
        row = results.trials.row(trial, named=True)
        # Rows are scored in chunks in a sweep, and at once here.
        assert scores == {name: pytest.approx(row[f"valid_{name}"], rel=1e-6) for name in scores}
    found, kept = jaxbn.retrain(results)[0].variables.params, results.best_model.variables.params
    assert np.array_equal(found.output.kernel, kept.output.kernel)
