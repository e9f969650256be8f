"""A run to which epochs are added is the sweep that had them from the start: bits, files, refusals."""

import errno
import tempfile
import threading
import time
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from safetensors.numpy import load_file

import jaxbn
from jaxbn import Choice, Float, Int, Results, Space, UserError
from jaxbn.search import from_values
from jaxbn.study import checkpoint, conduct, keeper, run_dir
from jaxbn.study.named import named
from jaxbn.study.progress import Progress
from jaxbn.study.run_dir import request_in

SPACE = Space(
    learning_rate=Float(1e-3, 1, scale="log"),
    optimizer=Choice("adam", "momentum"),
    hidden_units=Int(4, 8),
    num_layers=1,
    warmup_epochs=3,
)
BROKEN = {"learning_rate": 1e30, "optimizer": "momentum", "hidden_units": 4}
"""What diverges at once."""
KINDS = {
    "all": ({}, 4, 9),
    "one model": ({"keep": 1}, 4, 9),
    "rounds": ({"num_rounds": 2}, 4, 6),
    "folds": ({"folds": 2, "replicates": 2}, 3, 5),
    "patience, where it is looked at": ({"patience": 2}, 4, 9),
    "patience, where it is not": ({"patience": 3}, 4, 9),
    "halving, from a rung": ({"scheduler": "halving", "num_configs": 18}, 3, 9),
    "halving, from between": ({"scheduler": "halving", "folds": 2}, 4, 5),
    "halving, in rounds": ({"scheduler": "halving", "num_configs": 18, "num_rounds": 2}, 3, 9),
    "hyperband": ({"scheduler": "hyperband", "factor": 2}, 4, 5),
    "pbt, from a rung": ({"scheduler": "pbt", "interval": 2}, 4, 7),
    "pbt, from between": ({"scheduler": "pbt", "interval": 3, "replicates": 2}, 4, 8),
}


class Killed(BaseException):
    """What stands for the end of the process."""


def swept(folder, kind="all", epochs=None, **more):
    given, first, _ = KINDS[kind]
    settings = {"num_configs": 8, "tile_size": 2, "enqueue": [BROKEN], "keep": 4, **given, **more}
    return jaxbn.sweep(SPACE, "wine", run_dir=folder, num_epochs=epochs or first, **settings)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """What comes of each kind that has all epochs from the start."""
    found = {}

    def of(kind, epochs=None) -> Results:
        epochs = epochs or KINDS[kind][2]
        if (kind, epochs) not in found:
            found[kind, epochs] = swept(tmp_path_factory.mktemp("whole") / "run", kind, epochs)
        return found[kind, epochs]

    return of


def check_same_tables(one: Results, other: Results) -> None:
    for name in ("trials", "curves", "lineage"):
        first, second = (getattr(results, name).drop("train_seconds", strict=False) for results in (one, other))
        assert first.equals(second, null_equal=True), name
    assert (one.best, one.test) == (other.best, other.test)
    assert one.summary.baselines == other.summary.baselines


def check_same(one: Results, other: Results) -> None:
    check_same_tables(one, other)
    for model, same in zip(one.models, other.models, strict=True):
        for leaf, again in zip(named(model.variables).values(), named(same.variables).values(), strict=True):
            np.testing.assert_array_equal(leaf, again)


@pytest.fixture
def eager(monkeypatch):
    """A chance to save after every epoch of a tile."""
    monkeypatch.setattr(conduct, "REPORT", 0.0)


def kill_at(patch, number, when=lambda state, begun: bool(begun) or state.records.states):
    """End the process, as it were, at a chance to save that is worth it; what is saved there is on the disk."""
    seen = [0]

    def killing(self, state, begun, *, decided):
        seen[0] += bool(when(state, begun))
        if seen[0] == number:
            self.save(state, begun)
            raise Killed

    patch.setattr(keeper.Keeper, "consider", killing)


def held(folder: Path) -> dict[int, set[str]]:
    """By trial, the names of the arrays that the run keeps of its state."""
    found: dict[int, set[str]] = {}
    for path in (folder / "states" / "000001").glob("*.safetensors"):
        for name in load_file(path):
            if name.startswith("records/states/"):
                *_, trial, leaf = name.split("/", 3)
                found.setdefault(int(trial), set()).add(leaf)
    return found


