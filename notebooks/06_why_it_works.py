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
# # 6. Why batch normalisation works
#
# The notes give three reasons, and each is a claim that can be seen or measured:
#
# 1. It speeds up learning as normalised inputs do, but for hidden layers too.
# 2. It lessens how much the inputs of a hidden layer shift while earlier layers learn. A classifier of black cats that
#    must face coloured cats has the same trouble, *covariate shift*.
# 3. The mean and variance of a mini-batch are noisy, which regularises a little, the less the larger the mini-batch.
#
# And what follows for the person who tunes: more of the hyperparameter space trains well, and deeper networks train.

# %%
import functools

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np
from IPython.display import Markdown
from scipy.stats import binomtest
from scipy.stats import t as student

from jaxbn import Choice, Config, Float, Hyperparams, Int, Space, Spec, load_data, mlp, sweep, train
from jaxbn.nn.metrics import log_loss
from jaxbn.nn.mlp import unit_inputs
from jaxbn.nn.types import Model, Rows, Variables
from jaxbn.plots.activations import activations

BLUE, RED, GREY = "#0072B2", "#D55E00", "#767676"
digits = load_data("digits")
pixels = jnp.asarray(digits.features.numeric / 16)  # 8 x 8 pixels from 0, paper, to 1, ink
label = jnp.asarray(digits.target)
mixed = np.random.default_rng(0).permutation(len(label))


def rows_of(numbers):
    return Rows(pixels[numbers], label[numbers], jnp.ones(len(numbers)), len(numbers))


learn, judge = rows_of(mixed[:1152]), rows_of(mixed[1152:])


def epoch_of(key, state, rows, h, *, model, spec):
    """One epoch from the library's pieces: an order of the rows, then a step for each mini-batch."""
    order = train.order(key, rows.num_rows, size=len(rows.x))
    step = functools.partial(train.step, model=model, spec=spec)
    return train.epoch(key, state, rows, order, h, batch_size=spec.batch_size, size=spec.batch_size, step=step)[0]


# %% [markdown]
# ## The inputs of hidden units stay put
#
# As in figure 1 of Ioffe and Szegedy (2015): a network of three hidden layers of sigmoid units learns the digits, and
# after each epoch we look at what goes into the units of its last hidden layer: the 15th, 50th and 85th percentiles
# over the examples that it does not learn from.


# %%
def watch(normalization, num_epochs=40):
    """Percentiles of the input of each unit of the last hidden layer after each epoch, [E, 3, H]."""
    spec = Spec(widths=(64, 64, 64), activation="sigmoid", normalization=normalization)
    model, h = mlp(spec, num_inputs=64, num_outputs=10), Hyperparams(learning_rate=0.003)
    state = train.init(jax.random.key(0), h, model=model, spec=spec)
    epoch = jax.jit(functools.partial(epoch_of, model=model, spec=spec))
    found = []
    for key in jax.random.split(jax.random.key(1), num_epochs):
        state = epoch(key, state, learn, h)
        *_, last = unit_inputs(state.variables, judge.x, h, spec=spec)
        found.append(np.percentile(last, (15, 50, 85), axis=0))
    return np.array(found)


without, with_bn = watch("none"), watch("batch")
axes = activations(without[..., 0], with_bn[..., 0])


# %%
def growth(percentiles):
    """How many times its first spread the spread of a unit's input became, for the median unit."""
    spread = percentiles[:, 2] - percentiles[:, 0]
    return float(np.median(spread.max(0) / spread[0]))


def wander(percentiles):
    """How far apart the lowest and the highest median of a unit's input were, for the median unit."""
    return float(np.median(np.ptp(percentiles[:, 1], axis=0)))


Markdown(
    f"**With batch normalisation the input of a hidden unit keeps its place and its spread.** For the median of the 64 "
    f"units of the layer, the spread from the 15th to the 85th percentile grew {growth(without):.1f}-fold without and "
    f"{growth(with_bn):.1f}-fold with it, and the median wandered over {wander(without):.2f} without and over "
    f"{wander(with_bn):.2f} with it."
)

