"""`jaxbn report`: what it writes, and what it refuses."""

import json
import shutil
from pathlib import Path

import pytest

import jaxbn
from jaxbn.cli import main
from jaxbn.errors import UserError
from jaxbn.report import write
from tests.report.runs import SPACE, of, record_in


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
    assert "exists already: choose another name, or add --overwrite" in refused(["report", str(run)], capsys)
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
        (["nowhere"], ["nowhere", "give a folder that jaxbn sweep wrote"]),
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
    assert "jaxbn report runs/first" in (Path(jaxbn.__file__).parent.parent / "README.md").read_text()


def test_a_report_goes_when_its_run_goes_on(run, tmp_path):
    shutil.copytree(run, tmp_path / "run")
    main(["report", str(tmp_path / "run"), "--overwrite"])
    jaxbn.resume(tmp_path / "run", num_configs=4)
    assert not (tmp_path / "run" / "report.html").exists()