@pytest.mark.parametrize("kind", KINDS)
def test_it_is_the_longer_sweep_bit_for_bit(whole, tmp_path, kind):
    folder, (_, first, last) = tmp_path / "run", KINDS[kind]
    before = swept(folder, kind, keep_states=True)
    expected = whole(kind)
    # Otherwise the two would agree to rounding alone.
    assert sorted(map(str, expected.request.programs)) == sorted(map(str, before.request.programs))
    results = jaxbn.resume(folder, num_epochs=last)
    check_same(results, expected)
    old = results.curves.filter(pl.col("epoch") <= first)
    assert old.equals(before.curves, null_equal=True)
    assert results.trials["epochs"].max() == last > before.trials["epochs"].max() == first
    assert results.request.num_epochs == last and results.request.rungs == expected.request.rungs
    rounds = before.request.num_rounds
    assert results.request.lengthened == [{"num_epochs": last, "num_rounds": rounds, "judged": True}]
    (note,) = [note for note in results.summary.notes if "judged by the test rows" in note]
    assert f"from {first} to {last} epochs" in note
    read = Results.load(folder)
    assert read.request == results.request and read.best == expected.best
    assert not (folder / "checkpoints").exists()


def test_the_states_are_of_the_trials_that_can_train_on(tmp_path):
    results = swept(tmp_path / "run", "halving, from a rung", keep_states=True)
    ended = results.trials.filter(pl.col("status") == "ok")["trial"].to_list()
    assert 3 <= len(ended) < 18 and sorted(held(tmp_path / "run")) == ended
    assert {"params.hidden.0.dense.kernel", "model_state.0.mean", "step"} < held(tmp_path / "run")[ended[0]]
    more = jaxbn.resume(tmp_path / "run", num_epochs=9)
    assert "diverged" in more.trials["status"]
    survivors = more.trials.filter(pl.col("status") == "ok")["trial"].to_list()
    assert sorted(held(tmp_path / "run")) == survivors and len(survivors) < len(ended)
    assert [path.name for path in (tmp_path / "run" / "states").iterdir()] == ["000001"]


def test_a_trial_that_diverged_stays_so(tmp_path):
    first = swept(tmp_path / "run", "folds", keep_states=True)
    broken = first.trials.filter(pl.col("status") == "diverged")
    assert len(broken) >= 4 and not set(broken["trial"]) & set(held(tmp_path / "run"))
    more = jaxbn.resume(tmp_path / "run", num_epochs=5).trials.filter(pl.col("trial").is_in(broken["trial"].to_list()))
    assert more.drop("train_seconds").equals(broken.drop("train_seconds"))


def test_who_ended_by_patience_stays_so(tmp_path):
    first = swept(tmp_path / "run", "patience, where it is looked at", 9, keep_states=True)
    tired = first.trials.filter((pl.col("status") == "ok") & (pl.col("epochs") < 9))
    assert len(tired) and not set(tired["trial"]) & set(held(tmp_path / "run"))
    more = jaxbn.resume(tmp_path / "run", num_epochs=11).trials.filter(pl.col("trial").is_in(tired["trial"].to_list()))
    assert more["epochs"].to_list() == tired["epochs"].to_list() and set(more["status"]) == {"ok"}


@pytest.mark.parametrize(
    "kind", ["all", "folds", "patience, where it is looked at", "halving, in rounds", "pbt, from a rung"]
)
def test_each_trial_counts_once_in_what_is_shown(tmp_path, kind):
    swept(tmp_path / "run", kind, keep_states=True)
    shown, watch = watched()
    results = jaxbn.resume(tmp_path / "run", num_epochs=KINDS[kind][2], **watch)
    assert shown[0].trials == shown[0].num_trials == len(results.trials)
    assert shown[0].share == 1