# %% [markdown]
# ## Black cats and coloured cats
#
# A network learns digits in black ink on white paper. Then come fainter ink, grey paper, noise, and white ink on black
# paper. What a change of contrast or brightness does to the $z$ of the first layer is to multiply it and to add a
# constant. That is what batch normalisation takes out, *if* it gets statistics of the new kind: we take them again from
# 300 new examples, with no label and no training.


# %%
def fitted(normalization, num_epochs=30):
    spec = Spec(widths=(64, 64), normalization=normalization)
    model, h = mlp(spec, num_inputs=64, num_outputs=10), Hyperparams(learning_rate=0.003)
    state = train.init(jax.random.key(0), h, model=model, spec=spec)
    epoch = jax.jit(functools.partial(epoch_of, model=model, spec=spec))
    for key in jax.random.split(jax.random.key(1), num_epochs):
        state = epoch(key, state, learn, h)
    return model, state.variables


noise = 0.3 * jax.random.normal(jax.random.key(2), judge.x.shape)
kinds = {
    "as learned": lambda x: x,
    "faint ink": lambda x: x / 3,
    "grey paper": lambda x: 0.5 + x / 2,
    "noise": lambda x: x + noise,
    "white on black": lambda x: 1 - x,
}
h, anew = Hyperparams(), Hyperparams(bn_decay=0.0)  # with a decay of 0 the average is the last batch alone
(plain, plain_variables), (normal, variables) = fitted("none"), fitted("batch")


def score(model, variables, x):
    outputs, _ = model.apply(variables, x[300:], h, training=False)
    return float((outputs.argmax(-1) == judge.y[300:]).mean())


table = {}
for name, change in kinds.items():
    x = change(judge.x)
    _, statistics = normal.apply(variables, x[:300], anew, training=True)
    table[name] = (
        score(plain, plain_variables, x),
        score(normal, variables, x),
        score(normal, Variables(variables.params, statistics), x),
    )

# %%
fig = plt.figure(figsize=(9, 4.6), layout="constrained")
grid = fig.add_gridspec(2, len(kinds), height_ratios=(1, 2.4))
bars = fig.add_subplot(grid[1, :])
for column, (name, change) in enumerate(kinds.items()):
    ax = fig.add_subplot(grid[0, column])
    ax.imshow(change(judge.x)[300].reshape(8, 8), cmap="gray_r", vmin=0, vmax=1)
    ax.set_title(name, fontsize=10)
    ax.axis("off")
ways = ("no batch normalisation", "statistics from training", "statistics taken again")
for place, (way, color) in enumerate(zip(ways, (GREY, RED, BLUE), strict=True)):
    at = np.arange(len(kinds)) + 0.27 * (place - 1)
    drawn = bars.bar(at, [100 * row[place] for row in table.values()], width=0.25, color=color, label=way)
    bars.bar_label(drawn, fmt="%.0f", fontsize=8)
bars.set(ylabel="test accuracy, %", xticks=[], ylim=(0, 130), yticks=range(0, 101, 25))
bars.legend(ncols=3, fontsize=9, loc="upper center")

# %%
grey, white, faint = table["grey paper"], table["white on black"], table["faint ink"]
Markdown(
    f"**Statistics taken again repair a shift of mean and spread, and hardly more.** On grey paper the network falls "
    f"to {grey[1]:.0%} (without batch normalisation to {grey[0]:.0%}) and with new statistics gets {grey[2]:.0%}, as "
    f"on the paper it learned from ({table['as learned'][1]:.0%}). White ink on black turns every $z$ round, and no "
    f"mean and spread turns it back: {white[2]:.0%} with new statistics. Coloured cats of that kind must be in the "
    f"training data. Faint ink shows the other side: it hardly matters to the network without batch normalisation "
    f"({faint[0]:.0%}), whose relu scales with its inputs, and the stored mean, too large by then, makes it matter "
    f"({faint[1]:.0%}, and {faint[2]:.0%} with new statistics)."
)

