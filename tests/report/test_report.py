"""What a report holds, of every kind of sweep; that nothing in it can run; that it can be run again."""

import contextlib
import html
import io
import json
import math
import re
import shlex
import struct
import sys
import tomllib
import zipfile
from base64 import b64decode
from pathlib import Path

import numpy as np
import polars as pl
import pytest

import jaxbn
from jaxbn.cli import main
from jaxbn.errors import UserError
from jaxbn.report.page import SCRIPTS, STYLES, embedded, page, write
from jaxbn.report.recipe import recipe
from jaxbn.report.trials import packed, plain
from tests.report.runs import FIXED, KINDS, NASTY, SPACE, listed, of, record_in

HERE = Path(jaxbn.__file__).parent / "report"


def columns(record):
    return {column["name"]: column for column in record["columns"]}


def values(column):
    """The values of a column as the page shows them: options by name."""
    if column["kind"] != "choice":
        return column["values"]
    return [None if place is None else column["options"][place] for place in column["values"]]


@of(*KINDS)
def test_every_kind_of_sweep_is_whole(results):
    record = record_in(page(results, "name"))
    summary, trials = results.summary, results.trials
    assert record["counts"]["trials"] == len(trials)
    assert record["winner"]["trial"] == summary.best.trial
    assert record["winner"]["test"][summary.metric] == pytest.approx(summary.test[summary.metric], rel=1e-5)
    table = columns(record)
    assert {len(column["values"]) for column in record["columns"]} == {len(trials)}
    assert table["trial"]["values"] == trials["trial"].to_list()
    assert values(table["status"]) == trials["status"].to_list()
    assert table["rank"]["values"][summary.best.trial] == 1
    score = trials[f"valid_{summary.metric}"].to_list()
    for row, (got, status) in enumerate(zip(table[f"valid_{summary.metric}"]["values"], trials["status"], strict=True)):
        assert got is None if status == "diverged" else got == pytest.approx(score[row], rel=1e-5)
    assert record["runners"]["rows"][0]["trial"] == summary.best.trial
    assert len(record["plan"]["programs"]) == len(results.request.programs)
    assert record["plan"]["seconds"]["total"] == pytest.approx(summary.seconds.total, rel=1e-4)
    assert [one["name"] for one in record["baselines"]] == [one.name for one in summary.baselines]


@of("plain", "halving", "diverged")
def test_hyperparameters_are_those_of_the_trials(results):
    record = record_in(page(results, "name"))
    table = columns(record)
    for name in results.request.space:
        column = results.trials[name]
        if "value" in results.request.space[name]:
            assert name not in table
            continue
        for got, held in zip(values(table[name]), column.to_list(), strict=True):
            assert got == held if held is None or isinstance(held, str) else got == pytest.approx(held, rel=1e-5)
    scales = {name: table[name]["kind"] for name in ("learning_rate",)}
    assert scales == {"learning_rate": "log"}


@of("plain")
def test_what_is_not_used_is_not_there(results):
    table = columns(record_in(page(results, "name")))
    used = [optimizer == "momentum" for optimizer in values(table["optimizer"])]
    assert 0 < sum(used) < len(used)
    assert [value is not None for value in table["momentum"]["values"]] == used
    assert table["momentum"]["kind"] == "one_minus_log" and table["optimizer"]["kind"] == "choice"
    low, high = table["momentum"]["ends"]
    assert low < 1 and high > 3  # 0.9 and 0.999 lie inside, on the scale of their distance to 1.


@of("plain", "halving", "diverged", "one")
def test_curves_are_those_of_the_sweep(results):
    curves = record_in(page(results, "name"))["curves"]
    assert curves["counts"] == results.trials["epochs"].to_list()
    rows = results.curves.sort("trial", "epoch")
    for series in curves["series"]:
        code = b64decode(series["values"])
        got = np.array([struct.unpack(">f", code[at : at + 3] + b"\0")[0] for at in range(0, len(code), 3)])
        np.testing.assert_allclose(got, rows[series["name"]].cast(float).to_numpy(), rtol=1 / 65_536)
    assert curves["series"][0]["name"] == f"valid_{results.summary.metric}"


