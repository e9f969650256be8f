"""What the commands print and write, in one process; and what only a process of its own can show."""

import csv
import io
import json
import signal
import subprocess
import sys
import time
import tomllib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from jaxbn.cli import main
from jaxbn.cli.sweep import new_place
from jaxbn.engine.programs import METRICS
from jaxbn.search import HYPERPARAMETERS, SAMPLERS, Space
from jaxbn.study import run_dir
from jaxbn.study.results import Results

SPACE = "[num_layers]\nvalue = 1\n[hidden_units]\nlow = 4\nhigh = 8\n[learning_rate]\nlow = 0.01\nhigh = 0.1\n"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with a finished sweep over iris, and what it printed."""
    folder = tmp_path_factory.mktemp("commands")
    (folder / "space.toml").write_text(SPACE)
    with pytest.MonkeyPatch.context() as patch, io.StringIO() as printed:
        patch.chdir(folder)
        patch.setattr(sys, "stdout", printed)
        assert run("sweep iris --space space.toml --num-configs 4 --num-epochs 3 --out run") == 0
        (folder / "printed.txt").write_text(printed.getvalue())
    return folder


@pytest.fixture
def here(folder, monkeypatch):
    monkeypatch.chdir(folder)
    return folder


def run(command):
    return main(command.split())


def output(capsys, command):
    assert run(command) == 0
    return capsys.readouterr().out


def jaxbn(*argv, **options):
    return subprocess.run(
        [sys.executable, "-m", "jaxbn", *argv], capture_output=True, text=True, timeout=120, **options
    )


def test_the_report_of_a_sweep(here):
    printed = (here / "printed.txt").read_text()
    record = json.loads((here / "run/run.json").read_text())
    best = record["best"]["trial"]
    for words in (
        "by validation accuracy",
        "within one standard error",
        "best linear model",
        "majority class",
        f"jaxbn train run#{best} --refit",
        "jaxbn predict run DATA",
        f"{record['test']['accuracy']:.4f}",
        "90 training, 30 validation and 30 test rows",
    ):
        assert words in printed
    assert "\x1b" not in printed
    searched = next(line for line in printed.splitlines() if line.startswith("#"))
    # The parts of a name are on lines of their own, the last on this one.
    assert searched.split() == ["#", "trial", "accuracy", "loss", "units", "rate"]


def test_a_leaderboard_is_ranked(here, capsys):
    record = json.loads(output(capsys, "leaderboard run --top 3 --json"))
    rows = record["leaderboard"]
    assert rows[0]["trial"] == record["best"]["trial"]
    assert len(rows) == 3
    keys = [(-row["valid_accuracy"], row["valid_loss"], row["trial"]) for row in rows]
    assert keys == sorted(keys)
    assert f"{rows[0]['valid_loss']:.4f}" in output(capsys, "leaderboard run --top 1")


def test_a_trial_is_trained_again_and_predicts(here, capsys):
    record = json.loads((here / "run/run.json").read_text())
    best = record["best"]["trial"]
    printed = output(capsys, "train run")
    for split in (record["best"]["validation"], record["test"]):
        assert f"{split['accuracy']:.4f}" in printed
    assert (here / f"run/models/{best}/model.json").is_file()
    output(capsys, "train run#0 --refit --out mine")
    assert run("train run#0 --refit --out mine") == 2
    output(capsys, "train run#0 --refit --out mine --overwrite")
    capsys.readouterr()

    of_run = list(csv.DictReader(io.StringIO(output(capsys, "predict run iris"))))
    again = list(csv.DictReader(io.StringIO(output(capsys, f"predict run/models/{best} iris"))))
    output(capsys, "predict mine iris --out deep/mine.parquet")
    mine = pl.read_parquet("deep/mine.parquet")
    columns = ["prediction", "probability_setosa", "probability_versicolor", "probability_virginica"]
    assert len(of_run) == len(mine) == 150
    assert list(of_run[0]) == mine.columns == columns
    for rows, tolerance in ((of_run, 0), (again, 1e-3)):
        chances = np.array([[float(row[name]) for name in columns[1:]] for row in rows])
        np.testing.assert_allclose(chances.sum(1), 1, atol=1e-12)
        first = np.array([[float(row[name]) for name in columns[1:]] for row in of_run])
        np.testing.assert_allclose(chances, first, atol=tolerance)
        predicted = [columns[1 + k].removeprefix("probability_") for k in chances.argmax(1)]
        assert [row["prediction"] for row in rows] == predicted


def test_a_trial_is_trained_again_on_data_that_were_moved(here, capsys):
    (here / "data.csv").write_text("x,z,y\n" + "".join(f"{n % 7},{n % 5},{'ab'[n % 7 > 3]}\n" for n in range(60)))
    output(capsys, "sweep data.csv --space space.toml --num-configs 1 --num-epochs 1 --out moved")
    (here / "data.csv").rename(here / "elsewhere.csv")
    assert run("train moved") == 2
    assert "data.csv', is not there any more: give it again" in capsys.readouterr().err
    assert "The model is in moved/models/0" in output(capsys, "train moved#0 elsewhere.csv")
    (here / "elsewhere.csv").write_text((here / "elsewhere.csv").read_text().replace("0,0,a", "0,1,a"))
    assert run("train moved elsewhere.csv --out other-data") == 2
    assert "are not those of the sweep" in capsys.readouterr().err


def test_what_a_spreadsheet_would_run_is_quoted(here, capsys):
    names = ["=1+1", "-1", "@sum", "plain"]
    rows = "".join(f"{number % 4}.{number % 7},{names[number % 4]}\n" for number in range(80))
    (here / "classes.csv").write_text("x,y\n" + rows)
    output(capsys, "sweep classes.csv --num-configs 4 --num-epochs 40 --out classes")
    lines = list(csv.DictReader(io.StringIO(output(capsys, "predict classes classes.csv"))))
    # Negative numbers are no formulas, and a column's name begins harmlessly.
    assert {row["prediction"] for row in lines} <= {"'=1+1", "-1", "'@sum", "plain"}
    assert "'=1+1" in {row["prediction"] for row in lines}
    assert "probability_=1+1" in lines[0]


def test_a_file_of_predictions_is_replaced_only_when_asked(here, capsys):
    (here / "mine.csv").write_text("mine")
    assert run("predict run iris --out mine.csv") == 2
    assert (here / "mine.csv").read_text() == "mine"
    output(capsys, "predict run iris --out mine.csv --overwrite")
    assert len((here / "mine.csv").read_text().splitlines()) == 151


def test_a_regression_predicts_numbers(here, capsys):
    record = json.loads(
        output(capsys, "sweep diabetes --space space.toml --num-configs 1 --num-epochs 2 --json --out d")
    )
    assert {"loss", "r2"} == set(record["test"])
    rows = list(csv.DictReader(io.StringIO(output(capsys, "predict d diabetes"))))
    assert list(rows[0]) == ["prediction"]
    assert len({float(row["prediction"]) for row in rows}) > 400


def test_the_object_of_json(here, capsys):
    argv = "sweep iris --space space.toml --num-configs 2 --num-epochs 2 --json --out other"
    (line,) = output(capsys, argv).splitlines()
    record = json.loads(line)
    names = {"best", "test", "num_trials", "num_diverged", "num_programs", "num_train", "seconds", "run"}
    assert names <= set(record)
    assert set(record["best"]) == {"trial", "config", "validation"}
    assert set(record["seconds"]) == {"import", "compile", "train", "total"}
    assert record["num_trials"] == 2 and record["num_train"] == 90 and record["run"] == "other"
    written = json.loads((here / "other/run.json").read_text())
    assert {name: written[name] for name in names - {"run"}} == {name: record[name] for name in names - {"run"}}


def test_each_sweep_has_a_folder_of_its_own(here, capsys, monkeypatch):
    monkeypatch.setattr(time, "strftime", lambda pattern: "20150403-120000")
    argv = "sweep iris --space space.toml --num-configs 1 --num-epochs 1 --json"
    runs = [json.loads(output(capsys, argv))["run"] for _ in range(2)]
    assert runs == ["runs/iris-20150403-120000", "runs/iris-20150403-120000-2"]
    assert all((here / run / "run.json").is_file() for run in runs)


def test_sweeps_of_the_same_second_have_folders_of_their_own(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with ThreadPoolExecutor(8) as pool:
        places = list(pool.map(lambda _: new_place(Path("runs/iris")), range(8)))
    assert len(set(places)) == 8 and all(place.is_dir() for place in places)


def test_a_folder_that_nobody_named_goes_when_nothing_is_written(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert run("sweep iris --space nowhere.toml") == 2
    assert run("sweep iris --metric acuracy") == 2
    assert not list(tmp_path.iterdir())


def test_a_plan_runs_nothing(here, capsys):
    before = sorted(here.rglob("*"))
    record = json.loads(output(capsys, "plan iris --num-configs 5 --json"))
    assert record["num_trials"] == 5 and record["num_programs"] > 0
    assert "programs" in output(capsys, "plan iris --num-configs 5")
    assert sorted(here.rglob("*")) == before


def test_the_space_to_edit_is_the_default_space(tmp_path, capsys):
    printed = output(capsys, "space --toml")
    (tmp_path / "space.toml").write_text(printed)
    assert Space.from_toml(tmp_path / "space.toml") == Space.default()
    # Without the marks of the tables that are commented out, every hyperparameter is searched.
    lines = [line.removeprefix("# ") for line in printed.splitlines() if line[:3] != "# " or "=" in line or "[" in line]
    tables = [
        line for line in lines if line.startswith("[") or line.split(" ")[0] in ("low", "high", "scale", "choices")
    ]
    assert set(tomllib.loads("\n".join(line for line in tables if "," not in line or "choices" in line))) == set(
        HYPERPARAMETERS
    )


def test_help_names_what_there_is(capsys):
    text = output(capsys, "sweep --help")
    for name in SAMPLERS:
        assert name in text
    for metric in {metric.name for metrics in METRICS.values() for metric in metrics}:
        assert metric in text
    printed = output(capsys, "space")
    for name in HYPERPARAMETERS:
        assert name in printed


def test_help_is_quick_and_imports_nothing_heavy():
    seconds = []
    for argv in (["--help"], ["sweep", "--help"], ["--help"]):
        began = time.perf_counter()
        done = jaxbn(*argv)
        seconds.append(time.perf_counter() - began)
        assert done.returncode == 0 and "sweep" in done.stdout and done.stderr == ""
    assert min(seconds) < 1
    code = (
        "import sys; from jaxbn.cli import main; main(['sweep', '--help']); "
        "sys.exit(bool({'jax', 'polars', 'sklearn', 'scipy', 'flax'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True).returncode == 0


def test_a_mistake_in_a_process_of_its_own(tmp_path):
    done = jaxbn("sweep", "digts", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("jaxbn: unknown data set") and done.stderr.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_a_closed_pipe_is_quiet(here):
    argv = [sys.executable, "-m", "jaxbn", "predict", "run", "iris"]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None and process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == ""
    assert process.returncode == 141


def test_the_doctor_in_a_process_of_its_own():
    done = jaxbn("doctor", "--json")
    record = json.loads(done.stdout)
    assert done.returncode == (0 if record["ok"] else 1)
    assert {check["ok"] for check in record["checks"]} == {True}


def test_a_doctor_who_finds_something(monkeypatch, capsys):
    monkeypatch.setattr("jaxbn.doctor.known_bad", lambda jaxlib, backend: "jaxlib 0.0 counts on its fingers")
    monkeypatch.setattr("jaxbn.doctor.canaries", lambda: ())
    assert main(["doctor"]) == 1
    printed = capsys.readouterr().out
    assert "counts on its fingers" in printed and "Do not trust this JAX" in printed


def test_the_table_of_conventions(capsys):
    printed = output(capsys, "conventions")
    assert max(len(line.rstrip()) for line in printed.splitlines()) <= 100
    line = next(line for line in printed.splitlines() if line.startswith("dl4j?"))
    assert line.split() == [
        "dl4j?",
        "average,",
        "0.9",
        "old",
        "biased",
        "1e-5",
        "log10(std)",
        "variance",
        "0",
        "numbers",
    ]
    line = next(line for line in printed.splitlines() if line.startswith("torch?"))
    assert line.split() == ["torch?", "average,", "0.9", "old", "unbiased", "1e-5", "variance", "error", "live"]


def test_one_convention_in_full(capsys):
    printed = output(capsys, "conventions caffe")
    for words in (
        "moving_average_fraction=0.999, of the old",
        "bn1.blobs[2]",
        "bias_term: true",
        "batch_norm_layer.cpp",
    ):
        assert words in printed
    record = json.loads(output(capsys, "conventions lasagne --json"))
    assert list(record) == ["lasagne"]
    assert record["lasagne"]["averaging"] == {"kind": "Ema", "decay": 0.9}
    assert record["lasagne"]["arrays"] == ["dense1.W", "bn1.beta", "bn1.gamma", "bn1.mean", "bn1.inv_std"]
    assert run("conventions pytorch") == 2
    assert "did you mean 'torch'?" in capsys.readouterr().err


def test_conventions_of_optimizers_and_initial_weights(capsys):
    printed = output(capsys, "conventions --optimizers")
    assert "w -= rate (g + mu v)" in printed and "uncorrected" in printed
    assert max(len(line.rstrip()) for line in printed.splitlines()) <= 100
    assert "kaiming_uniform(a=sqrt(5))" in output(capsys, "conventions --initialisers")
    record = json.loads(output(capsys, "conventions --optimizers --json"))
    assert record["Adam"]["torch"]["epsilon_added"] == "corrected"
    assert record["Adam"]["keras3"]["epsilon"] == 1e-7


def test_a_model_that_is_trained_again_replaces_nothing_else(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    output(capsys, "sweep iris --num-configs 2 --num-epochs 1 --out run --json")
    output(capsys, "train run#0 --out mine")
    output(capsys, "train run#1 --out mine --overwrite")
    (tmp_path / "mine/notes.md").write_text("mine")
    assert main(["train", "run#0", "--out", "mine", "--overwrite"]) == 2
    assert "'mine' holds 'notes.md' too, so it is not replaced" in capsys.readouterr().err
    assert (tmp_path / "mine/notes.md").read_text() == "mine"
    assert main(["train", "run#0", "--out", "run/best", "--overwrite"]) == 2
    assert "'run/best' is for the winner of the run as it was swept" in capsys.readouterr().err


def test_an_interrupt_after_the_end_says_that_the_run_is_finished(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    finish = run_dir.finish

    def late(*given):
        finish(*given)
        signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(run_dir, "finish", late)
    assert main(["sweep", "iris", "--num-configs", "2", "--num-epochs", "1", "--out", "run"]) == 130
    assert capsys.readouterr().err.endswith("jaxbn: interrupted; the run in run is finished\n")
    assert len(Results.load(tmp_path / "run").trials) == 2
