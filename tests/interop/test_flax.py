"""Flax modules in a sweep: what they declare, that they train as Flax trains them, and everything that a run is."""

import dataclasses
import functools
import json
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import linen as nn
from flax import nnx

from examples.convnet_sweep import ConvNet, space
from jaxbn import Choice, Float, Int, Space, load_data, plan, resume, sweep
from jaxbn.data import prepare, split_rows
from jaxbn.engine import cost, keys
from jaxbn.engine.work import Sizes, stand_in, work_of
from jaxbn.errors import UserError
from jaxbn.interop.flax import Dropout, NNXDropout, from_linen, from_nnx
from jaxbn.nn import losses, train
from jaxbn.nn.types import Metrics, Spec
from jaxbn.search import from_values, split
from jaxbn.study import conduct, keeper
from jaxbn.study.fitted import FittedModel
from jaxbn.study.keeper import generations
from jaxbn.study.loop import Resumed
from jaxbn.study.results import Results
from jaxbn.study.retrain import retrain
from jaxbn.study.settings import Settings
from jaxbn.study.settle import set_up


class Net(nn.Module):
    num_outputs: int
    features: int = 8
    bn_decay: float = 0.9
    bn_epsilon: float = 1e-5
    dropout: float = 0.0
    slope: float = 0.1

    @nn.compact
    def __call__(self, x, *, training, where):
        x = nn.Dense(self.features, use_bias=False)(x)
        norm = nn.BatchNorm(not training, momentum=self.bn_decay, epsilon=self.bn_epsilon, use_fast_variance=False)
        x = norm(x, mask=where[:, None])
        x = jnp.where(x > 0, x, self.slope * x)
        return nn.Dense(self.num_outputs)(Dropout(self.dropout)(x, training=training))


class Whole(nn.Module):
    """It cannot leave rows out."""

    num_classes: int
    width: int = 6

    @nn.compact
    def __call__(self, x, train):
        x = nn.BatchNorm(use_running_average=not train, use_fast_variance=False)(nn.Dense(self.width)(x))
        return nn.Dense(self.num_classes)(nn.relu(x))


class Later(nnx.Module):
    def __init__(self, num_inputs, num_outputs, features=8, bn_decay=0.9, dropout=0.0, *, rngs):
        self.hidden = nnx.Linear(num_inputs, features, rngs=rngs)
        self.norm = nnx.BatchNorm(features, momentum=bn_decay, use_fast_variance=False, rngs=rngs)
        self.dropout = NNXDropout(dropout, rngs=rngs)
        self.output = nnx.Linear(features, num_outputs, rngs=rngs)

    def __call__(self, x, where):
        return self.output(self.dropout(nnx.relu(self.norm(self.hidden(x), mask=where[:, None]))))


NET = from_linen(Net, traced=("slope",))
USUAL = {"decay_kind": "none", "optimizer": "adam"}


def iris(architecture, **domains):
    return Space(architecture=architecture, **USUAL, **{"learning_rate": Float(1e-3, 1e-1, scale="log"), **domains})


def test_fields_are_hyperparameters():
    assert dict(NET.defaults) == {"features": 8, "bn_decay": 0.9, "bn_epsilon": 1e-5, "dropout": 0.0, "slope": 0.1}
    config = from_values(architecture=NET, features=4, slope=0.3, dropout=0.25)
    spec, hyperparams = split(config)
    assert spec.own == (("features", 4),) and spec.widths == ()
    assert hyperparams.own == {"slope": 0.3} and hyperparams.dropout == 0.25
    assert config.slope == 0.3 and config.changed(slope=0.5, b1=0.5).slope == 0.5
    assert {"hidden_units", "num_layers", "activation", "normalization"} <= set(config.unused())
    assert config.row()["features"] == 4 and config.row()["hidden_units"] is None
    again = from_linen(Net, traced=["slope"])
    assert again == NET and hash(again) == hash(NET) and from_linen(Net) != NET
    assert from_nnx(Later) == from_nnx(Later) != from_nnx(Later, input_shape=(4,))


