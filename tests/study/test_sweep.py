"""A sweep end to end, small: its tables, its figures, its files, and one row trained again."""

import json
import math

import numpy as np
import polars as pl
import pytest
from sklearn.metrics import accuracy_score, log_loss, r2_score

import jaxbn
from jaxbn import Choice, Float, Results, Space, UserError
from jaxbn.search import HYPERPARAMETERS, from_values
from jaxbn.study.clock import covered
from jaxbn.study.lock import locked

SPACE = Space(
    learning_rate=Float(1e-3, 0.03, scale="log"),
    optimizer=Choice("momentum", "adam"),
    momentum=Float(0.8, 0.95),
    hidden_units=8,
    num_layers=1,
)
EPOCHS = 4


@pytest.fixture(scope="module")
def results(tmp_path_factory) -> Results:
    folder = tmp_path_factory.mktemp("runs") / "wine"
    return jaxbn.sweep(SPACE, "wine", num_configs=12, num_epochs=EPOCHS, run_dir=folder)


@pytest.fixture(scope="module")
def loaded(results, tmp_path_factory) -> Results:
    folder = tmp_path_factory.mktemp("again") / "wine"
    results.save(folder)
    return Results.load(folder)


def test_trials_have_a_row_for_each_config(results):
    trials = results.trials
    assert trials["trial"].to_list() == list(range(12))
    assert set(HYPERPARAMETERS) < set(trials.columns)
    assert {"status", "epochs", "train_loss", "valid_loss", "valid_accuracy", "train_seconds"} < set(trials.columns)
    adam = trials.filter(pl.col("optimizer") == "adam")
    assert adam["momentum"].null_count() == len(adam) > 0
    assert adam["b2"].null_count() == 0
    assert trials["status"].unique().to_list() == ["ok"]


def test_curves_have_a_row_for_each_epoch(results):
    curves = results.curves
    assert curves.columns == ["trial", "epoch", "learning_rate", "train_loss", "valid_loss", "valid_accuracy"]
    assert len(curves) == 12 * EPOCHS
    last = curves.filter(pl.col("epoch") == EPOCHS).sort("trial")
    assert last["valid_accuracy"].to_list() == results.trials["valid_accuracy"].to_list()
    np.testing.assert_allclose(last["learning_rate"], results.trials["learning_rate"], rtol=1e-6)


def test_the_winner_leads_the_leaderboard(results):
    top = results.leaderboard(3)
    assert top["trial"][0] == results.best.trial
    assert top["valid_accuracy"][0] == results.trials["valid_accuracy"].max()
    assert results.best.validation["accuracy"] == top["valid_accuracy"][0]
    assert 1 <= results.summary.num_tied <= 12


def test_test_scores_are_scikit_learns(results):
    dataset = jaxbn.load_data("wine")
    split, _ = jaxbn.data.split_rows(dataset, seed=0)
    rows = dataset.features.numeric[split.test]
    truth = [dataset.classes[code] for code in dataset.target[split.test]]
    assert results.test["accuracy"] == pytest.approx(accuracy_score(truth, results.best_model.predict(rows)))
    probabilities = results.best_model.predict_proba(rows)
    assert results.test["loss"] == pytest.approx(log_loss(dataset.target[split.test], probabilities), rel=1e-4)
    np.testing.assert_allclose(probabilities.sum(1), 1)


def test_baselines(results):
    majority, linear = results.summary.baselines
    assert majority.name == "majority class"
    assert majority.validation["accuracy"] < 0.5 < linear.validation["accuracy"]


def test_a_run_read_again_is_the_run(results, loaded):
    assert loaded.summary == results.summary
    assert loaded.request == results.request
    assert loaded.trials.equals(results.trials)
    assert loaded.curves.equals(results.curves)
    rows = jaxbn.load_data("wine").features.numeric[:7]
    np.testing.assert_array_equal(loaded.best_model.predict_proba(rows), results.best_model.predict_proba(rows))


