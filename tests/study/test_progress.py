import io
import sys
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest
from rich.console import Console

import jaxbn
from jaxbn.engine.run import Compiled, TileEpoch
from jaxbn.nn.metrics import Metric
from jaxbn.study import progress
from jaxbn.study.loop import Ranked, Resumed
from jaxbn.study.progress import Display, Progress, display


def of(num_trials=4, num_epochs=2, greater=True):
    metric = Metric("accuracy", lambda *given: given[0], greater)
    return Progress(num_trials, num_epochs, (num_trials * num_epochs,), 3, metric, rank_by=1)


def epoch(trials, number, accuracy, diverged=None):
    scores = np.stack([np.zeros(len(trials)), np.array(accuracy, float)], axis=1)
    return TileEpoch(tuple(trials), number, scores, np.array(diverged or [False] * len(trials)))


def test_what_has_happened():
    seen = of()
    seen.record(Compiled(None, None, 0.0, 1.0))  # type: ignore[arg-type]
    seen.record(epoch([0, 1], 1, [0.9, 0.2]))
    assert (seen.trials, seen.epochs, seen.best) == (0, 2, None)
    seen.record(epoch([0, 1], 2, [0.7, 0.3]))
    assert (seen.trials, seen.epochs, seen.best, seen.share) == (2, 4, 0.7, 0.5)
    assert seen.line() == "2 of 4 trials · 4 epochs · best accuracy 0.7000 · 1 of 3 programs"


def test_a_sweep_that_goes_on_is_shown_from_where_it_was():
    seen = Progress(6, 4, (6, 2 * 3), 3, of().metric, rank_by=1)
    seen.record(Resumed(epochs=7, ended=4, ranked=1))
    assert (seen.trials, seen.epochs, seen.share) == (4, 7, 7 / 12)
    seen.record(epoch([1], 3, [0.5]))
    assert (seen.trials, seen.epochs, seen.share) == (4, 8, 8 / 12)


def test_the_baseline_is_not_counted():
    seen = of()
    seen.record(epoch([3], 2, [0.5]))
    seen.record(epoch([6, 7], 2, [0.9, 0.9], [True, True]))
    assert (seen.trials, seen.best, seen.diverged) == (1, 0.5, set())


def test_a_tile_that_diverged_is_done():
    seen = of(num_epochs=10)
    seen.record(epoch([0, 1], 3, [np.nan, 0.9], [True, True]))
    assert (seen.trials, seen.diverged, seen.best, seen.share) == (2, {0, 1}, None, 2 / 40)
    seen.record(epoch([2, 3], 10, [np.nan, 0.4], [True, False]))
    assert (seen.trials, seen.diverged, seen.best) == (4, {0, 1, 2}, 0.4)


def test_rungs():
    metric = Metric("accuracy", lambda *given: given[0], True)
    seen = Progress(6, 3, (6, 4), 1, metric, rank_by=1)
    seen.record(epoch([0, 1, 2], 1, [0.1, 0.2, np.nan], [False, False, True]))
    seen.record(epoch([3, 4, 5], 1, [0.3, 0.4, 0.5]))
    seen.record(Ranked(1, 6, 2, 0.5))
    assert (seen.trials, seen.best, seen.share) == (4, 0.5, 0.6)
    seen.record(epoch([4, 5], 2, [0.4, 0.6]))
    seen.record(epoch([4, 5], 3, [0.4, 0.7]))
    assert (seen.trials, seen.best, seen.share, seen.epochs) == (6, 0.7, 1.0, 10)
    seen.record(Ranked(3, 2, 0, 0.7))
    assert (seen.trials, seen.best, seen.share) == (6, 0.7, 1.0)


def test_where_less_is_better():
    seen = of(greater=False)
    seen.record(epoch([0, 1], 2, [0.5, 0.3]))
    seen.record(epoch([2, 3], 2, [0.7, 0.4]))
    assert seen.best == 0.3


def test_the_time_left(monkeypatch):
    monkeypatch.setattr(progress.time, "perf_counter", lambda: 40.0)
    seen = of(num_trials=2, num_epochs=2)
    seen.since = 10.0
    assert seen.left() == ""
    seen.record(epoch([0], 1, [0.5]))
    assert seen.left() == "", "most programs are not ready"
    seen.compiled.update(range(3))
    assert seen.left() == "1:30 left"


def test_the_time_left_of_a_sweep_that_goes_on_is_of_what_it_has_left(monkeypatch):
    monkeypatch.setattr(progress.time, "perf_counter", lambda: 40.0)
    seen = of(num_trials=10, num_epochs=2)
    seen.record(Resumed(epochs=10, ended=5, ranked=0))
    seen.since = 10.0
    seen.compiled.update(range(3))
    assert seen.share == 0.5 and seen.left() == ""
    seen.record(epoch([5, 6], 1, [0.5, 0.5]))
    # Two epochs of the ten that were left in 30 s.
    assert seen.share == 0.6 and seen.left() == "2:00 left"


