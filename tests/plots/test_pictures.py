"""What is drawn: scales, labels, how many marks, where they lie."""

import matplotlib.pyplot as plt
import numpy as np
import polars as pl
import pytest
from matplotlib.collections import LineCollection
from matplotlib.contour import ContourSet
from matplotlib.patches import Rectangle

from jaxbn import Float, Space, UserError
from jaxbn.plots.activations import activations
from jaxbn.plots.boundary import boundary
from jaxbn.plots.calibration import calibration
from jaxbn.plots.confusion import confusion
from jaxbn.plots.efficiency import efficiency
from jaxbn.plots.importance import importance
from jaxbn.plots.learning_curves import learning_curves
from jaxbn.plots.lineage import lineage as draw_lineage
from jaxbn.plots.pairs import pairs
from jaxbn.plots.parallel import parallel
from jaxbn.plots.random_against_grid import random_against_grid
from jaxbn.plots.response import response
from jaxbn.plots.rounds import rounds
from jaxbn.plots.rungs import rungs
from jaxbn.search.propose import grid, random

ACCURACY = {"metric": "accuracy", "greater_is_better": True}
LOSS = {"metric": "loss", "greater_is_better": False}


def marks(ax, label):
    """The points [n, 2] of the scatter with a label."""
    found = [c for c in ax.collections if str(c.get_label()).startswith(label)]
    assert len(found) == 1, [c.get_label() for c in ax.collections]
    return np.asarray(found[0].get_offsets())


def labels(ax):
    return ax.get_legend_handles_labels()[1]


@pytest.mark.parametrize("score", [ACCURACY, LOSS], ids=["accuracy", "loss"])
def test_learning_curves(trials, curves, score):
    ax = learning_curves(curves, trials, **score)
    (fan,) = (c for c in ax.collections if isinstance(c, LineCollection))
    column = f"valid_{score['metric']}"
    assert sum(len(line) > 0 for line in fan.get_segments()) == curves.drop_nulls(column)["trial"].n_unique() == 24
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("epoch", f"validation {score['metric']}")
    ranked = trials.drop_nulls(column).sort([column, "valid_loss"], descending=[score["greater_is_better"], False])
    best = ranked["trial"][0]
    (line,) = (line for line in ax.lines if line.get_label() == f"best: trial {best}")
    expected = curves.filter(pl.col("trial") == best)[column].to_numpy()
    np.testing.assert_array_equal(line.get_ydata(), expected)
    (middle,) = (line for line in ax.lines if str(line.get_label()).startswith("median"))
    by_epoch = curves.group_by("epoch").agg(pl.col(column).median()).sort("epoch")
    np.testing.assert_allclose(middle.get_ydata(), by_epoch[column].to_numpy())
    assert "diverged (2)" in labels(ax)


def test_pruned_curves_visibly_end(halved):
    trials, curves = halved
    ax = learning_curves(curves, trials, **ACCURACY)
    ends = marks(ax, "pruned (21)")
    assert sorted(ends[:, 0].tolist()) == [1] * 16 + [2] * 5


def test_learning_curves_of_one_trial_and_one_epoch(trials, curves):
    ax = learning_curves(curves.filter((pl.col("trial") == 0) & (pl.col("epoch") == 1)), trials[:1], **ACCURACY)
    assert np.isfinite([*ax.get_xlim(), *ax.get_ylim()]).all() and ax.get_xlim()[0] < 1 < ax.get_xlim()[1]


def test_curves_of_trials_that_are_left_out_are_left_out(trials, curves):
    some = trials.filter(pl.col("trial") >= 20)
    own = curves.filter(pl.col("trial") >= 20)
    expected, found = (learning_curves(c, some, **ACCURACY) for c in (own, curves))
    for mine, theirs in zip(expected.lines, found.lines, strict=True):
        np.testing.assert_array_equal(mine.get_xydata(), theirs.get_xydata())
    (fan,) = (c for c in found.collections if isinstance(c, LineCollection))
    assert sum(len(line) > 0 for line in fan.get_segments()) == 4
    assert found.get_title("left") == "4 trials" and found.get_ylim() == expected.get_ylim()
    assert learning_curves(curves, trials[:1], **ACCURACY).get_title("left") == "1 trial"
    survivors, strip = rungs(some, curves, **ACCURACY)
    assert len(marks(strip, "trained on")) == 4 and survivors.get_ylim()[1] == pytest.approx(4 * 1.05)


