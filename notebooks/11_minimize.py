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
# # 11. Minimise any cost: write the forward computation, the framework differentiates
#
# The last section of the notes shows what a framework is for. You write how the cost $J$ follows from the parameters
# $w$; the framework works out $dJ/dw$ and takes the steps of gradient descent
#
# $$w := w - \alpha \, \frac{dJ}{dw}.$$
#
# The notes do it in TensorFlow. Here it is `jaxbn.minimize`, and because it is one pure function, a thousand
# minimisations at once cost no more code than one.

# %%
import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np
import optax
from IPython.display import Markdown

import jaxbn
from jaxbn.plots.style import BLACK, BLUE, VERMILION, legend, tidy

# %% [markdown]
# ## The example of the notes
#
# $$J(w) = w^2 - 10\,w + 25 = (w - 5)^2,$$
#
# so the minimum is at $w = 5$. We start at $w = 0$ with the learning rate $\alpha = 0.01$. Only the cost is written:


# %%
def cost(w, x):
    return x[0] * w**2 + x[1] * w + x[2]


gradient_descent = optax.sgd(0.01)


def w_after(num_steps, coefficients):
    return jaxbn.minimize(cost, 0.0, jnp.array(coefficients), optimizer=gradient_descent, num_steps=num_steps)


# %% [markdown]
# The coefficients are *data* $x$, fed in as TensorFlow's example feeds a placeholder: other coefficients need no new
# program.

# %%
asked = [
    ([1.0, -10.0, 25.0], 0, "0.0"),
    ([1.0, -10.0, 25.0], 1, "0.099999994"),
    ([1.0, -10.0, 25.0], 5000, "4.9999886"),
    ([1.0, -20.0, 100.0], 1000, "9.999977"),
]


def apart(a, b):
    """Units in the last place of float32 between two positive numbers."""
    return abs(int(np.float32(a).view(np.int32)) - int(np.float32(b).view(np.int32)))


rows = ["| coefficients | steps | $w$ | $w$ in the notes | units in the last place apart |", "|---|---|---|---|---|"]
for x, steps, printed in asked:
    w = np.asarray(w_after(steps, x))
    rows.append(f"| {x} | {steps} | {w!s} | {printed} | {apart(w, printed)} |")
Markdown("\n".join(rows))

# %% [markdown]
# ### Why 4.9999886, and not 5?
#
# Numbers in `float32` lie a small distance apart. When a step has become no more than half that distance,
# adding it changes nothing, and $w$ stands still however long we go on.

# %%
w = w_after(5000, [1.0, -10.0, 25.0])
step = 0.01 * abs(2 * float(w) - 10)
gap = float(np.spacing(np.float32(w)))
Markdown(
    f"At $w$ = {np.asarray(w)!s} the step would be {step:.3g}, and half the distance to the next number is "
    f"{gap / 2:.3g}. After 50,000 steps $w$ is still {np.asarray(w_after(50_000, [1.0, -10.0, 25.0]))!s}."
)

# %% [markdown]
# ## A thousand learning rates and a thousand costs at once
#
# Which learning rates work? For $J(w) = a w^2 + b w + c$ with its minimum at $w^* = -b / 2a$, one step gives
#
# $$w - w^* \;:=\; (1 - 2 \alpha a)\,(w - w^*),$$
#
# so the distance shrinks exactly when $|1 - 2 \alpha a| < 1$, that is
#
# $$0 < \alpha < \frac{1}{a}.$$
#
# We draw 1,000 learning rates and 1,000 sets of coefficients, and minimise them all in one program: `jax.vmap` turns
# the function of one problem into the function of a thousand.

# %%
NUM, STEPS = 1000, 100
rng = np.random.default_rng(0)
a = 10 ** rng.uniform(-1, 1, NUM)
goal = rng.choice([-1, 1], NUM) * rng.uniform(1, 10, NUM)
rate = 10 ** rng.uniform(-3, 1, NUM)
coefficients = np.stack([a, -2 * a * goal, a * goal**2], axis=1)


@jax.jit
@jax.vmap
def all_at_once(rate, coefficients):
    return jaxbn.minimize(cost, 0.0, coefficients, optimizer=optax.sgd(rate), num_steps=STEPS)


reached = np.asarray(all_at_once(np.float32(rate), np.float32(coefficients)), dtype=float)

# %%
left = np.abs(reached - goal) / np.abs(goal)  # what is left of the first distance; NaN or infinite where it blew up
nearer = left < 1
figure, ax = plt.subplots(figsize=(7.6, 4), layout="constrained")
for rows, color, label in (
    (nearer, BLUE, "nearer to the minimum"),
    (~nearer, VERMILION, "farther from it, or infinite"),
):
    ax.scatter(a[rows], rate[rows], s=9, color=color, linewidths=0, label=f"{label} ({rows.sum()})")
line = np.array([0.1, 10])
ax.plot(line, 1 / line, color=BLACK, linewidth=1.2, label=r"$\alpha = 1/a$")
ax.set(xscale="log", yscale="log")
tidy(
    ax,
    x="a of the cost",
    y=r"learning rate $\alpha$",
    title=f"{NUM} minimisations of {STEPS} steps, in one program",
)
legend(ax, loc="upper left", bbox_to_anchor=(1, 1))

# %%
as_foretold = nearer == (rate < 1 / a)
Markdown(
    f"**The learning rates that come nearer to the minimum are those below $1/a$**: so it is in "
    f"{as_foretold.sum()} of {NUM} minimisations. A learning rate is too large or not for a *given* cost, which is why "
    "it has to be searched anew for every problem."
)

# %% [markdown]
# How *fast* they get there follows from the same factor: after $n$ steps a share $|1 - 2 \alpha a|^n$ of the distance
# is left. Best is $\alpha a = 1/2$, which lands in one step.

# %%
shown = np.isfinite(left) & (left < 1e6)
product = np.geomspace(1e-4, 1.1, 2000)
figure, ax = plt.subplots(figsize=(6, 3.6), layout="constrained")
ax.plot(product, np.abs(1 - 2 * product) ** STEPS, color=BLACK, linewidth=1, label=rf"$|1 - 2\alpha a|^{{{STEPS}}}$")
ax.scatter((rate * a)[shown], np.maximum(left[shown], 1e-8), s=9, color=BLUE, linewidths=0, label="measured")
ax.set(xscale="log", yscale="log", ylim=(5e-9, 1e4))
tidy(ax, x=r"$\alpha a$", y="share of the distance left", title=f"After {STEPS} steps")
legend(ax, loc="lower left")

# %%
foretold = np.abs(1 - 2 * rate * a) ** STEPS
compared = shown & (foretold > 1e-3)
off = np.abs(left[compared] / foretold[compared] - 1).max()
Markdown(
    f"**The distance left is $|1 - 2 \\alpha a|^n$**: where more than a thousandth is left, measured and foretold "
    f"differ by at most {off:.2%}, in {compared.sum()} minimisations. Below about $10^{{-7}}$ the points lie on the "
    f"floor of `float32`, like the {np.asarray(w)!s} above; those that landed exactly are drawn at $10^{{-8}}$."
)