def test_summary_is_json_by_the_agreed_names(results):
    record = json.loads(json.dumps(results.summary.to_json(), allow_nan=False))
    assert {"best", "test", "num_trials", "num_diverged", "num_programs", "num_train", "seconds"} <= set(record)
    assert set(record["best"]) == {"trial", "config", "validation"}
    assert set(record["seconds"]) == {"import", "compile", "train", "total"}
    assert record["num_train"] + record["num_valid"] + record["num_test"] == 178


def test_one_row_trained_again_is_the_row(loaded):
    for trial in (0, 5):
        model, scores = jaxbn.retrain(loaded, trial)
        row = loaded.trials.row(trial, named=True)
        assert scores["validation"]["loss"] == pytest.approx(row["valid_loss"], rel=5e-4)
        assert model.config.learning_rate == row["learning_rate"]


def test_refit_learns_from_more_rows(loaded):
    model, scores = jaxbn.retrain(loaded, refit=True)
    assert set(scores) == {"test"}
    _, first = jaxbn.retrain(loaded)
    assert scores["test"]["loss"] != first["test"]["loss"]
    assert model.predict(jaxbn.load_data("wine").features.numeric[:3]).shape == (3,)


def test_a_config_alone_gives_its_curve_again(results):
    row = results.trials.row(3, named=True)
    values = {name: row[name] for name in HYPERPARAMETERS if row[name] is not None}
    alone = jaxbn.sweep(Space(**values), "wine", num_configs=1, num_epochs=EPOCHS)
    curve = results.curves.filter(pl.col("trial") == 3)
    np.testing.assert_allclose(alone.curves["train_loss"], curve["train_loss"], rtol=5e-4)


def test_ensemble_averages_probabilities(results):
    rows = jaxbn.load_data("wine").features.numeric[:9]
    three = results.ensemble(3)
    expected = np.mean([model.predict_proba(rows) for model in results.models[:3]], axis=0)
    np.testing.assert_allclose(three.predict_proba(rows), expected)
    assert three.predict(rows).tolist() == [results.best_model.classes[i] for i in expected.argmax(1)]
    with pytest.raises(UserError, match="weights of 99 trials"):
        results.ensemble(99)


def test_a_prediction_alone_equals_that_in_a_batch(results):
    rows = jaxbn.load_data("wine").features.numeric[:20]
    whole = results.best_model.predict_proba(rows)
    each = np.concatenate([results.best_model.predict_proba(row[None]) for row in rows])
    np.testing.assert_allclose(each, whole, rtol=1e-5, atol=1e-7)


def test_regression_is_in_the_units_of_the_data():
    results = jaxbn.sweep(
        Space(hidden_units=8, learning_rate=0.02), "diabetes", num_configs=1, num_epochs=8, metric="mae"
    )
    dataset = jaxbn.load_data("diabetes")
    split, _ = jaxbn.data.split_rows(dataset, seed=0)
    predicted = results.best_model.predict(dataset.features.numeric[split.test])
    truth = dataset.target[split.test][:, 0]
    assert results.test["r2"] == pytest.approx(r2_score(truth, predicted), abs=1e-4)
    assert results.test["mae"] == pytest.approx(np.abs(truth - predicted).mean(), rel=1e-4)
    assert results.summary.baselines[0].name == "mean"


def test_diverged_trials_are_null_and_counted():
    space = Space(learning_rate=Choice(1e30, 0.01), optimizer="momentum", hidden_units=8, num_layers=1)
    results = jaxbn.sweep(space, "iris", num_configs=8, num_epochs=3)
    lost = results.trials.filter(pl.col("status") == "diverged")
    assert results.summary.num_diverged == len(lost) > 0
    assert lost["learning_rate"].unique().to_list() == [1e30]
    assert results.leaderboard(8)["status"].to_list()[-len(lost) :] == ["diverged"] * len(lost)
    assert all(value is None or math.isfinite(value) for value in results.trials["valid_loss"])


