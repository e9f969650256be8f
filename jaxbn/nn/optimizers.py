"""Optimizers and learning-rate decays from traced hyperparameters.

An optax transformation is a pair of functions that close over its hyperparameters, so it is rebuilt from the traced
scalars inside the training step: it costs nothing, `opt_state` holds no hyperparameters, and each member of a tile has
its own.
"""

import functools

import jax
import jax.numpy as jnp
import optax
from jax import Array
from jax.typing import ArrayLike

from jaxbn.nn.types import DECAY_KINDS, OPTIMIZERS, Hyperparams, PyTree, Spec

NONE, INVERSE_TIME, EXPONENTIAL, STAIRCASE, INVERSE_SQRT, COSINE = range(len(DECAY_KINDS))


def optimizer(hyperparams: Hyperparams, *, spec: Spec) -> optax.GradientTransformation:
    """The optimizer of a network, with the learning rate that `hyperparams` holds.

    In this order: clip the gradient by its global norm; turn it into a direction d; add the decoupled weight decay of
    kernels (Loshchilov and Hutter 2019), `w -= alpha (d + weight_decay w)`, under any optimizer. The directions:

    - sgd: g. momentum: v = momentum v + g. nesterov: g + momentum v. momentum_ewa, the notes' form:
      v = momentum v + (1 - momentum) g.
    - rmsprop: g / (sqrt(S) + eps), S = b2 S + (1 - b2) g^2, as in the notes.
    - adam, adamw: m / (sqrt(v) + eps), both averages divided by 1 - b^t (Kingma and Ba 2015). They are the same
      transformation; the weight decay of a configuration that names adamw is not 0 by default.

    Args:
        hyperparams: scalars, traced or not.
        spec: names the optimizer, or those of which `hyperparams.optimizer` chooses; says whether gradients are
            clipped.

    Returns:
        A gradient transformation; apply its updates with `optax.apply_updates`.

    Example:
        >>> tx = optimizer(Hyperparams(learning_rate=0.5), spec=Spec(optimizers=("sgd",)))
        >>> updates, _ = tx.update({"w": jnp.array(2.0)}, tx.init({"w": jnp.array(1.0)}), {"w": jnp.array(1.0)})
        >>> updates["w"].item()
        -1.0
    """
    h = hyperparams
    directions = [direction(kind, h) for kind in spec.optimizers]
    return optax.chain(
        optax.clip_by_global_norm(h.clip_norm) if spec.clip_norm else optax.identity(),
        directions[0] if len(directions) == 1 else one_of(directions, h.optimizer),
        optax.add_decayed_weights(h.weight_decay, mask=kernels),
        optax.scale_by_learning_rate(h.learning_rate),
    )


def direction(kind: str, hyperparams: Hyperparams) -> optax.GradientTransformation:
    """What turns a gradient into a direction, by the name of an optimizer."""
    h = hyperparams
    match kind:
        case "sgd":
            return optax.identity()
        case "momentum" | "nesterov":
            return optax.trace(h.momentum, nesterov=kind == "nesterov")
        case "momentum_ewa":
            return optax.ema(h.momentum, debias=False)
        case "rmsprop":
            return optax.scale_by_rms(h.b2, h.eps, eps_in_sqrt=False)
        case "adam" | "adamw":
            return optax.scale_by_adam(h.b1, h.b2, h.eps)
    raise ValueError(f"unknown optimizer {kind!r}: choose from {', '.join(OPTIMIZERS)}")


def one_of(transformations: list[optax.GradientTransformation], index: ArrayLike) -> optax.GradientTransformation:
    """The transformation that a traced index names.

    All of them run and keep their state; the updates of one are taken. It costs less than a program for each where
    programs are dear and parameters few.
    """

    def init(params: PyTree) -> tuple[PyTree, ...]:
        return tuple(tx.init(params) for tx in transformations)

    def update(updates: PyTree, state: PyTree, params: PyTree = None) -> tuple[PyTree, PyTree]:
        pairs = [tx.update(updates, s, params) for tx, s in zip(transformations, state, strict=True)]
        chosen = pairs[0][0]
        for number, (new, _) in enumerate(pairs[1:], start=1):
            chosen = jax.tree.map(functools.partial(jnp.where, index == number), new, chosen)
        return chosen, tuple(new_state for _, new_state in pairs)

    return optax.GradientTransformation(init, update)


def kernels(params: PyTree) -> PyTree:
    """True where a leaf is named `kernel`: what weight decay applies to, not biases, gamma or beta."""

    def is_kernel(path: tuple, _: Array) -> bool:
        last = path[-1] if path else None
        return getattr(last, "name", getattr(last, "key", None)) == "kernel"

    return jax.tree_util.tree_map_with_path(is_kernel, params)


def learning_rate(hyperparams: Hyperparams, step: ArrayLike, *, steps_per_epoch: ArrayLike) -> Array:
    """The learning rate of an update: its base, decayed, and warmed up linearly.

    With k = `learning_rate_decay`, e = step / steps_per_epoch and E = floor(e), the factor is, by kind: none 1,
    inverse_time 1 / (1 + k E), exponential exp(-k e), staircase exp(-k E), inverse_sqrt 1 / sqrt(1 + k e),
    cosine (1 + cos(pi min(e / num_epochs, 1))) / 2.

    Args:
        hyperparams: `learning_rate`, `learning_rate_decay`, `decay_kind`, `warmup_epochs`, `num_epochs`.
        step: updates made before this one.
        steps_per_epoch: mini-batches in an epoch.

    Returns:
        A scalar.

    Example:
        >>> h = Hyperparams(learning_rate=0.2, learning_rate_decay=1.0, decay_kind=1)
        >>> [round(learning_rate(h, epoch * 10, steps_per_epoch=10).item(), 3) for epoch in range(4)]
        [0.2, 0.1, 0.067, 0.05]
    """
    h = hyperparams
    base = jnp.asarray(h.learning_rate, float)
    step, steps_per_epoch = jnp.asarray(step), jnp.asarray(steps_per_epoch)
    epoch = step.astype(base.dtype) / steps_per_epoch.astype(base.dtype)
    whole_epoch = jax.lax.div(step, steps_per_epoch.astype(step.dtype)).astype(base.dtype)
    kind = jnp.asarray(h.decay_kind)
    # One exponential serves four kinds, because each operation here is compiled into every program.
    x = h.learning_rate_decay * jnp.where((kind == INVERSE_TIME) | (kind == STAIRCASE), whole_epoch, epoch)
    power = jnp.where(kind == INVERSE_SQRT, 0.5, 1.0) * jnp.log1p(x)
    decay = jnp.exp(-jnp.where((kind == EXPONENTIAL) | (kind == STAIRCASE), x, power))
    cosine = (1 + jnp.cos(jnp.pi * jnp.minimum(epoch / h.num_epochs, 1))) / 2
    decay = jnp.where(kind == NONE, 1, jnp.where(kind == COSINE, cosine, decay))
    warmup_steps = h.warmup_epochs * steps_per_epoch.astype(base.dtype)
    return base * decay * jnp.where(warmup_steps > step + 1, (step + 1) / warmup_steps, 1)
