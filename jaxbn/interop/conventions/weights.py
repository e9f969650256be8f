"""The arrays of a dense network in a framework's own layout, in and out.

`to_arrays` and `from_arrays` keep everything: training goes on where it was. `export_network` and `import_network`
translate from and to jaxbn's own batch normalisation: inference is the same, whatever the epsilons.
"""

from collections.abc import Mapping
from typing import Any

import jax
import numpy as np

from jaxbn.errors import UserError
from jaxbn.interop.conventions.convention import Convention, Entry
from jaxbn.interop.conventions.running import RunningState, running_moments
from jaxbn.interop.conventions.table import lookup
from jaxbn.nn import batch_norm
from jaxbn.nn.batch_norm import BatchNormParams, BatchNormState
from jaxbn.nn.dense import Dense
from jaxbn.nn.mlp import HiddenLayer, MLPParams
from jaxbn.nn.types import Variables

MISSING_IS = {"bias": 0.0, "gamma": 1.0, "beta": 0.0}
"""What a hidden layer without such an array does."""


def statistics(state: RunningState, convention: Convention) -> dict[str, np.ndarray]:
    """The running statistics of one layer as they are stored, under the names they have within it."""
    stored = _stored(state, convention)
    return {entry.leaf: entry.form.pack(stored[entry.holds]) for entry in convention.layout.statistics}


def to_arrays(variables: Variables, convention: str | Convention) -> dict[str, np.ndarray]:
    """The arrays of a network that was trained by a convention.

    Args:
        variables: of `conventions.mlp`: every hidden layer normalised, no unit left unused.
        convention: the same.

    Returns:
        The arrays by name, in the framework's order.

    Raises:
        UserError: a hidden layer is not normalised.

    Example:
        >>> from jaxbn import Hyperparams, Spec
        >>> from jaxbn.interop.conventions import CONVENTIONS, mlp
        >>> model = mlp(Spec(widths=(8,)), num_inputs=3, num_outputs=2, convention=CONVENTIONS["torch"])
        >>> arrays = to_arrays(model.init(jax.random.key(0), Hyperparams()), "torch")
        >>> [(name, array.shape) for name, array in arrays.items()][:2]
        [('0.weight', (8, 3)), ('1.weight', (8,))]
    """
    convention = lookup(convention)
    layout = convention.layout
    variables = jax.tree.map(np.asarray, variables)
    blocks: list[dict[str, np.ndarray]] = []
    for layer, norm, state in _layers(variables):
        bias = np.zeros_like(norm.beta) if layer.dense.bias is None else layer.dense.bias
        block = {"kernel": layer.dense.kernel, "bias": bias, "gamma": norm.gamma, "beta": norm.beta}
        blocks.append(block | _stored(state, convention))
    output = {"kernel": variables.params.output.kernel, "bias": variables.params.output.bias}
    arrays: dict[str, np.ndarray] = {}
    for index, block in enumerate(blocks):
        arrays |= {entry.name(index): entry.form.pack(block[entry.holds]) for entry in layout.hidden}
    arrays |= {entry.name(len(blocks)): entry.form.pack(output[entry.holds]) for entry in layout.output}
    for index, block in enumerate(blocks):
        arrays |= {entry.name(index): entry.form.pack(block[entry.holds]) for entry in layout.apart}
    return arrays


