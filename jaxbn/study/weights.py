"""Weights of one network without padding."""

import jax
import numpy as np

from jaxbn.engine.work import Sizes, drawn
from jaxbn.nn.batch_norm import BatchNormParams, BatchNormState
from jaxbn.nn.dense import Dense
from jaxbn.nn.mlp import HiddenLayer, MLPParams
from jaxbn.nn.types import Variables
from jaxbn.search import Config, split


def used(variables: Variables, config: Config) -> Variables:
    """The variables of a network in the sizes that are in use.

    Args:
        variables: of one network, padded, without a member axis.
        config: its hyperparameters.

    Returns:
        NumPy arrays without padded units, copied.
    """
    one, widths = jax.tree.map(np.array, variables), config.widths
    if config.architecture is not None:
        return one  # Nothing of it is padded.
    params: MLPParams = one.params
    fan_in, hidden, stats = params.hidden[0].dense.kernel.shape[0] if widths else 0, [], []
    for index, (layer, width) in enumerate(zip(params.hidden, widths, strict=True)):
        bias = None if layer.dense.bias is None else layer.dense.bias[:width]
        dense = Dense(layer.dense.kernel[:fan_in, :width], bias)
        norm = None
        if layer.norm is not None:
            norm = BatchNormParams(layer.norm.gamma[:width], layer.norm.beta[:width])
            state: BatchNormState = one.model_state[index]
            stats.append(BatchNormState(state.mean[:width], state.var[:width], state.weight))
        hidden.append(HiddenLayer(dense, norm))
        fan_in = width
    kernel = params.output.kernel[:fan_in] if widths else params.output.kernel
    return Variables(MLPParams(tuple(hidden), Dense(kernel, params.output.bias)), tuple(stats))


def shapes(config: Config, num_inputs: int, num_outputs: int) -> Variables:
    """A tree of zeros with the sizes of a network: what arrays read from a file must fit."""
    if config.architecture is not None:
        tree = drawn(split(config)[0], Sizes(num_inputs, num_outputs))
        return jax.tree.map(lambda leaf: np.zeros(leaf.shape, leaf.dtype), tree)
    widths, normalized = config.widths, config.normalization == "batch"
    hidden, stats, fan_in = [], [], num_inputs
    for width in widths:
        zeros = np.zeros(width, np.float32)
        norm = BatchNormParams(zeros, zeros) if normalized else None
        dense = Dense(np.zeros((fan_in, width), np.float32), None if normalized else zeros)  # type: ignore[arg-type]
        hidden.append(HiddenLayer(dense, norm))
        if normalized:
            stats.append(BatchNormState(zeros, zeros, np.zeros((), np.float32)))  # type: ignore[arg-type]
        fan_in = width
    output = Dense(np.zeros((fan_in, num_outputs), np.float32), np.zeros(num_outputs, np.float32))  # type: ignore[arg-type]
    return Variables(MLPParams(tuple(hidden), output), tuple(stats))
