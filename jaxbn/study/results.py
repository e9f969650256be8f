"""What a sweep found."""

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jaxbn.errors import UserError, unknown
from jaxbn.nn.types import Architecture
from jaxbn.study import overview, run_dir
from jaxbn.study.compare import Difference, blocks
from jaxbn.study.fitted import Ensemble, FittedModel
from jaxbn.study.per_config import columns_of
from jaxbn.study.records import DIGITS
from jaxbn.study.summary import Best, Request, Seconds, Summary
from jaxbn.study.tables import as_pandas, write_csv

if TYPE_CHECKING:
    import pandas as pd
    import polars as pl
    from optuna import Study

    from jaxbn.study.efficiency import Efficiency
    from jaxbn.study.plot import Plots

TABLES = ("trials", "curves", "lineage")


@dataclasses.dataclass(frozen=True, eq=False)
class Results:
    """Every trial, and the models that ranked highest.

    Attributes:
        request: what was asked for.
        trials: a row per trial, in trial order.
        curves: a row per trial and epoch.
        lineage: a row for each trial and epoch from which it went on with a state and hyperparameters; none unless
            hyperparameters changed while training.
        summary: the figures.
        models: fitted models of the highest-ranked trials, best first; only the best after `load`.
        architecture: what was trained instead of an MLP.
    """

    request: Request
    trials: "pl.DataFrame"
    curves: "pl.DataFrame"
    lineage: "pl.DataFrame"
    summary: Summary
    models: tuple[FittedModel, ...]
    architecture: Architecture | None = None

    def __repr__(self) -> str:
        return overview.as_text(self)

    def _repr_html_(self) -> str:
        return overview.as_html(self)

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

    def compare(self, top: int = 5) -> list[Difference]:
        """Which of the `top` configurations the winner really beats; see `jaxbn.study.compare`.

        Raises:
            UserError: each configuration was trained once.
        """
        from jaxbn.study.compare import compare

        return compare(self, top)

    def importance(self, *, method: str = "ped_anova", seed: int = 0) -> dict[str, float]:
        """How much each hyperparameter mattered, most first; see `jaxbn.study.importance`.

        Raises:
            UserError: Optuna is not installed, or there are too few configurations.
        """
        from jaxbn.study.importance import importance

        return importance(self, method=method, seed=seed)

    def efficiency(self) -> "Efficiency":
        """The best score of s random configurations, for s up to all; see `jaxbn.study.efficiency`."""
        from jaxbn.study.efficiency import efficiency

        return efficiency(self)

    @property
    def plot(self) -> "Plots":
        """Pictures of the sweep; needs matplotlib."""
        from jaxbn.study.plot import Plots

        return Plots(self)

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
        """The highest-ranked configurations, best first: ties by validation loss, then number.

        Those that a scheduler stopped come after those that trained to their end, those that diverged last. Where each
        has several trials, there is a row for each configuration: its scores are means, null where a trial has none,
        and `valid_<metric>_se` is the standard error of the one that ranks, over replicates; with folds, over folds.
        """
        import polars as pl

        score = f"valid_{self.summary.metric}"
        table, ranks_by = self.trials, pl.col(score)
        if self.request.replicates * self.request.folds > 1:
            table, ranks_by = self._per_config(score), pl.col(score).round_sig_figs(DIGITS)
        failed = (pl.col("status") == "diverged") | pl.col(score).is_null()
        ranked = table.sort(
            [failed, pl.col("status") == "pruned", ranks_by, pl.col("valid_loss"), pl.col("trial")],
            descending=[False, False, self.summary.greater_is_better, False, False],
            nulls_last=True,
        )
        return ranked.head(top)

    def _per_config(self, score: str) -> "pl.DataFrame":
        import polars as pl

        means = [name for name in self.trials.columns if name == "train_loss" or name.startswith("valid_")]
        status = pl.col("status")
        counted = blocks(self.trials, score, self.request.folds).group_by("config")
        # The standard deviation of polars skips nulls, which would make up an error of scores that are not there.
        error = pl.when(pl.col(score).null_count() == 0).then(pl.col(score).std() / pl.len().sqrt())
        table = self.trials.group_by("config", maintain_order=True).agg(
            pl.col("trial").first(),
            *(pl.col(name).first() for name in self.trials.columns if name in columns_of(self.architecture)),
            pl.when((status == "diverged").any()).then(pl.lit("diverged")).otherwise(status.first()).alias("status"),
            pl.col("epochs").min(),
            # A mean of those that did not fail would let a configuration win by failing.
            *(pl.when(pl.col(name).null_count() == 0).then(pl.col(name).mean()).alias(name) for name in means),
            pl.col("train_seconds").sum(),
        )
        errors = counted.agg(error.alias(f"{score}_se"))
        return table.join(errors, on="config", how="left", maintain_order="left")

    def to_pandas(self, table: str = "trials") -> "pd.DataFrame":
        """The trials, or the curves or the lineage, as a data frame of pandas.

        Raises:
            UserError: pandas is not installed, or there is no such table.
        """
        return as_pandas(self._table(table))

    def to_csv(self, path: str | Path, table: str = "trials", *, overwrite: bool = False) -> None:
        """Write the trials, or the curves or the lineage, as CSV; nothing in it is a formula to a spreadsheet.

        Raises:
            UserError: there is no such table, the file exists, or it cannot be written.
        """
        write_csv(self._table(table), path, overwrite=overwrite)

    def to_optuna(self, *, storage: Any = None, name: str = "jaxbn") -> "Study":
        """The sweep as a study that Optuna's plots and reports read; see `jaxbn.study.optuna_study.to_study`.

        Raises:
            UserError: Optuna is not installed, or the storage holds a study of that name.
        """
        from jaxbn.study.optuna_study import to_study

        return to_study(self, storage=storage, name=name)

    def _table(self, name: str) -> "pl.DataFrame":
        if name not in TABLES:
            raise unknown("table", name, TABLES)
        return getattr(self, name)

    def save(self, folder: str | Path, *, overwrite: bool = False) -> None:
        """Write the run directory, whole or not at all; see `jaxbn.study.run_dir`.

        Raises:
            UserError: the folder exists, or cannot be written.
        """
        run_dir.save(folder, self.run(), overwrite=overwrite)

    def run(self) -> run_dir.Run:
        """What a run directory holds of it."""
        return run_dir.Run(self.request, self.summary, self.trials, self.curves, self.lineage, self.best_model)

    @classmethod
    def load(cls, folder: str | Path, *, architecture: Architecture | None = None) -> "Results":
        """Read a run directory.

        Args:
            folder: where it is.
            architecture: what the run trained, where that is no MLP: no file holds its code, and without it there are
                all tables and figures, but no prediction.

        Raises:
            UserError: it is not there, not whole, of another version, or of another architecture.
        """
        run = run_dir.load(folder, architecture)
        model = run.best_model
        return cls(run.request, run.trials, run.curves, run.lineage, run.summary, (model,), model.config.architecture)
