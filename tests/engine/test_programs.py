"""Every program lowers for every platform, whatever this machine is, and compiles once."""

import re
import time
from concurrent.futures import ThreadPoolExecutor

import jax
import jax.export
import pytest

from jaxbn.engine import cost, programs
from jaxbn.engine.programs import Problem, Program, arguments, function, of_evaluate, of_init, results, sizes_of
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


@pytest.mark.parametrize("task", PROBLEMS)
@pytest.mark.parametrize("spec", SPECS.values(), ids=SPECS.keys())
def test_results_have_the_structure_that_is_said(spec, task):
    epoch = Program("epoch", spec, 3, PROBLEMS[task])
    for program in (of_init(epoch), epoch, of_evaluate(epoch)):
        returned = jax.eval_shape(function(program), *arguments(program))
        assert jax.tree.structure(returned) == jax.tree.structure(results(program))


@pytest.fixture
def functions(monkeypatch):
    """The programs that are traced from now on, one after another."""
    made = []

    def counted(program):
        made.append(program)
        time.sleep(0.05)  # for others to come
        return function(program)

    monkeypatch.setattr(programs, "function", counted)
    return made


def test_who_asks_for_a_program_at_a_time_waits_for_one_compilation(functions):
    program = of_init(Program("epoch", Spec(widths=(29,)), 2, PROBLEMS["regression"]))
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda _: programs.executable(program, jax.devices()[0]), range(8)))
    assert len(set(map(id, found))) == len(functions) == 1
    # Nothing but the bounded cache knows it any more.
    assert not programs._COMPILING


def test_a_compilation_that_failed_is_tried_again(functions, monkeypatch):
    program = of_init(Program("epoch", Spec(widths=(31,)), 2, PROBLEMS["regression"]))
    with monkeypatch.context() as patched, pytest.raises(MemoryError):
        patched.setattr(programs, "results", lambda program: (_ for _ in ()).throw(MemoryError()))
        programs.executable(program, jax.devices()[0])
    assert not programs._COMPILING
    programs.executable(program, jax.devices()[0])
    assert functions == [program]


@pytest.mark.skipif(jax.default_backend() != "cpu", reason="what a CPU's compiler makes of it")
def test_a_step_moves_nothing_only_to_transpose_it():
    # A mini-batch without a member axis would cost two transpositions of weights a step: 15 to 20 % of the time.
    spec = Spec(widths=(64, 64), optimizers=("adam", "momentum"))
    program = Program("epoch", spec, 4, Problem("classification", 64, 10, 512, 128, ("loss", "accuracy")))
    text = jax.jit(function(program)).lower(*arguments(program)).compile().as_text()
    assert text is not None
    assert " dot(" in text or "ynn_fusion" in text
    assert " transpose(" not in text
    layouts = re.findall(r"f32\[[\d,]+\]\{([\d,]+)\}", text)
    assert layouts
    assert all(layout == ",".join(map(str, reversed(range(layout.count(",") + 1)))) for layout in layouts)


@pytest.mark.skipif(jax.default_backend() != "cpu", reason="the rates of the estimate are of a CPU's compiler")
@pytest.mark.parametrize(
    ("widths", "inputs", "rows", "tile_size"),
    [((256, 256), 50, 4096, 2), ((64,), 500, 1024, 4), ((128,) * 4, 64, 1024, 3)],
)
def test_the_bytes_of_a_step_are_about_those_that_the_compiler_sets_aside(widths, inputs, rows, tile_size):
    problem = Problem("classification", inputs, 3, rows, 128, ("loss", "accuracy"))
    program = Program("epoch", Spec(widths=widths, batch_size=rows), tile_size, problem)
    compiled = jax.jit(function(program)).lower(*arguments(program)).compile()
    found = compiled.memory_analysis().temp_size_in_bytes
    sizes = sizes_of(problem)
    # Gradients, as many as weights, are set aside too; the plan counts the whole state a second time instead.
    least = tile_size * cost.bytes_of_step(program.spec, sizes)
    assert 0.7 * found < least + tile_size * cost.bytes_per_member(program.spec, sizes) / 3 < 1.5 * found