def watched():
    """What is shown of a sweep, and the arguments by which it is told of."""
    shown, lock = [], threading.Lock()

    def record(event):
        with lock:
            shown[0].record(event)
            assert shown[0].trials <= shown[0].num_trials and shown[0].done <= sum(shown[0].segments)

    return shown, {"on_start": lambda setup: shown.append(Progress.of(setup)), "on_event": record}


def test_without_the_setting_nothing_is_left(tmp_path):
    swept(tmp_path / "run")
    assert sorted(path.name for path in (tmp_path / "run").iterdir()) == [
        "best",
        "curves.parquet",
        "lineage.parquet",
        "run.json",
        "trials.parquet",
    ]


def test_the_plan_foretells_the_bytes(tmp_path):
    space = Space(learning_rate=Float(1e-3, 0.1, scale="log"), hidden_units=64, num_layers=2)
    asked = {"num_configs": 60, "num_epochs": 3, "scheduler": "halving", "keep_states": True, "keep": 1}
    plan = jaxbn.plan(space, "wine", **asked)
    jaxbn.sweep(space, "wine", run_dir=tmp_path / "run", **asked)
    size = sum(path.stat().st_size for path in (tmp_path / "run" / "states" / "000001").iterdir())
    assert len(held(tmp_path / "run")) == 20
    # Beside the states there are the weights of the best that was stopped, should those that train on all diverge.
    assert plan.kept_bytes == pytest.approx(size, rel=0.08)
    assert f"{plan.kept_bytes / 1e6:.1f} MB on the disk" in str(plan)
    without = jaxbn.plan(space, "wine", **{**asked, "keep_states": False})
    assert without.kept_bytes == 0 and "on the disk" not in str(without)
    assert plan.host_bytes - without.host_bytes == plan.kept_bytes


@pytest.mark.parametrize("kind", ["all", "rounds", "folds", "halving, from a rung", "pbt, from a rung"])
def test_an_extension_that_is_killed_goes_on_bit_for_bit(whole, tmp_path, monkeypatch, eager, kind):
    killed = 0
    for number in (1, 4, 9):
        folder = tmp_path / str(number)
        swept(folder, kind, keep_states=True)
        with monkeypatch.context() as patch:
            kill_at(patch, number)
            try:
                jaxbn.resume(folder, num_epochs=KINDS[kind][2])
            except Killed:
                killed += 1
                assert not request_in(folder)[1]
        results = jaxbn.resume(folder)
        check_same(results, whole(kind))
        assert (folder / "states" / "000001" / "manifest.json").exists()
    assert killed >= 2


def test_whoever_is_killed_before_it_begins_leaves_the_run_as_it_was(whole, tmp_path, monkeypatch):
    first = swept(tmp_path / "run", keep_states=True)
    with monkeypatch.context() as patch:
        patch.setattr("jaxbn.study.run_dir.note_request", lambda *_: (_ for _ in ()).throw(Killed))
        with pytest.raises(Killed):
            jaxbn.resume(tmp_path / "run", num_epochs=9)
    check_same_tables(jaxbn.resume(tmp_path / "run"), first)
    check_same(jaxbn.resume(tmp_path / "run", num_epochs=9), whole("all"))


def test_states_that_cannot_be_written_can_be_made_again(whole, tmp_path, monkeypatch):
    def full(folder, state):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch, pytest.raises(UserError, match=r"cannot write the run to .* No space left"):
        patch.setattr(checkpoint, "save", full)
        swept(tmp_path / "run", keep_states=True)
    assert not request_in(tmp_path / "run")[1]
    check_same(jaxbn.resume(tmp_path / "run", num_epochs=9), whole("all"))


@pytest.mark.parametrize("kind", ["all", "folds", "rounds", "one model"])
def test_a_run_under_way_needs_no_states_as_long_as_nobody_has_ended(whole, tmp_path, monkeypatch, eager, kind):
    with monkeypatch.context() as patch, pytest.raises(Killed):
        kill_at(patch, 1, lambda state, begun: min(begun, default=99) < 8 and not state.records.epochs.any())
        # Two tiles are in their second epoch until somebody has looked.
        swept(tmp_path / "run", kind, on_event=lambda event: time.sleep(getattr(event, "epoch", 0) == 2))
    shown, watch = watched()
    results = jaxbn.resume(tmp_path / "run", num_epochs=KINDS[kind][2], **watch)
    check_same(results, whole(kind))
    assert shown[0].trials == shown[0].num_trials and shown[0].share == 1
    assert not (tmp_path / "run" / "states").exists()
    assert results.request.lengthened[0]["judged"] is False
    assert not [note for note in results.summary.notes if "judged" in note]
    with pytest.raises(UserError, match="has not kept the states of"):
        jaxbn.resume(tmp_path / "run", num_epochs=20)


