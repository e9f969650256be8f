"""Predictions of a network that jaxbn trained, with NumPy alone: copy it beside `model.npz` and import it.

    from predictor import Predictor
    model = Predictor("model.npz")
    model.predict([[5.1, 3.5, 1.4, 0.2]])       # rows in the order of model.columns, None or NaN where one is missing
    model.predict([{"length": 5.1, "town": "Ulm"}])  # or by name
    model.predict_proba(rows)

It was written by `jaxbn export --format numpy`; Apache-2.0, as jaxbn is.
"""

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np


def _gelu(z: np.ndarray) -> np.ndarray:
    return (z * (1 + np.array([math.erf(v) for v in (z / math.sqrt(2)).ravel()]).reshape(z.shape)) / 2).astype(z.dtype)


def _sigmoid(z: np.ndarray) -> np.ndarray:
    # tanh does not overflow.
    return (1 + np.tanh(z / 2)) / 2


ACTIVATIONS = {
    "relu": lambda z: np.maximum(z, 0),
    "tanh": np.tanh,
    "sigmoid": _sigmoid,
    "gelu": _gelu,
    "identity": lambda z: z,
}


class Predictor:
    """A network, and the preprocessing that it was trained with.

    Attributes:
        columns: names of the features, in order.
        classes: what is predicted; empty where a number is.
    """

    def __init__(self, path: str = "model.npz") -> None:
        with np.load(path, allow_pickle=False) as arrays:
            record = json.loads(arrays["record"].tobytes())
            count = sum(name.endswith(".kernel") for name in arrays.files)
            self.layers = [(arrays[f"{k}.kernel"], arrays[f"{k}.bias"]) for k in range(count)]
        if record["format"] != "jaxbn-folded" or record["version"] != 1:
            raise ValueError(f"{path} is of another version: export the model again")
        self.activation = ACTIVATIONS[record["activation"]]
        self.preprocessor = record["preprocessor"]
        self.reading = record["reading"]
        self.columns = [name for name, _ in self.preprocessor["columns"]]
        self.classes = record["classes"]
        self.target_mean, self.target_scale = (np.array(record[f"target_{name}"]) for name in ("mean", "scale"))

    def predict(self, rows: Any) -> np.ndarray:
        """A class, or a number, for each row, [N]; [N, K] where K numbers are predicted."""
        outputs = self.outputs(rows)
        if self.classes:
            return np.asarray(self.classes)[outputs.argmax(-1)]
        numbers = outputs * self.target_scale + self.target_mean
        return numbers[:, 0] if numbers.shape[1] == 1 else numbers

    def predict_proba(self, rows: Any) -> np.ndarray:
        """The probability of each class, [N, C] in the order of `classes`."""
        if not self.classes:
            raise ValueError("the model predicts numbers, not classes: use predict")
        outputs = self.outputs(rows).astype(float)
        chances = np.exp(outputs - outputs.max(-1, keepdims=True))
        return chances / chances.sum(-1, keepdims=True)

    def outputs(self, rows: Any) -> np.ndarray:
        """The network's own outputs, [N, C]: logits, or scaled targets."""
        x = self.inputs(rows)
        for number, (kernel, bias) in enumerate(self.layers):
            x = x @ kernel + bias
            if number + 1 < len(self.layers):
                x = self.activation(x)
        return x

    def inputs(self, rows: Any) -> np.ndarray:
        """Rows as the network takes them, float32 [N, F]."""
        made = self.preprocessor
        columns = self._columns(rows)
        numeric = [name for name, kind in made["columns"] if kind == "numeric"]
        words = [name for name, kind in made["columns"] if kind == "categorical"]
        parts = []
        if numeric:
            values = np.stack([self._numbers(name, columns[name]) for name in numeric], axis=1)
            missing = np.isnan(values)
            scaled = (np.where(missing, made["median"], values) - made["mean"]) / made["scale"]
            parts = [scaled.clip(-made["largest"], made["largest"]), missing[:, made["indicators"]]]
        for name, known, infrequent in zip(words, made["categories"], made["infrequent"], strict=True):
            given = [self._word(v) for v in columns[name]]
            parts.append(np.array([[word == one for one in known] for word in given], float))
            if infrequent:
                parts.append(np.array([[word not in known] for word in given], float))
        return np.concatenate(parts, axis=1).astype(np.float32)

    def _columns(self, rows: Any) -> dict[str, Sequence[Any]]:
        if hasattr(rows, "to_dicts"):  # A frame of polars
            rows = rows.to_dicts()
        elif hasattr(rows, "to_dict") and hasattr(rows, "columns"):  # or of pandas.
            rows = rows.to_dict("records")
        if isinstance(rows, str):
            raise ValueError(f"{rows!r} is no list of rows: read the file first")
        cells = np.array(rows, object)
        if cells.ndim and not len(cells):
            raise ValueError("there are no rows to predict: give at least one")
        # NumPy takes some mappings for the list of their keys.
        by_name = [isinstance(row, Mapping) for row in rows] if cells.ndim else [False]
        if all(by_name):
            lacking = [name for name in self.columns if any(name not in row for row in rows)]
            if lacking:
                raise ValueError(
                    f"the rows lack {', '.join(lacking)}: give every column, None where a value is missing"
                )
            return {name: [row[name] for row in rows] for name in self.columns}
        if any(by_name) or cells.ndim != 2 or cells.shape[1] != len(self.columns):
            raise ValueError(
                f"what was given, of type {type(rows).__name__}, is no list of rows of {len(self.columns)} values "
                f"({', '.join(self.columns)}): give each row as a list, or each as a dict, a single one too"
            )
        return dict(zip(self.columns, cells.T, strict=True))

    def _word(self, value: Any) -> str | None:
        """A cell as jaxbn reads it: text without spaces round it, or None where the value is missing."""
        if value is None:
            return None
        value = value.item() if isinstance(value, np.generic) else value
        word = str(int(value) if isinstance(value, float) and value.is_integer() else value).strip(
            self.reading["spaces"]
        )
        return None if word.lower() in self.reading["missing"] else word

    def _numbers(self, name: str, cells: Sequence[Any]) -> np.ndarray:
        """A numeric column; NaN where a value is missing, or is text among numbers."""
        found = np.array([self._number(cell) for cell in cells], float)
        text = [cell for cell in cells if isinstance(cell, str) and self._word(cell) is not None]
        beyond = np.flatnonzero(np.abs(found) > self.preprocessor["largest"])
        if len(beyond):
            raise ValueError(
                f"column {name!r} holds {cells[beyond[0]]!s:.30} in data row {beyond[0] + 1}, which is infinite in "
                "float32: correct the value, or give None"
            )
        # One cell says little of a column: it is missing, as it is among others.
        if len(text) > 1 and np.isnan(found).all():
            raise ValueError(
                f"column {name!r} was numeric in training and holds nothing but text, such as {text[0]!r}: write "
                "numbers as training had them, and None where one is missing"
            )
        return found

    def _number(self, value: Any) -> float:
        """A cell as a number; NaN where it is missing, or none."""
        if isinstance(value, int | float | np.number):
            try:
                return float(value)
            except OverflowError:
                return math.inf
        word = self._word(value)
        if word is None or word.lower() in self.reading["truth"]:
            return math.nan if word is None else self.reading["truth"][word.lower()]
        try:
            return float(word) if word.isascii() and word.isprintable() and "_" not in word else math.nan
        except ValueError:
            return math.nan
