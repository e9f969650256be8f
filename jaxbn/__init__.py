"""jaxbn trains a whole population of batch-normalised networks at once, and finds good hyperparameters for them."""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jaxbn.data import Dataset, load_data
    from jaxbn.errors import UserError
    from jaxbn.nn import batch_norm, dense, losses, metrics, mlp, optimizers, train, types
    from jaxbn.nn.minimize import minimize
    from jaxbn.nn.types import Batch, Hyperparams, Spec
    from jaxbn.search import Choice, Config, Float, Int, Space
    from jaxbn.study.fitted import FittedModel
    from jaxbn.study.interrupt import Interrupted
    from jaxbn.study.panda import Panda
    from jaxbn.study.replay import replay
    from jaxbn.study.results import Results
    from jaxbn.study.retrain import retrain
    from jaxbn.study.settings import Settings
    from jaxbn.study.settle import plan
    from jaxbn.study.sweep import resume, sweep

__version__ = "0.1.0"

# Importing JAX takes seconds; `jaxbn --help` must not, so each name is imported when it is first asked for.
_HOME = {
    "Batch": "jaxbn.nn.types",
    "Choice": "jaxbn.search",
    "Config": "jaxbn.search",
    "Dataset": "jaxbn.data",
    "FittedModel": "jaxbn.study.fitted",
    "Float": "jaxbn.search",
    "Hyperparams": "jaxbn.nn.types",
    "Int": "jaxbn.search",
    "Interrupted": "jaxbn.study.interrupt",
    "Panda": "jaxbn.study.panda",
    "Results": "jaxbn.study.results",
    "Settings": "jaxbn.study.settings",
    "Space": "jaxbn.search",
    "Spec": "jaxbn.nn.types",
    "UserError": "jaxbn.errors",
    "batch_norm": "jaxbn.nn",
    "dense": "jaxbn.nn",
    "load_data": "jaxbn.data",
    "losses": "jaxbn.nn",
    "metrics": "jaxbn.nn",
    "minimize": "jaxbn.nn.minimize",
    "mlp": "jaxbn.nn",
    "optimizers": "jaxbn.nn",
    "plan": "jaxbn.study.settle",
    "replay": "jaxbn.study.replay",
    "resume": "jaxbn.study.sweep",
    "retrain": "jaxbn.study.retrain",
    "sweep": "jaxbn.study.sweep",
    "train": "jaxbn.nn",
    "types": "jaxbn.nn",
}

__all__ = [
    "Batch",
    "Choice",
    "Config",
    "Dataset",
    "FittedModel",
    "Float",
    "Hyperparams",
    "Int",
    "Interrupted",
    "Panda",
    "Results",
    "Settings",
    "Space",
    "Spec",
    "UserError",
    "batch_norm",
    "dense",
    "load_data",
    "losses",
    "metrics",
    "minimize",
    "mlp",
    "optimizers",
    "plan",
    "replay",
    "resume",
    "retrain",
    "sweep",
    "train",
    "types",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(_HOME[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