@pytest.mark.parametrize("kind", ["all", "rounds", "halving, from a rung"])
def test_a_run_under_way_goes_on_with_its_states(whole, tmp_path, monkeypatch, eager, kind):
    def some(state, begun):
        return (state.records.epochs == KINDS[kind][1]).any()

    for keeps in (True, False):
        folder = tmp_path / str(keeps)
        with monkeypatch.context() as patch, pytest.raises(Killed):
            kill_at(patch, 1, some)
            swept(folder, kind, keep_states=keeps)
        if keeps:
            check_same(jaxbn.resume(folder, num_epochs=KINDS[kind][2]), whole(kind))
        else:
            with pytest.raises(UserError, match=r"has not kept the states of \d+ of its .*keep_states"):
                jaxbn.resume(folder, num_epochs=KINDS[kind][2])
            assert jaxbn.resume(folder).trials["epochs"].max() == KINDS[kind][1]


def test_more_of_both(whole, tmp_path):
    for name in ("epochs first", "configs first", "at once"):
        swept(tmp_path / name, keep_states=True)
    once = jaxbn.resume(tmp_path / "at once", num_configs=11, num_epochs=9)
    assert (once.request.added, once.request.lengthened[0]["num_rounds"]) == ([3], 1)
    jaxbn.resume(tmp_path / "epochs first", num_epochs=9)
    check_same(jaxbn.resume(tmp_path / "epochs first", num_configs=11), once)
    jaxbn.resume(tmp_path / "configs first", num_configs=11)
    last = jaxbn.resume(tmp_path / "configs first", num_epochs=9)
    assert last.request.lengthened[0]["num_rounds"] == 2
    check_same(last, once)
    old = once.trials.filter(pl.col("config") < 8).drop("train_seconds")
    assert old.equals(whole("all").trials.drop("train_seconds"))
    assert set(once.trials.filter(pl.col("status") == "ok")["epochs"]) == {9}


def test_twice(whole, tmp_path):
    swept(tmp_path / "run", keep_states=True)
    jaxbn.resume(tmp_path / "run", num_epochs=6)
    results = jaxbn.resume(tmp_path / "run", num_epochs=9)
    check_same(results, whole("all"))
    assert [more["num_epochs"] for more in results.request.lengthened] == [6, 9]
    assert len([note for note in results.summary.notes if "judged by the test rows" in note]) == 2
    # Whoever says it again, as after an interrupt, has what there is.
    check_same_tables(jaxbn.resume(tmp_path / "run", num_epochs=9), whole("all"))


def test_the_same_sweep_goes_on_with_what_was_added(whole, tmp_path, monkeypatch, eager):
    swept(tmp_path / "run", keep_states=True)
    with monkeypatch.context() as patch, pytest.raises(Killed):
        kill_at(patch, 2)
        jaxbn.resume(tmp_path / "run", num_epochs=9)
    check_same(swept(tmp_path / "run", keep_states=True, resume=True), whole("all"))
    with pytest.raises(UserError, match="num_epochs was 4 and is 9"):
        swept(tmp_path / "run", epochs=9, keep_states=True, resume=True)


def test_other_tile_sizes_agree_to_rounding(tmp_path):
    jaxbn.sweep(SPACE, "wine", num_configs=6, num_epochs=1, run_dir=tmp_path / "run", keep_states=True, tile_size=3)
    more = jaxbn.resume(tmp_path / "run", num_epochs=2)
    other = jaxbn.sweep(SPACE, "wine", num_configs=6, num_epochs=2, tile_size=2)
    np.testing.assert_allclose(more.curves["train_loss"], other.curves["train_loss"], rtol=1e-4)


