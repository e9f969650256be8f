# ---
# jupyter:
#   jupytext:
#     formats: ipynb,py:percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # 5. Fitting batch normalisation into a network
#
# Batch normalisation sits between the product with the weights and the activation function of each hidden layer:
#
# $$X \;\to\; Z^{[1]} \;\to\; \mathrm{BN} \;\to\; A^{[1]} \;\to\; Z^{[2]} \;\to\; \mathrm{BN} \;\to\; A^{[2]}
# \;\to\; \cdots \;\to\; \hat y$$
#
# $$Z^{[l]} = W^{[l]} A^{[l-1]}, \qquad \tilde Z^{[l]} = \gamma^{[l]} Z^{[l]}_\mathrm{norm} + \beta^{[l]}, \qquad
# A^{[l]} = g\big(\tilde Z^{[l]}\big)$$
#
# This $\beta^{[l]}$ is a parameter that is learned. The $\beta$ of momentum is a hyperparameter: the same letter for
# another thing.

# %%
import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np
from IPython.display import Markdown

from jaxbn import Batch, Config, Hyperparams, Spec, batch_norm, load_data, losses, mlp, sweep
from jaxbn.data import prepare, split_rows

digits = load_data("digits")
rows = prepare(digits, split_rows(digits)[0]).train
x, y = jnp.asarray(rows.x), jnp.asarray(rows.y)

# %% [markdown]
# ## The order of the layers
#
# A network of two hidden layers, written down as above, and the library's `mlp` with the same parameters. (Here an
# example is a row, so $Z = A W$ where the notes have columns and $Z = W A$.)

# %%
spec, h = Spec(widths=(32, 16)), Hyperparams()
model = mlp(spec, num_inputs=x.shape[1], num_outputs=10)
variables = model.init(jax.random.key(0), h)


def forward(params, x):
    a = x
    for layer in params.hidden:
        z = a @ layer.dense.kernel
        z_norm = (z - z.mean(0)) / jnp.sqrt(z.var(0) + h.bn_epsilon)
        a = jax.nn.relu(layer.norm.gamma * z_norm + layer.norm.beta)
    return a @ params.output.kernel + params.output.bias


outputs, _ = model.apply(variables, x[:64], h, training=True)
apart = float(jnp.abs(outputs - forward(variables.params, x[:64])).max())
Markdown(f"The loop and the library differ by at most {apart:.0e} in the logits of a mini-batch of 64.")

# %% [markdown]
# ## The parameters are $W$, $\gamma$, $\beta$
#
# The output layer has no batch normalisation, so it keeps its $b$.

# %%
names = {"kernel": "W", "bias": "b", "gamma": "gamma", "beta": "beta"}
lines = ["| parameter | shape |", "|---|---|"]
for path, leaf in jax.tree_util.tree_leaves_with_path(variables.params):
    where = f"hidden layer {path[1].idx + 1}" if path[0].name == "hidden" else "output layer"
    lines.append(f"| {names[path[-1].name]}, {where} | {' x '.join(map(str, leaf.shape))} |")
Markdown("\n".join(lines))

# %% [markdown]
# ## $b$ has no effect
#
# The mean of $z + b$ over the mini-batch is $\mu + b$, and (3) subtracts it: $b$ is gone, whatever it is. We add a
# constant $c$ to every $z$ of the first hidden layer and see what comes out of the activation function.

# %%
first = variables.params.hidden[0]
z = x[:64] @ first.dense.kernel
plain = jax.nn.relu(z)
shifts = 10.0 ** np.arange(-3, 4)


def normalised(z):
    return jax.nn.relu(batch_norm.apply(first.norm, variables.model_state[0], z, h, training=True)[0])


without = [float(jnp.abs(jax.nn.relu(z + c) - plain).max()) for c in shifts]
with_bn = [float(jnp.abs(normalised(z + c) - normalised(z)).max()) for c in shifts]

fig, ax = plt.subplots(figsize=(6, 3.6), layout="constrained")
ax.loglog(shifts, without, "s-", color="#D55E00", label="without batch normalisation")
ax.loglog(shifts, with_bn, "o-", color="#0072B2", label="with batch normalisation")
ax.loglog(shifts, shifts * 2**-24, ":", color="grey", label="rounding of z + c in float32")
ax.set(xlabel="constant c added to z", ylabel="largest change of an activation")
ax.legend(fontsize=9)

