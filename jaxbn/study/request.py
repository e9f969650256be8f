"""What a sweep was asked for, as plain values, and a sweep from it again."""

import dataclasses
import functools
import importlib.metadata
import json
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import numpy as np

from jaxbn.data import fingerprint
from jaxbn.engine.cost import Rates
from jaxbn.engine.machine import workers
from jaxbn.errors import UserError
from jaxbn.nn.types import Architecture
from jaxbn.search import Config, Space, from_values, sampler
from jaxbn.study.architecture import from_record, recorded
from jaxbn.study.leg import Lengthened
from jaxbn.study.origin import Origin
from jaxbn.study.settings import Settings, enqueued
from jaxbn.study.settle import Settled, set_up
from jaxbn.study.setup import Setup
from jaxbn.study.summary import Request

FREE = ("devices",)
"""Settings that may be others when a sweep is resumed."""


def request_of(setup: Setup) -> Request:
    """What was asked for and where it ran."""
    device, asked = jax.local_devices()[0], setup.settings
    dataset = setup.dataset
    return Request(
        space=None if setup.space is None else setup.space.to_json(),
        num_configs=asked.num_configs,
        num_epochs=asked.num_epochs,
        sampler=setup.sampler.name,
        num_rounds=len(setup.rounds),
        enqueued=len(asked.enqueue),
        scheduler=setup.scheduler.name,
        rungs=[{"epochs": rung.epochs, "survivors": list(rung.survivors)} for rung in setup.plan.rungs],
        patience=asked.patience,
        replicates=asked.replicates,
        folds=asked.folds,
        time_budget=asked.time_budget,
        target_score=asked.target_score,
        seed=asked.seed,
        valid_fraction=asked.valid_fraction,
        test_fraction=asked.test_fraction,
        class_weight=_class_weight(asked),
        source=dataset.source,
        test_source=dataset.test_source,
        reading=json.loads(json.dumps(dataset.reading.to_json())),
        task=dataset.task,
        fingerprint=fingerprint(dataset),
        versions=versions(),
        device=f"{device.platform}: {device.device_kind}",
        programs=[
            {
                "widths": list(program.spec.widths),
                "architecture": program.spec.architecture and program.spec.architecture.name,
                "own": dict(program.spec.own),
                "batch_size": program.spec.batch_size,
                "optimizers": list(program.spec.optimizers),
                "activation": program.spec.activation,
                "normalization": program.spec.normalization,
                "precision": program.spec.precision,
                "tile_size": program.tile_size,
            }
            for program in setup.plan.programs
        ],
        devices=len(set(workers(asked.devices))),
        settings=plain(setup.asked, setup.space),
        listed=None if setup.space is not None else [_values(config) for config in setup.configs],
        rates=dataclasses.asdict(setup.plan.rates),
        halvings=setup.halvings,
        added=list(setup.added),
        lengthened=[more._asdict() for more in setup.lengthened],
        x64=_x64(),
        architecture=recorded(setup.architecture),
    )


def _x64() -> bool:
    return jax.dtypes.canonicalize_dtype(float) == np.float64


def versions() -> dict[str, str]:
    """Of the packages that a sweep's numbers depend on."""
    return {name: importlib.metadata.version(name) for name in ("jaxbn", "jax", "jaxlib", "flax", "optax")}


def plain(settings: Settings, space: Space | None) -> dict[str, Any]:
    """Settings as JSON has them."""
    return {
        **vars(settings),
        "sampler": sampler(settings.sampler).name,
        "enqueue": [_values(config) for config in enqueued(settings, space)],
        "class_weight": _class_weight(settings),
    }


def _class_weight(settings: Settings) -> Any:
    weight = settings.class_weight
    return {str(name): float(value) for name, value in weight.items()} if isinstance(weight, Mapping) else weight


def _values(config: Config) -> dict[str, Any]:
    return json.loads(json.dumps(config.values()))


