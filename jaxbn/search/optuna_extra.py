"""Optuna is an extra: whether it is there, and how to keep it quiet."""

import contextlib
import importlib.util
import warnings
from collections.abc import Iterator

from jaxbn.errors import UserError


def require(what: str, *packages: str) -> None:
    """Refuse to go on without packages of the extra.

    Args:
        what: needs them, such as "the tpe sampler".
        packages: names to import.

    Raises:
        UserError: one of them is not installed.
    """
    for package in packages:
        if importlib.util.find_spec(package) is None:
            raise UserError(f'{what} needs {package}, which is not installed: pip install "jaxbn[optuna]"')


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Optuna without its log, and without its notes on what is experimental."""
    import optuna

    verbosity = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            yield
    finally:
        optuna.logging.set_verbosity(verbosity)
