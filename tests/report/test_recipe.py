"""What a report says about running a sweep again is true."""

import contextlib
import io
import json
import shlex
import tomllib
from pathlib import Path

import pytest

import jaxbn
from jaxbn.cli import main
from jaxbn.report.page import page
from jaxbn.report.recipe import recipe, toml
from tests.report.runs import of, record_in


def again(record, folder, monkeypatch, **names):
    """The best config, and its score, of what a report says to paste."""
    monkeypatch.chdir(folder)
    steps = record["recipe"]
    for name, text in steps["files"].items():
        Path(name).write_text(text)
    if steps["language"] == "python":
        exec(compile(steps["text"], "recipe", "exec"), names)
        summary = names["results"].summary
        return summary.best.config, summary.best.validation
    for command in steps["text"].replace("\\\n", "").split("\n"):
        words = shlex.split(command)
        assert words.pop(0) == "jaxbn"
        out = [] if words[0] == "resume" or "--out" in words else ["--out", "again"]
        with contextlib.redirect_stdout(io.StringIO()) as printed:
            assert main([*words, *out, "--json"]) == 0
    best = json.loads(printed.getvalue())["best"]
    return best["config"], best["validation"]


@of("plain", "regression", "loss", "replicates", "halving", "pbt", "listed", "one", "flax")
def test_it_can_be_run_again(results, tmp_path, monkeypatch):
    record = record_in(page(results, "name"))
    config, validation = again(record, tmp_path, monkeypatch, architecture=results.architecture)
    best = results.summary.best
    assert {name: tuple(v) if isinstance(v, list) else v for name, v in config.items()} == best.config
    assert validation == pytest.approx(best.validation, rel=1e-3)


def test_a_file_can_be_run_again(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    rows = "".join(f"id{i},{i % 7},{i * i % 11},g{i // 2},{'ab'[i % 7 > 3]}\n" for i in range(80))
    Path("my data.csv").write_text("name,a b,v,group,the 'kind'\n" + rows)
    Path("space.toml").write_text("[hidden_units]\nvalue = 4\n[clip_norm]\nlow = 0.1\nhigh = 1\n")
    Path("enqueue.toml").write_text('[[config]]\nlearning_rate = 0.5\noptimizer = "adamw"\nhidden_units = 64\n')
    argv = shlex.split(
        "sweep 'my data.csv' --target \"the 'kind'\" --group group --drop v --space space.toml --enqueue enqueue.toml "
        "--num-configs 3 --num-epochs 2 --seed 3 --valid-fraction 0.3 --keep-states --out run"
    )
    assert main(argv) == 0
    assert main(["resume", "run", "--num-configs", "5"]) == 0
    assert main(["resume", "run", "--num-epochs", "3"]) == 0
    assert main(["resume", "run", "--num-configs", "6"]) == 0
    assert main(["report", "run"]) == 0
    record = record_in(Path("run/report.html").read_text())
    assert record["recipe"]["language"] == "sh" and set(record["recipe"]["files"]) == {"space.toml", "enqueue.toml"}
    (tmp_path / "elsewhere").mkdir()
    config, validation = again(record, tmp_path / "elsewhere", monkeypatch)
    kept = jaxbn.Results.load(tmp_path / "run")
    assert config == kept.best.config and validation == pytest.approx(kept.best.validation, rel=1e-3)
    trials = jaxbn.Results.load("again").trials
    assert trials["epochs"].to_list() == [3] * 6


def test_the_default_space_needs_no_file():
    asked = jaxbn.sweep(data="iris", num_configs=1, num_epochs=1, seed=7, valid_fraction=0.25)
    told = recipe(asked.request)
    assert told.files == {} and told.language == "sh"
    assert told.text == "jaxbn sweep iris --num-configs 1 --num-epochs 1 --seed 7 --valid-fraction 0.25"


def test_a_task_that_is_not_the_usual_one_is_told(tmp_path, monkeypatch):
    space = jaxbn.Space(hidden_units=4, num_layers=1)
    data = jaxbn.load_data("digits", task="regression")
    asked = jaxbn.sweep(space, data, num_configs=1, num_epochs=1)
    told = recipe(asked.request)
    assert told.text.startswith("jaxbn sweep digits --task regression --space")
    steps = {"language": told.language, "text": told.text, "files": told.files}
    _, validation = again({"recipe": steps}, tmp_path, monkeypatch)
    assert validation == pytest.approx(asked.best.validation, rel=1e-3)


@of("nasty")
def test_data_from_memory_are_asked_for(results):
    told = recipe(results.request)
    assert told.language == "python" and "jaxbn.load_data(source, target='<i>t'" in told.text
    assert "from memory" in told.cautions[0]
    compile(told.text, "recipe", "exec")


def test_a_space_is_written_as_it_is_read(tmp_path):
    space = jaxbn.Space(
        learning_rate=jaxbn.Float(1e-5, 1, scale="log"),
        hidden_units=jaxbn.Choice((8, 4), (16, 16)),
        num_layers=2,
        b2=jaxbn.Float(0.9, 0.99999, scale="one_minus_log", when={"optimizer": ["adam", "adamw"]}),
        optimizer=jaxbn.Choice("adam", "adamw", "sgd"),
    )
    (tmp_path / "space.toml").write_text(toml(space.to_json()))
    assert jaxbn.Space.from_toml(tmp_path / "space.toml") == space
    assert tomllib.loads(toml({"clip_norm": {"value": None}})) == {}
