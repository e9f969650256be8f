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
# # 4. Normalising activations in a network
#
# To normalise the *inputs* of logistic regression makes the contours of its cost rounder, and gradient descent faster.
# Batch normalisation does the same to the hidden layers: it normalises each $z$ before the activation function.
#
# For the values $z^{(1)}, \dots, z^{(m)}$ of one hidden unit over a mini-batch of $m$ examples:
#
# $$\mu = \frac{1}{m} \sum_i z^{(i)} \tag{1}$$
#
# $$\sigma^2 = \frac{1}{m} \sum_i \left(z^{(i)} - \mu\right)^2 \tag{2}$$
#
# $$z^{(i)}_\mathrm{norm} = \frac{z^{(i)} - \mu}{\sqrt{\sigma^2 + \varepsilon}} \tag{3}$$
#
# $$\tilde z^{(i)} = \gamma\, z^{(i)}_\mathrm{norm} + \beta \tag{4}$$
#
# $\gamma$ and $\beta$ are learned, like weights. They let a unit have any mean and spread that suits the network.

# %%
import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np
import optax
from IPython.display import Markdown
from jax.flatten_util import ravel_pytree

from jaxbn import Hyperparams, Spec, batch_norm, load_data, minimize, mlp
from jaxbn.data import prepare, split_rows

# %% [markdown]
# ## Inputs first: round contours
#
# Logistic regression tells one kind of wine from the two others by two features, alcohol and malic acid. We draw its
# cost $J(w_1, w_2)$ for the features as they are and for normalised ones. In each case $b$ is held at its best value,
# and gradient descent gets one over the largest curvature at the minimum as its learning rate.

# %%
wine = load_data("wine")
raw = jnp.asarray(wine.features.numeric[:, :2])
scaled = (raw - raw.mean(0)) / raw.std(0)
label = jnp.asarray(wine.target == 0, float)


def cost(w, data):
    x, b = data
    z = x @ w + b
    return (jax.nn.softplus(z) - label * z).mean()  # -y log a - (1 - y) log(1 - a), from z


def bowl(x):
    """The best w and b, the curvatures there, and the path of gradient descent from w = 0."""
    wide = jnp.column_stack([(x - x.mean(0)) / x.std(0), jnp.ones(len(x))])
    best = minimize(cost, jnp.zeros(3), (wide, 0.0), optimizer=optax.sgd(1.0), num_steps=5000)
    w = best[:2] / x.std(0)  # the same optimum, told in the units of x, if x is raw
    b = best[2] - x.mean(0) @ w
    curvatures = jnp.linalg.eigvalsh(jax.hessian(cost)(w, (x, b)))
    descent = optax.sgd(1 / float(curvatures[-1]))
    after = jax.vmap(lambda n: minimize(cost, jnp.zeros(2), (x, b), optimizer=descent, num_steps=n))
    return w, b, np.asarray(curvatures), np.asarray(after(jnp.arange(2001)))


bowls = {"features as they are": (raw, *bowl(raw)), "normalised features": (scaled, *bowl(scaled))}

# %%
fig, axes = plt.subplots(1, 2, figsize=(9, 4), layout="constrained")
summary = {}
for ax, (name, (x, w, b, curvatures, path)) in zip(axes, bowls.items(), strict=True):
    reach = 1.25 * np.abs(path - np.asarray(w)).max()
    around = np.linspace(-reach, reach, 101)
    grid = np.stack(np.meshgrid(w[0] + around, w[1] + around), -1)
    heights = jax.vmap(jax.vmap(lambda w, x=x, b=b: cost(w, (x, b))))(jnp.asarray(grid))
    ax.contour(grid[..., 0], grid[..., 1], np.log(heights), levels=18, cmap="viridis", linewidths=0.8)
    excess = np.asarray(jax.vmap(lambda w, x=x, b=b: cost(w, (x, b)))(path) - cost(w, (x, b)))
    steps = int(np.argmax(excess < 1e-3)) if (excess < 1e-3).any() else len(path)
    ax.plot(*path.T, ".-", color="#D55E00", linewidth=0.8, markersize=4, label=f"gradient descent: {steps} steps")
    ax.plot(*w, "k*", markersize=11, label="minimum")
    ax.set(title=name, xlabel="$w_1$ (alcohol)", ylabel="$w_2$ (malic acid)", aspect="equal")
    ax.legend(fontsize=9)
    summary[name] = curvatures[-1] / curvatures[0], steps
(rough, slow), (smooth, fast) = summary.values()

# %%
Markdown(
    f"**Normalising the inputs makes the bowl round**: its largest curvature is {rough:.0f} times the smallest for the "
    f"features as they are and {smooth:.1f} times for normalised ones; gradient descent comes within 0.001 of the "
    f"lowest cost after {slow} steps and after {fast}."
)