# %% [markdown]
# ## The noise of a mini-batch
#
# $\mu$ is a mean over $B$ examples that were drawn at random, so it misses the mean over all examples by about
# $\sigma / \sqrt{B}$ (and by less where the mini-batch is a good part of all $N$: nothing is drawn twice, which makes
# it $\sigma \sqrt{(N - B) / (N - 1) B}$).

# %%
z = learn.x @ variables.params.hidden[0].dense.kernel
z = np.asarray((z - z.mean(0)) / z.std(0))
sizes, rng = 2 ** np.arange(1, 10), np.random.default_rng(0)
missed = [np.std([z[rng.choice(len(z), size, replace=False)].mean(0) for _ in range(200)]) for size in sizes]
expected = np.sqrt((len(z) - sizes) / ((len(z) - 1) * sizes))

fig, ax = plt.subplots(figsize=(6, 3.6), layout="constrained")
ax.loglog(sizes, missed, "o", color=BLUE, label="measured over 200 mini-batches and 64 units")
ax.loglog(sizes, 1 / np.sqrt(sizes), "--", color=GREY, label=r"$1/\sqrt{B}$")
ax.loglog(sizes, expected, "-", color=BLUE, linewidth=1, label=f"drawn without repetition from {len(z):,}")
ax.set_xticks(sizes, sizes)
ax.set_yticks((0.05, 0.1, 0.2, 0.5), (0.05, 0.1, 0.2, 0.5))
ax.minorticks_off()
ax.set(xlabel="mini-batch size B", ylabel=r"error of $\mu$, in units of $\sigma$")
ax.legend(fontsize=9)

# %%
slope = np.polyfit(np.log(sizes[:6]), np.log(missed[:6]), 1)[0]
Markdown(
    f"**The noise of the batch mean shrinks as $1/\\sqrt{{B}}$**: the slope up to B = {sizes[5]} is {slope:.2f}, and "
    f"no point is further than {np.abs(missed / expected - 1).max():.0%} from what is expected."
)

# %% [markdown]
# ## Does that noise regularise?
#
# A smaller mini-batch also makes noisier gradients and more updates, so batch sizes cannot simply be compared. Here
# every network takes the same updates on the same mini-batches of 128, and only the *group* over which $\mu$ and
# $\sigma^2$ are taken differs: 128 examples, or two groups of 64, and so on ("ghost batch normalisation"). A model of
# the library is two functions, so a few lines make one that normalises in groups. There are only 384 examples to learn
# from, so that there is something to regularise, and each network is judged with the exact statistics over all of them.


# %%
few, rest = rows_of(mixed[:384]), rows_of(mixed[384:])
SIZE, NUM_EPOCHS, SEEDS = 128, 60, 12


def in_groups(model, group):
    def apply(variables, x, h, *, training, where=None, key=None):
        if not training:
            return model.apply(variables, x, h, training=False)
        one = functools.partial(model.apply, variables, hyperparams=h, training=True)
        outputs, states = jax.vmap(lambda rows: one(x=rows))(x.reshape(-1, group, x.shape[-1]))
        return outputs.reshape(len(x), -1), jax.tree.map(lambda leaf: leaf.mean(0), states)

    return Model(model.init, apply, masks_rows=False)


def losses_of(key, group):
    """Loss on the examples it learned from and on new ones."""
    spec = Spec(widths=(64, 64), batch_size=SIZE, normalization="batch" if group else "none")
    plain, h = mlp(spec, num_inputs=64, num_outputs=10), Hyperparams(learning_rate=0.003)
    model = in_groups(plain, group) if group else plain
    state = train.init(key, h, model=model, spec=spec)

    def epoch(number, state):
        return epoch_of(jax.random.fold_in(key, number), state, few, h, model=model, spec=spec)

    state = jax.lax.fori_loop(0, NUM_EPOCHS, epoch, state)
    _, exact = plain.apply(state.variables, few.x, anew, training=True)
    variables = Variables(state.params, exact)
    both = [(plain.apply(variables, rows.x, h, training=False)[0], rows.y) for rows in (few, rest)]
    return jnp.array([log_loss(outputs, y, jnp.ones(len(y), bool)) for outputs, y in both])


