"""What is searched: a domain for each hyperparameter, from Python or from TOML."""

import re
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from jaxbn import markup
from jaxbn.errors import UserError, unknown
from jaxbn.nn.types import Architecture
from jaxbn.search.config import HYPERPARAMETERS, Config, check, check_own, from_values, table_of
from jaxbn.search.described import described
from jaxbn.search.domains import Choice, Domain, Float, Int, plain
from jaxbn.search.hyperparameter import Hyperparameter

KEYS = ("low", "high", "scale", "choices", "value", "when")


class Space:
    """A domain or a fixed value for each hyperparameter that is named; the others take their defaults.

    Iterating gives the names in the order they were declared.

    Attributes:
        domains: what is searched.
        fixed: what is held at a value.
        architecture: what is trained; None is the MLP. Hyperparameters that it declares itself may be named too.

    Raises:
        UserError: an unknown name, or a domain that reaches values that are not legal.

    Example:
        >>> space = Space(learning_rate=Float(1e-4, 1, scale="log"), num_layers=1)
        >>> list(space), space.config({"learning_rate": 0.5}).learning_rate
        (['learning_rate', 'num_layers'], 0.01)
    """

    def __init__(self, *, architecture: Architecture | None = None, **domains: Any) -> None:
        if not isinstance(architecture, Architecture | None):
            raise UserError(
                f"architecture = {architecture!r:.60} is no Architecture: make one, as by jaxbn.interop.flax.from_linen"
            )
        self.architecture = architecture
        self.domains: dict[str, Domain] = {}
        self.fixed: dict[str, Any] = {}
        self._names = tuple(domains)
        for name, domain in domains.items():
            if name not in self.table:
                raise unknown("hyperparameter", name, self.table)
            if isinstance(domain, Float | Int | Choice):
                if name in HYPERPARAMETERS:
                    _check_domain(name, domain)
                else:
                    _check_own_domain(name, domain, architecture)
                self.domains[name] = domain
            else:
                value = plain(tuple(domain) if isinstance(domain, list) else domain)
                if isinstance(value, tuple) and name != "hidden_units":
                    raise UserError(
                        f"{name} = {value!r} is neither a domain nor a value: write Float(low, high), Int(low, high) "
                        "or Choice(...)"
                    )
                if name in HYPERPARAMETERS:
                    check(name, value)
                self.fixed[name] = value
        self._check_conditions()
        # The corners are built once, so that most values that do not go together are refused before anything runs.
        for u in (0.0, 1.0):
            self.config(dict.fromkeys(self.domains, u))

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __repr__(self) -> str:
        kind = [] if self.architecture is None else [f"architecture={self.architecture.name}"]
        inside = [f"{name}={self.domains.get(name, self.fixed.get(name))!r}" for name in self]
        return f"Space({', '.join([*kind, *inside])})"

    def _repr_html_(self) -> str:
        return markup.table(described(self), left=True)

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, Space) and self.to_json() == other.to_json() and self.architecture == other.architecture
        )

    __hash__ = None  # type: ignore[assignment]

    @property
    def table(self) -> dict[str, Hyperparameter]:
        """The hyperparameters that may be named, by name."""
        return table_of(self.architecture)

    @classmethod
    def default(cls) -> "Space":
        """The nine hyperparameters of the course notes, and the optimizer."""
        searched: dict[str, Any] = {name: row.domain for name, row in HYPERPARAMETERS.items() if row.in_default_space}
        return cls(**searched)

    @classmethod
    def from_toml(cls, path: str | Path) -> "Space":
        """Read a file with a table for each hyperparameter: `low, high, scale`, or `choices`, or `value`; and `when`.

        Raises:
            UserError: the file cannot be read, or says something that is not known; with the line.
        """
        try:
            text = Path(path).read_text(encoding="utf-8")
            tables = tomllib.loads(text)
        except OSError as error:
            raise UserError(f"cannot read the space {str(path)!r}: {error.strerror}; give a TOML file") from error
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise UserError(f"{path} is not TOML: {error}; jaxbn space --toml prints a file to begin with") from error
        domains = {}
        for name, table in tables.items():
            try:
                if name not in HYPERPARAMETERS:
                    raise unknown("hyperparameter", name, HYPERPARAMETERS)
                domains[name] = _domain(name, table)
                cls(**{name: domains[name]})
            except UserError as error:
                typo = re.search(r"unknown [^']*'([^']+)'", str(error))
                line = _line_of(text, name, typo[1] if typo else None)
                raise UserError(f"{path}, line {line}: {error}") from error
        return cls(**domains)

    def config(self, u: Mapping[str, float]) -> Config:
        """The configuration at a point of the unit cube.

        Args:
            u: for each searched hyperparameter, the share of its domain, in [0, 1].

        Returns:
            A configuration; a domain whose condition fails gives way to the default.
        """
        values = self.fixed | {name: domain.at(u[name]) for name, domain in self.domains.items() if not domain.when}
        # Conditions look at what is settled without them, defaults that follow from other values included. An
        # architecture may need values of its own for that, whatever their conditions.
        own = {name: domain.at(u[name]) for name, domain in self.domains.items() if name not in HYPERPARAMETERS}
        settled = from_values(architecture=self.architecture, **own | values)
        for name, domain in self.domains.items():
            if domain.when and applies(domain, settled):
                values[name] = domain.at(u[name])
        return from_values(architecture=self.architecture, **values)

    def point(self, config: Config) -> dict[str, float]:
        """Where a configuration lies in the unit cube: the inverse of `config`.

        Args:
            config: of this space, or near it: a number beyond a domain lies at its end.

        Returns:
            For each searched hyperparameter that the configuration uses, the share of its domain, in [0, 1]; nothing
            for a domain whose condition fails, or that lacks the option.

        Example:
            >>> space = Space(learning_rate=Float(1e-4, 1, scale="log"), b1=Float(0.8, 0.9), optimizer="momentum")
            >>> space.point(space.config({"learning_rate": 0.25, "b1": 0.5}))
            {'learning_rate': 0.25}
        """
        unused = config.unused()
        return {
            name: domain.share(getattr(config, name))
            for name, domain in self.domains.items()
            if name not in unused and applies(domain, config) and _speaks_of(domain, getattr(config, name))
        }

    def default_of(self, name: str, config: Config) -> Any:
        """What a hyperparameter has in a configuration where the condition of its domain fails."""
        others = {other: value for other, value in config.values().items() if other != name}
        return getattr(from_values(architecture=self.architecture, **others), name)

    def to_json(self) -> dict[str, Any]:
        """What `from_json` reads: a table for each hyperparameter, in order."""
        return {name: _table(self.domains.get(name), self.fixed.get(name)) for name in self}

    @classmethod
    def from_json(cls, tables: Mapping[str, Any], *, architecture: Architecture | None = None) -> "Space":
        """A space from what `to_json` wrote, and the architecture that it was of.

        Raises:
            UserError: an unknown name or key.
        """
        known = table_of(architecture)
        for name in tables:
            if name not in known:
                raise unknown("hyperparameter", name, known)
        return cls(architecture=architecture, **{name: _domain(name, table) for name, table in tables.items()})

    def _check_conditions(self) -> None:
        for name, domain in self.domains.items():
            for other, allowed in _when(domain):
                if other not in self.table:
                    raise unknown("hyperparameter in `when`", other, self.table)
                if other == name or (other in self.domains and self.domains[other].when):
                    raise UserError(
                        f"{name} depends on {other}, which has a condition of its own: let `when` name "
                        "hyperparameters without one"
                    )
                for value in allowed if other in HYPERPARAMETERS else ():
                    check(other, value)