def test_numbers_keep_the_digits_that_can_be_read():
    numbers = np.array([0.1, 1.0, -3.25e-7, 2.9e30, np.nan, 0.99444])
    code = b64decode(packed(numbers))
    got = [struct.unpack(">f", code[at : at + 3] + b"\0")[0] for at in range(0, len(code), 3)]
    np.testing.assert_allclose(got, numbers, rtol=1 / 65_536)
    assert [plain(value) for value in (1e-9 / 3, 1 - 1e-5 / 3, math.inf, 3, "adam", None)] == [
        3.33333e-10,
        0.9999966667,
        None,
        3,
        "adam",
        None,
    ]


@of("replicates", "folds")
def test_runners_up_of_repeated_trials_are_compared(results):
    rows = record_in(page(results, "name"))["runners"]["rows"]
    board = results.leaderboard(10)
    assert [row["config"] for row in rows] == board["config"].to_list()
    for row, error in zip(rows, board[f"valid_{results.summary.metric}_se"], strict=True):
        assert row["error"] == pytest.approx(error, rel=1e-5)
    behind = {row["config"]: row["behind"] for row in rows[1:] if row["behind"]}
    compared = results.compare(10)
    assert set(behind) == {one.config for one in compared} and compared
    for one in compared:
        assert behind[one.config]["mean"] == pytest.approx(one.mean, rel=1e-5)
        assert behind[one.config]["p_value"] == pytest.approx(one.p_value, rel=1e-4)
        assert (behind[one.config]["low"] is None) == math.isinf(one.low)


@of("plain")
def test_the_error_of_single_trials_is_the_winners_alone(results):
    rows = record_in(page(results, "name"))["runners"]["rows"]
    assert rows[0]["error"] == plain(results.summary.standard_error)
    assert {row["error"] for row in rows[1:]} == {None}


@of("plain")
def test_importance(results):
    pytest.importorskip("optuna")
    record = record_in(page(results, "name"))
    shares = results.importance()
    assert [name for name, _ in record["importance"]["shares"]] == list(shares)
    assert record["importance"]["absent"] is None


@of("one")
def test_why_there_is_no_importance(results):
    pytest.importorskip("optuna")
    record = record_in(page(results, "name"))
    assert record["importance"]["shares"] == []
    assert "needs 10 or more trained configurations and this sweep has 1" in record["importance"]["absent"]


@of("plain")
def test_a_report_does_without_optuna(results, monkeypatch):
    monkeypatch.setitem(sys.modules, "optuna", None)
    absent = record_in(page(results, "name"))["importance"]["absent"]
    assert "pip install" in absent and "optuna" in absent


