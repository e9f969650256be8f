"""The compiled programs. Each advances all members of a tile; each is written for one network and vmapped once.

There are three kinds. `init` draws the initial weights, `epoch` trains for an epoch, `evaluate` scores the members on a
split. Initial weights and scores do not depend on the optimizer, so far fewer of those two are needed.
"""

import dataclasses
import functools
import threading
from collections.abc import Callable
from typing import Any

import flax.struct
import jax
import jax.numpy as jnp
from jax import Array

from jaxbn.engine import keys
from jaxbn.engine.traces import traced
from jaxbn.engine.work import Sizes, network
from jaxbn.nn import losses, metrics, train
from jaxbn.nn.optimizers import optimizer
from jaxbn.nn.types import Batch, Device, Hyperparams, Leaf, Metrics, Model, PyTree, Rows, Spec, TrainState, Variables

CHUNK = 128
"""Rows that are evaluated at a time: enough to fill the matrix units, few enough for the cache."""

IN_UNITS = ("mse", "mae")
"""Scores that are in the units of the targets; the others do not change with them."""

LOSSES = {"classification": losses.softmax_cross_entropy, "regression": losses.mean_squared_error}
MATMUL = {"float32": "highest", "tf32": "tensorfloat32", "bfloat16": "default"}
"""What JAX is asked for; where everything is bfloat16 there is nothing to ask."""
OPTIONS: dict[str, dict[str, str | bool]] = {"gpu": {"xla_gpu_enable_triton_gemm": False}}
"""What a compiler is told: on an H200, products by the library's kernels make steps up to a tenth slower than generated
ones do, and compile in a quarter of the time."""

METRICS = {"classification": metrics.CLASSIFICATION, "regression": metrics.REGRESSION}


@dataclasses.dataclass(frozen=True)
class Problem:
    """What a program must know of the data.

    Attributes:
        task: "classification" or "regression".
        num_inputs: how many, F.
        num_outputs: how many, C.
        train_rows: rows of the training split, padded.
        valid_rows: rows of the validation split, padded to a multiple of `CHUNK`.
        metrics: names of the scores; the first is the loss.
    """

    task: str
    num_inputs: int
    num_outputs: int
    train_rows: int
    valid_rows: int
    metrics: tuple[str, ...]


@dataclasses.dataclass(frozen=True)
class Program:
    """The key of a compiled executable.

    Attributes:
        kind: "init", "epoch" or "evaluate".
        spec: of its members.
        tile_size: T, how many members.
        problem: sizes of the data.
        steps: of an epoch, where all members that it is for have as many and that helps; 0 leaves it to the data.
    """

    kind: str
    spec: Spec
    tile_size: int
    problem: Problem
    steps: int = 0


@flax.struct.dataclass
class Report:
    """What an evaluation tells of each member.

    Attributes:
        scores: [T, M], in the order of the problem's metrics.
        finite: bool [T], whether all weights and statistics are.
    """

    scores: Leaf
    finite: Leaf


def sizes_of(problem: Problem) -> Sizes:
    """Inputs and outputs of a problem's networks."""
    return Sizes(problem.num_inputs, problem.num_outputs)


def model_of(program: Program) -> Model:
    """The network of a program."""
    return network(program.spec, sizes_of(program.problem))


def of_init(program: Program) -> Program:
    """The program that draws the weights of the members of an epoch program."""
    spec = _without_training(program.spec)
    problem = dataclasses.replace(program.problem, train_rows=0, valid_rows=0, metrics=())
    return dataclasses.replace(program, kind="init", spec=spec, problem=problem, steps=0)


def of_evaluate(program: Program) -> Program:
    """The program that scores the members of an epoch program."""
    problem = dataclasses.replace(program.problem, train_rows=0)
    spec = _without_training(program.spec)
    return dataclasses.replace(program, kind="evaluate", spec=spec, problem=problem, steps=0)


def _without_training(spec: Spec) -> Spec:
    names = ("widths", "activation", "normalization", "precision", "architecture", "own")
    kept = {name: getattr(spec, name) for name in names}
    return Spec(**kept, batch_size=0, optimizers=("sgd",))


def init(key: Array, hyperparams: Hyperparams, *, program: Program) -> Variables:
    """Initial weights and statistics of all members from one key."""
    model = model_of(program)
    return jax.vmap(model.init, in_axes=(None, 0))(key, hyperparams)


