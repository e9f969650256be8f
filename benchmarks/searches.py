"""The searches that `benchmarks.time_to_best` compares, each in a process of its own and as a good practitioner has it.

All score by validation accuracy on the same rows. What they share of the space is the same: jaxbn's default space with
batch normalisation; Optuna and torch search all of it; scikit-learn's networks know neither batch normalisation nor a
decay of the learning rate that adam shares. The rivals never import jaxbn or jax, and read rows that are ready.

    python -m benchmarks.searches JOB        (a `Job` as JSON; `benchmarks.time_to_best` writes it)
"""

import json
import math
import multiprocessing
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

FACTOR = 3
NUM_ROUNDS = 8
"""Of jaxbn's searches that learn from one round to the next."""

LOG2_BATCH_SIZE = (5, 8)
HIDDEN_UNITS = (16, 256)
NUM_LAYERS = (1, 3)
LEARNING_RATE = (1e-4, 1.0)
EPS = (1e-10, 1e-4)
LEARNING_RATE_DECAY = (1e-3, 10.0)
ONE_MINUS_MOMENTUM = (1e-3, 0.1)
ONE_MINUS_B1 = (0.01, 0.2)
ONE_MINUS_B2 = (1e-4, 0.1)


@dataclass(frozen=True)
class Job:
    """What a search has to do.

    Attributes:
        search: its name in `SEARCHES`.
        data: the name of the data set, which jaxbn reads for itself.
        rows: an .npz file with x_train, y_train, x_valid, y_valid, for the others.
        seed: of the split and of the search.
        num_configs: how many configurations, where that is settled beforehand.
        num_epochs: the most that one may train.
        cores: how many processes or threads.
        began: when the process was asked for, by `time.monotonic`, which all processes share.
        folder: an empty folder of its own.
        kept: a folder in which jaxbn keeps compiled programs, as its command line does; None keeps none.
    """

    search: str
    data: str
    rows: str
    seed: int
    num_configs: int
    num_epochs: int
    cores: int
    began: float
    folder: str
    kept: str | None = None


@dataclass(frozen=True)
class Record:
    """Appends scores to a file that several processes write: seconds since the start, score, epochs it stands for."""

    path: str
    began: float

    def __call__(self, score: float, epochs: int) -> None:
        with open(self.path, "a") as file:
            file.write(f"{time.monotonic() - self.began:.4f} {score:.6f} {epochs}\n")


def record_of(job: Job) -> Record:
    """Where the scores of a job go."""
    return Record(str(Path(job.folder) / "scores.txt"), job.began)


def jaxbn_sweep(job: Job, scheduler: str, sampler: str = "random", num_rounds: int | None = None) -> None:
    """`jaxbn.sweep`, as anybody would call it. Reading and splitting the data is inside its time."""
    import jaxbn
    from jaxbn.engine.run import TileEpoch
    from jaxbn.study.setup import Setup

    if job.kept is not None:
        from jaxbn.engine.cache import keep_programs

        keep_programs(job.kept)
    record, ranks = record_of(job), []

    def settled(setup: Setup) -> None:
        ranks.append(setup.rank_by)

    def listen(event: object) -> None:
        # Trials beyond the configurations are the linear baseline.
        if isinstance(event, TileEpoch) and event.trials[0] < job.num_configs:
            scores = event.scores[~event.diverged, ranks[0]]
            if scores.size:
                record(float(scores.max()), scores.size)

    jaxbn.sweep(
        jaxbn.Space.default(),
        job.data,
        num_configs=job.num_configs,
        num_epochs=job.num_epochs,
        sampler=sampler,
        num_rounds=num_rounds,
        scheduler=scheduler,
        factor=FACTOR,
        seed=job.seed,
        on_start=settled,
        on_event=listen,
    )


def optuna_torch(job: Job) -> None:
    """Optuna's TPE with its Hyperband pruner over torch, a process for each core, until it is stopped.

    The processes share a journal, in a folder that lies in memory where the machine has one.
    """
    context = multiprocessing.get_context("spawn")
    for number in range(1, job.cores):
        context.Process(target=_optuna_worker, args=(job, number), daemon=True).start()
    _optuna_worker(job, 0)


