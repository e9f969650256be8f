"""A sweep that was left anywhere goes on to the same results, bit for bit."""

import itertools
import os
import signal
import sys
import threading
import time
import types
from pathlib import Path

import jax
import numpy as np
import polars as pl
import pytest
from jax.errors import JaxRuntimeError
from sklearn.datasets import load_wine

import jaxbn
from jaxbn import Choice, Float, Int, Results, Settings, Space, UserError
from jaxbn.engine import run as engine_run
from jaxbn.engine.run import TileEpoch
from jaxbn.search import from_values
from jaxbn.study import checkpoint, conduct, files, keeper
from jaxbn.study.clock import Clock
from jaxbn.study.files import new_folder
from jaxbn.study.interrupt import Interrupted
from jaxbn.study.lock import locked
from jaxbn.study.loop import Ranked, Resumed
from jaxbn.study.records import Records
from jaxbn.study.replay import replay
from jaxbn.study.retrain import retrain
from jaxbn.study.run_dir import request_in
from jaxbn.study.settle import NUM_LINEAR, set_up
from jaxbn.study.state import SweepState

SPACE = Space(
    learning_rate=Float(1e-3, 1, scale="log"),
    momentum=Float(0.8, 0.99, scale="one_minus_log"),
    optimizer=Choice("adam", "momentum"),
    hidden_units=Int(4, 8),
    num_layers=Int(1, 2),
)
KINDS = {
    "all": {},
    "halving": {"scheduler": "halving"},
    "hyperband": {"scheduler": "hyperband", "factor": 2},
    "pbt": {"scheduler": "pbt", "interval": 1},
    "pbt_twice": {"scheduler": "pbt", "interval": 1, "replicates": 2},
    "folds": {"folds": 2, "replicates": 2, "scheduler": "halving"},
    "rounds": {"sampler": "coarse_to_fine", "num_rounds": 3, "keep": 3},
    "patience": {"patience": 1, "scheduler": "halving"},
}


class Killed(BaseException):
    """What stands for the end of the process."""


def settings(kind):
    return {"num_configs": 12, "num_epochs": 4, "tile_size": 2, **KINDS[kind]}


def swept(kind, folder, **more):
    return jaxbn.sweep(SPACE, "wine", run_dir=folder, **settings(kind), **more)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """What comes of each kind when nobody disturbs it."""
    found = {}

    def of(kind) -> Results:
        if kind not in found:
            found[kind] = swept(kind, tmp_path_factory.mktemp(kind) / "run")
        return found[kind]

    return of


def check_same(one: Results, other: Results) -> None:
    for name in ("trials", "curves", "lineage"):
        first, second = (getattr(results, name).drop("train_seconds", strict=False) for results in (one, other))
        assert first.equals(second), name
    assert one.best == other.best and one.test == other.test
    for model, same in zip(one.models, other.models, strict=True):
        for leaf, again in zip(leaves(model), leaves(same), strict=True):
            np.testing.assert_array_equal(leaf, again)


def leaves(model):
    from jaxbn.study.named import named

    return [np.asarray(leaf) for leaf in named(model.variables).values()]


@pytest.fixture
def eager(monkeypatch):
    """Checkpoints as often as there could be one, of tiles in every epoch too."""
    monkeypatch.setattr(keeper, "SHARE", float("inf"))
    monkeypatch.setattr(keeper, "EVERY", 0.0)
    monkeypatch.setattr(conduct, "REPORT", 0.0)


def anything(decided, state, begun):
    """While programs compile there is nothing to save, for however long that takes."""
    return decided or bool(begun) or bool(state.records.epochs.any())


def kill_at(monkeypatch, number, worth=anything):
    """End the sweep at a chance to save it that is worth it; what was saved there is on the disk."""
    seen, consider = [0], keeper.Keeper.consider

    def counting(self, state, begun, *, decided):
        consider(self, state, begun, decided=decided)
        seen[0] += worth(decided, state, begun)
        if seen[0] == number:
            self.save(state, begun)
            raise Killed

    monkeypatch.setattr(keeper.Keeper, "consider", counting)


@pytest.mark.parametrize("kind", KINDS)
def test_it_goes_on_bit_for_bit(whole, tmp_path, monkeypatch, eager, kind):
    expected, again = whole(kind), 0
    for number in (1, 2, 4, 7, 11):
        folder = tmp_path / str(number)
        with monkeypatch.context() as patch:
            kill_at(patch, number)
            try:
                swept(kind, folder)
            except Killed:
                again += 1
        check_same(jaxbn.resume(folder), expected)
        check_same_on_disk(folder, expected)
    assert again >= 4


