"""`jaxbn babysit`: one network, tended from a prompt."""

import contextlib
import dataclasses
import shlex
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

from rich.console import Console
from rich.text import Text
from tyro.conf import Positional, arg

from jaxbn.cli import board
from jaxbn.cli.options import Count, File
from jaxbn.errors import UserError, unknown
from jaxbn.study.files import check_place
from jaxbn.study.progress import display

if TYPE_CHECKING:
    from jaxbn.study.line import Observed
    from jaxbn.study.panda import Panda


@dataclasses.dataclass(frozen=True)
class Arguments:
    """The arguments; the docstring of each is its help."""

    data: Annotated[Positional[str | None], arg(metavar="[DATA]", help_behavior_hint="(default: digits)")] = None
    """digits, breast_cancer, wine, iris, diabetes, mnist5k, or a path: CSV, TSV, Parquet, NPZ, IDX folder."""
    target: Annotated[str | None, arg(metavar="T", help_behavior_hint="(default: by its name, or the last)")] = None
    """The column to predict: a name, or a number from 0."""
    set: Annotated[tuple[str, ...], arg(metavar="NAME=VALUE", help_behavior_hint="")] = ()
    """Hyperparameters to begin with; the others have their defaults: see jaxbn space."""
    num_epochs: Count = 20
    """Where a cosine decay ends; it may train for longer."""
    metric: Annotated[str | None, arg(metavar="M", help_behavior_hint="(default: accuracy, or r2)")] = None
    """What is drawn, on the validation split."""
    seed: Count = 0
    """Of the split, weights, data order and dropout."""
    log: File = None
    """Where to keep a log of everything that was done, as JSON lines."""
    replay: File = None
    """Repeat a log and end, with the settings of the log, and its data: give DATA if they are somewhere else now."""


class Command(NamedTuple):
    """A command of the prompt: what follows its name, what it does, in words and in fact."""

    usage: str
    help: str
    run: "Callable[[Panda, list[str]], str]"


def run(arguments: Arguments) -> int:
    """Tend a network until the input ends.

    Args:
        arguments: which network, and what is to be kept.

    Returns:
        Exit status 0; 2 where commands were piped in and one was refused, or the log is not whole.

    Raises:
        UserError: the data, the hyperparameters or the log are not what they should be. Mistakes at the prompt are
            answered there.
    """
    console = board.stdout()
    if arguments.log is not None and arguments.log.exists():
        raise UserError(f"{str(arguments.log)!r} exists already: choose another --log")
    if arguments.log is not None:
        check_place(arguments.log)
    with display("Starting JAX and reading the data"):
        from jaxbn.data import load_data
        from jaxbn.engine.cache import keep_programs
        from jaxbn.study.logbook import Log
        from jaxbn.study.panda import Panda

        keep_programs()
        recorded = None if arguments.replay is None else Log.load(arguments.replay)
        if recorded is None:
            panda = Panda(
                dict(assignment(word) for word in arguments.set),
                load_data("digits" if arguments.data is None else arguments.data, target=arguments.target),
                seed=arguments.seed,
                num_epochs=arguments.num_epochs,
                metric=arguments.metric,
            )
        else:
            panda = Panda.replay(recorded, arguments.data)
    if panda.notes:
        console.print(board.notes(panda.notes))
    if recorded is None:
        refused = tend(panda, console, arguments.log)
        return 2 if refused and not sys.stdin.isatty() else 0
    console.print(Text(str(panda.log)), Text(), Text(repr(panda)), sep="\n")
    same = "the same numbers as" if panda.log == recorded else "other numbers than"
    console.print(Text(f"\nEvery epoch was done again, with {same} in {arguments.replay}."), soft_wrap=True)
    if arguments.log is not None:
        panda.log.save(arguments.log)
    return 0


def tend(panda: "Panda", console: Console, log: Path | None) -> int:
    """Do what is typed, line by line, and answer.

    Args:
        panda: the network.
        console: for the answers.
        log: where to keep the log, written anew after each command.

    Returns:
        How many commands were refused, the last keeping of the log included.
    """
    refused, unsaved = 0, 0
    console.print(Text(repr(panda)), Text("help shows what can be typed.", style="dim"), sep="\n")
    for line in lines(lambda: f"{panda.current} {panda.epoch}> ", console):
        name = ""
        try:
            name, *rest = words_of(line) or [""]
            if name and name not in COMMANDS:
                raise unknown("command", name, COMMANDS)
            answer = COMMANDS[name].run(panda, rest) if name else ""
        except UserError as error:
            answer, refused = str(error), refused + 1
        except KeyboardInterrupt:
            answer = f"stopped\n{panda!r}"
        if log is not None:
            try:
                panda.log.save(log)
                unsaved = 0
            except UserError as error:
                answer, unsaved = f"{answer}\n{error}", 1
        if answer:
            console.print(Text(answer), soft_wrap=True)
        if name == "quit":
            break
    return refused + unsaved


