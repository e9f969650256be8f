"""The page in a headless Chromium: real mouse and keys, and what is to be seen afterwards."""

import pytest

from jaxbn.report import write
from tests.report import chromium
from tests.report.runs import KINDS, NASTY, made, many

NUM_TRIALS, NUM_EPOCHS = 10_000, 20
INK = """(selector) => {
  const canvas = document.querySelector(selector);
  const copy = new OffscreenCanvas(canvas.width, canvas.height).getContext("2d", { willReadFrequently: true });
  copy.drawImage(canvas, 0, 0);
  const pixels = copy.getImageData(0, 0, canvas.width, canvas.height).data;
  let sum = 0;
  for (let i = 3; i < pixels.length; i += 4) sum += pixels[i];
  return sum;
}"""
"""How much is drawn on a canvas."""
PLACE = """(row) => {
  const [x, y] = ["x", "y"].map((which) => columnOf.get(document.querySelector(`#scatter-${which}`).value));
  const holder = document.querySelector("#scatter");
  return [PAD.left + places(x)[row] * (holder.clientWidth - PAD.left - PAD.right),
          PAD.top + (1 - places(y)[row]) * (holder.clientHeight - PAD.top - PAD.bottom)];
}"""
"""Where the dot of a trial is, in the scatter."""

pytestmark = pytest.mark.skipif(chromium.find() is None, reason="there is no Chromium here: apt-get install chromium")


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    with chromium.running(chromium.find(), tmp_path_factory.mktemp("chromium")) as running:
        yield running


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """A function that gives the report of a kind of sweep, as a file."""
    folder = tmp_path_factory.mktemp("reports")

    def file(kind):
        path = folder / f"{kind}.html"
        if not path.exists():
            for one in {kind, "plain"} - {"many"} - set(made):
                made[one] = KINDS[one]()
            results = many(made["plain"], NUM_TRIALS, NUM_EPOCHS) if kind == "many" else made[kind]
            made.setdefault(kind, results)
            write(results, path, name=NASTY[1] if kind == "nasty" else kind)
        return path

    return file


@pytest.fixture
def opened(browser, files):
    """A function that opens the report of a kind of sweep; afterwards nothing may have been complained about."""
    tabs = []

    def opened(kind, **look):
        manager = browser.tab(files(kind).as_uri(), **look)
        tab = manager.__enter__()
        tabs.append((manager, tab))
        return tab

    yield opened
    for manager, tab in tabs:
        complaints, requests = tab.complaints(), tab.requests()
        manager.__exit__(None, None, None)
        assert complaints == []
        assert [url[:5] for url in requests if not url.startswith("data:")] == ["file:"]


def text(tab, selector):
    return tab.run(f"document.querySelector('{selector}').textContent")


def first_rows(tab, number=3):
    """Numbers of the trials in the first rows of the table."""
    found = tab.run("Array.from(document.querySelectorAll('#body th'), (cell) => Number(cell.textContent))")
    return found[:number]


def ink(tab, selector):
    return tab.run(f"({INK})('{selector}')")


def curve_of(tab):
    """How many epochs the curve that is shown has."""
    path = tab.run("document.querySelector('#curves path.curve:not(.winner)').getAttribute('d')")
    return path.count("M") + path.count("L")


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_sweep_is_drawn(opened, kind):
    tab = opened(kind)
    trials = made[kind].trials
    assert tab.run("document.querySelectorAll('#body tr[data-row]').length") == min(len(trials), 25)
    assert f"{made[kind].summary.test[made[kind].summary.metric]:.4f}" in text(tab, "#summary")
    assert f"trial {made[kind].best.trial}" in text(tab, "#curve-title")
    assert ink(tab, "#scatter canvas") > 10_000
    if kind == "one":  # Nothing was searched, so there is nothing to draw.
        assert tab.run("document.querySelector('#parallel').checkVisibility()") is False
    else:
        assert ink(tab, "#parallel canvas") > 10_000
    for section in ("summary", "runners", "trials", "importance", "plan", "recipe"):
        assert len(text(tab, f"#{section}")) > 60
    written = tab.run("document.body.innerText")
    assert not [word for word in ("undefined", "NaN", "Infinity", "[object", "null") if word in written]


def test_ten_thousand_trials(opened, files):
    assert files("many").stat().st_size < 15e6
    tab = opened("many")
    ready = tab.run("performance.getEntriesByName('ready')[0].startTime")
    tab.settle()
    assert ready < 10_000
    assert text(tab, "#count") == "10,000 trials"
    assert text(tab, "#page") == "1 to 25 of 10,000"
    assert first_rows(tab, 1) == [made["many"].best.trial]


