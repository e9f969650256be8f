"""The file: markup, style, scripts and data, put together so that nothing is ever fetched and no text can run."""

import base64
import hashlib
import html
import importlib.resources
import json
import string
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jaxbn.errors import UserError

if TYPE_CHECKING:
    from jaxbn.study.results import Results

STYLES = ("page.css", "parts.css")
SCRIPTS = (
    "data.js",
    "draw.js",
    "filter.js",
    "table.js",
    "parallel.js",
    "scatter.js",
    "curves.js",
    "runners.js",
    "text.js",
    "main.js",
)
"""They are parts of one script, in this order."""

ESCAPED = {"<": "\\u003c", ">": "\\u003e", "&": "\\u0026"}
"""What could end the element that holds the data; JSON escapes all that is no ASCII, such as odd ends of lines."""


def write(results: "Results", path: str | Path, *, name: str | None = None, overwrite: bool = False) -> None:
    """Write the report of a sweep, whole or not at all.

    Args:
        results: of the sweep.
        path: the file, usually `report.html` in the folder of the run.
        name: what to call the sweep; None is the name of the folder.
        overwrite: replace a file that is there.

    Raises:
        UserError: the file exists, or cannot be written.

    Example:
        >>> import tempfile
        >>> from jaxbn import Space, sweep
        >>> folder = Path(tempfile.mkdtemp())
        >>> results = sweep(Space(hidden_units=4, num_layers=1), "iris", num_configs=1, num_epochs=1)
        >>> write(results, folder / "report.html")
        >>> (folder / "report.html").read_text()[:15]
        '<!doctype html>'
    """
    from jaxbn.study.files import write as write_whole

    path = Path(path)
    check_free(path, overwrite=overwrite)
    content = page(results, path.absolute().parent.name if name is None else name).encode(errors="xmlcharrefreplace")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, content)
    except OSError as error:
        raise UserError(
            f"cannot write the report to {str(path)!r}: {error.strerror or error}; choose another place"
        ) from error


def check_free(path: Path, *, overwrite: bool) -> None:
    """Refuse a place that a report cannot be written to, before any work is done.

    Raises:
        UserError: there is a folder, or a file that may not be replaced.
    """
    if path.is_dir():
        raise UserError(f"{str(path)!r} is a folder: give the name of a file, such as {str(path / 'report.html')!r}")
    if path.exists() and not overwrite:
        raise UserError(f"{str(path)!r} exists already: choose another name, or add overwrite=True")


def page(results: "Results", name: str) -> str:
    """The report of a sweep, as HTML.

    Args:
        results: of the sweep.
        name: what to call it.
    """
    from jaxbn.report.content import content

    style, script = ("\n".join(map(_part, parts)) for parts in (STYLES, SCRIPTS))
    return string.Template(_part("page.html")).substitute(
        title=html.escape(name),
        policy=_policy(style, script),
        style=style,
        script=script,
        data=embedded(content(results, name)),
    )


def embedded(record: dict[str, Any]) -> str:
    r"""Strict JSON that no text in it can make into anything but data, inside a script element.

    Example:
        >>> embedded({"name": "</script>"})
        '{"name":"\\u003c/script\\u003e"}'
    """
    text = json.dumps(record, allow_nan=False, separators=(",", ":"))
    for mark, escape in ESCAPED.items():
        text = text.replace(mark, escape)
    return text


def _policy(style: str, script: str) -> str:
    """What a browser may do with the page: run this script, apply this style, and reach nothing."""
    hashes = (base64.b64encode(hashlib.sha256(part.encode()).digest()).decode() for part in (style, script))
    of_style, of_script = hashes
    return (
        f"default-src 'none'; style-src 'sha256-{of_style}'; script-src 'sha256-{of_script}'; img-src data:; "
        "base-uri 'none'; form-action 'none'"
    )


def _part(name: str) -> str:
    """A file that lies beside this one."""
    return importlib.resources.files("jaxbn.report").joinpath(name).read_text(encoding="utf-8")
