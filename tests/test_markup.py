"""Text stays text."""

from html.parser import HTMLParser

import pytest

from jaxbn import markup

NASTY = '<img src=x onerror=alert(1)> & "quoted"'


def cells(text):
    """What a browser would show of a table, a list for each row."""
    rows = []

    class Reader(HTMLParser):
        def handle_starttag(self, tag, attrs):
            assert tag in ("table", "tr", "th", "td")
            if tag == "tr":
                rows.append([])
            if tag in ("th", "td"):
                rows[-1].append("")

        def handle_data(self, data):
            rows[-1][-1] += data

    Reader().feed(text)
    return rows


@pytest.mark.parametrize("left", [True, False])
def test_a_table_shows_its_cells_and_nothing_else(left):
    lines = [("name", NASTY), ("a", "1 < 2"), ("", "</table>")]
    made = markup.table(lines, left=left)
    assert cells(made) == [list(line) for line in lines]
    assert made.count("<th") == 2 and ("style" in made) == left


def test_a_line():
    assert markup.line(NASTY) == "<div>&lt;img src=x onerror=alert(1)&gt; &amp; &quot;quoted&quot;</div>"
