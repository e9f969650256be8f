"""Traced programs on disk: taken where nothing has changed, made anew where anything has."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxbn.engine import traces
from jaxbn.engine.traces import read, traced, write

AGAIN = """
import sys
from jaxbn.engine import programs
from jaxbn.engine.cache import keep_programs
from jaxbn.nn.types import Spec
import jax
assert keep_programs(sys.argv[1])
if sys.argv[2] == "kept":
    def broken(*args, **kwargs):
        raise AssertionError("traced")
    programs.FUNCTIONS = dict.fromkeys(programs.FUNCTIONS, broken)
problem = programs.Problem("classification", 5, 3, 96, 128, ("loss", "accuracy"))
epoch = programs.Program("epoch", Spec(widths=(4,), optimizers=("adam", "momentum")), 2, problem)
for program in (epoch, programs.of_init(epoch), programs.of_evaluate(epoch)):
    programs.executable(program, jax.devices()[0])
"""


pytestmark = pytest.mark.skipif(jax.default_backend() != "cpu", reason="the tests name the platform")


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setattr(traces, "kept_in", lambda: tmp_path)
    return tmp_path


def squares(x):
    return [x * x]


def files(folder):
    return sorted(path.name for path in folder.iterdir())


def test_another_process_takes_the_traces(tmp_path):
    def run(how):
        command = [sys.executable, "-c", AGAIN, str(tmp_path / "cache"), how]
        return subprocess.run(command, capture_output=True, text=True)

    assert "AssertionError: traced" in run("kept").stderr
    done = run("fresh")
    assert done.returncode == 0, done.stderr
    done = run("kept")
    assert done.returncode == 0, done.stderr


def test_what_is_kept_computes_the_same(folder):
    x = np.linspace(-1, 1, 5, dtype=np.float32)
    shapes = [jax.ShapeDtypeStruct(x.shape, x.dtype)]
    fresh = traced(squares, shapes, name="squares", platform="cpu", about="")
    assert len(files(folder)) == 1
    kept = traced(squares, shapes, name="squares", platform="cpu", about="")
    assert len(files(folder)) == 1
    for one in (fresh, kept):
        assert one is not squares
        assert one.__name__ == "squares"
        np.testing.assert_array_equal(jax.jit(one)(x)[0], x * x)


def test_nothing_is_kept_where_programs_are_not(monkeypatch):
    monkeypatch.setattr(traces, "kept_in", lambda: None)
    assert traced(squares, [jax.ShapeDtypeStruct((), jnp.float32)], name="squares", platform="cpu", about="") is squares


def test_a_change_of_anything_makes_it_anew(folder, monkeypatch):
    shapes = [jax.ShapeDtypeStruct((), jnp.float32)]
    traced(squares, shapes, name="squares", platform="cpu", about="")
    traced(squares, shapes, name="squares", platform="cpu", about="another program")
    assert len(files(folder)) == 2
    with monkeypatch.context() as patched:
        patched.setattr(traces, "LOADED", ("another source",))
        traced(squares, shapes, name="squares", platform="cpu", about="")
    assert len(files(folder)) == 3
    before = jax.config.jax_threefry_partitionable
    jax.config.update("jax_threefry_partitionable", not before)
    try:
        traced(squares, shapes, name="squares", platform="cpu", about="")
    finally:
        jax.config.update("jax_threefry_partitionable", before)
    assert len(files(folder)) == 4


def test_the_source_of_what_a_program_calls_is_in_its_name(tmp_path):
    package = Path(traces.__file__).parent.parent
    assert traces.LOADED[0] == traces.source(package)
    shutil.copytree(package, tmp_path / "jaxbn", ignore=shutil.ignore_patterns("__pycache__"))
    assert traces.source(tmp_path / "jaxbn") == traces.LOADED[0]
    seen = {traces.LOADED[0], traces.source(tmp_path)}  # the latter of no file at all
    for name in ("nn/train.py", "engine/programs.py", "search/split.py"):
        with (tmp_path / "jaxbn" / name).open("a") as file:
            file.write("#")
        seen.add(traces.source(tmp_path / "jaxbn"))
    assert len(seen) == 5


def test_a_program_for_another_platform_is_not_kept(folder):
    shapes = [jax.ShapeDtypeStruct((), jnp.float32)]
    assert traced(squares, shapes, name="squares", platform="elsewhere", about="") is squares
    assert not files(folder)


@pytest.mark.parametrize("place", [0, 31, 32, 50, -1])
def test_a_flipped_bit_is_seen(tmp_path, place):
    path = tmp_path / "x"
    write(path, b"a" * 40)
    assert read(path) == b"a" * 40
    content = bytearray(path.read_bytes())
    content[place] ^= 1
    path.write_bytes(content)
    assert read(path) is None


@pytest.mark.parametrize("length", [0, 10, 32, 71])
def test_a_short_file_is_seen(tmp_path, length):
    path = tmp_path / "x"
    write(path, b"a" * 40)
    path.write_bytes(path.read_bytes()[:length])
    assert read(path) is None


def test_nothing_half_written_is_left(tmp_path):
    write(tmp_path / "x", b"a")
    write(tmp_path / "x", b"b")
    assert read(tmp_path / "x") == b"b"
    assert files(tmp_path) == ["x"]
    write(tmp_path / "not there" / "x", b"a")
    assert read(tmp_path / "not there" / "x") is None
    (tmp_path / "folder").mkdir()
    write(tmp_path / "folder", b"a")
    assert files(tmp_path) == ["folder", "x"]
    assert not os.listdir(tmp_path / "folder")