def from_arrays(arrays: Mapping[str, Any], convention: str | Convention) -> Variables:
    """A network of `conventions.mlp` from the framework's arrays.

    A bias before normalisation goes into the running mean: what comes out is the same. Absent gamma and beta are 1 and
    0.

    Args:
        arrays: by the names that `to_arrays` gives, in any order.
        convention: whose.

    Returns:
        Variables of NumPy arrays.

    Raises:
        UserError: an array is missing, unknown, or of another shape than the others ask for; or averages that are
            stored beside their sums were made with another decay.
    """
    convention = lookup(convention)
    layout, left = convention.layout, {name: np.asarray(array) for name, array in arrays.items()}
    kernel, bias = layout.output
    mean = next(entry for entry in layout.statistics if entry.holds == "mean")
    depth = 0
    # Either of them may be what is missing.
    while kernel.name(depth + 1) in left or mean.name(depth) in left:
        depth += 1
    width = None
    hidden, states = [], []
    for index in range(depth):
        entries = {entry.holds: entry for entry in (*layout.hidden, *layout.apart)} | {"bias": bias}
        kernel_array = _kernel(left, entries["kernel"].name(index), entries["kernel"], width, convention)
        width = kernel_array.shape[1]
        block = {
            holds: _vector(left, entry.name(index), entry, width, convention, MISSING_IS.get(holds))
            for holds, entry in entries.items()
            if holds not in ("kernel", "seen", "mean_read", "statistic_read")
        }
        seen = np.asarray(convention.averaging.settled(), np.float32)
        for entry in layout.statistics:
            if entry.holds == "seen":
                seen = entry.form.unpack(_take(left, entry.name(index), convention))
                if seen.shape:
                    raise UserError(f"{entry.name(index)!r} has shape {seen.shape}: give one number")
        hidden.append(HiddenLayer(Dense(kernel_array, None), BatchNormParams(block["gamma"], block["beta"])))
        states.append(_restored(block, seen, convention))
        made = _stored(states[-1], convention)
        for entry in layout.statistics:
            if entry.holds in ("mean_read", "statistic_read"):
                read = _vector(left, entry.name(index), entry, width, convention, None)
                read = read - block["bias"] if entry.holds == "mean_read" else read
                _require_average(read, made[entry.holds], entry.name(index), convention)
    output = _kernel(left, kernel.name(depth), kernel, width, convention)
    output_bias = _vector(left, bias.name(depth), bias, output.shape[1], convention, None)
    if left:
        raise UserError(
            f"{', '.join(sorted(left))} not known in a {convention.framework} network of {depth} hidden layers: "
            f"give arrays named {', '.join(entry.name(0) for entry in layout.hidden)} and so on"
        )
    return Variables(MLPParams(tuple(hidden), Dense(output, output_bias)), tuple(states))


def export_network(
    variables: Variables, convention: str | Convention, *, epsilon: float = 1e-5
) -> dict[str, np.ndarray]:
    """A network of jaxbn as a framework's arrays: with its default epsilon it computes the same at inference.

    Where the epsilons differ the difference goes into the variance. Where the framework holds gamma at 1 it goes into
    the variance and the sign of the kernel. Counters that correct for a short training say that it was long; where they
    only count, they are 1, and in a plain mean of all mini-batches the next one weighs a half.

    Args:
        variables: of `jaxbn.mlp`, such as `FittedModel.variables`: normalised, without padding.
        convention: the framework's.
        epsilon: `bn_epsilon` of the network.

    Returns:
        The arrays by name, in the framework's order.

    Raises:
        UserError: a hidden layer is not normalised; or a variance is too small for the framework's epsilon.

    Example:
        >>> from jaxbn import Hyperparams, Spec, mlp
        >>> variables = mlp(Spec(widths=(8,)), num_inputs=3, num_outputs=2).init(jax.random.key(0), Hyperparams())
        >>> list(export_network(variables, "keras3"))[:2]
        ['dense/kernel', 'batch_normalization/gamma']
    """
    convention = lookup(convention)
    variables = jax.tree.map(np.asarray, variables)
    hidden, states = [], []
    for layer, norm, state in _layers(variables):
        mean, var, _ = (np.asarray(value, np.float64) for value in batch_norm.running_moments(state))
        if convention.gamma == "1":
            layer, mean, var = _without_gamma(layer, norm, mean, var, epsilon, convention)
        hidden.append(layer)
        states.append(_trained_state(mean, var + epsilon, convention, norm.gamma.dtype))
    return to_arrays(Variables(MLPParams(tuple(hidden), variables.params.output), tuple(states)), convention)


