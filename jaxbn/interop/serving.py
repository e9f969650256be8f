"""A fitted model as plain matrices, for those who serve it without JAX: batch normalisation is folded away.

`to_onnx`, `to_safetensors` and `to_numpy` write it for others. The predictor that `to_numpy` writes beside the arrays
is `jaxbn/interop/numpy_predictor.py`, which needs NumPy alone.
"""

import dataclasses
import io
import json
from pathlib import Path
from typing import Any

import jax
import numpy as np

from jaxbn.data.preprocess import Preprocessor, to_json
from jaxbn.data.values import LARGEST, MISSING, SPACES, TRUTH
from jaxbn.errors import UserError
from jaxbn.nn import batch_norm
from jaxbn.nn.dense import Dense
from jaxbn.study.fitted import FittedModel

FORMAT, VERSION = "jaxbn-folded", 1
OPSET, IR = 17, 8
"""Of ONNX: what every runtime of the last years reads."""


@dataclasses.dataclass(frozen=True, eq=False)
class Served:
    """What a prediction takes.

    Attributes:
        layers: kernel float32 [F, H] and bias float32 [H] of each; the activation follows all but the last.
        activation: "relu", "tanh", "sigmoid", "gelu" or "identity".
        preprocessor: from a table to the inputs of the first.
        task: "classification" or "regression".
        classes: what the outputs stand for; empty for regression.
        target_name: what is predicted.
        target_mean: float64 [K], what is added to the outputs of a regression.
        target_scale: float64 [K], what they are multiplied by before.
    """

    layers: tuple[tuple[np.ndarray, np.ndarray], ...]
    activation: str
    preprocessor: Preprocessor
    task: str
    classes: tuple[Any, ...]
    target_name: str
    target_mean: np.ndarray
    target_scale: np.ndarray

    @classmethod
    def of(cls, model: FittedModel) -> "Served":
        """The network of a model, each batch normalisation folded into the layer before it, in float64.

        Raises:
            UserError: it is no MLP.
        """
        if model.config.architecture is not None:
            raise UserError(
                f"the model is a {model.config.architecture.name} and only MLPs can be exported: serve it with JAX"
            )
        spec, layers = model.spec, []
        with jax.enable_x64(True):
            wide = jax.tree.map(lambda leaf: np.asarray(leaf, np.float64), model.variables)
            for number, layer in enumerate(wide.params.hidden):
                dense = layer.dense
                if spec.normalization == "batch":
                    moments = batch_norm.running_moments(wide.model_state[number])
                    dense = batch_norm.fold(dense, layer.norm, moments, epsilon=model.config.bn_epsilon)
                layers.append(_arrays(dense))
            layers.append(_arrays(wide.params.output))
        scale, none = model.target_scale, np.zeros(0)
        return cls(
            layers=tuple(layers),
            activation=spec.activation,
            preprocessor=model.preprocessor,
            task=model.task,
            classes=model.classes,
            target_name=model.target_name,
            target_mean=none if scale is None else scale.mean,
            target_scale=none if scale is None else scale.scale,
        )

    def record(self) -> dict[str, Any]:
        """Everything but the layers, as plain values."""
        return {
            "format": FORMAT,
            "version": VERSION,
            "activation": self.activation,
            "reading": {"missing": list(MISSING), "spaces": SPACES, "truth": TRUTH},
            "preprocessor": {**to_json(self.preprocessor), "largest": LARGEST},
            "task": self.task,
            "classes": list(self.classes),
            "target_name": self.target_name,
            "target_mean": self.target_mean.tolist(),
            "target_scale": self.target_scale.tolist(),
        }

    def arrays(self) -> dict[str, np.ndarray]:
        """The layers by name: `0.kernel` [F, H], `0.bias` [H], `1.kernel` and so on."""
        return {
            f"{number}.{name}": array
            for number, layer in enumerate(self.layers)
            for name, array in zip(("kernel", "bias"), layer, strict=True)
        }


def to_safetensors(served: Served) -> bytes:
    """The layers as a safetensors file whose metadata hold, under `jaxbn`, the rest as JSON."""
    from safetensors.numpy import save

    return save(served.arrays(), metadata={"jaxbn": json.dumps(served.record())})


def to_numpy(served: Served) -> dict[str, bytes]:
    """Two files by name: the arrays, and a predictor that needs NumPy alone.

    Example:
        >>> import jaxbn
        >>> model = jaxbn.sweep(jaxbn.Space(hidden_units=4), "iris", num_configs=1, num_epochs=1).best_model
        >>> sorted(to_numpy(Served.of(model)))
        ['model.npz', 'predictor.py']
    """
    content = io.BytesIO()
    record = np.frombuffer(json.dumps(served.record()).encode(), np.uint8)
    np.savez(content, record=record, **served.arrays())  # type: ignore[arg-type]
    source = Path(__file__).with_name("numpy_predictor.py").read_bytes()
    return {"model.npz": content.getvalue(), "predictor.py": source}


