"""The largest differences seen, as a table at the end, and in the file that DIFFERENCES names."""

import json
import os
from pathlib import Path

import pytest

# Keras looks once, when it is imported.
os.environ.setdefault("KERAS_BACKEND", "jax")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

# It runs under a Python that has MXNet, and pytest would import it to look for doctests.
collect_ignore = ["mxnet_side.py"]

SEEN = pytest.StashKey[dict[str, dict]]()
COLUMNS = ("weights", "statistics", "outputs", "imported", "exported", "there and back")


@pytest.fixture
def seen(request):
    """Where a test leaves its largest differences: `seen(what, checked, column=value, ...)`."""
    rows = request.config.stash.setdefault(SEEN, {})

    def leave(what, checked, **differences):
        row = rows.setdefault(what, {"checked": checked})
        row.update({column.replace("_", " "): float(value) for column, value in differences.items()})

    return leave


def pytest_terminal_summary(terminalreporter, config):
    rows = config.stash.get(SEEN, {})
    if not rows:
        return
    if os.environ.get("DIFFERENCES"):
        file = Path(os.environ["DIFFERENCES"])
        # PaddlePaddle runs in a process of its own, and adds to what the others found.
        held = json.loads(file.read_text()) if file.exists() else {}
        rows = {what: held.get(what, {}) | rows.get(what, {}) for what in sorted({*held, *rows})}
        file.write_text(json.dumps(rows, indent=1) + "\n")
    terminalreporter.section("largest differences from the frameworks themselves")
    layers = {what: row for what, row in rows.items() if "there and back" in row or "weights" in row}
    lines = [f"| layer | checked | {' | '.join(COLUMNS)} |", "|---|---|" + "---|" * len(COLUMNS)]
    for what, row in sorted(layers.items()):
        cells = " | ".join(f"{row[column]:.1e}" if column in row else "" for column in COLUMNS)
        lines.append(f"| {what} | {row['checked']} | {cells} |")
    lines += ["", "| optimizer | float32, relative | float64, relative |", "|---|---|---|"]
    for what, row in sorted(rows.items()):
        if what not in layers:
            wide = f"{row['float64']:.1e}" if "float64" in row else ""
            lines.append(f"| {what} | {row['float32']:.1e} | {wide} |")
    for line in lines:
        terminalreporter.write_line(line)
