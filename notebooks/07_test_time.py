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
# # 7. Batch normalisation at test time
#
# In training, $\mu$ and $\sigma^2$ come from the mini-batch. At test time examples may come one at a time, and one
# example has no spread. So training keeps *exponentially weighted averages* of the $\mu$ and $\sigma^2$ of its
# mini-batches, and the test uses those:
#
# $$\mu_\mathrm{run} \leftarrow d\, \mu_\mathrm{run} + (1 - d)\, \mu, \qquad
# \sigma^2_\mathrm{run} \leftarrow d\, \sigma^2_\mathrm{run} + (1 - d)\, \sigma^2, \qquad
# z_\mathrm{norm} = \frac{z - \mu_\mathrm{run}}{\sqrt{\sigma^2_\mathrm{run} + \varepsilon}}$$
#
# The library calls $d$ `bn_decay`: the weight kept on the *old* average. An average that starts from zero is too small
# at first, by the factor $1 - d^t$ after $t$ mini-batches; the library keeps that weight beside the average and divides
# by it ("debiasing").

# %%
import functools

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np
from IPython.display import Markdown

from jaxbn import Hyperparams, Spec, batch_norm, dense, load_data, mlp, train
from jaxbn.data import prepare, split_rows
from jaxbn.nn.metrics import log_loss
from jaxbn.nn.types import Rows, Variables

BLUE, RED, GREEN, GREY = "#0072B2", "#D55E00", "#009E73", "#767676"
digits = load_data("digits")
parts = prepare(digits, split_rows(digits)[0])
learn = Rows(*(jnp.asarray(part) for part in (parts.train.x, parts.train.y, parts.train.weight)), len(parts.train.x))
x_test, y_test = jnp.asarray(parts.test.x), jnp.asarray(parts.test.y)
spec = Spec(widths=(64, 64))
model = mlp(spec, num_inputs=64, num_outputs=10)


@jax.jit
def epoch(key, state, h):
    order = train.order(key, learn.num_rows, size=len(learn.x))
    step = functools.partial(train.step, model=model, spec=spec)
    return train.epoch(key, state, learn, order, h, batch_size=64, size=64, step=step)[0]


def trained(h, num_epochs):
    """The state after each epoch."""
    states = [train.init(jax.random.key(0), h, model=model, spec=spec)]
    for key in jax.random.split(jax.random.key(1), num_epochs):
        states.append(epoch(key, states[-1], h))
    return states


h = Hyperparams(learning_rate=0.003)
state = trained(h, 10)[-1]
predict = functools.partial(model.apply, state.variables, hyperparams=h)

# %% [markdown]
# ## Why the statistics of the batch will not do
#
# A single example normalised by its own mean and variance is $z - z = 0$, whatever it shows. And in a batch, what is
# said of an example would depend on its neighbours. Below, one test digit is predicted within 200 batches of 16, each
# time with 15 other digits at random.

# %%
alone, _ = predict(x_test[:1], training=True)
other, _ = predict(x_test[1:2], training=True)
same = float(jnp.abs(alone - other).max())

margins = jax.nn.softmax(predict(x_test, training=False)[0]).max(-1)
digit = int(jnp.argsort(margins)[25])  # one of which the network is not too sure
rng = np.random.default_rng(0)
company = np.array([[digit, *rng.choice(len(x_test), 15, replace=False)] for _ in range(200)])


def of_the_digit(training):
    outputs, _ = jax.vmap(lambda x: predict(x, training=training))(x_test[company])
    return np.asarray(jax.nn.softmax(outputs[:, 0])[:, y_test[digit]])


by_batch, by_averages = of_the_digit(training=True), of_the_digit(training=False)

fig, ax = plt.subplots(figsize=(6.5, 3.4), layout="constrained")
ax.hist(by_batch, bins=np.linspace(0, 1, 31), color=RED, alpha=0.8, label="by the statistics of its batch")
ax.axvline(by_averages[0], color=BLUE, linewidth=2, label="by the averages kept in training")
ax.set(xlabel=f"probability of the true class of test digit {digit}", ylabel="batches of 16")
ax.set_ylim(0, 1.35 * ax.get_ylim()[1])
ax.legend(fontsize=9, loc="upper left")