def test_ten_thousand_trials_are_sorted_and_filtered_at_once(opened):
    tab = opened("many")
    trials = made["many"].trials
    timed = "(() => { const began = performance.now(); %s; return performance.now() - began; })()"
    heading = "document.querySelectorAll('#table thead button')[%d].click()"
    place = tab.run("columns.findIndex((column) => column.name === 'learning_rate')")
    seconds = [tab.run(timed % (heading % place)) for _ in range(2)]
    assert first_rows(tab, 1) == [trials.sort("learning_rate", descending=True)["trial"][0]]
    tab.click("#filters summary")
    tab.click("#valid_accuracy-low")
    began = tab.run(
        "(() => { window.began = 0; addEventListener('input', () => (began = performance.now()), true); "
        "addEventListener('input', () => (began = performance.now() - began)); })()"
    )
    assert began is None
    tab.write("0.99")
    seconds.append(tab.run("began"))
    expected = trials.filter(trials["valid_accuracy"] >= 0.99)
    assert text(tab, "#count") == f"{len(expected):,} of 10,000 trials: validation accuracy from 0.99"
    # A tenth of a second on a machine that does nothing else.
    assert max(seconds) < 1000, seconds


def test_a_filter_narrows_the_table_and_the_pictures(opened):
    tab = opened("plain")
    trials = made["plain"].trials
    before = [ink(tab, f"#{name} canvas") for name in ("parallel", "scatter")]
    tab.click("#filters summary")
    tab.click("#optimizer-0")
    kept = tab.run("columnOf.get('optimizer').options[1]")
    left = trials.filter(trials["optimizer"] == kept)
    assert tab.run("document.querySelectorAll('#body tr[data-row]').length") == len(left) < len(trials)
    assert text(tab, "#count") == f"{len(left)} of {len(trials)} trials: optimizer {kept}"
    after = [ink(tab, f"#{name} canvas") for name in ("parallel", "scatter")]
    assert all(b < a for a, b in zip(before, after, strict=True))
    tab.click("#clear")
    assert text(tab, "#count") == f"{len(trials)} trials"
    assert [ink(tab, f"#{name} canvas") for name in ("parallel", "scatter")] == before
    assert tab.run("document.querySelector('#optimizer-0').checked")


def test_nothing_passes_a_filter(opened):
    tab = opened("plain")
    tab.click("#filters summary")
    tab.click("#epochs-low")
    tab.write("99")
    assert "No trial passes the filters" in text(tab, "#body")
    assert text(tab, "#page") == "none"


def test_pointing_at_a_dot_shows_its_curve(opened):
    tab = opened("many")
    trials = made["many"].trials
    row = tab.run("Array.from(drawn).reverse().find((row) => row !== winner && state.live[row])")
    before = ink(tab, "#parallel canvas.top")
    title = text(tab, "#curve-title")
    tab.point("#scatter", *tab.run(f"({PLACE})({row})"))
    shown = tab.run("state.hovered")
    # Another dot may lie on top of it; it is near, and it is the one that is shown.
    here, there = tab.run(f"({PLACE})({row})"), tab.run(f"({PLACE})({shown})")
    assert abs(here[0] - there[0]) < 3 and abs(here[1] - there[1]) < 3
    assert text(tab, "#curve-title") == f"Learning curve of trial {shown}" != title
    assert curve_of(tab) == trials["epochs"][shown]
    assert f"{trials['valid_accuracy'][shown]:.4f}" in text(tab, "#curve-text")
    assert ink(tab, "#parallel canvas.top") != before
    tab.mouse("mouseMoved", 5, 5)
    tab.settle()
    assert text(tab, "#curve-title") == title


def test_pointing_at_a_row_and_at_a_line(opened):
    tab = opened("plain")
    trial = first_rows(tab)[2]
    tab.point("#body tr:nth-child(3) td")
    assert text(tab, "#curve-title").startswith(f"Learning curve of trial {trial}")
    assert tab.run("document.querySelectorAll('#body tr.hovered').length") == 1
    assert curve_of(tab) == made["plain"].trials["epochs"][trial]
    # On the axis of the score, a line passes where its score is.
    worst = tab.run("drawn.find((row) => state.live[row] && goodness(row) >= 0)")
    x, y, width, height = tab.box("#parallel")
    tab.mouse(
        "mouseMoved", x + width - 84 - 5, y + 44 + (1 - tab.run(f"places(scoreColumn)[{worst}]")) * (height - 104)
    )
    tab.settle()
    assert tab.run(f"scoreColumn.values[state.hovered] === scoreColumn.values[{worst}]")


def test_pressing_keeps_a_trial(opened):
    tab = opened("many")
    row = tab.run("Array.from(order)[5000]")
    tab.run(f"bring({row})")
    assert text(tab, "#page") == "5,001 to 5,025 of 10,000".replace("5,001", "5001").replace("5,025", "5025")
    other = first_rows(tab, 25)[7]
    tab.click("#body tr:nth-child(8) td:nth-child(4)")
    tab.mouse("mouseMoved", 5, 5)
    tab.settle()
    assert text(tab, "#curve-title") == f"Learning curve of trial {other}"
    assert tab.run("document.querySelector('#body tr[aria-current]').rowIndex") == 8


