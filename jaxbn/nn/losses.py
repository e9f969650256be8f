"""Training losses, as sums that merge."""

import jax
import jax.numpy as jnp
import optax
from jax import Array

from jaxbn.nn.types import Batch, Hyperparams, Metrics, Spec


def softmax_cross_entropy(logits: Array, batch: Batch, hyperparams: Hyperparams, *, spec: Spec) -> Metrics:
    """`-sum_c y_c log softmax(z)_c` of each row, computed stably from the logits (sections 8 and 9 of the notes).

    Args:
        logits: [B, C].
        batch: int labels [B], and which rows exist with which weight.
        hyperparams: `label_smoothing` s makes the target `(1 - s) y + s / C`, where the spec allows for it.
        spec: says whether labels are smoothed.

    Returns:
        The sum over rows.

    Example:
        >>> batch = Batch(x=jnp.zeros((1, 1)), y=jnp.array([1]))
        >>> logits = jnp.log(jnp.array([[0.3, 0.2, 0.1, 0.4]]))
        >>> print(f"{softmax_cross_entropy(logits, batch, Hyperparams(), spec=Spec()).loss:.4f}")
        1.6094
    """
    targets = jax.nn.one_hot(batch.y, logits.shape[-1], dtype=logits.dtype)
    if spec.label_smoothing:
        targets = optax.smooth_labels(targets, jnp.asarray(hyperparams.label_smoothing, logits.dtype))
    return _sum(optax.softmax_cross_entropy(logits, targets), batch)


def mean_squared_error(outputs: Array, batch: Batch, hyperparams: Hyperparams, *, spec: Spec) -> Metrics:
    """The squared error of each row, averaged over the targets.

    Args:
        outputs: [B, C].
        batch: float targets [B, C], and which rows exist with which weight.
        hyperparams: not read.
        spec: not read.

    Returns:
        The sum over rows.
    """
    del hyperparams, spec
    return _sum(jnp.square(outputs - batch.y).mean(-1), batch)


def _sum(losses: Array, batch: Batch) -> Metrics:
    weight = jnp.ones_like(losses) if batch.weight is None else batch.weight
    if batch.where is not None:
        weight = jnp.where(batch.where, weight, 0)
        losses = jnp.where(batch.where, losses, 0)
    return Metrics(loss_sum=(weight * losses).sum(), weight=weight.sum())