def check_same_on_disk(folder: Path, expected: Results) -> None:
    assert sorted(path.name for path in folder.iterdir()) == [
        "best",
        "curves.parquet",
        "lineage.parquet",
        "run.json",
        "trials.parquet",
    ]
    read = Results.load(folder)
    assert read.trials.drop("train_seconds").equals(expected.trials.drop("train_seconds"))
    assert request_in(folder) == (read.request, True)


def spied(monkeypatch):
    """The states that sweeps go on from, as they are read."""
    found, newest = [], keeper.newest

    def reading(*arguments):
        found.append(newest(*arguments))
        return found[-1]

    monkeypatch.setattr("jaxbn.study.sweep.newest", reading)
    return found


@pytest.mark.parametrize("kind", ["all", "halving", "folds"])
def test_what_was_saved_is_not_trained_again(whole, tmp_path, monkeypatch, eager, kind):
    with monkeypatch.context() as patch, pytest.raises(Killed):
        kill_at(patch, 8)
        swept(kind, tmp_path / "run")
    states, saved, trained = spied(monkeypatch), [], []

    def count(event):
        if isinstance(event, Resumed):
            (state,) = states
            saved.extend([state.records.epochs.sum(), state.linear.epochs.sum()])
            saved.extend(len(tile.train_loss) * len(tile.trials) for tile in state.begun.values())
        elif isinstance(event, TileEpoch):
            trained.append(len(event.trials))

    results = jaxbn.resume(tmp_path / "run", on_event=count)
    check_same(results, whole(kind))
    repeats = results.request.replicates * results.request.folds
    assert sum(saved) > 0 and sum(saved) + sum(trained) == results.summary.num_epochs + NUM_LINEAR * repeats * 4
    assert not [note for note in results.summary.notes if "broken" in note]


def test_a_tile_goes_on_from_the_epoch_that_it_is_in(whole, tmp_path, monkeypatch, eager):
    with monkeypatch.context() as patch, pytest.raises(Killed):
        kill_at(patch, 1, lambda decided, state, begun: bool(begun))
        swept("all", tmp_path / "run")
    states, begun = spied(monkeypatch), []

    def look(event):
        if isinstance(event, Resumed):
            begun.extend(states[0].begun)

    check_same(jaxbn.resume(tmp_path / "run", on_event=look), whole("all"))
    assert begun


def left(tmp_path, monkeypatch, kind="halving", number=6, **more):
    """A run that was killed, with two checkpoints."""
    with monkeypatch.context() as patch, pytest.raises(Killed):
        kill_at(patch, number)
        swept(kind, tmp_path / "run", **more)
    return tmp_path / "run"


def test_two_generations_are_kept(tmp_path, monkeypatch, eager):
    folder = left(tmp_path, monkeypatch)
    assert len(keeper.generations(folder / "checkpoints")) == 2
    assert sorted(path.name for path in folder.iterdir()) == ["checkpoints", "run.json"]


DAMAGE = {
    "cut short": lambda path: path.write_bytes(path.read_bytes()[:-7]),
    "one bit": lambda path: path.write_bytes(flipped(path.read_bytes())),
    "empty": lambda path: path.write_bytes(b""),
    "gone": lambda path: path.unlink(),
    "other": lambda path: path.write_bytes(b'{"a": [1, 2]}'),
}


def flipped(content):
    middle = len(content) // 2
    return content[:middle] + bytes([content[middle] ^ 4]) + content[middle + 1 :]


@pytest.mark.parametrize("name", ["manifest.json", "search.json", "arrays-000.safetensors"])
@pytest.mark.parametrize("damage", DAMAGE)
def test_a_broken_checkpoint_gives_way_to_an_older_one(whole, tmp_path, monkeypatch, eager, name, damage):
    folder = left(tmp_path, monkeypatch)
    newest, _ = keeper.generations(folder / "checkpoints")
    DAMAGE[damage](newest / name)
    results = jaxbn.resume(folder)
    check_same(results, whole("halving"))
    (note,) = [note for note in results.summary.notes if "broken" in note]
    assert newest.name in note and "older" in note


