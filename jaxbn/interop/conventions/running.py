"""Batch normalisation by a convention: what `jaxbn.nn.batch_norm` does, done as another framework does it.

The functions are pure, drop into `jit`, `vmap` and `scan`, and take the place of jaxbn's own in `mlp`, so that
`train.step` trains by a convention. The decay and the epsilon are those of the convention, not of `Hyperparams`.
"""

import functools
from typing import Any

import flax.struct
import jax
import jax.numpy as jnp
from jax import Array

from jaxbn.errors import UserError
from jaxbn.interop.conventions.convention import Convention
from jaxbn.nn import batch_norm
from jaxbn.nn.batch_norm import BatchNormParams, Moments
from jaxbn.nn.mlp import Normalization
from jaxbn.nn.mlp import mlp as network
from jaxbn.nn.types import Hyperparams, Leaf, Model, Spec


@flax.struct.dataclass
class RunningState:
    """Running sums as a framework keeps them.

    Attributes:
        mean: running sum of means [F].
        statistic: running sum of what stands for the variance [F].
        seen: how much went in, as the averaging counts it; scalar.
    """

    mean: Leaf
    statistic: Leaf
    seen: Leaf


def init(
    num_features: int, dtype: Any = jnp.float32, *, convention: Convention
) -> tuple[BatchNormParams, RunningState]:
    """Gamma 1 and beta 0 [F], and running sums before training.

    Example:
        >>> from jaxbn.interop.conventions import CONVENTIONS
        >>> init(2, convention=CONVENTIONS["torch"])[1].statistic
        Array([1., 1.], dtype=float32)
    """
    params, _ = batch_norm.init(num_features, dtype)
    mean = jnp.full(num_features, convention.initial_mean, dtype)
    statistic = jnp.full(num_features, convention.initial_statistic, dtype)
    return params, RunningState(mean, statistic, jnp.zeros((), dtype))


def update(state: RunningState, moments: Moments, *, convention: Convention) -> RunningState:
    """Take the moments of one more mini-batch in.

    A mini-batch of no rows leaves the state alone. So does one of a single row where the framework refuses it or
    copies it: under a mask the number of rows is not known in time to raise an error.

    Args:
        state: running sums.
        moments: of the mini-batch, with the biased variance.
        convention: which.

    Returns:
        The new running sums.

    Example:
        >>> from jaxbn.interop.conventions import CONVENTIONS
        >>> torch = CONVENTIONS["torch"]
        >>> _, state = init(1, convention=torch)
        >>> update(state, batch_norm.moments(jnp.array([[1.0], [2.0], [3.0], [4.0]])), convention=torch).mean
        Array([0.25], dtype=float32)
    """
    epsilon = convention.effective_epsilon
    kept, taken, seen = convention.averaging.weights(state.seen, moments.count)
    statistic = convention.statistic.of(convention.correction(moments.var, moments.count, epsilon), epsilon)
    new = RunningState(kept * state.mean + taken * moments.mean, kept * state.statistic + taken * statistic, seen)
    learns = moments.count >= (1 if convention.batch_of_one == "variance 0" else 2)
    return jax.tree.map(lambda after, before: jnp.where(learns, after, before), new, state)


def refusal(convention: Convention) -> UserError:
    """The error for a mini-batch of a single row, where the framework raises one."""
    return UserError(
        f"a mini-batch of 1 row, which {convention.framework} refuses in training: give batches of 2 rows or more"
    )


def running_moments(state: RunningState, *, convention: Convention) -> Moments:
    """The moments that inference uses, as a variance to which epsilon is added.

    Before training they are what the framework's initial values make of it: Caffe and Equinox have a variance of 0.

    Args:
        state: running sums.
        convention: which.

    Returns:
        Moments whose count is the state's `seen`.
    """
    divisor = convention.averaging.divisor(state.seen)
    var = convention.statistic.variance(state.statistic / divisor, convention.effective_epsilon)
    return Moments(state.mean / divisor, var, state.seen)


def apply(
    params: BatchNormParams,
    state: RunningState,
    x: Array,
    hyperparams: Hyperparams,
    *,
    training: bool,
    where: Array | None = None,
    convention: Convention,
) -> tuple[Array, RunningState]:
    """Normalise by the mini-batch and update the running sums (training), or by those (inference).

    Args:
        params: gamma and beta [F].
        state: running sums.
        x: [..., F].
        hyperparams: not read; the convention has its own decay and epsilon.
        training: which of the two.
        where: bool [...], rows that exist.
        convention: which.

    Returns:
        The normalised x, and the new state (unchanged at inference).

    Raises:
        UserError: a mini-batch of one row, where the framework raises an error too.
    """
    epsilon = convention.effective_epsilon
    if convention.gamma == "1":
        params = BatchNormParams(jnp.ones_like(params.gamma), params.beta)
    if not training:
        return batch_norm.normalize(x, running_moments(state, convention=convention), params, epsilon=epsilon), state
    batch = batch_norm.moments(x, where=where)
    if convention.batch_of_one == "error" and where is None and x.size == x.shape[-1]:
        raise refusal(convention)
    new = update(state, batch, convention=convention)
    used = batch if convention.trains_with == "batch" else running_moments(new, convention=convention)
    z = batch_norm.normalize(x, used, params, epsilon=epsilon)
    if convention.batch_of_one == "unchanged":
        z = jnp.where(batch.count == 1, x, z)
    return z, jax.lax.stop_gradient(new)


def mlp(spec: Spec, *, num_inputs: int, num_outputs: int, convention: Convention) -> Model:
    """A multilayer perceptron whose batch normalisation is another framework's: `train.step` trains it as it is.

    Args:
        spec: widths, activation, and whether units can be dropped.
        num_inputs: how many, F.
        num_outputs: how many, C.
        convention: which.

    Returns:
        A `Model`; its model state is a tuple with a `RunningState` for each hidden layer.

    Example:
        >>> from jaxbn.interop.conventions import CONVENTIONS
        >>> model = mlp(Spec(widths=(8,)), num_inputs=3, num_outputs=2, convention=CONVENTIONS["keras3"])
        >>> variables = model.init(jax.random.key(0), Hyperparams())
        >>> x = jnp.ones((5, 3))
        >>> _, (state,) = model.apply(variables, x, Hyperparams(), training=True)
        >>> round(state.statistic[0].item(), 4)
        0.99
    """
    norm = Normalization(
        functools.partial(init, convention=convention), functools.partial(apply, convention=convention)
    )
    return network(spec, num_inputs=num_inputs, num_outputs=num_outputs, norm=norm)
