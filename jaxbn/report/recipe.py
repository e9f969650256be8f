"""How to run a sweep again: a command, or a program where no command can say it."""

import dataclasses
import json
import pprint
import shlex
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from jaxbn.data.builtin import task_of
from jaxbn.search import SAMPLERS, Space
from jaxbn.search.config import DEFAULTS
from jaxbn.search.schedulers import READ_BY
from jaxbn.study.settings import Settings
from jaxbn.study.summary import Request

ALWAYS = ("num_configs", "num_epochs", "seed")
WIDTH = 100
AGAIN = "again"
"""The folder of the run, where it must be named."""


@dataclasses.dataclass(frozen=True)
class Recipe:
    """What a person pastes.

    Attributes:
        language: "sh" or "python".
        text: the commands, or the program.
        files: what to save first, by the name that the commands know it by.
        cautions: sentences on what may come out otherwise.
    """

    language: str
    text: str
    files: dict[str, str]
    cautions: tuple[str, ...]


def recipe(request: Request) -> Recipe:
    """How to run a sweep again.

    Args:
        request: the record of it.
    """
    names = [field.name for field in dataclasses.fields(Settings)]
    asked = {name: getattr(request, name) for name in names if hasattr(request, name)} | request.settings
    if request.added:
        asked["num_configs"] = request.num_configs - sum(request.added)
    if request.lengthened:
        asked["keep_states"] = True  # It changes no trial, and epochs can be added to what has come to its end.
    if _fits_a_command(request, asked):
        return Recipe("sh", _commands(request, asked), _files(request, asked), _cautions(request, asked))
    return Recipe("python", _program(request, asked), {}, _cautions(request, asked))


def toml(tables: Mapping[str, Mapping[str, Any]]) -> str:
    """A space, as `Space.to_json` gives it, in the words of a file for `jaxbn sweep --space`.

    Example:
        >>> print(toml({"b1": {"low": 0.8, "high": 0.9, "scale": "linear", "when": {"optimizer": ["adam"]}}}), end="")
        [b1]
        low = 0.8
        high = 0.9
        scale = "linear"
        when = { optimizer = ["adam"] }
    """
    parts = []
    for name, table in tables.items():
        # There is no null in TOML; a value of None is the default of the one hyperparameter that has it.
        lines = [f"{key} = {_toml(value)}" for key, value in table.items() if value is not None]
        if lines:
            parts.append("\n".join([f"[{name}]", *lines]) + "\n")
    return "\n".join(parts)


def _toml(value: Any) -> str:
    if isinstance(value, Mapping):
        return f"{{ {', '.join(f'{key} = {_toml(one)}' for key, one in value.items())} }}"
    return json.dumps(value, ensure_ascii=False)


def _fits_a_command(request: Request, asked: Mapping[str, Any]) -> bool:
    reading = request.reading
    words = [request.source, request.test_source, reading["target"], reading["group"], *reading["dropped"]]
    choices = [option for table in (request.space or {}).values() for option in table.get("choices", ())]
    return (
        request.source is not None
        and request.space is not None
        and request.architecture is None
        and None not in (*choices, *(value for config in _enqueued(request, asked) for value in config.values()))
        and asked.get("tile_size") is None
        and asked["sampler"] in SAMPLERS
        and not isinstance(asked["class_weight"], Mapping)
        # A word that begins so would be read as an option.
        and not any(word is not None and word.startswith("-") for word in words)
    )


def _commands(request: Request, asked: Mapping[str, Any]) -> str:
    reading, source = request.reading, str(request.source)
    words = [*(["JAX_ENABLE_X64=1"] if request.x64 else []), "jaxbn", "sweep", source]
    if _is_file(source) or request.task != task_of(source):
        words += ["--task", request.task]
    if reading["target"] not in (None, "target" if not _is_file(source) else None):
        words += ["--target", reading["target"]]
    if reading["header"] is False:
        words += ["--no-header"]
    if reading["dropped"]:
        words += ["--drop", *reading["dropped"]]
    if reading["group"] is not None:
        words += ["--group", reading["group"]]
    if request.test_source is not None:
        words += ["--test-data", request.test_source]
    words += [word for name in _files(request, asked) for word in (f"--{Path(name).stem}", name)]
    for name, value in _unusual(asked).items():
        if name != "keep":
            words += [f"--{name.replace('_', '-')}", *([] if value is True else [str(value)])]
    extended = _extended(request, asked)
    if extended:
        words += ["--out", AGAIN]
    more = [f"jaxbn resume {AGAIN} --{name.replace('_', '-')} {number}" for name, number in extended]
    return "\n".join([_wrapped(words), *more])


def _files(request: Request, asked: Mapping[str, Any]) -> dict[str, str]:
    files = {}
    if request.space is not None and request.space != json.loads(json.dumps(Space.default().to_json())):
        files["space.toml"] = toml(request.space)
    if asked["enqueue"]:
        files["enqueue.toml"] = "\n".join(
            "\n".join(["[[config]]", *(f"{name} = {_toml(value)}" for name, value in config.items())]) + "\n"
            for config in _enqueued(request, asked)
        )
    return files


def _wrapped(words: list[str]) -> str:
    """A command over as many lines as it takes, no option apart from its value."""
    parts: list[list[str]] = [[]]
    for word in words:
        if word.startswith("--"):
            parts.append([])
        parts[-1].append(shlex.quote(word))
    first, *others = (" ".join(part) for part in parts)
    lines = [first]
    for part in others:
        if len(lines[-1]) + len(part) < WIDTH:
            lines[-1] += f" {part}"
        else:
            lines.append(f"  {part}")
    return " \\\n".join(lines)


