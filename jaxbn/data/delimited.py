"""Tables in text files: what divides the fields, whether there is a header, where a row is broken."""

import csv
import io
import itertools
from collections import Counter
from typing import TYPE_CHECKING

from jaxbn.data.sheet import Sheet, numbered
from jaxbn.data.values import SPACES, numbers
from jaxbn.errors import UserError

if TYPE_CHECKING:
    import polars as pl

_SEPARATORS = ",\t;|"
_NEVER = "\x01"
_CHUNK = 20_000


def read_delimited(data: bytes, name: str, *, header: bool | None, separator: str | None = None) -> Sheet:
    """Reads a table of text; every cell stays the text it was.

    Args:
        data: the content of the file, in UTF-8.
        name: what to call the file in errors.
        header: whether the first row holds names; None to find out.
        separator: what divides the fields; None to find out, among comma, tab, semicolon and bar.

    Returns:
        The sheet. Blank lines are no rows.

    Raises:
        UserError: the file is no text, holds no row, a row is broken or of another length (the line is
            given), or two columns have one name.
    """
    data = data.removeprefix(b"\xef\xbb\xbf")
    if b"\0" in data or _NEVER.encode() in data:
        raise _no_text(name)
    separator = separator or _separator(data[:65_536].decode("utf-8", "replace"))
    columns = (_quoted if b'"' in data else _plain)(data, name, separator)
    if not columns:
        raise UserError(f"{name} is empty: give a file with a row of names, or none, and a row per example")
    if header is None:
        header = _has_header(columns)
    if not header:
        return Sheet(numbered(len(columns)), tuple(columns), named=False)
    names = [str(column[0] or "").strip() for column in columns]
    names = [given or number for given, number in zip(names, numbered(len(columns)), strict=True)]
    twice, count = Counter(names).most_common(1)[0]
    if count > 1:
        raise UserError(f"{name} has two columns called {twice!r}: rename one, or read it without a header")
    if len(columns[0]) == 1:
        raise UserError(f"{name} has a header and no rows: give a row per example, or read it without a header")
    return Sheet(tuple(names), tuple(column[1:] for column in columns), named=True)


def _separator(head: str) -> str:
    """What divides the first lines into rows of one length, the longest; else the first line into most."""
    lines = [line for line in head.splitlines()[:20] if line.strip()]

    def merit(separator: str) -> tuple[bool, int]:
        try:
            widths = [len(row) for row in csv.reader(lines, delimiter=separator, skipinitialspace=True)]
        except csv.Error:
            return (False, 0)
        return (len(set(widths)) == 1 and widths[0] > 1, widths[0] if widths else 0)

    return max(_SEPARATORS, key=merit)


def _plain(data: bytes, name: str, separator: str) -> "list[pl.Series]":
    """Columns of a file without quotes, where a line is a row."""
    import polars as pl

    try:
        # What stands in no table makes each line one field.
        lines = pl.read_csv(data, has_header=False, separator=_NEVER, quote_char=None, infer_schema=False).to_series()
    except pl.exceptions.NoDataError:
        return []
    except pl.exceptions.ComputeError:
        raise _no_text(name) from None
    present = (lines.str.strip_chars(SPACES.replace(separator, "")) != "").fill_null(False)
    widths = lines.str.count_matches(separator, literal=True)
    if not present.any():
        return []
    first = present.arg_max() or 0
    ragged = (widths != widths[first]) & present
    if ragged.any():
        line = ragged.arg_max() or 0
        raise _ragged(name, line + 1, widths[line] + 1, widths[first] + 1)
    rows = lines if present.all() else lines.filter(present)
    return rows.str.split_exact(separator, widths[first]).struct.unnest().get_columns()


def _quoted(data: bytes, name: str, separator: str) -> "list[pl.Series]":
    """Columns of a file with quotes, where a field may hold the separator and line breaks."""
    import polars as pl

    try:
        content = data.decode("utf-8")
    except UnicodeDecodeError:
        raise _no_text(name) from None
    rows = csv.reader(io.StringIO(content, newline=""), delimiter=separator, skipinitialspace=True)
    chunks: list[list[pl.Series]] = []
    chunk: list[list[str]] = []
    width, line, last = 0, 0, 0
    try:
        for row in rows:
            start, line = line, rows.line_num
            # A row that is nothing but spaces is a blank line, not a missing value.
            if not row or (len(row) == 1 and not row[0].strip()):
                continue
            last, width = start, width or len(row)
            if len(row) != width:
                raise _ragged(name, start + 1, len(row), width)
            chunk.append(row)
            if len(chunk) == _CHUNK:
                chunks.append([pl.Series(cells, dtype=pl.String) for cells in zip(*chunk, strict=True)])
                chunk = []
        line = last
        # Python's reader ends an open quote with the file, in silence, unless it is strict.
        tail = itertools.islice(io.StringIO(content, newline=""), last, None)
        if content.count('"') % 2:
            list(csv.reader(tail, delimiter=separator, skipinitialspace=True, strict=True))
    except csv.Error as error:
        raise UserError(
            f"{name} has a broken row that starts in line {line + 1} ({error}): correct its quotes"
        ) from None
    if chunk:
        chunks.append([pl.Series(cells, dtype=pl.String) for cells in zip(*chunk, strict=True)])
    return [pl.concat(parts) for parts in zip(*chunks, strict=True)]


def _no_text(name: str) -> UserError:
    return UserError(f"{name} is no table of UTF-8 text: save it as CSV in UTF-8")


def _ragged(name: str, line: int, given: int, expected: int) -> UserError:
    return UserError(f"line {line} of {name} has {given} fields where the first row has {expected}: correct that line")


def _has_header(columns: "list[pl.Series]") -> bool:
    """Whether the first row holds names: text over a column of numbers, or else text that is never a value.

    Numbers among the names are allowed as data frames give them to unnamed columns: whole and rising.
    """
    firsts = [str(column[0] or "").strip() for column in columns]
    below = [column[1:1001].str.strip_chars() for column in columns]
    is_text = [numbers(column[:1]).num_strays == 1 for column in columns]
    others = [first for first, text in zip(firsts, is_text, strict=True) if first and not text]
    if any(not (first.isascii() and first.isdigit()) for first in others):
        return False
    if any(int(second) <= int(first) for first, second in itertools.pairwise(others)):
        return False
    found = [numbers(column) for column in below]
    if any(text and rest.num_present and rest.mostly for text, rest in zip(is_text, found, strict=True)):
        return True
    never = all(first not in set(column.to_list()) for first, column in zip(firsts, below, strict=True))
    # 0, 1, 2 and so on are what a frame without names writes; two of them may be chance.
    unnamed = len(others) > 2 and others == [str(number) for number in range(len(others))]
    return (all(is_text) or unnamed) and never and len(set(firsts)) == len(firsts)
