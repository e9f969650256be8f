"""`jaxbn plan`: what a sweep would run."""

import json

from rich.text import Text

from jaxbn.cli import board
from jaxbn.cli.experiment import Experiment, dataset_of, settings_of, space_of
from jaxbn.study.progress import display


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
        from jaxbn.engine.cache import keep_programs
        from jaxbn.study import run_dir
        from jaxbn.study.settle import set_up

        if experiment.out is not None:
            run_dir.check_free(experiment.out, overwrite=experiment.overwrite)
        # The plan is that of a sweep on this machine, whose speed is measured once.
        keep_programs()
        setup = set_up(space_of(experiment), dataset_of(experiment), settings_of(experiment))
    if experiment.json:
        record = {
            "num_trials": setup.settings.num_configs * setup.settings.repeats,
            "num_programs": len(setup.plan.programs),
            "num_tiles": len(setup.plan.tiles),
            "num_train": setup.plan.num_rows[0],
            "rungs": [{"epochs": rung.epochs, "survivors": rung.survivors} for rung in setup.plan.rungs],
            "flops": setup.plan.flops,
            "bytes": setup.plan.bytes,
            "host_bytes": setup.plan.host_bytes,
            "kept_bytes": setup.plan.kept_bytes,
            "seconds": {"compile": setup.plan.compile_seconds, "train": setup.plan.total_train_seconds},
            "notes": setup.notes,
        }
        print(json.dumps(record, allow_nan=False))
        return 0
    console = board.stdout()
    if setup.notes:
        console.print(board.notes(setup.notes), Text())
    print(setup.plan)
    rounds = f"The sampler is asked in {len(setup.rounds)} rounds; " if len(setup.rounds) > 1 else ""
    linear = len(setup.linear) * setup.settings.repeats
    console.print(Text(f"{rounds}{linear} of the trials are the linear baseline."))
    return 0
