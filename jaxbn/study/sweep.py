"""A sweep from the question to the results."""

import contextlib
import sys
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from jaxbn.engine.machine import workers
from jaxbn.engine.memory import check_memory
from jaxbn.engine.run import Event
from jaxbn.errors import UserError
from jaxbn.nn.types import Architecture
from jaxbn.search import Config, Space
from jaxbn.study import extend
from jaxbn.study import run_dir as directory
from jaxbn.study.clock import Clock
from jaxbn.study.conduct import conduct
from jaxbn.study.interrupt import Interrupted, Interrupts, interrupts
from jaxbn.study.keeper import keep, newest
from jaxbn.study.loop import Listener, Ranked, Resumed
from jaxbn.study.origin import Origin
from jaxbn.study.request import architecture_of, check_same, request_of, setup_of
from jaxbn.study.results import Results
from jaxbn.study.settings import Settings, settings_of
from jaxbn.study.settle import set_up, to_train
from jaxbn.study.setup import Setup
from jaxbn.study.state import SweepState
from jaxbn.study.summary import Request

Starter = Callable[[Setup], None]


def sweep(
    space: Space | Sequence[Config] | None = None,
    data: Any = "digits",
    *,
    run_dir: str | Path | None = None,
    overwrite: bool = False,
    resume: bool = False,
    on_start: Starter | None = None,
    on_event: Listener | None = None,
    import_seconds: float = 0.0,
    progress: bool = False,
    **settings: Any,
) -> Results:
    """Train a population of networks at once, each with hyperparameters of its own, and rank them.

    Args:
        space: what to search; None is the default space; a list of configurations is trained as it stands.
        data: a `Dataset`, or what `load_data` reads: a built-in name, a path, arrays, a data frame.
        run_dir: where to write the run, with checkpoints while it is not finished; None writes nothing.
        overwrite: replace a run that is there.
        resume: go on with a run that is there and not finished, and read one that is.
        on_start: called with what has been settled, before anything compiles.
        on_event: called, also from worker threads, as programs and epochs finish and configurations are ranked.
        import_seconds: time that had gone before the call.
        progress: show how far it is: a line that moves on a terminal or in a notebook, and elsewhere one now and then.
        **settings: how to search: the fields of `Settings`, such as `num_configs`, `num_epochs`, `sampler`,
            `scheduler`, `metric`, `replicates`, `folds`, `time_budget`, `seed`.

    Returns:
        Every trial, and the models that ranked highest. In a notebook that is interrupted: of what had been trained.

    Raises:
        UserError: something that was asked for cannot be done, or every trial diverged.
        Interrupted: after Ctrl-C, once the epoch under way has ended and been saved; a second one ends it at once.

    Example:
        >>> results = sweep(Space(learning_rate=0.03, hidden_units=16), "iris", num_configs=1)
        >>> results.best_model.predict([[5.1, 3.5, 1.4, 0.2]])
        array(['setosa'], dtype='<U10')
    """
    began = time.perf_counter() - import_seconds
    asked, space = settings_of(settings), to_train(space)
    if asked.keep_states and run_dir is None:
        raise UserError("keep_states keeps them in the run directory, and there is none: say where by run_dir")
    if resume and run_dir is None:
        raise UserError("there is nothing to resume without a run_dir: say where the run is written")
    with _shown(progress, on_start, on_event) as (on_start, on_event):
        if resume and run_dir is not None and Path(run_dir).exists() and not directory.abandoned(Path(run_dir)):
            check_same(directory.request_in(run_dir)[0], space, asked)
            return _resume(
                Path(run_dir),
                data,
                Clock(began, import_seconds),
                asked=asked,
                architecture=architecture_of(space),
                on_start=on_start,
                on_event=on_event,
            )
        if run_dir is not None:
            directory.check_free(run_dir, overwrite=overwrite)
        setup = set_up(space, data, asked, elapsed=import_seconds)
        check_memory(setup.plan, workers(asked.devices)[0])
        state = SweepState.fresh(setup, Clock(began, import_seconds))
        if on_start is not None:
            on_start(setup)
        # From before there is a run: what is interrupted afterwards says how to go on.
        with interrupts() as interrupted, contextlib.ExitStack() as stack:
            folder = None
            if run_dir is not None:
                folder = stack.enter_context(directory.begun(run_dir, request_of(setup), overwrite=overwrite))
            return _to_the_end(setup, state, folder, on_event, interrupted)


