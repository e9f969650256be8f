"""The leaves of a tree by name, as files hold them."""

from collections.abc import Mapping, Sequence
from typing import Any

import jax
import numpy as np

from jaxbn.nn.types import PyTree


def named(tree: PyTree) -> dict[str, Any]:
    """The leaves of a tree by their paths.

    Example:
        >>> named({"a": (1, 2)})
        {'a.0': 1, 'a.1': 2}
    """
    leaves, _ = jax.tree_util.tree_flatten_with_path(tree)
    return {jax.tree_util.keystr(path, simple=True, separator="."): leaf for path, leaf in leaves}


def from_named(like: PyTree, arrays: Mapping[str, np.ndarray]) -> PyTree:
    """A tree from its leaves by name.

    Args:
        like: a tree of arrays, or of their shapes and types.
        arrays: may hold others beside.

    Raises:
        ValueError: one is missing, or of another shape or type.

    Example:
        >>> from_named({"a": np.zeros(2)}, {"a": np.ones(2), "b": np.ones(3)})
        {'a': array([1., 1.])}
    """
    expected = named(like)
    for name, leaf in expected.items():
        if name not in arrays or arrays[name].shape != leaf.shape or arrays[name].dtype != leaf.dtype:
            raise ValueError(f"no array {name} of shape {leaf.shape} and type {leaf.dtype}")
    return jax.tree.unflatten(jax.tree.structure(like), [arrays[name] for name in expected])


def nested(arrays: Mapping[str, np.ndarray], tops: Sequence[str]) -> dict[str, Any]:
    """Arrays by name as dictionaries in dictionaries: what a tree of dictionaries was, where nobody knows its shape.

    Args:
        arrays: by the names that `named` gave them.
        tops: the names of the trees; those without arrays are empty.

    Raises:
        ValueError: a name is not below one of them, or is below another array.

    Example:
        >>> nested({"params.a": np.ones(1), "params.b.c": np.ones(1)}, ("params", "state"))
        {'params': {'a': array([1.]), 'b': {'c': array([1.])}}, 'state': {}}
    """
    trees: dict[str, Any] = {top: {} for top in tops}
    for name, array in arrays.items():
        *path, last = name.split(".")
        tree = trees
        for part in path:
            tree = tree.setdefault(part, {}) if isinstance(tree, dict) else None
        if not isinstance(tree, dict) or last in tree or set(trees) != set(tops):
            raise ValueError(f"no array can be named {name}")
        tree[last] = array
    return trees