def lines(prompt: Callable[[], str], console: Console) -> Iterator[str]:
    """What is typed or piped in, until the input ends."""
    typed = sys.stdin.isatty()
    if typed:
        with contextlib.suppress(ImportError):
            import readline  # noqa: F401 (it makes `input` a line that can be edited)
    while True:
        try:
            line = input(prompt() if typed else "")
        except EOFError:
            return
        except KeyboardInterrupt:
            console.print(Text("\nquit ends."))
            continue
        if not typed:
            # What was piped in is part of the story that the output tells.
            console.print(Text(f"{prompt()}{line}"), soft_wrap=True)
        yield line


def words_of(line: str) -> list[str]:
    """The words of a line, without a remark.

    Raises:
        UserError: a quotation in it does not end.
    """
    try:
        return shlex.split(line, comments=True)
    except ValueError as error:
        raise UserError(f"{line!r} has a quotation that does not end ({error}): close it") from error


def assignment(word: str) -> tuple[str, Any]:
    """The name and value in `name=value`.

    Raises:
        UserError: there is no = in it.
    """
    name, equals, value = word.partition("=")
    if not equals:
        raise UserError(f"{word!r} sets nothing: write NAME=VALUE, such as learning_rate=0.01")
    return name.strip().replace("-", "_"), value_of(value.strip())


def value_of(word: str) -> Any:
    """What a word stands for: a number, numbers with commas between them, none, or itself.

    Example:
        >>> [value_of(word) for word in ("64", "1e-3", "64,32", "none", "adam")]
        [64, 0.001, (64, 32), None, 'adam']
    """
    for kind in (int, float):
        try:
            return kind(word)
        except ValueError:
            continue
    if "," in word:
        return tuple(value_of(part) for part in word.split(",") if part)
    return None if word.lower() == "none" else word


def _count(words: list[str], what: str) -> int:
    """The one whole number that follows a command."""
    if len(words) != 1 or not (words[0].isascii() and words[0].isdigit()):
        raise UserError(f"{' '.join([what, *words])!r} is not understood: write {what} and a number of epochs")
    return int(words[0])


def _word(words: list[str], what: str, of: str) -> str:
    """The one word that follows a command."""
    if len(words) != 1:
        raise UserError(f"{' '.join([what, *words])!r} is not understood: write {what} and {of}")
    return words[0]


def _train(panda: "Panda", words: list[str]) -> str:
    count, ahead = _count(words, "train"), panda.epoch
    with display(f"Training for {count} epochs") as shown:

        def tell(seen: "Observed") -> None:
            if shown.live is not None:
                shown.live.update(Text(f"Epoch {seen.epoch} of {ahead + count}", style="dim"))

        panda.train(count, on_epoch=tell)
    return repr(panda)


def _set(panda: "Panda", words: list[str]) -> str:
    if len(words) == 2 and "=" not in words[0]:
        words = ["=".join(words)]
    return repr(panda.set(**dict(assignment(word) for word in words)))


def _script(panda: "Panda", words: list[str]) -> str:
    if not words:
        return panda.script()
    path = Path(_word(words, "script", "a file"))
    if path.exists():
        raise UserError(f"{str(path)!r} exists already: choose another name")
    try:
        path.write_text(panda.script(), encoding="utf-8")
    except OSError as error:
        raise UserError(f"cannot write {str(path)!r}: {error.strerror or error}; choose another place") from error
    return f"The script is in {path}."


def _save(panda: "Panda", words: list[str]) -> str:
    folder = Path(_word(words, "save", "a folder"))
    if folder.exists():
        raise UserError(f"{str(folder)!r} exists already: choose another name")
    panda.model.save(folder)
    return f"The model is in {folder}. Next: jaxbn predict {shlex.quote(str(folder))} DATA --out predictions.csv"


def _help(panda: "Panda", words: list[str]) -> str:
    del panda, words
    return "\n".join(f"{f'{name} {command.usage}':<24}{command.help}" for name, command in COMMANDS.items())


COMMANDS = {
    "train": Command("N", "train on for so many epochs", _train),
    "set": Command("NAME VALUE", "change a hyperparameter from the next epoch on", _set),
    "rewind": Command("N", "go back so many epochs, exactly", lambda p, w: repr(p.rewind(_count(w, "rewind")))),
    "branch": Command(
        "NAME", "begin another line of development here", lambda p, w: repr(p.branch(_word(w, "branch", "a name")))
    ),
    "switch": Command(
        "NAME", "go on in another branch", lambda p, w: repr(p.switch(_word(w, "switch", "the name of a branch")))
    ),
    "show": Command("", "the last epochs", lambda p, w: repr(p)),
    "log": Command("", "everything that was done", lambda p, w: str(p.log)),
    "script": Command("[FILE]", "the log as a Python script", _script),
    "save": Command("DIR", "keep the model as it is now", _save),
    "help": Command("", "this list", _help),
    "quit": Command("", "end", lambda p, w: ""),
}
