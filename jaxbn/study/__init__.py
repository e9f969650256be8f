"""Sweeps, their results, and the models that come of them."""
