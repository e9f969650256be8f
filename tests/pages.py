"""Pages whose code runs: the README and those under docs. What a page shows is what happens.

A page is followed from top to bottom in one folder:

- Blocks of `python` share their names, unless each is to stand alone.
- In a block of `bash` every line is a command of jaxbn.
- A block of `toml` is written to the file that its first line names: `# space.toml`.
- A block of `text` right below one of `python` or `bash` is what that prints: the same words, where each number stands
  for any number and `...` for anything.
- A block that begins with the comment `# not executed` is not. Neither is one of `sh`, which is for what takes long or
  needs a checkout; of both, the commands of jaxbn are at least parsed.
"""

import contextlib
import io
import re
import shlex
import sys
import warnings
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from sklearn.exceptions import ConvergenceWarning

from jaxbn.cli import main
from jaxbn.cli.entry import COMMANDS
from jaxbn.cli.options import parse

ROOT = Path(__file__).parent.parent
FENCE = re.compile(r"^```([^\n`]*)\n(.*?)^```$", flags=re.DOTALL | re.MULTILINE)
EXECUTED = ("python", "bash", "toml")
NOT_EXECUTED = "# not executed"


class Block(NamedTuple):
    """A fenced block: its language, its text, the line that it begins on, and the output that is shown right below."""

    language: str
    text: str
    line: int
    shown: str | None = None

    @property
    def runs(self) -> bool:
        return self.language in EXECUTED and not self.text.startswith(NOT_EXECUTED)


class Ran(NamedTuple):
    """A block of Python or commands that was executed, what it printed, and the names that there were after it."""

    block: Block
    printed: str
    names: dict[str, Any]


def blocks_of(page: Path) -> list[Block]:
    """The fenced blocks of a page, in order; one of output is also part of the block that it belongs to."""
    text, found, end = page.read_text(encoding="utf-8"), [], 0
    for match in FENCE.finditer(text):
        block = Block(match[1].strip(), match[2], text.count("\n", 0, match.start()) + 1)
        if (
            block.language == "text"
            and found
            and found[-1].language in EXECUTED
            and not text[end : match.start()].strip()
        ):
            found[-1] = found[-1]._replace(shown=block.text)
        found.append(block)
        end = match.end()
    return found


def follow(page: Path, folder: Path, monkeypatch: pytest.MonkeyPatch, *, alone: bool = False) -> list[Ran]:
    """Do in a folder what a page says, and check that it shows what is printed.

    Args:
        page: a Markdown file.
        folder: where files are written.
        monkeypatch: undoes what the page changes of this process.
        alone: each block of Python begins without the names of those before it.
    """
    monkeypatch.chdir(folder)
    monkeypatch.setenv("MPLBACKEND", "Agg")
    monkeypatch.setattr(sys, "path", sys.path.copy())
    names: dict[str, Any] = {}
    ran = []
    for block in blocks_of(page):
        if not block.runs:
            continue
        place = f"{page.relative_to(ROOT)}, line {block.line}"
        if block.language == "toml":
            (folder / name_of(block)).write_text(block.text)
            continue
        names = {"__name__": "__main__"} if alone else names
        out, err = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err), warnings.catch_warnings():
            # What other libraries say of the small budgets here.
            warnings.simplefilter("ignore", ConvergenceWarning)
            if block.language == "python":
                # As many lines before it as on the page, so that errors name the line there.
                exec(compile("\n" * block.line + block.text, str(page), "exec"), names)
            else:
                for command in commands_of(block):
                    assert main(command) == 0, (place, command)
        if block.shown is not None:
            assert matches(block.shown, out.getvalue()), f"{place} prints\n{out.getvalue()}"
        ran.append(Ran(block, out.getvalue(), dict(names)))
    return ran


def name_of(block: Block) -> str:
    """The file that a block of TOML is written to."""
    first = block.text.partition("\n")[0]
    assert re.fullmatch(r"# [\w-]+\.toml", first), f"line {block.line}: a block of toml begins with # NAME.toml"
    return first.removeprefix("# ")


def commands_of(block: Block) -> list[list[str]]:
    """The commands of jaxbn in a block, without `jaxbn`; where the block is executed, all are."""
    found = []
    for line in block.text.replace("\\\n", " ").splitlines():
        words = shlex.split(line, comments=True)
        if words[:1] == ["jaxbn"] and not (block.runs and ">" in words):
            found.append(words[1 : words.index(">") if ">" in words else None])
        else:
            assert not (words and block.runs), f"line {block.line}: {words[0]} is no plain command of jaxbn"
    return found


def check_commands(page: Path) -> None:
    """Every command of jaxbn on a page, executed or not, is one that there is, with arguments that it takes."""
    for block in blocks_of(page):
        if block.language in ("bash", "sh"):
            for name, *rest in commands_of(block):
                assert name in COMMANDS, (page.name, name)
                if "--help" not in rest:
                    assert parse(COMMANDS[name].arguments, rest, prog=name, description="") is not None


def matches(shown: str, printed: str) -> bool:
    """Whether a page shows what was printed, but for numbers and what it leaves out.

    Example:
        >>> matches("test accuracy 0.97 in ...", "test  accuracy 0.9444 in 3 s"), matches("loss 1", "accuracy 1")
        (True, False)
    """
    parts = [re.escape(_plain(part)) for part in shown.split("...")]
    return re.fullmatch(r"\s*.*?\s*".join(parts), _plain(printed), flags=re.DOTALL) is not None


def _plain(text: str) -> str:
    """The same with one sign for every number, one space for every stretch of space, and rules of one length."""
    text = re.sub(r"(?<![A-Za-z_])[-+]?\d[\d,]*(\.\d+)?(e[-+]?\d+)?%?", "0", text)
    return " ".join(re.sub(r"([─═-])\1+", r"\1", text).split())