# %%
at = int(np.argmin(np.abs(shifts - 10)))
Markdown(
    f"**Adding a constant to $z$ changes nothing but rounding**: c = {shifts[at]:g} changes an activation by up to "
    f"{without[at]:.1f} without batch normalisation and by {with_bn[at]:.0e} with it."
)

# %% [markdown]
# The same in training: give a hidden layer a $b$ all the same, and its gradient is zero. It would never move.


# %%
def loss(b, beta):
    norm = batch_norm.BatchNormParams(first.norm.gamma, beta)
    z = x[:64] @ first.dense.kernel + b
    a = jax.nn.relu(batch_norm.apply(norm, variables.model_state[0], z, h, training=True)[0])
    batch = Batch(x=x[:64], y=y[:64])
    return losses.softmax_cross_entropy(a[:, :10], batch, h, spec=spec).loss


db, dbeta = jax.grad(loss, argnums=(0, 1))(jnp.zeros(32), first.norm.beta)
Markdown(
    f"The largest gradient of $b$ is {float(jnp.abs(db).max()):.0e}, that of $\\beta$, which takes its place, "
    f"{float(jnp.abs(dbeta).max()):.2f}."
)

# %% [markdown]
# ## It works with gradient descent, momentum, RMSprop and Adam alike
#
# Each update of $W$, $\gamma$ and $\beta$ is that of the optimizer; batch normalisation asks for nothing else. Each
# mini-batch is normalised by its own $\mu$ and $\sigma^2$.
#
# Each optimizer gets the same ten learning rates between $10^{-3.5}$ and 1, with and without batch normalisation: 80
# networks, which `sweep` trains side by side. We draw the learning rate that ended with the lowest validation loss.

# %%
optimizers = {"sgd": "gradient descent", "momentum": "momentum", "rmsprop": "RMSprop", "adam": "Adam"}
rates = np.logspace(-3.5, 0, 10)
configs = [
    Config(optimizer=optimizer, normalization=normalization, learning_rate=float(rate), num_layers=3, hidden_units=32)
    for optimizer in optimizers
    for normalization in ("batch", "none")
    for rate in rates
]
results = sweep(configs, digits, num_epochs=15, metric="loss")

# %%
curve_of = {trial: frame.sort("epoch")["valid_loss"].to_numpy() for (trial,), frame in results.curves.group_by("trial")}
ranked = results.leaderboard(len(configs))
fig, axes = plt.subplots(1, 2, figsize=(9, 3.8), layout="constrained", sharey=True)
final, scores = {"none": [], "batch": []}, []
for color, (optimizer, name) in enumerate(optimizers.items()):
    for ax, normalization in zip(axes, final, strict=True):
        best = ranked.filter(optimizer=optimizer, normalization=normalization).row(0, named=True)
        curve = curve_of[best["trial"]]
        label = f"{name}, rate {best['learning_rate']:.2g}"
        ax.semilogy(range(1, len(curve) + 1), curve, color=f"C{color}", label=label)
        final[normalization].append(curve[-1])
    scores.append(f"{name} {best['valid_accuracy']:.1%}")
for ax, title in zip(axes, ("without batch normalisation", "with batch normalisation"), strict=True):
    ax.set(title=title, xlabel="epoch")
    ax.legend(fontsize=8)
axes[0].set_ylabel("validation loss")

# %%
Markdown(
    f"**Batch normalisation trains with every one of the four optimizers**: validation accuracy with it is "
    f"{', '.join(scores)}; the validation loss ends between {min(final['batch']):.2f} and "
    f"{max(final['batch']):.2f}, without it between {min(final['none']):.2f} and {max(final['none']):.2f}."
)

# %% [markdown]
# > **Misprints that circulate in copies of these notes**
# >
# > - $W$, $\beta$ and $\alpha$ are named as the parameters. They are $W$, $\gamma$ and $\beta$; $\alpha$ is the
# >   learning rate.
# > - $\gamma^{[l]}$ and $\beta^{[l]}$ are given the shape $(n^{[l]}, m)$. They have one number for each unit,
# >   $(n^{[l]}, 1)$, and are used for all $m$ examples: the table above shows it.
# >
# > That $b^{[l]}$ can go holds for the layers that are normalised. The output layer keeps its $b$.
