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
# # 1. The tuning process
#
# A network has many hyperparameters: the learning rate $\alpha$, momentum $\beta$, Adam's $\beta_1, \beta_2,
# \varepsilon$, the mini-batch size, the numbers of units and of layers, the learning-rate decay. The notes say how to
# look for good ones:
#
# 1. Try values **at random**, not on a grid: nobody knows beforehand which of them matter.
# 2. Go **coarse to fine**: look where things went well, and sample there more densely.

# %%
import matplotlib.pyplot as plt
import numpy as np
import polars as pl
from IPython.display import Markdown

from jaxbn import Float, Space, sweep
from jaxbn.plots.random_against_grid import random_against_grid
from jaxbn.plots.style import BLUE, VERMILION, legend, tidy
from jaxbn.search import sampler

# %% [markdown]
# ## One hyperparameter matters, another does not
#
# With Adam the learning rate matters a great deal, and $\varepsilon$ hardly at all. Twenty-five trials on a grid of
# 5 x 5 try five learning rates, each of them five times. Twenty-five random trials try twenty-five.

# %%
plane = Space(
    learning_rate=Float(1e-5, 1, scale="log"), eps=Float(1e-10, 1e-4, scale="log"), hidden_units=64, num_layers=1
)
found = {name: sweep(plane, "digits", num_configs=25, num_epochs=5, sampler=name) for name in ("grid", "random")}
axes = random_against_grid(found["grid"].trials, found["random"].trials, plane, metric="loss", greater_is_better=False)

# %%
values = {name: results.trials["learning_rate"].round(8).n_unique() for name, results in found.items()}
best = {name: results.trials["valid_loss"].min() for name, results in found.items()}
Markdown(
    f"**Random trials try every hyperparameter at as many values as there are trials**: the grid saw {values['grid']} "
    f"learning rates and random search {values['random']}. The best validation loss is {best['grid']:.3f} on the grid "
    f"and {best['random']:.3f} at random."
)

# %% [markdown]
# One pair of searches may be luck. Here are twenty, each over a range shifted by up to half a decade, so that the grid
# lies well in some of them and badly in others. Their 1,000 networks are one sweep over a list of configurations.

# %%
SHIFTS = 20
configs = []
for number, shift in enumerate(np.linspace(-0.5, 0.5, SHIFTS)):
    space = Space(
        learning_rate=Float(float(10 ** (shift - 4.5)), float(10 ** (shift - 0.5)), scale="log"),
        eps=Float(1e-10, 1e-4, scale="log"),
        hidden_units=64,
        num_layers=1,
    )
    for name in ("grid", "random"):
        configs += sampler(name).propose(number, space, None, 25)
loss = sweep(configs, "digits", num_epochs=3, metric="loss").trials["valid_loss"].to_numpy().reshape(SHIFTS, 2, 25)
grid, random = np.nanmin(loss.astype(float), axis=2).T

# %%
fig, ax = plt.subplots(figsize=(5.2, 3.6), layout="constrained")
shifts = np.linspace(-0.5, 0.5, SHIFTS)
ax.plot(shifts, grid, "s-", color=VERMILION, label="grid of 5 x 5")
ax.plot(shifts, random, "o-", color=BLUE, label="25 random trials")
tidy(ax, x="shift of the range, decades", y="best validation loss", title="")
legend(ax)

# %%
gain = grid - random
margin = 2.09 * gain.std(ddof=1) / np.sqrt(SHIFTS)  # Student's t for 19 degrees of freedom
Markdown(
    f"**On average random trials find the better network**: the best loss is lower by {gain.mean():.4f} "
    f"± {margin:.4f} (95 % interval over the {SHIFTS} ranges), in {(gain > 0).sum()} of the {SHIFTS}. What the grid "
    f"finds depends on where its lines happen to fall: its standard deviation over the ranges is {grid.std():.4f}, "
    f"that "
    f"of random search {random.std():.4f}."
)

# %% [markdown]
# ## All of them at once, coarse to fine
#
# The default space holds the nine hyperparameters of the notes and the optimizer. `sampler="coarse_to_fine"` asks for a
# wide round first, then for rounds inside boxes around the best, each on the hyperparameter's own scale.

# %%
fine = sweep(data="digits", num_configs=192, num_epochs=5, sampler="coarse_to_fine", num_rounds=3, metric="loss")
axes = fine.plot.rounds("learning_rate", "hidden_units")

# %%
median = fine.trials.group_by("round").agg(pl.col("valid_loss").fill_nan(None).median(), pl.len()).sort("round")
Markdown(
    "**Each round looks where the one before did well**: the median validation loss of what did not diverge goes from "
    + " to ".join(f"{value:.3f}" for value in median["valid_loss"])
    + f" over rounds of {median['len'][0]} configurations, and the best is {fine.trials['valid_loss'].min():.3f}."
)

# %% [markdown]
# ## Which of them mattered?
#
# A random sweep answers that afterwards. PED-ANOVA (Watanabe et al. 2023) compares where the best trials lie with where
# all of them lie.

# %%
wide = sweep(data="digits", num_configs=256, num_epochs=5)
ax = wide.plot.importance()

# %%
important = wide.importance()
ranked = sorted(important, key=important.get, reverse=True)
Markdown(
    f"**The learning rate matters most, as the notes say**: {ranked[0]} has {important[ranked[0]]:.0%} of the "
    f"importance, then {ranked[1]} ({important[ranked[1]]:.0%}) and {ranked[2]} ({important[ranked[2]]:.0%}); `eps` "
    f"has "
    f"{important['eps']:.0%}."
    if ranked[0] == "learning_rate"
    else f"Here {ranked[0]} matters most, with {important[ranked[0]]:.0%} of the importance; the learning rate has "
    f"{important['learning_rate']:.0%} and `eps` {important['eps']:.0%}."
)

# %% [markdown]
# > **Easily misprinted**
# >
# > Adam's $\varepsilon$ is $10^{-8}$. Where copying loses the minus it is $10^8$, with which the step would be next to
# > nothing.
