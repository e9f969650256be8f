"""The largest differences seen, printed at the end."""

import os

import pytest

# Keras looks once, when it is imported.
os.environ.setdefault("KERAS_BACKEND", "jax")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

SEEN = pytest.StashKey[list]()


@pytest.fixture
def seen(request):
    """Where a test leaves `(what, version, {column: largest difference})`."""
    return request.config.stash.setdefault(SEEN, [])


def pytest_terminal_summary(terminalreporter, config):
    rows = config.stash.get(SEEN, [])
    if rows:
        terminalreporter.section("largest differences from the frameworks themselves")
        for what, version, differences in sorted(rows):
            told = ", ".join(f"{column} {value:.1e}" for column, value in differences.items())
            terminalreporter.write_line(f"{what:<18} {version:<26} {told}")
