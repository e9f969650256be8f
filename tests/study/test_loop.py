"""The loop: survivors go on bit for bit, nothing compiles beyond the plan, repeats and budgets do what they say."""

import dataclasses
import time

import jax
import numpy as np
import polars as pl
import pytest
from sklearn.datasets import load_wine

import jaxbn
from jaxbn.data import fold_rows
from jaxbn.engine.run import Compiled, TileEpoch
from jaxbn.errors import UserError
from jaxbn.search import Choice, Config, Float, Int, Space, from_values
from jaxbn.search.propose import grid, random
from jaxbn.study.loop import Ranked
from jaxbn.study.settle import LINEAR, NUM_LINEAR

EPOCHS = 9
SPACE = Space(
    learning_rate=Float(1e-3, 1, scale="log"),
    optimizer=Choice("momentum", "adam"),
    hidden_units=12,
    num_layers=Choice(1, 2),
    batch_size=Choice(16, 32),
    dropout=Float(0.1, 0.4),
)
KINDS = ("none", "halving", "hyperband")


@pytest.fixture(scope="module")
def swept():
    """One space under each scheduler with one T, and what was told meanwhile."""
    out = {}
    for name in KINDS:
        events = []
        results = jaxbn.sweep(
            SPACE,
            "wine",
            num_configs=30,
            num_epochs=EPOCHS,
            scheduler=name,
            tile_size=4,
            on_event=events.append,
        )
        out[name] = (results, events)
    return out


@pytest.mark.parametrize("name", KINDS[1:])
def test_a_survivor_learns_what_it_would_have_learned_alone(swept, name):
    whole, some = swept["none"][0], swept[name][0]
    columns = ["trial", "epoch", "train_loss", "valid_loss", "valid_accuracy", "learning_rate"]
    both = some.curves.select(columns).join(whole.curves.select(columns), on=["trial", "epoch"], suffix="_whole")
    assert len(both) == len(some.curves) > 0
    for column in columns[2:]:
        assert both[column].equals(both[f"{column}_whole"], null_equal=True), column
    assert some.trials.filter(pl.col("status") == "ok").height >= 3


@pytest.mark.parametrize("settings", [{}, {"replicates": 2}, {"patience": 2, "keep": 3}, {"num_rounds": 2, "keep": 5}])
@pytest.mark.parametrize("name", KINDS[1:])
def test_states_that_cannot_survive_do_not_wait(monkeypatch, name, settings):
    from jaxbn.study import loop

    def swept(held):
        most, record = [0], loop.Records.record

        def counting(records, result, **options):
            record(records, result, **options)
            trained = records.epochs > result.start
            most[0] = max(most[0], sum(bool(trained[trial]) for trial in records.states))

        monkeypatch.setattr(loop, "HELD", held)
        monkeypatch.setattr(loop.Records, "record", counting)
        results = jaxbn.sweep(SPACE, "wine", num_configs=40, num_epochs=EPOCHS, scheduler=name, tile_size=2, **settings)
        monkeypatch.setattr(loop.Records, "record", record)
        return results, most[0]

    (soon, few), (late, many) = swept(1.0), swept(1e9)
    for one, other in zip(
        (soon.trials, soon.curves, soon.leaderboard(5)), (late.trials, late.curves, late.leaderboard(5)), strict=True
    ):
        timeless = [column for column in one.columns if column != "train_seconds"]
        assert one.select(timeless).equals(other.select(timeless), null_equal=True)
    assert few < many
    assert [model.config for model in soon.models] == [model.config for model in late.models]
    for one, other in zip(soon.models, late.models, strict=True):
        for leaf, same in zip(jax.tree.leaves(one.variables), jax.tree.leaves(other.variables), strict=True):
            np.testing.assert_array_equal(leaf, same)


def test_the_ladder_changes_rounding_alone():
    # T = 4 at first, 1 for the survivors: forced by a plan that the test makes.
    from jaxbn.study import settle as module

    space = Space(learning_rate=Float(1e-3, 0.03, scale="log"), hidden_units=12, num_layers=1, batch_size=32)
    original = module.plan_tiles

    def laddered(*args, **options):
        plan = original(*args, **options)
        return dataclasses.replace(plan, ladders={shape: (4, 1, 1) for shape in plan.ladders})

    module.plan_tiles = laddered
    try:
        some = jaxbn.sweep(space, "wine", num_configs=8, num_epochs=EPOCHS, scheduler="halving", min_epochs=1)
    finally:
        module.plan_tiles = original
    whole = jaxbn.sweep(space, "wine", num_configs=8, num_epochs=EPOCHS, tile_size=4)
    both = some.curves.join(whole.curves, on=["trial", "epoch"], suffix="_whole").filter(pl.col("epoch") <= 4)
    np.testing.assert_allclose(both["train_loss"], both["train_loss_whole"], rtol=5e-4)