def test_all_diverged_is_said():
    with pytest.raises(UserError, match="all 2 trials that were trained diverged"):
        jaxbn.sweep(Space(learning_rate=1e30, optimizer="momentum"), "iris", num_configs=2, num_epochs=2)


def test_an_existing_run_is_not_replaced_unless_asked(results, tmp_path):
    folder = tmp_path / "run"
    results.save(folder)
    with pytest.raises(UserError, match="exists already"):
        results.save(folder)
    results.save(folder, overwrite=True)
    other = tmp_path / "precious"
    other.mkdir()
    (other / "thesis.txt").write_text("years of work")
    with pytest.raises(UserError, match="no folder with a run"):
        results.save(other, overwrite=True)
    assert (other / "thesis.txt").read_text() == "years of work"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["precious", "run"]


@pytest.mark.parametrize("name", ["run.json", "trials.parquet", "best/model.json", "best/model.safetensors"])
def test_a_broken_run_is_one_sentence(results, tmp_path, name):
    folder = tmp_path / "run"
    results.save(folder)
    path = folder / name
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(UserError):
        Results.load(folder)
    path.unlink()
    with pytest.raises(UserError):
        Results.load(folder)


def test_another_version_is_said(results, tmp_path):
    folder = tmp_path / "run"
    results.save(folder)
    record = json.loads((folder / "run.json").read_text())
    (folder / "run.json").write_text(json.dumps(record | {"version": 99}))
    with pytest.raises(UserError, match="version 99"):
        Results.load(folder)


def test_changed_data_are_refused_and_the_same_are_not():
    wine = jaxbn.load_data("wine")
    x, y = wine.features.numeric.copy(), wine.target
    results = jaxbn.sweep(Space(hidden_units=8, num_layers=1), (x, y), num_configs=1, num_epochs=2)
    with pytest.raises(UserError, match="give the data again"):
        jaxbn.retrain(results)
    model, _ = jaxbn.retrain(results, data=(x, y))
    assert model.predict(x[:2]).shape == (2,)
    x[0, 0] += 1
    with pytest.raises(UserError, match="are not those of the sweep"):
        jaxbn.retrain(results, data=(x, y))


def test_configs_of_unlike_depths_can_be_listed():
    configs = [jaxbn.Config(hidden_units=(8,), num_layers=1), jaxbn.Config(hidden_units=(12, 6), num_layers=2)]
    results = jaxbn.sweep(configs, "iris", num_epochs=2)
    assert results.trials["hidden_units"].to_list() == ["8", "12-6"]
    assert results.request.space is None


@pytest.mark.parametrize("wrong", [{"keep": 0}, {"tile_size": -1}, {"seed": 1 << 40}, {"num_configs": 0}])
def test_numbers_out_of_range_are_one_sentence(wrong):
    with pytest.raises(UserError, match=next(iter(wrong))):
        jaxbn.sweep(SPACE, "iris", **({"num_configs": 1, "num_epochs": 1} | wrong))


def test_a_huge_batch_size_is_a_full_batch():
    plan = jaxbn.plan(Space(batch_size=10**6), "iris", num_configs=1, num_epochs=1)
    assert max(program.spec.batch_size for program in plan.programs) < 256


def test_class_weights_with_numpy_labels_survive_the_run(tmp_path):
    weights = dict(zip(np.arange(3), [1.0, 2.0, 3.0], strict=True))
    data = (jaxbn.load_data("iris").features.numeric, jaxbn.load_data("iris").target)
    jaxbn.sweep(SPACE, data, num_configs=1, num_epochs=1, class_weight=weights, run_dir=tmp_path / "run")
    assert Results.load(tmp_path / "run").request.class_weight == {"0": 1.0, "1": 2.0, "2": 3.0}


