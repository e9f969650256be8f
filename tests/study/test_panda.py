"""The panda: exact ways back, edits in mid-run, branches, and a log that repeats."""

import dataclasses
import json
import subprocess
import sys

import jax
import jax.monitoring
import numpy as np
import optax
import pytest

import jaxbn
from jaxbn import UserError
from jaxbn.data import prepare, split_rows
from jaxbn.engine import keys
from jaxbn.nn.mlp import mlp
from jaxbn.search import HYPERPARAMETERS, from_values
from jaxbn.study.line import Line, edited
from jaxbn.study.logbook import Intervention, Log
from jaxbn.study.panda import Panda

SMALL = {"hidden_units": 8, "learning_rate": 0.03, "batch_size": 32}


def state(panda):
    """Everything that training goes on from."""
    return jax.tree.leaves(panda._line.points[-1].state)


def same(one, other):
    return all(np.array_equal(a, b, equal_nan=True) for a, b in zip(state(one), state(other), strict=True))


@pytest.fixture(scope="module")
def straight():
    """Seven epochs without any intervention, with dropout so that a lost key would show."""
    return Panda({**SMALL, "dropout": 0.2}, "iris", seed=3).train(7)


@pytest.fixture(scope="module")
def tended():
    """Train 5, branch, rewind 3, lower alpha, train 5."""
    panda = Panda(SMALL, "iris").train(5).branch("low").rewind(3)
    return panda.set(learning_rate=0.005).train(5)


def test_rewinding_and_training_again_is_training_straight(straight):
    panda = Panda({**SMALL, "dropout": 0.2}, "iris", seed=3).train(3).train(3).rewind(4).train(5)
    assert same(panda, straight)
    assert panda.curves.equals(straight.curves)
    assert [i.curve for i in panda.log.interventions][1], "what was discarded stays in the log"


def test_a_panda_is_the_same_run_as_a_sweep_of_its_config(straight):
    config = from_values(**SMALL, dropout=0.2)
    results = jaxbn.sweep([config], "iris", num_configs=1, num_epochs=7, seed=3)
    assert results.curves.drop("trial").equals(straight.curves.drop("branch"))
    mine, theirs = straight.model.variables, results.best_model.variables
    assert all(np.array_equal(a, b) for a, b in zip(jax.tree.leaves(mine), jax.tree.leaves(theirs), strict=True))


def test_the_log_replays_to_the_same_bits(tended, tmp_path):
    tended.log.save(tmp_path / "log.jsonl")
    again = Panda.replay(tmp_path / "log.jsonl")
    assert same(again, tended)
    assert again.log == tended.log
    assert again.curves.equals(tended.curves)
    assert again.branches == ("main", "low") and again.current == "low"
    assert again.switch("main").epoch == 5


def test_a_log_of_other_numbers_is_not_equal(tended):
    first, *others = tended.log.interventions
    changed = dataclasses.replace(first.curve[0], train_loss=first.curve[0].train_loss + 1e-7)
    other = dataclasses.replace(first, curve=(changed, *first.curve[1:]))
    assert dataclasses.replace(tended.log, interventions=(other, *others)) != tended.log


def test_the_script_does_the_same_again(tended, tmp_path):
    # `jaxbn.Panda` is looked up where it is made, so that this test holds wherever it is exported from.
    script = tended.script().replace("jaxbn.Panda", "Panda").replace("import jaxbn", "from jaxbn.study.panda import *")
    assert "Panda({'learning_rate': 0.03, 'batch_size': 32, 'hidden_units': 8}, 'iris', seed=0" in script
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == repr(tended)


def test_branches_share_their_past_and_go_their_own_ways(tended):
    import polars as pl

    main, low = (tended.curves.filter(branch=name).drop("branch") for name in ("main", "low"))
    assert main[:2].equals(low[:2])
    assert not main[2:5].equals(low[2:5])
    assert low["learning_rate"].to_list() == pytest.approx([0.03] * 2 + [0.005] * 5)
    assert tended.curves.columns[:5] == ["branch", "epoch", "learning_rate", "train_loss", "valid_loss"]
    assert tended.curves.select(pl.col("branch").n_unique()).item() == 2