def _optuna_worker(job: Job, number: int) -> None:
    import optuna
    import torch  # pyright: ignore[reportMissingImports]
    from optuna.storages.journal import JournalFileBackend, JournalFileOpenLock, JournalStorage

    torch.set_num_threads(1)  # a process for each core
    torch.set_flush_denormal(True)
    torch.manual_seed(job.seed * job.cores + number)
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    with np.load(job.rows) as rows:
        x, y = torch.from_numpy(rows["x_train"]), torch.from_numpy(rows["y_train"]).long()
        x_valid, y_valid = torch.from_numpy(rows["x_valid"]), torch.from_numpy(rows["y_valid"]).long()
    num_classes, record = int(y.max()) + 1, record_of(job)
    loss_fn = torch.nn.functional.cross_entropy

    def objective(trial: optuna.Trial) -> float:
        learning_rate = trial.suggest_float("learning_rate", *LEARNING_RATE, log=True)
        decay = trial.suggest_float("learning_rate_decay", *LEARNING_RATE_DECAY, log=True)
        # Exponents, so that TPE knows their order.
        batch_size = 2 ** trial.suggest_int("log2_batch_size", *LOG2_BATCH_SIZE)
        width = trial.suggest_int("hidden_units", *HIDDEN_UNITS, log=True)
        layers, inputs = [], x.shape[1]
        for _ in range(trial.suggest_int("num_layers", *NUM_LAYERS)):
            linear = torch.nn.Linear(inputs, width, bias=False)
            torch.nn.init.kaiming_normal_(linear.weight, nonlinearity="relu")
            layers += [linear, torch.nn.BatchNorm1d(width), torch.nn.ReLU()]
            inputs = width
        model = torch.nn.Sequential(*layers, torch.nn.Linear(inputs, num_classes))
        # The fused kernels are the fastest on a CPU, and not the default.
        if trial.suggest_categorical("optimizer", ["momentum", "adam"]) == "adam":
            b1 = 1 - trial.suggest_float("one_minus_b1", *ONE_MINUS_B1, log=True)
            b2 = 1 - trial.suggest_float("one_minus_b2", *ONE_MINUS_B2, log=True)
            eps = trial.suggest_float("eps", *EPS, log=True)
            optimizer = torch.optim.Adam(model.parameters(), lr=learning_rate, betas=(b1, b2), eps=eps, fused=True)
        else:
            beta = 1 - trial.suggest_float("one_minus_momentum", *ONE_MINUS_MOMENTUM, log=True)
            optimizer = torch.optim.SGD(model.parameters(), lr=learning_rate, momentum=beta, fused=True)

        score = 0.0
        for epoch in range(job.num_epochs):
            for group in optimizer.param_groups:
                group["lr"] = learning_rate / (1 + decay * epoch)
            order = torch.randperm(len(x))
            model.train()
            # Rows are gathered once; mini-batches are views of them.
            for inputs_b, targets_b in zip(x[order].split(batch_size), y[order].split(batch_size), strict=True):
                optimizer.zero_grad()
                loss_fn(model(inputs_b), targets_b).backward()
                optimizer.step()
            model.eval()
            with torch.inference_mode():
                logits = model(x_valid)
                score = float((logits.argmax(dim=1) == y_valid).float().mean())
                diverged = not bool(torch.isfinite(logits).all())
            if not diverged:
                record(score, 1)
            trial.report(score, epoch + 1)
            if diverged or trial.should_prune():
                raise optuna.TrialPruned
        return score

    journal = str(Path(job.folder) / "journal.log")
    study = optuna.create_study(
        storage=JournalStorage(JournalFileBackend(journal, lock_obj=JournalFileOpenLock(journal))),
        study_name=f"seed-{job.seed}",
        load_if_exists=True,
        direction="maximize",
        sampler=optuna.samplers.TPESampler(seed=job.seed * job.cores + number),
        pruner=optuna.pruners.HyperbandPruner(min_resource=1, max_resource=job.num_epochs, reduction_factor=FACTOR),
    )
    study.optimize(objective)