def test_trials_without_a_curve_are_said(trials, curves):
    for left in (curves.filter(pl.col("trial") != 20), curves.filter(pl.col("trial") < 20)):
        with pytest.raises(UserError, match="the best of them, trial 20, has no curve: give the curves of all trials"):
            learning_curves(left, trials, **ACCURACY, best=20)
    few, others = trials.filter(pl.col("trial") > 8), curves.filter(pl.col("trial") < 8)
    for draw in (lambda: learning_curves(others, few, **ACCURACY), lambda: rungs(few, others, **ACCURACY)):
        with pytest.raises(UserError, match="none of the 15 trials has a curve: give the trials and the curves of one"):
            draw()


def test_response_has_a_panel_for_each_hyperparameter_on_its_own_scale(trials, space):
    axes = response(trials, space, **ACCURACY)
    assert [ax.get_xlabel().split("\n")[0] for ax in axes] == list(space.domains)
    assert [ax.get_xscale() for ax in axes] == ["log", "function", "log", "log", "linear"]
    assert axes[0].get_ylabel() == "validation accuracy"
    for ax, name in zip(axes, space.domains, strict=True):
        used = trials.drop_nulls(name)
        drawn = len(marks(ax, "_inside")) + sum(
            len(c.get_offsets()) for c in ax.collections if c.get_label() == "beyond the axis"
        )
        assert drawn == used.drop_nulls("valid_accuracy").height
        lost = used.filter(pl.col("status") == "diverged").height
        assert sum(len(c.get_offsets()) for c in ax.collections if c.get_label() == "diverged") == lost
    rates = set(marks(axes[0], "_inside")[:, 0].tolist())
    assert rates <= set(trials["learning_rate"].to_list())


def test_no_hyperparameter_is_no_picture(trials, space):
    for draw in (response, parallel):
        with pytest.raises(UserError, match="no hyperparameter was named: name at least one"):
            draw(trials, space, names=[], **ACCURACY)


def test_response_medians_of_a_choice(trials, space):
    (ax,) = response(trials, space, names=["optimizer"], **LOSS)
    (middle,) = (line for line in ax.lines if line.get_label() == "median")
    for place, optimizer in enumerate(("momentum", "adam")):
        expected = trials.filter(pl.col("optimizer") == optimizer)["valid_loss"].median()
        low, high = ax.get_ylim()
        assert middle.get_xdata()[place] == place
        assert middle.get_ydata()[place] == pytest.approx(expected) and low < expected < high


def test_regression_draws_smaller_as_better(regression):
    summary = regression.summary
    assert not summary.greater_is_better
    score = {"metric": summary.metric, "greater_is_better": False}
    (ax,) = response(regression.trials, **score)
    best = marks(ax, "best")[0]
    assert best[1] == regression.trials["valid_mse"].min()
    top = parallel(regression.trials, **score)
    (line,) = (line for line in top.lines if str(line.get_label()).startswith("best"))
    heights = next(c.get_segments() for c in top.collections if isinstance(c, LineCollection))
    assert line.get_ydata()[-1] == pytest.approx(max(path[-1][1] for path in heights))


def test_pairs(trials, space):
    axes = pairs(trials, ["learning_rate", "batch_size", "optimizer"], space, **ACCURACY)
    assert [(ax.get_xlabel(), ax.get_ylabel()) for ax in axes] == [
        ("learning_rate", "batch_size"),
        ("learning_rate", "optimizer"),
        ("batch_size", "optimizer"),
    ]
    assert axes[0].get_xscale() == axes[0].get_yscale() == "log"
    scored = trials.drop_nulls("valid_accuracy")
    for ax in axes:
        assert len(ax.collections[0].get_offsets()) == scored.height
        assert len(marks(ax, "diverged")) == 2
    best = scored.sort(["valid_accuracy", "valid_loss"], descending=[True, False])
    assert marks(axes[0], "best")[0, 0] == best["learning_rate"][0]
    bar = axes[0].figure.axes[-1]
    assert bar.get_ylabel() == "validation accuracy"


