"""What a person did to a panda, in order: to be read, saved, repeated, or written as a script."""

import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jaxbn.data.builtin import BUILTIN, task_of
from jaxbn.errors import UserError
from jaxbn.search import Config, from_values
from jaxbn.study.files import write
from jaxbn.study.line import Observed
from jaxbn.study.origin import Origin
from jaxbn.study.typed import misfit

FORMAT, VERSION = "jaxbn-log", 1
MAIN = "main"
"""The branch that there is from the beginning."""

ARGUMENT = {"train": "num_epochs", "rewind": "num_epochs", "branch": "name", "switch": "name"}
"""What the kinds of interventions need, beside `set`, which takes hyperparameters by name."""


@dataclasses.dataclass(frozen=True)
class Start:
    """How a panda began.

    Attributes:
        config: its hyperparameters.
        origin: its data.
        seed: of the split, weights, data order and dropout.
        num_epochs: where a cosine decay ends.
        metric: what is looked at; None is accuracy, or r2.
        valid_fraction: of the rows.
        test_fraction: of the rows.
        class_weight: of the training loss.
    """

    config: Config
    origin: Origin
    seed: int
    num_epochs: int
    metric: str | None
    valid_fraction: float
    test_fraction: float
    class_weight: Any


@dataclasses.dataclass(frozen=True)
class Intervention:
    """One thing that a person did.

    Attributes:
        kind: "train", "set", "rewind", "branch" or "switch": the method of a panda.
        branch: on which branch.
        epoch: epochs that the branch had trained.
        arguments: of the method.
        curve: what was seen of each epoch of a "train", also where a later "rewind" discards it.
    """

    kind: str
    branch: str
    epoch: int
    arguments: dict[str, Any]
    curve: tuple[Observed, ...] = ()

    def __str__(self) -> str:
        """As it is written in Python."""
        words = [repr(self.arguments[ARGUMENT[self.kind]])] if self.kind in ARGUMENT else _named(self.arguments)
        return f"{self.kind}({', '.join(words)})"


