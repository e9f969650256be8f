"""Rows for training, validation and test."""

from dataclasses import dataclass

import numpy as np

from jaxbn.data.dataset import Dataset
from jaxbn.data.reading import listed
from jaxbn.errors import UserError

_TRIES = 50


@dataclass(frozen=True, eq=False)
class Split:
    """Which rows are for what: sorted row numbers, none in two parts.

    Attributes:
        train: rows to learn from.
        valid: rows to choose by.
        test: rows to be judged by once; none where the data set has a test set of its own.
    """

    train: np.ndarray
    valid: np.ndarray
    test: np.ndarray


def split_rows(
    dataset: Dataset, *, seed: int = 0, valid_fraction: float = 0.2, test_fraction: float = 0.2
) -> tuple[Split, tuple[str, ...]]:
    """Splits the rows of a data set with scikit-learn.

    Classes are spread over the parts in proportion; a class with fewer rows than there are parts goes into
    training. With groups, no group is in two parts: of some random divisions of the groups, the one is taken
    whose sizes and classes are nearest to those asked for. The test rows do not depend on `valid_fraction`.

    Args:
        dataset: the data set.
        seed: a non-negative whole number; the same seed gives the same split.
        valid_fraction: the share of the rows of the data set to validate on.
        test_fraction: the share to test on; not used where the data set has a test set of its own.

    Returns:
        The split, and notes on classes that could not be spread.

    Raises:
        UserError: a fraction is not between 0 and 1, they leave no row (or no group) for a part, or the seed
            is negative.

    Example:
        >>> from jaxbn.data import load_data
        >>> split, notes = split_rows(load_data("iris"))
        >>> len(split.train), len(split.valid), len(split.test), notes
        (90, 30, 30, ())
    """
    if seed < 0:
        raise UserError(f"seed {seed} is negative: give a whole number from 0 up")
    fractions = {"valid_fraction": valid_fraction}
    if dataset.test is None:
        fractions["test_fraction"] = test_fraction
    for name, fraction in fractions.items():
        if not 0 < fraction < 1:
            raise UserError(f"{name} is {fraction}: give a number between 0 and 1, such as 0.2")
    if sum(fractions.values()) >= 1:
        raise UserError(
            f"valid_fraction {valid_fraction} and test_fraction {test_fraction} leave no row to train on: "
            "give two that are together below 1, such as 0.2 and 0.2"
        )
    rest = np.arange(dataset.features.num_rows)
    small = _small_classes(dataset, num_parts=1 + len(fractions))
    notes: list[str] = []
    if len(small) and dataset.groups is None:
        notes.append(f"too few rows to be in every part of the split, so all in training: {_named(dataset, small)}")
    parts = {"test_fraction": rest[:0]}
    for number, name in enumerate(sorted(fractions)):
        size = round(dataset.features.num_rows * fractions[name])
        if not 0 < size < len(rest):
            raise UserError(
                f"{name} {fractions[name]} of {dataset.features.num_rows} rows is {size} of the {len(rest)} "
                "rows left, which leaves a part of the split empty: give more rows or another fraction"
            )
        random = np.random.RandomState(np.random.MT19937(np.random.SeedSequence([seed, number])))
        if dataset.groups is None:
            parts[name], said = _spread(dataset, rest, size, small, random)
        else:
            parts[name], said = (
                _grouped(dataset, dataset.groups, rest, size, len(fractions) - number, random),
                (),
            )
        notes += [note for note in said if note not in notes]
        rest = np.setdiff1d(rest, parts[name])
    absent = np.setdiff1d(np.arange(len(dataset.classes)), dataset.target[rest])
    if len(absent):
        notes.append(f"without a row in training, so never predicted: {_named(dataset, absent)}")
    return Split(rest, parts["valid_fraction"], parts["test_fraction"]), tuple(notes)


def _small_classes(dataset: Dataset, num_parts: int) -> np.ndarray:
    counts = np.bincount(dataset.target, minlength=len(dataset.classes)) if dataset.classes else np.empty(0)
    return np.flatnonzero((counts > 0) & (counts < num_parts))


def _named(dataset: Dataset, codes: np.ndarray) -> str:
    return "class " + listed(str(dataset.classes[code]) for code in codes)


def _spread(
    dataset: Dataset, rows: np.ndarray, size: int, small: np.ndarray, random: np.random.RandomState
) -> tuple[np.ndarray, tuple[str, ...]]:
    """So many of the rows, with each class in proportion."""
    from sklearn.model_selection import train_test_split

    if dataset.task == "regression":
        return np.sort(train_test_split(rows, test_size=size, random_state=random)[1]), ()
    # What an earlier draw has left of a class may be too small to be divided again.
    counts = np.bincount(dataset.target[rows], minlength=len(dataset.classes))
    pool = rows[~np.isin(dataset.target[rows], np.union1d(small, np.flatnonzero(counts < 2)))]
    num_classes = len(np.unique(dataset.target[pool]))
    if num_classes and size >= num_classes and len(pool) - size >= num_classes:
        stratify = dataset.target[pool]
        return np.sort(train_test_split(pool, test_size=size, stratify=stratify, random_state=random)[1]), ()
    pool = pool if len(pool) > size else rows
    note = f"{size} rows are too few to hold every class in proportion, so they are drawn at random"
    return np.sort(train_test_split(pool, test_size=size, random_state=random)[1]), (note,)


def _grouped(
    dataset: Dataset,
    groups: np.ndarray,
    rows: np.ndarray,
    size: int,
    num_draws: int,
    random: np.random.RandomState,
) -> np.ndarray:
    """About so many of the rows, in whole groups, with a group left for each later draw and for training."""
    from sklearn.model_selection import GroupShuffleSplit

    num_groups = len(np.unique(groups[rows]))
    if num_groups <= num_draws:
        raise UserError(
            f"{num_groups} groups are left for {num_draws + 1} parts of the split: "
            "choose a group column with more groups"
        )
    num_held = min(max(1, round(num_groups * size / len(rows))), num_groups - num_draws)
    draws = GroupShuffleSplit(_TRIES, test_size=num_held, random_state=random).split(rows, groups=groups[rows])
    codes = dataset.target[rows] if dataset.classes else np.zeros(len(rows), dtype=np.int32)
    shares = np.bincount(codes) / len(rows)

    def strangeness(held: np.ndarray) -> float:
        held_shares = np.bincount(codes[held], minlength=len(shares)) / len(held)
        return float(abs(len(held) / size - 1) + np.abs(held_shares - shares).sum())

    return rows[np.sort(min((held for _, held in draws), key=strangeness))]
