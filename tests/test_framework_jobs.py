"""The comparison of frameworks counts what it says, and knows every job that there is."""

import ast

import pytest

from benchmarks.frameworks import FRAMEWORKS, JOBS, lines_of_code

FILES = sorted(path for path in JOBS.glob("*.py") if path.stem not in ("__init__", "worker"))


def test_blank_lines_comments_and_docstrings_do_not_count():
    source = '"""What\n\nit is."""\n\nimport os  # counts\n\n# does not\n\n\n'
    source += 'def f():\n    """Nor this."""\n    return (\n        1\n    )\n'
    assert lines_of_code(source) == 5


def test_a_string_that_is_no_docstring_counts():
    assert lines_of_code('x = """a\nb\n"""\n') == 3


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_every_job_is_a_function_of_the_same_arguments(path):
    functions = {node.name: node for node in ast.parse(path.read_text()).body if isinstance(node, ast.FunctionDef)}
    assert [a.arg for a in functions["train"].args.args] == ["x", "y", "num_epochs", "seed"]


def test_every_file_is_measured():
    assert sorted(framework.module for framework in FRAMEWORKS) == [path.stem for path in FILES]
