"""The prompt: what is typed or piped in, what is answered, what is kept."""

import io
import json
import os
import signal
import subprocess
import sys
import time

import pytest

from jaxbn.cli import babysit, main
from jaxbn.errors import UserError
from jaxbn.study.fitted import FittedModel
from jaxbn.study.logbook import Log

BEGIN = "babysit iris --set learning_rate=0.03 hidden_units=8 num-layers=1"
STORY = "train 5\nbranch low\nrewind 3\nset learning_rate 0.01\ntrain 5\n"


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def typed(monkeypatch, capsys):
    """What a command prints when these lines are piped into it, and its exit status."""

    def talk(lines, command=BEGIN):
        monkeypatch.setattr(sys, "stdin", io.StringIO(lines))
        status = main(command.split())
        return status, capsys.readouterr()

    return talk


def test_a_session_in_a_process_of_its_own(here):
    done = subprocess.run(
        [sys.executable, "-m", "jaxbn", *BEGIN.split(), "--log", "log.jsonl"],
        input=f"{STORY}log\nscript again.py\nsave model\nquit\nnever read\n",
        capture_output=True,
        text=True,
        timeout=120,
        cwd=here,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "main 0> train 5" in done.stdout and "low 7> quit" in done.stdout
    assert "low         2  set(learning_rate=0.01)" in done.stdout
    assert "never read" not in done.stdout and "\x1b" not in done.stdout
    log = Log.load(here / "log.jsonl")
    assert [i.kind for i in log.interventions] == ["train", "branch", "rewind", "set", "train"]
    assert log.script() == (here / "again.py").read_text()
    assert FittedModel.load(here / "model").config.learning_rate == 0.01


def test_a_log_is_repeated_with_the_same_table(here, typed):
    _, told = typed(STORY, f"{BEGIN} --log log.jsonl")
    status, repeated = typed("", "babysit --replay log.jsonl --log copy.jsonl")
    assert status == 0
    table = [line for line in told.out.splitlines() if line][-8:]
    assert all(line in repeated.out for line in table)
    assert "with the same numbers as in log.jsonl" in repeated.out
    assert (here / "copy.jsonl").read_bytes() == (here / "log.jsonl").read_bytes()

    lines = (here / "log.jsonl").read_text().splitlines()
    record = json.loads(lines[1])
    record["curve"][0]["train_loss"] += 1
    (here / "log.jsonl").write_text("\n".join([lines[0], json.dumps(record), *lines[2:]]))
    assert "with other numbers than in log.jsonl" in typed("", "babysit --replay log.jsonl")[1].out


def test_a_log_is_repeated_with_data_that_were_moved(here, typed):
    (here / "data.csv").write_text("x,z,y\n" + "".join(f"{n % 7},{n % 5},{'ab'[n % 7 > 3]}\n" for n in range(60)))
    typed("train 1\n", "babysit data.csv --set hidden_units=4 --log log.jsonl")
    (here / "data.csv").rename(here / "moved.csv")
    status, told = typed("", "babysit --replay log.jsonl")
    assert status == 2 and "is not there any more: give it again" in told.err
    status, told = typed("", "babysit moved.csv --replay log.jsonl")
    assert status == 0 and "with the same numbers as in log.jsonl" in told.out
    status, told = typed("", "babysit iris --replay log.jsonl")
    assert status == 2 and told.err.count("\n") == 1


def test_a_mistake_gets_a_sentence_and_the_prompt_goes_on(here, typed):
    (here / "there").mkdir()
    mistakes = {
        "set b2 0.99": "",
        "train 1": "",
        "set b2 0.999": "b2 cannot change in mid-run",
        "set learning_rate x": "learning_rate = 'x' is not a number",
        "set learning_rate": "write NAME=VALUE",
        "set": "nothing to set",
        "set learning-rate=0.5 eps=1e-7": "learning_rate = 0.5",
        "train": "write train and a number of epochs",
        "train -1": "write train and a number of epochs",
        "train 0": "at least 1",
        "rewind 5": "choose from 1 to 1",
        "branch": "write branch and a name",
        "branch main": "new branch",
        "switch nowhere": "unknown branch",
        "save there": "exists already",
        "save": "write save and a folder",
        "script there": "exists already",
        "script no/such/folder": "cannot write",
        "tarin 5": "did you mean 'train'?",
        "'half": "a quotation that does not end",
        "help": "go back so many epochs, exactly",
        "script": "panda = jaxbn.Panda(",
        "# a remark": "",
        "": "",
    }
    status, told = typed("\n".join([*mistakes, "show"]))
    assert status == 2 and told.err == ""
    for line, words in mistakes.items():
        assert words in told.out, line
    assert "Traceback" not in told.out
    assert told.out.splitlines()[-1].split()[0] == "1", "all that was trained is one epoch"


@pytest.mark.parametrize(
    ("command", "words"),
    [
        ("babysit nothing", "unknown data set or file"),
        ("babysit iris --set x", "write NAME=VALUE"),
        ("babysit iris --set learning_rate=-1", "out of range"),
        ("babysit iris --set lr=1", "unknown hyperparameter"),
        ("babysit iris --num-epochs 0", "--num-epochs 0 is"),
        ("babysit iris --log there", "exists already"),
        ("babysit --replay missing", "cannot read the log"),
        ("babysit --replay there", "no log of a panda"),
    ],
)
def test_what_cannot_begin_ends_with_two(here, typed, command, words):
    (here / "there").write_text("")
    status, told = typed("train 1\n", command)
    assert status == 2
    assert told.err.startswith("jaxbn: ") and words in told.err and told.err.count("\n") == 1


def test_values_as_they_are_typed():
    words = ["hidden_units=32,16", "clip_norm=none", "decay-kind=cosine", "learning_rate=1e-3", "batch_size=32"]
    assert dict(map(babysit.assignment, words)) == {
        "hidden_units": (32, 16),
        "clip_norm": None,
        "decay_kind": "cosine",
        "learning_rate": 0.001,
        "batch_size": 32,
    }


@pytest.mark.skipif(not hasattr(os, "openpty"), reason="no pseudo-terminals here")
def test_an_interrupt_at_a_terminal_stops_the_training_and_not_the_session(here):
    import termios

    screen, theirs = os.openpty()
    settings = termios.tcgetattr(theirs)
    settings[3] &= ~termios.ECHO
    termios.tcsetattr(theirs, termios.TCSANOW, settings)
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "TERM": "xterm", "COLUMNS": "120"}
    command = [sys.executable, "-m", "jaxbn", *BEGIN.split(), "--log", "log.jsonl"]
    with subprocess.Popen(
        command, stdin=theirs, stdout=theirs, stderr=subprocess.DEVNULL, env=env, cwd=here
    ) as session:
        os.close(theirs)
        seen = ""

        def until(words):
            nonlocal seen
            deadline = time.monotonic() + 60
            while words not in seen:
                assert time.monotonic() < deadline, seen
                seen += os.read(screen, 4096).decode(errors="replace")
            seen = seen.partition(words)[2]

        until("main 0> ")
        os.write(screen, b"train 1\ntrain 100000\n")
        until("main 1> ")
        time.sleep(1)
        session.send_signal(signal.SIGINT)
        until("stopped")
        until("> ")
        os.write(screen, b"quit\n")
        assert session.wait(timeout=60) == 0
    os.close(screen)
    last = Log.load(here / "log.jsonl").interventions[-1]
    assert last.kind == "train" and 0 < last.arguments["num_epochs"] == len(last.curve) < 100000


def test_a_log_that_cannot_be_written_ends_no_session(here, typed, monkeypatch):
    (here / "file").touch()
    status, told = typed("", f"{BEGIN} --log file/log.jsonl")
    assert status == 2 and "cannot write to" in told.err
    kept = here / "kept"
    kept.mkdir()
    save = Log.save

    def full(log, path):
        if len(log.interventions) == 1:
            raise UserError("cannot write the log: No space left on device")
        save(log, path)

    monkeypatch.setattr(Log, "save", full)
    status, told = typed("train 1\ntrain 1\n", f"{BEGIN} --log kept/log.jsonl")
    assert status == 0 and "No space left" in told.out
    assert len(Log.load(kept / "log.jsonl").interventions) == 2
