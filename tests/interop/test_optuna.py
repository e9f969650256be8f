"""A sweep as a study that Optuna's own readers read, and spaces both ways."""

import importlib.util
import time

import numpy as np
import pytest

from jaxbn.errors import UserError
from jaxbn.search import Choice, Config, Float, Int, Space, from_values
from tests.study.synthetic import sweep

pytest.importorskip("optuna")

import optuna
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.trial import TrialState

from jaxbn.interop.optuna import distributions_of, space_from, to_study

SPACE = Space(
    learning_rate=Float(1e-4, 1, scale="log"),
    momentum=Float(0.9, 0.999, scale="one_minus_log"),
    batch_size=Int(32, 256, scale="power_of_two"),
    num_layers=Int(1, 3),
    optimizer=Choice("momentum", "adam"),
    b1=0.8,
)
DISTRIBUTIONS = {
    "learning_rate": FloatDistribution(1e-4, 1, log=True),
    "momentum": FloatDistribution(0.9, 0.999),
    "batch_size": IntDistribution(32, 256, log=True),
    "num_layers": IntDistribution(1, 3),
    "optimizer": CategoricalDistribution(("momentum", "adam")),
}


def bowl(config, rng):
    return 1 - (np.log10(config.learning_rate) + 2) ** 2 / 4 + 0.01 * rng.normal()


def status(config, score):
    if config.learning_rate > 0.3:
        return "diverged"
    if score < 0.3:
        return "pruned"
    return "stopped" if config.num_layers == 3 and score < 0.5 else "ok"


@pytest.fixture(scope="module")
def results():
    return sweep(SPACE, bowl, num_configs=120, num_epochs=3, replicates=2, status=status)


@pytest.fixture(scope="module")
def study(results):
    return to_study(results)


def test_the_best_trial_is_the_winner(study, results):
    assert study.best_trial.number == study.best_trial.user_attrs["trial"] == results.best.trial
    assert study.best_value == results.trials["valid_accuracy"].max()
    assert study.direction == optuna.study.StudyDirection.MAXIMIZE and study.metric_names == ["valid_accuracy"]
    loss = sweep(SPACE, lambda config, rng: -bowl(config, rng), num_configs=20, greater_is_better=False)
    assert to_study(loss).best_trial.number == loss.best.trial


def test_a_trial_keeps_its_number_values_units_and_state(study, results):
    states = {"ok": "COMPLETE", "pruned": "PRUNED", "stopped": "PRUNED", "diverged": "FAIL"}
    assert set(results.trials["status"]) == set(states)
    for trial, row in zip(study.trials, results.trials.iter_rows(named=True), strict=True):
        assert trial.number == row["trial"] and trial.state.name == states[row["status"]]
        assert trial.params == {name: row[name] for name in DISTRIBUTIONS if row[name] is not None}
        assert trial.distributions == {name: DISTRIBUTIONS[name] for name in trial.params}
        assert trial.value == row["valid_accuracy"]
        for name in ("trial", "config", "replicate", "fold", "round", "bracket", "status"):
            assert trial.user_attrs[name] == row[name]
        if trial.state == TrialState.FAIL:
            assert trial.value is None and trial.intermediate_values == {}
        else:
            assert list(trial.intermediate_values) == [1, 2, 3]
            assert trial.intermediate_values[3] == pytest.approx(trial.value)
    assert {"momentum" in trial.params for trial in study.trials} == {True, False}


def test_optunas_own_readers_read_it(study):
    assert next(iter(optuna.importance.get_param_importances(study))) == "learning_rate"
    frame = study.trials_dataframe()
    assert len(frame) == 240 and frame["params_batch_size"].isin([32, 64, 128, 256]).all()


@pytest.mark.skipif(importlib.util.find_spec("plotly") is None, reason="plotly draws Optuna's plots")
@pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")
def test_optunas_own_plots_draw_it(study):
    plots = optuna.visualization
    assert plots.plot_param_importances(study).data[0].y[-1] == "learning_rate"
    assert plots.plot_slice(study, params=["learning_rate"]).layout.xaxis.type == "log"
    assert len(plots.plot_intermediate_values(study).data) > 100
    for plot in (plots.plot_optimization_history, plots.plot_parallel_coordinate):
        assert plot(study).data