def test_pairs_never_used_together(trials, space):
    adam = trials.with_columns(b1=pl.when(pl.col("optimizer") == "adam").then(0.9))
    (ax,) = pairs(adam, ["momentum", "b1"], space, **ACCURACY)
    assert [text.get_text() for text in ax.texts] == ["never used together"]


def test_parallel_has_an_axis_for_each_hyperparameter_and_the_score(trials, space):
    ax = parallel(trials, space, **ACCURACY)
    names = [text.get_text().replace("\n", "_") for text in ax.get_xticklabels()]
    assert names == [*space.domains, "validation_accuracy"]
    good, lost = (c for c in ax.collections if isinstance(c, LineCollection))
    assert len(good.get_segments()) == 22 and len(lost.get_segments()) == 2
    texts = {text.get_text() for text in ax.texts}
    assert {"$10^{-4}$", "$10^{0}$", "0.99", "16", "64", "adam", "momentum"} <= texts
    # Trials of Adam pass below the axis of momentum.
    below = sum(path[1][1] < 0 for path in [*good.get_segments(), *lost.get_segments()])
    assert below == trials.filter(pl.col("optimizer") == "adam").height > 0
    assert [text.get_text() for text in ax.get_yticklabels()] == ["not used"]


def test_importance_is_sorted_and_sides_by_method():
    ax = importance({"eps": 0.1, "learning_rate": 0.7, "momentum": 0.2})
    assert [t.get_text() for t in ax.get_yticklabels()] == ["eps", "momentum", "learning_rate"]
    assert [bar.get_width() for bar in ax.patches] == [0.1, 0.2, 0.7]
    two = importance({"ped_anova": {"a": 0.6, "b": 0.4}, "fanova": {"b": 0.9, "a": 0.1}})
    assert [bar.get_width() for bar in two.patches] == [0.4, 0.6, 0.9, 0.1]
    assert labels(two) == ["ped_anova", "fanova"]
    with pytest.raises(UserError, match="no importance"):
        importance({})
    with pytest.raises(UserError, match="not finite"):
        importance({"a": float("nan")})


def test_random_against_grid_shows_5_values_against_25():
    both = Space(learning_rate=Float(1e-4, 1, scale="log"), eps=Float(1e-10, 1e-4, scale="log"))
    frames = []
    for propose in (grid, random):
        rows = [config.row() for config in propose(0, both, None, 25)]
        frame = pl.DataFrame([{"learning_rate": r["learning_rate"], "eps": r["eps"]} for r in rows])
        score = -((frame["learning_rate"].log10() + 2) ** 2)
        frames.append(frame.with_columns(status=pl.lit("ok"), valid_accuracy=score))
    axes = random_against_grid(*frames, both, **ACCURACY)
    assert axes.shape == (2, 2)
    assert axes[0, 0].get_title("left") == "grid: 5 values of learning_rate"
    assert axes[0, 1].get_title("left") == "random: 25 values of learning_rate"
    for column in (0, 1):
        above, below = axes[:, column]
        assert above.get_xlim() == below.get_xlim() and below.get_yscale() == "log"
        assert len(below.collections[-1].get_offsets()) == len(above.collections[-1].get_offsets()) == 25
    assert axes[0, 0].get_ylim() == axes[0, 1].get_ylim()
    with pytest.raises(UserError, match="no column 'eps'"):
        random_against_grid(frames[0], frames[1].drop("eps"), both, **ACCURACY)


def test_rounds_have_boxes_that_hold_their_trials(trials, space):
    ax = rounds(trials, "learning_rate", "hidden_units", space, **ACCURACY)
    boxes = [patch for patch in ax.patches if isinstance(patch, Rectangle)]
    assert len(boxes) == 3
    for number, box in enumerate(boxes):
        points = marks(ax, f"round {number} (8 trials)")
        rates = trials.filter(pl.col("round") == number)["learning_rate"]
        assert box.get_x() == pytest.approx(rates.min())
        assert box.get_x() + box.get_width() == pytest.approx(rates.max())
        assert len(points) == 8
    with pytest.raises(UserError, match="no column 'round'"):
        rounds(trials.drop("round"), "learning_rate", "hidden_units", space, **ACCURACY)