keys = jax.random.split(jax.random.key(3), SEEDS)
groups = [2, 4, 8, 16, 32, 64, 128]
run = {group: np.asarray(jax.jit(jax.vmap(lambda key, g=group: losses_of(key, g)))(keys)) for group in (*groups, 0)}


# %%
def half_interval(values):
    """Half a 95 % interval of Student's of the mean over seeds."""
    return student.ppf(0.975, SEEDS - 1) * values.std(ddof=1) / np.sqrt(SEEDS)


gap = {group: losses[:, 1] - losses[:, 0] for group, losses in run.items()}
mean = np.array([gap[group].mean() for group in groups])
error = np.array([half_interval(gap[group]) for group in groups])

fig, axes = plt.subplots(1, 2, figsize=(9, 3.6), layout="constrained")
axes[0].errorbar(groups, mean, yerr=error, fmt="o-", capsize=3, color=BLUE, label="with batch normalisation")
axes[0].axhline(gap[0].mean(), color=GREY, linestyle="--", label="without")
axes[0].set(ylabel="loss on new examples - training loss")
for column, (name, marker) in enumerate((("training", "s-"), ("new examples", "o-"))):
    axes[1].loglog(groups, [run[g][:, column].mean() for g in groups], marker, color=(RED, BLUE)[column], label=name)
axes[1].set(ylabel="loss")
for ax in axes:
    ax.set_xscale("log", base=2)
    ax.set_xticks(groups, groups)
    ax.set_xlabel("examples that share a mean and variance")
    ax.legend(fontsize=9)


# %%
def difference(values):
    """Mean and half an interval of differences between the same seeds."""
    return f"{values.mean():+.3f} ± {half_interval(values):.3f}"


learned, new = ({group: losses[:, column] for group, losses in run.items()} for column in (0, 1))
least = min(groups, key=lambda group: new[group].mean())
Markdown(
    f"**The noise of usual groups hardly regularises.** Groups of 2 do not fit: their training loss is "
    f"{learned[2].mean():.2f} instead of {learned[128].mean():.3f} in groups of 128, so that their smaller gap "
    f"({gap[2].mean():.3f} instead of {gap[128].mean():.3f}) is no gain, and on new examples they lose "
    f"{new[2].mean():.2f} instead of {new[128].mean():.2f}. From groups of 4 to groups of 128 the gap changes by "
    f"{difference(gap[128] - gap[4])}, from 32 to 128 the loss on new examples by {difference(new[128] - new[32])} "
    f"(95 % intervals over {SEEDS} paired seeds). That loss is least in groups of {least}, chosen among seven on these "
    "same seeds. It is a slight effect beside what batch normalisation is used for, as the notes say."
)

# %% [markdown]
# ## More of the hyperparameter space trains well
#
# A random sweep over learning rate, width, depth and optimizer, half of it with batch normalisation and half without.
# A network "trains well" if its validation accuracy is within 2 points of the best of all.

# %%
space = Space(
    learning_rate=Float(1e-4, 1, scale="log"),
    hidden_units=Int(16, 128, scale="log"),
    num_layers=Int(1, 3),
    optimizer=Choice("momentum", "adam"),
    normalization=Choice("batch", "none"),
)
results = sweep(space, digits, num_configs=256, num_epochs=10)

