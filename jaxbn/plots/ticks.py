"""Which numbers along an axis are written beside it, and how."""

import numpy as np


def log_ticks(low: float, high: float) -> list[float]:
    """Powers of ten within a range, thinned to seven; with fewer than three of them, rounder ones between."""
    first, last = np.floor(np.log10(low)), np.ceil(np.log10(high))
    for multiples in ((1.0,), (1.0, 2.0, 5.0)):
        ticks = [m * 10.0**e for e in np.arange(first, last + 1) for m in multiples]
        ticks = [tick for tick in ticks if low * 0.999 <= tick <= high * 1.001]
        if len(ticks) > 2:
            return ticks[:: -(-len(ticks) // 7)]
    return even_ticks(low, high)


def even_ticks(low: float, high: float) -> list[float]:
    """A few round numbers within a range."""
    from matplotlib.ticker import MaxNLocator

    ticks = MaxNLocator(4).tick_values(low, high) if high > low else np.array([low])
    slack = 1e-6 * (high - low)
    return [float(tick) for tick in ticks if low - slack <= tick <= high + slack]


def number_texts(values: list[float]) -> list[str]:
    """Labels of ticks: powers of ten if any of them is far from 1 and all are powers of ten, else plain numbers.

    Example:
        >>> number_texts([0.9, 0.99]), number_texts([1e-4, 1.0])
        (['0.9', '0.99'], ['$10^{-4}$', '$10^{0}$'])
    """
    exponents = [round(np.log10(value)) if value > 0 else None for value in values]
    powers = all(e is not None and np.isclose(value, 10.0**e) for value, e in zip(values, exponents, strict=True))
    if powers and any(e is not None and abs(e) > 3 for e in exponents):
        return [f"$10^{{{e}}}$" for e in exponents]
    return [f"{value:.4g}" for value in values]