def start(variables: Variables, opt_state: PyTree) -> TrainState:
    """Members before their first update."""
    step = jnp.zeros(jax.tree.leaves(variables)[0].shape[0], jnp.int32)
    return TrainState(variables.params, variables.model_state, opt_state, step)


def fresh_opt_state(params: PyTree, *, spec: Spec) -> PyTree:
    """The optimizer's state of all members before the first update. No hyperparameter and no weight enters it."""
    return jax.vmap(optimizer(Hyperparams(), spec=spec).init)(params)


def epoch(
    key: Array, state: TrainState, rows: Rows, order: Array, hyperparams: Hyperparams, *, program: Program
) -> tuple[TrainState, Metrics]:
    """Train every member for an epoch on the same mini-batches."""
    spec, tile_size, model = program.spec, program.tile_size, model_of(program)
    own_loss = None if spec.architecture is None else spec.architecture.loss
    one_step = functools.partial(train.step, model=model, spec=spec, loss=own_loss or LOSSES[program.problem.task])

    def step(state: TrainState, batch: Batch, hyperparams: Hyperparams) -> tuple[TrainState, Metrics]:
        # A mini-batch without a member axis would make XLA transpose the weights of the first layer instead.
        x = jnp.broadcast_to(batch.x[None], (tile_size, *batch.x.shape))
        return jax.vmap(lambda s, x, h: one_step(s, dataclasses.replace(batch, x=x), h))(state, x, hyperparams)

    # All members of a tile have one batch size, so the number of steps is one number, not one per member.
    with jax.default_matmul_precision(MATMUL[program.spec.precision]):
        if not model.masks_rows:
            return train.epoch_without_masks(
                key, state, rows, order, hyperparams, batch_size=spec.batch_size, step=step
            )
        return train.epoch(
            key,
            state,
            rows,
            order,
            hyperparams,
            batch_size=hyperparams.batch_size[0],
            size=spec.batch_size,
            step=step,
            steps=program.steps or None,
        )


def evaluate(
    variables: Variables, hyperparams: Hyperparams, rows: Rows, target_scale: Array, *, program: Program
) -> Report:
    """Score all members on a split.

    Args:
        variables: of all members.
        hyperparams: of all members.
        rows: the split.
        target_scale: [C], what regression targets were divided by. Scores that have
            units are of the targets as they were given.
        program: of kind "evaluate".

    Returns:
        A report of [T] members.
    """
    problem = program.problem
    table = {metric.name: metric for metric in METRICS[problem.task]}
    where = jnp.arange(rows.x.shape[0]) < rows.num_rows

    def one(variables: Variables, hyperparams: Hyperparams) -> Report:
        outputs = train.evaluate(variables, rows.x, rows.num_rows, hyperparams, model=model_of(program), size=CHUNK)
        scores = []
        for name in problem.metrics:
            scale = target_scale if name in IN_UNITS else None
            given = (outputs, rows.y) if scale is None else (outputs * scale[None], rows.y * scale[None])
            scores.append(table[name].score(*given, where).astype(outputs.dtype))
        finite = jnp.isfinite(jnp.concatenate([leaf.ravel() for leaf in jax.tree.leaves(variables)])).all()
        return Report(jnp.stack(scores), finite)

    with jax.default_matmul_precision(MATMUL[program.spec.precision]):
        return jax.vmap(one)(variables, hyperparams)


FUNCTIONS: dict[str, Callable[..., Any]] = {"init": init, "epoch": epoch, "evaluate": evaluate}


def function(program: Program) -> Callable[..., Any]:
    """The Python function that a program compiles, named after its kind so that compilations can be counted."""

    def run(*arguments: Any) -> Any:
        return FUNCTIONS[program.kind](*arguments, program=program)

    run.__name__ = run.__qualname__ = f"jaxbn_{program.kind}"
    return run


def arguments(program: Program) -> tuple[Any, ...]:
    """Shapes and types of what a program takes."""
    problem, spec, size = program.problem, program.spec, program.tile_size
    real = jax.dtypes.canonicalize_dtype(float)
    key = jax.eval_shape(keys.key)
    whole = ("optimizer", "decay_kind", "num_epochs", "batch_size")
    traced = None if spec.architecture is None else spec.architecture.traced
    own = None if traced is None else {name: jax.ShapeDtypeStruct((size,), real) for name in traced}
    hyperparams = Hyperparams(
        **{
            field.name: jax.ShapeDtypeStruct((size,), jnp.int32 if field.name in whole else real)
            for field in dataclasses.fields(Hyperparams)
            if field.name not in ("hidden_units", "own")
        },
        own=own,
        hidden_units=jax.ShapeDtypeStruct((size, len(spec.widths)), jnp.int32),
    )
    if program.kind == "init":
        return key, hyperparams

    variables = _drawn(of_init(program), real)
    if program.kind == "evaluate":
        rows = _rows(problem, problem.valid_rows, real)
        return variables, hyperparams, rows, jax.ShapeDtypeStruct((problem.num_outputs,), real)

    opt_state = jax.eval_shape(functools.partial(fresh_opt_state, spec=spec), variables.params)
    state = jax.eval_shape(start, variables, opt_state)
    rows = _rows(problem, problem.train_rows, real)
    return key, state, rows, jax.ShapeDtypeStruct((problem.train_rows,), jnp.int32), hyperparams


