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
# # 10. Frameworks
#
# The notes list ten frameworks: caffe and caffe2, CNTK, DL4J, Keras, Lasagne, MXNet, PaddlePaddle, TensorFlow,
# Theano and torch. Choose by ease of programming, running speed, and whether it is truly open. Moving a network from
# one to another needs one more thing: the same words must mean the same, and for batch normalisation they do not.

# %%
import jax
import matplotlib.pyplot as plt
import numpy as np
from IPython.display import Markdown

from jaxbn import Space, sweep
from jaxbn.interop import conventions
from jaxbn.interop.conventions import CONVENTIONS
from jaxbn.nn import batch_norm
from jaxbn.plots.style import BLUE, VERMILION, tidy

# %% [markdown]
# ## What is stored after the same mini-batches
#
# Frameworks normalise a mini-batch by its biased variance (but for Equinox's default mode, which uses the running
# moments that it has just updated). What they *keep* for test time differs: which weight stays on the old value,
# whether the variance is the biased or the unbiased one, whether $\varepsilon$ is in it, where the average starts. Here
# each convention sees the same two mini-batches of one unit, [1, 2, 3, 4] and [2, 6, 4, 12].

# %%
batches = [np.array([[1.0], [2.0], [3.0], [4.0]]), np.array([[2.0], [6.0], [4.0], [12.0]])]
rows = ["| framework | averaged | variance | stored |", "|---|---|---|---|"]
for name, row in CONVENTIONS.items():
    stored = ", ".join(f"{key} = {np.ravel(value)[0]:.5g}" for key, value in conventions.track(name, batches).items())
    rows.append(f"| {name} | {row.averaging} | {row.correction.__name__.replace('_', ' ')} | {stored} |")
Markdown("\n".join(rows))

# %% [markdown]
# ## What that means at test time
#
# The variance that inference would use after those two mini-batches. The exact variance of all eight numbers is the
# dashed line.

# %%
used = {}
for name, row in CONVENTIONS.items():
    _, state = conventions.init(1, convention=row)
    for batch in batches:
        state = conventions.update(state, batch_norm.moments(jax.numpy.asarray(batch, "float32")), convention=row)
    used[name] = float(conventions.running_moments(state, convention=row).var[0])
exact = np.concatenate(batches).var()
order = sorted(used, key=used.get)
fig, ax = plt.subplots(figsize=(7, 4.6), layout="constrained")
ax.barh(order, [used[name] for name in order], color=BLUE)
ax.axvline(exact, color=VERMILION, linestyle="--", label="exact")
ax.set_xscale("log")
ax.tick_params(axis="y", labelsize=8)
tidy(ax, x="variance that inference uses after two mini-batches", y="", title="")

# %%
low, high = order[0], order[-1]
Markdown(
    f"**After two mini-batches frameworks disagree by a factor of {used[high] / used[low]:.0f}** on the variance of "
    f"the same unit: {used[low]:.2f} in {low} and {used[high]:.1f} in {high}, where all eight have {exact:.2f}. "
    "In long training most of that goes away, but not for a model that is moved in the middle of it."
)

# %% [markdown]
# ## A network there and back
#
# `export_network` gives the arrays of a trained network under a framework's own names, in its order and layout, with
# the difference of the epsilons moved into the variance; `import_network` reads them.

# %%
trained = sweep(Space(hidden_units=32, num_layers=2, learning_rate=0.02), "digits", num_configs=1, num_epochs=10)
model = trained.best_model
names = {
    name: list(conventions.export_network(model.variables, name))[:4] for name in ("torch", "keras3", "flax", "caffe")
}
Markdown(
    "\n".join(
        ["| framework | the first arrays |", "|---|---|", *(f"| {n} | {', '.join(a)} |" for n, a in names.items())]
    )
)


# %%
def moments_of(variables):
    """Mean and variance [F] that inference uses, of each hidden layer."""
    return [batch_norm.running_moments(state)[:2] for state in jax.tree.map(np.asarray, variables.model_state)]


def apart(name):
    """Largest relative difference of weights and moments after a journey through a framework's arrays."""
    there = conventions.export_network(model.variables, name)
    back = conventions.import_network(there, name)
    trees = [(v.params, moments_of(v)) for v in (model.variables, back)]
    pairs = zip(*(jax.tree.leaves(jax.tree.map(np.asarray, tree)) for tree in trees), strict=True)
    return max(float(np.abs(a - b).max() / np.abs(a).max()) for a, b in pairs)


journeys = {name: apart(name) for name, row in CONVENTIONS.items() if row.gamma == "learned"}
worst = max(journeys, key=journeys.get)
Markdown(
    f"**A journey through {len(journeys)} conventions loses nothing but rounding**: weights, means and variances come "
    f"back to within {journeys[worst]:.0e} of the largest, which is the difference in {worst}. (MXNet's operator holds "
    "$\\gamma$ at 1: what it computes is the same, but $\\gamma$ has moved into the variance.)"
)

# %% [markdown]
# ## Optimizers differ too
#
# Adam adds $\varepsilon$ to the root of the *corrected* average (the paper's Algorithm 1) or of the uncorrected one. At
# the first step the same $\varepsilon$ then acts $1/\sqrt{1-\beta_2}$, about 32 times, as strongly.

# %%
table = ["| framework | epsilon is added to the root of the | epsilon | checked |", "|---|---|---|---|"]
table += [
    f"| {r.framework} | {r.epsilon_added} average | {r.epsilon:g} | {r.checked} |" for r in conventions.ADAM.values()
]
Markdown("\n".join(table))

# %% [markdown]
# In a shell, `jaxbn conventions` prints the table, and `jaxbn conventions torch` one row in full with its sources.