def test_a_module_keeps_its_own_default_of_what_the_table_has():
    class Dropping(Net):
        dropout: float = 0.4

    assert from_values(architecture=from_linen(Dropping)).dropout == 0.4


def test_what_has_no_default_must_be_given():
    class Bare(nn.Module):
        num_outputs: int
        features: int

        @nn.compact
        def __call__(self, x):
            return nn.Dense(self.num_outputs)(nn.relu(nn.Dense(self.features)(x)))

    bare = from_linen(Bare)
    given = Space(architecture=bare, features=Choice(4, 8, when={"optimizer": "adam"}))
    assert given.config({"features": 0.9}).features == 8
    with pytest.raises(UserError, match="Bare needs a value of features"):
        Space(architecture=bare)
    assert Space(architecture=bare, features=3).config({}).features == 3


def test_what_is_traced_shares_a_program():
    shared = plan(iris(NET, slope=Float(0, 0.5), dropout=Float(0, 0.5), bn_decay=Float(0.5, 0.9)), "iris")
    apart = plan(iris(NET, features=Choice(4, 8, 12)), "iris")
    count = [sum(p.spec.architecture is not None for p in one.programs) for one in (shared, apart)]
    assert count == [1, 3]


def said(made, count, *, training):
    """What each module wants to be told."""
    return {"train": training} if isinstance(made, Whole) else {"training": training, "where": jnp.ones(count, bool)}


@functools.partial(jax.jit, static_argnums=0)
def by_hand_step(made, variables, state, x, y, rate):
    told = said(made, len(x), training=True)

    def loss(params):
        given, drop = {**variables, "params": params}, {"dropout": jax.random.key(0)}
        logits, new = made.apply(given, x, mutable=["batch_stats"], rngs=drop, **told)
        return optax.softmax_cross_entropy_with_integer_labels(logits, y).mean(), new

    grads, new = jax.grad(loss, has_aux=True)(variables["params"])
    updates, state = optax.adam(rate).update(grads, state)
    return {"params": optax.apply_updates(variables["params"], updates), **new}, state


def by_hand(module, config, *, epochs):
    """Weights and statistics of a network that plain Flax and optax train, batch after batch, nothing masked."""
    dataset = load_data("iris")
    ready = prepare(dataset, split_rows(dataset)[0])
    x, y, n = jnp.asarray(ready.train.x, float), ready.train.y, len(ready.train.x)
    made = module(3, **{f.name: getattr(config, f.name) for f in dataclasses.fields(module) if hasattr(config, f.name)})
    variables = made.init({"params": keys.purpose(0, keys.INIT)}, x[:1], **said(made, 1, training=False))
    variables = jax.tree.map(lambda a: a.astype(float), dict(variables))
    state = optax.adam(config.learning_rate).init(variables["params"])
    for epoch in range(epochs):
        order = train.order(jax.random.fold_in(keys.purpose(0, keys.ORDER), epoch), n, size=128)[:n]
        for first in range(0, n, config.batch_size):
            some = order[first : first + config.batch_size]
            variables, state = by_hand_step(made, variables, state, x[some], y[some], config.learning_rate)
    return variables


@pytest.mark.parametrize("module", [Net, Whole])
def test_members_train_as_flax_trains_them(module):
    # 90 training rows: the last mini-batch is partial for both batch sizes.
    architecture = NET if module is Net else from_linen(module)
    configs = [
        from_values(architecture=architecture, learning_rate=rate, batch_size=size, **USUAL)
        for rate, size in ((0.003, 32), (0.03, 32), (0.01, 28), (0.02, 28), (0.001, 28))
    ]
    with jax.enable_x64(True):
        results = sweep(configs, "iris", num_epochs=3, tile_size=2)
        number = {model.config: model for model in results.models}
        for config in configs:
            expected = by_hand(module, config, epochs=3)
            found = number[config].variables
            for mine, theirs in (
                (found.params, expected["params"]),
                (found.model_state, {"batch_stats": expected["batch_stats"]}),
            ):
                jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-8, atol=1e-9), mine, dict(theirs))