def test_listed_configurations(tmp_path):
    configs = [from_values(hidden_units=4, num_layers=1, learning_rate=rate) for rate in (0.01, 0.02)]
    whole = jaxbn.sweep(configs, "wine", num_epochs=3, tile_size=1)
    jaxbn.sweep(configs, "wine", num_epochs=1, tile_size=1, run_dir=tmp_path / "run", keep_states=True)
    check_same(jaxbn.resume(tmp_path / "run", num_epochs=3), whole)


COSINE = {"decay_kind": "cosine", "hidden_units": 4}


@pytest.mark.parametrize(
    ("kind", "settings", "asked", "said"),
    [
        ("all", {}, 9, "has not kept the states of 7 of its 8 trials"),
        ("all", {"keep_states": True}, 3, "the run has 4 epochs, more than num_epochs = 3: ask for more"),
        ("all", {"keep_states": True}, 0, "num_epochs = 0 is no whole number"),
        ("all", {"keep_states": True}, 9.5, "num_epochs = 9.5 is no whole number"),
        ("all", {"keep_states": True}, "9", "num_epochs = '9' is no whole number"),
        ("all", {"time_budget": 60.0}, 9, "the run ends at its time_budget of 60, however many"),
        ("all", {"target_score": 1.0}, 9, "the run ends at its target_score of 1, however many"),
        ("all", {"enqueue": [COSINE, COSINE]}, 9, "2 of 8 configs have a cosine decay, which ends at 4 epochs"),
        (
            "halving, from a rung",
            {"epochs": 4, "keep_states": True},
            9,
            "halving to 9 epochs ranks at 1-3-9 and stops others than this run did, which ranked at 1-4",
        ),
        ("hyperband", {"keep_states": True}, 8, "hyperband to 8 epochs ranks at 1-2-4-8"),
    ],
)
def test_what_cannot_be_extended(tmp_path, kind, settings, asked, said):
    first = swept(tmp_path / "run", kind, **settings)
    files = sorted(tmp_path.rglob("*"))
    with pytest.raises(UserError, match=said) as caught:
        jaxbn.resume(tmp_path / "run", num_epochs=asked)
    assert "\n" not in str(caught.value) and sorted(tmp_path.rglob("*")) == files
    check_same_tables(Results.load(tmp_path / "run"), first)


def test_a_cosine_that_was_lived_counts(tmp_path):
    space = Space(learning_rate=0.01, decay_kind=Choice("none", "cosine"), hidden_units=4, num_layers=1)
    asked = {"num_configs": 12, "num_epochs": 3, "scheduler": "pbt", "interval": 1, "tile_size": 2}
    results = jaxbn.sweep(space, "wine", run_dir=tmp_path / "run", **asked)
    lived = set(results.lineage.filter(pl.col("decay_kind") == "cosine")["trial"])
    assert len(lived) > (results.trials["decay_kind"] == "cosine").sum()
    with pytest.raises(UserError, match=f"{len(lived)} of 12 configs have a cosine decay"):
        jaxbn.resume(tmp_path / "run", num_epochs=9)


def test_where_nobody_can_train_on(tmp_path):
    space = Space(learning_rate=0.3, hidden_units=4, num_layers=1)
    asked = {"num_configs": 1, "num_epochs": 40, "patience": 1, "keep_states": True}
    assert jaxbn.sweep(space, "iris", run_dir=tmp_path / "run", **asked).trials["epochs"].max() < 40
    with pytest.raises(UserError, match="no trial of the run can train on"):
        jaxbn.resume(tmp_path / "run", num_epochs=50)