@pytest.mark.parametrize("name", KINDS)
def test_rungs_rows_and_statuses(swept, name):
    results, events = swept[name]
    rungs = results.request.rungs
    assert len(results.trials) == 30 == results.summary.num_trials
    reached = [sum(results.trials["epochs"] >= rung["epochs"]) for rung in rungs]
    diverged = results.summary.num_diverged
    for count, rung in zip(reached, rungs, strict=True):
        assert sum(rung["survivors"]) - diverged <= count <= sum(rung["survivors"])
    ranked = [event for event in events if isinstance(event, Ranked)]
    assert [event.epochs for event in ranked] == [rung["epochs"] for rung in rungs]
    assert ranked[-1].kept == 0 and ranked[-1].best == pytest.approx(results.best.validation["accuracy"])
    pruned = results.trials.filter(pl.col("status") == "pruned")
    assert pruned.height == results.summary.num_pruned and (pruned["epochs"] < EPOCHS).all()
    # A pruned trial keeps its row and its curve.
    assert pruned["valid_loss"].is_not_null().all()
    assert results.curves.height == results.trials["epochs"].sum() == results.summary.num_epochs
    assert results.trials["status"][results.best.trial] == "ok"


def test_the_best_of_each_rung_goes_on(swept):
    results = swept["halving"][0]
    first = results.curves.filter(pl.col("epoch") == 1).sort(
        ["valid_accuracy", "valid_loss", "trial"], descending=[True, False, False]
    )
    survivors = set(results.trials.filter(pl.col("epochs") > 1)["trial"])
    assert survivors == set(first["trial"][: len(survivors)]) and len(survivors) == 10


def test_pruned_trials_do_not_win():
    results = jaxbn.sweep(SPACE, "wine", num_configs=9, num_epochs=3, scheduler="halving", seed=5)
    board = results.leaderboard(9)
    status = board["status"].to_list()
    assert status == sorted(status, key=["ok", "pruned", "diverged"].index)


@pytest.mark.parametrize("scheduler", ["halving", "hyperband", "pbt"])
def test_nothing_compiles_beyond_the_plan(scheduler):
    # Mini-batches of six sizes, of which exploration may choose others than those that were proposed.
    space = Space(
        learning_rate=Float(1e-3, 1, scale="log"),
        batch_size=Int(4, 128, scale="power_of_two"),
        hidden_units=Choice(7, 9),
        num_layers=1,
    )
    how = {"num_configs": 20, "num_epochs": 9, "scheduler": scheduler, "interval": 2, "seed": 11}
    plan = jaxbn.plan(space, "breast_cancer", **how)
    events, compiled = [], []

    def listen(event, duration_secs, **about):
        if event == "/jax/core/compile/backend_compile_duration":
            compiled.append(about.get("fun_name"))

    jax.monitoring.register_event_duration_secs_listener(listen)
    try:
        jaxbn.sweep(space, "breast_cancer", on_event=events.append, **how)
    finally:
        jax.monitoring.unregister_event_duration_listener(listen)
    programs = [event.program for event in events if isinstance(event, Compiled)]
    assert set(programs) == set(plan.programs) and len(programs) == len(plan.programs)
    assert compiled.count("jaxbn_epoch") <= len(plan.programs)
    assert {tile.program for tile in plan.tiles} <= set(plan.programs)


def test_population_based_training():
    space = Space(learning_rate=Float(1e-4, 1e-3, scale="log"), dropout=Float(0.1, 0.4), hidden_units=16)
    results = jaxbn.sweep(space, "wine", num_configs=12, num_epochs=8, scheduler="pbt", interval=2)
    lineage = results.lineage
    assert set(lineage["epoch"]) == {0, 2, 4, 6} and len(lineage) == 4 * 12
    assert (lineage.filter(pl.col("epoch") == 0)["source"] == lineage.filter(pl.col("epoch") == 0)["trial"]).all()
    copies = lineage.filter(pl.col("source") != pl.col("trial"))
    assert len(copies) == 3 * 3
    # A trial's row names the hyperparameters that it has at the end, its curve the rates that it lived.
    last = lineage.filter(pl.col("epoch") == 6).sort("trial")
    assert last["learning_rate"].to_list() == results.trials["learning_rate"].to_list()
    rates = results.curves.join(lineage, on=["trial", "epoch"], suffix="_lived").drop("epoch")
    for row in lineage.iter_rows(named=True):
        lived = results.curves.filter((pl.col("trial") == row["trial"]) & (pl.col("epoch") == row["epoch"] + 1))
        assert lived["learning_rate"][0] == pytest.approx(row["learning_rate"], rel=1e-6)
    assert len(rates) == 3 * 12 and (results.trials["status"] == "ok").all()


