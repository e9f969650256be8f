"""The multilayer perceptron of the notes: X -> Z1 -> BN -> A1 -> Z2 -> BN -> A2 -> ... -> outputs.

Each hidden layer is `activation(BN(a W))`, with dropout after it. It has no bias where batch normalisation follows:
beta replaces it. The output layer is `a W + b`. Widths are padded to those of the spec; how many units are in use is
a traced hyperparameter, and the others are exactly zero in values, params and gradients.
"""

import dataclasses
import functools
import itertools
from collections.abc import Callable
from typing import NamedTuple

import chex
import flax.struct
import jax
import jax.numpy as jnp
from jax import Array
from jax.typing import DTypeLike

from jaxbn.nn import batch_norm, dense, dropout
from jaxbn.nn.batch_norm import BatchNormParams
from jaxbn.nn.dense import Dense
from jaxbn.nn.types import Hyperparams, Model, PyTree, Spec, Variables

ACTIVATION_FUNCTIONS = {
    "relu": jax.nn.relu,
    "tanh": jnp.tanh,
    "sigmoid": jax.nn.sigmoid,
    "gelu": functools.partial(jax.nn.gelu, approximate=False),
    "identity": lambda z: z,
}


@flax.struct.dataclass
class HiddenLayer:
    """A dense layer and, under batch normalisation, its gamma and beta."""

    dense: Dense
    norm: BatchNormParams | None


@flax.struct.dataclass
class MLPParams:
    """The weights of a network."""

    hidden: tuple[HiddenLayer, ...]
    output: Dense


class Normalization(NamedTuple):
    """What normalises a hidden layer in training and at inference.

    Attributes:
        init: `(num_features, dtype) -> (BatchNormParams, state)`.
        apply: `(params, state, x, hyperparams, *, training, where) -> (x, state)`.
    """

    init: Callable[..., tuple[BatchNormParams, PyTree]]
    apply: Callable[..., tuple[Array, PyTree]]


BATCH_NORM = Normalization(batch_norm.init, batch_norm.apply)


def mlp(spec: Spec, *, num_inputs: int, num_outputs: int, norm: Normalization = BATCH_NORM) -> Model:
    """A multilayer perceptron as a pair of pure functions.

    Args:
        spec: widths, activation, normalisation, and whether units can be dropped.
        num_inputs: how many, F.
        num_outputs: how many, C.
        norm: what normalises, where the spec normalises at all; `jaxbn.interop.conventions` has other frameworks'.

    Returns:
        A `Model`; its model state is a tuple with the state of each normalised layer (a `BatchNormState`).

    Example:
        >>> model = mlp(Spec(widths=(8,)), num_inputs=3, num_outputs=2)
        >>> variables = model.init(jax.random.key(0), Hyperparams())
        >>> outputs, _ = model.apply(variables, jnp.ones((5, 3)), Hyperparams(), training=False)
        >>> outputs.shape
        (5, 2)
    """
    init = functools.partial(_init, spec=spec, num_inputs=num_inputs, num_outputs=num_outputs, norm=norm)
    return Model(init=init, apply=functools.partial(_apply, spec=spec, norm=norm), masks_rows=True)


def unit_inputs(variables: Variables, x: Array, hyperparams: Hyperparams, *, spec: Spec) -> tuple[Array, ...]:
    """What goes into the activation functions at inference: what batch normalisation is there to keep in place.

    Args:
        variables: of a network.
        x: inputs [B, F].
        hyperparams: `bn_epsilon` and `hidden_units` are read.
        spec: of the network.

    Returns:
        [B, H] for each hidden layer.

    Example:
        >>> spec = Spec(widths=(8, 4))
        >>> variables = mlp(spec, num_inputs=3, num_outputs=2).init(jax.random.key(0), Hyperparams())
        >>> [z.shape for z in unit_inputs(variables, jnp.ones((5, 3)), Hyperparams(), spec=spec)]
        [(5, 8), (5, 4)]
    """
    found: list[Array] = []
    _apply(variables, x, hyperparams, spec=spec, norm=BATCH_NORM, training=False, seen=found)
    return tuple(found)


