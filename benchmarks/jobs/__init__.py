"""One job in each framework, as a user would write it: `train(x, y, num_epochs, seed) -> predict`.

Digits, 64-64-64-10: dense layers without bias, batch normalisation (0.9 of the old statistic kept, epsilon 1e-5),
relu; a dense layer with bias at the end; mean cross-entropy, Adam with rate 0.01, every row once an epoch in an order
of its own, mini-batches of 64 of which the last is partial. `predict(x)` gives class numbers by the running
statistics. Initial weights and Adam's epsilon are the framework's own. `benchmarks.frameworks` counts the lines of
these files and times them.
"""
