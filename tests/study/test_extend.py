"""A run to which configurations are added: what was trained stays, and the rest depends on the run alone."""

import numpy as np
import polars as pl
import pytest
from sklearn.datasets import load_wine

import jaxbn
from jaxbn import Choice, Float, Int, Results, Space, UserError
from jaxbn.search import from_values
from jaxbn.study import checkpoint, conduct, keeper
from jaxbn.study.run_dir import request_in

SPACE = Space(
    learning_rate=Float(1e-3, 1, scale="log"),
    optimizer=Choice("adam", "momentum"),
    hidden_units=Int(4, 8),
    num_layers=1,
)
KINDS = {
    "all": {},
    "sobol": {"sampler": "sobol"},
    "halving": {"scheduler": "halving"},
    "pbt": {"scheduler": "pbt", "interval": 2},
    "folds": {"folds": 2, "replicates": 2},
    "rounds": {"sampler": "coarse_to_fine", "num_rounds": 2},
}


class Killed(BaseException):
    """What stands for the end of the process."""


def swept(folder, kind="all", **more):
    settings = {"num_configs": 8, "num_epochs": 4, "tile_size": 2, **KINDS[kind], **more}
    return jaxbn.sweep(SPACE, "wine", run_dir=folder, **settings)


def leave_at(patch, when):
    """End the process, as it were, at a chance to save; what is saved there is on the disk."""
    patch.setattr(conduct, "REPORT", 0.0)

    def killing(self, state, begun, *, decided):
        if when(state, begun):
            self.save(state, begun)
            raise Killed

    patch.setattr(keeper.Keeper, "consider", killing)


def plain(frame: pl.DataFrame) -> pl.DataFrame:
    return frame.drop("train_seconds", strict=False)


def check_same(one: Results, other: Results) -> None:
    for name in ("trials", "curves", "lineage"):
        assert plain(getattr(one, name)).equals(plain(getattr(other, name))), name
    assert (one.best, one.test) == (other.best, other.test)


@pytest.mark.parametrize("kind", KINDS)
def test_what_was_trained_stays_and_a_round_is_added(tmp_path, kind):
    first = swept(tmp_path / "run", kind)
    more = jaxbn.resume(tmp_path / "run", num_configs=13)
    repeats = more.request.replicates * more.request.folds
    assert len(more.trials) == 13 * repeats and more.summary.num_trials == 13 * repeats
    old = more.trials.filter(pl.col("config") < 8)
    assert plain(old).equals(plain(first.trials))
    assert plain(more.curves.filter(pl.col("trial") < 8 * repeats)).equals(plain(first.curves))
    assert more.lineage.filter(pl.col("trial") < 8 * repeats).equals(first.lineage)
    added = more.trials.filter(pl.col("config") >= 8)
    assert (added["epochs"] > 0).all()
    assert added["round"].unique().to_list() == [first.trials["round"].max() + 1]
    # The winner is that of all of them, with its weights.
    assert more.best.validation["accuracy"] >= first.best.validation["accuracy"]
    assert [b.name for b in more.summary.baselines] == [b.name for b in first.summary.baselines]
    assert more.summary.baselines == first.summary.baselines
    read = Results.load(tmp_path / "run")
    check_same(read, more)
    assert read.request.num_configs == 13 and read.request.added == [5]
    assert more.seconds.train > first.seconds.train


def test_random_configurations_go_on_where_they_ended(tmp_path):
    swept(tmp_path / "run")
    more = jaxbn.resume(tmp_path / "run", num_configs=13).trials
    at_once = swept(tmp_path / "other", num_configs=13).trials
    assert more["learning_rate"].to_list() == at_once["learning_rate"].to_list()
    # The plan had 8 configurations in mind, so what was computed agrees to rounding.
    np.testing.assert_allclose(more["valid_loss"], at_once["valid_loss"], rtol=1e-3)


@pytest.mark.parametrize("kind", ["all", "halving", "folds"])
def test_an_extension_that_is_killed_goes_on_bit_for_bit(tmp_path, monkeypatch, kind):
    for name in ("whole", "killed"):
        swept(tmp_path / name, kind)
    whole = jaxbn.resume(tmp_path / "whole", num_configs=13)
    with monkeypatch.context() as patch:
        leave_at(patch, lambda state, begun: bool(begun))
        with pytest.raises(Killed):
            jaxbn.resume(tmp_path / "killed", num_configs=13)
    with pytest.raises(UserError, match="is not finished"):
        Results.load(tmp_path / "killed")
    check_same(jaxbn.resume(tmp_path / "killed"), whole)