@pytest.mark.parametrize("score", [ACCURACY, LOSS], ids=["accuracy", "loss"])
def test_rungs(halved, score):
    survivors, strip = rungs(*halved, **score)
    (area,) = survivors.collections
    heights = {(x, y) for path in area.get_paths() for x, y in path.vertices}
    assert max(y for _, y in heights) == 24 and {(2.0, 8.0), (4.0, 3.0)} <= heights
    assert survivors.get_xscale() == strip.get_xscale() == "log"
    assert [t.get_text() for t in strip.get_xticklabels()] == ["1", "2", "4"]
    assert len(marks(strip, "pruned here")) == 21
    assert len(marks(strip, "trained on")) == 8 + 3 + 3
    assert strip.get_xlim() == survivors.get_xlim()


def test_rungs_stack_brackets_and_judge_each_at_its_own_rungs(halved):
    trials, curves = halved
    second = pl.col("trial") >= 21
    trials = trials.with_columns(bracket=pl.when(second).then(1).otherwise(0))
    survivors, strip = rungs(trials, curves, **ACCURACY)
    assert labels(survivors) == ["bracket 0", "bracket 1"]
    # The second bracket pruned nobody, so that its three trials are judged at the end alone.
    assert len(marks(strip, "trained on")) == 5 + 3


def test_rungs_without_pruning(trials, curves):
    survivors, strip = rungs(trials, curves, **ACCURACY)
    assert survivors.get_title("left") == "nothing was pruned in 4 epochs"
    assert strip.get_xscale() == "linear" and len(marks(strip, "trained on")) == 24


def test_lineage_follows_copies(lineage, space):
    trials = pl.DataFrame({"trial": range(4), "epochs": [4] * 4})
    ax = draw_lineage(lineage, trials, "learning_rate", space)
    assert ax.get_yscale() == "log" and ax.get_xlabel() == "epochs trained"
    # At the end 0 and 3 carry the weights of 0, and so does 2, which copied 3.
    assert labels(ax) == ["trial 0 (3)", "trial 1 (1)", "trial 2 (0)", "trial 3 (0)"]
    arrows = [(note.xyann, note.xy) for note in ax.texts]
    assert len(arrows) == 2
    (first, second) = arrows
    assert first[0] == (2, 0.01) and first[1][1] == 0.012
    assert second[0] == (3, 0.012) and second[1][1] == 0.02
    (lines,) = (c for c in ax.collections if isinstance(c, LineCollection))
    assert len(lines.get_segments()) == 12
    assert max(x for line in lines.get_segments() for x, _ in line) == 4


def test_members_that_copy_each_other_hand_on_what_they_had_before(space):
    rows = [(0, 0, 0, 0.1), (1, 0, 1, 0.2), (2, 0, 2, 0.3), (0, 1, 1, 0.2), (1, 1, 2, 0.3), (2, 1, 2, 0.3)]
    frame = pl.DataFrame(rows, schema=["trial", "epoch", "source", "learning_rate"], orient="row")
    ax = draw_lineage(frame, pl.DataFrame({"trial": [0, 1, 2], "epochs": [2] * 3}), "learning_rate", space)
    assert labels(ax) == ["trial 2 (2)", "trial 1 (1)", "trial 0 (0)"]


def test_no_lineage_is_said(lineage, trials, space):
    with pytest.raises(UserError, match="population-based training alone"):
        draw_lineage(lineage.clear(), trials, "learning_rate", space)
    with pytest.raises(UserError, match="no trial uses momentum"):
        draw_lineage(lineage, trials, "momentum", space)


def test_efficiency():
    ax = efficiency([1, 2, 4, 5], [0.5, 0.6, 0.7, 0.71], [0.1, 0.2, 0.3, 0.7], [0.9, 0.9, 0.9, 0.72], metric="accuracy")
    assert ax.get_xscale() == "log"
    np.testing.assert_array_equal(ax.lines[0].get_xydata(), [[1, 0.5], [2, 0.6], [4, 0.7], [5, 0.71]])
    efficiency([1], [0.5], [0.5], [0.5], metric="accuracy")
    with pytest.raises(UserError, match="1, 2, 1, 1 numbers"):
        efficiency([1], [1, 2], [1], [1], metric="accuracy")
    for size in (0, -1, np.nan):
        with pytest.raises(UserError, match=f"a search of {size:g} configurations: give sizes of at least 1"):
            efficiency([1, size], [1, 1], [1, 1], [1, 1], metric="accuracy")


