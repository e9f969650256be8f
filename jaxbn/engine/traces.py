"""Traced programs kept on disk beside the compiled ones.

JAX knows a compiled program by its StableHLO, which Python has to trace first: 0.2 of the 0.3 s that a kept program
takes. So what tracing gives is kept too, in the portable form of `jax.export`, under a name that holds what tracing
reads: the program, this package's source, the versions of the libraries, and JAX's settings.
"""

import contextlib
import functools
import hashlib
import importlib.metadata
import importlib.util
import os
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import jax
from jax import Array, export

from jaxbn.engine.cache import kept_in

Flat = Callable[..., Any]
"""A function from leaves to a list of leaves."""

DIGEST_BYTES = 32


def source(package: Path) -> str:
    """A digest of all that a program could call in a package like this one."""
    digest = hashlib.sha256()
    for path in sorted(path for folder in ("nn", "engine", "search") for path in package.glob(f"{folder}/*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()


LOADED = (
    source(Path(__file__).parent.parent),
    *(importlib.metadata.version(name) for name in ("jax", "jaxlib", "flax", "optax", "chex")),
)
"""Taken while the package is loaded: what is on disk later may be another source than what this process runs."""


def traced(function: Flat, shapes: Sequence[Any], *, name: str, platform: str, about: str) -> Flat:
    """The function, or what tracing it has given: now, or in an earlier process.

    Args:
        function: named like the program, so that compilations can be counted.
        shapes: of its arguments.
        name: begins the name of the file.
        platform: that it is for.
        about: all that the function depends on beside the source of this package, the libraries and JAX's settings.

    Returns:
        A function of the same name that computes the same. It is the function itself where no programs are kept, where
        it is for another platform than JAX's own, or where JAX cannot export it.
    """
    folder = kept_in()
    if folder is None or platform != jax.default_backend() or not importlib.util.find_spec("flatbuffers"):
        return function
    settings = {name: value for name, value in jax.config.values.items() if name != "jax_compilation_cache_dir"}
    read_by_tracing = (about, platform, LOADED, importlib.metadata.version("flatbuffers"), sorted(settings.items()))
    digest = hashlib.sha256(repr(read_by_tracing).encode()).hexdigest()[:40]
    # `cache.trim` counts and deletes what is named like this.
    path = folder / f"{name}-{digest}-traced-cache"
    kept = read(path)
    if kept is None:
        try:
            program = export.export(jax.jit(function))(*shapes)
        except (ValueError, NotImplementedError):  # It calls what JAX does not promise to keep.
            return function
        write(path, bytes(program.serialize()))
    else:
        program = export.deserialize(bytearray(kept))

    @functools.wraps(function)
    def run(*leaves: Array) -> Any:
        return program.call(*leaves)

    return run


def read(path: Path) -> bytes | None:
    """What `write` has written; None where there is nothing, or not all of it."""
    try:
        content = path.read_bytes()
    except OSError:
        return None
    digest, rest = content[:DIGEST_BYTES], content[DIGEST_BYTES:]
    return rest if hashlib.sha256(rest).digest() == digest else None


def write(path: Path, content: bytes) -> None:
    """Write a file with a checksum, all at once; a full disk or one that is read-only keeps nothing."""
    with contextlib.suppress(OSError):
        # Where a process is killed here, `cache.trim` finds what it leaves.
        handle, beside = tempfile.mkstemp(suffix="-cache", prefix="writing-", dir=path.parent)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(hashlib.sha256(content).digest() + content)
            os.replace(beside, path)
        finally:
            Path(beside).unlink(missing_ok=True)