# %%
Markdown(
    f"**With the statistics of its batch, what is said of a digit depends on its neighbours**: the probability of its "
    f"class runs from {by_batch.min():.2f} to {by_batch.max():.2f} over 200 batches; by the averages it is "
    f"{by_averages[0]:.2f} in all of them, to {np.ptp(by_averages):.0e}. Normalised alone, by itself, every digit gets "
    f"the same answer: the outputs of the first two test digits differ by {same:.0e}."
)

# %% [markdown]
# ## One example at a time is the same as within a batch
#
# With averages each example is computed by itself, whoever stands beside it.

# %%
together, _ = predict(x_test, training=False)
one_by_one = jnp.concatenate([predict(x_test[i : i + 1], training=False)[0] for i in range(len(x_test))])
apart = float(jnp.abs(together - one_by_one).max())
agree = int((together.argmax(-1) == one_by_one.argmax(-1)).sum())
Markdown(
    f"All {len(x_test)} test digits, one at a time and in one batch: the logits differ by at most {apart:.0e}, and "
    f"{agree} of {len(x_test)} predictions agree."
)

# %% [markdown]
# ## Exponentially weighted averages, and debiasing
#
# We hold a network still, feed it mini-batches, and compare the running mean of the hidden units with their exact mean
# over all training rows. The error is told in units of the standard deviation of $z$.

# %%
z = 2 + learn.x @ state.params.hidden[0].dense.kernel  # with a mean, so that there is something to find
exact = batch_norm.moments(z)
orders = jnp.concatenate([train.order(jax.random.key(i), len(z), size=len(z))[:1024] for i in range(40)]).reshape(
    -1, 64
)


@jax.jit
def averages(decay):
    """Running means after each mini-batch, debiased and as they are, [2, T, H]."""

    def feed(state, rows):
        state = batch_norm.update(state, batch_norm.moments(z[rows]), decay=decay)
        return state, jnp.stack([batch_norm.running_moments(state, debias=debias).mean for debias in (True, False)])

    return jax.lax.scan(feed, batch_norm.init(z.shape[-1])[1], orders)[1].swapaxes(0, 1)


decays = (0.9, 0.99)
error = {decay: np.sqrt(np.square((averages(decay) - exact.mean) / jnp.sqrt(exact.var)).mean(-1)) for decay in decays}

# %%
fig, ax = plt.subplots(figsize=(6.5, 3.8), layout="constrained")
seen = np.arange(1, len(orders) + 1)
for decay, color in zip(decays, (RED, BLUE), strict=True):
    debiased, raw = error[decay]
    ax.loglog(seen, raw, "--", color=color, label=f"d = {decay}, as it is: about {1 / (1 - decay):.0f} mini-batches")
    ax.loglog(seen, debiased, "-", color=color, label=f"d = {decay}, debiased")
ax.axhline(1 / 8, color=GREY, linestyle=":", label=r"one mini-batch of 64: $1/\sqrt{64}$")
ax.set(xlabel="mini-batches seen", ylabel=r"error of the running mean, in $\sigma$")
ax.legend(fontsize=8)

# %%
debiased, raw = error[0.99]
Markdown(
    f"**Debiasing makes the average usable from the first mini-batch on**: with d = 0.99, after 10 mini-batches the "
    f"average as it is misses the exact mean by {raw[9]:.2f} standard deviations (it holds "
    f"{1 - 0.99**10:.1%} of it) and the debiased one by {debiased[9]:.3f}. In the long run a larger d, which averages "
    f"over more mini-batches, is the more exact: {error[0.99][0][-200:].mean():.3f} against "
    f"{error[0.9][0][-200:].mean():.3f} for d = 0.9."
)

# %% [markdown]
# ## Averages against exact population statistics
#
# In training the weights move, and an average remembers mini-batches of older weights. Other estimates are possible:
# one can pass all training rows through the finished network and take the exact mean and variance. (One call: with
# `bn_decay=0` the average forgets all but the last batch, and the last batch is everything.)


# %%
def population(variables):
    _, exact = model.apply(variables, learn.x, Hyperparams(bn_decay=0.0), training=True)
    return Variables(variables.params, exact)


