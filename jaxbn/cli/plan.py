"""`jaxbn plan`: what a sweep would run."""

import json

from rich.text import Text

from jaxbn.cli import board
from jaxbn.cli.experiment import Experiment, dataset_of, space_of
from jaxbn.cli.progress import display


def run(experiment: Experiment) -> int:
    """Print the plan of a sweep, and what was noticed about the data.

    Args:
        experiment: what was asked for.

    Returns:
        Exit status 0.

    Raises:
        UserError: the sweep would refuse to run.
    """
    with display(f"Starting JAX and reading {experiment.data}"):
        from jaxbn.study import run_dir
        from jaxbn.study.setup import set_up

        if experiment.out is not None:
            run_dir.check_free(experiment.out, overwrite=experiment.overwrite)
        setup = set_up(
            space_of(experiment),
            dataset_of(experiment),
            num_configs=experiment.num_configs,
            num_epochs=experiment.num_epochs,
            sampler=experiment.sampler,
            metric=experiment.metric,
            seed=experiment.seed,
            valid_fraction=experiment.valid_fraction,
            test_fraction=experiment.test_fraction,
            class_weight=experiment.class_weight,  # type: ignore[arg-type]
            keep=1,
            tile_size=None,
        )
    if experiment.json:
        record = {
            "num_trials": len(setup.configs),
            "num_programs": len(setup.plan.programs),
            "num_tiles": len(setup.plan.tiles),
            "num_train": len(setup.split.train),
            "flops": setup.plan.flops,
            "bytes": setup.plan.bytes,
            "seconds": {"compile": setup.plan.compile_seconds, "train": setup.plan.total_train_seconds},
            "notes": setup.notes,
        }
        print(json.dumps(record, allow_nan=False))
        return 0
    console = board.stdout()
    if setup.notes:
        console.print(board.notes(setup.notes), Text())
    print(setup.plan)
    console.print(Text(f"{len(setup.linear)} of the trials are the linear baseline."))
    return 0
