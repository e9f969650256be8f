"""Compiled programs on disk: taken again, private, bounded, and never in the way."""

import os
import stat
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from jaxbn.engine.cache import keep_programs, kept_in, kind_of_machine, trim
from jaxbn.errors import UserError

SWEEP = ["sweep", "iris", "--num-configs", "3", "--num-epochs", "2", "--out"]
private = pytest.mark.skipif(not hasattr(os, "getuid"), reason="folders have no mode here")


def jaxbn(*words: str, cache: Path | str, cwd: Path) -> subprocess.CompletedProcess:
    environment = {**os.environ, "JAXBN_CACHE": str(cache)}
    environment.pop("JAX_COMPILATION_CACHE_DIR", None)
    command = [sys.executable, "-m", "jaxbn", *words]
    return subprocess.run(command, env=environment, cwd=cwd, capture_output=True, text=True)


@pytest.fixture(scope="module")
def swept(tmp_path_factory):
    """A folder in which a sweep has kept its programs in `cache`, and its run in `first`."""
    folder = tmp_path_factory.mktemp("kept")
    done = jaxbn(*SWEEP, "first", cache=folder / "cache", cwd=folder)
    assert done.returncode == 0, done.stderr
    return folder


def programs(folder: Path) -> list[Path]:
    return sorted(path for path in (folder / "cache").rglob("*-cache") if "jaxbn_" in path.name)


def trials(run: Path) -> pl.DataFrame:
    return pl.read_parquet(run / "trials.parquet").drop("train_seconds")


def test_the_next_sweep_compiles_nothing_and_learns_the_same(swept):
    before = programs(swept)
    kinds = {kind for kind in ("init", "epoch", "evaluate") for path in before if f"jaxbn_{kind}" in path.name}
    assert kinds == {"init", "epoch", "evaluate"}
    traced = {path.name.split("-")[0] for path in before if "-traced-" in path.name}
    assert traced == {"jaxbn_init", "jaxbn_epoch", "jaxbn_evaluate"}
    done = jaxbn(*SWEEP, "second", cache=swept / "cache", cwd=swept)
    assert done.returncode == 0, done.stderr
    assert programs(swept) == before
    assert_frame_equal(trials(swept / "first"), trials(swept / "second"), check_exact=True)


def test_keeping_changes_no_bit(swept):
    done = jaxbn(*SWEEP, "unkept", cache="off", cwd=swept)
    assert done.returncode == 0, done.stderr
    assert_frame_equal(trials(swept / "first"), trials(swept / "unkept"), check_exact=True)


@private
def test_nobody_else_can_reach_it(swept):
    for folder in (swept / "cache", swept / "cache" / kind_of_machine()):
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_a_broken_program_is_compiled_anew(swept):
    for path in programs(swept):
        path.write_bytes(path.read_bytes()[:100])
    done = jaxbn(*SWEEP, "third", cache=swept / "cache", cwd=swept)
    assert done.returncode == 0, done.stderr
    assert_frame_equal(trials(swept / "first"), trials(swept / "third"), check_exact=True)


def test_off_keeps_nothing(tmp_path, monkeypatch):
    monkeypatch.setenv("JAXBN_CACHE", "off")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert keep_programs() is None
    assert kept_in() is None
    assert not list(tmp_path.iterdir())


@private
def test_a_folder_that_others_may_write_to_is_refused(tmp_path):
    (tmp_path / "open").mkdir()
    (tmp_path / "open").chmod(0o777)
    done = jaxbn(*SWEEP, "run", cache=tmp_path / "open", cwd=tmp_path)
    assert done.returncode == 2
    assert "others may write to it" in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert not (tmp_path / "run").exists()


@private
def test_a_parent_that_anybody_may_write_to_is_refused(tmp_path):
    (tmp_path / "open").mkdir()
    (tmp_path / "open").chmod(0o777)
    with pytest.raises(UserError, match="others may write to it"):
        keep_programs(tmp_path / "open" / "mine")
    # A sticky folder, such as /tmp, lets nobody rename what is another's.
    (tmp_path / "open").chmod(0o1777)
    assert "jaxlib" in kept_by(tmp_path / "open" / "mine")


@private
def test_nobody_has_to_care_for_a_folder_that_nobody_named(tmp_path, monkeypatch):
    (tmp_path / "open").mkdir()
    (tmp_path / "open").chmod(0o777)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "open"))
    monkeypatch.delenv("JAXBN_CACHE")
    assert keep_programs() is None
    assert kept_in() is None


@private
@pytest.mark.skipif(getattr(os, "getuid", int)() != 0, reason="only root can give files away")
def test_a_program_that_somebody_else_has_put_there_is_refused(tmp_path):
    kept_by(tmp_path / "mine")
    planted = tmp_path / "mine" / kind_of_machine() / "planted-cache"
    planted.write_bytes(b"x")
    os.chown(planted, 12345, 12345)
    with pytest.raises(UserError, match="belongs to somebody else"):
        keep_programs(tmp_path / "mine")


def kept_by(place: Path) -> str:
    """What another process says it keeps programs in."""
    code = f"from jaxbn.engine.cache import keep_programs; print(keep_programs({str(place)!r}))"
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout


@private
def test_a_link_is_refused(tmp_path):
    (tmp_path / "elsewhere").mkdir(mode=0o700)
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(UserError, match="is a link"):
        keep_programs(tmp_path / "link")
    assert kept_in() is None


def test_where_nothing_can_be_written_nothing_is_kept(tmp_path):
    (tmp_path / "file").write_text("in the way")
    assert keep_programs(tmp_path / "file" / "below") is None
    assert kept_in() is None


def test_what_was_not_used_for_longest_goes(tmp_path):
    folder = tmp_path / "jaxlib-1"
    folder.mkdir()
    for age, name in enumerate(("new-cache", "middle-cache", "old-cache")):
        (folder / name).write_bytes(b"x" * 100)
        os.utime(folder / name, (1e9 - age, 1e9 - age))
    # What is no program stays, however old and large.
    others = [tmp_path / "thesis.tex", folder / "speed-cpu-2.json", tmp_path / "mine-cache"]
    for path in others:
        path.write_bytes(b"x" * 1000)
        os.utime(path, (1.0, 1.0))
    trim(tmp_path, 300)
    assert len(list(folder.glob("*-cache"))) == 3
    trim(tmp_path, 299)
    assert [path.name for path in folder.glob("*-cache")] == ["new-cache"]
    assert all(path.stat().st_size == 1000 for path in others)