def test_without_any_whole_checkpoint_it_begins_again(whole, tmp_path, monkeypatch, eager):
    folder = left(tmp_path, monkeypatch)
    for path in keeper.generations(folder / "checkpoints"):
        (path / "search.json").write_text("{}")
    results = jaxbn.resume(folder)
    check_same(results, whole("halving"))
    assert len([note for note in results.summary.notes if "broken" in note]) == 2


def test_what_a_killed_writer_left_is_removed(whole, tmp_path, monkeypatch, eager):
    folder = left(tmp_path, monkeypatch)
    (folder / "checkpoints" / ".000009.abc").mkdir()
    (folder / "checkpoints" / ".000009.abc" / "search.json").write_text("{")
    (folder / ".run.json.17.tmp").write_text("{")
    (folder / "trials.parquet").write_bytes(b"half")
    (folder / "lock").write_text("process 1")
    check_same(jaxbn.resume(folder), whole("halving"))
    check_same_on_disk(folder, whole("halving"))


def test_resuming_what_is_finished_reads_it(whole, tmp_path):
    results = swept("all", tmp_path / "run")
    for again in (jaxbn.resume(tmp_path / "run"), swept("all", tmp_path / "run", resume=True)):
        assert again.trials.equals(results.trials)


def test_a_finished_run_is_no_answer_about_other_data(whole, tmp_path):
    whole("all")
    folder = tmp_path / "run"
    swept("all", folder)
    for resume in (
        lambda: jaxbn.resume(folder, "iris"),
        lambda: jaxbn.sweep(SPACE, "iris", run_dir=folder, resume=True, **settings("all")),
    ):
        with pytest.raises(UserError, match="data in 'iris' are not those"):
            resume()
    assert len(jaxbn.resume(folder, "wine").trials)


def grid(seed, space, history, num_configs):
    """A sampler of one's own, named like one that there is."""
    return [space.config(dict.fromkeys(space.domains, (seed + 1) / (n + 2))) for n in range(num_configs)]