def applies(domain: Domain, config: Config) -> bool:
    """Whether the condition of a domain holds in a configuration.

    Example:
        >>> applies(Float(0.9, 0.99, when={"optimizer": "momentum"}), Config(optimizer="adam"))
        False
    """
    return all(getattr(config, name) in allowed for name, allowed in _when(domain))


def _speaks_of(domain: Domain, value: Any) -> bool:
    """Whether a value, perhaps of a configuration from elsewhere, has a place in a domain or beside it."""
    return value in domain.options if isinstance(domain, Choice) else isinstance(value, int | float)


def _when(domain: Domain) -> tuple[tuple[str, tuple[Any, ...]], ...]:
    return tuple(domain.when)  # type: ignore[arg-type]


def _check_own_domain(name: str, domain: Domain, architecture: Architecture | None) -> None:
    assert architecture is not None
    values = domain.options if isinstance(domain, Choice) else (domain.low, domain.high)
    for value in values:
        check_own(name, value, architecture)
    if len({type(value) for value in values}) > 1 and isinstance(domain, Choice):
        raise UserError(f"the options {values} of {name} are of several kinds: give numbers alike, or texts")
    if isinstance(domain, Float) and name not in architecture.traced:
        raise UserError(
            f"{name} is a Float and shapes a program of {architecture.name} for each value: list it among what is "
            "traced, or use Choice or Int"
        )


