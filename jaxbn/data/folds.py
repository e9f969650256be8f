"""Cross-validation: the rows outside the test split, divided into parts that each validate once."""

import numpy as np

from jaxbn.data.dataset import Dataset
from jaxbn.data.reading import listed
from jaxbn.data.split import Split, split_rows
from jaxbn.errors import UserError


def fold_rows(
    dataset: Dataset, *, num_folds: int, seed: int = 0, valid_fraction: float = 0.2, test_fraction: float = 0.2
) -> tuple[tuple[Split, ...], tuple[str, ...]]:
    """Splits for `num_folds` folds, by scikit-learn, all with one test split.

    Classes are spread over the folds in proportion, and no group is in two of them. One fold is the ordinary split.

    Args:
        dataset: the data set.
        num_folds: how many, K.
        seed: a non-negative whole number; the same seed gives the same folds.
        valid_fraction: of the rows, where there is one fold; K folds validate on 1/K of the rows outside the test.
        test_fraction: of the rows.

    Returns:
        K splits, and notes on classes that could not be spread; of K folds, on those that one cannot learn.

    Raises:
        UserError: there are more folds than a class has rows outside the test split, or than there are groups, or
            the groups leave a fold empty.

    Example:
        >>> from jaxbn.data import load_data
        >>> splits, _ = fold_rows(load_data("iris"), num_folds=3)
        >>> [len(split.valid) for split in splits], sum(len(np.unique(split.test)) for split in splits)
        ([40, 40, 40], 90)
    """
    if num_folds > 1:
        # Not used, but for taking the test rows, which do not depend on it.
        valid_fraction = (1 - test_fraction) / 2 if 0 < test_fraction < 1 else valid_fraction
    whole, notes = split_rows(dataset, seed=seed, valid_fraction=valid_fraction, test_fraction=test_fraction)
    if num_folds == 1:
        return (whole,), notes
    from sklearn.model_selection import GroupKFold, KFold, StratifiedGroupKFold, StratifiedKFold

    rest = np.union1d(whole.train, whole.valid)
    target = dataset.target[rest] if dataset.classes else None
    groups = None if dataset.groups is None else dataset.groups[rest]
    limits = [(len(rest), "rows") if groups is None else (len(np.unique(groups)), "groups")]
    if target is not None:
        counts = np.bincount(target, minlength=len(dataset.classes))
        limits.append((int(counts[counts > 0].min()), "rows in their smallest class"))
    count, units = min(limits)
    if num_folds > count:
        raise UserError(
            f"{num_folds} folds were asked for and the data have {count} {units} outside the test split: "
            f"ask for {'at most ' + str(count) + ' folds' if count > 1 else 'no folds'}"
        )
    random = np.random.RandomState(np.random.MT19937(np.random.SeedSequence([seed, num_folds])))
    if groups is None:
        kind = KFold if target is None else StratifiedKFold
        parts = kind(num_folds, shuffle=True, random_state=random).split(rest, target)
    elif target is None:
        parts = GroupKFold(num_folds, shuffle=True, random_state=random).split(rest, groups=groups)
    else:
        parts = StratifiedGroupKFold(num_folds, shuffle=True, random_state=random).split(rest, target, groups)
    splits = tuple(Split(np.sort(rest[train]), np.sort(rest[valid]), whole.test) for train, valid in parts)
    # Scikit-learn may leave a fold empty for the sake of the classes, where these follow the groups.
    empty = sum(not len(split.valid) for split in splits)
    if empty:
        raise UserError(f"the groups leave {empty} of {num_folds} folds without a row: ask for fewer folds")
    return splits, _never_learned(dataset, splits)


def _never_learned(dataset: Dataset, splits: tuple[Split, ...]) -> tuple[str, ...]:
    """A note on classes that the training rows of some fold lack; none where all folds have all."""
    learned = [np.isin(np.arange(len(dataset.classes)), dataset.target[split.train]) for split in splits]
    absent = np.flatnonzero(~np.all(learned, 0))
    if not len(absent):
        return ()
    names = listed(str(dataset.classes[code]) for code in absent)
    return (f"without a row in the training part of some fold, so never predicted there: class {names}",)
