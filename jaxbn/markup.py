"""HTML for notebooks: all text in it is escaped, colours and fonts are the notebook's own, and nothing is loaded."""

import html
from collections.abc import Sequence


def table(lines: Sequence[Sequence[str]], *, left: bool = False) -> str:
    """Cells as a table.

    Args:
        lines: the header first, all of one length.
        left: align text to the left; otherwise it is aligned as the notebook aligns numbers.

    Example:
        >>> table([("name", "range"), ("b1", "0.8 < 0.9")])
        '<table><tr><th>name</th><th>range</th></tr><tr><td>b1</td><td>0.8 &lt; 0.9</td></tr></table>'
    """
    style = ' style="text-align: left"' if left else ""
    rows = "".join(
        f"<tr>{''.join(f'<{tag}{style}>{html.escape(cell)}</{tag}>' for cell in line)}</tr>"
        for line, tag in zip(lines, ("th", *["td"] * (len(lines) - 1)), strict=True)
    )
    return f"<table>{rows}</table>"


def line(text: str) -> str:
    """Text as a line of its own.

    Example:
        >>> line("a < b")
        '<div>a &lt; b</div>'
    """
    return f"<div>{html.escape(text)}</div>"