@pytest.mark.parametrize("architecture", [NET, from_linen(Whole), from_nnx(Later)], ids=lambda a: a.name)
def test_tile_and_neighbours_change_nothing(architecture):
    dropped = {} if architecture.name == "Whole" else {"dropout": 0.3}
    configs = [
        from_values(architecture=architecture, learning_rate=rate, batch_size=32, **dropped, **USUAL)
        for rate in (0.003, 0.01, 0.03, 0.1)
    ]
    with jax.enable_x64(True):
        wide = sweep(configs, "iris", num_epochs=3, tile_size=4).curves
        alone = sweep(configs[1:2], "iris", num_epochs=3, tile_size=1).curves
    of_one = wide.filter(wide["trial"] == 1)
    np.testing.assert_allclose(of_one["valid_loss"], alone["valid_loss"], rtol=1e-9)
    np.testing.assert_allclose(of_one["train_loss"], alone["train_loss"], rtol=1e-9)
    # At one T the bits do not change with what trains beside, or in which slot.
    other = [*reversed(configs[1:]), dataclasses.replace(configs[0], learning_rate=0.5)]
    first, second = (sweep(some, "iris", num_epochs=2, tile_size=4).trials for some in (configs, other))
    assert first["valid_loss"][1] == second["valid_loss"][2]


def test_dropout_is_traced():
    configs = [from_values(architecture=NET, dropout=rate, learning_rate=0.02, **USUAL) for rate in (0.0, 0.0, 0.8)]
    results = sweep(configs, "iris", num_epochs=5, tile_size=3)
    loss = results.trials["train_loss"].to_list()
    assert loss[0] == loss[1] < loss[2]
    assert sum(program["own"] != {} for program in results.request.programs) == 1


def test_an_own_loss_is_what_training_minimises():
    def half(outputs, batch, hyperparams, *, spec):
        whole = losses.softmax_cross_entropy(outputs, batch, hyperparams, spec=spec)
        return Metrics(whole.loss_sum / 2, whole.weight)

    curves = [
        sweep(
            [from_values(architecture=from_linen(Net, loss=loss), optimizer="sgd", **rate)], "iris", num_epochs=3
        ).curves
        for loss, rate in ((None, {"learning_rate": 0.01}), (half, {"learning_rate": 0.02}))
    ]
    np.testing.assert_allclose(curves[0]["train_loss"] / 2, curves[1]["train_loss"], rtol=1e-5)
    np.testing.assert_allclose(curves[0]["valid_loss"], curves[1]["valid_loss"], rtol=1e-5)


def test_a_loss_that_begins_below_zero_has_not_diverged():
    def likelihood(outputs, batch, hyperparams, *, spec):
        """Below zero, as that of a density may be."""
        fit = losses.softmax_cross_entropy(outputs, batch, hyperparams, spec=spec)
        return Metrics(fit.loss_sum - 5 * fit.weight, fit.weight)

    results = sweep(iris(from_linen(Net, loss=likelihood)), "iris", num_configs=3, num_epochs=3)
    assert (results.trials["train_loss"] < 0).all()
    assert results.trials["status"].to_list() == ["ok"] * 3
    np.testing.assert_array_equal(results.trials["epochs"], 3)


def test_work_is_counted():
    # Convolutions of 3 x 3 over 8 x 8, 4 x 4 and 2 x 2 places, and a linear layer over the last.
    spec, _ = split(space("digits").config(dict.fromkeys(space("digits").domains, 0.0)))
    work = work_of(spec, Sizes(64, 10))
    kernels = (9 * 1 * 8, 9 * 8 * 16, 9 * 16 * 32, 128 * 10)
    assert work.products == 2 * (64 * kernels[0] + 16 * kernels[1] + 4 * kernels[2] + kernels[3])
    assert work.units == 64 * 8 + 16 * 16 + 4 * 32 + 10 and work.convolves
    assert work.params == sum(kernels) + 2 * (8 + 16 + 32) + 10 and work.statistics == 2 * (8 + 16 + 32)
    net, _ = split(from_values(architecture=NET))
    mine, mlp = work_of(net, Sizes(4, 3)), work_of(Spec(widths=(8,)), Sizes(4, 3))
    assert dataclasses.replace(mine, convolves=False) == dataclasses.replace(mlp, statistics=16)


