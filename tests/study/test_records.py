"""Ranking: by the metric, ties by loss, then number; NaN and diverged trials never win."""

import numpy as np

from jaxbn.nn.metrics import CLASSIFICATION
from jaxbn.search import Config
from jaxbn.study.records import Records

METRICS = CLASSIFICATION[:2]  # loss, accuracy


def records(final: list[tuple[float, float]], diverged: tuple[int, ...] = (), rank_by: int = 1) -> Records:
    one = Records.empty(2, METRICS, rank_by, keep=3)
    one.add([Config()] * len(final))
    one.scores[:, 0] = np.asarray(final)
    one.scores[:, 1] = np.asarray(final)
    one.epochs[:] = 2
    one.diverged[list(diverged)] = True
    return one


def ranking(one: Records) -> list[int]:
    return one.ranking(np.arange(len(one.epochs))).tolist()


def test_by_metric_then_loss_then_number():
    assert ranking(records([(0.3, 0.9), (0.2, 0.9), (0.1, 0.8), (0.2, 0.9)])) == [1, 3, 0, 2]


def test_means_of_the_same_hits_are_ties_whatever_their_rounding():
    one = Records.empty(1, METRICS, 1, repeats=2)
    one.add([Config()] * 3)
    # Of 30 rows 15 and 17, 16 and 16, 17 and 16 are right.
    hits = np.array([[15, 17], [16, 16], [17, 16]]).ravel()
    one.scores[:, 0, 1] = np.float32(hits) / np.float32(30)
    one.scores[:, 0, 0] = [0.1, 0.1, 0.2, 0.2, 0.3, 0.3]
    one.epochs[:] = 1
    means = one.final(np.arange(3))[:, 1]
    assert means[1] > means[0]
    assert one.ranking(np.arange(3)).tolist() == [2, 0, 1]


def test_small_and_large_means_keep_their_order():
    for size in (1e-30, 1e-7, 1.0, 1e30):
        one = Records.empty(1, METRICS, 0, repeats=2)
        one.add([Config()] * 4)
        one.scores[:, 0, 0] = np.repeat([3.0001, 3, 0, np.nan], 2) * size
        one.epochs[:] = 1
        assert one.ranking(np.arange(4)).tolist() == [2, 1, 0, 3]


def test_smaller_is_better_for_a_loss():
    assert ranking(records([(0.3, 0.9), (0.2, 0.1)], rank_by=0)) == [1, 0]


def test_nan_and_diverged_come_last():
    one = records([(0.1, float("nan")), (0.9, 0.1), (0.1, 1.0), (float("nan"), 0.5)], diverged=(2,))
    assert ranking(one)[:2] == [3, 1]
    assert set(ranking(one)[2:]) == {0, 2}


def test_highest_leaves_out_the_diverged():
    one = records([(0.1, 0.9), (0.2, 0.8)], diverged=(0, 1))
    assert one.highest(np.arange(2), 5) == []


def test_final_scores_are_those_of_the_last_epoch_trained():
    one = records([(0.1, 0.9), (0.1, 0.9)])
    one.scores[0, 0] = (0.5, 0.4)
    one.epochs[0] = 1
    np.testing.assert_array_equal(one.final(np.arange(2)), [[0.5, 0.4], [0.1, 0.9]])


def test_best_epoch_is_the_first_of_the_best():
    one = records([(0.1, 0.9), (0.1, 0.9), (0.1, 0.9)])
    one.scores[1, 0, 1] = 0.95
    one.scores[2, :, 1] = np.nan
    one.scores[0, 1, 1] = 0.99
    assert one.best_epoch().tolist() == [2, 1, 0]


def test_who_trains_on_keeps_nobody_out():
    # In the last rung of population-based training: who took over another's state has old weights, and a better score.
    one = records([(0.1, 0.9), (0.1, 0.88), (0.1, 0.86)])
    one.keep, one.weights = 1, {0: "old"}
    one.states = {0: "of another", 1: "its own", 2: "its own"}
    assert one._candidates(np.array([1, 2])) == {1}
    one.states, one.weights = {0: "of another"}, {0: "old", 1: "its own"}
    one.forget()
    assert set(one.weights) == {0, 1}
    one.states = {}
    one.forget()
    assert set(one.weights) == {0}