def test_standard_error_of_accuracy_is_the_binomial_one():
    from jaxbn.data.prepare import Rows
    from jaxbn.nn.metrics import CLASSIFICATION
    from jaxbn.study.score import standard_error

    rng = np.random.default_rng(1)
    y = rng.integers(0, 2, 400).astype(np.int32)
    right = rng.random(400) < 0.8
    outputs = np.eye(2, dtype=np.float32)[np.where(right, y, 1 - y)]
    rows = Rows(np.zeros((400, 1), np.float32), y, np.ones(400, np.float32))
    share = right.mean()
    expected = math.sqrt(share * (1 - share) / 400)
    assert standard_error(outputs, rows, CLASSIFICATION[1], None) == pytest.approx(expected, rel=0.2)


def test_standard_error_of_the_area_under_the_curve_is_over_resamples_that_have_a_curve():
    from jaxbn.data.prepare import Rows
    from jaxbn.nn.metrics import CLASSIFICATION
    from jaxbn.study.score import standard_error

    (roc_auc,) = (metric for metric in CLASSIFICATION if metric.name == "roc_auc")
    for num_classes in (2, 3):
        y = (np.arange(30) == 0).astype(np.int32)
        rows = Rows(np.zeros((30, 1), np.float32), y, np.ones(30, np.float32))
        # The one row of its class comes first, in every resample that has it; a third of them have not.
        outputs = 4 * np.eye(num_classes, dtype=np.float32)[y]
        assert standard_error(outputs, rows, roc_auc, None) < 1e-6
        assert standard_error(outputs[1:], Rows(rows.x[1:], y[1:], rows.weight[1:]), roc_auc, None) == 0


@pytest.mark.parametrize("folds", [1, 2])
def test_one_class_is_not_ranked_by_its_curve(folds):
    # Each group is of one class, so that a part of few groups has one too.
    groups = np.repeat(np.arange(6), 10)
    frame = pl.DataFrame({"x": np.arange(60.0) % 7, "group": groups, "y": groups == 0})
    data = jaxbn.load_data(frame, target="y", group="group")
    said = "the validation rows are of one class" if folds == 1 else "the validation rows of a fold are of one class"
    with pytest.raises(UserError, match=f"{said}, which have no ROC curve to rank by: choose another metric"):
        jaxbn.plan(SPACE, data, num_configs=1, num_epochs=1, folds=folds, metric="roc_auc")
    jaxbn.plan(SPACE, data, num_configs=1, num_epochs=1, folds=folds)


def test_time_is_counted_once():
    assert covered([]) == 0
    assert covered([(0, 1), (0.5, 0.7), (2, 3), (2.5, 4)]) == pytest.approx(3)


@pytest.mark.parametrize(
    ("epochs", "diverged", "said"),
    [([0, 0], [0, 0], "all 1 trials"), ([1, 0], [0, 0], "time budget"), ([1, 1], [1, 1], "all 3 trials")],
)
def test_what_is_said_where_no_trial_has_a_score(epochs, diverged, said):
    from types import SimpleNamespace

    from jaxbn.study.conduct import nothing_left

    setup = SimpleNamespace(settings=SimpleNamespace(time_budget=8.0))
    records = SimpleNamespace(epochs=np.array([*epochs, 1]), diverged=np.array([*diverged, 1], bool))
    assert said in str(nothing_left(setup, records))


def test_a_dict_is_no_space():
    with pytest.raises(
        UserError, match=r"a dict with learning_rate, b1 was given as the space: write Space\(\*\*dict\)"
    ):
        jaxbn.plan({"learning_rate": 0.1, "b1": 0.5}, "iris")


def test_smoothing_of_labels_is_of_classes():
    smoothing = Space(label_smoothing=Float(0, 0.2), num_layers=1)
    fixed, listed = Space(label_smoothing=0.1, num_layers=1), [from_values(label_smoothing=0.1)]
    for given in (smoothing, fixed, listed):
        with pytest.raises(UserError, match="label_smoothing is of classes and the targets of 'diabetes' are numbers"):
            jaxbn.sweep(given, "diabetes", num_configs=2)


