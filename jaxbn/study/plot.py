"""Pictures of a finished sweep: `results.plot.<name>()`, each on axes that are given or new, and returning them."""

import collections
import dataclasses
from typing import TYPE_CHECKING, Any

import numpy as np

from jaxbn.data import split_rows
from jaxbn.data.preprocess import transform
from jaxbn.data.table import Table, columns_of
from jaxbn.errors import UserError, unknown
from jaxbn.search import Space
from jaxbn.study.efficiency import efficiency
from jaxbn.study.importance import importance
from jaxbn.study.per_config import declared
from jaxbn.study.retrain import dataset_of
from jaxbn.study.score import choose_metrics

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from jaxbn.study.fitted import FittedModel
    from jaxbn.study.results import Results


@dataclasses.dataclass(frozen=True, eq=False)
class Plots:
    """The pictures; all need matplotlib, the extra `plots`, and raise `UserError` where there is nothing to draw.

    Attributes:
        results: what they are of.
    """

    results: "Results"

    def learning_curves(self, *, metric: str | None = None, ax: "Axes | None" = None) -> "Axes":
        """Every learning curve, their middle and the best; see `jaxbn.plots.learning_curves`."""
        from jaxbn.plots.learning_curves import learning_curves

        return learning_curves(
            self.results.curves, self.results.trials, **self._score(metric), best=self._best(metric), ax=ax
        )

    def response(self, *names: str, metric: str | None = None, axes: Any = None) -> np.ndarray:
        """The score against each hyperparameter, or those named; see `jaxbn.plots.response`."""
        from jaxbn.plots.response import response

        named = {"names": names or None, "best": self._best(metric)}
        return response(self.results.trials, self._space, **self._score(metric), **named, axes=axes)

    def pairs(self, *names: str, metric: str | None = None, axes: Any = None) -> np.ndarray:
        """The score over each two of the hyperparameters named; see `jaxbn.plots.pairs`.

        Without names those of the three most important, for which it needs the extra `optuna`.
        """
        from jaxbn.plots.pairs import pairs

        chosen = names or tuple(importance(self.results))[:3]
        best = self._best(metric)
        return pairs(self.results.trials, chosen, self._space, **self._score(metric), best=best, axes=axes)

    def parallel(self, *names: str, metric: str | None = None, ax: "Axes | None" = None) -> "Axes":
        """Parallel coordinates of all hyperparameters searched, or those named; see `jaxbn.plots.parallel`."""
        from jaxbn.plots.parallel import parallel

        named = {"names": names or None, "best": self._best(metric)}
        return parallel(self.results.trials, self._space, **self._score(metric), **named, ax=ax)

    def importance(self, *methods: str, ax: "Axes | None" = None) -> "Axes":
        """A bar for each hyperparameter, by the methods named or by PED-ANOVA; see `jaxbn.study.importance`.

        It needs the extra `optuna`.
        """
        from jaxbn.plots.importance import importance as draw

        return draw({method: importance(self.results, method=method) for method in methods or ("ped_anova",)}, ax=ax)

    def random_against_grid(
        self,
        grid: "Results",
        *,
        x: str = "learning_rate",
        y: str = "eps",
        metric: str | None = None,
        axes: Any = None,
    ) -> np.ndarray:
        """These random trials beside those of a grid over the same space; see `jaxbn.plots.random_against_grid`."""
        from jaxbn.plots.random_against_grid import random_against_grid

        return random_against_grid(
            grid.trials, self.results.trials, self._space, **self._score(metric), x=x, y=y, axes=axes
        )

    def rounds(
        self,
        x: str = "learning_rate",
        y: str = "hidden_units",
        *,
        metric: str | None = None,
        ax: "Axes | None" = None,
    ) -> "Axes":
        """Where each round looked, in the plane of two hyperparameters; see `jaxbn.plots.rounds`."""
        from jaxbn.plots.rounds import rounds

        best = self._best(metric)
        return rounds(self.results.trials, x, y, self._space, **self._score(metric), best=best, ax=ax)

    def rungs(self, *, metric: str | None = None, axes: Any = None) -> np.ndarray:
        """Who trained on from rung to rung, and by which scores; see `jaxbn.plots.rungs`."""
        from jaxbn.plots.rungs import rungs

        return rungs(self.results.trials, self.results.curves, **self._score(metric), axes=axes)

    def lineage(self, name: str = "learning_rate", *, ax: "Axes | None" = None) -> "Axes":
        """What each member of population-based training lived, and from whom it came; see `jaxbn.plots.lineage`."""
        from jaxbn.plots.lineage import lineage

        return lineage(self.results.lineage, self.results.trials, name, self._space, ax=ax)

    def efficiency(self, *, ax: "Axes | None" = None) -> "Axes":
        """What smaller searches would have found; see `jaxbn.study.efficiency`."""
        from jaxbn.plots.efficiency import efficiency as draw

        curve = efficiency(self.results)
        return draw(curve.sizes, curve.mean, curve.low, curve.high, metric=curve.metric, ax=ax)

    def calibration(self, *, data: Any = None, num_bins: int = 10, axes: Any = None) -> np.ndarray:
        """Whether the best model is right as often as it says, on the test split; see `jaxbn.plots.calibration`.

        Args:
            data: the data of the sweep, where they cannot be read from where the sweep read them.
            num_bins: of the probability of the predicted class.
            axes: two axes; None makes a figure.
        """
        from jaxbn.plots.calibration import calibration

        return calibration(*self._judged(data), num_bins=num_bins, axes=axes)

    def confusion(self, *, data: Any = None, ax: "Axes | None" = None) -> "Axes":
        """Which classes the best model takes for which, on the test split; see `jaxbn.plots.confusion`."""
        from jaxbn.plots.confusion import confusion

        return confusion(*self._judged(data), ax=ax)

    def boundary(
        self, x: str | None = None, y: str | None = None, *, data: Any = None, ax: "Axes | None" = None
    ) -> "Axes":
        """Where the best model decides for which class, over two numeric features; see `jaxbn.plots.boundary`.

        All other features are held at their median, or their most frequent category; the points are the test rows,
        wherever they lie in the other features.

        Args:
            x: the feature across; None is the first numeric one.
            y: the feature upwards; None is the first numeric one that is not x.
            data: as in `calibration`.
            ax: axes to draw on; None makes a figure.

        Raises:
            UserError: no such feature, or the data cannot be read again.
        """
        from jaxbn.plots.boundary import boundary

        model = self._classifier
        table, codes = self._test_rows(data)
        names = [column.name for column in columns_of(table.columns, "numeric")]
        across = x or next(iter(names), None)
        up = y or next((name for name in names if name != across), None)
        for name in (across, up):
            if name not in names:
                raise unknown("numeric feature", name, names)
        at = [names.index(str(name)) for name in (across, up)]
        usual = [collections.Counter(column).most_common(1)[0][0] for column in table.categorical.T]

        def predict_proba(points: np.ndarray) -> np.ndarray:
            numeric = np.tile(model.preprocessor.median, (len(points), 1))
            numeric[:, at] = points
            categorical = np.empty((len(points), len(usual)), object)
            categorical[:] = usual
            rows = Table(table.columns, numeric, categorical)
            return model.probabilities(model.outputs(transform(model.preprocessor, rows)))

        points = table.numeric[:, at]
        return boundary(predict_proba, points, codes, model.classes, names=(str(across), str(up)), ax=ax)

    def _score(self, metric: str | None) -> dict[str, Any]:
        """A metric and its direction, as pictures take them; None is the one that ranks.

        Raises:
            UserError: the task has no such metric.
        """
        summary = self.results.summary
        if metric in (None, summary.metric):
            return {"metric": summary.metric, "greater_is_better": summary.greater_is_better}
        metrics, place = choose_metrics(metric, summary.task)
        return {"metric": metric, "greater_is_better": metrics[place].greater_is_better}

    def _best(self, metric: str | None) -> int | None:
        """The trial to highlight: the winner, unless another metric than the one that ranked is drawn."""
        summary = self.results.summary
        return summary.best.trial if metric in (None, summary.metric) else None

    @property
    def _space(self) -> Space:
        return declared(self.results)

    @property
    def _classifier(self) -> "FittedModel":
        model = self.results.best_model
        if model.task != "classification":
            raise UserError(f"the sweep predicts the number {model.target_name!r}: this picture is for classes")
        return model

    def _test_rows(self, data: Any) -> tuple[Table, np.ndarray]:
        """The features of the test split and what is true of them: no trial was chosen by these rows."""
        dataset, request = dataset_of(self.results, data), self.results.request
        if dataset.test is not None:
            return dataset.test.features, dataset.test.target
        split, _ = split_rows(
            dataset,
            seed=request.seed,
            valid_fraction=request.valid_fraction,
            test_fraction=request.test_fraction,
        )
        return dataset.features.take(split.test), dataset.target[split.test]

    def _judged(self, data: Any) -> tuple[np.ndarray, np.ndarray, tuple[Any, ...]]:
        """True codes [N], probabilities [N, C] and classes of the best model on the test split."""
        model = self._classifier
        table, codes = self._test_rows(data)
        outputs = model.outputs(transform(model.preprocessor, table))
        return codes, model.probabilities(outputs), model.classes