# %% [markdown]
# ## The mean and the spread come from the training rows only
#
# A network will meet examples that nobody has seen. So the mean and the standard deviation are computed from the
# training rows, and the *same* numbers are used for validation, test and whatever comes later. `prepare` does that.

# %%
split, _ = split_rows(wine)
prepared = prepare(wine, split)
fig, ax = plt.subplots(figsize=(8, 2.8), layout="constrained")
for rows, name, marker in ((prepared.train, "training rows", "o"), (prepared.test, "test rows", "s")):
    ax.plot(rows.x.mean(0), marker, label=f"{name} ({len(rows.x)})", color="#0072B2" if marker == "o" else "#D55E00")
ax.set(xlabel="feature of the wine data", ylabel="mean after normalising", xticks=range(rows.x.shape[1]))
ax.axhline(0, color="grey", linewidth=0.8)
ax.legend()
train_mean, test_mean = (np.abs(rows.x.mean(0)).max() for rows in (prepared.train, prepared.test))

# %%
Markdown(
    f"**Only the training rows have a mean of 0**, to {train_mean:.0e}. Test rows are off by up to {test_mean:.2f} "
    "standard deviations, and must be: what they differ by is information that the training rows did not have."
)

# %% [markdown]
# ## The equations as code
#
# Four lines for four equations. The library's `batch_norm` does the same for many units at once (with masks, running
# averages and a gradient written out by hand); here both see the $z$ of a hidden layer of 64 units on the digits.

# %%
digits = load_data("digits")
x = jnp.asarray(prepare(digits, split_rows(digits)[0]).train.x)
model = mlp(Spec(widths=(64,)), num_inputs=x.shape[1], num_outputs=10)
layer = model.init(jax.random.key(0), Hyperparams()).params.hidden[0]
z = x[:256] @ layer.dense.kernel + 3 * jnp.arange(64) / 64  # a mini-batch; each unit with a mean of its own


def by_the_notes(z, gamma, beta, epsilon=1e-5):
    mu = z.mean(0)  # (1)
    sigma2 = ((z - mu) ** 2).mean(0)  # (2)
    z_norm = (z - mu) / jnp.sqrt(sigma2 + epsilon)  # (3)
    return gamma * z_norm + beta  # (4)


gamma, beta = jnp.full(64, 0.5), jnp.full(64, 2.0)
params = batch_norm.BatchNormParams(gamma, beta)
_, state = batch_norm.init(64)
library, _ = batch_norm.apply(params, state, z, Hyperparams(bn_epsilon=1e-5), training=True)
apart = float(jnp.abs(library - by_the_notes(z, gamma, beta)).max())

# %%
fig, axes = plt.subplots(1, 3, figsize=(10, 3), layout="constrained", sharey=True)
panels = {
    "$z$": z,
    r"$z_\mathrm{norm}$": by_the_notes(z, 1.0, 0.0),
    r"$\tilde z$, $\gamma = 0.5$, $\beta = 2$": library,
}
for ax, (name, values) in zip(axes, panels.items(), strict=True):
    for unit, color in ((5, "#0072B2"), (30, "#D55E00"), (60, "#009E73")):
        ax.hist(np.asarray(values[:, unit]), bins=30, range=(-5, 8), alpha=0.5, color=color, label=f"unit {unit}")
    ax.set(title=name, xlabel="value over the mini-batch")
axes[0].legend()
axes[0].set_ylabel("examples")
means, stds = np.asarray(library.mean(0)), np.asarray(library.std(0))

# %%
Markdown(
    f"**Whatever $z$ was, $\\tilde z$ has mean $\\beta$ and standard deviation $\\gamma$**: over the 64 units the "
    f"means are {means.min():.3f} to {means.max():.3f} and the standard deviations {stds.min():.3f} to "
    f"{stds.max():.3f}. The four lines and the library differ by at most {apart:.0e}."
)

# %% [markdown]
# ## $\gamma = \sqrt{\sigma^2 + \varepsilon}$ and $\beta = \mu$ give the identity
#
# So nothing is lost by normalising: where $z$ was best as it was, the network can learn to undo it.

# %%
with jax.enable_x64(True):
    wide = jnp.asarray(np.asarray(z), jnp.float64)
    seen = batch_norm.moments(wide)
    undo = batch_norm.BatchNormParams(gamma=jnp.sqrt(seen.var + 1e-5), beta=seen.mean)
    same = batch_norm.normalize(wide, seen, undo, epsilon=1e-5)
    off = float(jnp.abs(same - wide).max())

