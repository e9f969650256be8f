"""Run the notebooks: `python notebooks/execute.py [NAME ...]` turns NN_name.py into an executed NN_name.ipynb.

A cell that fails, or a kernel that dies, ends its notebook, whose .ipynb stays as it was, and the command fails after
the last one.
"""

import os
import sys
import time
from pathlib import Path

import jupytext
import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError

FOLDER = Path(__file__).resolve().parent
CELL_SECONDS = 900
"""A cell that takes longer hangs."""


def execute(source: Path) -> nbformat.NotebookNode:
    """The notebook of a source, with its outputs, and nothing in it that tells when or where it ran."""
    notebook = jupytext.read(source)
    for number, cell in enumerate(notebook.cells):
        cell.id = f"cell-{number:02d}"
    NotebookClient(
        notebook,
        timeout=CELL_SECONDS,
        kernel_name="python3",
        record_timing=False,
        extra_arguments=["--IPKernelApp.log_level=40"],
        resources={"metadata": {"path": str(FOLDER)}},
    ).execute()
    for cell in notebook.cells:
        cell.metadata = nbformat.NotebookNode()
        if cell.cell_type == "code":
            # What a call of matplotlib returns says nothing, and holds an address.
            cell.outputs = [
                o for o in cell.outputs if not _text(o).startswith(("<matplotlib.", "Text(", "[<matplotlib."))
            ]
    notebook.metadata = nbformat.NotebookNode(
        jupytext={"formats": "ipynb,py:percent"},
        kernelspec={"display_name": "Python 3", "language": "python", "name": "python3"},
        language_info={"name": "python"},
    )
    notebook.nbformat, notebook.nbformat_minor = 4, 5
    return notebook


def _text(output: nbformat.NotebookNode) -> str:
    return output.data.get("text/plain", "") if output.output_type == "execute_result" else ""


def main(names: list[str]) -> int:
    """Run those that are named, by the beginning of their names, or all; the number that failed."""
    # The checkout's own jaxbn and this environment's own kernel, whatever else the user has installed.
    search = [str(FOLDER.parent), *filter(None, [os.environ.get("PYTHONPATH")])]
    os.environ |= {"PYTHONPATH": os.pathsep.join(search), "JUPYTER_PREFER_ENV_PATH": "1", "TF_CPP_MIN_LOG_LEVEL": "3"}
    sources = sorted(FOLDER.glob("[0-9][0-9]_*.py"))
    unknown = [name for name in names if not any(source.stem.startswith(name) for source in sources)]
    if unknown:
        print(f"no notebook begins with {', '.join(unknown)}", file=sys.stderr)
        return len(unknown)
    failed = 0
    for source in sources:
        if names and not any(source.stem.startswith(name) for name in names):
            continue
        began = time.perf_counter()
        try:
            notebook = execute(source)
        except (CellExecutionError, RuntimeError, TimeoutError) as error:
            failed += 1
            print(f"{source.stem}: FAILED\n{error}", file=sys.stderr)
            continue
        nbformat.validate(notebook)
        nbformat.write(notebook, source.with_suffix(".ipynb"))
        print(f"{source.stem}: {time.perf_counter() - began:.0f} s", flush=True)
    return failed


if __name__ == "__main__":
    sys.exit(min(main(sys.argv[1:]), 1))