def resume(
    run_dir: str | Path,
    data: Any = None,
    *,
    num_configs: int | None = None,
    num_epochs: int | None = None,
    architecture: Architecture | None = None,
    devices: int | None = None,
    on_start: Starter | None = None,
    on_event: Listener | None = None,
    import_seconds: float = 0.0,
    progress: bool = False,
) -> Results:
    """Go on with a sweep that was interrupted or killed, from its newest checkpoint, or add to it.

    On the same machine the trials and curves are those of a sweep that was never interrupted, bit for bit.

    Configurations that are added are a further round; they can be added to a finished run too, whose trials stay as
    they are. Epochs are added to every trial that could train on: where the run is finished, or trials of it have come
    to their end, it must have been swept with `keep_states`. With the tile sizes and the padding of the run, trials and
    curves are those of a sweep that had so many epochs from the start and, in population-based training, decided as
    often. Where both are asked for, epochs come first.

    Args:
        run_dir: where the run is.
        data: the data of the sweep, where they cannot be read from where the sweep read them.
        num_configs: how many configurations it is to have in all; None is as many as it was begun with or given since.
        num_epochs: how many epochs each trial is to have in all; None is as many as it was begun with or given since.
        architecture: what the sweep trains, where that is no MLP: no file holds its code.
        devices: how many of the local devices train; None is as many as were asked for then.
        on_start: as for `sweep`.
        on_event: as for `sweep`.
        import_seconds: as for `sweep`.
        progress: as for `sweep`.

    Returns:
        The results; of a finished run, what it holds.

    Raises:
        UserError: there is no run, somebody else writes it, data or versions are not the same, or what is to be added
            cannot be: trials have ended whose states were not kept, a cosine decay ends where the epochs did, the
            scheduler would have stopped others, or the run ends at a time budget or a target score.
        Interrupted: as for `sweep`.

    Example:
        >>> import tempfile
        >>> run = tempfile.mkdtemp() + "/run"
        >>> space = Space(hidden_units=4, num_layers=1)
        >>> _ = sweep(space, "iris", num_configs=2, num_epochs=1, run_dir=run, keep_states=True)
        >>> len(resume(run, num_configs=3).trials)
        3
        >>> resume(run, num_epochs=2).trials["epochs"].to_list()
        [2, 2, 2]
    """
    clock = Clock(time.perf_counter() - import_seconds, import_seconds)
    with _shown(progress, on_start, on_event) as (on_start, on_event):
        return _resume(
            Path(run_dir),
            data,
            clock,
            num_configs=num_configs,
            num_epochs=num_epochs,
            architecture=architecture,
            devices=devices,
            on_start=on_start,
            on_event=on_event,
        )


def _resume(
    folder: Path,
    data: Any,
    clock: Clock,
    *,
    asked: Settings | None = None,
    num_configs: int | None = None,
    num_epochs: int | None = None,
    architecture: Architecture | None = None,
    devices: int | None = None,
    on_start: Starter | None,
    on_event: Listener | None,
) -> Results:
    there = directory.request_in(folder)[0]
    # What it has, or is about to have, is not added.
    num_configs = None if num_configs == there.num_configs else num_configs
    num_epochs = None if num_epochs == there.num_epochs else num_epochs
    extends = num_configs is not None or num_epochs is not None
    if not extends and directory.ended(folder):
        return _as_it_is(folder, there, data, architecture)
    with interrupts() as interrupted, directory.taken_up(folder) as (request, finished):
        if not extends and finished:
            return _as_it_is(folder, request, data, architecture)
        setup = setup_of(request, asked, data, architecture=architecture, devices=devices)
        checkpoints = folder / directory.CHECKPOINTS
        notes: list[str] = []
        state = extend.finished(folder, setup, clock) if finished else newest(checkpoints, setup, clock, notes.append)
        if extends:
            state, setup = extend.extended(state, setup, num_configs=num_configs, num_epochs=num_epochs)
        check_memory(setup.plan, workers(setup.settings.devices)[0])
        if extends:
            # In this order: whoever is killed in between leaves the run as it was, or with all that it held.
            with directory.told(folder):
                keep(checkpoints, state)
            directory.note_request(folder, request_of(setup))
        here = request_of(setup).device
        if here != request.device:
            notes.append(f"the run was begun on {request.device} and goes on on {here}: its numbers agree to rounding")
        setup = setup.noting(*notes)
        if on_start is not None:
            on_start(setup)
        if on_event is not None:
            on_event(Resumed.at(setup, state))
        return _to_the_end(setup, state, folder, on_event, interrupted)


def _as_it_is(folder: Path, request: Request, data: Any, architecture: Architecture | None) -> Results:
    """What a finished run holds, if data that are given are those of the run."""
    if data is not None:
        Origin.recorded(request).read(data)
    return Results.load(folder, architecture=architecture)


@contextlib.contextmanager
def _shown(
    progress: bool, on_start: Starter | None, on_event: Listener | None
) -> Iterator[tuple[Starter | None, Listener | None]]:
    """Whom to tell what happens: those given, and, where it is asked for, what shows progress."""
    if not progress:
        yield on_start, on_event
        return
    from jaxbn.study.progress import Progress, display

    with display("Reading the data") as shown:

        def start(setup: Setup) -> None:
            shown.follow(Progress.of(setup))
            if on_start is not None:
                on_start(setup)

        def tell(event: Event | Ranked | Resumed) -> None:
            shown.record(event)
            if on_event is not None:
                on_event(event)

        yield start, tell


def _to_the_end(
    setup: Setup, state: SweepState, folder: Path | None, on_event: Listener | None, interrupted: Interrupts
) -> Results:
    try:
        return conduct(setup, state, folder, on_event, interrupted)
    except Interrupted as stop:
        results = stop.partial() if _in_notebook() else None
        if results is None:
            raise
        warnings.warn(str(stop), stacklevel=3)
        return results


def _in_notebook() -> bool:
    """Whether IPython runs, where an exception would leave the cell without results."""
    with contextlib.suppress(KeyError, AttributeError):
        return sys.modules["IPython"].get_ipython() is not None
    return False
