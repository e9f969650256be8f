"""How much work a network is: its weights, and the operations that a row takes."""

import dataclasses
import functools
import itertools
import math
from collections.abc import Iterator, Mapping
from typing import Any

import jax
import jax.numpy as jnp

from jaxbn.engine import keys
from jaxbn.errors import UserError
from jaxbn.nn.mlp import mlp
from jaxbn.nn.types import Hyperparams, Model, PyTree, Spec, Variables

CONVOLUTION, PRODUCT = "conv_general_dilated", "dot_general"
SIZED = ("Shapes must be", "Only integer scalar arrays can be converted to a scalar index")
"""How JAX says that a traced number is no width, and no index: it has no type of error for that."""


@dataclasses.dataclass(frozen=True)
class Sizes:
    """Inputs and outputs of the networks."""

    num_inputs: int
    num_outputs: int


@dataclasses.dataclass(frozen=True)
class Work:
    """What a padded network is made of.

    Attributes:
        params: weights.
        statistics: numbers that it carries beside them.
        products: multiplications and additions of its products and convolutions for a row, forwards.
        units: numbers that those give for a row.
        convolves: whether it has convolutions.
    """

    params: int
    statistics: int
    products: int
    units: int
    convolves: bool = False


def network(spec: Spec, sizes: Sizes) -> Model:
    """The network of a specification: an MLP, or what an architecture builds."""
    build = mlp if spec.architecture is None else spec.architecture.build
    return build(spec, num_inputs=sizes.num_inputs, num_outputs=sizes.num_outputs)


def drawn(spec: Spec, sizes: Sizes) -> Variables:
    """Shapes and types of one network's weights and statistics."""
    return jax.eval_shape(network(spec, sizes).init, keys.key(), stand_in(spec))


def stand_in(spec: Spec) -> Hyperparams:
    """Hyperparameters of one network, of the right structure: only shapes are asked for."""
    own = None if spec.architecture is None else dict.fromkeys(spec.architecture.traced, jnp.zeros(()))
    return Hyperparams(own=own)


def work_of(spec: Spec, sizes: Sizes) -> Work:
    """How much work a network is.

    Raises:
        UserError: an architecture has no parameters, or its outputs are not those of the data.

    Example:
        >>> work_of(Spec(widths=(8,)), Sizes(4, 3))
        Work(params=75, statistics=16, products=112, units=11, convolves=False)
    """
    if spec.architecture is not None:
        return _traced(spec, sizes)
    kernels = sum(a * b for a, b in itertools.pairwise((sizes.num_inputs, *spec.widths, sizes.num_outputs)))
    normalized = spec.normalization == "batch"
    params = kernels + sizes.num_outputs + (2 if normalized else 1) * sum(spec.widths)
    statistics = 2 * sum(spec.widths) if normalized else 0
    return Work(params, statistics, 2 * kernels, sum(spec.widths) + sizes.num_outputs)


def _traced(spec: Spec, sizes: Sizes) -> Work:
    # What only training reads is left out of the key.
    return _traced_once(dataclasses.replace(spec, batch_size=0, optimizers=(), clip_norm=False), sizes)


@functools.lru_cache(maxsize=4096)
def _traced_once(spec: Spec, sizes: Sizes) -> Work:
    assert spec.architecture is not None
    name, model = spec.architecture.name, network(spec, sizes)

    def forward(variables: Variables, x: jax.Array, hyperparams: Hyperparams, *, training: bool) -> Any:
        key = keys.key() if training else None
        return model.apply(variables, x, hyperparams, training=training, key=key)[0]

    row = jax.ShapeDtypeStruct((1, sizes.num_inputs), jax.dtypes.canonicalize_dtype(float))
    try:
        variables = drawn(spec, sizes)
        if not jax.tree.leaves(variables.params):
            raise UserError(f"{name} has no parameters and nothing could be trained: give it a layer that has some")
        # What only training does should be found out before anything compiles.
        jax.eval_shape(functools.partial(forward, training=True), variables, row, stand_in(spec))
        once = functools.partial(forward, training=False)
        program, shape = jax.make_jaxpr(once, return_shape=True)(variables, row, stand_in(spec))
    except TypeError as error:
        sized = spec.architecture.traced and str(error).startswith(SIZED)
        if not sized and not isinstance(error, jax.errors.ConcretizationTypeError):
            raise
        raise UserError(
            f"{name} looks at the value of a hyperparameter that is traced, as Flax's Dropout or a width does, and has "
            "none while it is compiled: use the Dropout of jaxbn.interop.flax, compute with it only, or leave it out "
            "of traced"
        ) from error
    if not hasattr(shape, "shape"):
        raise UserError(
            f"{name} gives a {type(shape).__name__} for a row and the data need an array of {sizes.num_outputs}: let "
            "it return its outputs alone"
        )
    if shape.shape != (1, sizes.num_outputs):
        raise UserError(
            f"{name} gives outputs of shape {shape.shape[1:]} for a row and the data need {sizes.num_outputs}: let it "
            "take num_outputs"
        )
    products, units, convolves = _counted(program.jaxpr)
    return Work(_size(variables.params), _size(variables.model_state), products, units, convolves)


def _size(tree: PyTree) -> int:
    return sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(tree))


def _counted(program: Any) -> tuple[int, int, bool]:
    """Operations and outputs of the products of a traced program, and whether some are convolutions."""
    products, units, convolves = 0, 0, False
    for line in program.eqns:
        name, times = line.primitive.name, line.params.get("length", 1) if line.primitive.name == "scan" else 1
        if name in (CONVOLUTION, PRODUCT):
            outputs = math.prod(line.outvars[0].aval.shape)
            left, right = (operand.aval.shape for operand in line.invars[:2])
            if name == CONVOLUTION:
                each = math.prod(right) // right[line.params["dimension_numbers"].rhs_spec[0]]
            else:
                each = math.prod(left[axis] for axis in line.params["dimension_numbers"][0][0])
            products, units, convolves = (
                products + 2 * outputs * each,
                units + outputs,
                convolves or name == CONVOLUTION,
            )
        for inside in _within(line.params):
            more = _counted(inside)
            products, units, convolves = products + times * more[0], units + times * more[1], convolves or more[2]
    return products, units, convolves


def _within(params: Mapping[str, Any]) -> Iterator[Any]:
    """The traced programs that a line of one calls."""
    for value in params.values():
        for one in value if isinstance(value, tuple | list) else (value,):
            inside = getattr(one, "jaxpr", one)
            if hasattr(inside, "eqns"):
                yield inside
