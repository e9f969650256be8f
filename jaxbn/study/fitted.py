"""A trained network with everything that prediction needs: it takes rows like those of the training file."""

import dataclasses
import functools
from pathlib import Path
from typing import Any

import jax
import numpy as np
from scipy.special import softmax

from jaxbn.data import Dataset, Prepared, Preprocessor
from jaxbn.data.native import eager, frame_like, series_like
from jaxbn.data.prepare import TargetScale
from jaxbn.data.preprocess import from_json, to_json, transform
from jaxbn.data.reading import Reading, read_features
from jaxbn.engine.programs import CHUNK
from jaxbn.engine.work import Sizes, network
from jaxbn.errors import UserError
from jaxbn.nn import train
from jaxbn.nn.types import Architecture, Hyperparams, Spec, Variables
from jaxbn.search import LADDER, Config, from_values, pad, split
from jaxbn.study.architecture import from_record, recorded
from jaxbn.study.files import read_json, write, write_json
from jaxbn.study.named import named, nested
from jaxbn.study.weights import shapes

FORMAT, VERSION = "jaxbn-model", 1
FILES = ("model.json", "model.safetensors")


@dataclasses.dataclass(frozen=True, eq=False)
class FittedModel:
    """A network, the preprocessing fitted with it, and the meaning of its outputs.

    Attributes:
        config: the hyperparameters it was trained with.
        variables: weights and running statistics, without padding.
        reading: how the training data was read.
        preprocessor: from a table to the network's inputs.
        task: "classification" or "regression".
        classes: what the outputs stand for; empty for regression.
        target_name: what is predicted.
        target_scale: from outputs to numbers in the units of the data; None for classification.
        num_outputs: how many, C.
    """

    config: Config
    variables: Variables
    reading: Reading
    preprocessor: Preprocessor
    task: str
    classes: tuple[Any, ...]
    target_name: str
    target_scale: TargetScale | None
    num_outputs: int

    @classmethod
    def of(cls, config: Config, variables: Variables, dataset: Dataset, prepared: Prepared) -> "FittedModel":
        """Weights, with what the data they were trained on taught about rows and outputs."""
        return cls(
            config=config,
            variables=variables,
            reading=dataset.reading,
            preprocessor=prepared.preprocessor,
            task=dataset.task,
            classes=dataset.classes,
            target_name=dataset.target_name,
            target_scale=prepared.target_scale,
            num_outputs=prepared.num_outputs,
        )

    def predict(self, rows: Any) -> Any:
        """Predict from raw rows: a path, a data frame, an array, or a list of records.

        Args:
            rows: like those that the model was trained on; a target column is ignored.

        Returns:
            [N]: a class, or a number in the units of the data, for each row; [N, K] where K numbers are predicted. A
            data frame gives a series of its library, named after the target and with the frame's index, or a frame of
            K columns; anything else a NumPy array.

        Raises:
            UserError: the rows cannot be read, or are not like those of the training data.
        """
        rows = eager(rows)
        return series_like(rows, self.decide(self.outputs(self.inputs(rows))), self.target_name)

    def predict_proba(self, rows: Any) -> Any:
        """The probability of each class, [N, C] in the order of `classes`, from raw rows.

        A data frame gives a frame of its library, with a column for each class, called as `str` writes it, and the
        frame's index; anything else a NumPy array.

        Raises:
            UserError: as `predict`; or the model predicts numbers.
        """
        rows = eager(rows)
        return frame_like(rows, self.probabilities(self.outputs(self.inputs(rows))), [str(c) for c in self.classes])

    def inputs(self, rows: Any) -> np.ndarray:
        """Raw rows as the network takes them, float32 [N, F]."""
        table = read_features(rows, self.reading, self.preprocessor.columns)
        return transform(self.preprocessor, table)

    def outputs(self, x: np.ndarray) -> np.ndarray:
        """The network's own outputs, [N, C], for preprocessed rows x [N, F]: logits, or scaled targets."""
        return outputs_of(self.config, self.variables, x, num_outputs=self.num_outputs)

    def probabilities(self, outputs: np.ndarray) -> np.ndarray:
        """Class probabilities from the network's outputs."""
        if self.task != "classification":
            raise UserError(f"the model predicts the number {self.target_name!r}, not classes: use predict")
        return softmax(outputs.astype(np.float64), axis=-1)

    def decide(self, outputs: np.ndarray) -> np.ndarray:
        """Classes or numbers from the network's outputs."""
        if self.task == "classification":
            return np.asarray(self.classes)[outputs.argmax(-1)]
        assert self.target_scale is not None
        numbers = outputs * self.target_scale.scale + self.target_scale.mean
        return numbers[:, 0] if numbers.shape[1] == 1 else numbers

    def __repr__(self) -> str:
        numbers = "a number" if self.num_outputs == 1 else f"{self.num_outputs} numbers"
        what = f"one of {len(self.classes)} classes" if self.classes else numbers
        return f"FittedModel({self.target_name!r}, {what}, from {len(self.preprocessor.columns)} columns)"

    @property
    def spec(self) -> Spec:
        """The shape of the network."""
        return spec_of(self.config)

    def save(self, folder: str | Path) -> None:
        """Write `model.safetensors` and `model.json` into a folder, which is made if need be.

        Raises:
            UserError: the folder cannot be written.
        """
        from safetensors.numpy import save

        folder = Path(folder)
        # safetensors writes the bytes as they lie: a slice without its padding must become an array of its own.
        packed = {name: np.array(leaf, order="C") for name, leaf in named(self.variables).items()}
        record = {
            "format": FORMAT,
            "version": VERSION,
            "config": self.config.values(),
            **({} if self.config.architecture is None else {"architecture": recorded(self.config.architecture)}),
            "reading": self.reading.to_json(),
            "preprocessor": to_json(self.preprocessor),
            "task": self.task,
            "classes": list(self.classes),
            "target_name": self.target_name,
            "num_outputs": self.num_outputs,
            "target_scale": None
            if self.target_scale is None
            else {"mean": self.target_scale.mean.tolist(), "scale": self.target_scale.scale.tolist()},
        }
        try:
            folder.mkdir(parents=True, exist_ok=True)
            write(folder / "model.safetensors", save(packed))
            write_json(folder / "model.json", record)
        except OSError as error:
            raise UserError(f"cannot write the model to {str(folder)!r}: {error.strerror or error}") from error

    @classmethod
    def load(cls, folder: str | Path, architecture: Architecture | None = None) -> "FittedModel":
        """Read a model that `save` wrote.

        Args:
            folder: where it is.
            architecture: what it is, where that is no MLP: no file holds its code, and nothing is predicted without.

        Raises:
            UserError: it is not there, or not whole, or of another version.
        """
        folder = Path(folder)
        record = read_json(folder / "model.json", format=FORMAT, version=VERSION)
        try:
            config = from_values(**record["config"], architecture=from_record(record.get("architecture"), architecture))
            preprocessor = from_json(record["preprocessor"])
            num_outputs = int(record["num_outputs"])
            scale = record["target_scale"]
            classes = tuple(record["classes"])
            target_scale = scale and TargetScale(
                np.asarray(scale["mean"], float).reshape(num_outputs),
                np.asarray(scale["scale"], float).reshape(num_outputs),
            )
            if record["task"] not in ("classification", "regression") or num_outputs != (len(classes) or num_outputs):
                raise ValueError("task, classes and outputs do not go together")
            if (record["task"] == "classification") != bool(classes) or not all(
                isinstance(name, str | int | float) for name in classes
            ):
                raise ValueError("a classification needs classes, and nothing else has them")
            if (record["task"] == "regression") != (target_scale is not None):
                raise ValueError("a regression needs a target scale")
            reading = Reading.from_json(record["reading"])
            if not {column.name for column in preprocessor.columns} <= set(reading.features):
                raise ValueError("columns and preprocessing do not go together")
            return cls(
                config=config,
                variables=_read_variables(folder / "model.safetensors", config, preprocessor, num_outputs),
                reading=reading,
                preprocessor=preprocessor,
                task=record["task"],
                classes=classes,
                target_name=str(record["target_name"]),
                target_scale=target_scale,
                num_outputs=num_outputs,
            )
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            raise UserError(f"{folder / 'model.json'} is broken ({error}): save the model again") from error


