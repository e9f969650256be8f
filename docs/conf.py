"""How the documentation is built: `make docs`."""

import re
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

from sphinx.domains.python import PyObject

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

# Docstrings: names in single backticks are links where there is something to link to, and code elsewhere.
default_role = "py:obj"
autodoc_default_options = {"members": True, "member-order": "bysource"}
autodoc_typehints = "signature"
autodoc_preserve_defaults = True
napoleon_google_docstring = True
napoleon_numpy_docstring = False
napoleon_use_ivar = True
napoleon_attr_annotations = False
napoleon_use_rtype = False
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


def _folders_are_text(app: Any, docname: str, source: list[str]) -> None:
    """Folders of the repository are linked to on code hosts; here they are text."""
    place = Path(app.env.doc2path(docname)).parent

    def shown(match: re.Match[str]) -> str:
        return match[1] if (place / match[2]).is_dir() else match[0]

    source[0] = re.sub(r"\[([^\]\n]+)\]\(([^)\s:#]+)\)", shown, source[0])


def _as_written_here(app: Any, what: str, name: str, obj: Any, options: Any, lines: list[str]) -> None:
    """Docstrings of this package as napoleon takes them."""
    del app, name, obj, options
    # What stands in single backticks and is no name, such as `b1 * b2`, is code as it is written.
    text = re.sub(r"(?<![`:\w])`([^`\n]+)`(?![`\w])", _role, "\n".join(lines))
    # Types are in signatures. Without an empty one in front, words before a colon would be taken for a type.
    text = re.sub(r"^(Returns:\n +)(?=\S)", r"\1: ", text, flags=re.MULTILINE)
    if what == "property" and ":" in text.partition("\n")[0]:
        text = f": {text}"
    lines[:] = text.split("\n")


def _role(match: re.Match[str]) -> str:
    return match[0] if re.fullmatch(r"[A-Za-z_][\w.]*", match[1]) else f"``{match[1]}``"


def _names_keep_their_ends(app: Any, what: str, name: str, obj: Any, options: Any, lines: list[str]) -> None:
    """Names that end in an underscore, as scikit-learn's do, are no references."""
    del app, what, name, obj, options
    lines[:] = [re.sub(r"^(:ivar \w+?)_:", r"\1\\_:", line) for line in lines]


def _skipped(app: Any, what: str, name: str, obj: Any, skip: bool, options: Any) -> bool | None:
    """What every record has is not told of each."""
    del app, what, skip, options
    told = getattr(obj, "__doc__", None) or ""
    return True if name == "replace" or told.startswith("Alias for field number") else None


def setup(app: Any) -> None:
    """Called by Sphinx."""
    app.connect("source-read", _folders_are_text)
    app.connect("autodoc-process-docstring", _as_written_here, priority=400)
    app.connect("autodoc-process-docstring", _names_keep_their_ends, priority=600)
    app.connect("autodoc-skip-member", _skipped)
    for field in PyObject.doc_field_types:
        if field.name == "variable":
            field.label = "Attributes"