def test_nothing_of_an_older_run_outlives_it_but_what_others_put_there(whole, tmp_path):
    whole("all")
    folder = tmp_path / "run"
    swept("all", folder)
    (folder / "notes.txt").write_text("mine")
    for name in ("models/1/model.json", "exported/model.onnx", "report.html"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    swept("all", folder, overwrite=True)
    assert {path.name for path in folder.iterdir()} >= {"notes.txt", "run.json"}
    assert not {path.name for path in folder.iterdir()} & {"models", "exported", "report.html"}
    hopeless = Space(learning_rate=1e30, hidden_units=4, num_layers=1, optimizer="sgd")
    with pytest.raises(UserError, match="diverged"):
        jaxbn.sweep(hopeless, "wine", num_configs=2, num_epochs=2, run_dir=folder, overwrite=True)
    assert [path.name for path in folder.iterdir()] == ["notes.txt"]
    with pytest.raises(UserError, match="diverged"):
        jaxbn.sweep(hopeless, "wine", num_configs=2, num_epochs=2, run_dir=tmp_path / "other")
    assert not (tmp_path / "other").exists()


def test_folders_are_as_open_as_the_user_lets_them_be(tmp_path):
    old = os.umask(0o027)
    try:
        with new_folder(tmp_path / "one"):
            pass
        assert (tmp_path / "one").stat().st_mode & 0o777 == 0o750
    finally:
        os.umask(old)


def test_other_numbers_than_those_of_the_sweep_are_refused(whole, tmp_path):
    results = whole("all")
    for again in (retrain, replay):
        with jax.enable_x64(not results.request.x64), pytest.raises(UserError, match="begun with jax_enable_x64"):
            again(results, 0)


def test_a_sampler_of_ones_own_is_not_taken_for_another(tmp_path):
    asked = {"num_configs": 2, "num_epochs": 1, "sampler": grid}
    swept = jaxbn.sweep(SPACE, "wine", run_dir=tmp_path / "run", **asked)
    assert swept.request.sampler == swept.request.settings["sampler"] == "grid()"
    with pytest.raises(UserError, match=r"was a function, grid\(\).*resume=True"):
        jaxbn.resume(tmp_path / "run", num_configs=3)
    again = jaxbn.sweep(SPACE, "wine", run_dir=tmp_path / "run", resume=True, **asked)
    assert again.trials.equals(swept.trials)


def test_a_sweep_resumes_where_there_is_something_to_resume(whole, tmp_path, monkeypatch, eager):
    folder = left(tmp_path, monkeypatch)
    check_same(swept("halving", folder, resume=True), whole("halving"))
    check_same(swept("halving", tmp_path / "other", resume=True), whole("halving"))
    with pytest.raises(UserError, match="run_dir"):
        jaxbn.sweep(SPACE, "wine", resume=True)


def test_another_question_is_refused_in_words(tmp_path, monkeypatch, eager):
    folder = left(tmp_path, monkeypatch)
    before = request_in(folder)
    with pytest.raises(UserError, match="num_epochs was 4 and is 5"):
        jaxbn.sweep(SPACE, "wine", run_dir=folder, resume=True, **{**settings("halving"), "num_epochs": 5})
    with pytest.raises(UserError, match="seed was 0 and is 3"):
        swept("halving", folder, resume=True, seed=3)
    with pytest.raises(UserError, match="the space had momentum"):
        jaxbn.sweep(Space(learning_rate=0.1), "wine", run_dir=folder, resume=True, **settings("halving"))
    with pytest.raises(UserError, match="data in 'iris' are not those"):
        jaxbn.sweep(SPACE, "iris", run_dir=folder, resume=True, **settings("halving"))
    with pytest.raises(UserError, match="data in 'iris' are not those"):
        jaxbn.resume(folder, "iris")
    monkeypatch.setattr("jaxbn.study.request.versions", lambda: {**before[0].versions, "jax": "0.0.1"})
    with pytest.raises(UserError, match=r"begun with jax .* and this is jax 0\.0\.1"):
        jaxbn.resume(folder)
    assert request_in(folder) == before


def test_two_writers_do_not_meet(tmp_path, monkeypatch, eager):
    folder = left(tmp_path, monkeypatch)
    with locked(folder / "lock"), pytest.raises(UserError, match=r"is being written by process \d+: wait"):
        jaxbn.resume(folder)
    with locked(folder / "lock"), pytest.raises(UserError, match="is being written"):
        swept("all", folder, overwrite=True)


def test_a_run_that_is_not_finished_says_so(tmp_path, monkeypatch, eager):
    folder = left(tmp_path, monkeypatch)
    with pytest.raises(UserError, match="is not finished: go on with it by jaxbn resume"):
        Results.load(folder)


def test_arrays_are_asked_for_again(whole, tmp_path, monkeypatch, eager):
    rows = load_wine(return_X_y=True)
    with monkeypatch.context() as patch, pytest.raises(Killed):
        kill_at(patch, 4)
        jaxbn.sweep(SPACE, rows, run_dir=tmp_path / "run", **settings("all"))
    with pytest.raises(UserError, match="give the data again"):
        jaxbn.resume(tmp_path / "run")
    expected = jaxbn.sweep(SPACE, rows, **settings("all"))
    check_same(jaxbn.resume(tmp_path / "run", rows), expected)


def test_listed_configurations_are_in_the_record(tmp_path, monkeypatch, eager):
    configs = [jaxbn.Config(learning_rate=rate, hidden_units=(8, 4), num_layers=2) for rate in (0.01, 0.1, 0.03)]
    with monkeypatch.context() as patch, pytest.raises(Killed):
        kill_at(patch, 3)
        jaxbn.sweep(configs, "wine", num_epochs=3, tile_size=1, run_dir=tmp_path / "run")
    check_same(jaxbn.resume(tmp_path / "run"), jaxbn.sweep(configs, "wine", num_epochs=3, tile_size=1))


def test_a_disk_that_is_full_is_told_and_training_goes_on(whole, tmp_path, monkeypatch, eager):
    def full(folder, state):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(checkpoint, "save", full)
    with pytest.warns(UserWarning, match="no checkpoint could be written .* No space left") as told:
        results = swept("halving", tmp_path / "run")
    check_same(results, whole("halving"))
    assert len(told) == 1


def test_a_folder_that_becomes_read_only_is_told_and_training_goes_on(whole, tmp_path, monkeypatch, eager):
    folder, mkdir = tmp_path / "run", Path.mkdir

    def read_only(self, *args, **options):
        if self.name == "checkpoints":
            raise OSError(30, "Read-only file system")
        return mkdir(self, *args, **options)

    monkeypatch.setattr(Path, "mkdir", read_only)
    with pytest.warns(UserWarning, match="no checkpoint could be written .* Read-only file system") as told:
        results = swept("halving", folder)
    assert len(told) == 1
    check_same(results, whole("halving"))
    check_same_on_disk(folder, whole("halving"))


@pytest.mark.parametrize("jump", [-86_400.0, 86_400.0])
def test_a_clock_that_jumps_changes_nothing(whole, tmp_path, monkeypatch, eager, jump):
    now, calls = time.time, itertools.count()
    # From the third look on, the machine's clock is a day off; what is measured is measured by another one.
    monkeypatch.setattr(time, "time", lambda: now() + jump * (next(calls) > 2))
    monkeypatch.setattr(time, "time_ns", lambda: int(1e9 * time.time()))
    kill_at(monkeypatch, 3)
    with pytest.raises(Killed):
        swept("halving", tmp_path / "run")
    monkeypatch.undo()
    results = jaxbn.resume(tmp_path / "run")
    check_same(results, whole("halving"))
    assert 0 <= results.summary.seconds.total < 600


def test_checkpoints_take_a_small_share_of_the_time(tmp_path, monkeypatch):
    times = []
    monkeypatch.setattr(checkpoint, "save", lambda folder, state: times.append(folder))
    one = keeper.Keeper(tmp_path / "checkpoints")
    empty = Records.empty(1, (), 0)
    state = SweepState(empty, empty, Clock(0.0))

    def count(*, decided):
        one.consider(state, {}, decided=decided)
        if one.writing is not None:
            one.writing.result()
        return len(times)

    with one:
        assert count(decided=True) == 0
        one.began -= keeper.FIRST / keeper.SHARE
        assert (count(decided=False), count(decided=True)) == (0, 1)
        one.took = 1e6
        assert count(decided=True) == 1
        one.took, one.began = 0.0, -1e9
        assert count(decided=False) == 2


@pytest.fixture
def interruptible():
    """Interrupts are seen even where the tests run in the background of a shell, which lets them ignore those."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def send(which):
    main = threading.main_thread().ident
    assert main is not None
    signal.pthread_kill(main, which)


@pytest.mark.parametrize("which", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_saves_and_says_how_to_go_on(whole, tmp_path, interruptible, which):
    folder, told = tmp_path / "run", []

    def once(event):
        if isinstance(event, TileEpoch) and event.epoch >= 2 and not told:
            told.append(event)
            send(which)

    with pytest.raises(jaxbn.Interrupted, match="go on with it by jaxbn resume") as stop:
        swept("folds", folder, on_event=once)
    assert stop.value.signal is which and signal.getsignal(which) in (signal.default_int_handler, signal.SIG_DFL)
    partial = stop.value.partial()
    assert partial is None or "interrupted" in partial.summary.notes[-1]
    check_same(jaxbn.resume(folder), whole("folds"))


def late():
    """A listener that interrupts when four tiles have ended."""
    done = []

    def listen(event):
        if isinstance(event, TileEpoch) and event.epoch == 4:
            done.append(event)
            if len(done) == 4:
                send(signal.SIGINT)

    return listen


def test_partial_results_hold_what_was_trained(whole, interruptible):
    with pytest.raises(jaxbn.Interrupted, match="interrupted; nothing was written") as stop:
        jaxbn.sweep(SPACE, "wine", on_event=late(), **settings("all"))
    partial, expected = stop.value.partial(), whole("all")
    assert partial is not None
    ended = partial.trials.filter(pl.col("status") == "ok")
    assert 0 < len(ended) < 12
    # Trials that had ended are as they would have been.
    assert ended.drop("train_seconds").equals(
        expected.trials.filter(pl.col("trial").is_in(ended["trial"].to_list())).drop("train_seconds")
    )


def short_of_memory(monkeypatch, most):
    """A device that holds no tile of more than `most` members."""
    executable = engine_run.executable

    def failing(program, device):
        if program.kind == "epoch" and program.tile_size > most:
            raise JaxRuntimeError("RESOURCE_EXHAUSTED: Out of memory while trying to allocate 17179869184 bytes.")
        return executable(program, device)

    monkeypatch.setattr(engine_run, "executable", failing)


@pytest.mark.parametrize("kind", ["halving", "pbt"])
def test_without_memory_tiles_are_halved_and_training_goes_on(tmp_path, monkeypatch, eager, kind):
    small = jaxbn.sweep(SPACE, "wine", **{**settings(kind), "tile_size": 2})
    with monkeypatch.context() as patch, pytest.warns(UserWarning, match="no memory left for tiles of") as told:
        short_of_memory(patch, 2)
        results = jaxbn.sweep(SPACE, "wine", run_dir=tmp_path / "run", **{**settings(kind), "tile_size": 8})
    assert [str(warning.message) for warning in told] == [
        "a device had no memory left for tiles of 8: training goes on in tiles of at most 4",
        "a device had no memory left for tiles of 4: training goes on in tiles of at most 2",
    ]
    assert all(str(warning.message) in results.summary.notes for warning in told)
    assert {program["tile_size"] for program in results.request.programs} == {2}
    check_same(results, small)


def test_tiles_that_were_halved_stay_so(tmp_path, monkeypatch, eager):
    with monkeypatch.context() as patch, pytest.warns(UserWarning), pytest.raises(Killed):
        short_of_memory(patch, 2)
        kill_at(patch, 6)
        jaxbn.sweep(SPACE, "wine", run_dir=tmp_path / "run", **{**settings("halving"), "tile_size": 4})
    assert request_in(tmp_path / "run")[0].halvings == 1
    results = jaxbn.resume(tmp_path / "run")
    assert {program["tile_size"] for program in results.request.programs} == {2}
    check_same(results, jaxbn.sweep(SPACE, "wine", **settings("halving")))


@pytest.mark.parametrize("kind", ["all", "halving"])
@pytest.mark.parametrize("failing", [0, 1])
def test_tiles_that_do_not_divide_evenly_leave_nobody_out(monkeypatch, kind, failing):
    """One of the first two tiles of five has been recorded when the other finds no memory."""
    space = Space(learning_rate=Float(1e-3, 1, scale="log"), hidden_units=6, num_layers=1)
    asked = {**settings(kind), "num_configs": 10, "num_epochs": 3, "min_epochs": 3 if kind == "all" else 1}
    asked = {name: value for name, value in asked.items() if kind != "all" or name != "min_epochs"}
    train, ended = engine_run.Trainer._train, threading.Event()

    def one_fails(self, tile, device):
        if tile.program.tile_size == 5 and tile.trials[0] < 10 and tile.start == 0:
            if tile.trials[0] == 5 * failing:
                assert ended.wait(60)
                time.sleep(0.3)  # Until the other one has been handed over.
                raise JaxRuntimeError("RESOURCE_EXHAUSTED: Out of memory while trying to allocate 17179869184 bytes.")
            result = train(self, tile, device)
            ended.set()
            return result
        return train(self, tile, device)

    monkeypatch.setattr(engine_run.Trainer, "_train", one_fails)
    with pytest.warns(UserWarning, match="no memory left for tiles of 5: training goes on in tiles of at most 2"):
        results = jaxbn.sweep(space, "wine", **{**asked, "tile_size": 5})
    monkeypatch.undo()
    expected = jaxbn.sweep(space, "wine", **{**asked, "tile_size": 2})
    assert results.trials["status"].to_list() == expected.trials["status"].to_list()
    assert results.trials["epochs"].to_list() == expected.trials["epochs"].to_list()
    np.testing.assert_allclose(results.trials["valid_loss"], expected.trials["valid_loss"], rtol=1e-3)


def test_what_was_begun_counts_where_no_time_is_left(tmp_path, monkeypatch, eager):
    seen = {}

    def worth(decided, state, begun):
        seen.update(
            {trial: state.records.epochs[trial] for tile in begun.values() for trial in tile.trials if trial < 12}
        )
        return bool(seen)

    kill_at(monkeypatch, 1, worth)
    with pytest.raises(Killed):
        swept("all", tmp_path / "run", time_budget=600.0)
    monkeypatch.undo()
    monkeypatch.setattr(conduct, "RESERVE", 1e9)
    epochs = jaxbn.resume(tmp_path / "run").trials["epochs"].to_numpy()
    # They had not ended, and there was no time to go on with them.
    assert set(seen.values()) == {0} and (epochs[list(seen)] > 0).all()


def test_whoever_takes_over_anothers_state_leaves_its_own_weights(monkeypatch):
    setup = set_up(SPACE, "wine", Settings(num_configs=2, num_epochs=4, replicates=2, scheduler="pbt"))
    records = Records.empty(4, setup.metrics, setup.rank_by, repeats=2)
    small, large = (from_values(hidden_units=width, num_layers=1) for width in (4, 8))
    records.add([small, large])
    records.weights[0] = object()
    records.changes = {0: (large, 1)}
    records._change(1, 2)  # The second replicate first.
    assert records.configs[0] == large and 0 not in records.weights
    records.weights[0] = "its own now"
    records._change(0, 2)
    assert records.weights[0] == "its own now"


def test_float64_and_float32_do_not_meet_in_a_run(tmp_path, monkeypatch, eager):
    folder = left(tmp_path, monkeypatch)
    before = sorted(path.name for path in (folder / "checkpoints").iterdir())
    with jax.enable_x64(True), pytest.raises(UserError, match="jax_enable_x64 = False and this is True"):
        jaxbn.resume(folder)
    assert sorted(path.name for path in (folder / "checkpoints").iterdir()) == before


def test_a_lock_whose_name_went_keeps_nobody_out(tmp_path, monkeypatch):
    fcntl = pytest.importorskip("fcntl")
    flock, path, calls = fcntl.flock, tmp_path / "lock", []

    def released_meanwhile(file, how):
        flock(file, how)
        if not calls:
            path.unlink()  # As whoever held it does, between our opening it and locking it.
        calls.append(how)

    monkeypatch.setattr("jaxbn.study.lock.fcntl.flock", released_meanwhile)
    with locked(path):
        assert len(calls) == 2 and path.exists()
        with pytest.raises(UserError, match="is being written by process"), locked(path):
            pass


def test_a_checkpoint_for_which_there_is_no_memory_is_told(whole, tmp_path, monkeypatch, interruptible, eager):
    def short(folder, state):
        raise MemoryError

    monkeypatch.setattr(checkpoint, "save", short)
    with (
        pytest.warns(UserWarning, match=r"no checkpoint could be written .* MemoryError"),
        pytest.raises(jaxbn.Interrupted, match="the last one could not be written"),
    ):
        swept("all", tmp_path / "run", on_event=late())


def test_a_tile_of_one_cannot_be_halved(monkeypatch):
    short_of_memory(monkeypatch, 0)
    with pytest.raises(JaxRuntimeError, match="RESOURCE_EXHAUSTED"):
        jaxbn.sweep(SPACE, "wine", **{**settings("all"), "tile_size": 1})


def test_a_worker_that_fails_says_how_to_go_on(whole, tmp_path, monkeypatch, eager):
    def fail(event):
        if isinstance(event, TileEpoch) and event.epoch == 3:
            raise RuntimeError("a cosmic ray")

    with pytest.raises(RuntimeError, match="a cosmic ray") as failed:
        swept("halving", tmp_path / "run", on_event=fail)
    assert failed.value.__notes__ == [
        f"The sweep can be gone on with from its last checkpoint, by jaxbn resume {tmp_path / 'run'}"
    ]
    check_same(jaxbn.resume(tmp_path / "run"), whole("halving"))


def test_results_that_cannot_be_written_can_be_made_again(whole, tmp_path, monkeypatch, eager):
    from jaxbn.study import run_dir

    def full(path, content):
        if path.name == "curves.parquet":
            raise OSError(28, "No space left on device")
        files.write(path, content)

    with monkeypatch.context() as patch, pytest.raises(UserError, match="cannot write the run"):
        patch.setattr(run_dir, "write", full)
        swept("halving", tmp_path / "run")
    check_same(jaxbn.resume(tmp_path / "run"), whole("halving"))
    check_same_on_disk(tmp_path / "run", whole("halving"))


def test_an_interrupted_cell_of_a_notebook_has_results(monkeypatch, interruptible):
    shell = types.SimpleNamespace(get_ipython=lambda: object())
    monkeypatch.setitem(sys.modules, "IPython", shell)
    with pytest.warns(UserWarning, match="interrupted; nothing was written"):
        results = jaxbn.sweep(SPACE, "wine", on_event=late(), **settings("all"))
    assert "interrupted" in results.summary.notes[-1]
    assert results.best_model.predict(load_wine(return_X_y=True)[0]).shape == (178,)


def test_an_interrupt_that_comes_too_late_is_not_lost(tmp_path, monkeypatch, interruptible):
    judge = conduct.judge

    def judging(*arguments):
        send(signal.SIGINT)
        return judge(*arguments)

    monkeypatch.setattr(conduct, "judge", judging)
    with pytest.raises(KeyboardInterrupt) as stop:
        swept("all", tmp_path / "run")
    assert not isinstance(stop.value, jaxbn.Interrupted)
    assert Results.load(tmp_path / "run").summary.num_trials == 12


def test_partial_results_are_made_once(interruptible):
    with pytest.raises(jaxbn.Interrupted) as stop:
        jaxbn.sweep(SPACE, "wine", on_event=late(), **settings("all"))
    assert stop.value.partial() is stop.value.partial()


def test_a_target_that_was_reached_ends_the_search_after_a_kill_too(tmp_path, monkeypatch, eager):
    rounds = {**settings("rounds"), "target_score": 0.0}
    with monkeypatch.context() as patch, pytest.raises(Killed):
        kill_at(patch, 1, lambda decided, state, begun: decided)
        jaxbn.sweep(SPACE, "wine", run_dir=tmp_path / "run", **rounds)
    results = jaxbn.resume(tmp_path / "run")
    assert results.trials["round"].max() == 0


def test_a_sampler_that_gives_too_few_is_asked_for_as_many_again(tmp_path, monkeypatch, eager):
    def stingy(seed, space, history, num_configs):
        return jaxbn.search.propose.random(seed, space, history, num_configs)[: max(num_configs - 1, 1)]

    asked = {"num_configs": 12, "num_epochs": 3, "num_rounds": 3, "sampler": stingy}
    expected = jaxbn.sweep(SPACE, "wine", **asked)
    kill_at(monkeypatch, 4)
    with pytest.raises(Killed):
        jaxbn.sweep(SPACE, "wine", run_dir=tmp_path / "run", **asked)
    monkeypatch.undo()
    results = jaxbn.sweep(SPACE, "wine", run_dir=tmp_path / "run", resume=True, **asked)
    assert results.trials.drop("train_seconds").equals(expected.trials.drop("train_seconds"))


def test_listed_configs_with_a_time_budget_go_on_by_the_same_call(tmp_path, monkeypatch, eager):
    # Wide enough that not all of them fit: the record holds those that do.
    configs = [from_values(hidden_units=200, learning_rate=0.01 + n / 1e6) for n in range(20_000)]
    kill_at(monkeypatch, 1)
    with pytest.raises(Killed):
        jaxbn.sweep(configs, "wine", num_epochs=50, time_budget=20, run_dir=tmp_path / "run")
    monkeypatch.undo()
    monkeypatch.setattr(conduct, "RESERVE", 1e9)
    results = jaxbn.sweep(configs, "wine", num_epochs=50, time_budget=20, run_dir=tmp_path / "run", resume=True)
    assert 0 < len(results.trials) < 20_000
    with pytest.raises(UserError, match="the listed configurations are others"):
        jaxbn.sweep(configs[1:], "wine", num_epochs=50, time_budget=20, run_dir=tmp_path / "run", resume=True)


def test_what_an_interrupted_sweep_had_trained_is_not_added_to(tmp_path):
    def stop(event):
        if isinstance(event, Ranked):
            signal.raise_signal(signal.SIGINT)

    with pytest.raises(Interrupted) as caught:
        jaxbn.sweep(SPACE, "wine", num_configs=6, num_epochs=1, sampler="coarse_to_fine", num_rounds=3, on_event=stop)
    partial = caught.value.partial()
    assert len(partial.trials) < 6
    partial.save(tmp_path / "run")
    with pytest.raises(UserError, match="holds what an interrupted sweep had trained, so it cannot be added to"):
        jaxbn.resume(tmp_path / "run", num_configs=9)


def test_where_no_checkpoint_is_whole_the_sweep_begins_anew(tmp_path, monkeypatch, eager):
    folder = left(tmp_path, monkeypatch)
    for path in (folder / "checkpoints").glob("*/manifest.json"):
        path.write_text("{")
    results = jaxbn.resume(folder)
    broken = [note for note in results.summary.notes if "is broken" in note]
    assert broken and all(note.endswith("so the sweep begins anew") for note in broken)


def test_how_to_go_on_is_what_can_be_done(tmp_path, monkeypatch, eager):
    folder = left(tmp_path, monkeypatch)
    with pytest.raises(UserError, match="go on with it by jaxbn resume"):
        Results.load(folder)
    rows = load_wine()
    kill_at(monkeypatch, 1)
    with pytest.raises(Killed):
        jaxbn.sweep(SPACE, (rows.data, rows.target), num_configs=4, num_epochs=3, run_dir=tmp_path / "arrays")
    with pytest.raises(UserError, match=r"by sweep with the same arguments, run_dir='.*arrays' and resume=True"):
        Results.load(tmp_path / "arrays")