@pytest.mark.parametrize("width", [40, 80])
def test_a_terminal_sees_two_lines(width):
    screen = io.StringIO()
    seen = of()
    seen.record(epoch([0, 1], 2, [0.7, 0.3]))
    Console(file=screen, width=width, force_terminal=True, color_system=None).print(seen)
    lines = screen.getvalue().rstrip("\n").split("\n")
    assert len(lines) == 2 and "25%" in lines[0] and lines[1].startswith("2 of 4 trials")
    assert all(len(line) <= width for line in lines)


def test_elsewhere_a_plain_line_now_and_then():
    screen = io.StringIO()
    shown = Display(Console(file=screen), None)
    shown.follow(of())
    shown.record(epoch([0, 1], 1, [0.7, 0.3]))
    assert screen.getvalue() == ""
    shown.spoke -= progress.PLAIN_EVERY
    shown.record(epoch([0, 1], 2, [0.7, 0.3]))
    shown.record(epoch([2, 3], 2, [0.7, 0.3]))
    assert screen.getvalue().startswith("2 of 4 trials · 4 epochs") and screen.getvalue().count("\n") == 1


def test_no_terminal_no_escapes(capsys):
    with display("reading"):
        pass
    assert capsys.readouterr().err == ""


@pytest.fixture
def cell(monkeypatch):
    """A kernel as far as progress knows of it; what its cell has been told to show, in order."""
    told = []

    def show(content, *, raw, display_id=None):
        assert raw and display_id
        told.append(content)
        return SimpleNamespace(update=lambda content, *, raw: told.append(content))

    ipython, displays = ModuleType("IPython"), ModuleType("IPython.display")
    monkeypatch.setattr(ipython, "get_ipython", lambda: SimpleNamespace(kernel=object()), raising=False)
    monkeypatch.setattr(displays, "display", show, raising=False)
    monkeypatch.setitem(sys.modules, "IPython", ipython)
    monkeypatch.setitem(sys.modules, "IPython.display", displays)
    return told


def test_a_notebook_has_one_output_that_ends_as_a_line(cell, monkeypatch, capsys):
    now = [0.0]
    monkeypatch.setattr(progress.time, "perf_counter", lambda: now[0])
    with display("reading <data>") as shown:
        assert cell == [{"text/plain": "reading <data>", "text/html": "<div>reading &lt;data&gt;</div>"}]
        shown.follow(of(num_trials=400, num_epochs=2))
        for number in range(200):
            now[0] += 1 / 64
            shown.record(epoch([2 * number, 2 * number + 1], 2, [0.7, 0.3]))
    # Three seconds: what is shown at first, six replacements, and what stays.
    assert len(cell) == 2 + 6 + 1
    assert '<progress max="1" value="0.' in cell[2]["text/html"] and "compiling" in cell[2]["text/html"]
    line = "400 of 400 trials · 400 epochs · best accuracy 0.7000 · 0 of 3 programs"
    assert cell[-1] == {"text/plain": line, "text/html": f"<div>{line}</div>"}
    assert capsys.readouterr() == ("", "")


def test_a_notebook_is_left_empty_where_nothing_began(cell):
    with pytest.raises(ValueError, match="no"), display("reading"):
        raise ValueError("no")
    assert cell[-1] == {"text/plain": "", "text/html": ""}


def test_a_sweep_shows_progress_when_it_is_asked_to_and_still_tells_others(cell, tmp_path):
    space, seen = jaxbn.Space(hidden_units=4, num_layers=1, learning_rate=0.03), []
    told = {"on_start": lambda setup: seen.append("start"), "on_event": lambda event: seen.append(type(event))}
    jaxbn.sweep(space, "iris", num_configs=2, num_epochs=3, run_dir=tmp_path / "run", progress=True, **told)
    assert seen[0] == "start" and {Compiled, TileEpoch, Ranked} <= set(seen)
    assert cell[-1]["text/plain"].startswith("2 of 2 trials · 6 epochs · best accuracy ")
    before = len(cell)
    jaxbn.sweep(space, "iris", num_configs=2, num_epochs=3)
    assert len(cell) == before
    jaxbn.resume(tmp_path / "run", num_configs=3, progress=True)
    assert cell[-1]["text/plain"].startswith("3 of 3 trials")


def test_ipython_on_a_terminal_is_no_notebook(monkeypatch, capsys):
    ipython = ModuleType("IPython")
    monkeypatch.setattr(ipython, "get_ipython", lambda: SimpleNamespace(), raising=False)
    monkeypatch.setitem(sys.modules, "IPython", ipython)
    with display("reading") as shown:
        assert shown.live is None
