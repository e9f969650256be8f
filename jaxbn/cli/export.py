"""`jaxbn export`: a model for those who serve it without JAX."""

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from tyro.conf import Positional, arg

from jaxbn.cli.options import Flag
from jaxbn.cli.predict import model_folder
from jaxbn.errors import UserError

if TYPE_CHECKING:
    from jaxbn.interop.serving import Served

NAMES = {"onnx": "model.onnx", "numpy": "numpy", "safetensors": "folded.safetensors"}
"""What is written by default: `numpy` is a folder."""


@dataclasses.dataclass(frozen=True)
class Arguments:
    """The arguments; the docstring of each is its help."""

    run: Annotated[Positional[Path], arg(metavar="RUN", help_behavior_hint="")]
    """The folder that a sweep wrote, for its winner; or the folder of a saved model."""
    format: Annotated[Literal["onnx", "numpy", "safetensors"], arg(metavar="F")] = "onnx"
    """onnx: from raw rows to predictions, for tables of numbers. numpy: a folder with the arrays and a predictor that
    needs NumPy alone. safetensors: the layers."""
    out: Annotated[
        Path | None,
        arg(metavar="PATH", help_behavior_hint="(default: RUN/exported/model.onnx, numpy or folded.safetensors)"),
    ] = None
    """Where to write it."""
    overwrite: Flag = False
    """Replace what is there."""


def run(arguments: Arguments) -> int:
    """Export, and say what was written.

    Args:
        arguments: what, how, and where to.

    Returns:
        Exit status 0.

    Raises:
        UserError: there is no such model, it cannot be exported so, or the file exists.
    """
    folder = model_folder(arguments.run)
    out = arguments.out or arguments.run / "exported" / NAMES[arguments.format]
    if out.exists() and not arguments.overwrite:
        raise UserError(f"{str(out)!r} exists already: choose another --out, or add --overwrite")
    if out.exists() and out.is_dir() != (arguments.format == "numpy"):
        raise UserError(f"{str(out)!r} is no earlier export in this format: choose another --out")
    from jaxbn.interop.serving import Served
    from jaxbn.study.files import write
    from jaxbn.study.fitted import FittedModel

    files = _files(Served.of(FittedModel.load(folder)), arguments.format, out)
    try:
        for path, content in files.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            write(path, content)
    except OSError as error:
        raise UserError(f"cannot write {str(out)!r}: {error.strerror or error}; choose another --out") from error
    print(f"The model is in {out}.{_next(arguments.format, out)}")
    return 0


def _files(served: "Served", format: str, out: Path) -> dict[Path, bytes]:
    from jaxbn.interop.serving import to_numpy, to_onnx, to_safetensors

    if format == "numpy":
        return {out / name: content for name, content in to_numpy(served).items()}
    return {out: to_onnx(served) if format == "onnx" else to_safetensors(served)}


def _next(format: str, out: Path) -> str:
    if format == "numpy":
        return f" Next, in {out}: from predictor import Predictor; Predictor('model.npz').predict(rows)"
    if format == "onnx":
        return f" Next: onnxruntime.InferenceSession({str(out)!r}).run(None, {{'rows': rows}}), rows in float64"
    return ""
