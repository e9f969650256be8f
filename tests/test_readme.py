"""What the README shows runs, and the example is as short as it says."""

import re
import subprocess
import sys

from tests.pages import ROOT, check_commands, follow

README = ROOT / "README.md"


def test_python_blocks_run(tmp_path, monkeypatch):
    for block, printed, names in follow(README, tmp_path, monkeypatch, alone=True):
        if "sweep(" in block.text:
            assert "valid_accuracy" in printed
            assert names["results"].test["accuracy"] > 0.8
        elif "BNMLPClassifier" in block.text:
            assert names["score"] > 0.9
        else:
            assert "'running_var': array([2.82666667])" in printed
            assert names["arrays"]["0.weight"].shape == (64, 4)


def test_commands_of_the_readme_exist():
    check_commands(README)
    assert re.findall(r"^jaxbn (\w+)", README.read_text(), flags=re.MULTILINE)


def test_the_example_runs_and_is_short():
    path = ROOT / "examples" / "vectorized_sweep.py"
    source = path.read_text()
    assert len(source.splitlines()) <= 80
    assert "engine" not in "".join(line for line in source.splitlines() if line.startswith(("import", "from")))
    out = subprocess.run([sys.executable, str(path)], capture_output=True, text=True, check=True, cwd=ROOT).stdout
    best = float(re.search(r"validation accuracy ([\d.]+)", out)[1])
    assert best > 0.95