@pytest.mark.skipif(jax.default_backend() != "cpu", reason="convolutions are stacked on accelerators")
def test_convolutions_are_not_stacked_on_a_cpu():
    setup = set_up(space("digits"), "digits", Settings(num_configs=16, num_epochs=2))
    sizes = {program.spec.architecture is not None: program.tile_size for program in setup.plan.programs}
    assert sizes[True] == 1
    assert any("with convolutions train one by one" in note for note in setup.notes)


def test_convolutions_are_known_to_be_slow_on_a_cpu():
    spec, _ = split(from_values(architecture=space("digits").architecture, batch_size=32))
    sizes, cpu = Sizes(64, 10), cost.rates("cpu", 1)
    as_products = cost.member_step_seconds(spec, 32, sizes, dataclasses.replace(cpu, convolution=1.0))
    slower = cost.member_step_seconds(spec, 32, sizes, cpu) - as_products
    products = 32 * 3 * work_of(spec, sizes).products / cpu.flops
    assert slower == pytest.approx((cpu.convolution - 1) * products)


def test_a_convolutional_network_learns_the_digits():
    results = sweep(space("digits"), "digits", num_configs=3, num_epochs=6)
    assert results.test["accuracy"] > 0.95
    image = np.asarray(load_data("digits").features.numeric[:1])
    assert results.best_model.predict(image)[0] == 0


@pytest.mark.parametrize(
    "settings",
    [
        {"scheduler": "halving", "num_configs": 9},
        {"scheduler": "pbt", "num_configs": 8, "interval": 2},
        {"sampler": "coarse_to_fine", "num_configs": 8, "num_rounds": 2},
        {"sampler": "tpe", "num_configs": 6, "num_rounds": 2},
        {"replicates": 2, "folds": 2, "num_configs": 3},
        {"num_configs": 3, "enqueue": [{"features": 4, "slope": 0.2}]},
    ],
    ids=lambda s: s.get("scheduler") or s.get("sampler") or "-".join(s),
)
def test_every_way_to_search(settings, tmp_path):
    searched = iris(NET, features=Choice(4, 8), slope=Float(0, 0.5), dropout=Float(0, 0.5))
    results = sweep(searched, "iris", num_epochs=9, run_dir=tmp_path / "run", **settings)
    again = Results.load(tmp_path / "run")
    assert {"features", "slope"} <= set(results.trials.columns)
    assert results.trials["features"].is_in([4, 8]).all() and results.trials["slope"].is_between(0, 0.5).all()
    assert again.trials.equals(results.trials) and again.leaderboard().equals(results.leaderboard())
    assert again.best.config["features"] in (4, 8)


def test_a_run_is_loaded_with_its_architecture(tmp_path):
    results = sweep(iris(NET, features=Choice(4, 8)), "iris", num_configs=3, num_epochs=2, run_dir=tmp_path / "run")
    rows = load_data("iris").features.numeric[:5]
    expected = results.best_model.predict_proba(rows)
    loaded = Results.load(tmp_path / "run", architecture=NET)
    np.testing.assert_array_equal(loaded.best_model.predict_proba(rows), expected)
    np.testing.assert_array_equal(FittedModel.load(tmp_path / "run" / "best", NET).predict_proba(rows), expected)
    blind = Results.load(tmp_path / "run")
    assert blind.best == results.best
    with pytest.raises(UserError, match="Net is code, which no file holds"):
        blind.best_model.predict(rows)
    blind.save(tmp_path / "copy")
    copied = Results.load(tmp_path / "copy", architecture=NET)
    np.testing.assert_array_equal(copied.best_model.predict_proba(rows), expected)
    with pytest.raises(UserError, match=r"the run trained another Net .name was 'Net' and is 'Whole'"):
        Results.load(tmp_path / "run", architecture=from_linen(Whole))
    with pytest.raises(UserError, match=r"about was .* and is .*softmax_cross_entropy"):
        other = from_linen(Net, traced=("slope",), loss=losses.softmax_cross_entropy)
        Results.load(tmp_path / "run", architecture=other)


