"""Every program lowers for every platform, whatever this machine is."""

import jax
import jax.export
import pytest

from jaxbn.engine.programs import Problem, Program, arguments, function, of_evaluate, of_init
from jaxbn.nn.types import ACTIVATIONS, OPTIMIZERS, Spec

PLATFORMS = ("cpu", "cuda", "rocm", "tpu")

SPECS = {
    "default": Spec(widths=(16, 16)),
    "linear": Spec(widths=(), activation="identity", normalization="none"),
    "everything": Spec(widths=(16, 24), dropout=True, label_smoothing=True, clip_norm=True),
    "merged": Spec(widths=(16,), optimizers=("adam", "momentum")),
    **{kind: Spec(widths=(8,), optimizers=(kind,)) for kind in OPTIMIZERS},
    **{kind: Spec(widths=(8,), activation=kind, normalization="none") for kind in ACTIVATIONS},
}
CLASSES = ("loss", "accuracy", "balanced_accuracy", "roc_auc", "f1", "log_loss")
PROBLEMS = {
    "classification": Problem("classification", 5, 3, 96, 128, CLASSES),
    "regression": Problem("regression", 5, 2, 96, 128, ("loss", "r2", "mse", "mae")),
}


@pytest.mark.parametrize("task", PROBLEMS)
@pytest.mark.parametrize("spec", SPECS.values(), ids=SPECS.keys())
def test_lowers_for_all_platforms(spec, task):
    epoch = Program("epoch", spec, 3, PROBLEMS[task])
    for program in (of_init(epoch), epoch, of_evaluate(epoch)):
        exported = jax.export.export(jax.jit(function(program)), platforms=PLATFORMS)(*arguments(program))
        assert exported.platforms == PLATFORMS
