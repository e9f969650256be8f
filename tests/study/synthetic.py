"""Results of sweeps that never ran: random configurations, with scores that a function gives."""

from types import SimpleNamespace

import numpy as np
import polars as pl

from jaxbn.search import HYPERPARAMETERS, propose


def sweep(
    space,
    score,
    *,
    configs=None,
    num_configs=200,
    num_epochs=1,
    replicates=1,
    greater_is_better=True,
    status=lambda config, score: "ok",
    sampler="random",
    enqueued=0,
    seed=0,
):
    """What `Results` would hold if `score(config, rng)` were the last epoch's; curves rise or fall to it."""
    rng = np.random.default_rng(seed)
    listed = configs is not None
    configs = configs if listed else propose.random(seed, space, None, num_configs)
    rows = [config.row() for config in configs for _ in range(replicates)]
    scores = np.array([score(config, rng) for config in configs for _ in range(replicates)], float)
    statuses = [
        status(config, s) for config, s in zip(np.repeat(np.array(configs, object), replicates), scores, strict=True)
    ]
    failed = np.array([s == "diverged" for s in statuses])
    n = len(rows)
    columns = {}
    for name, row in HYPERPARAMETERS.items():
        values = [r[name] for r in rows]
        if any(isinstance(value, tuple) for value in values):
            values = ["-".join(map(str, v)) if isinstance(v, tuple) else v and str(v) for v in values]
        text = row.kind is str or any(isinstance(value, str) for value in values)
        columns[name] = pl.Series(
            name, values, dtype=pl.String if text else pl.Int64 if row.kind is int else pl.Float64
        )
    trials = pl.DataFrame(
        {
            "trial": np.arange(n),
            "config": np.arange(n) // replicates,
            "replicate": np.arange(n) % replicates,
            "fold": np.zeros(n, int),
            "round": np.zeros(n, int),
            "bracket": np.zeros(n, int),
            **columns,
            "status": statuses,
            "epochs": np.full(n, num_epochs),
            "valid_loss": -scores if greater_is_better else scores,
            "valid_accuracy": [None if bad else float(s) for bad, s in zip(failed, scores, strict=True)],
            "train_seconds": np.ones(n),
        }
    )
    ramp = np.arange(1, num_epochs + 1) / num_epochs
    curves = pl.DataFrame(
        {
            "trial": np.repeat(np.arange(n), num_epochs),
            "epoch": np.tile(np.arange(num_epochs) + 1, n),
            "valid_accuracy": (np.where(failed, np.nan, scores)[:, None] * ramp).ravel(),
        }
    )
    order = np.argsort(np.where(failed, np.inf, -scores if greater_is_better else scores), kind="stable")
    return SimpleNamespace(
        request=SimpleNamespace(space=None if listed else space.to_json(), sampler=sampler, enqueued=enqueued),
        summary=SimpleNamespace(metric="accuracy", greater_is_better=greater_is_better),
        best=SimpleNamespace(trial=int(order[0])),
        architecture=None,
        trials=trials,
        curves=curves,
    )
