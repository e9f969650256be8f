import numpy as np
import polars as pl
import pytest

from jaxbn import UserError
from jaxbn.plots.scores import Scores, best_row


def trials(values, *, status=None, loss=None):
    n = len(values)
    return pl.DataFrame(
        {
            "trial": list(range(10, 10 + n)),
            "status": status or ["ok"] * n,
            "valid_loss": pl.Series(loss or [1.0] * n, dtype=pl.Float64),
            "valid_mse": pl.Series(values, dtype=pl.Float64),
        }
    )


def test_the_worst_are_drawn_first_and_the_failed_not_at_all():
    frame = trials([3.0, None, 1.0, 2.0], status=["ok", "diverged", "ok", "diverged"])
    smaller, greater = (Scores.of(frame, "mse", direction) for direction in (False, True))
    assert smaller.order.tolist() == [0, 2] and greater.order.tolist() == [2, 0]
    assert smaller.failed.tolist() == [False, True, False, True]


def test_a_hopeless_score_does_not_squeeze_the_others():
    scores = Scores.of(trials([1.0, 1.1, 1.2, 1e30]), "mse", False)
    assert scores.window[0] == 1.0 and 1.2 < scores.window[1] < 2
    assert scores.beyond.tolist() == [False, False, False, True]
    assert scores.clipped.max() == scores.window[1]
    assert scores.extend == "max" and Scores.of(trials([1.0, 1.1]), "mse", False).extend == "neither"


@pytest.mark.parametrize("values", [[0.5], [0.5, 0.5], [0.0], [-3.0, None]])
def test_limits_of_one_score_are_a_range(values):
    low, high = Scores.of(trials(values), "mse", True).limits
    assert low < values[0] < high


def test_best_breaks_ties_by_loss_then_by_number():
    frame = trials([1.0, 1.0, 1.0, 2.0], loss=[3.0, 2.0, 2.0, 0.0])
    assert best_row(frame, Scores.of(frame, "mse", False)) == 1
    assert best_row(frame, Scores.of(frame, "mse", False), best=13) == 3
    with pytest.raises(UserError, match="no trial 4 among"):
        best_row(frame, Scores.of(frame, "mse", False), best=4)


def test_what_cannot_be_drawn_is_said():
    with pytest.raises(UserError, match=r"unknown metric 'mes' \(did you mean 'mse'"):
        Scores.of(trials([1.0]), "mes", False)
    with pytest.raises(UserError, match="no trials to draw"):
        Scores.of(trials([]), "mse", False)
    with pytest.raises(UserError, match="none of the 2 trials has a validation mse"):
        Scores.of(trials([None, np.inf]), "mse", False)
