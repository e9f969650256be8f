"""The one table of hyperparameters. The command line, the documentation, the spaces and the split read it."""

import dataclasses
import math
from collections.abc import Callable
from typing import Any

from jaxbn.errors import UserError, unknown
from jaxbn.nn.types import ACTIVATIONS, DECAY_KINDS, NORMALIZATIONS, OPTIMIZERS, Architecture
from jaxbn.search.domains import Choice, Float, Int, plain
from jaxbn.search.hyperparameter import Hyperparameter, check_value

MOMENTA = ("momentum", "nesterov", "momentum_ewa")
ADAMS = ("adam", "adamw")
ADAMW_WEIGHT_DECAY = 1e-4


def _field(default: Any, *row: Any, **columns: Any) -> Any:
    return dataclasses.field(default=default, metadata={"row": Hyperparameter(*row, **columns)})


def _is(name: str, *values: str) -> Callable[["Config"], bool]:
    return lambda config: getattr(config, name) in values


def _has_hidden(config: "Config") -> bool:
    return config.num_layers > 0


def _has_bn(config: "Config") -> bool:
    return config.num_layers > 0 and config.normalization == "batch"


def _log(low: float, high: float) -> Float:
    return Float(low, high, scale="log")


def _one_minus_log(low: float, high: float) -> Float:
    return Float(low, high, scale="one_minus_log")