def test_a_copied_state_is_the_source_s():
    # With nothing but copies (no exploration can move a hyperparameter that a spec fixes), child and parent coincide.
    space = Space(learning_rate=Choice(0.01, 3.0), optimizer="momentum", hidden_units=8, num_layers=1)
    results = jaxbn.sweep(space, "wine", num_configs=8, num_epochs=4, scheduler="pbt", interval=2, seed=2, tile_size=4)
    copies = results.lineage.filter((pl.col("source") != pl.col("trial")) & (pl.col("epoch") == 2))
    compared = 0
    for row in copies.iter_rows(named=True):
        parent = results.lineage.filter((pl.col("trial") == row["source"]) & (pl.col("epoch") == 2))
        if parent["learning_rate"][0] != row["learning_rate"] or parent["source"][0] != row["source"]:
            continue
        one, other = (
            results.curves.filter((pl.col("trial") == trial) & (pl.col("epoch") == 3))["train_loss"][0]
            for trial in (row["trial"], row["source"])
        )
        assert one == other
        compared += 1
    assert compared


def test_rounds_learn_from_rounds_before():
    results = jaxbn.sweep(SPACE, "wine", num_configs=24, num_epochs=3, sampler="coarse_to_fine", num_rounds=3)
    assert results.trials["round"].to_list() == [0] * 8 + [1] * 8 + [2] * 8
    wide = [config.learning_rate for config in random(0, SPACE, None, 8)]
    assert results.trials["learning_rate"][:8].to_list() == pytest.approx(wide)
    assert results.trials["learning_rate"][8:].to_list() != pytest.approx(
        [config.learning_rate for config in random(0, SPACE, None, 24)[8:]]
    )


def test_enqueued_configurations_come_first():
    trusted = [{"learning_rate": 0.5}, Config(learning_rate=0.02, hidden_units=10, num_layers=1)]
    results = jaxbn.sweep(SPACE, "wine", num_configs=4, num_epochs=1, enqueue=trusted)
    assert results.trials["learning_rate"][:2].to_list() == [0.5, 0.02]
    # What is not named takes the space's fixed value.
    assert results.trials["hidden_units"].to_list()[:2] == [12, 10] and len(results.trials) == 4
    with pytest.raises(UserError, match="2 configurations are enqueued and num_configs is 1"):
        jaxbn.sweep(SPACE, "wine", num_configs=1, enqueue=trusted)
    with pytest.raises(UserError, match="unknown hyperparameter 'learning_rat'"):
        jaxbn.sweep(SPACE, "wine", num_configs=2, enqueue=[{"learning_rat": 1.0}])


@pytest.fixture(scope="module")
def repeated():
    return jaxbn.sweep(SPACE, "wine", num_configs=6, num_epochs=3, replicates=2, folds=3, scheduler="halving")


def test_replicates_and_folds_are_columns(repeated):
    trials = repeated.trials
    assert len(trials) == 6 * 2 * 3
    assert trials["config"].to_list() == [config for config in range(6) for _ in range(6)]
    assert trials["replicate"].to_list() == [0, 0, 0, 1, 1, 1] * 6 and trials["fold"].to_list() == [0, 1, 2] * 12
    # All trials of a configuration are stopped together.
    per_config = trials.group_by("config").agg(pl.col("status").n_unique(), pl.col("epochs").n_unique())
    assert (per_config["status"] == 1).all() and (per_config["epochs"] == 1).all()


def test_repeats_rank_by_the_mean(repeated):
    means = repeated.trials.group_by("config", maintain_order=True).agg(
        pl.col("status").first(), pl.col("valid_accuracy").mean(), pl.col("valid_loss").mean()
    )
    best = means.filter(pl.col("status") == "ok").sort(
        ["valid_accuracy", "valid_loss", "config"], descending=[True, False, False]
    )
    assert repeated.best.trial == best["config"][0] * 6
    assert repeated.best.validation["accuracy"] == pytest.approx(best["valid_accuracy"][0])
    # Replicates of a fold share its rows: the error is that of the means of the folds.
    winner = (
        repeated.trials.filter(pl.col("config") == best["config"][0])
        .group_by("fold")
        .agg(pl.col("valid_accuracy").mean())["valid_accuracy"]
        .to_numpy()
    )
    error = winner.std(ddof=1) / np.sqrt(3)
    assert repeated.summary.standard_error == pytest.approx(error)
    board = repeated.leaderboard(6)
    assert board["config"][0] == best["config"][0] and board["valid_accuracy"][0] == pytest.approx(
        best["valid_accuracy"][0]
    )
    assert board["valid_accuracy_se"][0] == pytest.approx(error)