def import_network(arrays: Mapping[str, Any], convention: str | Convention, *, epsilon: float = 1e-5) -> Variables:
    """A network of jaxbn from a framework's arrays: it computes the same at inference.

    Args:
        arrays: by the names that `export_network` gives, in any order.
        convention: the framework's. A network with another epsilon than the default needs
            `dataclasses.replace(CONVENTIONS[name], epsilon=...)`; one whose averages are divided as they are read
            (Haiku, Equinox's "batch") needs its decay too: `averaging=Debiased(...)`.
        epsilon: the `bn_epsilon` that the network shall have; the difference goes into the variance.

    Returns:
        Variables of `jaxbn.mlp`, as NumPy arrays.

    Raises:
        UserError: as `from_arrays`; or a variance is too small for this epsilon.
    """
    convention = lookup(convention)
    variables = from_arrays(arrays, convention)
    hidden, states = [], []
    for layer, norm, state in _layers(variables):
        mean, var = _moments(state, convention)
        dtype = norm.gamma.dtype
        shifted = var + convention.effective_epsilon - epsilon
        _require_variance(shifted, "this network", epsilon)
        gamma = np.ones_like(norm.gamma) if convention.gamma == "1" else norm.gamma
        hidden.append(HiddenLayer(layer.dense, BatchNormParams(gamma, norm.beta)))
        states.append(BatchNormState(mean.astype(dtype), shifted.astype(dtype), np.ones((), dtype)))
    return Variables(MLPParams(tuple(hidden), variables.params.output), tuple(states))


def _stored(state: RunningState, convention: Convention) -> dict[str, np.ndarray]:
    """What the entries of a layout hold, in the type of the state."""
    dtype = np.asarray(state.mean).dtype
    with jax.enable_x64(True):
        mean, statistic, seen = (np.asarray(x, np.float64) for x in (state.mean, state.statistic, state.seen))
        divisor = np.asarray(convention.averaging.divisor(seen))
        store = convention.statistic.store
        values = {
            "mean": mean,
            "statistic": store(statistic),
            "seen": seen,
            "mean_read": mean / divisor,
            "statistic_read": store(statistic / divisor),
        }
        return {name: np.asarray(value, dtype) for name, value in values.items()}


def _restored(block: dict[str, np.ndarray], seen: np.ndarray, convention: Convention) -> RunningState:
    dtype = block["mean"].dtype
    with jax.enable_x64(True):
        # Normalisation takes the bias out again, so the mean of what has no bias is the mean less the bias.
        bias = block["bias"] * np.asarray(convention.averaging.divisor(np.asarray(seen, np.float64)))
        statistic = np.asarray(convention.statistic.restore(block["statistic"].astype(np.float64)), dtype)
    return RunningState((block["mean"] - bias).astype(dtype), statistic, np.asarray(seen, dtype))


def _require_average(read: np.ndarray, made: np.ndarray, name: str, convention: Convention) -> None:
    if not np.allclose(read, made, rtol=1e-3, atol=1e-5):
        raise UserError(
            f"{name!r} is not what its sum and counter make ({convention.averaging}): give "
            f"dataclasses.replace(CONVENTIONS[{convention.name!r}], averaging=...) with the decay of its training"
        )


def _moments(state: RunningState, convention: Convention) -> tuple[np.ndarray, np.ndarray]:
    with jax.enable_x64(True):
        wide = jax.tree.map(lambda leaf: np.asarray(leaf, np.float64), state)
        mean, var, _ = running_moments(wide, convention=convention)
        return np.asarray(mean), np.asarray(var)