def test_dragging_along_an_axis_filters(opened):
    tab = opened("plain")
    x, y, _, height = tab.box("#parallel")
    top, bottom = y + 44, y + height - 60
    tab.mouse("mouseMoved", x + 52, top)
    tab.press(x + 52, top)
    tab.mouse("mouseMoved", x + 52, (top + bottom) / 2, buttons=1)
    tab.release(x + 52, (top + bottom) / 2)
    rate = made["plain"].trials["learning_rate"]
    middle = tab.run("valueAt(columnOf.get('learning_rate'), 0.5)")
    assert text(tab, "#count").startswith(f"{(rate >= middle).sum()} of {len(rate)} trials: learning rate")
    assert float(tab.run("document.querySelector('#learning_rate-low').value")) == pytest.approx(middle, rel=1e-4)
    tab.press(x + 52, top + 20)
    tab.release(x + 52, top + 20)
    assert text(tab, "#count") == f"{len(rate)} trials"


def test_the_keyboard_alone(opened):
    tab = opened("many")
    trials = made["many"].trials
    tab.run("document.querySelector('#table thead button').focus()")
    tab.key("Tab")
    tab.key("Enter")
    sorted_by = tab.run(
        "Array.from(document.querySelectorAll('#table th[aria-sort]'), (th) => [th.textContent, th.ariaSort])"
    )
    assert sorted_by == [["trial", "ascending"]] and first_rows(tab) == [0, 1, 2]
    tab.key("Enter")
    assert first_rows(tab, 1) == [len(trials) - 1]
    for _ in range(100):
        tab.key("Tab")
        if tab.run("document.activeElement.matches('#body tr')"):
            break
    first = tab.run("Number(document.activeElement.dataset.row)")
    for _ in range(26):
        tab.key("ArrowDown")
    assert tab.run("Number(document.activeElement.dataset.row)") == first - 26
    assert text(tab, "#page").startswith("26 to 50")
    assert text(tab, "#curve-title") == f"Learning curve of trial {first - 26}"
    tab.key("End")
    assert tab.run("Number(document.activeElement.dataset.row)") == 0
    assert tab.run("getComputedStyle(document.activeElement).outlineStyle") == "solid"


def test_everything_has_a_name(opened):
    tab = opened("plain")
    nameless = tab.run(
        "Array.from(document.querySelectorAll('input, select, button, [role=img], [role=region], nav, table'))"
        ".filter((e) => !(e.ariaLabel || e.getAttribute('aria-labelledby') || e.labels?.length || e.textContent))"
        ".map((e) => e.outerHTML)"
    )
    assert nameless == []
    ids = tab.run("Array.from(document.querySelectorAll('[id]'), (e) => e.id)")
    assert len(set(ids)) == len(ids)
    assert tab.run("Array.from(document.querySelectorAll('h1, h2, h3'), (e) => Number(e.tagName[1]))")[0] == 1
    tree = tab.ask("Accessibility.getFullAXTree")["nodes"]
    roles = [node["role"]["value"] for node in tree if not node.get("ignored") and "role" in node]
    assert {"main", "navigation", "table", "columnheader", "rowheader", "cell", "status"} <= set(roles)


def test_dark_and_light(opened):
    tab = opened("plain")
    colors = "[getComputedStyle(document.documentElement).backgroundColor, colors.ink, colors.ramp[31]]"
    light = tab.run(colors)
    tab.scheme(dark=True)
    tab.until("colors.ground !== '#ffffff'")
    dark = tab.run(colors)
    assert light[0] == "rgb(255, 255, 255)" and dark[0] == "rgb(20, 24, 29)"
    assert all(a != b for a, b in zip(light, dark, strict=True))
    # On paper it is light again.
    tab.run("dispatchEvent(new Event('beforeprint'))")
    assert tab.run(colors) == light
    tab.run("dispatchEvent(new Event('afterprint'))")
    assert tab.run(colors) == dark


@pytest.mark.parametrize("kind", ["many", "folds", "nasty"])
def test_a_phone(opened, kind):
    tab = opened(kind, width=360, height=740)
    assert tab.run("document.documentElement.scrollWidth") <= 360
    wide = tab.run(
        "Array.from(document.querySelectorAll('body *'))"
        ".filter((e) => !e.closest('.wide, nav, pre, .hidden, .skip') && e.getBoundingClientRect().right > 361)"
        ".map((e) => e.tagName + '#' + e.id)"
    )
    assert wide == []
    # The axes lie one below the other, as many as there are.
    axes, height = tab.run("[searched.length + 1, document.querySelector('#parallel').clientHeight]")
    assert height > 50 * axes
    sizes = tab.run("Array.from(document.querySelectorAll('svg text'), (e) => getComputedStyle(e).fontSize)")
    assert min(float(size.removesuffix("px")) for size in sizes) >= 12


def test_names_do_nothing(opened):
    tab = opened("nasty")
    for name in NASTY:
        assert name in tab.run("document.querySelector('#rows').textContent")
    assert text(tab, "h1") == NASTY[1]
    assert tab.run("document.querySelectorAll('img, b, i').length") == 0
    assert tab.run("document.scripts.length") == 2


def test_paper(opened):
    printed = opened("plain").ask("Page.printToPDF")["data"]
    assert len(printed) > 20_000
