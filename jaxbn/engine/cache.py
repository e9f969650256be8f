"""Compiled programs kept on disk from one process to the next.

A compiled program is machine code that a later process runs, so its folder belongs to one person alone: made with mode
0700, never followed through a link, and left alone where others could have written to it (on Windows that is up to its
access lists). What was compiled for another jaxlib or another processor lies in another folder, because it may not run
here.
"""

import contextlib
import functools
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
        cannot be written to, or nobody named a folder and the usual one is not safe.

    Raises:
        UserError: the folder that was named belongs to somebody else, or others may write to it.
    """
    place = os.environ.get(VARIABLE, "") if place is None else place
    configured = jax.config.jax_compilation_cache_dir  # type: ignore[attr-defined]
    if str(place) == "off" or configured:
        return Path(configured) if configured else None
    try:
        above = Path(place).expanduser().absolute() if str(place) else _users() / "jaxbn"
        folder = above / kind_of_machine()
        above.mkdir(mode=0o700, parents=True, exist_ok=True)
        folder.mkdir(mode=0o700, exist_ok=True)
        wrong = unsafe(above, folder)
        if wrong is None:
            trim(above, MOST_BYTES)
    except (OSError, RuntimeError):  # `Path.home` raises the latter where a user has none.
        # A sweep needs no cache: it compiles anew.
        return None
    if wrong is not None and str(place):
        raise UserError(
            f"compiled programs cannot be kept in {str(folder)!r}, because {str(wrong)!r} is a link, belongs to "
            f"somebody else, or others may write to it: delete it, name another folder in {VARIABLE}, or set "
            f"{VARIABLE}=off"
        )
    if wrong is not None:
        return None
    jax.config.update("jax_compilation_cache_dir", str(folder))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
    jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)
    # JAX decides at its first compilation whether it keeps anything.
    compilation_cache.reset_cache()
    return folder


def kept_in() -> Path | None:
    """The folder in which `keep_programs` lets this process keep programs; None where it does not."""
    folder = jax.config.jax_compilation_cache_dir  # type: ignore[attr-defined]
    return Path(folder) if folder and Path(folder).name == kind_of_machine() else None


@functools.cache
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
    """Delete the programs that have not been used for longest, until the others take at most half of so many bytes.

    Nothing but programs is counted or deleted, whatever else lies in the folder. When a program was used is what the
    file system says; where it keeps no times of reading, it is when the program was compiled.

    Args:
        folder: with a folder for each jaxlib and processor.
        most_bytes: what is too much; with fewer bytes nothing happens.

    Raises:
        OSError: a file cannot be deleted.
    """
    files = []
    for path in folder.glob("jaxlib-*/*-cache"):
        try:
            about = path.lstat()
        except FileNotFoundError:  # Another process is tidying up too.
            continue
        if stat.S_ISREG(about.st_mode):
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
    given = os.environ.get("LOCALAPPDATA" if sys.platform == "win32" else "XDG_CACHE_HOME", "")
    # The specification of XDG says that a relative path is to be ignored.
    if os.path.isabs(given) and sys.platform != "darwin":
        return Path(given)
    return Path.home() / ("Library/Caches" if sys.platform == "darwin" else ".cache")


def unsafe(above: Path, folder: Path) -> Path | None:
    """What somebody else could have put into a folder, or in the place of it; None where nobody could.

    Args:
        above: with a folder for each jaxlib and processor.
        folder: one of these.
    """
    if not hasattr(os, "getuid"):  # Windows: a user's own folder is closed to others by its access list.
        return None
    mine = os.getuid()
    for one, granted in ((folder, 0), (above, 0o055)):
        about = one.lstat()
        if not stat.S_ISDIR(about.st_mode) or about.st_uid != mine or about.st_mode & 0o077 & ~granted:
            return one
    for one in above.resolve().parents:
        about = one.stat()
        open_to_all = about.st_mode & stat.S_IWOTH and not about.st_mode & stat.S_ISVTX
        if about.st_uid not in (mine, 0) or open_to_all:
            return one
    for path in folder.iterdir():
        # Another process may have renamed what it wrote, or be tidying up.
        with contextlib.suppress(FileNotFoundError):
            if path.lstat().st_uid != mine:
                return path
    return None


def _processor() -> str:
    """The model and the instruction sets of the processor, as far as the system tells."""
    told = Path("/proc/cpuinfo")
    if not told.exists():
        return platform.processor()
    kept = ("model name", "flags", "Features", "CPU implementer", "CPU part", "cpu")
    lines = (line for line in told.read_text(errors="replace").splitlines() if line.split("\t")[0].strip() in kept)
    return "\n".join(sorted(set(lines)))