def test_calibration_agrees_with_scikit_learn(predictions):
    from sklearn.calibration import calibration_curve

    y_true, probabilities, classes = predictions
    above, below = calibration(y_true, probabilities, classes)
    sure, right = probabilities.max(1), probabilities.argmax(1) == y_true
    found, said = calibration_curve(right, sure, n_bins=10)
    (drawn,) = (line for line in above.lines if line.get_marker() == "o")
    np.testing.assert_allclose(drawn.get_xydata(), np.column_stack([said, found]))
    assert sum(bar.get_height() for bar in below.patches) == 200
    with pytest.raises(UserError, match="do not go together"):
        calibration(y_true, probabilities[:, :2], classes)
    with pytest.raises(UserError, match="at least one row"):
        calibration([], np.empty((0, 3)), classes)
    for codes in (0, y_true[:, None]):
        with pytest.raises(UserError, match=r"labels of shape \(.*\), .* do not go together"):
            calibration(codes, probabilities, classes)
    with pytest.raises(UserError, match="0 bins: give at least 1"):
        calibration(y_true, probabilities, classes, num_bins=0)


@pytest.mark.parametrize(
    ("codes", "message"),
    [
        (["a", "b"], "'a' is the code of none of 2 classes: give whole numbers from 0 to 1, the places of the classes"),
        (np.array(["0", "1"], object), "'0' is the code of none"),
        ([0, 9], "9 is the code of none"),
        ([9, 9], "9 is the code of none"),
        ([-1, 0], "-1 is the code of none"),
        ([0.5, 1], "0.5 is the code of none"),
        ([np.nan, 1], "nan is the code of none"),
    ],
)
def test_what_is_no_code_of_a_class_is_said(codes, message):
    two = np.eye(2)
    for draw in (calibration, confusion):
        with pytest.raises(UserError, match=message):
            draw(codes, two, ("a", "b"))
        assert draw([0.0, 1.0], two, ("a", "b")) is not None
    with pytest.raises(UserError, match=message):
        boundary(lambda rows: np.tile([0.4, 0.6], (len(rows), 1)), two, codes, ("a", "b"))


def test_confusion_counts(predictions):
    y_true, probabilities, classes = predictions
    ax = confusion(y_true, probabilities, classes)
    written = {text.get_position(): int(text.get_text()) for text in ax.texts}
    predicted = probabilities.argmax(1)
    for column in range(3):
        for row in range(3):
            assert written.get((column, row), 0) == ((y_true == row) & (predicted == column)).sum()
    assert [t.get_text() for t in ax.get_yticklabels()] == ["a", "b", "c"]
    many = np.eye(40)
    assert not confusion(np.arange(40), many, tuple(range(40))).texts


def test_boundary_of_a_line():
    def predict_proba(rows):
        right = 1 / (1 + np.exp(-4 * (rows[:, 0] - 0.5)))
        return np.column_stack([1 - right, right])

    points = np.random.default_rng(0).random((30, 2))
    ax = boundary(predict_proba, points, points[:, 0] > 0.5, ("no", "yes"), names=("width (cm)", "height (cm)"))
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("width (cm)", "height (cm)")
    assert len(marks(ax, "no")) + len(marks(ax, "yes")) == 30
    lines = [path.vertices for c in ax.collections if isinstance(c, ContourSet) for path in c.get_paths()]
    np.testing.assert_allclose(np.concatenate(lines)[:, 0], 0.5, atol=0.01)
    for x, y_true in ((points[:, :1], [0] * 30), (points, [0] * 29), (points, 0)):
        with pytest.raises(UserError, match=r"give \[N, 2\]"):
            boundary(predict_proba, x, y_true, ("no", "yes"))
    with pytest.raises(UserError, match="9 classes"):
        boundary(predict_proba, points, [0] * 30, tuple(range(9)))
    with pytest.raises(UserError, match="none of the 30 points has both features: give at least one that has"):
        boundary(predict_proba, np.where([True, False], np.nan, points), [0] * 30, ("no", "yes"))
    with pytest.raises(UserError, match="a grid of 0 points along each axis shows nothing: give at least 1"):
        boundary(predict_proba, points, [0] * 30, ("no", "yes"), resolution=0)


