"""What other frameworks mean by batch normalisation, by an optimizer and by a default initialiser.

`CONVENTIONS` is the table: a record for each framework, whose fields are the convention. `track` follows running
statistics, `mlp` trains by a convention, `export_network` and `import_network` translate arrays. `jaxbn conventions`
prints the table.

Example:
    >>> track("keras3", [[[1.0], [2.0], [3.0], [4.0]]])
    {'moving_mean': array([0.025]), 'moving_variance': array([1.0025])}
"""

from jaxbn.interop.conventions.convention import Convention
from jaxbn.interop.conventions.initialisers import INITIALISERS, draw
from jaxbn.interop.conventions.optimizers import ADAM, MOMENTUM, RMSPROP, adam, momentum, rmsprop
from jaxbn.interop.conventions.running import RunningState, apply, init, mlp, running_moments, update
from jaxbn.interop.conventions.table import CONVENTIONS, lookup
from jaxbn.interop.conventions.track import track
from jaxbn.interop.conventions.weights import export_network, from_arrays, import_network, to_arrays

__all__ = [
    "ADAM",
    "CONVENTIONS",
    "INITIALISERS",
    "MOMENTUM",
    "RMSPROP",
    "Convention",
    "RunningState",
    "adam",
    "apply",
    "draw",
    "export_network",
    "from_arrays",
    "import_network",
    "init",
    "lookup",
    "mlp",
    "momentum",
    "rmsprop",
    "running_moments",
    "to_arrays",
    "track",
    "update",
]