def _init(
    key: Array, hyperparams: Hyperparams, *, spec: Spec, num_inputs: int, num_outputs: int, norm: Normalization
) -> Variables:
    # He et al. 2015 for relu and gelu, which halve the second moment; LeCun et al. 1998 for the others.
    gain = 2.0 if spec.activation in ("relu", "gelu") else 1.0
    normalized = spec.normalization == "batch"
    sizes = (num_inputs, *spec.widths, num_outputs)
    draws = dense.draws(key, list(itertools.pairwise(sizes)))
    layers, stats = [], []
    used_in = jnp.asarray(num_inputs)
    for index, width in enumerate(spec.widths):
        used = jnp.asarray(width if hyperparams.hidden_units is None else hyperparams.hidden_units[index])
        std = hyperparams.init_scale * jnp.sqrt(gain / used_in)
        layer = dense.init(draws[index], std=std, used=(used_in, used), bias=not normalized)
        norm_params = None
        if normalized:
            norm_params, state = norm.init(width, layer.kernel.dtype)
            in_use = jnp.arange(width) < used
            norm_params = dataclasses.replace(norm_params, gamma=jnp.where(in_use, norm_params.gamma, 0))
            stats.append(state)
        layers.append(HiddenLayer(layer, norm_params))
        used_in = used
    std = hyperparams.init_scale * jnp.sqrt(1.0 / used_in)
    output = dense.init(draws[-1], std=std, used=(used_in, num_outputs), bias=True)
    return Variables(MLPParams(tuple(layers), output), tuple(stats))


def _apply(
    variables: Variables,
    x: Array,
    hyperparams: Hyperparams,
    *,
    spec: Spec,
    norm: Normalization,
    training: bool,
    where: Array | None = None,
    key: Array | None = None,
    seen: list[Array] | None = None,
) -> tuple[Array, tuple[PyTree, ...]]:
    """The outputs, and the new statistics; what goes into the activation functions is appended to `seen`."""
    chex.assert_rank(x, 2)
    activation = ACTIVATION_FUNCTIONS[spec.activation]
    params, stats = variables.params, []
    if spec.precision == "bfloat16":
        # Batch normalisation widens what it averages; its gamma and beta stay as they are.
        x, params = x.astype(jnp.bfloat16), _with_dense_in(jnp.bfloat16, params)
    for index, layer in enumerate(params.hidden):
        x = dense.apply(layer.dense, x)
        if layer.norm is not None:
            x, state = norm.apply(
                layer.norm, variables.model_state[index], x, hyperparams, training=training, where=where
            )
            stats.append(state)
        if seen is not None:
            seen.append(x)
        x = activation(x)
        if hyperparams.hidden_units is not None:
            # After the activation: sigmoid(0) is 0.5, which would leak into the next layer.
            used = jnp.arange(x.shape[-1]) < hyperparams.hidden_units[index]
            x = jnp.where(used[None, :], x, 0)
        if training and spec.dropout:
            if key is None:
                raise ValueError("dropout needs a key in training: give `Batch.key`")
            x = dropout.apply(jax.random.fold_in(key, index), x, hyperparams.dropout)
    outputs = dense.apply(params.output, x)
    return outputs.astype(jnp.promote_types(outputs.dtype, variables.params.output.kernel.dtype)), tuple(stats)


def _with_dense_in(kind: DTypeLike, params: MLPParams) -> MLPParams:
    def cast(layer: Dense) -> Dense:
        return jax.tree.map(lambda leaf: leaf.astype(kind), layer)

    hidden = tuple(dataclasses.replace(layer, dense=cast(layer.dense)) for layer in params.hidden)
    return MLPParams(hidden, cast(params.output))