def test_states_that_are_broken_are_not_gone_on_from(tmp_path):
    first = swept(tmp_path / "run", keep_states=True)
    (path,) = (tmp_path / "run/states/000001").glob("*.safetensors")
    content = path.read_bytes()
    path.write_bytes(content[:-5] + bytes([content[-5] ^ 1]) + content[-4:])
    with pytest.raises(UserError, match=r"the states that the run kept are broken .* remove .*states"):
        jaxbn.resume(tmp_path / "run", num_epochs=9)
    check_same_tables(Results.load(tmp_path / "run"), first)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"run_dir": None}, "there is none: say where by run_dir"),
        ({"time_budget": 60.0}, "the run ends at its time_budget of 60, .* leave keep_states out"),
        ({"target_score": 0.5}, "the run ends at its target_score of 0.5, .* leave keep_states out"),
        ({"keep_states": 1}, "keep_states = 1 is neither True nor False"),
        ({"enqueue": [COSINE]}, "1 of 4 configs have a cosine decay, .* leave keep_states out"),
    ],
)
def test_states_that_would_be_of_no_use_are_not_kept(tmp_path, settings, said):
    asked = {"num_configs": 4, "num_epochs": 1, "run_dir": tmp_path / "run", "keep_states": True, **settings}
    with pytest.raises(UserError, match=said):
        jaxbn.sweep(SPACE, "wine", **asked)
    assert list(tmp_path.iterdir()) == []


def test_what_patience_ended_may_win_after_more_epochs():
    # With one place, the weights of whoever trains on must not push out those that cannot be trained again.
    space = Space(learning_rate=Float(1e-4, 1, scale="log"), hidden_units=8, num_layers=1)
    for seed in range(3):
        options = {"num_configs": 12, "patience": 2, "keep": 1, "keep_states": True, "seed": seed}
        with tempfile.TemporaryDirectory() as folder:
            jaxbn.sweep(space, "diabetes", num_epochs=8, run_dir=f"{folder}/run", **options)
            results = jaxbn.resume(f"{folder}/run", num_epochs=24)
        assert results.best.trial == results.leaderboard(1)["trial"][0]


def test_a_run_whose_added_epochs_all_diverge_keeps_what_it_had(tmp_path, monkeypatch):
    space = Space(hidden_units=4, num_layers=1)
    before = jaxbn.sweep(space, "iris", num_configs=2, num_epochs=1, run_dir=tmp_path / "run", keep_states=True)
    with monkeypatch.context() as patched:
        patched.setattr("jaxbn.engine.run.DIVERGED_ABOVE", 0.0)
        with pytest.raises(UserError, match="diverged"):
            jaxbn.resume(tmp_path / "run", num_epochs=3)
    again = Results.load(tmp_path / "run")
    assert again.trials.equals(before.trials) and again.summary == before.summary
    assert not (tmp_path / "run/checkpoints").exists()
    # The same where it is killed and diverges only then.
    with monkeypatch.context() as patched:
        kill_at(patched, 1)
        with pytest.raises(Killed):
            jaxbn.resume(tmp_path / "run", num_epochs=5000)
    with monkeypatch.context() as patched:
        patched.setattr("jaxbn.engine.run.DIVERGED_ABOVE", 0.0)
        with pytest.raises(UserError, match="is not finished"):
            Results.load(tmp_path / "run")
        with pytest.raises(UserError, match="diverged"):
            jaxbn.resume(tmp_path / "run")
    assert Results.load(tmp_path / "run").summary == before.summary
    assert jaxbn.resume(tmp_path / "run", num_epochs=2).trials["epochs"].to_list() == [2, 2]


def test_a_disk_that_is_full_in_the_end_costs_nothing(tmp_path, monkeypatch):
    space = Space(hidden_units=4, num_layers=1)
    jaxbn.sweep(space, "iris", num_configs=2, num_epochs=1, run_dir=tmp_path / "run", keep_states=True)
    write = run_dir.write

    def full(path, content):
        if path.name == "curves.parquet":
            raise OSError(errno.ENOSPC, "No space left on device")
        write(path, content)

    with monkeypatch.context() as patched:
        patched.setattr(run_dir, "write", full)
        with pytest.raises(UserError, match="No space left on device"):
            jaxbn.resume(tmp_path / "run", num_epochs=5)
    assert jaxbn.resume(tmp_path / "run").trials["epochs"].to_list() == [5, 5]
    assert jaxbn.resume(tmp_path / "run", num_epochs=6).trials["epochs"].to_list() == [6, 6]
