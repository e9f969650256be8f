"""The command line: a file for each command. Those that need JAX import it; their help never does."""

from jaxbn.cli.entry import main

__all__ = ["main"]
