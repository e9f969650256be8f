"""The records that the rest of the package passes about. Read this file first.

The declaration says where a value lives. `flax.struct.dataclass`: on the device, traced by JAX, and free to gain a
leading member axis. `dataclasses.dataclass(frozen=True)`: on the host and hashable; it keys compiled programs.
`NamedTuple`: functions that belong together.

Letters in shapes: B rows of a mini-batch, N rows of a data set, F features, H hidden units (padded), L hidden
layers, C outputs (classes, or regression targets), T members of a tile.
"""

import dataclasses
from collections.abc import Callable
from typing import Any, NamedTuple

import flax.struct
import jax
from jax import Array

PyTree = Any

Leaf = Any
"""A field that holds numbers: a JAX or NumPy array, a tracer, a plain number; a shape or an axis where records stand
for those."""

Device = Any
"""A `jax.Device`, which type checkers take for a variable."""

OPTIMIZERS = ("sgd", "momentum", "nesterov", "momentum_ewa", "rmsprop", "adam", "adamw")
DECAY_KINDS = ("none", "inverse_time", "exponential", "staircase", "inverse_sqrt", "cosine")
ACTIVATIONS = ("relu", "tanh", "sigmoid", "gelu", "identity")
NORMALIZATIONS = ("batch", "none")
PRECISIONS = ("float32", "tf32", "bfloat16")


@dataclasses.dataclass(frozen=True)
class Spec:
    """The part of a configuration that shapes the compiled program. Members of one tile share it.

    Attributes:
        widths: padded number of units of each hidden layer; `()` is softmax or linear regression.
        batch_size: padded mini-batch size.
        optimizers: of `OPTIMIZERS`; where there are several, a traced index chooses one for each member.
        activation: one of `ACTIVATIONS`.
        normalization: one of `NORMALIZATIONS`.
        dropout: whether the program can drop units at all.
        label_smoothing: whether the program can smooth labels at all.
        clip_norm: whether the program can clip gradients at all.
        precision: one of `PRECISIONS`, of matrix products. With "bfloat16" activations are kept in it too; weights,
            statistics, losses and the optimizer's state never are.
        architecture: what is trained instead of an MLP.
        own: values, by name, of the architecture's hyperparameters that shape it.
    """

    widths: tuple[int, ...] = (64, 64)
    batch_size: int = 64
    optimizers: tuple[str, ...] = ("adam",)
    activation: str = "relu"
    normalization: str = "batch"
    dropout: bool = False
    label_smoothing: bool = False
    clip_norm: bool = False
    precision: str = "float32"
    architecture: "Architecture | None" = None
    own: tuple[tuple[str, Any], ...] = ()


@flax.struct.dataclass
class Hyperparams:
    """The scalars of a configuration that live on the device: `jax.vmap` over them trains unlike members together.

    The meaning of each is in the table of hyperparameters, `jaxbn.search.Config`.

    Attributes:
        hidden_units: int [L], units in use of each padded layer; None uses all of them and needs no masks.
        batch_size: rows of a mini-batch, at most the padded size of the `Spec`; None is that size.
        decay_kind: index into `DECAY_KINDS`.
        optimizer: index into the spec's optimizers.
        num_epochs: where a cosine decay reaches zero.
        own: numbers by name, the traced hyperparameters that an architecture declares itself; None: it has none.

    Example:
        >>> Hyperparams(learning_rate=0.03).b1
        0.9
    """

    optimizer: Leaf = 0
    learning_rate: Leaf = 1e-3
    momentum: Leaf = 0.9
    b1: Leaf = 0.9
    b2: Leaf = 0.999
    eps: Leaf = 1e-8
    learning_rate_decay: Leaf = 0.0
    decay_kind: Leaf = 0
    warmup_epochs: Leaf = 0.0
    num_epochs: Leaf = 1
    weight_decay: Leaf = 0.0
    dropout: Leaf = 0.0
    label_smoothing: Leaf = 0.0
    clip_norm: Leaf = 1.0
    init_scale: Leaf = 1.0
    bn_decay: Leaf = 0.9
    bn_epsilon: Leaf = 1e-5
    hidden_units: Leaf = None
    batch_size: Leaf = None
    own: Leaf = None


