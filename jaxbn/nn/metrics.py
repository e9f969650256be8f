"""Scores of predictions, each one pass over all rows of a split, on the device.

The definitions are scikit-learn's, which is their oracle in the tests. They are written again here because a sweep
scores every member after every epoch, thousands of times a second, without leaving the device.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax
from jax import Array

Score = Callable[[Array, Array, Array], Array]


class Metric(NamedTuple):
    """A way to rank trials.

    Attributes:
        name: its name, which is scikit-learn's.
        score: `(outputs [N, C], y, where [N]) -> scalar`; y is int [N] or float [N, C].
        greater_is_better: its direction.
    """

    name: str
    score: Score
    greater_is_better: bool


def log_loss(logits: Array, labels: Array, where: Array) -> Array:
    """Mean cross-entropy: the validation loss of a classifier."""
    return _mean(optax.softmax_cross_entropy_with_integer_labels(logits, labels), where)


def accuracy(logits: Array, labels: Array, where: Array) -> Array:
    """Share of rows whose largest logit is the label's."""
    return _mean(logits.argmax(-1) == labels, where)


def balanced_accuracy(logits: Array, labels: Array, where: Array) -> Array:
    """Recall averaged over the classes that occur in the labels."""
    confusion = _confusion(logits, labels, where)
    support = confusion.sum(1)
    recall = jnp.diagonal(confusion) / jnp.maximum(support, 1)
    return _mean(recall, support > 0)


def f1(logits: Array, labels: Array, where: Array) -> Array:
    """F1 of the second of two classes; of more than two, averaged over those that occur in labels or predictions."""
    confusion = _confusion(logits, labels, where)
    total = confusion.sum(0) + confusion.sum(1)
    each = 2 * jnp.diagonal(confusion) / jnp.maximum(total, 1)
    return each[1] if logits.shape[-1] == 2 else _mean(each, total > 0)


def roc_auc(logits: Array, labels: Array, where: Array) -> Array:
    """Area under the ROC curve: of two classes, the second's; of more, each against the rest, averaged.

    Mann and Whitney's count of the pairs in order, by ranks, ties sharing theirs. Classes without a row, or without a
    row of another class, do not take part; where none is left the area is not defined, and 0 stands for it.
    """
    scores = margins(logits)

    def one(scores: Array, positive: Array) -> tuple[Array, Array]:
        negative = where & ~positive
        order, num_negative = jnp.sort(jnp.where(negative, scores, jnp.inf)), negative.sum()
        below, upto = (jnp.searchsorted(order, scores, side=side) for side in ("left", "right"))
        # The share of the negatives that a row is above; their sum, unlike one of ranks, cancels nothing.
        above = (below + jnp.minimum(upto, num_negative)) / jnp.maximum(2 * num_negative, 1)
        return _mean(above.astype(scores.dtype), positive), positive.any() & negative.any()

    positives = (labels[:, None] == jnp.arange(logits.shape[-1])[None, :]) & where[:, None]
    if logits.shape[-1] == 2:
        return one(scores[:, 1], positives[:, 1])[0]
    areas, defined = jax.vmap(one, in_axes=1)(scores, positives)
    return _mean(areas, defined)


def margins(logits: Array) -> Array:
    """How far each class is ahead of all others together, `z - log(sum of their exp(z))`, [N, C].

    It ranks rows like the class's probability, log-odds of which it is, and does not round to 1 where that does.
    """
    if logits.shape[-1] == 2:
        return logits - logits[:, ::-1]
    behind = jax.nn.log_softmax(logits)
    largest = jnp.arange(logits.shape[-1])[None, :] == logits.argmax(-1, keepdims=True)
    others = jax.nn.logsumexp(jnp.where(largest, -jnp.inf, logits), -1, keepdims=True)
    # Of the classes but the largest none has more than half of the probability.
    return jnp.where(largest, logits - others, behind - jnp.log1p(-jnp.exp(behind)))


def mse(outputs: Array, targets: Array, where: Array) -> Array:
    """Mean squared error over rows and targets."""
    return _mean(jnp.square(outputs - targets).mean(-1), where)


def mae(outputs: Array, targets: Array, where: Array) -> Array:
    """Mean absolute error over rows and targets."""
    return _mean(jnp.abs(outputs - targets).mean(-1), where)


def r2(outputs: Array, targets: Array, where: Array) -> Array:
    """Coefficient of determination, averaged over the targets; 0 for a target that does not vary."""
    rows = where[:, None]
    count = jnp.maximum(where.sum(), 1)
    # From the least one: of a target that does not vary, 0 exactly, where a mean would be rounded.
    above = jnp.where(rows, targets - jnp.where(rows, targets, jnp.inf).min(0)[None, :], 0)
    mean = above.sum(0) / count
    residual = jnp.where(rows, jnp.square(outputs - targets), 0).sum(0)
    total = jnp.where(rows, jnp.square(above - mean[None, :]), 0).sum(0)
    return jnp.where(total > 0, 1 - residual / jnp.where(total > 0, total, 1), 0).mean()


CLASSIFICATION = (
    Metric("loss", log_loss, greater_is_better=False),
    Metric("accuracy", accuracy, greater_is_better=True),
    Metric("balanced_accuracy", balanced_accuracy, greater_is_better=True),
    Metric("roc_auc", roc_auc, greater_is_better=True),
    Metric("f1", f1, greater_is_better=True),
    Metric("log_loss", log_loss, greater_is_better=False),
)
REGRESSION = (
    Metric("loss", mse, greater_is_better=False),
    Metric("r2", r2, greater_is_better=True),
    Metric("mse", mse, greater_is_better=False),
    Metric("mae", mae, greater_is_better=False),
)


def _mean(values: Array, where: Array) -> Array:
    return jnp.where(where, values, 0).sum() / jnp.maximum(where.sum(), 1)


def _confusion(logits: Array, labels: Array, where: Array) -> Array:
    """Rows are labels, columns predictions, [C, C]."""
    num_classes = logits.shape[-1]
    actual = jax.nn.one_hot(labels, num_classes, dtype=logits.dtype) * where[:, None]
    return actual.T @ jax.nn.one_hot(logits.argmax(-1), num_classes, dtype=logits.dtype)
