"""Flax modules, of Linen or NNX, as architectures that a sweep can train.

The fields of a module that are numbers, texts or truth values are its hyperparameters. One that is named like a
hyperparameter of the table (`dropout`, `bn_decay`, `hidden_units` ...) is that one; the others are the module's own,
and a `Space` may search them under their names. `num_outputs` (or `num_classes`) and `num_inputs` are told, where a
module has them.

What is traced through the compiled program reaches the module as a traced scalar: `dropout`, `init_scale`, `bn_decay`
and `bn_epsilon` of the table, and its own fields that are listed as `traced`. Everything else shapes a program of its
own. Flax's own `Dropout` compares its rate with 0 in Python, which a traced number cannot be; the `Dropout` and
`NNXDropout` here take one.
"""

import dataclasses
import inspect
import math
import operator
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn
from flax import nnx
from jax import Array

from jaxbn.engine import keys
from jaxbn.errors import UserError
from jaxbn.interop.flax_dropout import Dropout, NNXDropout
from jaxbn.nn.types import Architecture, Hyperparams, Loss, Model, PyTree, Spec, Variables
from jaxbn.search import HYPERPARAMETERS, Config
from jaxbn.search.split import TRACED
from jaxbn.study.frames import COLUMNS

__all__ = ["Dropout", "NNXDropout", "from_linen", "from_nnx"]

OUTPUTS, INPUTS = ("num_outputs", "num_classes"), ("num_inputs",)
TRAINING = {"training": True, "train": True, "deterministic": False, "use_running_average": False}
"""What modules call the argument that says whether they train, and what it is when they do."""
MASKS = ("where", "mask")
"""What they call the rows that exist, bool [B]."""
VARIADIC = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)


def from_linen(
    module: type[nn.Module],
    *,
    input_shape: Sequence[int] | None = None,
    traced: Sequence[str] = (),
    loss: Loss | None = None,
) -> Architecture:
    """An architecture of a Linen module.

    Its `__call__` takes the inputs, and by name what it needs of: `training` (or `train`, `deterministic`,
    `use_running_average`); `where` (or `mask`), bool [B], which rows exist. One that does not take `where` cannot mask
    rows: the last mini-batch of an epoch is then compiled with a shape of its own, and each batch size is a program.

    Args:
        module: the class; its parameters are the collection "params", and what it carries are all others.
        input_shape: of a row, to which the features are reshaped; None leaves them flat.
        traced: its own fields that are traced.
        loss: what training minimises, `(outputs [B, C], batch, hyperparams, *, spec) -> Metrics`; None is the loss of
            the task. Validation scores stay those of the task.

    Returns:
        The architecture, equal to another one of the same arguments: hand it to a `Space`.

    Raises:
        UserError: it is no class of Linen modules; a field is named like a hyperparameter of the training; what is
            traced is no field; the input shape is no list of sizes; or it has no `__call__`, or one with an
            argument, without a default or with a truth value as one, that nobody would tell it.

    Example:
        >>> class Net(nn.Module):
        ...     num_outputs: int
        ...     features: int = 8
        ...     dropout: float = 0.1
        ...
        ...     @nn.compact
        ...     def __call__(self, x, *, training, where=None):
        ...         x = nn.BatchNorm(use_running_average=not training)(nn.Dense(self.features)(x), mask=where[:, None])
        ...         return nn.Dense(self.num_outputs)(Dropout(self.dropout)(nn.relu(x), training=training))
        >>> architecture = from_linen(Net)
        >>> architecture.masks_rows, architecture.defaults
        (True, (('features', 8), ('dropout', 0.1)))
    """
    _check_class(module, nn.Module, "Linen")
    fields = {
        field.name: field.default
        for field in dataclasses.fields(module)
        if field.name not in ("parent", "name") and field.default_factory is dataclasses.MISSING
    }
    return _architecture(module, fields, dataclasses.MISSING, _linen_model, input_shape, traced, loss)