def loss(variables):
    outputs, _ = model.apply(variables, x_test, h, training=False)
    return float(log_loss(outputs, y_test, jnp.ones(len(y_test), bool)))


def statistic_gap(variables):
    """How far the running variances are from the exact ones, as a ratio, for the median unit of the last layer."""
    kept, exact = (batch_norm.running_moments(v.model_state[-1]).var for v in (variables, population(variables)))
    return float(jnp.exp(jnp.median(jnp.abs(jnp.log(kept / exact)))))


decays, epochs = (0.5, 0.9, 0.99, 0.999), 12
runs = {d: [s.variables for s in trained(Hyperparams(learning_rate=0.003, bn_decay=d), epochs)[1:]] for d in decays}
best = [loss(population(variables)) for variables in runs[0.9]]
losses = {d: [loss(variables) for variables in run] for d, run in runs.items()}

# %%
fig, ax = plt.subplots(figsize=(6.5, 3.8), layout="constrained")
for (decay, curve), color in zip(losses.items(), (GREEN, BLUE, "#CC79A7", RED), strict=True):
    ax.semilogy(range(1, epochs + 1), curve, "o-", color=color, markersize=3, label=f"averages, d = {decay}")
ax.semilogy(range(1, epochs + 1), best, "k--", label="exact statistics")
ax.set(xlabel=f"epoch of {-(-len(learn.x) // 64)} mini-batches", ylabel="test loss")
ax.legend(fontsize=9)

# %%
off = {d: statistic_gap(runs[d][-1]) for d in decays}
ratio = {d: np.array(losses[d]) / best for d in decays}
Markdown(
    f"**The usual averages are as good as exact statistics; an average that is too long lags behind the weights.** "
    f"With d = 0.9 the test loss is {ratio[0.9][0]:.2f} times that of exact statistics after the first epoch and "
    f"{ratio[0.9][-1]:.2f} times after {epochs}; with d = 0.999 it is {ratio[0.999][3]:.2f} times after 4 epochs and "
    f"{ratio[0.999][-1]:.2f} times after {epochs}. There its variances are off by a factor of {off[0.999]:.2f}, those "
    f"of d = 0.9 by {off[0.9]:.2f} (median of the units of the last hidden layer). What was learned is the same in all "
    "of them: no update reads the averages."
)

# %% [markdown]
# ## For serving, batch normalisation disappears
#
# With $\mu$ and $\sigma^2$ fixed, (3) and (4) are a multiplication and an addition. They can be put into the weights
# and the bias of the layer before: $W' = W\,\gamma / s$ and $b' = \beta - \mu\,\gamma / s$ with
# $s = \sqrt{\sigma^2 + \varepsilon}$.

# %%
a = x_test
for layer, statistics in zip(state.params.hidden, state.model_state, strict=True):
    kept = batch_norm.running_moments(statistics)
    folded = batch_norm.fold(layer.dense, layer.norm, kept, epsilon=h.bn_epsilon)
    a = jax.nn.relu(dense.apply(folded, a))
served = dense.apply(state.params.output, a)
Markdown(
    f"Without any batch normalisation, by folded weights, the logits are the same to "
    f"{float(jnp.abs(served - together).max()):.0e}."
)

# %% [markdown]
# > **What the notes leave open**
# >
# > - From where the weighted average starts. From zero it needs debiasing, or many mini-batches.
# > - What $d$ is called. Frameworks say momentum and disagree on its direction: a momentum of 0.1 in one is 0.9 in
# >   another. The library says `bn_decay`, the weight of the old value.
# > - Which variance is averaged. Ioffe and Szegedy average $\frac{m}{m-1} \sigma^2$, the unbiased variance; the notes
# >   average $\sigma^2$ as it is, and so does the library.

# %%
few, usual = (jnp.var(z[:m], axis=0, ddof=1) / jnp.var(z[:m], axis=0) - 1 for m in (4, 64))
Markdown(
    f"How much that last choice matters: the unbiased variance is {float(few.mean()):.0%} larger for mini-batches of "
    f"4, and {float(usual.mean()):.1%} for mini-batches of 64."
)