def _program(request: Request, asked: Mapping[str, Any]) -> str:
    lines = ["import jax", "", 'jax.config.update("jax_enable_x64", True)', ""] if request.x64 else []
    if request.space is None:
        configs = [_told(config, _defaults(request)) for config in request.listed or ()]
        lines += ["import jaxbn", "from jaxbn.search import from_values", ""]
        told = "**values" if request.architecture is None else "architecture=architecture, **values"
        lines += [f"listed = {_written(configs)}", f"space = [from_values({told}) for values in listed]"]
    else:
        told = "" if request.architecture is None else ",\n    architecture=architecture"
        lines += ["import jaxbn", "", f"space = jaxbn.Space.from_json(\n    {_written(request.space)}{told}\n)"]
    lines += [f"data = jaxbn.load_data({_reading(request)})"]
    settings = {name: repr(value) for name, value in _unusual(asked).items()}
    if asked["enqueue"]:
        lines += [f"enqueue = {_written(_enqueued(request, asked))}"]
        settings["enqueue"] = "enqueue"
    if asked["sampler"] not in SAMPLERS:
        settings["sampler"] = "sampler"
    extended = _extended(request, asked)
    if extended or asked.get("keep_states"):
        settings["run_dir"] = repr(AGAIN)
    told = "".join(f"    {name}={value},\n" for name, value in settings.items())
    again = "" if request.architecture is None else ", architecture=architecture"
    lines += [f"results = jaxbn.sweep(\n    space,\n    data,\n{told})"]
    lines += [f"results = jaxbn.resume({AGAIN!r}, data, {name}={number}{again})" for name, number in extended]
    return "\n".join(lines)


def _reading(request: Request) -> str:
    """The arguments of `load_data`."""
    reading = request.reading
    source = "source" if request.source is None else repr(request.source)
    told = {"target": reading["target"], "task": request.task, "drop": tuple(reading["dropped"])}
    told |= {"group": reading["group"], "test": request.test_source}
    words = [f"{name}={value!r}" for name, value in told.items() if value]
    return ", ".join([source, *words, *(["header=False"] if reading["header"] is False else [])])


def _extended(request: Request, asked: Mapping[str, Any]) -> list[tuple[str, int]]:
    """What the run was extended to since, in order: `num_configs` or `num_epochs`, and how many there were then."""
    found, total, rounds = [], asked["num_configs"], request.num_rounds - len(request.added)
    for more in (0, *request.added):
        if more:
            total, rounds = total + more, rounds + 1
            found.append(("num_configs", total))
        found += [("num_epochs", one["num_epochs"]) for one in request.lengthened if one["num_rounds"] == rounds]
    return found


def _written(value: Any) -> str:
    return pprint.pformat(value, width=WIDTH, sort_dicts=False)


def _enqueued(request: Request, asked: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The configurations tried first, each with what it would otherwise take from what the space holds fixed."""
    fixed = {name for name, table in (request.space or {}).items() if "value" in table}
    return [_told(config, _defaults(request), fixed) for config in asked["enqueue"]]


def _defaults(request: Request) -> dict[str, Any]:
    """What a hyperparameter is when nobody says."""
    own = {} if request.architecture is None else request.architecture["defaults"]
    return DEFAULTS | {name: value for name, value in own.items() if value is not None}


def _told(config: Mapping[str, Any], defaults: Mapping[str, Any], also: Collection[str] = ()) -> dict[str, Any]:
    """The values of a configuration that are not what they would be anyway."""
    # The default of adamw's weight decay is another.
    kept = {*also, "weight_decay"} if config["optimizer"] == "adamw" else set(also)
    return {name: value for name, value in config.items() if name in kept or value != defaults.get(name)}


def _is_file(source: str) -> bool:
    """Whether data came from a path, which is recorded in full, or are built in."""
    return Path(source).is_absolute()


def _unusual(asked: Mapping[str, Any]) -> dict[str, Any]:
    """The settings that say something, and those that everybody wants to see."""
    defaults = {field.name: field.default for field in dataclasses.fields(Settings)}
    scheduler = asked["scheduler"]
    return {
        name: asked[name]
        for name, default in defaults.items()
        if name != "enqueue"
        and (name in ALWAYS or asked.get(name, default) != default)
        and scheduler in READ_BY.get(name, (scheduler,))
    }


def _cautions(request: Request, asked: Mapping[str, Any]) -> tuple[str, ...]:
    cautions = []
    if request.source is None:
        cautions.append("The data came from memory: put them where the program says source.")
    elif _is_file(request.source):
        cautions.append("The data must lie where they lay, and be the same.")
    if request.architecture is not None:
        cautions.append(f"{request.architecture['name']} is code: make an architecture of it, as the program calls it.")
    if asked["sampler"] not in SAMPLERS:
        cautions.append("The sampler was a function: put it where the program says sampler.")
    if request.time_budget is not None:
        cautions.append(
            f"There was a time budget: that {request.num_configs:,} configurations fitted it is due to the machine."
        )
    if request.halvings:
        cautions.append("The device ran out of memory and tiles were made smaller, which changes rounding.")
    cautions.append(
        "The same configurations come again, with the same scores where versions and machine are the same; elsewhere "
        "scores agree to rounding, which training amplifies."
    )
    return tuple(cautions)
