"""What a sweep found."""

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jaxbn.errors import UserError
from jaxbn.study.fitted import Ensemble, FittedModel

if TYPE_CHECKING:
    import polars as pl


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
        standard_error: of the winner's validation score, by the bootstrap.
        num_tied: trials, the winner included, within one standard error of it.
        baselines: to compare with.
        num_trials: rows of the table of trials.
        num_diverged: of them, how many diverged.
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
        return record

    @classmethod
    def from_json(cls, record: dict[str, Any]) -> "Summary":
        """The summary that `to_json` wrote."""
        seconds = dict(record["seconds"])
        return cls(
            **{
                **record,
                "best": Best(**record["best"]),
                "baselines": tuple(Baseline(**baseline) for baseline in record["baselines"]),
                "seconds": Seconds(seconds.pop("import"), **seconds),
                "notes": tuple(record["notes"]),
            }
        )


@dataclasses.dataclass(frozen=True)
class Request:
    """What was asked for and where it ran: enough to run it again.

    Attributes:
        space: as `Space.to_json` gives it; None where configurations were listed.
        num_configs: how many configurations.
        num_epochs: epochs of each trial.
        sampler: its name.
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
        programs: padded widths, padded batch size, optimizers and T of each epoch program.
    """

    space: dict[str, dict[str, Any]] | None
    num_configs: int
    num_epochs: int
    sampler: str
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


@dataclasses.dataclass(frozen=True, eq=False)
class Results:
    """Every trial, and the models that ranked highest.

    Attributes:
        request: what was asked for.
        trials: a row per trial, in trial order.
        curves: a row per trial and epoch.
        summary: the figures.
        models: fitted models of the highest-ranked trials, best first; only the best after `load`.
    """

    request: Request
    trials: "pl.DataFrame"
    curves: "pl.DataFrame"
    summary: Summary
    models: tuple[FittedModel, ...]

    @property
    def best(self) -> Best:
        """The winner: trial, config, validation scores."""
        return self.summary.best

    @property
    def test(self) -> dict[str, float]:
        """The winner's scores on the test split."""
        return self.summary.test

    @property
    def best_model(self) -> FittedModel:
        """The winner as it was after its last epoch."""
        return self.models[0]

    @property
    def seconds(self) -> Seconds:
        """Where time went."""
        return self.summary.seconds

    @property
    def num_train(self) -> int:
        """Training rows."""
        return self.summary.num_train

    def ensemble(self, k: int) -> Ensemble:
        """The k highest-ranked trials, predicting together.

        Raises:
            UserError: fewer models were kept.
        """
        if not 1 <= k <= len(self.models):
            raise UserError(
                f"an ensemble of {k} needs the weights of {k} trials and {len(self.models)} were kept: "
                "give a smaller k, or a larger keep to sweep (a run read from its folder keeps the best alone)"
            )
        return Ensemble(self.models[:k])

    def leaderboard(self, top: int = 10) -> "pl.DataFrame":
        """The highest-ranked trials, best first: ties by validation loss, then number; diverged ones last."""
        import polars as pl

        score = f"valid_{self.summary.metric}"
        failed = (pl.col("status") == "diverged") | pl.col(score).is_null()
        ranked = self.trials.sort(
            [failed, pl.col(score), pl.col("valid_loss"), pl.col("trial")],
            descending=[False, self.summary.greater_is_better, False, False],
            nulls_last=True,
        )
        return ranked.head(top)

    def save(self, folder: str | Path, *, overwrite: bool = False) -> None:
        """Write the run directory; see `jaxbn.study.run_dir`."""
        from jaxbn.study.run_dir import save

        save(self, folder, overwrite=overwrite)

    @classmethod
    def load(cls, folder: str | Path) -> "Results":
        """Read a run directory.

        Raises:
            UserError: it is not there, not whole, or of another version.
        """
        from jaxbn.study.run_dir import load

        return load(folder)