# %%
reached = {
    name: np.nan_to_num(frame["valid_accuracy"].to_numpy().astype(float))
    for (name,), frame in results.trials.group_by("normalization")
}
best = max(scores.max() for scores in reached.values())
fig, ax = plt.subplots(figsize=(6, 3.6), layout="constrained")
share = {}
for name, color, text in (("batch", BLUE, "with"), ("none", RED, "without")):
    scores = np.sort(reached[name])
    ax.step(scores, 1 - np.arange(len(scores)) / len(scores), where="pre", color=color, label=f"{text} ({len(scores)})")
    well = int((scores >= best - 0.02).sum())
    ends = binomtest(well, len(scores)).proportion_ci(method="wilson")
    share[name] = well / len(scores), ends.low, ends.high
ax.axvline(best - 0.02, color=GREY, linestyle=":", label="2 points below the best")
ax.set(xlabel="validation accuracy", ylabel="share of networks that reach it", ylim=(0, 1.02))
ax.legend(fontsize=9, loc="lower left")

# %%
# The difference of two shares, by the ends of their intervals (Newcombe 1998).
(p, low, high), (q, least_q, most_q) = share["batch"], share["none"]
below, above = np.hypot(p - low, most_q - q), np.hypot(high - p, q - least_q)
Markdown(
    f"**With batch normalisation more of the space trains well**: {p:.0%} of its networks ({low:.0%} to {high:.0%}), "
    f"against {q:.0%} without ({least_q:.0%} to {most_q:.0%}). The difference is {100 * (p - q):.0f} points "
    f"({100 * (p - q - below):.1f} to {100 * (p - q + above):.1f}; 95 % intervals of Wilson and Newcombe)."
)

# %% [markdown]
# ## Very deep networks
#
# The same learning rates for networks of 1 to 16 hidden layers of 32 units, ten epochs each.

# %%
depths, rates = (1, 2, 4, 8, 16), np.logspace(-4, 0, 13)
configs = [
    Config(num_layers=depth, normalization=normalization, learning_rate=float(rate), hidden_units=32)
    for normalization in ("none", "batch")
    for depth in depths
    for rate in rates
]
deep = sweep(configs, digits, num_epochs=10)

# %%
scores = np.nan_to_num(deep.trials["valid_accuracy"].to_numpy().astype(float)).reshape(2, len(depths), len(rates))
fig, axes = plt.subplots(1, 2, figsize=(9, 3.2), layout="constrained", sharey=True)
for ax, name, values in zip(axes, ("without batch normalisation", "with batch normalisation"), scores, strict=True):
    image = ax.imshow(values, cmap="viridis", vmin=0, vmax=1, aspect="auto", origin="lower")
    ax.set(title=name, xlabel="learning rate")
    ax.set_xticks(range(0, 13, 3), ["$10^{-4}$", "$10^{-3}$", "$10^{-2}$", "$10^{-1}$", "1"])
axes[0].set_yticks(range(len(depths)), depths)
axes[0].set_ylabel("hidden layers")
fig.colorbar(image, ax=axes, label="validation accuracy")

# %%
trained = (scores >= 0.8).sum(axis=2)
counts = ", ".join(f"{depth} deep: {trained[1, i]} and {trained[0, i]}" for i, depth in enumerate(depths))
Markdown(
    f"**With 2 and 4 layers more learning rates train with batch normalisation.** Of the {len(rates)} learning rates, "
    f"so many reach an accuracy of 80 % with it and without: {counts}. With 1, 8 and 16 layers the two differ by one "
    "at most, on one seed; over five seeds and more rates Adam shows no difference at 16, and momentum does "
    f"([reproductions](../docs/reproductions.md)). The best accuracy with 16 layers is {scores[1, -1].max():.1%} with "
    f"it and {scores[0, -1].max():.1%} without: plain batch normalisation does not make a deep network as good as a "
    "shallow one."
)

# %% [markdown]
# > **What the notes leave out**
# >
# > That batch normalisation works *because* it lessens the shift of distributions is Ioffe and Szegedy's explanation.
# > Santurkar et al. (2018, *How does batch normalization help optimization?*) put random shifts back in after batch
# > normalisation, and the networks trained as well as before; they find that it makes the cost smoother. The figures
# > above show that distributions stay put and that training is easier, not that one is the cause of the other.
