"""The course notes' criteria for a framework, measured: ease of programming, running speed, openness, deployment.

Each framework does one job (`benchmarks/jobs`), each in a process of its own and in turn within a round, so that a
machine whose speed drifts slows them alike. Shown are

- lines: of the file with the job, without blank lines, comments and docstrings, counted from the source;
- first: seconds for the first network in a process, importing apart;
- next: milliseconds for another network in that process, built, traced again where the framework does that, trained
  for 5 epochs and asked for its predictions;
- steady: milliseconds for 5 further epochs of one network: the difference between a long training and a short one;
- accuracy on the 360 rows that were not trained on, after 5 epochs: the median over rounds, each of its own seed;
- the licence that the installed package states.

What can be exported is not measured: a name that does it is looked up in the installed version.

    make frameworks
    python -m benchmarks.frameworks [--rounds 5] [--only MODULE ...] [--json FILE]
"""

import argparse
import ast
import io
import json
import os
import statistics
import subprocess
import sys
import tempfile
import tokenize
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.about import about_machine
from benchmarks.rival import digits

ROOT = Path(__file__).parent.parent
JOBS = ROOT / "benchmarks/jobs"
NUM_EPOCHS = 5
QUIET = {"TF_CPP_MIN_LOG_LEVEL": "3"}
ONE_THREAD = {"OMP_NUM_THREADS": "1"}
"""Of PyTorch, PaddlePaddle, MXNet and NumPy. Matrices this small gain nothing from more, and on cores that are
busy with something else the threads wait for each other."""


@dataclass(frozen=True)
class Export:
    """A way to take a network out: what comes of it, the name that does it, and what else it needs."""

    what: str
    by: str
    needs: str = ""


@dataclass(frozen=True)
class Framework:
    """A row: how it is called, its file in `benchmarks/jobs`, its package.

    `networks` train together; the long training has `long` epochs.
    """

    name: str
    module: str
    package: str
    exports: tuple[Export, ...]
    networks: int = 1
    long: int = 55
    environment: tuple[tuple[str, str], ...] = ()
    python: Path = Path(sys.executable)


JAX_EXPORT = Export("StableHLO", "jax.export.export", "JAX's own, of a pure function")
TO_SAVED_MODEL = Export("SavedModel", "jax.experimental.jax2tf.convert", "JAX's own, with TensorFlow")
KERAS_EXPORTS = (
    Export(".keras, HDF5", "keras.Model.save"),
    Export("SavedModel, ONNX and others", "keras.Model.export", "TensorFlow; tf2onnx or onnxscript"),
)
JAXBN_EXPORTS = (
    Export("safetensors", "jaxbn.FittedModel.save"),
    Export("arrays by 21 layers' names", "jaxbn.interop.conventions.export_network"),
    JAX_EXPORT,
)
ON_JAX = (("KERAS_BACKEND", "jax"),)

FRAMEWORKS = (
    Framework(
        "PyTorch",
        "torch_eager",
        "torch",
        (
            Export("ExportedProgram", "torch.export.export"),
            Export("ONNX", "torch.onnx.export", "onnxscript"),
            Export("TorchScript", "torch.jit.trace"),
        ),
    ),
    Framework("Keras 3 on JAX", "keras_fit", "keras", KERAS_EXPORTS, environment=ON_JAX),
    Framework(
        "TensorFlow, tf_keras",
        "tf_keras_fit",
        "tf_keras",
        (
            Export("SavedModel", "tf_keras.Model.export"),
            Export("LiteRT", "tensorflow.lite.TFLiteConverter"),
            Export(".keras, HDF5", "tf_keras.Model.save"),
        ),
    ),
    Framework(
        "Flax linen",
        "flax_linen",
        "flax",
        (Export("MessagePack", "flax.serialization.to_bytes"), JAX_EXPORT, TO_SAVED_MODEL),
    ),
    Framework("Flax nnx", "flax_nnx", "flax", (JAX_EXPORT, TO_SAVED_MODEL)),
    Framework("Haiku", "haiku_step", "dm-haiku", (JAX_EXPORT, TO_SAVED_MODEL)),
    Framework(
        "Equinox",
        "equinox_step",
        "equinox",
        (Export("its own file", "equinox.tree_serialise_leaves"), JAX_EXPORT, TO_SAVED_MODEL),
    ),
    Framework(
        "PaddlePaddle",
        "paddle_eager",
        "paddlepaddle",
        (
            Export("inference program", "paddle.jit.save"),
            Export("ONNX", "paddle.onnx.export", "paddle2onnx"),
        ),
    ),
    Framework(
        "MXNet, Gluon",
        "mxnet_gluon",
        "mxnet",
        (
            Export("symbol and params", "mxnet.gluon.HybridBlock.export"),
            Export("ONNX", "mxnet.onnx.export_model", "onnx"),
        ),
        python=ROOT / ".venv-mxnet/bin/python",
    ),
    Framework("scikit-learn, no batch norm", "sklearn_fit", "scikit-learn", (Export("pickle", "pickle.dump"),)),
    Framework("jaxbn, `sweep` of one", "jaxbn_sweep", "jaxbn", JAXBN_EXPORTS),
    Framework("jaxbn, pieces", "jaxbn_pieces", "jaxbn", JAXBN_EXPORTS),
    Framework("jaxbn, `sweep` of 256", "jaxbn_population", "jaxbn", JAXBN_EXPORTS, networks=256, long=10),
)

