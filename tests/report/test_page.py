"""That nothing in the page can run or be fetched, that all of its parts are there, and that its colours can be read."""

import html
import itertools
import json
import math
import re
import zipfile
from pathlib import Path

import pytest

import jaxbn
from jaxbn.report.page import SCRIPTS, STYLES, embedded, page
from tests.report.runs import NASTY, of, record_in

HERE = Path(jaxbn.__file__).parent / "report"


@of("nasty")
def test_names_are_text(results):
    told = page(results, NASTY[0])
    record = record_in(told)
    assert record["name"] == NASTY[0]
    assert set(record["data"]["classes"]) == set(NASTY)
    assert record["data"]["target"] == "<i>t" and record["data"]["features"] == ["<b>&\"'", "</style>"]
    # Only the page's own elements are there: none that a name would have made.
    assert told.count("<script") == 2 and told.count("</script") == 2 and told.count("</style") == 1
    assert "<img" not in told and "onerror" not in re.sub(r"\\u003cimg src=x onerror", "", told)
    assert html.escape(NASTY[0]) in told
    assert "\u2028" not in told


def test_what_is_embedded_is_what_was_given():
    given = {"</script>": ["<!--", "&lt;", "\u2028\u2029", "\udc80", "é"]}
    text = embedded(given)
    assert json.loads(text) == given
    assert text.isascii() and not set("<>&") & set(text)
    with pytest.raises(ValueError, match="not JSON compliant"):
        embedded({"score": math.nan})


@of("plain")
def test_the_page_reaches_nothing(results):
    told = page(results, "name")
    policy = re.search(r'http-equiv="Content-Security-Policy" content="([^"]*)"', told)[1]
    assert "default-src 'none'" in policy and "unsafe" not in policy and "http" not in policy
    code = told.replace("http://www.w3.org/2000/svg", "")
    assert not re.findall(r"https?://|src=|@import|url\(|fetch\(|XMLHttpRequest|innerHTML|outerHTML|eval\(", code)


def test_its_parts_are_in_the_package():
    for name in (*STYLES, *SCRIPTS, "page.html"):
        assert (HERE / name).is_file()
    assert {path.name for path in HERE.iterdir() if path.suffix in (".js", ".css")} == {*STYLES, *SCRIPTS}


def test_its_parts_are_in_the_wheel(tmp_path):
    builders = pytest.importorskip("hatchling.builders.wheel")
    wheel = next(builders.WheelBuilder(str(HERE.parent.parent)).build(directory=str(tmp_path), versions=["standard"]))
    with zipfile.ZipFile(wheel) as archive:
        assert {f"jaxbn/report/{name}" for name in (*STYLES, *SCRIPTS, "page.html")} <= set(archive.namelist())


def luminance(color):
    parts = [int(color[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one, other):
    """Of WCAG 2.2."""
    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("scheme", [0, 1], ids=["light", "dark"])
def test_contrast(scheme):
    blocks = re.findall(r":root[^{]*\{(.*?)\}", (HERE / "page.css").read_text(), re.DOTALL)
    color = dict(re.findall(r"--(\w+): (#[0-9a-f]{6});", blocks[scheme]))
    assert len(color) == 13 and len(blocks) == 2
    for ground in ("ground", "panel", "band"):
        for text in ("ink", "quiet", "accent"):
            assert contrast(color[text], color[ground]) >= 4.5, (text, ground)
    assert contrast(color["failed"], color["ground"]) >= 4.5
    # Borders of fields, and what is drawn of the better half of the trials.
    for mark in ("border", "middle", "good"):
        assert contrast(color[mark], color["ground"]) >= 3, mark
    # Better is further from the ground, in steps of lightness that need no colour to be told apart.
    steps = [contrast(color[name], color["ground"]) for name in ("bad", "middle", "good")]
    assert steps[0] > 1.5 and all(b > 1.5 * a for a, b in itertools.pairwise(steps)), steps