def test_activations_share_their_range():
    steps = np.arange(6)[:, None]
    without, with_bn = steps * [[-1.0, 0.0, 1.0]], np.tile([[-1.0, 0.0, 1.0]], (6, 1))
    left, right = activations(without, with_bn)
    assert left.get_ylim() == right.get_ylim() and left.get_ylim()[1] > 5
    assert left.get_title("left") == "without batch normalisation"
    np.testing.assert_array_equal(left.lines[-1].get_xydata(), np.column_stack([np.arange(1, 7), np.zeros(6)]))
    with pytest.raises(UserError, match=r"\[E, 3\]"):
        activations(without, with_bn[:3])


def test_axes_that_are_given_are_drawn_on(trials, curves, space):
    figure, (left, right) = plt.subplots(1, 2)
    assert learning_curves(curves, trials, **ACCURACY, ax=left) is left
    assert response(trials, space, names=["learning_rate"], **ACCURACY, axes=right)[0] is right
    assert plt.get_fignums() == [figure.number]
    with pytest.raises(UserError, match="5 panels are to be drawn and 2 axes were given"):
        response(trials, space, **ACCURACY, axes=(left, right))


@pytest.mark.parametrize(
    "draw",
    [
        lambda t, c: learning_curves(c, t, **ACCURACY),
        lambda t, c: response(t, **ACCURACY),
        lambda t, c: pairs(t, ["learning_rate", "batch_size"], **ACCURACY),
        lambda t, c: parallel(t, **ACCURACY),
        lambda t, c: rounds(t, "learning_rate", "batch_size", **ACCURACY),
        lambda t, c: rungs(t, c, **ACCURACY),
    ],
    ids=["learning_curves", "response", "pairs", "parallel", "rounds", "rungs"],
)
def test_empty_tables_are_said(trials, curves, draw):
    with pytest.raises(UserError, match=r"there are no (trials|epochs) to draw"):
        draw(trials.clear(), curves.clear())


@pytest.mark.parametrize("trial", [0, 1])
def test_one_trial_is_a_picture(trials, curves, space, trial):
    t, c = trials.filter(pl.col("trial") == trial), curves.filter(pl.col("trial") == trial)
    drawn = [
        learning_curves(c, t, **ACCURACY),
        *response(t, space, names=["learning_rate", "optimizer"], **LOSS),
        *pairs(t, ["learning_rate", "batch_size"], space, **ACCURACY),
        parallel(t, space, names=["learning_rate", "optimizer"], **LOSS),
        rounds(t, "learning_rate", "hidden_units", space, **ACCURACY),
        *rungs(t, c, **ACCURACY),
    ]
    for ax in drawn:
        assert np.isfinite([*ax.get_xlim(), *ax.get_ylim()]).all()


def test_text_is_legible(trials, curves, space):
    drawn = [learning_curves(curves, trials, **ACCURACY), *response(trials, space, **ACCURACY)]
    drawn += [parallel(trials, space, **ACCURACY), *pairs(trials, ["learning_rate", "momentum"], space, **LOSS)]
    for ax in drawn:
        texts = [*ax.texts, *ax.get_xticklabels(), *ax.get_yticklabels(), ax.xaxis.label, ax.yaxis.label]
        assert min(text.get_fontsize() for text in texts if text.get_text()) >= 8


def test_without_matplotlib_it_says_which_extra(monkeypatch, trials, curves):
    import builtins
    import sys

    real = builtins.__import__

    def missing(name, *args, **kwargs):
        if name.startswith("matplotlib"):
            raise ModuleNotFoundError(f"No module named {name!r}")
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", missing)
    monkeypatch.delitem(sys.modules, "matplotlib.pyplot")
    for draw in (
        lambda: learning_curves(curves, trials, **ACCURACY),
        lambda: parallel(trials, **ACCURACY),
        lambda: efficiency([1], [1], [1], [1], metric="accuracy"),
        lambda: importance({"a": 1.0}),
    ):
        with pytest.raises(UserError, match=r'pip install "jaxbn\[plots\]"'):
            draw()
