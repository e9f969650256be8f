"""What a sweep was asked for and what it found, as plain values: what `run.json` holds."""

import dataclasses
import math
from typing import Any


@dataclasses.dataclass(frozen=True)
class Best:
    """The highest-ranked trial.

    Attributes:
        trial: its number.
        config: its hyperparameters by name; those it does not use are left out.
        validation: its scores on the validation split, by metric.
    """

    trial: int
    config: dict[str, Any]
    validation: dict[str, float]


@dataclasses.dataclass(frozen=True)
class Baseline:
    """What anybody would try first.

    Attributes:
        name: "majority class", "mean", or "best linear model".
        validation: its scores on the validation split, by metric.
        test: its scores on the test split, by metric.
    """

    name: str
    validation: dict[str, float]
    test: dict[str, float]


@dataclasses.dataclass(frozen=True)
class Seconds:
    """Wall-clock seconds.

    Attributes:
        import_: from the start of the process to the sweep; 0 where that is not known.
        compile: in which some program was compiling.
        train: in which some tile was training, whether or not another program was compiling meanwhile.
        total: of the sweep, and `import_`.
    """

    import_: float
    compile: float
    train: float
    total: float

    def to_json(self) -> dict[str, float]:
        """By name."""
        return {"import": self.import_, "compile": self.compile, "train": self.train, "total": self.total}


@dataclasses.dataclass(frozen=True)
class Summary:
    """The figures of a sweep, as `run.json` and `--json` give them.

    Attributes:
        task: "classification" or "regression".
        metric: what ranks.
        greater_is_better: its direction.
        best: the winner.
        test: the winner's scores on the test split, computed once.
        standard_error: of the winner's validation score: by the bootstrap over its rows, or, where configurations have
            several trials, of their mean.
        num_tied: configurations, the winner included, within one standard error of it.
        baselines: to compare with.
        num_trials: rows of the table of trials.
        num_diverged: of them, how many diverged.
        num_pruned: how many the scheduler stopped.
        num_stopped: how many a time budget or a target score cut short.
        num_epochs: epochs trained by all of them.
        num_programs: epoch programs that were compiled.
        num_train: training rows.
        num_valid: validation rows.
        num_test: test rows.
        seconds: where time went.
        notes: what was noticed about the data.
    """

    task: str
    metric: str
    greater_is_better: bool
    best: Best
    test: dict[str, float]
    standard_error: float
    num_tied: int
    baselines: tuple[Baseline, ...]
    num_trials: int
    num_diverged: int
    num_pruned: int
    num_stopped: int
    num_epochs: int
    num_programs: int
    num_train: int
    num_valid: int
    num_test: int
    seconds: Seconds
    notes: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """Plain values under the same names."""
        record = dataclasses.asdict(self)
        record["seconds"] = self.seconds.to_json()
        for judged in (record["best"], record, *record["baselines"]):
            for split in ("validation", "test"):
                if split in judged:
                    judged[split] = {name: _written(score) for name, score in judged[split].items()}
        record["standard_error"] = _written(self.standard_error)
        return record

    @classmethod
    def from_json(cls, record: dict[str, Any]) -> "Summary":
        """The summary that `to_json` wrote."""
        seconds, best = dict(record["seconds"]), record["best"]
        config = {k: tuple(v) if isinstance(v, list) else v for k, v in best["config"].items()}
        return cls(
            **{
                **record,
                "best": Best(**best | {"config": config, "validation": _read(best["validation"])}),
                "test": _read(record["test"]),
                "standard_error": _score(record["standard_error"]),
                "baselines": tuple(
                    Baseline(one["name"], _read(one["validation"]), _read(one["test"])) for one in record["baselines"]
                ),
                "seconds": Seconds(seconds.pop("import"), **seconds),
                "notes": tuple(record["notes"]),
            }
        )


def _written(score: float) -> float | None:
    """A score as JSON has it, which knows no NaN and no infinity: those are null."""
    return score if math.isfinite(score) else None


def _score(written: Any) -> Any:
    """The inverse, but for NaN in the place of an infinity."""
    return math.nan if written is None else written


def _read(scores: dict[str, Any]) -> dict[str, Any]:
    return {name: _score(score) for name, score in scores.items()}


@dataclasses.dataclass(frozen=True)
class Request:
    """What was asked for and where it ran: enough to run it again.

    Attributes:
        space: as `Space.to_json` gives it; None where configurations were listed.
        num_configs: how many configurations.
        num_epochs: epochs of each trial.
        sampler: its name.
        num_rounds: in how many rounds it was asked.
        enqueued: how many of the configurations a person gave.
        scheduler: its name.
        rungs: a dict for each, with its `epochs` and the `survivors` of each bracket; of the first round.
        patience: epochs without a better score after which a trial ended.
        replicates: seeds of each configuration.
        folds: of the cross-validation; 1 without.
        time_budget: seconds.
        target_score: that ended the sweep.
        seed: of the split, the sampler, weights, data order and dropout.
        valid_fraction: of the rows.
        test_fraction: of the rows.
        class_weight: of the training loss.
        source: a path or a built-in name; None for arrays and frames.
        test_source: of a test set that was named apart.
        reading: how the source was read.
        task: "classification" or "regression".
        fingerprint: of the data.
        versions: of jaxbn, jax, jaxlib, flax and optax.
        device: its platform and kind.
        programs: padded widths, padded batch size, optimizers, activation, normalization, precision and T of each epoch
            program.
        devices: how many trained.
        settings: everything that was asked for, by name.
        listed: configurations, where no space was searched.
        rates: what was assumed of the machine.
        halvings: how often tiles were halved because a device had no memory left.
        added: configurations of each round that was added later; they are among `num_configs`.
        lengthened: when epochs were added: how many each trial has since, how many rounds there were, and whether a
            winner had been judged. Rounds up to then train on; `num_epochs` is the last of them.
        x64: whether JAX computed in float64.
        architecture: what a file holds of the architecture that was trained; None is the MLP.
    """

    space: dict[str, dict[str, Any]] | None
    num_configs: int
    num_epochs: int
    sampler: str
    num_rounds: int
    enqueued: int
    scheduler: str
    rungs: list[dict[str, Any]]
    patience: int | None
    replicates: int
    folds: int
    time_budget: float | None
    target_score: float | None
    seed: int
    valid_fraction: float
    test_fraction: float
    class_weight: Any
    source: str | None
    test_source: str | None
    reading: dict[str, Any]
    task: str
    fingerprint: str
    versions: dict[str, str]
    device: str
    programs: list[dict[str, Any]]
    devices: int = 1
    settings: dict[str, Any] = dataclasses.field(default_factory=dict)
    listed: list[dict[str, Any]] | None = None
    rates: dict[str, Any] = dataclasses.field(default_factory=dict)
    halvings: int = 0
    added: list[int] = dataclasses.field(default_factory=list)
    lengthened: list[dict[str, Any]] = dataclasses.field(default_factory=list)
    x64: bool = False
    architecture: dict[str, Any] | None = None

    @property
    def precision(self) -> str:
        """Of matrix products; a record that does not say is from before there was a choice."""
        return next((program["precision"] for program in self.programs if "precision" in program), "float32")