def from_nnx(
    module: type[nnx.Module],
    *,
    input_shape: Sequence[int] | None = None,
    traced: Sequence[str] = (),
    loss: Loss | None = None,
) -> Architecture:
    """An architecture of an NNX module.

    The arguments of its constructor are its hyperparameters, beside `rngs`. Its `train()` and `eval()` are called; its
    `__call__` takes the inputs, and what it needs of `training` and `where` as for `from_linen`. Its parameters are its
    variables of type `nnx.Param`, and what it carries those of type `nnx.BatchStat`.

    Args:
        module: the class.
        input_shape: as for `from_linen`.
        traced: arguments of its own that are traced.
        loss: as for `from_linen`.

    Returns:
        The architecture, equal to another one of the same arguments.

    Raises:
        UserError: as `from_linen`; or its constructor does not take `rngs`.

    Example:
        >>> class Net(nnx.Module):
        ...     def __init__(self, num_inputs, num_outputs, features=8, *, rngs):
        ...         self.hidden = nnx.Linear(num_inputs, features, rngs=rngs)
        ...         self.output = nnx.Linear(features, num_outputs, rngs=rngs)
        ...
        ...     def __call__(self, x):
        ...         return self.output(nnx.relu(self.hidden(x)))
        >>> from_nnx(Net).defaults
        (('features', 8),)
    """
    _check_class(module, nnx.Module, "NNX")
    parameters = list(inspect.signature(module.__init__).parameters.values())[1:]
    takes_rngs = any(one.name == "rngs" or one.kind == inspect.Parameter.VAR_KEYWORD for one in parameters)
    if not takes_rngs or module.__init__ is object.__init__:
        raise UserError(
            f"the constructor of {module.__name__} takes no rngs, with which its weights are drawn: add the argument"
        )
    fields = {one.name: one.default for one in parameters if one.name != "rngs" and one.kind not in VARIADIC}
    return _architecture(module, fields, inspect.Parameter.empty, _nnx_model, input_shape, traced, loss)


def _check_class(given: Any, kind: type, family: str) -> None:
    if not isinstance(given, type) or not issubclass(given, kind):
        what = f"the class {given.__name__}" if isinstance(given, type) else f"an instance of {type(given).__name__}"
        raise UserError(
            f"from_{family.lower()} was given {what} and takes a class of {family} modules: give the class, and the "
            "values of its fields to the Space"
        )


def _architecture(
    module: type,
    fields: Mapping[str, Any],
    missing: Any,
    model: "Callable[[_Maker, bool], Model]",
    input_shape: Sequence[int] | None,
    traced: Sequence[str],
    loss: Loss | None,
) -> Architecture:
    if isinstance(traced, str):
        raise UserError(f"traced = {traced!r} is a text: give a list of names, such as [{traced!r}]")
    shape = None if input_shape is None else _row_shape(input_shape)
    defaults = {}
    for name, default in fields.items():
        if name in (*OUTPUTS, *INPUTS):
            continue
        if name in HYPERPARAMETERS and not HYPERPARAMETERS[name].of_network:
            raise UserError(f"{module.__name__} has a field {name}, which is the training's: give it another name")
        if name not in HYPERPARAMETERS and (hasattr(Config, name) or name in COLUMNS or name.startswith("valid_")):
            raise UserError(f"{module.__name__} has a field {name}, a name that tables need: give it another")
        if default is missing:
            defaults[name] = None
        elif isinstance(default, int | float | str | bool):
            defaults[name] = default
        # What is no plain value, such as an initializer, stays as the module has it.
    for name in traced:
        if name not in defaults or name in HYPERPARAMETERS:
            raise UserError(f"traced names {name!r}, which is no field of {module.__name__} of its own: leave it out")
    call = _arguments(module)
    # Whoever has nothing that looks at other rows has nothing to mask; that cannot be seen from here.
    masks_rows = any(name in call for name in MASKS)
    told = tuple(name for name in fields if name in (*OUTPUTS, *INPUTS))
    read = tuple(name for name in defaults if name in TRACED)
    return Architecture(
        name=module.__name__,
        defaults=tuple(defaults.items()),
        traced=tuple(traced),
        masks_rows=masks_rows,
        build=_Build(model, module, shape, told, read, call, masks_rows),
        loss=loss,
        about=(
            ("input_shape", None if shape is None else "x".join(map(str, shape))),
            ("loss", None if loss is None else getattr(loss, "__qualname__", type(loss).__qualname__)),
        ),
    )


