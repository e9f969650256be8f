"""`jaxbn resume`, and what an interrupt leaves."""

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from jaxbn.cli import main
from jaxbn.cli.sweep import resumable
from jaxbn.study.results import Results

SWEEP = ["sweep", "iris", "--num-configs", "12", "--num-epochs", "6", "--scheduler", "halving", "--out", "run"]


START = """
import runpy, signal
signal.signal(signal.SIGINT, signal.default_int_handler)
runpy.run_module("jaxbn", run_name="__main__")
"""
"""In the background of a shell interrupts are ignored, and children inherit that."""


def command(*argv: str, cwd: Path) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-c", START, *argv],
        cwd=cwd,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def interrupted(argv, folder, which):
    """Begin a command and send it a signal as soon as there is a run; its exit status and words."""
    with command(*argv, cwd=folder) as process:
        while not (folder / "run/run.json").exists():
            assert process.poll() is None
            time.sleep(0.01)
        process.send_signal(which)
        out, err = process.communicate(timeout=120)
    assert out == ""
    return process.returncode, err


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> Results:
    folder = tmp_path_factory.mktemp("whole")
    with command(*SWEEP, cwd=folder) as process:
        _, err = process.communicate(timeout=300)
    assert process.returncode == 0, err
    return Results.load(folder / "run")


@pytest.mark.parametrize(("which", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_interrupted_sweep_says_how_to_go_on(whole, tmp_path, which, status):
    found, err = interrupted(SWEEP, tmp_path, which)
    note, said = err.splitlines()
    assert (found, said) == (status, "jaxbn: interrupted; go on with it by jaxbn resume run")
    assert note.startswith("note: 3 of 12 configs have a batch size above")
    for command_of_a_finished_run in (["leaderboard", "run"], ["predict", "run", "iris"], ["train", "run#0"]):
        with command(*command_of_a_finished_run, cwd=tmp_path) as process:
            out, err = process.communicate(timeout=120)
        assert (process.returncode, out) == (2, "")
        assert err == "jaxbn: the run in 'run' is not finished: go on with it by jaxbn resume run\n"

    with command("resume", "run", "--json", cwd=tmp_path) as process:
        out, err = process.communicate(timeout=300)
    assert process.returncode == 0, err
    record, results = json.loads(out), Results.load(tmp_path / "run")
    assert record["run"] == "run" and record["best"]["trial"] == whole.best.trial
    for name in ("trials", "curves"):
        one, other = (getattr(found, name).drop("train_seconds", strict=False) for found in (results, whole))
        assert one.equals(other)

    with command("resume", "run", cwd=tmp_path) as process:
        out, err = process.communicate(timeout=120)
    assert (process.returncode, err) == (0, "run is finished: nothing was trained.\n")
    assert "jaxbn leaderboard run" in out


def test_an_interrupt_before_there_is_a_run_leaves_nothing(tmp_path):
    with command(*SWEEP, cwd=tmp_path) as process:
        # In the middle of loading JAX, where an interrupt is easily lost.
        while "jaxlib" not in Path(f"/proc/{process.pid}/maps").read_text():
            time.sleep(0.01)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    assert (process.returncode, out, err) == (130, "", "jaxbn: interrupted; nothing was written\n")
    assert list(tmp_path.iterdir()) == []


def test_there_must_be_a_run(tmp_path):
    (tmp_path / "photos").mkdir()
    for folder, what in (("nowhere", "is not there"), ("photos", "holds no run")):
        with command("resume", folder, cwd=tmp_path) as process:
            out, err = process.communicate(timeout=60)
        assert (process.returncode, out) == (2, "")
        assert err == f"jaxbn: {folder!r} {what}: give a folder that jaxbn sweep wrote\n"
    assert [path.name for path in tmp_path.rglob("*")] == ["photos"]


SPACE = "[num_layers]\nvalue = 1\n[hidden_units]\nlow = 4\nhigh = 8\n"
SMALL = "sweep iris --space space.toml --num-configs 3 --num-epochs 2"


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "space.toml").write_text(SPACE)
    return tmp_path


def said(capsys, line, status=0):
    """What a command says: on stdout, or the one sentence with which it is refused."""
    assert main(line.split()) == status
    printed = capsys.readouterr()
    if status:
        assert printed.out == "" and printed.err.count("\n") == 1
    return printed.err if status else printed.out


def test_epochs_are_added(here, capsys):
    said(capsys, f"{SMALL} --keep-states --out run")
    record = json.loads(said(capsys, "resume run --num-epochs 4 --num-configs 5 --json"))
    assert record["num_trials"] == 5 and record["num_epochs"] == 5 * 4
    assert any("trials train on from 2 to 4 epochs" in note for note in record["notes"])
    assert Results.load(here / "run").trials["epochs"].to_list() == [4] * 5
    assert "jaxbn leaderboard run" in said(capsys, "resume run --num-epochs 5")
    assert main(["resume", "run", "--num-epochs", "5", "--json"]) == 0
    assert capsys.readouterr().err == "run is finished: nothing was trained.\n"


def test_what_to_do_where_epochs_cannot_be_added(here, capsys):
    said(capsys, f"{SMALL} --out run")
    before = {path: path.stat().st_mtime_ns for path in here.rglob("*") if path.is_file()}
    for given, words in (
        ("4", "sweep again with --keep-states"),
        ("1", "the run has 2 epochs, more than --num-epochs 1"),
        ("0", "--num-epochs 0 is no whole number of at least 1"),
        ("-3", "--num-epochs -3 is no whole number of at least 1"),
        ("ten", "'ten' is not a whole number"),
        ("2.5", "'2.5' is not a whole number"),
    ):
        assert words in said(capsys, f"resume run --num-epochs {given}", 2)
    assert {path: path.stat().st_mtime_ns for path in here.rglob("*") if path.is_file()} == before
    assert "leave --keep-states out" in said(capsys, f"{SMALL} --keep-states --target-score 0.9 --out other", 2)
    assert not (here / "other").exists()


def test_a_plan_says_how_large_the_states_are(here, capsys):
    plan = SMALL.replace("sweep", "plan")
    assert "MB on the disk" in said(capsys, f"{plan} --keep-states")
    assert json.loads(said(capsys, f"{plan} --keep-states --json"))["kept_bytes"] > 1000
    assert json.loads(said(capsys, f"{plan} --json"))["kept_bytes"] == 0


def test_the_help_says_how(here, capsys):
    printed = " ".join(said(capsys, "resume --help").replace("│", "").split())
    assert "--num-epochs N How many epochs each trial is to have in all" in printed and "--keep-states" in printed


def test_an_interrupt_names_a_run_only_if_there_is_one_to_go_on_with(whole, tmp_path):
    finished = tmp_path / "my run"
    whole.save(finished)
    for folder in (finished, tmp_path / "none"):
        with pytest.raises(KeyboardInterrupt) as stop, resumable(folder):
            raise KeyboardInterrupt
        assert not stop.value.args
    record = json.loads((finished / "run.json").read_text())
    (finished / "run.json").write_text(json.dumps({**record, "finished": False}))
    with pytest.raises(KeyboardInterrupt, match=r"by jaxbn resume '.*my run'"), resumable(finished):
        raise KeyboardInterrupt