NOT_HERE = {
    "Caffe": "BSD-2-Clause",
    "Caffe2": "Apache-2.0",
    "CNTK": "MIT",
    "DL4J": "Apache-2.0",
    "Lasagne": "MIT",
    "Theano": "BSD-3-Clause",
}
"""Those of the notes that do not install under a Python that jaxbn has, with the licence of their repositories."""


def lines_of_code(source: str) -> int:
    """Lines that hold anything but comments and docstrings."""
    docstrings: set[int] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and ast.get_docstring(node) is not None:
            text = node.body[0]
            docstrings.update(range(text.lineno, (text.end_lineno or text.lineno) + 1))
    layout = {tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER}
    lines: set[int] = set()
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type not in layout:
            lines.update(range(token.start[0], token.end[0] + 1))
    return len(lines - docstrings)


class Worker:
    """The process of one framework."""

    def __init__(self, framework: Framework, data: Path):
        self.said = data.with_name(f"{framework.module}.txt")
        self.process = subprocess.Popen(
            [framework.python, "-m", "benchmarks.jobs.worker", framework.module, framework.package, data],
            cwd=ROOT,
            env={**os.environ, **QUIET, **ONE_THREAD, **dict(framework.environment)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.said.open("w"),
            text=True,
        )
        self.about = self._answer()

    def _answer(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError(f"{self.process.args!r} ended with {self.process.wait()}: {self.said.read_text()}")
        return json.loads(line)

    def ask(self, **request: Any) -> dict[str, Any]:
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(request) + "\n")
        self.process.stdin.flush()
        return self._answer()

    def end(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait()


def start(frameworks: list[Framework], data: Path) -> dict[Framework, Worker]:
    """The workers of the frameworks that are installed; the others are named."""
    workers: dict[Framework, Worker] = {}
    for framework in frameworks:
        if not framework.python.exists():
            print(f"{framework.name} is left out: its environment is not there")
            continue
        worker = Worker(framework, data)
        if "missing" in worker.about:
            print(f"{framework.name} is left out: {worker.about['missing']} is not installed")
            worker.end()
        else:
            workers[framework] = worker
    return workers


def measure(workers: dict[Framework, Worker], rounds: int) -> list[dict[str, Any]]:
    """A row for each worker."""
    first = {}
    for framework, worker in workers.items():
        first[framework] = worker.ask(train=NUM_EPOCHS, seed=0)["seconds"]
        long = worker.ask(train=framework.long, seed=0)["seconds"]  # whatever compiles for it
        print(f"{framework.name}: first {first[framework]:.1f} s, long {long:.1f} s", flush=True)
    nexts: dict[Framework, list[float]] = {framework: [] for framework in workers}
    steady: dict[Framework, list[float]] = {framework: [] for framework in workers}
    accuracy: dict[Framework, list[float]] = {framework: [] for framework in workers}
    for seed in range(1, rounds + 1):
        for framework, worker in workers.items():
            short, long = worker.ask(train=NUM_EPOCHS, seed=seed), worker.ask(train=framework.long, seed=seed)
            share = NUM_EPOCHS / (framework.long - NUM_EPOCHS)
            nexts[framework].append(1e3 * short["seconds"] / framework.networks)
            steady[framework].append(1e3 * (long["seconds"] - short["seconds"]) * share / framework.networks)
            accuracy[framework].append(short["accuracy"])
        print(f"round {seed}", flush=True)
    return [
        {
            "name": framework.name,
            "networks": framework.networks,
            "version": f"{framework.package} {worker.about['version']}",
            "licence": worker.about["licence"],
            "lines": lines_of_code((JOBS / f"{framework.module}.py").read_text()),
            "import_seconds": worker.about["seconds"],
            "first_seconds": first[framework],
            "next_ms": nexts[framework],
            "steady_ms": steady[framework],
            "accuracy": accuracy[framework],
            "exports": _exports(framework, worker),
        }
        for framework, worker in workers.items()
    ]


def _exports(framework: Framework, worker: Worker) -> list[dict[str, Any]]:
    found = worker.ask(there=[export.by for export in framework.exports])["there"]
    return [
        {"what": export.what, "by": export.by, "needs": export.needs, "there": there}
        for export, there in zip(framework.exports, found, strict=True)
    ]


def _spread(values: list[float], digits: int) -> str:
    return f"{statistics.median(values):.{digits}f} ({min(values):.{digits}f} to {max(values):.{digits}f})"


def table(rows: list[dict[str, Any]]) -> str:
    """What was measured, as Markdown."""
    lines = [
        "| framework | version | licence | lines | import s | first s | next ms | steady ms | accuracy |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        lines.append(
            f"| {row['name']} | {row['version']} | {row['licence']} | {row['lines']} | {row['import_seconds']:.1f} "
            f"| {row['first_seconds']:.1f} | {_spread(row['next_ms'], 1)} | {_spread(row['steady_ms'], 1)} "
            f"| {_spread(row['accuracy'], 3)} |"
        )
    lines += [f"| {name} | | {licence} | not tried | | | | | |" for name, licence in NOT_HERE.items()]
    return "\n".join(lines)


def exports_table(rows: list[dict[str, Any]]) -> str:
    """What can be exported, as Markdown. A name that the installed version has not is struck out."""
    lines = ["| framework | export | by | needs |", "|---|---|---|---|"]
    seen = set()
    for row in rows:
        if row["version"] in seen and row["version"].startswith("jaxbn"):
            continue
        seen.add(row["version"])
        for export in row["exports"]:
            by = f"`{export['by']}`" if export["there"] else f"~~`{export['by']}`~~"
            name = "jaxbn" if row["name"].startswith("jaxbn") else row["name"]
            lines.append(f"| {name} | {export['what']} | {by} | {export['needs']} |")
    return "\n".join(lines)


def main() -> None:
    """Measure, print the tables, and write JSON where asked."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.frameworks", description="Frameworks side by side.")
    parser.add_argument("--rounds", type=int, default=5, help="how often each is timed (default 5)")
    parser.add_argument("--only", nargs="+", metavar="MODULE", help="files of benchmarks/jobs, by name")
    parser.add_argument("--json", help="file to write the figures to")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder) / "digits.npz"
        rows = digits()
        # Class numbers as every framework takes them.
        rows |= {name: rows[name].astype(np.int64) for name in ("y", "y_valid")}
        np.savez(data, **rows)  # pyright: ignore[reportArgumentType]
        chosen = [f for f in FRAMEWORKS if not arguments.only or f.module in arguments.only]
        workers = start(chosen, data)
        rows = measure(workers, arguments.rounds)
        for worker in workers.values():
            worker.end()
    print("", table(rows), "", exports_table(rows), sep="\n")
    if arguments.json:
        record = {"about": {**about_machine(), "rounds": arguments.rounds}, "rows": rows, "not_here": NOT_HERE}
        Path(arguments.json).write_text(json.dumps(record, indent=1) + "\n")


if __name__ == "__main__":
    main()