def test_a_hyperparameter_that_nothing_uses_is_noted():
    space = Space(momentum=Float(0.5, 0.99), optimizer="adam", num_layers=1, hidden_units=4)
    results = jaxbn.sweep(space, "iris", num_configs=2, num_epochs=1)
    assert "the space searches momentum, which no config of it uses" in results.summary.notes
    never = Space(dropout=Float(0, 0.5, when={"activation": "tanh"}), activation="relu", num_layers=1, hidden_units=4)
    other = Space(activation=Choice("relu", "tanh"), clip_norm=Float(1, 2), num_layers=1, hidden_units=4)
    for space, enqueued, noted in ((never, [], True), (other, [{"activation": "gelu", "clip_norm": None}], False)):
        results = jaxbn.sweep(space, "iris", num_configs=1, num_epochs=1, enqueue=enqueued)
        assert any("which no config of it uses" in note for note in results.summary.notes) == noted
    default = jaxbn.sweep(None, "iris", num_configs=1, num_epochs=1)
    assert not any("which no config of it uses" in note for note in default.summary.notes)


@pytest.mark.parametrize("space", [5, {"hidden_units": 4}, "iris", [{"hidden_units": 4}], []])
def test_what_is_no_space_is_refused_where_a_run_goes_on_too(tmp_path, space):
    jaxbn.sweep(Space(hidden_units=4, num_layers=1), "iris", num_configs=1, num_epochs=1, run_dir=tmp_path / "run")
    for options in ({}, {"run_dir": tmp_path / "run", "resume": True}):
        with pytest.raises(UserError, match=r"is no Space and|given as the space|no configs to train"):
            jaxbn.sweep(space, "iris", num_configs=1, num_epochs=1, **options)
    with pytest.raises(UserError, match="is no Space and"):
        jaxbn.plan(jaxbn.load_data("iris"))


def test_scores_that_are_not_finite_are_kept_as_null(tmp_path):
    rng = np.random.default_rng(0)
    table = pl.DataFrame({"a": rng.normal(size=60), "b": rng.normal(size=60), "y": rng.integers(0, 2, 60)})
    far = table.head(10).with_columns(a=pl.when(pl.int_range(10) == 0).then(3e38).otherwise("a"))
    data = jaxbn.load_data(table, target="y", test=far, task="classification")
    results = jaxbn.sweep(
        Space(hidden_units=4, num_layers=1), data, num_configs=2, num_epochs=2, run_dir=tmp_path / "run"
    )
    assert not np.isfinite(results.test["loss"])
    record = json.loads((tmp_path / "run/run.json").read_text())
    assert record["finished"] and record["test"]["loss"] is None
    again = Results.load(tmp_path / "run")
    assert np.isnan(again.test["loss"]) and again.test["accuracy"] == results.test["accuracy"]
    again.save(tmp_path / "copy")
    assert (tmp_path / "copy/run.json").read_bytes() == (tmp_path / "run/run.json").read_bytes()


def test_numpy_numbers_are_settings():
    options = {"num_configs": np.int64(2), "num_epochs": np.int32(1), "valid_fraction": np.float32(0.25)}
    results = jaxbn.sweep(Space(hidden_units=4, num_layers=1), "iris", **options)
    assert len(results.trials) == 2 and type(results.request.settings["num_configs"]) is int


def test_what_somebody_keeps_in_a_run_s_folder_is_not_replaced(tmp_path):
    results = jaxbn.sweep(Space(hidden_units=4, num_layers=1), "iris", num_configs=1, num_epochs=1)
    results.save(tmp_path / "run")
    results.save(tmp_path / "run", overwrite=True)
    (tmp_path / "run/notes.md").write_text("mine")
    with pytest.raises(UserError, match=r"holds 'notes\.md' too, so it is not replaced"):
        results.save(tmp_path / "run", overwrite=True)
    (tmp_path / "run/notes.md").unlink()
    with locked(tmp_path / "run/lock"), pytest.raises(UserError, match="is being written by process"):
        results.save(tmp_path / "run", overwrite=True)
    assert len(Results.load(tmp_path / "run").trials) == 1