def _row_shape(input_shape: Sequence[int]) -> tuple[int, ...]:
    try:
        shape = tuple(map(operator.index, input_shape))
    except TypeError:
        shape = (0,)
    if any(size < 1 for size in shape):
        raise UserError(
            f"input_shape = {input_shape!r} is no list of sizes, whole numbers from 1: give the shape of a row, such "
            "as (8, 8, 1)"
        )
    return shape


def _arguments(module: type) -> tuple[str, ...]:
    """What a module's `__call__` takes beside itself and the inputs."""
    if not issubclass(module, Callable):
        raise UserError(f"{module.__name__} has no __call__: write one that takes the inputs and returns the outputs")
    parameters = [one for one in inspect.signature(module.__call__).parameters.values() if one.kind not in VARIADIC]
    first = [one for one in parameters if one.kind != inspect.Parameter.KEYWORD_ONLY][:2]
    others = [one for one in parameters if one not in first]
    for one in others:
        # A training flag of another name would stay at its default for ever.
        needed = one.default is inspect.Parameter.empty or isinstance(one.default, bool)
        if needed and one.name not in TRAINING and one.name not in MASKS:
            raise UserError(
                f"the __call__ of {module.__name__} takes {one.name}, which nobody would tell it: name it "
                f"{' or '.join(TRAINING)} if it says whether to train, {' or '.join(MASKS)} if it says which rows "
                "exist, and else make it a field"
            )
    return tuple(one.name for one in others)


@dataclasses.dataclass(frozen=True)
class _Build:
    """What builds the models of an architecture; a record, so that architectures of the same arguments are equal.

    Attributes:
        model: builds one from what makes the module, and whether it masks rows.
        module: the class.
        input_shape: of a row; None is flat.
        told: sizes of the data that it takes.
        read: traced hyperparameters of the table that it takes.
        call: arguments of its `__call__` beside the inputs.
        masks_rows: whether one of them says which rows exist.
    """

    model: "Callable[[_Maker, bool], Model]"
    module: type
    input_shape: tuple[int, ...] | None
    told: tuple[str, ...]
    read: tuple[str, ...]
    call: tuple[str, ...]
    masks_rows: bool

    def __call__(self, spec: Spec, *, num_inputs: int, num_outputs: int) -> Model:
        shape = (num_inputs,) if self.input_shape is None else self.input_shape
        if math.prod(shape) != num_inputs:
            raise UserError(
                f"{self.module.__name__} takes rows of shape {shape}, {math.prod(shape)} numbers, and the data have "
                f"{num_inputs}: give the input_shape of these data"
            )
        sizes = {name: num_outputs if name in OUTPUTS else num_inputs for name in self.told}
        make = _Maker(self.module, {**dict(spec.own), **sizes}, self.read, self.call, shape)
        return self.model(make, self.masks_rows)


@dataclasses.dataclass(frozen=True)
class _Maker:
    """A module from hyperparameters, traced ones among them, and its inputs.

    Attributes:
        module: the class.
        fixed: arguments that are not traced.
        read: traced hyperparameters of the table that it takes.
        call: arguments of its `__call__` beside the inputs.
        shape: of a row.
    """

    module: type
    fixed: Mapping[str, Any]
    read: tuple[str, ...]
    call: tuple[str, ...]
    shape: tuple[int, ...]

    def __call__(self, hyperparams: Hyperparams, **more: Any) -> Any:
        traced = {name: getattr(hyperparams, name) for name in self.read} | (hyperparams.own or {})
        return self.module(**self.fixed, **traced, **more)

    def arguments(self, *, training: bool, where: Array | None) -> dict[str, Any]:
        """What its `__call__` is told."""
        told = {name: sign if training else not sign for name, sign in TRAINING.items() if name in self.call}
        return told | {name: where for name in MASKS if name in self.call}

    def rows(self, x: Array) -> Array:
        """Rows of features in the shape that it takes."""
        return x.reshape(x.shape[0], *self.shape)


