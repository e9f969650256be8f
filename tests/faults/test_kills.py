"""A sweep that is killed at any instant goes on to the same results: `make test-faults` kills 200 times."""

import json
import os
import subprocess
import sys
from pathlib import Path

KILLS = int(os.environ.get("JAXBN_KILLS", "12"))


def test_a_killed_sweep_goes_on_bit_for_bit(tmp_path):
    root = Path(__file__).parents[2]
    done = subprocess.run(
        [sys.executable, Path(__file__).with_name("killed.py"), tmp_path, "0", str(KILLS)],
        capture_output=True,
        text=True,
        env={**os.environ, "JAXBN_CACHE": str(tmp_path / "cache"), "PYTHONPATH": str(root)},
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    print(found)
    assert found["kills"] >= KILLS and found["at"]["instant"] and found["at"]["call"]
    assert found["wrong"] == []
