"""Every mistake gets one sentence on stderr, exit status 2, and leaves nothing behind."""

import errno
import json
import os
import shutil
from pathlib import Path

import polars as pl
import pytest

from jaxbn.cli import main

ONE_LAYER = "[num_layers]\nvalue = 1\n[hidden_units]\nvalue = 8\n"
SMALL = ONE_LAYER + '[learning_rate]\nlow = 0.01\nhigh = 0.1\nscale = "log"\n'
ROWS = "".join(f"{i % 7},{i % 5},{'ab'[i % 2]}\n" for i in range(40))


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A working folder with a good table."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "good.csv").write_text("u,v,kind\n" + ROWS)
    return tmp_path


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A finished sweep over iris."""
    folder = tmp_path_factory.mktemp("finished")
    (folder / "space.toml").write_text(SMALL)
    argv = f"sweep iris --space {folder}/space.toml --num-configs 3 --num-epochs 2 --json --out {folder}/run"
    assert main(argv.split()) == 0
    return folder / "run"


def refused(argv, capsys):
    """The one sentence with which a command is refused; nothing has been written."""
    before = sorted(Path.cwd().rglob("*"))
    assert main(argv.split() if isinstance(argv, str) else argv) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith("jaxbn: ") and said.err.count("\n") == 1, said.err
    assert "Traceback" not in said.err
    assert sorted(Path.cwd().rglob("*")) == before
    return said.err


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        ("swep", ["unknown command 'swep'", "did you mean 'sweep'"]),
        ("sweep --num-confgs 3", ["--num-confgs", "did you mean --num-configs?"]),
        ("sweep --num-configs ten", ["--num-configs", "'ten' is not a whole number"]),
        ("sweep --num-rounds ten", ["--num-rounds", "'ten' is not a whole number"]),
        ("sweep --target-score high", ["--target-score", "'high' is not a number"]),
        ("sweep --time-budget 1y", ["--time-budget", "'1y' is not a time such as 60s, 5m or 2h"]),
        ("conventions torch --optimizers", ["NAME, --optimizers and --initialisers"]),
        ("sweep --num-configs 1.5", ["--num-configs", "'1.5' is not a whole number"]),
        ("sweep --valid-fraction some", ["--valid-fraction", "'some' is not a number"]),
        ("sweep --num-configs", ["--num-configs"]),
        ("sweep digits iris", ["iris"]),
        ("leaderboard", ["RUN must be given"]),
        ("predict run", ["DATA"]),
        ("sweep digts", ["unknown data set or file 'digts'", "did you mean 'digits'"]),
        ("sweep nowhere.csv", ["nowhere.csv"]),
        ("sweep good.csv --target knd", ["'knd'", "did you mean 'kind'"]),
        ("sweep good.csv --target 3", ["target column 3", "0 to 2"]),
        ("sweep good.csv --drop w", ["column to drop", "'w'"]),
        ("sweep good.csv --group w", ["group column", "'w'"]),
        ("sweep good.csv --test-data nowhere.csv", ["nowhere.csv"]),
        ("sweep iris --metric acuracy", ["unknown metric 'acuracy'", "did you mean 'accuracy'"]),
        ("sweep iris --metric r2", ["'r2' is for regression"]),
        ("sweep iris --sampler sobl", ["unknown sampler 'sobl'", "did you mean 'sobol'"]),
        ("sweep iris --task classify", ["unknown task 'classify'", "classification"]),
        ("sweep iris --class-weight equal", ["'equal'", "balanced"]),
        ("sweep iris --num-configs 0", ["--num-configs 0 is", "at least 1"]),
        ("sweep iris --num-epochs -1", ["--num-epochs -1 is", "at least 1"]),
        ("sweep iris --seed -1", ["--seed -1 is"]),
        ("sweep iris --valid-fraction 0.6 --test-fraction 0.4", ["leave no row", "together below 1"]),
        ("sweep iris --valid-fraction 0", ["--valid-fraction is 0.0"]),
        ("sweep iris --test-fraction 0.001", ["--test-fraction 0.001", "empty"]),
        ("sweep iris --space nowhere.toml", ["nowhere.toml"]),
        ("sweep iris --sampler grid --num-configs 2", ["grid"]),
        ("sweep iris --factor 1", ["--factor is of halving and hyperband, and --scheduler is none", "leave it out"]),
        ("sweep iris --min-epochs 3 --scheduler pbt", ["--min-epochs is of halving", "--scheduler is pbt"]),
        ("plan iris --interval 2 --scheduler halving", ["--interval is of pbt", "add --scheduler pbt"]),
        ("sweep iris --factor 2 --scheduler halvin", ["unknown scheduler 'halvin'", "did you mean 'halving'"]),
        ("plan good.csv --target knd", ["did you mean 'kind'"]),
    ],
)
def test_arguments(here, capsys, argv, words):
    message = refused([*argv.split(), *(["--out", "run"] if argv.startswith("sweep ") else [])], capsys)
    for word in words:
        assert word in message


@pytest.mark.parametrize(
    ("toml", "words"),
    [
        (
            "\n[lerning_rate]\nlow = 0.1\nhigh = 1\n",
            ["line 2", "'lerning_rate'", "did you mean 'learning_rate'"],
        ),
        ('[momentum]\nlow = 0.9\nhigh = 0.99\nscal = "log"\n', ["line 4", "'scal'", "did you mean 'scale'"]),
        ('[momentum]\nlow = 0.9\nhigh = 0.99\nscale = "lgo"\n', ["line 4", "'lgo'", "did you mean 'log'"]),
        ('\n\n[optimizer]\nchoices = ["adam", "adm"]\n', ["line 4", "'adm'", "did you mean 'adam'"]),
        ('[activation]\nvalue = "rlu"\n', ["line 2", "did you mean 'relu'"]),
        ("[learning_rate]\nlow = 1\nhigh = 0.1\n", ["line 1", "low must be below high"]),
        ("[learning_rate]\nlow = 1\nhigh = 1\n", ["line 1", "low must be below high"]),
        ('[dropout]\nlow = 0\nhigh = 0.5\nscale = "log"\n', ["line 1", "log scale needs low > 0"]),
        ('[momentum]\nlow = 0.9\nhigh = 1\nscale = "one_minus_log"\n', ["line 1", "one_minus_log needs"]),
        ('[momentum]\nlow = 0\nhigh = 0.9\nscale = "one_minus_log"\n', ["line 1", "one_minus_log needs"]),
        ("[momentum]\nlow = 0.9\nhigh = 1.5\n", ["line 1", "out of range"]),
        ("[batch_size]\nlow = 1.5\nhigh = 8\n", ["line 1", "whole number"]),
        ("[momentum]\nlow = 0.9\n", ["line 1", "low and high"]),
        ("momentum = 0.9\n", ["line 1", "value = 0.9"]),
        ("[momentum\n", ["line 1", "not TOML", "jaxbn space --toml"]),
        ('[b1]\nlow = 0.8\nhigh = 0.9\nwhen = { optimiser = "adam" }\n', ["did you mean 'optimizer'"]),
    ],
)
def test_space(here, capsys, toml, words):
    (here / "space.toml").write_text(toml)
    message = refused(["sweep", "iris", "--space", "space.toml", "--out", "run"], capsys)
    assert "space.toml" in message
    for word in words:
        assert word in message


@pytest.mark.parametrize(
    ("toml", "words"),
    [
        (None, ["cannot read the configurations 'trusted.toml'", "No such file"]),
        ("", ["no tables [[config]]"]),
        ("learning_rate = 0.1\n", ["no tables [[config]]"]),
        ("[config]\nlearning_rate = 0.1\n", ["no tables [[config]]"]),
        ("config = [1, 2]\n", ["no tables [[config]]"]),
        ("config = [{ learning_rate = 0.1 }, 2]\n", ["no tables [[config]]"]),
        ("[[config]]\nlearning_rate = 0.1\n[other]\n", ["others beside them"]),
        ("[[config]\n", ["trusted.toml is not TOML", "[[config]] for each"]),
        ("[[config]]\nlerning_rate = 0.1\n", ["'lerning_rate'", "did you mean 'learning_rate'"]),
        ("[[config]]\nlearning_rate = [0.1]\n", ["learning_rate = [0.1] is not a number"]),
        ("[[config]]\nlearning_rate = 0.1\n" * 3, ["3 configurations are enqueued and --num-configs is 2"]),
    ],
)
def test_enqueued_configurations(here, capsys, toml, words):
    if toml is not None:
        (here / "trusted.toml").write_text(toml)
    message = refused("sweep iris --enqueue trusted.toml --num-configs 2 --out run", capsys)
    for word in words:
        assert word in message


@pytest.mark.parametrize(
    ("table", "words"),
    [
        ("", ["empty"]),
        ("u,v,kind\n1,2,a\n1,2\n3,4,b\n", ["line 3"]),
        ("u,v,kind\n" + "1,2,a\n" * 20, ["one class", "'a'"]),
        ("u,v,kind\n", ["a header and no rows", "a row per example"]),
        (
            "u,v,kind\n" + "".join(f"{i},2,name{i}\n" for i in range(60)),
            ["60 classes", "is this regression?"],
        ),
        ("u,v,kind\n1,inf,a\n" + ROWS, ["infin", "'v'"]),
        ("u,kind\n1,\n2,\n", ["target"]),
    ],
)
def test_tables(here, capsys, table, words):
    (here / "table.csv").write_text(table)
    message = refused("sweep table.csv --out run", capsys)
    for word in words:
        assert word in message


def test_a_broken_parquet_file(here, capsys):
    pl.DataFrame({"u": range(50), "kind": ["a", "b"] * 25}).write_parquet("whole.parquet")
    content = (here / "whole.parquet").read_bytes()
    (here / "half.parquet").write_bytes(content[: len(content) // 2])
    assert "broken Parquet" in refused("sweep half.parquet --out run", capsys)


def test_an_existing_run_is_kept(here, capsys, finished):
    shutil.copytree(finished, "run")
    before = (here / "run/run.json").read_bytes()
    assert "exists already: choose another name, or add --overwrite" in refused("sweep iris --out run", capsys)
    assert "exists already" in refused("plan iris --out run", capsys)
    assert "unknown data set" in refused("sweep irs --out run --overwrite", capsys)
    assert (here / "run/run.json").read_bytes() == before


def test_only_a_run_is_overwritten(here, capsys):
    (here / "photos").mkdir()
    (here / "photos/me.jpg").write_text("me")
    assert "no folder with a run" in refused("sweep iris --out photos --overwrite", capsys)


def test_a_file_cannot_hold_a_run(here, capsys):
    assert "good.csv" in refused("sweep iris --out good.csv/run", capsys)


def test_when_every_trial_diverges(here, capsys):
    (here / "space.toml").write_text("[learning_rate]\nvalue = 1e30\n[optimizer]\nvalue = 'sgd'\n" + ONE_LAYER)
    argv = "sweep iris --space space.toml --num-configs 1 --num-epochs 2 --out run"
    assert "diverged" in refused(argv, capsys)


def _set(name, **values):
    def breaks(run):
        record = json.loads((run / name).read_text())
        (run / name).write_text(json.dumps({**record, **values}))

    return breaks


def _cut(name):
    def breaks(run):
        content = (run / name).read_bytes()
        (run / name).write_bytes(content[: len(content) // 2])

    return breaks


@pytest.mark.parametrize(
    ("breaks", "words"),
    [
        (shutil.rmtree, ["run"]),
        (_set("run.json", version=99), ["version 99"]),
        (_set("run.json", format="other"), ["jaxbn-run"]),
        (_set("run.json", seconds=None), ["broken"]),
        (_set("run.json", best=3), ["broken"]),
        (_set("run.json", num_tied="many"), ["num_tied is 'many'"]),
        (_set("run.json", test={}), ["do not go together"]),
        (_set("run.json", num_trials=4), ["do not go together"]),
        (_cut("run.json"), ["run.json is broken"]),
        (_cut("trials.parquet"), ["trials.parquet"]),
        (lambda run: (run / "curves.parquet").unlink(), ["curves.parquet"]),
        (_cut("best/model.safetensors"), ["model.safetensors is broken"]),
        (_set("best/model.json", version=99), ["version 99"]),
        (_set("best/model.json", classes=[]), ["broken"]),
        (_set("best/model.json", preprocessor={}), ["broken"]),
        (lambda run: (run / "best/model.json").unlink(), ["model.json"]),
    ],
)
def test_broken_runs(here, capsys, finished, breaks, words):
    run = here / "run"
    shutil.copytree(finished, run)
    breaks(run)
    for argv in (["leaderboard", "run"], ["train", "run#0"]):
        message = refused(argv, capsys)
        for word in words:
            assert word in message
    if not run.exists() or "model" in words[0]:
        refused(["predict", "run", "iris", "--out", "p.csv"], capsys)


def test_trials_that_are_not_there(here, capsys, finished):
    assert "no trial 3" in refused(["train", f"{finished}#3"], capsys)
    assert "names no trial" in refused(["train", f"{finished}#best"], capsys)
    assert "shows nothing" in refused(["leaderboard", str(finished), "--top", "0"], capsys)


def test_predictions_that_cannot_be_made(here, capsys, finished):
    run = str(finished)
    (here / "mine.csv").write_text("mine")
    (here / "few.csv").write_text("sepal length (cm),petal length (cm)\n1,2\n")
    assert "exists already" in refused(["predict", run, "iris", "--out", "mine.csv"], capsys)
    assert ".csv or .parquet" in refused(["predict", run, "iris", "--out", "p.json"], capsys)
    assert "mine.csv" in refused(["predict", run, "iris", "--out", "mine.csv/p.csv"], capsys)
    assert "lack 'sepal width (cm)'" in refused(["predict", run, "few.csv"], capsys)
    assert "neither a run nor a model" in refused(["predict", ".", "iris"], capsys)
    assert "not there" in refused(["predict", "nowhere", "iris"], capsys)
    assert (here / "mine.csv").read_text() == "mine"


@pytest.mark.parametrize(
    ("table", "arguments", "said"),
    [
        ("u,v,kind\n1,2,\n3,4,\n" + ROWS, "", "rows of the data without a target, left out: 2"),
        ("u,v,kind\nmany,2,a\n" + ROWS * 3, "", "rows with text in column 'u'"),
        ("u,v,kind\n" + ROWS + "1,1,c\n", "", "too few rows to be in every part of the split"),
        ("u,v,kind\n" + ROWS, "--num-configs 9", "of 9 configs have a batch size above the 24 training rows"),
    ],
)
def test_what_is_said_and_carried_on(here, capsys, table, arguments, said):
    (here / "table.csv").write_text(table)
    assert main(["plan", "table.csv", "--json", *arguments.split()]) == 0
    notes = json.loads(capsys.readouterr().out)["notes"]
    assert any(said in note for note in notes), notes


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        ("sweep iris --num-configs 0", "--num-configs 0 is no whole number"),
        ("sweep iris --folds 0", "--folds 0 is no whole number"),
        ("sweep iris --time-budget 5 --keep-states", "ends at its --time-budget of 5, so nothing trains on from its"),
        ("sweep iris --valid-fraction 0.7 --test-fraction 0.7", "--valid-fraction 0.7 and --test-fraction 0.7 leave"),
        ("sweep iris --out there", "choose another name, or add --overwrite"),
        ("sweep good.csv --task regression", "or --task classification"),
    ],
)
def test_a_mistake_is_told_in_the_words_that_were_typed(here, capsys, argv, words):
    (here / "there").mkdir()
    (here / "there/file").touch()
    told = refused(argv, capsys)
    assert words in told and "=" not in told


@pytest.mark.skipif(os.geteuid() == 0, reason="root may look everywhere")
@pytest.mark.parametrize("argv", ["sweep closed/x/d.csv", "predict closed/x/run iris", "sweep iris --out closed/x/r"])
def test_a_folder_that_is_closed_to_us(here, capsys, argv):
    (here / "closed").mkdir(mode=0)
    try:
        assert main(argv.split()) == 2
        told = capsys.readouterr().err
        assert told.startswith("jaxbn: ") and told.count("\n") == 1 and "Permission denied" in told
    finally:
        (here / "closed").chmod(0o700)


def test_a_path_that_may_not_be_looked_at(here, capsys, monkeypatch):
    is_dir = Path.is_dir

    def closed(self, *rest, **named):
        if self == Path("away/d.csv"):
            raise PermissionError(errno.EACCES, "Permission denied", str(self))
        return is_dir(self, *rest, **named)

    monkeypatch.setattr(Path, "is_dir", closed)
    assert "'away/d.csv': Permission denied" in refused("sweep away/d.csv", capsys)