@of("plain")
def test_a_report_does_without_matplotlib(results, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    assert columns(record_in(page(results, "name")))["learning_rate"]["kind"] == "log"


@of("pbt")
def test_whose_state_was_taken_over(results):
    record = record_in(page(results, "name"))
    taken = results.lineage.filter(pl.col("source") != pl.col("trial"))
    assert len(taken) and sorted(map(tuple, record["takeovers"])) == sorted(taken["trial", "epoch", "source"].rows())


@of("halving", "hyperband")
def test_rungs_and_the_pruned(results):
    record = record_in(page(results, "name"))
    assert record["plan"]["rungs"] == results.request.rungs and record["counts"]["pruned"] > 0
    pruned = [place for place, status in enumerate(results.trials["status"]) if status == "pruned"]
    ranks = columns(record)["rank"]["values"]
    ended = [rank for place, rank in enumerate(ranks) if place not in pruned and rank is not None]
    assert min(ranks[place] for place in pruned) > max(ended)


@of("diverged")
def test_the_diverged_have_no_rank_and_no_score(results):
    record = record_in(page(results, "name"))
    table = columns(record)
    lost = [place for place, status in enumerate(results.trials["status"]) if status == "diverged"]
    assert record["counts"]["diverged"] == len(lost) > 0
    for name in ("rank", "valid_accuracy", "valid_loss"):
        assert {table[name]["values"][place] for place in lost} == {None}


# Nothing that a person wrote can run.


@of("nasty")
def test_names_are_text(results):
    told = page(results, NASTY[0])
    record = record_in(told)
    assert record["name"] == NASTY[0]
    assert set(record["data"]["classes"]) == set(NASTY)
    assert record["data"]["target"] == "<i>t" and record["data"]["features"] == ["<b>&\"'", "</style>"]
    # Only the page's own elements are there: none that a name would have made.
    assert told.count("<script") == 2 and told.count("</script") == 2 and told.count("</style") == 1
    assert "<img" not in told and "onerror" not in re.sub(r"\\u003cimg src=x onerror", "", told)
    assert html.escape(NASTY[0]) in told
    assert "\u2028" not in told


def test_what_is_embedded_is_what_was_given():
    given = {"</script>": ["<!--", "&lt;", "\u2028\u2029", "\udc80", "é"]}
    text = embedded(given)
    assert json.loads(text) == given
    assert text.isascii() and not set("<>&") & set(text)
    with pytest.raises(ValueError, match="not JSON compliant"):
        embedded({"score": math.nan})


@of("plain")
def test_the_page_reaches_nothing(results):
    told = page(results, "name")
    policy = re.search(r'http-equiv="Content-Security-Policy" content="([^"]*)"', told)[1]
    assert "default-src 'none'" in policy and "unsafe" not in policy and "http" not in policy
    code = told.replace("http://www.w3.org/2000/svg", "")
    assert not re.findall(r"https?://|src=|@import|url\(|fetch\(|XMLHttpRequest|innerHTML|outerHTML|eval\(", code)


def test_its_parts_are_in_the_package():
    for name in (*STYLES, *SCRIPTS, "page.html"):
        assert (HERE / name).is_file()
    assert {path.name for path in HERE.iterdir() if path.suffix in (".js", ".css")} == {*STYLES, *SCRIPTS}


def test_its_parts_are_in_the_wheel(tmp_path):
    builders = pytest.importorskip("hatchling.builders.wheel")
    wheel = next(builders.WheelBuilder(str(HERE.parent.parent)).build(directory=str(tmp_path), versions=["standard"]))
    with zipfile.ZipFile(wheel) as archive:
        assert {f"jaxbn/report/{name}" for name in (*STYLES, *SCRIPTS, "page.html")} <= set(archive.namelist())


# What it says about running it again is true.


def again(record, folder, monkeypatch):
    """The best config, and its score, of what a report says to paste."""
    monkeypatch.chdir(folder)
    steps = record["recipe"]
    for name, text in steps["files"].items():
        Path(name).write_text(text)
    if steps["language"] == "python":
        names = {}
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


@of("plain", "regression", "loss", "replicates", "halving", "pbt", "listed", "one")
def test_it_can_be_run_again(results, tmp_path, monkeypatch):
    config, validation = again(record_in(page(results, "name")), tmp_path, monkeypatch)
    best = results.summary.best
    assert {name: tuple(v) if isinstance(v, list) else v for name, v in config.items()} == best.config
    assert validation == pytest.approx(best.validation, rel=1e-3)


def test_a_file_can_be_run_again(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    rows = "".join(f"id{i},{i % 7},{i * i % 11},g{i // 2},{'ab'[i % 7 > 3]}\n" for i in range(80))
    Path("my data.csv").write_text("name,a b,v,group,the 'kind'\n" + rows)
    Path("space.toml").write_text("[hidden_units]\nvalue = 4\n[clip_norm]\nlow = 0.1\nhigh = 1\n")
    Path("enqueue.toml").write_text('[[config]]\nlearning_rate = 0.5\noptimizer = "adamw"\nhidden_units = 64\n')
    argv = ["sweep", "my data.csv", "--target", "the 'kind'", "--group", "group", "--drop", "v", "--space", "space.toml"]
    argv += "--enqueue enqueue.toml --num-configs 3 --num-epochs 2 --seed 3 --valid-fraction 0.3 --out run".split()
    assert main(argv) == 0
    assert main(["resume", "run", "--num-configs", "5"]) == 0
    assert main(["report", "run"]) == 0
    record = record_in(Path("run/report.html").read_text())
    assert record["recipe"]["language"] == "sh" and set(record["recipe"]["files"]) == {"space.toml", "enqueue.toml"}
    (tmp_path / "elsewhere").mkdir()
    config, validation = again(record, tmp_path / "elsewhere", monkeypatch)
    kept = jaxbn.Results.load(tmp_path / "run")
    assert config == kept.best.config and validation == pytest.approx(kept.best.validation, rel=1e-3)
    assert len(jaxbn.Results.load("again").trials) == 5


def test_the_default_space_needs_no_file():
    asked = jaxbn.sweep(data="iris", num_configs=1, num_epochs=1, seed=7, valid_fraction=0.25)
    told = recipe(asked.request)
    assert told.files == {} and told.language == "sh"
    assert told.text == "jaxbn sweep iris --num-configs 1 --num-epochs 1 --seed 7 --valid-fraction 0.25"


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
    from jaxbn.report.recipe import toml

    (tmp_path / "space.toml").write_text(toml(space.to_json()))
    assert jaxbn.Space.from_toml(tmp_path / "space.toml") == space
    assert tomllib.loads(toml({"clip_norm": {"value": None}})) == {}


# The command.


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("report") / "first <run>"
    jaxbn.sweep(SPACE, "iris", num_configs=3, num_epochs=2, run_dir=folder)
    return folder


def refused(argv, capsys):
    assert main(argv) == 2
    said = capsys.readouterr()
    assert said.out == "" and said.err.startswith("jaxbn: ") and said.err.count("\n") == 1
    return said.err


def test_the_command(run, capsys):
    assert main(["report", str(run)]) == 0
    assert str(run / "report.html") in capsys.readouterr().out
    assert record_in((run / "report.html").read_text())["name"] == "first <run>"
    before = (run / "report.html").read_bytes()
    assert "exists already: choose another --out, or add --overwrite" in refused(["report", str(run)], capsys)
    (run / "report.html").write_text("mine")
    assert main(["report", str(run), "--overwrite"]) == 0
    assert (run / "report.html").read_bytes() == before
    # It belongs to the run, which can still be read and be written anew.
    assert len(jaxbn.Results.load(run).trials) == 3


def test_somewhere_else(run, tmp_path, capsys):
    assert main(["report", str(run), "--out", str(tmp_path / "deep" / "a.html")]) == 0
    assert (tmp_path / "deep" / "a.html").is_file() and len(list((tmp_path / "deep").iterdir())) == 1


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        ([], ["RUN must be given"]),
        (["nowhere"], ["nowhere", "give a folder that jaxbn wrote"]),
        (["RUN", "--out", "table.csv"], ["'table.csv'", "give a name in .html"]),
        (["RUN", "--out", "good.csv/report.html"], ["cannot write the report", "choose another place"]),
        (["RUN", "--ovrwrite"], ["did you mean --overwrite?"]),
        (["RUN", "--out", "folder.html"], ["is a folder"]),
    ],
)
def test_mistakes(run, tmp_path, monkeypatch, capsys, argv, words):
    monkeypatch.chdir(tmp_path)
    Path("good.csv").write_text("a,b\n")
    Path("folder.html").mkdir()
    before = sorted(tmp_path.rglob("*"))
    message = refused(["report", *(str(run) if word == "RUN" else word for word in argv)], capsys)
    for word in words:
        assert word in message
    assert sorted(tmp_path.rglob("*")) == before


