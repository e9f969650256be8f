"""Every member of a tile learns what it would have learned alone.

The oracle trains one unpadded network at a time in NumPy float64 and shares no code with jaxbn. The members
train together, padded and stacked, in the programs of the engine. 288 configurations, 12 of each of 24 specs, span
every hyperparameter. The oracle is given as plain arrays: initial weights, the order of rows, dropout uniforms.
"""

import dataclasses
import functools
from collections import Counter

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxbn.engine import programs
from jaxbn.engine.programs import Problem, Program
from jaxbn.nn import train
from jaxbn.nn.types import ACTIVATIONS, DECAY_KINDS, NORMALIZATIONS, OPTIMIZERS, Rows
from jaxbn.search import HYPERPARAMETERS, Band, Choice, Float, Int, Padding, Space, propose, split
from tests.oracle import numpy_trainer as oracle

NUM_SPECS, TILES, T, EPOCHS = 24, 3, 4, 3
ROWS, PADDED_ROWS, F, C = 29, 32, 5, 3
SEED = 20
MERGED = ("sgd", "momentum", "nesterov", "momentum_ewa", "rmsprop", "adam")
BATCH_SIZES = (3, 4, 5, 8, 11, 13, 16, 28, 29, 48)
STEP_TOLERANCE, EPOCHS_TOLERANCE = 1e-12, 1e-9
SLOTS = {"v": ("trace", "ema"), "m": ("mu",), "s": ("nu",)}
TRACED = [
    "learning_rate",
    "momentum",
    "b1",
    "b2",
    "learning_rate_decay",
    "decay_kind",
    "weight_decay",
    "warmup_epochs",
    "init_scale",
    "bn_decay",
    "bn_epsilon",
]


@functools.cache
def data(task):
    rng = np.random.default_rng(SEED)
    x = rng.normal(size=(ROWS, F)) * [1, 1, 1, 0.1, 5] + [0, 0, 2, 0, -3]
    y = rng.integers(C, size=ROWS) if task == "classification" else rng.normal(size=(ROWS, C))
    return x, y, rng.uniform(0.2, 3, size=ROWS)