@dataclass(frozen=True)
class OneMinusLog:
    """A distribution of scikit-learn's kind: 1 - value uniform in its exponent."""

    low: float
    high: float

    def rvs(self, random_state: np.random.RandomState) -> float:
        return 1 - math.exp(random_state.uniform(math.log(self.low), math.log(self.high)))


@dataclass(frozen=True)
class Widths:
    """A distribution of scikit-learn's kind: a number of layers, all of one width that is uniform in its exponent."""

    def rvs(self, random_state: np.random.RandomState) -> tuple[int, ...]:
        low, high = math.log(HIDDEN_UNITS[0]), math.log(HIDDEN_UNITS[1] + 1)
        width = min(int(math.exp(random_state.uniform(low, high))), HIDDEN_UNITS[1])
        return (width,) * int(random_state.randint(NUM_LAYERS[0], NUM_LAYERS[1] + 1))


@dataclass(frozen=True)
class Scorer:
    """Accuracy, noted when it is taken, whichever process does."""

    record: Record

    def __call__(self, estimator: Any, x: np.ndarray, y: np.ndarray) -> float:
        score = float(estimator.score(x, y))
        self.record(score, estimator.n_iter_)
        return score


def sklearn_halving(job: Job) -> None:
    """scikit-learn's HalvingRandomSearchCV over MLPClassifier, a process for each core.

    It begins every rung anew, and a network without batch normalisation is cheaper. Where a fit fails (the weights are
    not finite any more) the score is NaN, which ranks last.
    """
    from scipy.stats import loguniform
    from sklearn.experimental import enable_halving_search_cv  # noqa: F401
    from sklearn.model_selection import (
        HalvingRandomSearchCV,  # pyright: ignore[reportAttributeAccessIssue]
        PredefinedSplit,
    )
    from sklearn.neural_network import MLPClassifier

    with np.load(job.rows) as rows:
        x = np.concatenate([rows["x_train"], rows["x_valid"]])
        y = np.concatenate([rows["y_train"], rows["y_valid"]])
        part = np.repeat([-1, 0], [len(rows["y_train"]), len(rows["y_valid"])])
    both = {
        "learning_rate_init": loguniform(*LEARNING_RATE),
        "batch_size": [32, 64, 128, 256],
        "hidden_layer_sizes": Widths(),
    }
    momentum = {"solver": ["sgd"], "nesterovs_momentum": [False], "momentum": OneMinusLog(*ONE_MINUS_MOMENTUM)}
    adam = {
        "solver": ["adam"],
        "beta_1": OneMinusLog(*ONE_MINUS_B1),
        "beta_2": OneMinusLog(*ONE_MINUS_B2),
        "epsilon": loguniform(*EPS),
    }
    search: Any = HalvingRandomSearchCV  # its annotations are narrower than what it takes
    search(
        MLPClassifier(random_state=job.seed),
        [both | momentum, both | adam],
        n_candidates=job.num_configs,
        factor=FACTOR,
        resource="max_iter",
        min_resources=1,
        max_resources=job.num_epochs,
        cv=PredefinedSplit(part),
        scoring=Scorer(record_of(job)),
        return_train_score=False,
        refit=False,
        random_state=job.seed,
        n_jobs=job.cores,
    ).fit(x, y)


SEARCHES = {
    "jaxbn_tpe": lambda job: jaxbn_sweep(job, "halving", "tpe", NUM_ROUNDS),
    "jaxbn_coarse_to_fine": lambda job: jaxbn_sweep(job, "halving", "coarse_to_fine", NUM_ROUNDS),
    "jaxbn_hyperband": lambda job: jaxbn_sweep(job, "hyperband"),
    "jaxbn_halving": lambda job: jaxbn_sweep(job, "halving"),
    "optuna_torch": optuna_torch,
    "sklearn_halving": sklearn_halving,
}

if __name__ == "__main__":
    asked = Job(**json.loads(sys.argv[1]))
    SEARCHES[asked.search](asked)