def setup_of(
    request: Request,
    given: Settings | None = None,
    data: Any = None,
    *,
    architecture: Architecture | None = None,
    devices: int | None = None,
) -> Setup:
    """The setup of a sweep that was begun, to go on with it.

    Args:
        request: the record of it.
        given: its settings, where a record cannot hold all of them: a sampler or class weights of one's own.
        data: its data, where they cannot be read from where the sweep read them.
        architecture: what it trains, where that is no MLP: no file holds its code.
        devices: how many of the local devices train; None is as many as were asked for then.

    Raises:
        UserError: versions or data are not the same, or the record does not hold what it should.
    """
    now = versions()
    changed = [name for name, version in request.versions.items() if now.get(name) != version]
    if changed:
        raise UserError(
            f"the run was begun with {', '.join(f'{name} {request.versions[name]}' for name in changed)} and this is "
            f"{', '.join(f'{name} {now.get(name)}' for name in changed)}: install what it was begun with, or start anew"
        )
    check_x64(request)
    architecture = from_record(request.architecture, architecture)
    if given is None and request.sampler.endswith("()"):
        raise UserError(
            f"the sampler of the run was a function, {request.sampler}, which no record holds: go on with it in "
            "Python, by sweep with the same arguments and resume=True"
        )
    try:
        settings = given or Settings(**request.settings)
        space = None if request.space is None else Space.from_json(request.space, architecture=architecture)
        read = functools.partial(from_values, architecture=architecture)
        listed = None if request.listed is None else [read(**config) for config in request.listed]
        begun_with = request.num_configs - sum(request.added)
        lengthened = tuple(Lengthened(**more) for more in request.lengthened)
        settled = Settled(begun_with, Rates(**request.rates), request.halvings, tuple(request.added), lengthened)
    except TypeError as error:
        raise UserError(f"the record of the run is broken ({error}): run the sweep again") from error
    if devices is not None:
        settings = dataclasses.replace(settings, devices=devices)
    return set_up(listed if space is None else space, Origin.recorded(request).read(data), settings, settled=settled)


def check_x64(request: Request) -> None:
    """Refuse to train in other numbers than a run did.

    Raises:
        UserError: with what it did.
    """
    if request.x64 != _x64():
        raise UserError(
            f"the run was begun with jax_enable_x64 = {request.x64} and this is {_x64()}: set JAX_ENABLE_X64 as it "
            "was, or start anew"
        )


def check_same(request: Request, space: Space | Sequence[Config], settings: Settings) -> None:
    """Refuse to go on with a sweep as if it had been asked for something else.

    Raises:
        UserError: with what was asked for then and now.
    """
    listed = None if isinstance(space, Space) else [_values(config) for config in space]
    found = plain(settings, space if isinstance(space, Space) else None)
    changes = [
        f"{name} was {request.settings.get(name)!r} and is {value!r}"
        for name, value in found.items()
        if name not in FREE and _values_of(request.settings.get(name)) != _values_of(value)
    ]
    then, now = request.space or {}, space.to_json() if isinstance(space, Space) else {}
    for name in sorted({*then, *now}):
        if then.get(name) != _values_of(now.get(name)):
            changes.append(f"the space had {name} = {then.get(name)} and has {now.get(name)}")
    named = (request.architecture or {}).get("name"), getattr(architecture_of(space), "name", None)
    if named[0] != named[1]:
        changes.append(f"it trained {named[0] or 'MLPs'} and is to train {named[1] or 'MLPs'}")
    # What did not fit a time budget is not in the record.
    recorded_of = len(request.listed or ()) if settings.time_budget is not None else None
    if (listed if listed is None else listed[:recorded_of]) != request.listed:
        changes.append("the listed configurations are others")
    if changes:
        raise UserError(f"the run was begun otherwise ({'; '.join(changes)}): ask for the same, or start anew")


def architecture_of(space: Space | Sequence[Config]) -> Architecture | None:
    """What a space, or the first of the configurations that are listed, has instead of an MLP."""
    return space.architecture if isinstance(space, Space) else space[0].architecture


def _values_of(value: Any) -> Any:
    return json.loads(json.dumps(value))
