"""What the README shows runs, and the example is as short as it says."""

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()


@pytest.mark.parametrize("block", re.findall(r"```python\n(.*?)```", README, flags=re.DOTALL))
def test_python_blocks_run(block, capsys):
    names: dict[str, Any] = {}
    exec(compile(block, "README.md", "exec"), names)
    printed = capsys.readouterr().out
    if "sweep(" in block:
        assert "valid_accuracy" in printed
        assert names["results"].test["accuracy"] > 0.8
    elif "BNMLPClassifier" in block:
        assert names["score"] > 0.9
    else:
        assert "'running_var': array([2.82666667])" in printed
        assert names["arrays"]["0.weight"].shape == (64, 4)


def test_commands_of_the_readme_exist():
    from jaxbn.cli.entry import COMMANDS

    named = set(re.findall(r"^jaxbn (\w+)", README, flags=re.MULTILINE))
    assert named and named <= set(COMMANDS)


def test_the_example_runs_and_is_short():
    path = ROOT / "examples" / "vectorized_sweep.py"
    source = path.read_text()
    assert len(source.splitlines()) <= 80
    assert "engine" not in "".join(line for line in source.splitlines() if line.startswith(("import", "from")))
    out = subprocess.run([sys.executable, str(path)], capture_output=True, text=True, check=True, cwd=ROOT).stdout
    best = float(re.search(r"validation accuracy ([\d.]+)", out)[1])
    assert best > 0.95