@pytest.mark.parametrize("architecture", [NET, from_linen(Whole), from_nnx(Later)], ids=lambda a: a.name)
def test_a_run_goes_on_bit_for_bit(architecture, tmp_path, monkeypatch):
    monkeypatch.setattr(keeper, "SHARE", float("inf"))
    monkeypatch.setattr(keeper, "EVERY", 0.0)
    monkeypatch.setattr(conduct, "REPORT", 0.0)
    own = {} if architecture.name == "Whole" else {"features": Choice(4, 8)}
    searched = iris(architecture, **own)
    settings = {"num_configs": 4, "num_epochs": 6, "tile_size": 1, "scheduler": "halving", "min_epochs": 2}
    whole = sweep(searched, "iris", **settings)
    run, consider = tmp_path / "run", keeper.Keeper.consider

    class Killed(Exception):
        pass

    def after_the_first_rung(self, state, begun, *, decided):
        consider(self, state, begun, decided=decided)
        if state.rung == 1:
            self.save(state, begun)
            raise Killed

    with monkeypatch.context() as patch, pytest.raises(Killed):
        patch.setattr(keeper.Keeper, "consider", after_the_first_rung)
        sweep(searched, "iris", run_dir=run, **settings)
    assert generations(run / "checkpoints")
    with pytest.raises(UserError, match=f"{architecture.name} is code"):
        resume(run)
    taken_up = []
    went_on = resume(run, architecture=architecture, on_event=taken_up.append)
    assert next(event for event in taken_up if isinstance(event, Resumed)).epochs >= 8
    timeless = [one.drop("train_seconds") for one in (whole.trials, went_on.trials)]
    assert timeless[0].equals(timeless[1])
    with pytest.raises(UserError, match=f"it trained {architecture.name} and is to train MLPs"):
        sweep(Space(learning_rate=0.1), "iris", run_dir=run, resume=True, **settings)


def test_epochs_are_added(tmp_path):
    searched, settings = iris(NET, features=Choice(4, 8)), {"num_configs": 4, "tile_size": 2}
    sweep(searched, "iris", num_epochs=2, run_dir=tmp_path / "run", keep_states=True, **settings)
    longer = resume(tmp_path / "run", num_epochs=4, architecture=NET)
    whole = sweep(searched, "iris", num_epochs=4, **settings)
    assert longer.trials.drop("train_seconds").equals(whole.trials.drop("train_seconds"))


def test_a_trial_is_trained_again():
    for architecture in (NET, from_linen(Whole)):
        with jax.enable_x64(True):
            results = sweep(iris(architecture, batch_size=Choice(28, 37)), "iris", num_configs=4, num_epochs=2)
            _, scores = retrain(results)
        assert scores["validation"]["loss"] == pytest.approx(results.best.validation["loss"], rel=1e-7)


def test_pictures_importance_and_optuna_know_its_hyperparameters():
    from jaxbn.interop.optuna import to_study

    searched = iris(NET, features=Int(2, 8), slope=Float(0, 0.5), dropout=Float(0, 0.5))
    results = sweep(searched, "iris", num_configs=24, num_epochs=2)
    assert set(results.importance()) == {"learning_rate", "features", "slope", "dropout"}
    assert results.plot.response("slope") is not None
    assert {"features", "slope"} <= set(to_study(results).best_trial.params)
    listed = sweep([from_values(architecture=NET, slope=s) for s in (0.1, 0.2)], "iris", num_configs=2, num_epochs=1)
    assert listed.trials["slope"].to_list() == [0.1, 0.2]
    assert listed.plot.response("slope") is not None


def test_the_command_line_shows_such_a_run_and_says_what_it_cannot(tmp_path):
    run = tmp_path / "run"
    sweep(iris(NET, features=Choice(4, 8)), "iris", num_configs=2, num_epochs=1, run_dir=run)

    def jaxbn(*arguments):
        return subprocess.run([sys.executable, "-m", "jaxbn", *arguments], capture_output=True, text=True, cwd=tmp_path)

    shown = jaxbn("leaderboard", str(run), "--json")
    assert shown.returncode == 0 and json.loads(shown.stdout)["best"]["config"]["features"] in (4, 8)
    for command in (("predict", str(run), "iris"), ("export", str(run)), ("train", str(run), "--out", "model")):
        refused = jaxbn(*command)
        assert refused.returncode == 2 and "Traceback" not in refused.stderr and "Net" in refused.stderr, refused.stderr