def spec_of(config: Config) -> Spec:
    """The shape of a configuration's network, without padding."""
    spec, _ = split(config)
    # What only training reads must not tell predictions apart, or each would compile anew.
    return dataclasses.replace(
        spec, batch_size=0, optimizers=("sgd",), dropout=False, label_smoothing=False, clip_norm=False
    )


def outputs_of(config: Config, variables: Variables, x: np.ndarray, *, num_outputs: int) -> np.ndarray:
    """A network's own outputs at inference.

    Args:
        config: its hyperparameters.
        variables: its weights and statistics, without padding.
        x: inputs, float32 [N, F].
        num_outputs: how many, C.

    Returns:
        Logits, or scaled targets, float32 [N, C].
    """
    # Rows are padded to a few sizes, so that predicting one row more does not compile again.
    size = CHUNK * pad(max(-(-len(x) // CHUNK), 1), LADDER)
    padded = np.zeros((size, x.shape[1]), x.dtype)
    padded[: len(x)] = x
    hyperparams = jax.tree.map(np.float32, split(config)[1])
    if config.architecture is None:
        hyperparams = Hyperparams(bn_epsilon=hyperparams.bn_epsilon)
    outputs = _outputs(variables, padded, np.int32(len(x)), hyperparams, spec=spec_of(config), num_outputs=num_outputs)
    return np.asarray(outputs)[: len(x)]


@functools.partial(jax.jit, static_argnames=("spec", "num_outputs"))
def _outputs(
    variables: Variables, x: Any, num_rows: Any, hyperparams: Hyperparams, *, spec: Spec, num_outputs: int
) -> jax.Array:
    model = network(spec, Sizes(x.shape[1], num_outputs))
    with jax.default_matmul_precision("highest"):
        return train.evaluate(variables, x, num_rows, hyperparams, model=model, size=CHUNK)


def _read_variables(path: Path, config: Config, preprocessor: Preprocessor, num_outputs: int) -> Variables:
    from safetensors import SafetensorError
    from safetensors.numpy import load

    try:
        arrays = load(path.read_bytes())
    except OSError as error:
        raise UserError(f"cannot read {str(path)!r}: {error.strerror or error}") from error
    except SafetensorError as error:
        raise UserError(f"{path} is broken ({error}): save the model again") from error
    if config.architecture is not None and not config.architecture.known:
        return Variables(**nested(arrays, ("params", "model_state")))
    expected = shapes(config, preprocessor.num_features, num_outputs)
    for name, leaf in named(expected).items():
        if name not in arrays or arrays[name].shape != leaf.shape or arrays[name].dtype.kind != leaf.dtype.kind:
            raise UserError(f"{path} has no array {name} of shape {leaf.shape}: save the model again")
    return jax.tree.unflatten(jax.tree.structure(expected), [arrays[name] for name in named(expected)])


@dataclasses.dataclass(frozen=True, eq=False)
class Ensemble:
    """Several fitted models that predict together: the mean of their probabilities, or of their numbers.

    Attributes:
        models: fitted on the same data.
    """

    models: tuple[FittedModel, ...]

    def predict_proba(self, rows: Any) -> Any:
        """The mean probability of each class, [N, C], from raw rows; as a frame where `FittedModel` gives one."""
        first, rows = self.models[0], eager(rows)
        return frame_like(rows, self._probabilities(first.inputs(rows)), [str(c) for c in first.classes])

    def predict(self, rows: Any) -> Any:
        """The class of the largest mean probability, or the mean number, of each raw row; as `FittedModel` gives it."""
        first, rows = self.models[0], eager(rows)
        x = first.inputs(rows)
        if first.task == "classification":
            decided = np.asarray(first.classes)[self._probabilities(x).argmax(-1)]
        else:
            decided = np.mean([model.decide(model.outputs(x)) for model in self.models], axis=0)
        return series_like(rows, decided, first.target_name)

    def _probabilities(self, x: np.ndarray) -> np.ndarray:
        return np.mean([model.probabilities(model.outputs(x)) for model in self.models], axis=0)