def _linen_model(make: _Maker, masks_rows: bool) -> Model:
    def init(key: Array, hyperparams: Hyperparams) -> Variables:
        row = make.rows(jnp.zeros((1, math.prod(make.shape))))
        where = jnp.ones(1, bool)
        variables = dict(make(hyperparams).init({"params": key}, row, **make.arguments(training=False, where=where)))
        return _as_real(Variables(variables.pop("params", {}), variables))

    def apply(
        variables: Variables,
        x: Array,
        hyperparams: Hyperparams,
        *,
        training: bool,
        where: Array | None = None,
        key: Array | None = None,
    ) -> tuple[Array, PyTree]:
        module, x = make(hyperparams), make.rows(x)
        given = make.arguments(training=training, where=_all_of(x) if where is None else where)
        collections = {"params": variables.params, **variables.model_state}
        if not training:
            return _wide(module.apply(collections, x, **given)), variables.model_state
        rngs = None if key is None else {"dropout": key}
        outputs, state = module.apply(collections, x, mutable=list(variables.model_state), rngs=rngs, **given)
        return _wide(outputs), _like(variables.model_state, dict(state))

    return Model(init, apply, masks_rows)


def _nnx_model(make: _Maker, masks_rows: bool) -> Model:
    def init(key: Array, hyperparams: Hyperparams) -> Variables:
        module = make(hyperparams, rngs=nnx.Rngs(key))
        others = nnx.state(module, nnx.All(nnx.Variable, nnx.Not(nnx.Any(nnx.Param, nnx.BatchStat, nnx.RngState))))
        if jax.tree.leaves(others):
            names = ", ".join(map(str, nnx.to_pure_dict(others)))
            raise UserError(
                f"{make.module.__name__} has variables that are neither nnx.Param nor nnx.BatchStat ({names}), which "
                "would be lost: make them one of these"
            )
        return _as_real(Variables(*(nnx.to_pure_dict(nnx.state(module, kind)) for kind in (nnx.Param, nnx.BatchStat))))

    def apply(
        variables: Variables,
        x: Array,
        hyperparams: Hyperparams,
        *,
        training: bool,
        where: Array | None = None,
        key: Array | None = None,
    ) -> tuple[Array, PyTree]:
        # Made anew, because a module holds its hyperparameters; weights that are drawn in vain are never computed. The
        # constructor draws alike each time: only dropout is new.
        module = make(hyperparams, rngs=nnx.Rngs(keys.key(), dropout=keys.key() if key is None else key))
        for kind, values in ((nnx.Param, variables.params), (nnx.BatchStat, variables.model_state)):
            state = nnx.state(module, kind)
            nnx.replace_by_pure_dict(state, values)
            nnx.update(module, state)
        module.train() if training else module.eval()
        x = make.rows(x)
        outputs = module(x, **make.arguments(training=training, where=_all_of(x) if where is None else where))
        if not training:
            return _wide(outputs), variables.model_state
        return _wide(outputs), _like(variables.model_state, nnx.to_pure_dict(nnx.state(module, nnx.BatchStat)))

    return Model(init, apply, masks_rows)


def _all_of(x: Array) -> Array:
    return jnp.ones(x.shape[0], bool)


def _as_real(tree: PyTree) -> PyTree:
    """A tree in the float type that is enabled: Flax draws float32 whatever it is."""
    return jax.tree.map(lambda a: a.astype(float) if jnp.issubdtype(a.dtype, jnp.floating) else a, tree)


def _wide(outputs: Any) -> Any:
    """Outputs in which losses and scores are computed, whatever the module computes in."""
    # What is no array is refused by `jaxbn.engine.work`, which knows whose it is.
    return outputs.astype(jnp.promote_types(outputs.dtype, jnp.float32)) if hasattr(outputs, "astype") else outputs


def _like(old: PyTree, new: PyTree) -> PyTree:
    """New values in the types of the old ones: a mean with a traced decay may be wider.

    Raises:
        UserError: they are of other shapes, or others.
    """
    shapes = [[(path, leaf.shape) for path, leaf in jax.tree.leaves_with_path(tree)] for tree in (old, new)]
    if shapes[0] != shapes[1]:
        raise UserError(
            "what the module carries beside its parameters changes its shape in training, as what is sown does: keep "
            f"batch statistics alone ({', '.join(old) or 'none'} before, {', '.join(new) or 'none'} after a step)"
        )
    return jax.tree.map(lambda a, b: b.astype(a.dtype), old, new)
