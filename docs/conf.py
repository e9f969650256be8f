"""How the documentation is built: `make docs`."""

import re
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

project = "jaxbn"
author = "the authors of jaxbn"
copyright = "the authors of jaxbn; Apache-2.0"
release = import_module("jaxbn").__version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
exclude_patterns = ["_build"]

# Markdown: anchors of headings, for links such as formats.md#a-model.
myst_heading_anchors = 3
# Folders of the repository are linked to on code hosts; here they are text.
nitpick_ignore = [("myst", "../benchmarks/jobs")]

# Docstrings: names in single backticks are links where there is something to link to, and code elsewhere.
default_role = "py:obj"
autodoc_default_options = {"members": True, "member-order": "bysource"}
autodoc_typehints = "signature"
autodoc_preserve_defaults = True
napoleon_google_docstring = True
napoleon_numpy_docstring = False
napoleon_use_ivar = True
napoleon_use_rtype = False
add_module_names = False
python_use_unqualified_type_names = True
maximum_signature_line_length = 100

html_theme = "alabaster"
html_title = f"jaxbn {release}"
html_static_path = ["_static"]
html_css_files = ["pages.css"]
html_show_sourcelink = False
html_theme_options = {
    "description": "Train a whole population of batch-normalised networks at once",
    "fixed_sidebar": True,
    "page_width": "1240px",
    "sidebar_width": "240px",
    "show_powered_by": False,
}


def _code_is_code(app: Any, what: str, name: str, obj: Any, options: Any, lines: list[str]) -> None:
    """What stands in single backticks and is no name, such as `b1 * b2`, is code as it is written."""
    del app, what, name, obj, options
    text = re.sub(r"(?<![`:\w])`([^`\n]+)`(?![`\w])", _role, "\n".join(lines))
    lines[:] = text.split("\n")


def _role(match: re.Match[str]) -> str:
    return match[0] if re.fullmatch(r"[A-Za-z_][\w.]*", match[1]) else f"``{match[1]}``"


def setup(app: Any) -> None:
    """Called by Sphinx."""
    app.connect("autodoc-process-docstring", _code_is_code, priority=400)