def test_baselines_are_validated_as_the_winner_is(repeated):
    majority, linear = repeated.summary.baselines
    wine = jaxbn.load_data("wine")
    splits, _ = fold_rows(wine, num_folds=3)
    shares = [np.mean(wine.target[s.valid] == np.bincount(wine.target[s.train]).argmax()) for s in splits]
    assert majority.validation["accuracy"] == pytest.approx(np.mean(shares))
    alone = jaxbn.sweep(grid(0, LINEAR, None, NUM_LINEAR), "wine", num_epochs=3, replicates=2, folds=3)
    for name, score in alone.best.validation.items():
        assert linear.validation[name] == pytest.approx(score, rel=1e-3)


def test_a_replicate_is_the_run_of_a_config_alone(repeated):
    # Replicate 0 of fold 0 of a list of one configuration is trial 0 of that configuration in any sweep.
    config = random(0, SPACE, None, 1)[0]
    alone = jaxbn.sweep([config], "wine", num_epochs=1, replicates=2, folds=3)
    both = alone.curves.join(repeated.curves, on=["trial", "epoch"], suffix="_of_many")
    np.testing.assert_allclose(both["train_loss"], both["train_loss_of_many"], rtol=1e-4)
    # Replicates differ, and so do folds.
    assert len(set(alone.curves["train_loss"].to_list())) == 6


def test_patience_ends_what_gets_no_better():
    results = jaxbn.sweep(SPACE, "iris", num_configs=12, num_epochs=12, patience=2)
    ended = results.trials.filter(pl.col("epochs") < 12)
    assert len(ended) and set(ended["status"]) <= {"ok", "diverged"}
    for row in ended.filter(pl.col("status") == "ok").iter_rows(named=True):
        assert row["epochs"] - row["best_epoch"] >= 2 and row["epochs"] % 2 == 0


def test_target_score_ends_the_sweep():
    results = jaxbn.sweep(SPACE, "iris", num_configs=64, num_epochs=60, target_score=0.9)
    assert results.best.validation["accuracy"] >= 0.9
    assert results.summary.num_stopped > 0 and "stopped" in set(results.trials["status"])
    assert results.summary.num_epochs < 64 * 60


def test_time_budget_is_kept():
    space = Space(learning_rate=Float(1e-4, 1, scale="log"), hidden_units=64, num_layers=1)
    began = time.perf_counter()
    results = jaxbn.sweep(space, "digits", num_configs=100_000, num_epochs=20, time_budget=30)
    seconds = time.perf_counter() - began
    # A machine on which all tests run takes a little longer than max(10 %, 1 s), and may need half the time to compile.
    assert seconds <= 35
    assert any("fit the time budget of 30 s" in note for note in results.summary.notes)
    assert results.best.validation["accuracy"] > 0.5 and len(results.trials) < 100_000


def test_time_budget_too_small():
    with pytest.raises(UserError, match=r"time budget of 0\.1 s ended before a configuration had trained"):
        jaxbn.sweep(SPACE, "wine", num_configs=4, num_epochs=2, time_budget=0.1)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"num_config": 3}, r"unknown setting 'num_config' \(did you mean 'num_configs'\?\)"),
        ({"factor": 1, "scheduler": "halving"}, "reduction factor of 1"),
        ({"min_epochs": 5, "num_epochs": 3, "scheduler": "halving"}, "first rung after 5 epochs"),
        ({"folds": 100}, r"100 folds were asked for and the data have \d+ rows in their smallest class"),
        ({"replicates": 0}, "replicates = 0 is no whole number of at least 1"),
        ({"time_budget": -1}, "time_budget = -1"),
        ({"target_score": float("nan")}, "target_score = nan"),
        ({"sampler": "tpee"}, "unknown sampler 'tpee'"),
    ],
)
def test_settings_that_make_no_sense(settings, message):
    with pytest.raises(UserError, match=message):
        jaxbn.sweep(SPACE, "wine", **{"num_configs": 2, "num_epochs": 3} | settings)


