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
# # 2. An appropriate scale
#
# To sample at random is not to sample uniformly. The numbers of units and of layers may be drawn uniformly. A learning
# rate between 0.0001 and 1 may not: nine tenths of uniform draws would lie between 0.1 and 1.

# %%
import matplotlib.pyplot as plt
import numpy as np
from IPython.display import Markdown

from jaxbn import Float, Int, Space
from jaxbn.plots.style import BLACK, BLUE, VERMILION, legend, tidy
from jaxbn.search import sampler

NUM = 20_000


def draws(**domains):
    """Values of one hyperparameter from the random sampler."""
    (name,) = domains
    return np.array([getattr(c, name) for c in sampler("random").propose(0, Space(**domains), None, NUM)])


# %% [markdown]
# ## The learning rate: uniform in its exponent
#
# $$r \sim U[-4, 0], \qquad \alpha = 10^{\,r}$$
#
# and for a range from $10^a$ to $10^b$, $r \sim U[a, b]$. In a space this is `Float(1e-4, 1, scale="log")`.

# %%
uniform = draws(learning_rate=Float(1e-4, 1))
log = draws(learning_rate=Float(1e-4, 1, scale="log"))
edges = np.logspace(-4, 0, 41)
fig, ax = plt.subplots(figsize=(6, 3.4), layout="constrained")
for values, color, label in ((uniform, VERMILION, "uniform"), (log, BLUE, "uniform in the exponent")):
    ax.hist(values, edges, weights=np.full(NUM, 1 / NUM), histtype="step", linewidth=1.6, color=color, label=label)
ax.set_xscale("log")
tidy(ax, x=r"learning rate $\alpha$", y="share of draws per tenth of a decade", title="")
legend(ax, loc="upper left")

# %%
tenths = np.histogram(log, edges)[0] / NUM
decades = np.histogram(log, np.logspace(-4, 0, 5))[0] / NUM
Markdown(
    f"**Drawn uniformly, {np.mean(uniform > 0.1):.1%} of the learning rates lie above 0.1; drawn by the exponent, "
    f"every "
    f"decade gets its quarter** ({', '.join(f'{share:.1%}' for share in decades)}), and every tenth of a decade its "
    f"fortieth: {tenths.min():.2%} to {tenths.max():.2%}, where {1 / 40:.2%} is expected."
)

# %% [markdown]
# ## Momentum: uniform in the exponent of $1 - \beta$
#
# $\beta$ between 0.9 and 0.999 averages over about $1 / (1 - \beta)$ values: 10 at one end and 1000 at the other. So
# the
# exponent of $1 - \beta$ is what should be uniform:
#
# $$r \sim U[-3, -1], \qquad \beta = 1 - 10^{\,r}$$
#
# In a space: `Float(0.9, 0.999, scale="one_minus_log")`.

# %%
beta = draws(momentum=Float(0.9, 0.999, scale="one_minus_log"))
plain = draws(momentum=Float(0.9, 0.999))
fig, axes = plt.subplots(1, 2, figsize=(9, 3.4), layout="constrained")
grid = np.linspace(0.9, 0.999, 500)
axes[0].plot(grid, 1 / (1 - grid), color=BLACK)
axes[0].set_yscale("log")
tidy(axes[0], x=r"$\beta$", y="values averaged over", title=r"about $1/(1-\beta)$")
edges = np.logspace(1, 3, 21)
for values, color, label in ((plain, VERMILION, r"$\beta$ uniform"), (beta, BLUE, r"exponent of $1-\beta$ uniform")):
    span = 1 / (1 - values)
    axes[1].hist(span, edges, weights=np.full(NUM, 1 / NUM), histtype="step", linewidth=1.6, color=color, label=label)
axes[1].set_xscale("log")
tidy(axes[1], x="values averaged over", y="share of draws", title="where the draws go")
legend(axes[1])


# %%
def steps_that_matter(b):
    """How many values an average with weight b really spans: 1 / (1 - b)."""
    return 1 / (1 - b)


low, high = steps_that_matter(0.9005) - steps_that_matter(0.9), steps_that_matter(0.9995) - steps_that_matter(0.999)
Markdown(
    f"**Near 1 a small change of $\\beta$ is a large one**: from 0.9 to 0.9005 the average spans {low:.2f} values "
    f"more, "
    f"from 0.999 to 0.9995 {high:.0f} more. Drawn uniformly, {np.mean(plain < 0.99):.0%} of the draws average over "
    f"fewer "
    f"than 100 values; drawn by the exponent of $1 - \\beta$, {np.mean(beta < 0.99):.0%} do."
)

# %% [markdown]
# ## Why a weighted average with $\beta$ spans $1/(1-\beta)$ values
#
# The value $k$ steps back weighs $(1-\beta)\beta^k$. After $1/(1-\beta)$ steps that has fallen to about $1/e$.

# %%
rows = [
    f"| {b} | {1 / (1 - b):.0f} | {b ** (1 / (1 - b)):.3f} | {1 - b ** (1 / (1 - b)):.1%} |" for b in (0.9, 0.99, 0.999)
]
Markdown(
    "\n".join(
        [
            r"| $\beta$ | $n = 1/(1-\beta)$ | weight after $n$ steps, of the first | share of the last $n$ values |",
            "|---|---|---|---|",
            *rows,
            f"\n($1/e$ is {np.exp(-1):.3f}.)",
        ]
    )
)

# %% [markdown]
# ## Units and layers: uniform
#
# The notes draw hidden units between 50 and 100, and 2 to 4 layers, uniformly. That is `Int(50, 100)` and `Int(2, 4)`.
# (The default space draws units from 16 to 256, four doublings, by the exponent.)

# %%
units, layers = draws(hidden_units=Int(50, 100)), draws(num_layers=Int(2, 4))
counts = np.bincount(units)[50:]
shares = [f"{np.mean(layers == n):.1%}" for n in (2, 3, 4)]
Markdown(
    f"All {len(counts)} numbers of units come up, {counts.min()} to {counts.max()} times each in {NUM:,} draws "
    f"({NUM / 51:.0f} are expected); 2, 3 and 4 layers in {', '.join(shares)}."
)

# %% [markdown]
# > **What circulating copies of these notes print wrongly**
# >
# > The sign of $r$. In Python it is `r = -4 * np.random.rand()`, so that $r$ lies in $[-4, 0]$. Some copies leave the
# > minus out, and draw learning rates from 1 to 10,000:

# %%
rng = np.random.default_rng(0)
right, wrong = 10 ** (-4 * rng.random(1000)), 10 ** (4 * rng.random(1000))
Markdown(f"With the minus {right.min():.1g} to {right.max():.1g}; without it {wrong.min():.1g} to {wrong.max():,.0f}.")
