"""The command line: a file for each command. JAX is imported by commands that need it, never for their help."""

from jaxbn.cli.entry import main

__all__ = ["main"]