@dataclasses.dataclass(frozen=True)
class Log:
    """Everything that a panda's state follows from. Two logs are equal where every number seen is.

    Attributes:
        start: how it began.
        interventions: what was done, in order.
    """

    start: Start
    interventions: tuple[Intervention, ...] = ()

    def __str__(self) -> str:
        """A line for each intervention: where, when, what."""
        rows = [("branch", "epoch", "what"), *((i.branch, str(i.epoch), str(i)) for i in self.interventions)]
        width = max(len(row[0]) for row in rows)
        return "\n".join(f"{branch:<{width}}  {epoch:>5}  {what}" for branch, epoch, what in rows)

    def _check_held(self) -> None:
        """Refuse what no text can hold."""
        if self.start.config.architecture is not None:
            raise UserError(f"a log cannot hold {self.start.config.architecture.name}, which is code: keep the panda")

    def script(self) -> str:
        """A short Python script that does the same again.

        Raises:
            UserError: what was tended is code that no script holds.
        """
        self._check_held()
        start = self.start
        source, lines = start.origin.source, ["import jaxbn", ""]
        if source is None:
            lines += ["source = ...  # Put the arrays or the frame here that the data came from.", ""]
        reading, task = dict(start.origin.reading), start.origin.task
        options = {
            "target": None if source in BUILTIN and reading["target"] == "target" else reading["target"],
            "drop": tuple(reading["dropped"]) or None,
            "group": reading["group"],
            "header": False if reading["header"] is False else None,
            "test": start.origin.test_source,
            "task": None if source in BUILTIN and task == task_of(source) else task,
        }
        data = "source" if source is None else repr(source)
        given = _named({name: value for name, value in options.items() if value is not None})
        if given:
            lines += [f"data = jaxbn.load_data({', '.join([data, *given])})", ""]
            data = "data"
        usual = {"metric": None, "valid_fraction": 0.2, "test_fraction": 0.2, "class_weight": None}
        unusual = {name: getattr(start, name) for name in usual if getattr(start, name) != usual[name]}
        words = [
            repr(unlike_default(start.config)),
            data,
            *_named({"seed": start.seed, "num_epochs": start.num_epochs, **unusual}),
        ]
        lines += [f"panda = jaxbn.Panda({', '.join(words)})"]
        lines += [f"panda.{intervention}" for intervention in self.interventions]
        return "\n".join([*lines, "print(panda)", ""])

    def save(self, path: str | Path) -> None:
        """Write it as JSON lines: the start, then a line for each intervention.

        Raises:
            UserError: the file cannot be written, or what was tended is code that no file holds.
        """
        self._check_held()
        start = {**dataclasses.asdict(self.start), "config": self.start.config.values()}
        first = {"format": FORMAT, "version": VERSION, **start}
        records = [first, *(dataclasses.asdict(intervention) for intervention in self.interventions)]
        text = "".join(f"{json.dumps(record, allow_nan=False)}\n" for record in records)
        try:
            Path(path).parent.mkdir(parents=True, exist_ok=True)
            write(Path(path), text.encode())
        except OSError as error:
            raise UserError(f"cannot write the log {str(path)!r}: {error.strerror or error}; choose another") from error

    @classmethod
    def load(cls, path: str | Path) -> "Log":
        """Read a log that `save` wrote.

        Raises:
            UserError: it is not there, not whole, or of another version.
        """
        try:
            first, *others = [json.loads(line) for line in Path(path).read_text(encoding="utf-8").splitlines()]
        except OSError as error:
            raise UserError(f"cannot read the log {str(path)!r}: {error.strerror or error}; check the path") from error
        except ValueError as error:
            raise UserError(f"{str(path)!r} is no log of a panda ({error}): give a file that a panda wrote") from error
        if not isinstance(first, dict) or (first.pop("format", 0), first.pop("version", 0)) != (FORMAT, VERSION):
            raise UserError(
                f"{str(path)!r} is no log of a panda of version {VERSION}: give a file that this jaxbn wrote"
            )
        try:
            config, origin = from_values(**first.pop("config")), Origin(**first.pop("origin"))
            start = Start(config, origin, **first)
            interventions = tuple(_intervention(record) for record in others)
            wrong = next((name for record in (start, *interventions) if (name := misfit(record))), None)
        except (KeyError, TypeError, AttributeError) as error:
            raise UserError(f"the log {str(path)!r} is broken ({error}): repeat another one") from error
        if wrong:
            raise UserError(f"the log {str(path)!r} is broken (its {wrong} is of the wrong kind): repeat another one")
        return cls(start, interventions)


def unlike_default(config: Config) -> dict[str, Any]:
    """The hyperparameters that a person must name to get a configuration.

    Example:
        >>> unlike_default(from_values(learning_rate=0.1, optimizer="adamw"))
        {'learning_rate': 0.1, 'optimizer': 'adamw'}
    """
    usual = from_values(optimizer=config.optimizer).values()
    unlike = {name: value for name, value in config.values().items() if name not in usual or value != usual[name]}
    if config.optimizer != from_values().optimizer:
        unlike["optimizer"] = config.optimizer
    return unlike


def _intervention(record: dict[str, Any]) -> Intervention:
    curve = tuple(Observed(**{**one, "scores": tuple(one["scores"])}) for one in record.pop("curve"))
    arguments = {name: tuple(v) if isinstance(v, list) else v for name, v in record.pop("arguments").items()}
    kind = record["kind"]
    if kind != "set" and set(arguments) != {ARGUMENT[kind]}:
        raise TypeError(f"{kind} takes {ARGUMENT[kind]}")
    return Intervention(arguments=arguments, curve=curve, **record)


def _named(arguments: Mapping[str, Any]) -> list[str]:
    return [f"{name}={value!r}" for name, value in arguments.items()]