def test_what_a_call_takes_beside_the_inputs():
    class Any(nn.Module):
        num_outputs: int

        @nn.compact
        def __call__(self, mask, /, *others, scale=None, train=False, **more):
            del others, more, scale
            return nn.Dense(self.num_outputs)(nn.BatchNorm(not train)(mask))

    # The inputs may have any name, and what takes all arguments needs none.
    architecture = from_linen(Any)
    assert not architecture.masks_rows
    results = sweep(iris(architecture), "iris", num_configs=1, num_epochs=2)
    assert np.abs(results.best_model.variables.model_state["batch_stats"]["BatchNorm_0"]["mean"]).max() > 0


def test_what_takes_all_arguments_is_no_hyperparameter():
    class Open(nnx.Module):
        def __init__(self, *others, num_inputs, num_outputs, features=8, rngs, **more):
            self.output = nnx.Linear(num_inputs, num_outputs, rngs=rngs)

        def __call__(self, *inputs):
            return self.output(*inputs)

    assert from_nnx(Open).defaults == (("features", 8),)
    assert sweep(iris(from_nnx(Open)), "iris", num_configs=1, num_epochs=1).trials["status"].to_list() == ["ok"]


class Flagged(nn.Module):
    num_outputs: int

    @nn.compact
    def __call__(self, x, is_training=False):
        return nn.Dense(self.num_outputs)(nn.BatchNorm(use_running_average=not is_training)(x))


class Carrying(nnx.Module):
    def __init__(self, num_inputs, num_outputs, *, rngs):
        self.output = nnx.Linear(num_inputs, num_outputs, rngs=rngs)

    def __call__(self, x, carry):
        return self.output(x)


class Wide(nn.Module):
    @nn.compact
    def __call__(self, x):
        return nn.Dense(7)(x)


class Fixed(nn.Module):
    num_outputs: int

    def __call__(self, x):
        return x[:, : self.num_outputs]


class Clashing(nn.Module):
    learning_rate: float = 0.1


class Reserved(nn.Module):
    status: str = "small"


class FlaxDropout(nn.Module):
    num_outputs: int
    dropout: float = 0.1

    @nn.compact
    def __call__(self, x, *, training):
        return nn.Dense(self.num_outputs)(nn.Dropout(self.dropout, deterministic=not training)(x))


class Pair(nn.Module):
    num_outputs: int

    @nn.compact
    def __call__(self, x):
        return nn.Dense(self.num_outputs)(x), 1


class Silent(nn.Module):
    num_outputs: int

    @nn.compact
    def __call__(self, x):
        nn.Dense(self.num_outputs)(x)


class Uncalled(nn.Module):
    num_outputs: int


class UncalledLater(nnx.Module):
    def __init__(self, num_inputs, num_outputs, *, rngs):
        self.output = nnx.Linear(num_inputs, num_outputs, rngs=rngs)


class Sure(nnx.Module):
    def __init__(self, num_inputs, num_outputs):
        self.output = nnx.Linear(num_inputs, num_outputs, rngs=nnx.Rngs(0))

    def __call__(self, x):
        return self.output(x)


class Unmade(nnx.Module):
    def __call__(self, x):
        return x


class Deep(nn.Module):
    num_outputs: int
    depth: int = 2

    @nn.compact
    def __call__(self, x):
        for _ in range(self.depth):
            x = nn.Dense(4)(x)
        return nn.Dense(self.num_outputs)(x)


class Mistaken(nn.Module):
    num_outputs: int

    @nn.compact
    def __call__(self, x):
        return nn.Dense(self.num_outputs)(x) + "1"


class Sowing(nn.Module):
    num_outputs: int

    @nn.compact
    def __call__(self, x):
        self.sow("losses", "size", x.mean())
        return nn.Dense(self.num_outputs)(x)