def _rows(problem: Problem, num_rows: int, real: Any) -> Rows:
    y = (
        jax.ShapeDtypeStruct((num_rows,), jnp.int32)
        if problem.task == "classification"
        else jax.ShapeDtypeStruct((num_rows, problem.num_outputs), real)
    )
    x = jax.ShapeDtypeStruct((num_rows, problem.num_inputs), real)
    weight = jax.ShapeDtypeStruct((num_rows,), real)
    return Rows(x, y, weight, jax.ShapeDtypeStruct((), jnp.int32))


def results(program: Program) -> Any:
    """Something of the structure that a program returns."""
    if program.kind == "init":
        return _drawn(program, jax.dtypes.canonicalize_dtype(float))
    return Report(0, 0) if program.kind == "evaluate" else (arguments(program)[1], Metrics(0, 0))


@functools.lru_cache(maxsize=4096)
def _drawn(program: Program, real: Any) -> Variables:
    """Shapes and types of what a program draws, which programs of the other kinds take."""
    del real  # Reals are of this type while the program is traced.
    return jax.eval_shape(functools.partial(init, program=program), *arguments(program))


Key = tuple[Program, Device, bool]
Executable = Callable[..., Any]

MOST_KEPT = 1024
"""Executables that a process holds: each takes some ten maps of memory, of which Linux gives it 65,530."""


def executable(program: Program, device: Device) -> Executable:
    """The compiled program on a device; compiled at most once in a process."""
    key = _key(program, device)
    # Several programs compile at a time, and share those that draw weights and evaluate: whoever comes second waits.
    with _COMPILING.setdefault(key, threading.Lock()):
        try:
            found = _COMPILED.get(key) or _compiled(*key)
        finally:
            # Whoever comes now finds the program, unless this failed.
            _COMPILING.pop(key, None)
        with _TIDYING:
            # The one that was asked for last is the last to go.
            _COMPILED.pop(key, None)
            _COMPILED[key] = found
            while len(_COMPILED) > MOST_KEPT:
                del _COMPILED[next(iter(_COMPILED))]
    return found


def is_compiled(program: Program, device: Device) -> bool:
    """Whether a program is there for a device, compiled."""
    return _key(program, device) in _COMPILED


_COMPILING: dict[Key, threading.Lock] = {}
_COMPILED: dict[Key, Executable] = {}
_TIDYING = threading.Lock()


def _key(program: Program, device: Device) -> Key:
    return program, device, jax.dtypes.canonicalize_dtype(float) == jnp.float64


def _compiled(program: Program, device: Device, x64: bool) -> Executable:
    given, given_back = arguments(program), jax.tree.structure(results(program))
    leaves, structure = jax.tree.flatten(given)
    nested = function(program)

    @functools.wraps(nested)
    def flat(*leaves: Array) -> list[Array]:
        return jax.tree.leaves(nested(*jax.tree.unflatten(structure, leaves)))

    # What a program of an architecture depends on is code that nobody here knows.
    about, known = f"{program} x64={x64}", program.spec.architecture is None
    work = traced(flat, leaves, name=nested.__name__, platform=device.platform, about=about) if known else flat
    # On a CPU donation gains nothing and sometimes costs; the state before the call also stays the last good one.
    consumes = program.kind == "epoch" and device.platform != "cpu"
    state = range(1, 1 + len(jax.tree.leaves(given[1]))) if consumes else ()
    placed = jax.sharding.SingleDeviceSharding(device)
    shapes = [jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=placed) for leaf in leaves]
    compiled = jax.jit(work, donate_argnums=tuple(state)).lower(*shapes).compile(OPTIONS.get(device.platform))
    return lambda *arguments: jax.tree.unflatten(given_back, compiled(*jax.tree.leaves(arguments)))
