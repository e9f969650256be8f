"""The sweeps that reports are written of."""

import pytest

from tests.report.runs import KINDS, made


@pytest.fixture
def results(request):
    """The results of the sweep of that kind, which runs once."""
    kind = request.param
    if kind not in made:
        made[kind] = KINDS[kind]()
    return made[kind]