def test_a_journal_file_holds_several_studies(tmp_path, results):
    path = tmp_path / "studies.log"
    few = sweep(SPACE, bowl, num_configs=10, num_epochs=2)
    to_study(few, storage=path)
    to_study(few, storage=str(path), name="again")
    storage = optuna.storages.JournalStorage(optuna.storages.journal.JournalFileBackend(str(path)))
    assert set(optuna.get_all_study_names(storage)) == {"jaxbn", "again"}
    read = optuna.load_study(study_name="jaxbn", storage=storage)
    assert [t.values for t in read.trials] == [t.values for t in to_study(few).trials]
    assert to_study(few, storage=optuna.storages.InMemoryStorage()).best_value == read.best_value
    with pytest.raises(UserError, match="holds a study named 'again' already: give another name"):
        to_study(few, storage=path, name="again")


def test_ten_thousand_trials_in_memory(capfd):
    results = sweep(SPACE, bowl, num_configs=10_000, num_epochs=10)
    began = time.perf_counter()
    study = to_study(results)
    seconds = time.perf_counter() - began
    assert len(study.trials) == 10_000 and study.trials[-1].intermediate_values.keys() == set(range(1, 11))
    assert seconds < 20
    assert capfd.readouterr().err == ""


def test_trusted_configurations_from_outside_widen_the_distributions():
    trusted = [Config(learning_rate=3.0, batch_size=300, optimizer="sgd"), Config(learning_rate=1e-5)]
    results = sweep(None, bowl, configs=trusted)
    results.request.space = SPACE.to_json()
    first, second = to_study(results).trials
    assert first.params["learning_rate"] == 3.0 and second.params["learning_rate"] == 1e-5
    assert first.distributions["learning_rate"] == FloatDistribution(1e-5, 3, log=True)
    assert first.distributions["batch_size"] == IntDistribution(32, 300, log=True)
    assert first.distributions["optimizer"].choices == ("momentum", "adam", "sgd")


def test_listed_configurations_and_layers_of_unlike_width():
    configs = [from_values(learning_rate=0.1 / n, hidden_units=(64, 32) if n % 2 else (16, 16)) for n in range(1, 9)]
    study = to_study(sweep(None, bowl, configs=configs))
    assert {trial.params["hidden_units"] for trial in study.trials} == {"64-32", "16-16"}
    assert study.trials[0].distributions["learning_rate"] == FloatDistribution(0.1 / 8, 0.1, log=True)


def test_an_option_of_none_is_a_value():
    space = Space(clip_norm=Choice(None, 1.0), learning_rate=Float(1e-4, 1, scale="log"))
    study = to_study(sweep(space, bowl, num_configs=20))
    assert {trial.params["clip_norm"] for trial in study.trials} == {None, 1.0}


def test_spaces_go_out_and_come_back():
    assert distributions_of(SPACE) == DISTRIBUTIONS
    back = space_from(DISTRIBUTIONS)
    assert back == Space(
        learning_rate=Float(1e-4, 1, scale="log"),
        momentum=Float(0.9, 0.999),
        batch_size=Int(32, 256, scale="log"),
        num_layers=Int(1, 3),
        optimizer=Choice("momentum", "adam"),
    )
    assert distributions_of(back) == DISTRIBUTIONS
    widths = Space(hidden_units=Choice((64, 32), 16))
    assert distributions_of(widths)["hidden_units"].choices == ("64-32", 16)
    assert space_from(distributions_of(widths)) == widths


def test_a_single_value_is_fixed():
    space = space_from({"num_layers": IntDistribution(2, 2), "optimizer": CategoricalDistribution(["adam"])})
    assert space.fixed == {"num_layers": 2, "optimizer": "adam"} and not space.domains


@pytest.mark.parametrize(
    ("distributions", "said"),
    [
        ({"lr": FloatDistribution(0, 1)}, "unknown hyperparameter 'lr'"),
        ({"dropout": FloatDistribution(0, 0.5, step=0.1)}, "leave out the step, or make it categorical"),
        ({"num_layers": IntDistribution(1, 5, step=2)}, "leave out the step, or make it categorical"),
        ({"dropout": FloatDistribution(0, 3)}, "dropout = 3.0 is out of range"),
        ({"optimizer": CategoricalDistribution(["adam", "lion"])}, "unknown value of optimizer 'lion'"),
    ],
)
def test_what_no_space_can_hold_is_refused(distributions, said):
    with pytest.raises(UserError, match=said):
        space_from(distributions)


def test_without_optuna_it_says_what_to_install(monkeypatch, results):
    monkeypatch.setattr(importlib.util, "find_spec", lambda package: None)
    for call in (lambda: to_study(results), lambda: distributions_of(SPACE)):
        with pytest.raises(UserError, match=r'needs optuna.*pip install "jaxbn\[optuna\]"'):
            call()
