"""Imports go downwards only, and a cheap import stays cheap."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "jaxbn"
GROUND = ("errors", "markup", "nn", "search", "data", "engine", "plots", "study", "interop")
ROOMS = (*GROUND, "estimators", "doctor", "report", "cli")
"""From the ground up; each may import those before it."""

HEAVY = {"sklearn", "polars", "matplotlib", "plotly", "optuna", "torch", "pandas", "pyarrow"}
BARE = {"jax", "flax", "optax", "chex", "numpy", "scipy", "jaxbn"}
"""What a bare accelerator machine has, beside scikit-learn for built-in data."""
LAZY = {"optuna", "cmaes"}
"""What a sampler loads when it is asked for."""


def imports(path: Path, *, everywhere: bool) -> set[str]:
    """Dotted names that a file imports: at module level, or anywhere; not those for type checking alone."""
    found: set[str] = set()

    def visit(node: ast.AST) -> None:
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            return
        if isinstance(node, ast.FunctionDef) and not everywhere:
            return
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} imports relatively"
            found.add(node.module or "")
            found.update(f"{node.module}.{alias.name}" for alias in node.names)
        for child in ast.iter_child_nodes(node):
            visit(child)

    visit(ast.parse(path.read_text()))
    return found


def files() -> list[Path]:
    return sorted(path for path in PACKAGE.rglob("*.py") if path.parent != PACKAGE or path.stem in ROOMS)


def room_of(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


@pytest.mark.parametrize("path", files(), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_go_down(path):
    below = ROOMS[: ROOMS.index(room_of(path)) + 1]
    for name in imports(path, everywhere=True):
        parts = name.split(".")
        if parts[0] == "jaxbn" and len(parts) > 1 and parts[1] != "__version__":
            assert parts[1] in below, f"{path.relative_to(PACKAGE)} imports {name}"


def test_no_circles_within_a_room():
    modules = {".".join(("jaxbn", *path.relative_to(PACKAGE).with_suffix("").parts)): path for path in files()}
    edges = {
        name: {other for other in imports(path, everywhere=True) if other in modules and other != name}
        for name, path in modules.items()
    }
    done: set[str] = set()

    def walk(name: str, above: tuple[str, ...]) -> None:
        assert name not in above, f"circle: {' -> '.join((*above, name))}"
        if name not in done:
            for other in edges[name]:
                walk(other, (*above, name))
            done.add(name)

    for name in modules:
        walk(name, ())


@pytest.mark.parametrize(
    "path", [p for p in files() if room_of(p) in ("nn", "search", "engine")], ids=lambda p: str(p.name)
)
def test_the_core_needs_what_a_bare_machine_has(path):
    at_once, in_all = (
        {name.split(".")[0] for name in imports(path, everywhere=everywhere)} - BARE for everywhere in (False, True)
    )
    assert at_once <= set(sys.stdlib_module_names)
    assert in_all <= set(sys.stdlib_module_names) | LAZY


@pytest.mark.parametrize("statement", ["import jaxbn", "from jaxbn import sweep, load_data, train, Space"])
def test_import_loads_nothing_heavy(statement):
    code = f"import sys; {statement}; print(*{{name.split('.')[0] for name in sys.modules}})"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert not HEAVY & set(loaded)


def test_every_public_name_is_there():
    import jaxbn

    for name in jaxbn.__all__:
        assert getattr(jaxbn, name) is not None
    assert set(jaxbn.__all__) <= set(dir(jaxbn))
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = jaxbn.nothing


UNINSTALLED = """
import importlib.metadata
told = importlib.metadata.version
def version(name):
    if name == "jaxbn":
        raise importlib.metadata.PackageNotFoundError(name)
    return told(name)
importlib.metadata.version = version
import jaxbn.engine.run, jaxbn.engine.planner
"""


def test_the_engine_needs_no_installed_package():
    done = subprocess.run([sys.executable, "-c", UNINSTALLED], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
