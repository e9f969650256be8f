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
# # 8. Softmax regression
#
# With $C$ classes the last layer gives $C$ numbers $z$, and the softmax makes probabilities of them:
#
# $$t = e^{z}, \qquad a_i = \frac{t_i}{\sum_{j=1}^{C} t_j}.$$

# %%
import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np
from IPython.display import Markdown
from sklearn.datasets import make_blobs, make_moons
from sklearn.linear_model import LogisticRegression

from jaxbn import Space, load_data, sweep
from jaxbn.plots.boundary import boundary

# %% [markdown]
# ## The example of the notes

# %%
z = jnp.array([5.0, 2.0, -1.0, 3.0])
t = jnp.exp(z)
a = t / t.sum()
Markdown(
    f"$z$ = {z.tolist()} gives $t$ = {[round(v, 1) for v in t.tolist()]}, their sum {float(t.sum()):.1f}, and $a$ = "
    f"{[round(v, 3) for v in a.tolist()]}: class 0 with {float(a[0]):.1%}. `jax.nn.softmax` differs by at most "
    f"{float(jnp.abs(a - jax.nn.softmax(z)).max()):.0e}."
)

# %% [markdown]
# ## With no hidden layer the boundaries are straight
#
# `num_layers=0` is softmax regression: $a = \mathrm{softmax}(W x + b)$. Where two classes are equally probable,
# $(w_i - w_j)^\top x + b_i - b_j = 0$: a line.

# %%
x, y = make_blobs(600, centers=5, cluster_std=1.1, random_state=3)
data = {"blobs": (x, y), "moons": make_moons(600, noise=0.15, random_state=0)}


def trained(name, num_layers):
    """A network of so many hidden layers."""
    space = Space(num_layers=num_layers, hidden_units=16, learning_rate=0.03)
    return sweep(space, load_data(data[name]), num_configs=1, num_epochs=60)


fitted = {(name, layers): trained(name, layers) for name in data for layers in (0, 2)}

# %%
fig, axes = plt.subplots(2, 2, figsize=(9, 7), layout="constrained")
for ax, ((name, layers), results) in zip(axes.T.flat, fitted.items(), strict=True):
    points, labels = data[name]
    classes = [str(c) for c in np.unique(labels)]
    boundary(results.best_model.predict_proba, points, labels, classes, resolution=150, ax=ax)
    ax.set_title(f"{name}: {'no hidden layer' if layers == 0 else f'{layers} hidden layers'}")

# %%
scores = {key: results.test["accuracy"] for key, results in fitted.items()}
Markdown(
    f"**Without a hidden layer the boundaries are straight lines, with hidden layers they bend.** For five blobs lines "
    f"are enough (test accuracy {scores['blobs', 0]:.1%} without and {scores['blobs', 2]:.1%} with two hidden layers); "
    f"for two moons they are not ({scores['moons', 0]:.1%} and {scores['moons', 2]:.1%})."
)

# %%
model = fitted["blobs", 0].best_model
line = np.linspace([-8.0, -6.0], [8.0, 6.0], 9)
logits = np.log(model.predict_proba(line))
bend = np.abs(np.diff(logits - logits[:, :1], n=2, axis=0)).max() / np.ptp(logits - logits[:, :1])
Markdown(
    f"That the differences of its logits are linear in $x$ can be measured: along a straight line through the plane "
    f"their "
    f"second differences are {bend:.0e} of their range."
)

# %% [markdown]
# ## Two classes: softmax is logistic regression
#
# With $C = 2$, $a_1 = e^{z_1} / (e^{z_0} + e^{z_1}) = \sigma(z_1 - z_0)$: only the difference matters.

# %%
pairs = jax.random.normal(jax.random.key(0), (1000, 2)) * 3
gap = float(jnp.abs(jax.nn.softmax(pairs)[:, 1] - jax.nn.sigmoid(pairs[:, 1] - pairs[:, 0])).max())
points, labels = data["moons"]
ours = fitted["moons", 0].best_model.predict_proba(points)[:, 1]
theirs = LogisticRegression(C=np.inf).fit(points, labels).predict_proba(points)[:, 1]
Markdown(
    f"Over {len(pairs):,} pairs of logits the two formulas differ by at most {gap:.0e}. The softmax regression above "
    f"and "
    f"scikit-learn's logistic regression agree on the class of {np.mean((ours > 0.5) == (theirs > 0.5)):.1%} of the "
    f"moons, and their probabilities differ by {np.abs(ours - theirs).mean():.3f} on average: one was trained by Adam "
    f"on "
    f"three fifths of the points, the other solved on all."
)
