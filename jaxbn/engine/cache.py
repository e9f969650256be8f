"""Compiled programs kept on disk from one process to the next.

A compiled program is machine code that a later process runs, so its folder belongs to one person alone: made with mode
0700, never followed through a link, and left unused where others may write to it. What was compiled for another jaxlib
or another processor lies in another folder, because it may not run here.
"""

import hashlib
import importlib.metadata
import os
import platform
import stat
import sys
from pathlib import Path

import jax
from jax.experimental.compilation_cache import compilation_cache

from jaxbn.errors import UserError

VARIABLE = "JAXBN_CACHE"
"""The environment variable that names another folder, or turns keeping off."""

MOST_BYTES = 2 << 30
"""When the folder is larger than this, programs that have not been used for long go."""


def keep_programs(place: str | Path | None = None) -> Path | None:
    """Keep what this process compiles, and take what an earlier one has compiled.

    A cache of JAX's own that has been configured (`JAX_COMPILATION_CACHE_DIR`) is left as it is.

    Args:
        place: a folder for all versions and processors; None is the one that the environment variable `JAXBN_CACHE`
            names, or `jaxbn` in the user's cache folder. "off" keeps nothing.

    Returns:
        The folder for this jaxlib and processor; None where nothing is kept: it was turned off, or the disk is full or
        cannot be written to.

    Raises:
        UserError: the folder belongs to somebody else, or others may write to it.
    """
    place = os.environ.get(VARIABLE, "") if place is None else place
    if str(place) == "off" or kept_in():
        return kept_in()
    above = Path(place) if str(place) else _users() / "jaxbn"
    folder = above / kind_of_machine()
    try:
        # Who may write to the folder above could put another one in the place of ours.
        _make(above, others=0o055)
        _make(folder, others=0)
        trim(above, MOST_BYTES)
    except OSError:
        # A sweep needs no cache: it compiles anew.
        return None
    jax.config.update("jax_compilation_cache_dir", str(folder))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
    jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)
    # JAX decides at its first compilation whether it keeps anything.
    compilation_cache.reset_cache()
    return folder


def kept_in() -> Path | None:
    """The folder in which this process keeps compiled programs; None where it keeps none."""
    folder = jax.config.jax_compilation_cache_dir  # type: ignore[attr-defined]
    return Path(folder) if folder else None


def kind_of_machine() -> str:
    """A name for what a compiled program depends on beside the program: jaxlib, platform, processor.

    Example:
        >>> kind_of_machine() == kind_of_machine()
        True
    """
    jaxlib = importlib.metadata.version("jaxlib")
    about = f"{sys.platform} {platform.machine()} {_processor()}"
    return f"jaxlib-{jaxlib}-{platform.machine()}-{hashlib.sha256(about.encode()).hexdigest()[:12]}"


def trim(folder: Path, most_bytes: int) -> None:
    """Delete the files that have not been used for longest, until the others take at most half of so many bytes.

    Args:
        folder: all files in it and below are counted; with fewer bytes than `most_bytes` nothing happens.
        most_bytes: what is too much.

    Raises:
        OSError: a file cannot be deleted.
    """
    files = []
    for path in folder.rglob("*"):
        # Another process may be tidying up too.
        about = path.lstat() if os.path.lexists(path) else None
        if about is not None and stat.S_ISREG(about.st_mode):
            files.append((max(about.st_atime, about.st_mtime), about.st_size, path))
    total = sum(size for _, size, _ in files)
    if total <= most_bytes:
        return
    for _, size, path in sorted(files):
        path.unlink(missing_ok=True)
        total -= size
        if total <= most_bytes // 2:
            return


def _users() -> Path:
    """The folder in which programs keep what they can make again."""
    home = Path.home()
    if sys.platform == "darwin":
        return home / "Library" / "Caches"
    given = os.environ.get("LOCALAPPDATA" if sys.platform == "win32" else "XDG_CACHE_HOME", "")
    # The specification of XDG says that a relative path is to be ignored.
    return Path(given) if os.path.isabs(given) else home / ".cache"


def _make(folder: Path, *, others: int) -> None:
    """Make a folder that nobody else can reach, or check that one that is there grants them no more than that."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    about = folder.lstat()
    if not hasattr(os, "getuid"):
        return
    granted = stat.S_IMODE(about.st_mode) & 0o077
    if not stat.S_ISDIR(about.st_mode) or about.st_uid != os.getuid() or granted & ~others:
        raise UserError(
            f"compiled programs cannot be kept in {str(folder)!r}, because others may write to it or it is a link: "
            f"chmod 700 it, name another folder in {VARIABLE}, or set {VARIABLE}=off"
        )


def _processor() -> str:
    """The model and the instruction sets of the processor, as far as the system tells."""
    told = Path("/proc/cpuinfo")
    if not told.exists():
        return platform.processor()
    kept = ("model name", "flags", "Features", "CPU implementer", "CPU part", "cpu")
    lines = (line for line in told.read_text(errors="replace").splitlines() if line.split("\t")[0].strip() in kept)
    return "\n".join(sorted({line for line in lines if not line.startswith("cpu MHz")}))