class Fourier(nnx.Module):
    def __init__(self, num_inputs, num_outputs, *, rngs):
        self.frequencies = nnx.Variable(jax.random.normal(rngs.params(), (num_inputs, 4)))
        self.output = nnx.Linear(4, num_outputs, rngs=rngs)

    def __call__(self, x):
        return self.output(jnp.sin(x @ self.frequencies[...]))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: plan(Space(architecture=from_linen(Wide)), "iris"), "Wide gives outputs of shape .7,. for a row"),
        (
            lambda: plan(space("digits"), "iris"),
            "ConvNet takes rows of shape .8, 8, 1., 64 numbers, and the data have 4",
        ),
        (lambda: plan(iris(from_linen(Fixed)), "iris"), "Fixed has no parameters and nothing could be trained"),
        (
            lambda: from_linen(Flagged),
            "the __call__ of Flagged takes is_training, which nobody .*: name it training or",
        ),
        (lambda: from_nnx(Carrying), "the __call__ of Carrying takes carry"),
        (lambda: from_linen(Net(3)), "from_linen was given an instance of Net and takes a class of Linen modules"),
        (lambda: from_nnx(Carrying(4, 3, rngs=nnx.Rngs(0))), "from_nnx was given an instance of Carrying and takes"),
        (lambda: from_nnx(Net), "from_nnx was given the class Net and takes a class of NNX modules"),
        (lambda: from_linen(Net, traced="slope"), "traced = 'slope' is a text: give a list of names"),
        (lambda: from_linen(Clashing), "Clashing has a field learning_rate, which is the training's"),
        (lambda: from_linen(Reserved), "Reserved has a field status, a name that tables need"),
        (
            lambda: plan(iris(from_linen(FlaxDropout)), "iris"),
            "FlaxDropout looks at the value of a hyperparameter that",
        ),
        (
            lambda: plan(iris(from_linen(Net, traced=("features",))), "iris"),
            "Net looks at the value of a hyperparameter that is traced, .* or leave it out of traced",
        ),
        (lambda: plan(iris(from_nnx(Later, traced=("features",))), "iris"), "Later looks at the value of a hyperp"),
        (lambda: plan(iris(from_linen(Deep, traced=("depth",))), "iris"), "Deep looks at the value of a hyperparam"),
        (lambda: plan(iris(from_linen(Pair)), "iris"), "Pair gives a tuple for a row and the data need an array of 3"),
        (lambda: plan(iris(from_linen(Silent)), "iris"), "Silent gives a NoneType for a row and"),
        (lambda: from_linen(Uncalled), "Uncalled has no __call__: write one"),
        (lambda: from_nnx(UncalledLater), "UncalledLater has no __call__: write one"),
        (lambda: from_nnx(Sure), "the constructor of Sure takes no rngs, .*: add the argument"),
        (lambda: from_nnx(Unmade), "the constructor of Unmade takes no rngs"),
        (lambda: from_linen(Net, input_shape=4), "input_shape = 4 is no list of sizes, .*: give the shape of a"),
        (lambda: from_linen(Net, input_shape="22"), "input_shape = '22' is no list of sizes"),
        (lambda: from_linen(Net, input_shape=(-2, -2)), "input_shape = .-2, -2. is no list of sizes"),
        (lambda: from_nnx(Later, input_shape=(4.0,)), "input_shape = .4.0,. is no list of sizes"),
        (lambda: plan(iris(from_linen(Sowing)), "iris"), "changes its shape in training, as what is sown does"),
        (lambda: plan(iris(from_nnx(Fourier)), "iris"), "neither nnx.Param nor nnx.BatchStat .frequencies."),
        (lambda: Space(architecture=Net), "is no Architecture: make one"),
        (lambda: Space(architecture=NET, features=Choice(4, None)), "Net needs a value of features"),
        (lambda: Space(architecture=NET, features=Choice(4, "auto")), "of several kinds"),
        (lambda: Space(architecture=NET, features=Float(4, 8)), "features is a Float and shapes a program of Net"),
        (lambda: from_linen(Net, traced=("tilt",)), "traced names 'tilt', which is no field of Net"),
        (lambda: Space(architecture=NET, hidden_units=3), "unknown hyperparameter 'hidden_units'"),
        (lambda: Space(architecture=NET, feature=3), "unknown hyperparameter 'feature'.*did you mean 'features'"),
        (lambda: Space(architecture=NET, slope="steep"), "slope = 'steep' is traced through Net: give a number"),
        (lambda: from_values(architecture=NET, features=float("nan")), "features = nan is no value"),
        (
            lambda: plan([from_values(architecture=NET), from_values()], "iris"),
            "the configurations that were listed are of several architectures",
        ),
        (
            lambda: plan(iris(NET), "iris", enqueue=[from_values()]),
            "enqueued is of another architecture than the space",
        ),
    ],
)
def test_mistakes(make, message):
    with pytest.raises(UserError, match=message):
        make()