def to_onnx(served: Served) -> bytes:
    """The model as ONNX, from raw rows to predictions.

    Its input `rows` is float64 [N, columns], in the order of the training data without the target, NaN where a value is
    missing. Its outputs are `prediction` ([N]: the class itself, or a number; [N, K] where K numbers are predicted)
    and, of a classifier, `probabilities` float32 [N, C].

    Raises:
        UserError: the package onnx is not installed, or the table has columns of text.
    """
    try:
        from onnx import TensorProto, checker, helper, numpy_helper  # pyright: ignore[reportMissingImports]
    except ImportError:
        raise UserError("ONNX needs the package onnx, which is not installed: pip install 'jaxbn[onnx]'") from None
    made = served.preprocessor
    if made.categories:
        raise UserError(
            "the training data had columns of text, which the ONNX export does not read: use the numpy format, or "
            "encode them as numbers before training"
        )
    nodes, constants = [], []

    def constant(name: str, value: Any, kind: Any) -> str:
        constants.append(numpy_helper.from_array(np.asarray(value, kind), name))
        return name

    def node(operator: str, inputs: list[str], output: str, **attributes: Any) -> str:
        nodes.append(helper.make_node(operator, inputs, [output], **attributes))
        return output

    missing = node("IsNaN", ["rows"], "missing")
    filled = node("Where", [missing, constant("median", made.median, np.float64), "rows"], "filled")
    centred = node("Sub", [filled, constant("mean", made.mean, np.float64)], "centred")
    scaled = node("Div", [centred, constant("scale", made.scale, np.float64)], "scaled")
    bounds = [constant("least", -LARGEST, np.float64), constant("largest", LARGEST, np.float64)]
    x = node("Cast", [node("Clip", [scaled, *bounds], "clipped")], "x", to=TensorProto.FLOAT)
    if made.indicators:
        columns = constant("indicators", made.indicators, np.int64)
        flags = node("Gather", [missing, columns], "flags", axis=1)
        x = node("Concat", [x, node("Cast", [flags], "flagged", to=TensorProto.FLOAT)], "inputs", axis=1)
    for number, (kernel, bias) in enumerate(served.layers):
        weights = [constant(f"kernel_{number}", kernel, np.float32), constant(f"bias_{number}", bias, np.float32)]
        x = node("Gemm", [x, *weights], f"z_{number}")
        if number + 1 < len(served.layers):
            x = _activated(x, f"a_{number}", served.activation, node, constant)
    outputs = []
    if served.task == "classification":
        node("Softmax", [x], "probabilities", axis=-1)
        place = node("ArgMax", [x], "place", axis=-1, keepdims=0)
        labels = np.asarray(served.classes)
        kinds = {"b": TensorProto.BOOL, "i": TensorProto.INT64, "f": TensorProto.DOUBLE, "U": TensorProto.STRING}
        kind = kinds[labels.dtype.kind]
        values: Any = [str(name).encode() for name in labels] if kind == TensorProto.STRING else labels
        constants.append(helper.make_tensor("classes", kind, [len(labels)], values))
        node("Gather", ["classes", place], "prediction", axis=0)
        probabilities = helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, ["N", len(labels)])
        outputs = [helper.make_tensor_value_info("prediction", kind, ["N"]), probabilities]
    else:
        wide = node("Cast", [x], "wide", to=TensorProto.DOUBLE)
        sized = node("Mul", [wide, constant("target_scale", served.target_scale, np.float64)], "sized")
        count = len(served.target_mean)
        moved = node("Add", [sized, constant("target_mean", served.target_mean, np.float64)], "prediction_columns")
        if count == 1:
            node("Squeeze", [moved, constant("axis", [1], np.int64)], "prediction")
        else:
            node("Identity", [moved], "prediction")
        shape = ["N"] if count == 1 else ["N", count]
        outputs = [helper.make_tensor_value_info("prediction", TensorProto.DOUBLE, shape)]
    rows = helper.make_tensor_value_info("rows", TensorProto.DOUBLE, ["N", len(made.columns)])
    graph = helper.make_graph(nodes, "jaxbn", [rows], outputs, constants)
    opset = [helper.make_opsetid("", OPSET)]
    model = helper.make_model(graph, opset_imports=opset, ir_version=IR, producer_name="jaxbn")
    helper.set_model_props(model, {"target": served.target_name, "columns": json.dumps([c.name for c in made.columns])})
    checker.check_model(model)
    return model.SerializeToString()


def _activated(z: str, name: str, activation: str, node: Any, constant: Any) -> str:
    plain = {"relu": "Relu", "tanh": "Tanh", "sigmoid": "Sigmoid", "identity": "Identity"}
    if activation in plain:
        return node(plain[activation], [z], name)
    # z (1 + erf(z / sqrt(2))) / 2, which ONNX has as an operator of its own only since opset 20.
    error = node(
        "Erf", [node("Mul", [z, constant(f"{name}_root", np.sqrt(0.5), np.float32)], f"{name}_in")], f"{name}_erf"
    )
    one = node("Add", [error, constant(f"{name}_one", 1, np.float32)], f"{name}_add")
    return node("Mul", [node("Mul", [z, one], f"{name}_mul"), constant(f"{name}_half", 0.5, np.float32)], name)


def _arrays(dense: Dense) -> tuple[np.ndarray, np.ndarray]:
    kernel = np.asarray(dense.kernel, np.float32)
    bias = np.zeros(kernel.shape[1], np.float32) if dense.bias is None else np.asarray(dense.bias, np.float32)
    return np.ascontiguousarray(kernel), bias
