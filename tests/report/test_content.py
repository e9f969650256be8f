"""What a report holds, of every kind of sweep, against the results that it was written of."""

import math
import struct
import sys
from base64 import b64decode

import numpy as np
import polars as pl
import pytest

from jaxbn.report.page import page
from jaxbn.report.trials import packed, plain
from tests.report.runs import KINDS, of, record_in


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
    runners = [row for row in record["runners"]["rows"] if row["status"] == "diverged"]
    assert runners and {row["score"] for row in runners} == {None}