def test_a_mistake_of_the_module_stays_its_own():
    with pytest.raises(TypeError, match="unsupported operand"):
        plan(iris(from_linen(Mistaken)), "iris")


def test_nnx_computes_what_linen_does():
    """The same weights in both frameworks give the same outputs, in training and at inference, masked rows left out."""
    from jaxbn.nn.types import Hyperparams, Variables

    spec = split(from_values(architecture=from_nnx(Later)))[0]
    later = spec.architecture.build(spec, num_inputs=4, num_outputs=3)
    net_spec = split(from_values(architecture=NET))[0]
    net = net_spec.architecture.build(net_spec, num_inputs=4, num_outputs=3)
    h = Hyperparams(own={"slope": 0.0})
    mine = net.init(jax.random.key(1), h)
    shared = later.init(jax.random.key(2), Hyperparams())
    kernel = mine.params["Dense_0"]["kernel"]
    params = {
        **shared.params,
        "hidden": {"kernel": kernel, "bias": jnp.zeros(8)},
        "output": mine.params["Dense_1"],
    }
    x, where = jax.random.normal(jax.random.key(3), (6, 4)), jnp.arange(6) < 4
    told = {"training": True, "where": where, "key": jax.random.key(0)}
    outputs, state = net.apply(mine, x, h, **told)
    others, other = later.apply(Variables(params, shared.model_state), x, Hyperparams(), **told)
    np.testing.assert_allclose(outputs[:4], others[:4], rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(state["batch_stats"]["BatchNorm_0"]["mean"], other["norm"]["mean"], rtol=1e-5, atol=1e-6)
    outputs, _ = net.apply(Variables(mine.params, state), x, h, training=False)
    others, _ = later.apply(Variables(params, other), x, Hyperparams(), training=False)
    np.testing.assert_allclose(outputs, others, rtol=1e-5, atol=1e-6)


def test_convnet_is_what_the_example_says():
    assert dict(from_linen(ConvNet).defaults) == {"features": 16, "dropout": 0.0, "bn_decay": 0.9}


def test_what_a_module_computes_in_is_its_own_business():
    class Half(nn.Module):
        num_outputs: int

        @nn.compact
        def __call__(self, x):
            return nn.Dense(self.num_outputs, dtype=jnp.bfloat16)(x)

    results = sweep(iris(from_linen(Half)), "iris", num_configs=2, num_epochs=2)
    spec = split(results.best_model.config)[0]
    model = spec.architecture.build(spec, num_inputs=4, num_outputs=3)
    outputs, _ = model.apply(results.best_model.variables, jnp.ones((2, 4)), stand_in(spec), training=False)
    assert outputs.dtype == jnp.float32


def test_nnx_constructors_draw_alike_in_every_step():
    spec = split(from_values(architecture=from_nnx(Later), dropout=0.5))[0]
    model = spec.architecture.build(spec, num_inputs=4, num_outputs=3)
    variables, x = model.init(jax.random.key(0), stand_in(spec)), jnp.ones((50, 4))
    h = stand_in(spec).replace(dropout=0.5)
    first, again, other = (
        model.apply(variables, x, h, training=True, where=jnp.ones(50, bool), key=jax.random.key(k))[0]
        for k in (1, 1, 2)
    )
    assert (first == again).all() and (first != other).any()
