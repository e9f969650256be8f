"""Files altered at random are read, or refused in one sentence: `make test-faults` tries 20,000."""

import json
import os
import subprocess
import sys
from pathlib import Path

INPUTS = int(os.environ.get("JAXBN_INPUTS", "600"))


def test_altered_files_are_read_or_refused_in_a_sentence(tmp_path):
    root = Path(__file__).parents[2]
    done = subprocess.run(
        [sys.executable, Path(__file__).with_name("fuzz.py"), tmp_path, "0", str(INPUTS)],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(root)},
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    print(found)
    assert found["failed"] == {}
    assert found["slowest"] < 5 and found["grown"] < 1 << 30
    # Most alterations are noticed, and some files come through: the readers read.
    kinds = {name.split()[0] for name in found["counts"]}
    assert len(kinds) == 13
    assert {f"{kind} read" for kind in ("csv", "tsv", "idx", "checkpoints", "signed")} <= set(found["counts"])
    assert sum(count for name, count in found["counts"].items() if "refused" in name) > INPUTS / 2