def cases(number):
    """The 12 configurations of a spec: the number decides what shapes the program, random draws the rest."""
    depth = number % 5
    optimizers = MERGED if number % 3 == 0 else (OPTIMIZERS[number % 7],)
    widths = np.random.default_rng([SEED, number]).integers(1, 17, size=(8, depth)).tolist()
    domains = {name: HYPERPARAMETERS[name].domain for name in TRACED} | {
        "eps": Float(1e-8, 1e-4, scale="log"),
        "num_layers": depth,
        "hidden_units": Choice(*map(tuple, widths)) if number % 2 else Int(2, 16),
        "optimizer": Choice(*optimizers),
        "activation": ACTIVATIONS[(number + number // 5) % 5],
        "normalization": "none" if number % 4 == 2 else "batch",
    }
    if number % 2:
        domains["dropout"] = HYPERPARAMETERS["dropout"].domain
    if number % 4 in (0, 1):
        domains["label_smoothing"] = HYPERPARAMETERS["label_smoothing"].domain
    if number % 3 != 1:
        domains["clip_norm"] = HYPERPARAMETERS["clip_norm"].domain
    configs = propose.random(SEED + number, Space(**domains), None, TILES * T)
    # A tile holds one batch size.
    sizes = [BATCH_SIZES[(number * TILES + tile) % len(BATCH_SIZES)] for tile in range(TILES)]
    return [dataclasses.replace(config, batch_size=sizes[i // T]) for i, config in enumerate(configs)]


def task_of(number):
    return "regression" if number % 6 == 5 else "classification"


@functools.cache
def tiles(number):
    """The program of a spec, and its tiles: configurations and stacked hyperparams."""
    configs = cases(number)
    merged = MERGED if number % 3 == 0 else ()
    padding = Padding((Band(number % 5, 16, (48,)),), merged)
    pairs = [split(config, num_epochs=EPOCHS, padding=padding) for config in configs]
    specs = {spec for spec, _ in pairs}
    assert len(specs) == 1
    problem = Problem(task_of(number), F, C, PADDED_ROWS, 0, ())
    program = Program("epoch", specs.pop(), T, problem)
    stacks = [
        jax.tree.map(lambda *leaves: np.stack(leaves), *(h for _, h in pairs[start : start + T]))
        for start in range(0, TILES * T, T)
    ]
    return program, [(configs[i * T : i * T + T], stack) for i, stack in enumerate(stacks)]


def config_of(config):
    """The oracle's record of a configuration."""
    shared = {field.name for field in dataclasses.fields(oracle.OracleConfig)} - {
        "num_epochs",
        "hidden_units",
    }
    values = {name: getattr(config, name) for name in shared}
    return oracle.OracleConfig(num_epochs=EPOCHS, hidden_units=config.widths, **values)


def unpadded(tree, widths):
    """One member's params, or a tree like them, as the oracle's list of layers; the rest must be exactly 0."""
    layers, used_in = [], F
    for layer, used in zip(tree.hidden, widths, strict=True):
        arrays = {"kernel": layer.dense.kernel}
        if layer.norm is None:
            arrays["bias"] = layer.dense.bias
        else:
            arrays |= {"gamma": layer.norm.gamma, "beta": layer.norm.beta}
        layers.append({name: cut(array, used_in if array.ndim == 2 else None, used) for name, array in arrays.items()})
        used_in = used
    layers.append({"kernel": cut(tree.output.kernel, used_in, C), "bias": np.array(tree.output.bias)})
    return layers


def cut(array, rows, columns):
    array = np.asarray(array)
    kept = array[:rows, :columns] if array.ndim == 2 else array[:columns]
    assert np.count_nonzero(array) == np.count_nonzero(kept), "padding is not exactly 0"
    return np.array(kept)


def member(state, slot, config, spec):
    """One member as the oracle's state."""
    one = jax.tree.map(lambda leaf: np.asarray(leaf)[slot], state)
    kind = "adam" if config.optimizer == "adamw" else config.optimizer
    direction = one.opt_state[1]
    if len(spec.optimizers) > 1:
        direction = direction[spec.optimizers.index(kind)]
    opt = {}
    for name in oracle.SLOTS[kind]:
        field = next(field for field in SLOTS[name] if hasattr(direction, field))
        opt[name] = unpadded(getattr(direction, field), config.widths)
    bn = [
        {"mean": cut(s.mean, None, used), "var": cut(s.var, None, used), "weight": np.asarray(s.weight)}
        for s, used in zip(one.model_state, config.widths, strict=bool(one.model_state))
    ]
    return oracle.State(unpadded(one.params, config.widths), bn, opt, int(one.step))


def error(got, want):
    """The largest difference of two oracle states: |got - want| / max(1, largest entry) of each array."""
    worst = 0.0
    a, b = ((s.params, s.bn, s.opt) for s in (got, want))
    assert jax.tree.structure(a) == jax.tree.structure(b)
    for x, y in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True):
        if not np.array_equal(x, y, equal_nan=True):
            assert np.isfinite(x).all() and np.isfinite(y).all()
            worst = max(worst, float(np.abs(x - y).max() / max(1.0, np.abs(y).max())))
    return worst


@functools.cache
def uniforms_table():
    """Dropout uniforms from keys: (step key, layer, row, unit), drawn wider than any padding."""

    def of_layer(key, layer):
        key = jax.random.fold_in(key, layer)
        return jax.vmap(lambda row: jax.random.uniform(jax.random.fold_in(key, row), (24,), jnp.float32))(
            jnp.arange(48)
        )

    return jax.jit(lambda key: jnp.stack([of_layer(key, layer) for layer in range(4)]))


def uniforms(epoch_key, index, config, rows):
    table = np.asarray(uniforms_table()(jax.random.fold_in(epoch_key, index)), np.float64)
    return [table[layer, :rows, :width] for layer, width in enumerate(config.widths)]


def rows_of(task):
    x, y, weight = data(task)
    y = y.astype(np.int32) if task == "classification" else y
    x, y, weight = (np.pad(a, [(0, PADDED_ROWS - ROWS)] + [(0, 0)] * (a.ndim - 1)) for a in (x, y, weight))
    return Rows(jnp.asarray(x), jnp.asarray(y), jnp.asarray(weight), jnp.int32(ROWS))


def stepper(program):
    """One step of a tile, as `programs.epoch` takes it, but returning after it."""
    model, loss = programs.model_of(program), programs.LOSSES[program.problem.task]
    one_step = functools.partial(train.step, model=model, spec=program.spec, loss=loss)

    @jax.jit
    def step(key, index, state, rows, order, h):
        size = jnp.minimum(h.batch_size[0], rows.num_rows)
        batch = train.take(rows, order, index, batch_size=size, size=program.spec.batch_size, key=key)
        x = jnp.broadcast_to(batch.x[None], (T, *batch.x.shape))
        return jax.vmap(lambda s, x, h: one_step(s, batch.replace(x=x), h))(state, x, h)

    return step


@functools.cache
def initial(program):
    """The compiled start of a tile."""
    init = functools.partial(train.init, model=programs.model_of(program), spec=program.spec)
    return jax.jit(jax.vmap(init, in_axes=(None, 0)))


def start(program, hyperparams):
    return initial(program)(jax.random.key(SEED), hyperparams)


def orders():
    keys = [jax.random.fold_in(jax.random.key(SEED + 1), epoch) for epoch in range(EPOCHS)]
    return [np.asarray(train.order(key, ROWS, size=PADDED_ROWS)) for key in keys]


def dropout_keys():
    return [jax.random.fold_in(jax.random.key(SEED + 2), epoch) for epoch in range(EPOCHS)]


def rounding(state, x, *rest, **options):
    """How far the oracle's own step moves when inputs, params and activations move by a unit in the last place.

    Where a gradient is 0 but for rounding (of a beta that the next normalisation removes again, of a saturated
    unit), adam and rmsprop divide that rounding by its own size: no two float64 programs agree on such a step.
    """
    rng, exact = np.random.default_rng(0), oracle.activate
    ulp = float(np.finfo(np.float64).eps)

    def nudge(a):
        return a * (1 + ulp * rng.choice([-1, 1], size=np.shape(a)))

    def activate(kind, z):
        a, slope = exact(kind, z)
        return nudge(a), slope + ulp * rng.choice([-1, 1], size=slope.shape)

    want, *_ = oracle.step(state, x, *rest, **options)
    moved = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(oracle, "activate", activate)
        for _ in range(4):
            nudged = dataclasses.replace(state, params=jax.tree.map(nudge, state.params))
            moved.append(error(oracle.step(nudged, nudge(x), *rest, **options)[0], want))
    return max(moved)


def steps_against_the_oracle(number):
    """(configuration, error of the state, of the loss, what rounding explains) of each step."""
    program, of_spec = tiles(number)
    x, y, weight = data(program.problem.task)
    rows, step = rows_of(program.problem.task), stepper(program)
    for configs, h in of_spec:
        state = start(program, h)
        size = min(configs[0].batch_size, ROWS)
        steps = -(-ROWS // size)
        before = [member(state, slot, config, program.spec) for slot, config in enumerate(configs)]
        for order, key in zip(orders(), dropout_keys(), strict=True):
            for index in range(steps):
                state, metrics = step(key, index, state, rows, order, h)
                taken = order[:ROWS][index * size : index * size + size]
                after = [member(state, slot, config, program.spec) for slot, config in enumerate(configs)]
                for slot, config in enumerate(configs):
                    given = (before[slot], x[taken], y[taken], config_of(config))
                    options = {
                        "steps_per_epoch": steps,
                        "uniforms": uniforms(key, index, config, len(taken)) if config.dropout else None,
                        "weight": weight[taken],
                    }
                    want, loss, _ = oracle.step(*given, **options)
                    assert want.step == after[slot].step
                    of_state = error(after[slot], want)
                    of_loss = abs(float(metrics.loss[slot]) - loss) / max(1.0, abs(loss))
                    excused = rounding(*given, **options) if of_state > STEP_TOLERANCE else 0.0
                    yield config, of_state, of_loss, excused
                before = after


def epochs_against_the_oracle(number):
    """(configuration, error of the state, of the losses) after three epochs."""
    program, of_spec = tiles(number)
    x, y, weight = data(program.problem.task)
    rows = rows_of(program.problem.task)
    epoch = jax.jit(functools.partial(programs.epoch, program=program))
    for configs, h in of_spec:
        state = start(program, h)
        alone = [member(state, slot, config, program.spec) for slot, config in enumerate(configs)]
        losses = np.zeros((EPOCHS, T))
        together = np.zeros((EPOCHS, T))
        for number_of_epoch, (order, key) in enumerate(zip(orders(), dropout_keys(), strict=True)):
            state, metrics = epoch(key, state, rows, order, h)
            together[number_of_epoch] = metrics.loss
            for slot, config in enumerate(configs):
                steps = -(-ROWS // min(config.batch_size, ROWS))
                draws = functools.partial(
                    lambda step, config, key, first: uniforms(key, step - first, config, 48),
                    config=config,
                    key=key,
                    first=number_of_epoch * steps,
                )
                alone[slot], losses[number_of_epoch, slot] = oracle.epoch(
                    alone[slot],
                    x,
                    y,
                    order[:ROWS],
                    config_of(config),
                    draws if config.dropout else None,
                    weight,
                )
        for slot, config in enumerate(configs):
            got = member(state, slot, config, program.spec)
            wrong = np.abs(together[:, slot] - losses[:, slot]) / np.maximum(1, np.abs(losses[:, slot]))
            yield config, error(got, alone[slot]), wrong.max()


def test_the_configurations_span_the_hyperparameters():
    configs = [config for number in range(NUM_SPECS) for config in cases(number)]
    assert len(configs) == 288 and len(set(configs)) == 288
    for name, options in {
        "optimizer": OPTIMIZERS,
        "decay_kind": DECAY_KINDS,
        "activation": ACTIVATIONS,
        "normalization": NORMALIZATIONS,
        "num_layers": range(5),
        "batch_size": BATCH_SIZES,
    }.items():
        counts = Counter(getattr(config, name) for config in configs)
        assert set(counts) == set(options) and min(counts.values()) >= 8, name
    for name in (*TRACED, "eps", "dropout", "label_smoothing", "clip_norm"):
        assert len({getattr(config, name) for config in configs}) >= (6 if name == "decay_kind" else 60), name
    assert sum(len(set(config.widths)) > 1 for config in configs) >= 80
    assert len({tiles(number)[0] for number in range(NUM_SPECS)}) == NUM_SPECS
    # Every optimizer in a program of its own, and merged with others.
    assert {tiles(number)[0].spec.optimizers for number in range(NUM_SPECS)} == {
        MERGED,
        *((kind,) for kind in MERGED),
    }


@pytest.mark.parametrize("number", range(NUM_SPECS))
def test_each_single_step_from_a_common_state_equals_the_oracle(number):
    with jax.enable_x64(True):
        for config, of_state, of_loss, excused in steps_against_the_oracle(number):
            assert of_state <= max(STEP_TOLERANCE, 4 * excused), config
            assert of_loss <= STEP_TOLERANCE, config
            if excused:
                assert config.optimizer in ("rmsprop", "adam", "adamw"), config


@pytest.mark.parametrize("part", range(4))
def test_three_epochs_equal_the_oracle(part):
    with jax.enable_x64(True):
        results = [result for number in range(part, NUM_SPECS, 4) for result in epochs_against_the_oracle(number)]
    errors = np.array([max(of_state, of_loss) for _, of_state, of_loss in results])
    assert len(errors) == 72
    assert (errors <= EPOCHS_TOLERANCE).mean() >= 0.95, np.sort(errors)[-8:]
