"""The documentation: its code runs, its links lead somewhere, and the reference names everything public."""

import importlib
import pkgutil
import re
from pathlib import Path

import pytest

from jaxbn.cli.entry import COMMANDS
from jaxbn.search import HYPERPARAMETERS, Choice
from jaxbn.search.config import DEFAULTS
from jaxbn.search.hyperparameter import Hyperparameter, legal
from tests.pages import EXECUTED, NOT_EXECUTED, ROOT, blocks_of, check_commands, follow

DOCS = ROOT / "docs"
PAGES = sorted(path for path in DOCS.rglob("*.md") if "_build" not in path.parts)
WITH_CODE = [path for path in PAGES if any(block.runs for block in blocks_of(path))]
REFERENCE = "\n".join(path.read_text() for path in sorted((DOCS / "reference").glob("*.md")))


def name(path: Path) -> str:
    return path.relative_to(DOCS).as_posix()


@pytest.mark.parametrize("page", WITH_CODE, ids=name)
def test_a_page_does_what_it_shows(page, tmp_path, monkeypatch):
    assert follow(page, tmp_path, monkeypatch)


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_what_is_not_executed_says_so(page):
    for block in blocks_of(page):
        known = (*EXECUTED, "text", "sh", "{eval-rst}", "{toctree}")
        assert block.language in known, f"{name(page)}, line {block.line}: {block.language}"
        if block.language in EXECUTED and not block.runs:
            first = block.text.partition("\n")[0].removeprefix(NOT_EXECUTED)
            assert re.match(r"( in the tests, because|: needs) \w", first), f"{name(page)}, line {block.line}: say why"
        if block.runs and block.language == "python":
            compile(block.text, name(page), "exec")
    check_commands(page)


@pytest.mark.parametrize("page", [*PAGES, ROOT / "README.md"], ids=lambda path: path.relative_to(ROOT).as_posix())
def test_links_lead_somewhere(page):
    text = re.sub(r"```.*?^```", "", page.read_text(), flags=re.DOTALL | re.MULTILINE)
    text = re.sub(r"`[^`\n]*`", "", text)
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if re.match(r"https?:", target):
            continue
        path, _, anchor = target.partition("#")
        place = (page.parent / path).resolve() if path else page
        assert place.exists(), target
        assert not anchor or anchor in anchors(place), target


def anchors(page: Path) -> set[str]:
    """What the headings of a page are called in links to them."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(), flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-") for heading in headings}


def test_every_page_is_in_a_table_of_contents():
    listed = set()
    for page in PAGES:
        for block in blocks_of(page):
            if block.language == "{toctree}":
                entries = [line for line in block.text.splitlines() if line and not line.startswith(":")]
                listed |= {path for entry in entries for path in page.parent.glob(f"{entry}.md")}
    assert listed == {*PAGES} - {DOCS / "index.md"}


@pytest.mark.parametrize(
    "module",
    ("jaxbn", "jaxbn.search", "jaxbn.data", "jaxbn.nn", "jaxbn.estimators", "jaxbn.interop.conventions"),
)
def test_the_reference_names_everything_public(module):
    for public in importlib.import_module(module).__all__:
        assert re.search(rf"[.`]{public}\b", REFERENCE), f"{module}.{public}"


def test_what_the_reference_names_is_there_and_documented():
    names = re.findall(r"^\.\. auto\w+:: ([\w.]+)", REFERENCE, flags=re.MULTILINE)
    assert len(names) > 100 and len(names) == len(set(names))
    for path in names:
        assert pkgutil.resolve_name(path).__doc__, path


def test_the_reference_names_every_command():
    text = (DOCS / "reference" / "command_line.md").read_text()
    assert set(re.findall(r"^\| `jaxbn (\w+)", text, flags=re.MULTILINE)) == set(COMMANDS)


def test_every_hyperparameter_is_as_the_table_says():
    text = (DOCS / "reference" / "hyperparameters.md").read_text()
    assert table() in text, table()


def table() -> str:
    """The table of hyperparameters as the page has it."""
    lines = ["| name | default | searched | legal | changes the program |", "|---|---|---|---|---|"]
    for called, row in HYPERPARAMETERS.items():
        star = " \\*" if row.in_default_space else ""
        spec = "yes" if row.lives == "spec" else ""
        lines.append(
            f"| `{called}`{star}: {row.doc} | {_value(DEFAULTS[called])} | {_domain(row)} | "
            f"{legal(row).replace(' | ', ', ')} | {spec} |"
        )
    return "\n".join(lines)


def _value(value: object) -> str:
    return "none" if value is None else f"{value:g}" if isinstance(value, float) else str(value)


def _domain(row: Hyperparameter) -> str:
    if row.domain is None:
        return ""
    if isinstance(row.domain, Choice):
        return "any" if row.domain.options == row.options else ", ".join(map(str, row.domain.options))
    return f"{row.domain.low:g} to {row.domain.high:g}, {row.domain.scale}"
