"""Optimizers and learning-rate decays from traced hyperparameters.

An optax transformation is a pair of functions that close over its hyperparameters, so it is rebuilt from the traced
scalars inside the training step: it costs nothing, `opt_state` holds no hyperparameters, and each member of a tile has
its own.
"""

import jax
import jax.numpy as jnp
import optax
from jax import Array
from jax.typing import ArrayLike

from jaxbn.nn.types import Hyperparams, PyTree, Spec


def optimizer(hyperparams: Hyperparams, *, spec: Spec) -> optax.GradientTransformation:
    """The optimizer of a spec, with the learning rate that `hyperparams` holds.

    In this order: clip the gradient by its global norm; turn it into a direction d; add the decoupled weight decay of
    kernels (Loshchilov and Hutter 2019), `w -= alpha (d + weight_decay w)`, under any optimizer. The directions:

    - sgd: g. momentum: v = momentum v + g. nesterov: g + momentum v. momentum_ewa, the notes' form:
      v = momentum v + (1 - momentum) g.
    - rmsprop: g / (sqrt(S) + eps), S = b2 S + (1 - b2) g^2, as in the notes.
    - adam, adamw: m / (sqrt(v) + eps), both averages divided by 1 - b^t (Kingma and Ba 2015). They are the same
      transformation; the weight decay of a configuration that names adamw is not 0 by default.

    Args:
        hyperparams: scalars, traced or not.
        spec: names the optimizer and says whether gradients are clipped.

    Returns:
        A gradient transformation; apply its updates with `optax.apply_updates`.

    Example:
        >>> tx = optimizer(Hyperparams(learning_rate=0.5), spec=Spec(optimizer="sgd"))
        >>> updates, _ = tx.update({"w": jnp.array(2.0)}, tx.init({"w": jnp.array(1.0)}), {"w": jnp.array(1.0)})
        >>> updates["w"].item()
        -1.0
    """
    h = hyperparams
    match spec.optimizer:
        case "sgd":
            direction = optax.identity()
        case "momentum" | "nesterov":
            direction = optax.trace(h.momentum, nesterov=spec.optimizer == "nesterov")
        case "momentum_ewa":
            direction = optax.ema(h.momentum, debias=False)
        case "rmsprop":
            direction = optax.scale_by_rms(h.b2, h.eps, eps_in_sqrt=False)
        case "adam" | "adamw":
            direction = optax.scale_by_adam(h.b1, h.b2, h.eps)
        case _:
            raise ValueError(f"unknown optimizer {spec.optimizer!r}")
    return optax.chain(
        optax.clip_by_global_norm(h.clip_norm) if spec.clip_norm else optax.identity(),
        direction,
        optax.add_decayed_weights(h.weight_decay, mask=kernels),
        optax.scale_by_learning_rate(h.learning_rate),
    )


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
    whole_epoch = (step // steps_per_epoch).astype(base.dtype)
    rate = jnp.asarray(h.learning_rate_decay, base.dtype)
    factors = (
        jnp.ones_like(rate * epoch),
        1 / (1 + rate * whole_epoch),
        jnp.exp(-rate * epoch),
        jnp.exp(-rate * whole_epoch),
        jax.lax.rsqrt(1 + rate * epoch),
        (1 + jnp.cos(jnp.pi * jnp.minimum(epoch / h.num_epochs, 1))) / 2,
    )
    kind = jnp.asarray(h.decay_kind)
    decay = jnp.select([kind == index for index in range(len(factors))], factors)
    warmup_steps = jnp.asarray(h.warmup_epochs, base.dtype) * steps_per_epoch.astype(base.dtype)
    warmup = jnp.where(warmup_steps > 0, jnp.minimum((step + 1) / jnp.maximum(warmup_steps, 1e-9), 1), 1)
    return base * decay * warmup