@dataclasses.dataclass(frozen=True)
class Config:
    """One assignment of all hyperparameters: plain values, on the host.

    Attributes:
        architecture: what is trained instead of an MLP.
        own: values, by name, of the hyperparameters that the architecture declares itself; each is an attribute too.

    Raises:
        UserError: a value is not legal.

    Example:
        >>> Config(learning_rate=0.01, optimizer="momentum").unused()[:2]
        ('b1', 'b2')
    """

    learning_rate: float = _field(
        1e-3, float, "traced", "step size alpha", _log(1e-4, 1), in_default_space=True, open_low=True
    )
    momentum: float = _field(
        0.9,
        float,
        "traced",
        "weight kept on the old velocity (beta)",
        _one_minus_log(0.9, 0.999),
        in_default_space=True,
        high=1,
        open_high=True,
        used=_is("optimizer", *MOMENTA),
    )
    b1: float = _field(
        0.9,
        float,
        "traced",
        "weight kept on the old mean of gradients (beta 1)",
        _one_minus_log(0.8, 0.99),
        in_default_space=True,
        high=1,
        open_high=True,
        used=_is("optimizer", *ADAMS),
        fixed_from_start=True,
    )
    b2: float = _field(
        0.999,
        float,
        "traced",
        "weight kept on the old mean of squared gradients (beta 2)",
        _one_minus_log(0.9, 0.9999),
        in_default_space=True,
        high=1,
        open_high=True,
        used=_is("optimizer", "rmsprop", *ADAMS),
        fixed_from_start=True,
    )
    eps: float = _field(
        1e-8,
        float,
        "traced",
        "added to the root of the mean of squared gradients (epsilon)",
        _log(1e-10, 1e-4),
        in_default_space=True,
        open_low=True,
        used=_is("optimizer", "rmsprop", *ADAMS),
    )
    batch_size: int = _field(
        64,
        int,
        "traced",
        "rows of a mini-batch",
        Int(32, 256, scale="power_of_two"),
        in_default_space=True,
        low=1,
        high=1e9,
    )
    hidden_units: int | tuple[int, ...] = _field(
        64,
        int,
        "traced",
        "units of each hidden layer, or a tuple with one number per layer",
        Int(16, 256, scale="log"),
        in_default_space=True,
        low=1,
        high=1e6,
        used=_has_hidden,
        fixed_from_start=True,
        of_network=True,
    )
    num_layers: int = _field(
        2,
        int,
        "spec",
        "hidden layers; 0 is softmax or linear regression",
        Int(1, 3),
        in_default_space=True,
        high=255,
        of_network=True,
    )
    learning_rate_decay: float = _field(
        0.0,
        float,
        "traced",
        "how fast the learning rate decays, per epoch",
        _log(1e-3, 10),
        in_default_space=True,
        used=lambda config: config.decay_kind not in ("none", "cosine"),
    )
    decay_kind: str = _field(
        "inverse_time", str, "traced", "the shape of the decay", Choice(*DECAY_KINDS), options=DECAY_KINDS
    )
    optimizer: str = _field(
        "adam",
        str,
        "spec",
        "how gradients become steps",
        Choice("momentum", "adam"),
        in_default_space=True,
        options=OPTIMIZERS,
    )
    weight_decay: float = _field(
        0.0, float, "traced", "decoupled decay of kernels (adamw: 1e-4 unless given)", _log(1e-6, 1e-1)
    )
    dropout: float = _field(
        0.0,
        float,
        "traced",
        "share of hidden units dropped",
        Float(0, 0.5),
        high=1,
        open_high=True,
        used=_has_hidden,
        of_network=True,
    )
    label_smoothing: float = _field(
        0.0,
        float,
        "traced",
        "share of the label spread over all classes",
        Float(0, 0.2),
        high=1,
        open_high=True,
    )
    clip_norm: float | None = _field(
        None,
        float,
        "traced",
        "largest global norm of a gradient; none: not clipped",
        _log(0.1, 10),
        open_low=True,
        optional=True,
    )
    warmup_epochs: float = _field(
        0.0, float, "traced", "epochs over which the learning rate rises linearly", Float(0, 5)
    )
    init_scale: float = _field(
        1.0,
        float,
        "traced",
        "factor on the standard deviation of initial weights",
        _log(0.1, 10),
        open_low=True,
        fixed_from_start=True,
        of_network=True,
    )
    bn_decay: float = _field(
        0.9,
        float,
        "traced",
        "weight kept on the old running statistic of batch normalisation",
        _one_minus_log(0.5, 0.999),
        high=1,
        open_high=True,
        used=_has_bn,
        of_network=True,
    )
    bn_epsilon: float = _field(
        1e-5,
        float,
        "traced",
        "added to the variance in batch normalisation",
        _log(1e-6, 1e-2),
        open_low=True,
        used=_has_bn,
        of_network=True,
    )
    activation: str = _field(
        "relu",
        str,
        "spec",
        "the nonlinearity of hidden layers",
        Choice(*ACTIVATIONS),
        options=ACTIVATIONS,
        used=_has_hidden,
        of_network=True,
    )
    normalization: str = _field(
        "batch",
        str,
        "spec",
        "what normalises hidden layers",
        Choice(*NORMALIZATIONS),
        options=NORMALIZATIONS,
        used=_has_hidden,
        of_network=True,
    )

    architecture: Architecture | None = None
    own: tuple[tuple[str, Any], ...] = ()

    def __post_init__(self) -> None:
        for name in HYPERPARAMETERS:
            given = getattr(self, name)
            value = plain(given)
            if value is not given:
                object.__setattr__(self, name, value)
            check(name, value)
        for name, value in self.own:
            check_own(name, value, self.architecture)
        if isinstance(self.hidden_units, tuple) and len(self.hidden_units) != self.num_layers:
            raise UserError(
                f"hidden_units={self.hidden_units} names {len(self.hidden_units)} layers but num_layers is "
                f"{self.num_layers}: give one number per layer"
            )

    def __getattr__(self, name: str) -> Any:
        for known, value in self.__dict__.get("own", ()):
            if known == name:
                return value
        raise AttributeError(f"a config has no hyperparameter {name!r}")

    @property
    def widths(self) -> tuple[int, ...]:
        """Units of each hidden layer of an MLP."""
        if self.architecture is not None:
            return ()
        if isinstance(self.hidden_units, tuple):
            return self.hidden_units
        return (self.hidden_units,) * self.num_layers

    def unused(self) -> tuple[str, ...]:
        """The hyperparameters that this configuration does not read, such as b2 under momentum."""
        return tuple(name for name, row in HYPERPARAMETERS.items() if not self._uses(name, row))

    def _uses(self, name: str, row: Hyperparameter) -> bool:
        if row.of_network and self.architecture is not None:
            return name in dict(self.architecture.defaults)
        return row.used(self)

    def values(self) -> dict[str, Any]:
        """Every hyperparameter by name, those that its architecture declares itself too: what `from_values` takes."""
        return {name: getattr(self, name) for name in HYPERPARAMETERS} | dict(self.own)

    def row(self) -> dict[str, Any]:
        """Its row in a table of trials: every hyperparameter by name, None where it is not used."""
        return self.values() | dict.fromkeys(self.unused())

    def changed(self, **values: Any) -> "Config":
        """The same with other values of some hyperparameters.

        Raises:
            UserError: an unknown name or an illegal value.
        """
        for name in values:
            if name not in self.values():
                raise unknown("hyperparameter", name, self.values())
        own = tuple((name, values.pop(name, value)) for name, value in self.own)
        return dataclasses.replace(self, own=own, **values)