def test_pbt_needs_something_to_change():
    with pytest.raises(UserError, match="this space searches none that may change: search at least one of learning_"):
        jaxbn.sweep(Space(hidden_units=Choice(8, 16)), "wine", num_configs=2, scheduler="pbt")
    with pytest.raises(UserError, match="configurations were listed: give a Space"):
        jaxbn.sweep([from_values()], "wine", scheduler="pbt")


def test_events_of_the_baseline_do_not_reach_the_records():
    events = []
    jaxbn.sweep(SPACE, "wine", num_configs=3, num_epochs=2, on_event=events.append)
    trials = {trial for event in events if isinstance(event, TileEpoch) for trial in event.trials}
    assert trials == set(range(3 + 9))
    assert jax.devices()


def test_a_trusted_configuration_may_lie_anywhere():
    # Off (0) on a log scale, and beyond the range: samplers and importance look at it as at the end of its domain.
    space = Space(learning_rate=Float(1e-3, 0.1, scale="log"), learning_rate_decay=Float(1e-3, 10, scale="log"))
    results = jaxbn.sweep(
        space, "iris", num_configs=14, num_epochs=1, sampler="coarse_to_fine", num_rounds=2, enqueue=[{"momentum": 0.5}]
    )
    assert len(results.trials) == 14 and results.trials["learning_rate_decay"][0] == 0
    assert sum(results.importance().values()) >= 0


def test_the_winner_s_weights_are_those_of_its_row():
    # Rounds, rungs, repeats and one kept model: whatever ranks first must have kept its weights.
    for options in (
        {"scheduler": "halving", "sampler": "coarse_to_fine", "num_rounds": 3, "metric": "loss"},
        {"scheduler": "hyperband", "sampler": "coarse_to_fine", "num_rounds": 2},
        {"scheduler": "pbt", "interval": 1},
        {"patience": 1},
        {"scheduler": "halving", "target_score": 0.97},
    ):
        data = jaxbn.load_data("wine")
        results = jaxbn.sweep(SPACE, data, num_configs=18, num_epochs=4, keep=1, **options)
        assert results.best.trial == results.leaderboard(1)["trial"][0], options
        valid = fold_rows(data, num_folds=1)[0][0].valid
        model = results.best_model
        right = model.predict(load_wine().data[valid]) == np.asarray(data.classes)[data.target[valid]]
        assert right.mean() == pytest.approx(results.best.validation["accuracy"], abs=1e-6), options
        row = results.trials.row(results.best.trial, named=True)
        assert model.config.learning_rate == row["learning_rate"]


def test_a_budget_may_end_anything():
    for options in ({"scheduler": "pbt", "interval": 1}, {"scheduler": "hyperband", "folds": 2}, {"sampler": "grid"}):
        space = Space(learning_rate=Float(1e-3, 1, scale="log"), hidden_units=Int(4, 64), batch_size=Choice(8, 16, 32))
        try:
            results = jaxbn.sweep(space, "wine", num_configs=3000, num_epochs=200, time_budget=8, **options)
        except UserError as error:
            assert "ended before a configuration had trained" in str(error)
            continue
        assert results.best.trial == results.leaderboard(1)["trial"][0]
        assert (results.lineage["epoch"] < 200).all()


def test_a_grid_is_whole():
    with pytest.raises(UserError, match="a grid in 3 rounds is no grid"):
        jaxbn.sweep(SPACE, "wine", num_configs=90, num_epochs=1, sampler="grid", num_rounds=3)


def test_a_sampler_without_an_answer():
    with pytest.raises(UserError, match=r"the sampler 'nothing\(\)' proposed no configuration"):

        def nothing(seed, space, history, num_configs):
            return []

        jaxbn.sweep(SPACE, "wine", num_configs=3, num_epochs=1, sampler=nothing)


def test_what_cannot_decide_says_so():
    results = jaxbn.sweep(SPACE, "iris", num_configs=2, num_epochs=2, scheduler="pbt", interval=5)
    assert any("2 epochs leave pbt nothing to decide" in note for note in results.summary.notes)


def test_a_round_for_which_a_sampler_has_nothing_is_left_out():
    def stingy(seed, space, history, num_configs):
        begun = 0 if not history else len(history.configs)
        return [] if begun == 2 else random(seed + begun, space, None, num_configs)

    results = jaxbn.sweep(SPACE, "wine", num_configs=6, num_epochs=1, sampler=stingy, num_rounds=3)
    assert results.trials["status"].to_list() == ["ok"] * 2
