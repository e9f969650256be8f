"""A population of batch-normalised networks in one program, from the library's pieces alone: no engine, no sweep().

Sixty-four networks with rates, momenta and widths of their own train together on whole mini-batches of the digits.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler

from jaxbn import Batch, Hyperparams, Spec, mlp, train
from jaxbn.nn.metrics import accuracy

NUM_MEMBERS, NUM_EPOCHS, BATCH_SIZE = 64, 10, 64


def digits() -> tuple[jax.Array, ...]:
    """Training and validation rows, standardised by the training rows."""
    x, y = load_digits(return_X_y=True)
    x, x_valid, y, y_valid = train_test_split(x, y, test_size=0.25, stratify=y, random_state=0)
    scaler = StandardScaler().fit(x)
    x, x_valid = (jnp.asarray(scaler.transform(part), jnp.float32) for part in (x, x_valid))
    return x, jnp.asarray(y), x_valid, jnp.asarray(y_valid)


def population(seed: int) -> Hyperparams:
    """One value of each hyperparameter for each member: log-uniform rates, uniform widths."""
    rng = np.random.default_rng(seed)
    return Hyperparams(
        learning_rate=jnp.asarray(10 ** rng.uniform(-4, 0, NUM_MEMBERS), jnp.float32),
        b1=jnp.asarray(1 - 10 ** rng.uniform(-2, -0.7, NUM_MEMBERS), jnp.float32),
        hidden_units=jnp.asarray(rng.integers(8, 65, (NUM_MEMBERS, 2)), jnp.int32),
    )


AXES = jax.tree.map(lambda _: None, Hyperparams()).replace(learning_rate=0, b1=0, hidden_units=0)  # of members


def main(seed: int = 0) -> None:
    """Train all members, and rank them by validation accuracy."""
    x, y, x_valid, y_valid = digits()
    spec = Spec(widths=(64, 64), batch_size=BATCH_SIZE, optimizers=("adam",))
    model = mlp(spec, num_inputs=x.shape[1], num_outputs=10)
    hyperparams = population(seed)
    init = functools.partial(train.init, model=model, spec=spec)
    init_key, order_key = jax.random.split(jax.random.key(seed))
    state = jax.jit(jax.vmap(init, in_axes=(None, AXES)))(init_key, hyperparams)

    @jax.jit
    def epoch(state, key):
        rows = jax.random.permutation(key, len(x))[: len(x) // BATCH_SIZE * BATCH_SIZE].reshape(-1, BATCH_SIZE)
        one = functools.partial(train.step, model=model, spec=spec)

        def step(state, row):
            return jax.vmap(one, in_axes=(0, None, AXES))(state, Batch(x=x[row], y=y[row]), hyperparams)

        state, metrics = jax.lax.scan(step, state, rows)
        return state, metrics.loss.mean(0)

    loss = jnp.zeros(NUM_MEMBERS)
    for key in jax.random.split(order_key, NUM_EPOCHS):
        state, loss = epoch(state, key)

    predict = jax.vmap(functools.partial(model.apply, training=False), in_axes=(0, None, AXES))
    logits, _ = jax.jit(predict)(state.variables, x_valid, hyperparams)
    score = jax.vmap(accuracy, in_axes=(0, None, None))(logits, y_valid, jnp.ones(len(y_valid), bool))
    for member in jnp.argsort(-score)[:5].tolist():
        widths = "-".join(map(str, hyperparams.hidden_units[member].tolist()))
        print(
            f"member {member:2d}: learning rate {hyperparams.learning_rate[member]:.4f}, {widths} units, "
            f"training loss {loss[member]:.4f}, validation accuracy {score[member]:.3f}"
        )


if __name__ == "__main__":
    main()
