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
# # 9. Training a softmax classifier
#
# $$L(\hat y, y) = -\sum_{j=1}^{C} y_j \log \hat y_j, \qquad J = \frac{1}{m} \sum_{i=1}^{m} L(\hat y^{(i)}, y^{(i)}),
# \qquad dZ = \hat y - y.$$
#
# As $y$ is 1 for the true class and 0 for the others, the loss is $-\log \hat y$ of the true class: to make it small,
# that probability must be made large.

# %%
import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np
from IPython.display import Markdown

from jaxbn import Batch, Hyperparams, Space, Spec, losses, sweep
from jaxbn.plots.style import BLACK, BLUE, VERMILION, legend, tidy

# %% [markdown]
# ## The example of the notes


# %%
def cross_entropy(logits, classes):
    """The library's loss of each row, from logits and the numbers of the true classes."""

    def of_row(z, y):
        one = Batch(x=jnp.zeros((1, 1)), y=y[None])
        return losses.softmax_cross_entropy(z[None], one, Hyperparams(), spec=Spec()).loss

    return jax.vmap(of_row)(logits, classes)


y, y_hat = jnp.array([0.0, 1.0, 0.0, 0.0]), jnp.array([0.3, 0.2, 0.1, 0.4])
by_hand = float(-(y * jnp.log(y_hat)).sum())
row = cross_entropy(jnp.log(y_hat)[None], jnp.array([1]))  # log y_hat are logits of y_hat
Markdown(
    f"$y$ = {y.astype(int).tolist()}, $\\hat y$ = {[round(v, 1) for v in y_hat.tolist()]}: $L = -\\log 0.2$ = "
    f"{by_hand:.4f}; the library says {float(row[0]):.4f}."
)

# %% [markdown]
# ## The gradient is $\hat y - y$
#
# The framework finds it by itself. Checked here against the formula, over 64 examples of 10 classes.

# %%
logits = 3 * jax.random.normal(jax.random.key(0), (64, 10))
classes = jax.random.randint(jax.random.key(1), (64,), 0, 10)
dz = jax.grad(lambda z: cross_entropy(z, classes).sum())(logits)
formula = jax.nn.softmax(logits) - jax.nn.one_hot(classes, 10)
Markdown(
    f"**$dZ = \\hat y - y$**: the largest difference between automatic differentiation and the formula is "
    f"{float(jnp.abs(dz - formula).max()):.0e}."
)

# %% [markdown]
# ## From logits, not from probabilities
#
# Written as in the formula, $e^z$ overflows `float32` above $z \approx 88$, and $\log \hat y$ is infinite where
# $\hat y$ has become 0. The same loss from logits, $L = \log \sum_j e^{z_j - z_{\max}} + z_{\max} - z_y$, does neither.

# %%
size = jnp.linspace(0, 200, 401)
z = jnp.stack([size, jnp.zeros_like(size)], axis=1)  # the true class is the second: the loss is log(1 + e^size)


def naive(z):
    t = jnp.exp(z)
    return -jnp.log(t[:, 1] / t.sum(1))


exact = np.logaddexp(np.asarray(z[:, 0], float), 0.0)
found = {"as the formula is written": naive(z), "from logits": cross_entropy(z, jnp.ones(len(z), int))}
error = {name: np.abs(np.asarray(loss, float) / exact - 1) for name, loss in found.items()}
fig, ax = plt.subplots(figsize=(6, 3.4), layout="constrained")
ends = float(size[np.isfinite(error["as the formula is written"])].max())
ax.axvspan(ends, 200, color=VERMILION, alpha=0.12, linewidth=0, label="the written formula has no number")
rounding = np.finfo(np.float32).eps / 2
ax.axhline(1e8 * rounding, color=BLACK, linewidth=0.8, linestyle=":", label="to which float32 rounds a number")
# A linear axis: many errors are 0. Rings, so that points of the other fit inside.
rings, dots = {"marker": "o", "markersize": 6, "fillstyle": "none"}, {"marker": ".", "markersize": 4}
for (name, values), color, marks in zip(error.items(), (VERMILION, BLUE), (rings, dots), strict=True):
    ax.plot(size, 1e8 * values, linestyle="none", color=color, label=name, **marks)
tidy(ax, x="logit of a wrong class", y=r"relative error of the loss, $\times 10^{-8}$", title="")
legend(ax)

# %%
Markdown(
    f"**From logits the loss is right however wrong the network is**: its relative error is at most "
    f"{error['from logits'].max():.0e} up to a logit of 200, about what float32 rounds to ({rounding:.0e}); the "
    f"written formula is as good up to {ends:.0f} and has no number above."
)

# %% [markdown]
# ## Training
#
# That loss, minimised on digits: softmax regression, and a network with hidden layers.

# %%
runs = {
    name: sweep(Space(num_layers=layers, hidden_units=64, learning_rate=0.01), "digits", num_configs=1, num_epochs=30)
    for name, layers in (("softmax regression", 0), ("2 hidden layers", 2))
}
fig, ax = plt.subplots(figsize=(6, 3.4), layout="constrained")
for (name, results), color in zip(runs.items(), (VERMILION, BLUE), strict=True):
    curve = results.curves.sort("epoch")
    ax.plot(curve["epoch"], curve["train_loss"], "--", color=color, label=f"{name}, training")
    ax.plot(curve["epoch"], curve["valid_loss"], "-", color=color, label=f"{name}, validation")
ax.axhline(np.log(10), color=BLACK, linewidth=0.8, linestyle=":", label="log 10: knowing nothing")
ax.set_yscale("log")
tidy(ax, x="epoch", y="mean loss J", title="")
legend(ax)

# %%
first = {name: results.curves.sort("epoch")["valid_loss"] for name, results in runs.items()}
Markdown(
    "**Minimising the mean of $-\\log \\hat y$ makes a classifier**, and fits the training rows better than new ones: "
    + "; ".join(
        f"{name}: validation loss {loss[0]:.2f} after an epoch and {loss[-1]:.3f} after {len(loss)} "
        f"(least after {int(loss.arg_min()) + 1}: {loss.min():.3f}), test accuracy "
        f"{runs[name].test['accuracy']:.1%}"
        for name, loss in first.items()
    )
    + f". Knowing nothing costs $\\log 10$ = {np.log(10):.2f}."
)