HYPERPARAMETERS: dict[str, Hyperparameter] = {
    field.name: field.metadata["row"] for field in dataclasses.fields(Config) if field.metadata
}
"""The rows of the table, by name."""
DEFAULTS: dict[str, Any] = {field.name: field.default for field in dataclasses.fields(Config) if field.metadata}


def table_of(architecture: Architecture | None) -> dict[str, Hyperparameter]:
    """The hyperparameters of networks of a kind, by name: rows of the table, and those that the kind declares itself.

    Args:
        architecture: the kind; None is the MLP.

    Example:
        >>> table_of(None) == HYPERPARAMETERS
        True
    """
    if architecture is None:
        return HYPERPARAMETERS
    own, names = {}, dict(architecture.defaults)
    for name in _own_defaults(architecture):
        lives = "traced" if name in architecture.traced else "spec"
        own[name] = Hyperparameter(object, lives, f"of {architecture.name}", low=float("-inf"))
    return {name: row for name, row in HYPERPARAMETERS.items() if not row.of_network or name in names} | own


def _own_defaults(architecture: Architecture | None) -> dict[str, Any]:
    """The hyperparameters that an architecture declares itself, which the table has not."""
    declared = () if architecture is None else architecture.defaults
    return {name: value for name, value in declared if name not in HYPERPARAMETERS}


def from_values(*, architecture: Architecture | None = None, **values: Any) -> Config:
    """A configuration in which what is not given takes its default, which may follow from what is.

    Args:
        architecture: what is trained instead of an MLP.
        **values: by name, those of hyperparameters that the architecture declares itself too.

    Raises:
        UserError: an unknown name or an illegal value.

    Example:
        >>> from_values(optimizer="adamw").weight_decay, from_values(hidden_units=(32, 16, 8)).num_layers
        (0.0001, 3)
    """
    if not isinstance(architecture, Architecture | None):
        raise unknown("hyperparameter", "architecture", HYPERPARAMETERS)
    own = _own_defaults(architecture)
    for name in values:
        if name not in HYPERPARAMETERS and name not in own:
            raise unknown("hyperparameter", name, table_of(architecture))
    own = {name: plain(values.pop(name, default)) for name, default in own.items()}
    if architecture is not None:
        values = {
            name: value for name, value in architecture.defaults if name not in own and value is not None
        } | values
    if isinstance(values.get("hidden_units"), list):
        values["hidden_units"] = tuple(values["hidden_units"])
    if isinstance(values.get("hidden_units"), tuple):
        values.setdefault("num_layers", len(values["hidden_units"]))
    if values.get("optimizer") == "adamw":
        values.setdefault("weight_decay", ADAMW_WEIGHT_DECAY)
    return Config(**values, architecture=architecture, own=tuple(own.items()))


def check(name: str, value: Any) -> None:
    """Refuse a value that a hyperparameter cannot have.

    Raises:
        UserError: with the values it can have.
    """
    check_value(name, value, HYPERPARAMETERS[name])


def check_own(name: str, value: Any, architecture: Architecture | None) -> None:
    """Refuse a value that a hyperparameter which an architecture declares itself cannot have.

    Raises:
        UserError: with what it can be.
    """
    assert architecture is not None
    if value is None:
        raise UserError(f"{architecture.name} needs a value of {name}: give it one, or a domain, in the Space")
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if not isinstance(value, int | float | str | bool) or (isinstance(value, float) and not math.isfinite(value)):
        raise UserError(
            f"{name} = {value!r} is no value of a hyperparameter: give a finite number, a text, True or False"
        )
    if name in architecture.traced and not number:
        raise UserError(f"{name} = {value!r} is traced through {architecture.name}: give a number")
