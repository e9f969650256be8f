"""Traced programs kept on disk beside the compiled ones.

JAX knows a compiled program by its StableHLO, which Python has to trace first: 0.2 of the 0.3 s that a kept program
takes. So what tracing gives is kept too, in the portable form of `jax.export`, under a name that holds everything that
tracing reads: the program, this package's source, the versions of those that it calls, and JAX's settings.
"""

import contextlib
import functools
import hashlib
import importlib.metadata
import importlib.util
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import jax
from jax import Array, export

from jaxbn.engine.cache import kept_in

Flat = Callable[..., Any]
"""A function from leaves to a list of leaves."""

DIGEST_BYTES = 32


def traced(function: Flat, shapes: Sequence[Any], *, name: str, about: str) -> Flat:
    """The function, or what tracing it has given: now, or in an earlier process.

    Args:
        function: named like the program, so that compilations can be counted.
        shapes: of its arguments.
        name: begins the name of the file.
        about: all that the function depends on beside the source of this package, the libraries and JAX's settings.

    Returns:
        A function of the same name that computes the same. Where no programs are kept, it is the function itself.
    """
    folder = kept_in()
    if folder is None or not importlib.util.find_spec("flatbuffers"):
        return function
    digest = hashlib.sha256(f"{about}\n{_surroundings()}".encode()).hexdigest()[:40]
    # `cache.trim` counts and deletes what is named like this.
    path = folder / f"{name}-{digest}-traced-cache"
    kept = read(path)
    if kept is None:
        program = export.export(jax.jit(function))(*shapes)
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
    beside = path.with_name(f"{path.name}.{os.getpid()}")
    with contextlib.suppress(OSError):
        try:
            beside.write_bytes(hashlib.sha256(content).digest() + content)
            beside.replace(path)
        finally:
            beside.unlink(missing_ok=True)


def _surroundings() -> str:
    """What tracing reads beside the program."""
    settings = {name: value for name, value in jax.config.values.items() if name != "jax_compilation_cache_dir"}
    return f"{_source()}\n{sorted(settings.items())}"


@functools.cache
def _source() -> str:
    """The versions of the libraries, and a digest of all that this package could let a program call."""
    digest = hashlib.sha256()
    package = Path(__file__).parent.parent
    for path in sorted([*package.glob("nn/*.py"), *package.glob("engine/*.py"), *package.glob("search/*.py")]):
        digest.update(path.read_bytes())
    libraries = ("jax", "jaxlib", "flax", "optax", "chex")
    return f"{digest.hexdigest()} {[importlib.metadata.version(name) for name in libraries]}"