@pytest.mark.parametrize("kind", ["all", "halving", "folds"])
def test_a_run_that_was_killed_can_be_extended(tmp_path, monkeypatch, kind):
    repeats = 4 if kind == "folds" else 1
    with monkeypatch.context() as patch:
        # While the baseline is in flight, whose trials come after all others and have other numbers afterwards.
        leave_at(patch, lambda state, begun: max(begun, default=0) >= 8 * repeats)
        with pytest.raises(Killed):
            swept(tmp_path / "run", kind)
    assert keeper.generations(tmp_path / "run" / "checkpoints")
    more = jaxbn.resume(tmp_path / "run", num_configs=13)
    swept(tmp_path / "other", kind)
    check_same(more, jaxbn.resume(tmp_path / "other", num_configs=13))


def test_the_winner_and_the_models_are_those_that_rank_highest(tmp_path):
    first = swept(tmp_path / "run", keep=3)
    assert len(first.models) == 3
    more = jaxbn.resume(tmp_path / "run", num_configs=9)
    if more.best.trial == first.best.trial:
        assert more.test == first.test
    shown = more.leaderboard(len(more.models))["learning_rate"].to_list()
    assert [model.config.learning_rate for model in more.models] == shown
    rows = load_wine().data
    winner = first.best_model if more.best.trial == first.best.trial else more.best_model
    np.testing.assert_array_equal(more.best_model.predict(rows), winner.predict(rows))


def test_twice(tmp_path):
    swept(tmp_path / "run")
    jaxbn.resume(tmp_path / "run", num_configs=10)
    more = jaxbn.resume(tmp_path / "run", num_configs=13)
    assert len(more.trials) == 13 and more.request.added == [2, 3]
    assert more.trials["round"].unique().sort().to_list() == [0, 1, 2]
    # Whoever says it again, as after an interrupt, has what there is.
    check_same(jaxbn.resume(tmp_path / "run", num_configs=13), more)


def test_whoever_is_killed_before_it_begins_leaves_the_run_finished(tmp_path, monkeypatch):
    first = swept(tmp_path / "run")
    with monkeypatch.context() as patch:
        patch.setattr("jaxbn.study.run_dir.note_request", lambda *_: (_ for _ in ()).throw(Killed))
        with pytest.raises(Killed):
            jaxbn.resume(tmp_path / "run", num_configs=13)
    check_same(Results.load(tmp_path / "run"), first)
    check_same(jaxbn.resume(tmp_path / "run"), first)
    assert not (tmp_path / "run" / "checkpoints").exists()


def test_a_full_disk_leaves_the_run_finished(tmp_path, monkeypatch):
    first = swept(tmp_path / "run")

    def full(folder, state):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(checkpoint, "save", full)
    with pytest.raises(UserError, match=r"cannot write the run to .* No space left"):
        jaxbn.resume(tmp_path / "run", num_configs=13)
    check_same(Results.load(tmp_path / "run"), first)


@pytest.mark.parametrize(
    ("settings", "asked", "said"),
    [
        ({}, 7, "has 8 configs, more than num_configs = 7"),
        ({"sampler": "grid", "num_configs": 12}, 40, "a grid is whole"),
        ({"time_budget": 60.0}, 13, "ends at its time_budget of 60"),
        ({"target_score": 1.0}, 13, "ends at its target_score of 1"),
    ],
)
def test_what_cannot_be_extended(tmp_path, settings, asked, said):
    first = swept(tmp_path / "run", **settings)
    with pytest.raises(UserError, match=said):
        jaxbn.resume(tmp_path / "run", num_configs=asked)
    check_same(Results.load(tmp_path / "run"), first)


def test_listed_configurations_cannot_be_extended(tmp_path):
    configs = [from_values(hidden_units=4, num_layers=1, learning_rate=rate) for rate in (0.01, 0.02)]
    jaxbn.sweep(configs, "wine", num_epochs=1, run_dir=tmp_path / "run")
    with pytest.raises(UserError, match="were listed"):
        jaxbn.resume(tmp_path / "run", num_configs=5)
    assert request_in(tmp_path / "run")[1]