# %%
Markdown(
    f"**The identity is within reach**: with that $\\gamma$ and $\\beta$, $\\tilde z$ is $z$ to within {off:.1g} in "
    "float64."
)

# %% [markdown]
# ## Gradients against finite differences
#
# $\mu$ and $\sigma^2$ depend on every $z$ of the mini-batch, and the gradient must flow through them too. With
# $s = \sqrt{\sigma^2 + \varepsilon}$ and $g = \partial L / \partial \tilde z$,
#
# $$\frac{\partial L}{\partial z} = \frac{\gamma}{s} \left( g - \overline{g} - z_\mathrm{norm}\,
# \overline{g\, z_\mathrm{norm}} \right), \qquad \frac{\partial L}{\partial \gamma} = \sum_i g\, z_\mathrm{norm},
# \qquad \frac{\partial L}{\partial \beta} = \sum_i g,$$
#
# where a bar is a mean over the mini-batch. The check needs no such formula: move every number a little up and down,
# and see how much a loss changes, $(L(z + h) - L(z - h)) / 2h$.

# %%
with jax.enable_x64(True):
    z8, weight = (jnp.asarray(np.random.default_rng(i).normal(size=(8, 3)), jnp.float64) for i in range(2))
    _, state8 = batch_norm.init(3, jnp.float64)
    point = {"z": z8, "gamma": jnp.array([0.5, 1.0, 2.0]), "beta": jnp.array([-1.0, 0.0, 1.0])}

    def loss(at):
        params = batch_norm.BatchNormParams(at["gamma"], at["beta"])
        out, _ = batch_norm.apply(params, state8, at["z"], Hyperparams(), training=True)
        return (weight * jnp.tanh(out)).sum()

    flat, unflatten = ravel_pytree(point)
    exact = jax.grad(lambda flat: loss(unflatten(flat)))(flat)

    @jax.jit
    def differences(h):
        moved = h * jnp.eye(len(flat))
        up, down = (jax.vmap(lambda at: loss(unflatten(at)))(flat + sign * moved) for sign in (1, -1))
        return (up - down) / (2 * h)

    steps = np.logspace(-10, -1, 28)
    errors = np.array([float(jnp.abs(differences(h) - exact).max() / jnp.abs(exact).max()) for h in steps])

# %%
fig, ax = plt.subplots(figsize=(6, 3.6), layout="constrained")
ax.loglog(steps, errors, "o-", color="#0072B2", label="largest error, relative to the largest gradient")
ax.loglog(
    steps[-14:],
    errors[-1] * (steps[-14:] / steps[-1]) ** 2,
    "--",
    color="grey",
    label="$h^2$: what a central difference neglects",
)
ax.loglog(steps[:14], 1e-16 / steps[:14], ":", color="grey", label="$10^{-16}/h$: rounding")
ax.set(xlabel="h", ylabel="difference from the gradient")
ax.legend(fontsize=8)
slope = np.polyfit(np.log(steps[-8:]), np.log(errors[-8:]), 1)[0]

# %%
Markdown(
    f"**The gradient is right**: all {len(flat)} of its numbers, through $\\mu$ and $\\sigma^2$, agree with central "
    f"differences to {errors.min():.0e} at the best $h$, and the error shrinks as $h^{{{slope:.2f}}}$ until rounding "
    "takes over, as it must."
)

# %% [markdown]
# > **Misprints that circulate in copies of these notes**
# >
# > - Inputs, and in some copies $z$ too, are divided by the variance. Divide by the standard deviation: equation (3)
# >   has the root.
# > - $\varepsilon$ stands beside the root, $\sqrt{\sigma^2} + \varepsilon$. It belongs under it, or
# >   $\gamma = \sqrt{\sigma^2 + \varepsilon}$ and $\beta = \mu$ do not give the identity exactly.
# >
# > And one that is easily made: an $\varepsilon$ that has lost the minus of its exponent, $10^8$. For batch
# > normalisation $10^{-5}$ is usual; it only guards against a variance of zero.

# %%
spread = float(by_the_notes(z, 1.0, 0.0, epsilon=1e8).std())
halved = z * 2
wrong = (halved - halved.mean(0)) / halved.var(0)
Markdown(
    "What they would do: dividing by the variance, the result depends on the units of $z$: "
    f"measured in halves, its standard deviation is {float((wrong.std(0)).mean()):.2f} instead of "
    f"{float(((z - z.mean(0)) / z.var(0)).std(0).mean()):.2f}; dividing by the standard deviation it is 1 both times. "
    f"With $\\varepsilon = 10^8$ the standard deviation of $z_\\mathrm{{norm}}$ is {spread:.0e} "
    "instead of 1, so that nothing of $z$ is left."
)