def _check_domain(name: str, domain: Domain) -> None:
    row = HYPERPARAMETERS[name]
    if isinstance(domain, Choice):
        for option in domain.options:
            check(name, option)
        return
    if row.kind is str:
        raise UserError(f"{name} is one of {', '.join(row.options)}: use Choice, not {type(domain).__name__}")
    if row.kind is int and isinstance(domain, Float):
        raise UserError(f"{name} is a whole number: use Int, not Float")
    if row.kind is float and isinstance(domain, Int):
        raise UserError(f"{name} is a real number: use Float, not Int, or Choice for a few values")
    for bound in (domain.low, domain.high):
        check(name, bound)


def _domain(name: str, table: Any) -> Any:
    """A domain from a table of a TOML or JSON file."""
    if not isinstance(table, Mapping):
        raise UserError(f"{name} = {table!r} is not a table: write [{name}] and below it value = {table!r}")
    for key in table:
        if key not in KEYS:
            raise unknown("key", key, KEYS)
    when, given = table.get("when"), set(table) - {"when"}
    if when is not None and not isinstance(when, Mapping):
        raise UserError(f"when = {when!r} of {name} is not a table: write when = {{ optimizer = 'adam' }}")
    if given == {"value"} and when is None:
        return table["value"]
    if given == {"choices"}:
        if not isinstance(table["choices"], list):
            raise UserError(f"choices = {table['choices']!r} of {name} is not a list: write choices = [...]")
        return Choice(*table["choices"], when=when)
    if given in ({"low", "high"}, {"low", "high", "scale"}):
        kind = Int if _is_whole(name, table) else Float
        return kind(table["low"], table["high"], scale=table.get("scale", "linear"), when=when)
    raise UserError(
        f"{name} has the keys {', '.join(sorted(table)) or 'none'}: give low and high (and scale), or choices, or "
        "value; when goes with the first two"
    )


def _is_whole(name: str, table: Mapping[str, Any]) -> bool:
    """Whether a range is one of whole numbers: the table says so, or, of an architecture's own, its ends."""
    if name in HYPERPARAMETERS:
        return HYPERPARAMETERS[name].kind is int
    return isinstance(table["low"], int) and isinstance(table["high"], int)


def _table(domain: Domain | None, value: Any) -> dict[str, Any]:
    if domain is None:
        return {"value": value}
    table: dict[str, Any]
    if isinstance(domain, Choice):
        table = {"choices": list(domain.options)}
    else:
        kind = int if isinstance(domain, Int) else float
        low, high = kind(domain.low), kind(domain.high)
        table = {"low": low, "high": high, "scale": domain.scale}
    if domain.when:
        table["when"] = {name: list(allowed) for name, allowed in _when(domain)}
    return table


def _line_of(text: str, name: str, typo: str | None = None) -> int:
    """The line of a table's header, or of a misspelt word within it."""
    table = re.compile(rf"^\s*\[?\s*[\"']?{re.escape(name)}[\"']?\s*[\]=.]")
    lines = text.splitlines()
    header = next((number for number, line in enumerate(lines, 1) if table.match(line)), 1)
    if typo is None:
        return header
    word = re.compile(rf"(?<!\w){re.escape(typo)}(?!\w)")
    return next((n for n, line in enumerate(lines[header - 1 :], header) if word.search(line)), header)
