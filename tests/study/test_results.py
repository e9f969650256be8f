"""The leaderboard of configurations with several trials: means, standard errors, and who ranks with the failed."""

import numpy as np
import pytest

from tests.study.test_compare import drawn, swept


def test_means_and_standard_errors_over_replicates():
    scores = drawn(4, 5, 1)
    board = swept(scores).leaderboard().sort("config")
    np.testing.assert_allclose(board["valid_score"], scores.mean((1, 2)))
    np.testing.assert_allclose(board["valid_score_se"], np.std(scores[:, :, 0], 1, ddof=1) / np.sqrt(5))
    assert board["trial"].to_list() == [0, 5, 10, 15] and board["train_seconds"].to_list() == [5.0] * 4


@pytest.mark.parametrize("replicates", [1, 3])
def test_folds_are_counted_once_each(replicates):
    scores = drawn(4, replicates, 5)
    board = swept(scores).leaderboard().sort("config")
    np.testing.assert_allclose(board["valid_score"], scores.mean((1, 2)))
    np.testing.assert_allclose(board["valid_score_se"], np.std(scores.mean(1), 1, ddof=1) / np.sqrt(5))


@pytest.mark.parametrize("greater_is_better", [True, False])
@pytest.mark.parametrize("shape", [(3, 1), (2, 3), (1, 3)])
def test_a_missing_score_is_not_left_out_of_the_mean(shape, greater_is_better):
    scores = drawn(3, *shape)
    # Of those that are there, its scores are the best by far.
    scores[1] = 10 if greater_is_better else -10
    scores[1, -1, -1] = np.nan
    board = swept(scores, greater_is_better=greater_is_better).leaderboard()
    assert board["config"].to_list() == ([0, 2, 1] if greater_is_better else [2, 0, 1])
    assert board["valid_score"].to_list()[2] is None and board["valid_score_se"].to_list()[2] is None
    assert board["valid_score"][:2].null_count() == board["valid_score_se"][:2].null_count() == 0


def test_one_trial_that_diverged_ranks_its_configuration_last():
    scores = drawn(3, 3, 1)
    board = swept(scores, status={2: "diverged"}).leaderboard()
    assert board["config"].to_list() == [1, 2, 0] and board["status"].to_list() == ["ok", "ok", "diverged"]
