"""Everything that a report says, as plain values: what the page's script makes sections of."""

import dataclasses
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jaxbn.errors import UserError
from jaxbn.report.recipe import recipe
from jaxbn.report.trials import columns, curves, plain, searched, takeovers
from jaxbn.search import table_of

if TYPE_CHECKING:
    from jaxbn.study.results import Results

RUNNERS = 10
"""Configurations that are compared, the winner included."""


def content(results: "Results", name: str) -> dict[str, Any]:
    """The report of a sweep.

    Args:
        results: of the sweep.
        name: what to call it.

    Returns:
        Strict JSON: no number in it is NaN or infinite.
    """
    request, summary = results.request, results.summary
    return {
        "name": name,
        "metric": summary.metric,
        "greater": summary.greater_is_better,
        "data": _data(results),
        "counts": {
            "trials": summary.num_trials,
            "configs": summary.num_trials // (request.replicates * request.folds),
            "replicates": request.replicates,
            "folds": request.folds,
            "diverged": summary.num_diverged,
            "pruned": summary.num_pruned,
            "stopped": summary.num_stopped,
            "epochs": summary.num_epochs,
        },
        "winner": _winner(results),
        "baselines": [_plain(dataclasses.asdict(baseline)) for baseline in summary.baselines],
        "notes": list(summary.notes),
        "runners": _runners(results),
        "importance": _importance(results),
        "plan": _plan(results),
        "recipe": dataclasses.asdict(recipe(request)),
        "versions": request.versions,
        "columns": columns(results),
        "curves": curves(results),
        "takeovers": takeovers(results),
    }


def _data(results: "Results") -> dict[str, Any]:
    request, model = results.request, results.best_model
    source = request.source
    return {
        "name": "arrays or a data frame" if source is None else Path(source).name or source,
        "task": request.task,
        "target": model.target_name,
        "features": [column.name for column in model.preprocessor.columns],
        "classes": [str(one) for one in model.classes],
        "rows": [results.summary.num_train, results.summary.num_valid, results.summary.num_test],
        "fingerprint": request.fingerprint,
    }


def _winner(results: "Results") -> dict[str, Any]:
    summary, chosen, table = results.summary, searched(results), table_of(results.architecture)
    return {
        "trial": summary.best.trial,
        "validation": _plain(summary.best.validation),
        "test": _plain(summary.test),
        "error": plain(summary.standard_error),
        "tied": summary.num_tied,
        "config": [
            {"name": name, "value": _text(value), "doc": table[name].doc, "searched": name in chosen}
            for name, value in summary.best.config.items()
        ],
    }


def _runners(results: "Results") -> dict[str, Any]:
    """The highest-ranked configurations; behind the winner by how much, where that can be told from chance."""
    metric, repeats = results.summary.metric, results.request.replicates * results.request.folds
    rows = results.leaderboard(RUNNERS).to_dicts()
    errors = {row["config"]: row.get(f"valid_{metric}_se") for row in rows}
    if repeats == 1:
        errors[rows[0]["config"]] = results.summary.standard_error
    behind = {} if repeats == 1 else {one.config: _plain(vars(one)) for one in results.compare(RUNNERS)}
    return {
        "rows": [
            {
                "config": row["config"],
                "trial": row["trial"],
                "status": row["status"],
                # What diverged has no score, though its last number may be finite.
                "score": None if row["status"] == "diverged" else plain(row[f"valid_{metric}"]),
                "loss": None if row["status"] == "diverged" else plain(row["valid_loss"]),
                "error": plain(errors[row["config"]]),
                "behind": behind.get(row["config"]),
            }
            for row in rows
        ],
        "paired": repeats > 1,
    }


def _importance(results: "Results") -> dict[str, Any]:
    try:
        shares = results.importance()
    except UserError as error:
        return {"shares": [], "absent": str(error)}
    known = [[name, plain(share)] for name, share in shares.items() if math.isfinite(share)]
    return {"shares": known, "absent": None if known else "no hyperparameter was searched"}


def _plan(results: "Results") -> dict[str, Any]:
    request, summary = results.request, results.summary
    return {
        "programs": request.programs,
        "compiled": summary.num_programs,
        "sampler": request.sampler,
        "rounds": request.num_rounds,
        "enqueued": request.enqueued,
        "scheduler": request.scheduler,
        "rungs": request.rungs,
        "extended": bool(request.added or request.lengthened),
        "epochs": request.num_epochs,
        "patience": request.patience,
        "seconds": _plain(summary.seconds.to_json()),
        "device": request.device,
        "devices": request.devices,
        "precision": request.precision,
        "x64": request.x64,
        "halvings": request.halvings,
        "seed": request.seed,
    }


def _plain(values: dict[str, Any]) -> dict[str, Any]:
    return {name: _plain(value) if isinstance(value, dict) else plain(value) for name, value in values.items()}


def _text(value: Any) -> Any:
    """Layers of unlike width as the table of trials writes them."""
    return "-".join(map(str, value)) if isinstance(value, tuple) else plain(value)