def test_a_run_that_is_not_finished(run, tmp_path, capsys):
    (tmp_path / "run.json").write_text(json.dumps(json.loads((run / "run.json").read_text()) | {"finished": False}))
    assert "is not finished: go on with it by jaxbn resume" in refused(["report", str(tmp_path)], capsys)


@of("one")
def test_a_file_is_replaced_only_when_asked(results, tmp_path):
    path = tmp_path / "report.html"
    write(results, path, name="mine")
    with pytest.raises(UserError, match="exists already"):
        write(results, path)
    write(results, path, overwrite=True)
    assert record_in(path.read_text())["name"] == tmp_path.name


def test_help_and_readme_name_it(capsys):
    assert main(["--help"]) == 0
    assert "report" in capsys.readouterr().out
    assert "jaxbn report runs/first" in (HERE.parent.parent / "README.md").read_text()


# What can be known of colours by arithmetic.


def luminance(color):
    parts = [int(color[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one, other):
    """Of WCAG 2.2."""
    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("scheme", [0, 1], ids=["light", "dark"])
def test_contrast(scheme):
    blocks = re.findall(r":root[^{]*\{(.*?)\}", (HERE / "page.css").read_text(), re.DOTALL)
    color = dict(re.findall(r"--(\w+): (#[0-9a-f]{6});", blocks[scheme]))
    assert len(color) == 13 and len(blocks) == 2
    for ground in ("ground", "panel", "band"):
        for text in ("ink", "quiet", "accent"):
            assert contrast(color[text], color[ground]) >= 4.5, (text, ground)
    assert contrast(color["failed"], color["ground"]) >= 4.5
    # Borders of fields, and what is drawn of the better half of the trials.
    for mark in ("border", "middle", "good"):
        assert contrast(color[mark], color["ground"]) >= 3, mark
    # Better is further from the ground, in steps of lightness that need no colour to be told apart.
    steps = [contrast(color[name], color["ground"]) for name in ("bad", "middle", "good")]
    assert 1.5 < steps[0] and all(b > 1.5 * a for a, b in zip(steps, steps[1:], strict=False)), steps