def test_an_edited_run_against_one_written_by_hand():
    """Momentum, a learning rate and a mini-batch edited after two epochs: a loop over plain arrays does the same."""
    panda = Panda({"hidden_units": 8, "num_layers": 1, "optimizer": "momentum", **RATES[0]}, "iris", num_epochs=6)
    panda.train(2).set(**RATES[1]).train(2)

    dataset = jaxbn.load_data("iris")
    split, _ = split_rows(dataset)
    rows = prepare(dataset, split).train
    params, norm, velocity = by_hand_start()
    curve = []
    for epoch in range(4):
        values = RATES[epoch // 2]
        order = by_hand_order(epoch, len(rows.x))
        total = 0.0
        for first in range(0, len(order), values["batch_size"]):
            taken = order[first : first + values["batch_size"]]
            # Exponential decay counts epochs, whatever the mini-batch was before.
            step = epoch + first // values["batch_size"] / -(-len(order) // values["batch_size"])
            rate = values["learning_rate"] * np.exp(-values["learning_rate_decay"] * step)
            loss, params, norm, velocity = by_hand_step(
                params, norm, velocity, rows.x[taken], rows.y[taken], rate, values["momentum"]
            )
            total += float(loss) * len(taken)
        curve.append(total / len(order))
    assert panda.curves["train_loss"].to_list() == pytest.approx(curve, rel=1e-4)
    weights = panda.model.variables
    np.testing.assert_allclose(weights.params.hidden[0].dense.kernel, params[0], rtol=1e-3, atol=1e-5)
    mean = weights.model_state[0].mean / weights.model_state[0].weight
    np.testing.assert_allclose(mean, norm[0] / norm[1], rtol=1e-3, atol=1e-5)


RATES = (
    {"learning_rate": 0.1, "momentum": 0.9, "batch_size": 32, "learning_rate_decay": 0.3, "decay_kind": "exponential"},
    {"learning_rate": 0.02, "momentum": 0.5, "batch_size": 20, "learning_rate_decay": 0.1, "bn_decay": 0.9},
)


def by_hand_start():
    """The draws that a panda starts from; the network's own initialisation is checked elsewhere."""
    spec = jaxbn.Spec(widths=(8,))
    variables = mlp(spec, num_inputs=4, num_outputs=3).init(keys.purpose(0, keys.INIT), jaxbn.Hyperparams())
    hidden, out = variables.params.hidden[0], variables.params.output
    params = (hidden.dense.kernel, hidden.norm.gamma, hidden.norm.beta, out.kernel, out.bias)
    return params, (np.zeros(8), 0.0), jax.tree.map(np.zeros_like, params)


def by_hand_order(epoch, num_rows):
    draw = np.asarray(jax.random.bits(jax.random.fold_in(keys.purpose(0, keys.ORDER), epoch), (num_rows,), np.uint32))
    return np.lexsort((draw,))


@jax.jit
def by_hand_loss(params, x, y):
    kernel, gamma, beta, out, bias = params
    z = x @ kernel
    mean, var = z.mean(0), z.var(0)
    a = jax.nn.relu(gamma[None] * (z - mean[None]) / jax.numpy.sqrt(var[None] + 1e-5) + beta[None])
    return optax.softmax_cross_entropy_with_integer_labels(a @ out + bias[None], y).mean(), mean


def by_hand_step(params, norm, velocity, x, y, rate, momentum):
    (loss, mean), grads = jax.value_and_grad(by_hand_loss, has_aux=True)(params, x, y)
    velocity = jax.tree.map(lambda v, g: momentum * v + g, velocity, grads)
    params = jax.tree.map(lambda p, v: p - np.float32(rate) * v, params, velocity)
    return loss, params, (0.9 * norm[0] + 0.1 * np.asarray(mean), 0.9 * norm[1] + 0.1), velocity


def test_another_mini_batch_leaves_the_decay_where_it_was():
    decay = {"decay_kind": "staircase", "learning_rate_decay": 0.5}
    panda = Panda({**SMALL, **decay}, "iris").train(2).set(batch_size=8).train(2).set(batch_size=90).train(1)
    rates = panda.curves["learning_rate"].to_numpy()
    np.testing.assert_allclose(rates, 0.03 * np.exp(-0.5 * np.arange(5)), rtol=1e-6)
    steps = [point.state.step.item() for point in panda._line.points]
    assert steps == [3, 6, 36, 48, 5], "updates, counted with the mini-batch of each epoch"


def test_a_feature_can_be_turned_on_and_nothing_compiles_twice():
    compiled = []

    def note(event, _duration, **about):
        if event == "/jax/core/compile/backend_compile_duration":
            compiled.append(about.get("fun_name"))

    panda = Panda({"hidden_units": 7, "num_layers": 1}, "iris").train(2)
    jax.monitoring.register_event_duration_secs_listener(note)
    try:
        panda.train(1).set(learning_rate=0.1, bn_decay=0.5).train(2).rewind(3).train(3)
        assert compiled == []
        before = state(panda)
        panda.set(dropout=0.3, clip_norm=1.0).train(2)
        assert [name for name in compiled if "jaxbn" in name] == ["jit(jaxbn_epoch)"]
    finally:
        jax.monitoring.unregister_event_duration_listener(note)
    assert panda.rewind(2).train(2).epoch == 7
    assert len(before) == len(state(panda))
    # Where the rate of dropout is nearly nothing, the other program goes on from the state as the first would.
    one, other = Panda(SMALL, "iris").train(2), Panda(SMALL, "iris").train(2).set(dropout=1e-9)
    one, other = one.train(1), other.train(1)
    for a, b in zip(state(one), state(other), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("name", [name for name, row in HYPERPARAMETERS.items() if not row.editable])
def test_what_would_make_a_lie_of_the_state_is_refused(tended, name):
    before, log = tended.config, tended.log
    values = {"b2": 0.99, "hidden_units": 9, "init_scale": 2.0, "num_layers": 1, "optimizer": "momentum"}
    with pytest.raises(UserError, match=f"{name} cannot change in mid-run, because .*: rewind 7 epochs, to the begin"):
        tended.set(**{name: values.get(name, "tanh")})
    assert tended.config == before and tended.log == log


def test_before_the_first_epoch_everything_may_change():
    panda = Panda(SMALL, "iris").train(1).rewind(1).set(b2=0.99, hidden_units=[4, 6]).train(1)
    again = Panda({**SMALL, "b2": 0.99, "hidden_units": (4, 6)}, "iris").train(1)
    assert same(panda, again)
    assert Panda.replay(panda.log).log == panda.log


def test_going_back_takes_the_hyperparameters_along():
    panda = Panda(SMALL, "iris").train(1).set(learning_rate=0.5).train(1).set(learning_rate=0.7)
    assert panda.rewind(1).config.learning_rate == 0.03
    assert panda.rewind(1).config.learning_rate == 0.03
    assert panda.epoch == 0


def test_divergence_is_said_and_rewinding_is_the_way_back():
    # A plain sum of large steps: nothing normalises what they do.
    wild = {"hidden_units": 8, "normalization": "none", "optimizer": "sgd", "learning_rate": 0.1}
    panda = Panda(wild, "iris").train(2).set(learning_rate=1e30).train(5)
    assert panda.diverged and panda.epoch < 7
    assert panda.log.interventions[-1].arguments == {"num_epochs": panda.epoch - 2}
    assert f"diverged in epoch {panda.epoch}: rewind" in repr(panda)
    with pytest.raises(UserError, match="rewind at least 1 epoch"):
        panda.train(1)
    assert Panda.replay(panda.log).log == panda.log
    panda.rewind(panda.epoch - 2).set(learning_rate=0.01).train(2)
    assert not panda.diverged and panda.curves["valid_loss"].is_finite().all()


def test_an_interrupt_keeps_the_epochs_that_were_finished(straight):
    panda = Panda({**SMALL, "dropout": 0.2}, "iris", seed=3)

    def stop(observed):
        if observed.epoch == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        panda.train(7, on_epoch=stop)
    assert panda.epoch == 3 and [str(i) for i in panda.log.interventions] == ["train(3)"]
    assert same(panda.train(4), straight)


def test_mistakes_change_nothing(tended):
    before = tended.log, tended.current
    for wrong, words in (
        (lambda: tended.set(), "nothing to set"),
        (lambda: tended.set(learning_rat=1), "did you mean 'learning_rate'"),
        (lambda: tended.set(learning_rate=-1.0), "out of range"),
        (lambda: tended.set(momentum=0.5), "would change nothing"),
        (lambda: tended.rewind(8), "choose from 1 to 7"),
        (lambda: tended.rewind(0), "choose from 1 to 7"),
        (lambda: tended.train(0), "at least 1"),
        (lambda: tended.train(True), "at least 1"),
        (lambda: tended.branch("main"), "new branch"),
        (lambda: tended.branch(""), "new branch"),
        (lambda: tended.switch("mian"), "did you mean 'main'"),
        (lambda: Panda("iris"), "neither a Config nor a dict"),
        (lambda: Panda(SMALL, "iris").model, "has not been trained"),
        (lambda: Panda(SMALL, "iris").rewind(1), "train first"),
    ):
        with pytest.raises(UserError, match=words):
            wrong()
    assert (tended.log, tended.current) == before


def test_edits_are_pure():
    line = Line(from_values(), from_values())
    assert edited(line, {"learning_rate": 0.5}).config.learning_rate == 0.5
    assert line.config == from_values()


def test_arrays_must_be_given_again(tmp_path):
    iris = jaxbn.load_data("iris")
    x, y = iris.features.numeric, iris.target
    panda = Panda(SMALL, (x, y), class_weight={0: 2.0}).train(1)
    panda.log.save(tmp_path / "log")
    with pytest.raises(UserError, match="give the data again"):
        Panda.replay(tmp_path / "log")
    again = Panda.replay(tmp_path / "log", (x, y))
    assert again.log == panda.log
    assert "source = ..." in panda.script() and ", data, seed=0" in panda.script()
    assert "data = jaxbn.load_data(source, task='classification')" in panda.script()
    with pytest.raises(UserError, match="are not those of"):
        Panda.replay(panda.log, (x + 1, y))


def test_files_are_read_again_as_they_were(tmp_path):
    rows = "\n".join(f"{i % 7},{i % 3},{'ab'[i % 2]},{i}" for i in range(60))
    (tmp_path / "d.csv").write_text(f"u,v,kind,number\n{rows}\n")
    data = jaxbn.load_data(tmp_path / "d.csv", target="kind", drop="number")
    panda = Panda(SMALL, data).train(1)
    assert Panda.replay(panda.log).log == panda.log
    assert "target='kind', drop=('number',), task='classification')" in panda.script()


def test_a_task_that_is_not_the_usual_one_is_in_the_script():
    panda = Panda(SMALL, jaxbn.load_data("digits", task="regression"))
    names = {}
    exec(panda.script().replace("print", "repr"), names)
    assert names["panda"].log == panda.log
    assert ", 'digits', seed=0" in Panda(SMALL, "digits").script()


@pytest.mark.parametrize(
    ("line", "change"),
    [
        (0, {"version": 9}),
        (0, {"seed": "x"}),
        (0, {"more": 1}),
        (1, {"kind": "__class__"}),
        (1, {"kind": ["train"]}),
        (1, {"arguments": {"epochs": 5}}),
        (1, {"epoch": "five"}),
        (1, {"curve": [{}]}),
    ],
)
def test_a_broken_log_is_refused(tended, tmp_path, line, change):
    tended.log.save(tmp_path / "log")
    lines = (tmp_path / "log").read_text().splitlines()
    lines[line] = json.dumps(json.loads(lines[line]) | change)
    (tmp_path / "log").write_text("\n".join(lines))
    with pytest.raises(UserError, match=r"broken|no log of a panda"):
        Log.load(tmp_path / "log")


@pytest.mark.parametrize("content", ["", "x", "[]", '{"format": 1}'])
def test_what_is_no_log_is_refused(tmp_path, content):
    (tmp_path / "log").write_text(content)
    with pytest.raises(UserError, match="no log of a panda"):
        Log.load(tmp_path / "log")
    with pytest.raises(UserError, match="cannot read the log"):
        Log.load(tmp_path / "nothing")


def test_it_reads_well(tended):
    first, header, *rows, spark = repr(tended).splitlines()
    assert first.startswith("low, epoch 7 (branches: main, low): learning_rate = 0.005, batch_size = 32")
    assert header.split() == ["epoch", "learning_rate", "train_loss", "valid_loss", "valid_accuracy"]
    assert [row.split()[0] for row in rows] == ["2", "3", "4", "5", "6", "7"]
    assert spark.startswith("valid_accuracy ")
    assert tended._repr_html_().count("<tr>") == 7
    assert "epoch 0" in repr(Panda(SMALL, "iris"))
    assert Panda(SMALL, "iris").curves.height == 0


def test_the_model_predicts_and_has_the_scores_that_were_seen(tended):
    dataset = jaxbn.load_data("iris")
    split, _ = split_rows(dataset)
    valid = dataset.features.numeric[split.valid]
    right = tended.model.predict(valid) == np.asarray(dataset.classes)[dataset.target[split.valid]]
    assert right.mean() == pytest.approx(tended.curves.filter(branch="low")["valid_accuracy"][-1])


def test_regression_and_softmax_regression_are_tended_too():
    panda = Panda({"num_layers": 0, "learning_rate": 0.1}, "diabetes", metric="mae").train(2)
    assert {"valid_r2", "valid_mae"} <= set(panda.curves.columns)
    assert repr(panda).splitlines()[-1].startswith("valid_mae")


def test_interventions_are_frozen(tended):
    with pytest.raises(dataclasses.FrozenInstanceError):
        tended.log.interventions[0].kind = "set"
    assert isinstance(tended.log.interventions[0], Intervention)


def test_a_name_that_is_no_hyperparameter_is_refused_whatever_it_means_in_python():
    for name in ("self", "architecture", "own"):
        with pytest.raises(UserError, match=f"unknown hyperparameter '{name}'"):
            Panda({name: 1}, "iris")
        with pytest.raises(UserError, match="hyperparameter"):
            Panda(SMALL, "iris").set(**{name: 1})
    with pytest.raises(UserError, match="unknown hyperparameter 'architecture'"):
        jaxbn.sweep(None, "iris", num_configs=2, enqueue=[{"architecture": "mlp"}])


def test_a_log_makes_its_folder(tmp_path):
    panda = Panda(SMALL, "iris").train(np.int64(1))
    panda.log.save(tmp_path / "not/yet/log.jsonl")
    assert Log.load(tmp_path / "not/yet/log.jsonl") == panda.log