@flax.struct.dataclass
class Batch:
    """The rows of one training step.

    Attributes:
        x: inputs [B, F].
        y: int labels [B], or float targets [B, C].
        steps_per_epoch: how many steps make an epoch; decays and warm-up count in epochs.
        where: bool [B], rows that exist; None when all do. The others count for nothing as long as they are finite.
        weight: float [B], weight of each row in the loss; None when all are 1.
        key: randomness of this step (dropout). Members of a tile share it.
    """

    x: Leaf
    y: Leaf
    steps_per_epoch: Leaf = 1
    where: Leaf = None
    weight: Leaf = None
    key: Leaf = None


@flax.struct.dataclass
class Rows:
    """A data set on the device, padded below with rows that do not exist.

    Attributes:
        x: inputs [N, F].
        y: int labels [N], or float targets [N, C].
        weight: float [N], weight of each row in the training loss.
        num_rows: how many rows exist: the first ones.
    """

    x: Leaf
    y: Leaf
    weight: Leaf
    num_rows: Leaf


@flax.struct.dataclass
class Variables:
    """What a model needs to compute: weights, and what it carries beside them (batch-norm running statistics)."""

    params: PyTree
    model_state: PyTree


@flax.struct.dataclass
class TrainState:
    """One network in training. Hyperparameters are not in it, so they can change between two steps.

    Attributes:
        params: weights.
        model_state: batch-norm running statistics.
        opt_state: optax's state; its structure depends on the optimizer of the `Spec`.
        step: int, updates made so far.
    """

    params: PyTree
    model_state: PyTree
    opt_state: PyTree
    step: Leaf

    @property
    def variables(self) -> Variables:
        """Weights and running statistics: what inference needs."""
        return Variables(self.params, self.model_state)


@flax.struct.dataclass
class Metrics:
    """A training loss as sums, so that unequal mini-batches average rightly.

    Attributes:
        loss_sum: weighted sum of the losses of the rows.
        weight: sum of the weights of the rows.
    """

    loss_sum: Leaf
    weight: Leaf

    @property
    def loss(self) -> Array:
        """The weighted mean; 0 where no row was counted."""
        counted = self.weight > 0
        # Divided by a number other than 0 also where nothing is counted, or the gradient is NaN there.
        return jax.numpy.where(counted, self.loss_sum / jax.numpy.where(counted, self.weight, 1.0), 0.0)

    def merge(self, other: "Metrics") -> "Metrics":
        """The metrics of both sets of rows together."""
        return Metrics(self.loss_sum + other.loss_sum, self.weight + other.weight)


class Model(NamedTuple):
    """The protocol that the MLPs here and other frameworks' modules share.

    Attributes:
        init: `(key, hyperparams) -> Variables`; the key is consumed.
        apply: `(variables, x, hyperparams, *, training, where=None, key=None) -> (outputs, model_state)`.
        masks_rows: whether `apply` leaves rows outside `where` out of batch statistics.
    """

    init: Callable[..., Variables]
    apply: Callable[..., tuple[Array, PyTree]]
    masks_rows: bool


Loss = Callable[..., Metrics]
"""`(outputs [B, C], batch, hyperparams, *, spec) -> Metrics`."""


@dataclasses.dataclass(frozen=True)
class Architecture:
    """A kind of network other than the MLP: what builds it, and which hyperparameters it has.

    Attributes:
        name: what it is called.
        defaults: its hyperparameters by name, each with the number, text or truth value that it has when nobody says;
            None where somebody must. Some may be of the table (`jaxbn.search.HYPERPARAMETERS`), such as "dropout"; the
            others are its own.
        traced: which of its own are numbers that may differ between the members of a program; the others shape it.
        masks_rows: whether it leaves rows outside `where` out of batch statistics; if not, the last mini-batch of an
            epoch has a shape of its own.
        build: `(spec, *, num_inputs, num_outputs) -> Model`.
        loss: what training minimises; None is the loss of the task.
        about: what else tells it from others of its name, as plain values by name.
        known: whether its code is here; a run's record has its name alone.
    """

    name: str
    defaults: tuple[tuple[str, Any], ...]
    traced: tuple[str, ...]
    masks_rows: bool
    build: Callable[..., Model] = dataclasses.field(repr=False)
    loss: Loss | None = dataclasses.field(default=None, repr=False)
    about: tuple[tuple[str, Any], ...] = ()
    known: bool = True