def _trained_state(mean: np.ndarray, var_plus_epsilon: np.ndarray, convention: Convention, dtype: Any) -> RunningState:
    epsilon = convention.effective_epsilon
    var = var_plus_epsilon - epsilon
    if not convention.statistic.holds_epsilon:
        _require_variance(var, convention.framework, epsilon)
    with jax.enable_x64(True):
        seen = np.float64(convention.averaging.settled())
        divisor = np.asarray(convention.averaging.divisor(seen))
        statistic = np.asarray(convention.statistic.of(var, epsilon)) * divisor
    return RunningState((mean * divisor).astype(dtype), statistic.astype(dtype), np.asarray(seen, dtype))


def _without_gamma(
    layer: HiddenLayer, norm: BatchNormParams, mean: np.ndarray, var: np.ndarray, epsilon: float, convention: Convention
) -> tuple[HiddenLayer, np.ndarray, np.ndarray]:
    """Gamma (z - m) / sqrt(v + e) is (sign z - sign m) / sqrt((v + e) / gamma^2)."""
    gamma = np.asarray(norm.gamma, np.float64)
    if (gamma == 0).any():
        raise UserError(
            f"a gamma of 0, and {convention.framework} holds gamma at 1 by default: export with "
            f"dataclasses.replace(CONVENTIONS[{convention.name!r}], gamma='learned') and let it learn gamma there"
        )
    sign = np.sign(gamma)
    dense = Dense(layer.dense.kernel * sign[None, :].astype(layer.dense.kernel.dtype), None)
    fixed = BatchNormParams(np.ones_like(norm.gamma), norm.beta)
    return HiddenLayer(dense, fixed), mean * sign, (var + epsilon) / gamma**2 - epsilon


def _layers(variables: Variables) -> list[tuple[HiddenLayer, BatchNormParams, Any]]:
    """Each hidden layer, its gamma and beta, and its statistics."""
    norms = [layer.norm for layer in variables.params.hidden if layer.norm is not None]
    if len(norms) < len(variables.params.hidden):
        raise UserError("a hidden layer is not normalised: give a network whose normalization is 'batch'")
    return list(zip(variables.params.hidden, norms, variables.model_state, strict=True))


def _require_variance(var: np.ndarray, who: str, epsilon: float) -> None:
    # What rounding leaves of a variance of 0 is no reason to refuse.
    if (var < -1e-9).any():
        raise UserError(
            f"a variance is {-var.min():.2g} too small to be that of {who} with epsilon {epsilon:g}: "
            f"give it a smaller epsilon, there and here"
        )
    np.maximum(var, 0, out=var)


def _take(left: dict[str, np.ndarray], name: str, convention: Convention) -> np.ndarray:
    if name not in left:
        raise UserError(
            f"no array {name!r} of a {convention.framework} network among {', '.join(left) or 'no arrays at all'}: "
            "give all arrays by the names that export_network uses"
        )
    return left.pop(name)


def _kernel(
    left: dict[str, np.ndarray], name: str, entry: Entry, rows: int | None, convention: Convention
) -> np.ndarray:
    array = _take(left, name, convention)
    kernel = entry.form.unpack(array)
    if kernel.ndim != 2 or (rows is not None and kernel.shape[0] != rows):
        inputs = "" if rows is None else f" with {rows} inputs"
        raise UserError(f"{name!r} has shape {array.shape}: give a matrix{inputs} as {convention.framework} stores it")
    return _floating(kernel)


def _vector(
    left: dict[str, np.ndarray], name: str, entry: Entry, size: int, convention: Convention, missing: float | None
) -> np.ndarray:
    if missing is not None and name not in left:
        return np.full(size, missing, np.float32)
    array = _take(left, name, convention)
    vector = entry.form.unpack(array)
    if vector.shape != (size,):
        raise UserError(f"{name!r} has shape {array.shape}: give {size} numbers as {convention.framework} stores them")
    return _floating(vector)


def _floating(array: np.ndarray) -> np.ndarray:
    """float64 where it is that, float32 otherwise, in memory of its own."""
    return np.array(array, array.dtype if array.dtype == np.float64 else np.float32, order="C")
