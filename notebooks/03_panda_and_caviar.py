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
# # 3. Pandas and caviar
#
# There are two ways to look for hyperparameters. You tend *one* model, watch its curve day by day and nudge its
# learning
# rate, as a **panda** looks after its one child. Or you train *many* models side by side and keep the best, as a fish
# lays its eggs: **caviar**. Which one depends on the computer you have. Population-based training is both at once.

# %%
import matplotlib.pyplot as plt
import numpy as np
from IPython.display import Markdown

from jaxbn import Float, Panda, Space, sweep
from jaxbn.plots.style import BLACK, BLUE, VERMILION, legend, tidy
from jaxbn.search import sampler

# %% [markdown]
# ## The panda
#
# Train for twelve epochs, and look. The loss jumps about: the learning rate was too large. Go back to epoch 2 on a
# branch
# of its own, lower the rate, and train on. After five more epochs look again, and lower it once more.

# %%
panda = Panda({"hidden_units": 64, "learning_rate": 0.3}, "digits", seed=1)
panda.train(12).branch("lower").rewind(10).set(learning_rate=0.03).train(5).set(learning_rate=0.005).train(5)
print(panda.log)

# %%
curves = panda.curves
fig, ax = plt.subplots(figsize=(6, 3.4), layout="constrained")
for name, color in (("main", VERMILION), ("lower", BLUE)):
    own = curves.filter(curves["branch"] == name)
    ax.plot(own["epoch"], own["valid_loss"], "o-", color=color, label=f"branch {name}", markersize=3.5)
ax.axvline(2, color=BLACK, linewidth=0.8, linestyle=":")
ax.set_yscale("log")
tidy(ax, x="epoch", y="validation loss", title="back to epoch 2, learning rate 0.3 to 0.03; at epoch 7 to 0.005")
legend(ax)

# %%
last = {name: curves.filter(curves["branch"] == name)["valid_loss"][-1] for name in ("main", "lower")}
again = Panda.replay(panda.log)
same = np.array_equal(again.curves["valid_loss"].to_numpy(), curves["valid_loss"].to_numpy())
Markdown(
    f"**Tending pays**: after epoch 12 the validation loss is {last['main']:.3f} with the learning rate left alone "
    f"and "
    f"{last['lower']:.3f} on the branch. The log replays to the same bits: {same}."
)

# %% [markdown]
# ## Caviar
#
# The same network with 64 learning rates, trained as a few stacked programs, and the best of them kept.

# %%
space = Space(learning_rate=Float(1e-4, 1, scale="log"), hidden_units=64, num_layers=2)
many = sweep(space, "digits", num_configs=64, num_epochs=12, seed=1)
ax = many.plot.learning_curves(metric="loss")

# %%
seconds = many.seconds
Markdown(
    f"**A population is a matter of seconds**: 64 networks take {seconds.train:.1f} s of training, "
    f"{1000 * seconds.train / 64:.0f} ms each, and {seconds.compile:.1f} s of compiling. The best has learning rate "
    f"{many.best.config['learning_rate']:.2g} and validation loss "
    f"{many.trials['valid_loss'].min():.3f}."
)

# %% [markdown]
# ## Both at once: population-based training
#
# Thirty-two networks begin with learning rates that are far too small. After every epoch the worst take over the
# weights
# of the best, and try a learning rate a little above or below (Jaderberg et al. 2017). Every network is tended, and
# nobody has to.

# %%
poor = sampler("random").propose(
    0, Space(learning_rate=Float(1e-5, 1e-4, scale="log"), hidden_units=64, num_layers=2), None, 32
)
wide = Space(learning_rate=Float(1e-5, 1, scale="log"), hidden_units=64, num_layers=2)
fixed = sweep(poor, "digits", num_epochs=20)
evolved = sweep(wide, "digits", num_configs=32, num_epochs=20, enqueue=poor, scheduler="pbt", interval=1)
ax = evolved.plot.lineage()

# %%
score = {name: results.best.validation["accuracy"] for name, results in (("fixed", fixed), ("evolved", evolved))}
Markdown(
    f"**A population finds its way out of a poor range**: the best of the 32 fixed learning rates (1e-5 to 1e-4) "
    f"reaches "
    f"{score['fixed']:.1%} of validation accuracy after 20 epochs; the population that may change them "
    f"{score['evolved']:.1%}."
)
