"""An architecture of one's own in the record of a run: everything but the code that builds it."""

from collections.abc import Mapping
from typing import Any

from jaxbn.errors import UserError
from jaxbn.nn.types import Architecture, Model


def recorded(architecture: Architecture | None) -> dict[str, Any] | None:
    """What a file holds of an architecture, as plain values; None for the MLP."""
    if architecture is None:
        return None
    return {
        "name": architecture.name,
        "defaults": dict(architecture.defaults),
        "traced": list(architecture.traced),
        "masks_rows": architecture.masks_rows,
        "about": dict(architecture.about),
    }


def from_record(record: Mapping[str, Any] | None, given: Architecture | None = None) -> Architecture | None:
    """The architecture of a record.

    Args:
        record: that `recorded` made.
        given: the architecture, with its code; without, whatever asks for its network says that the code is missing.

    Raises:
        UserError: what is given is another one, or the record is not what `recorded` made.
    """
    if given is not None:
        if record is None:
            raise UserError(f"the run trained MLPs, and {given.name} is given: leave it out")
        now = recorded(given) or {}
        changed = [
            f"{name} was {record.get(name)!r} and is {now[name]!r}" for name in now if record.get(name) != now[name]
        ]
        if changed:
            raise UserError(
                f"the run trained another {record.get('name')} ({'; '.join(changed)}): give the one that it had"
            )
        return given
    if record is None:
        return None
    try:
        name = str(record["name"])

        def missing(*_: Any, **__: Any) -> Model:
            raise UserError(
                f"{name} is code, which no file holds: load or resume the run in Python and give it as architecture"
            )

        return Architecture(
            name=name,
            defaults=tuple(dict(record["defaults"]).items()),
            traced=tuple(map(str, record["traced"])),
            masks_rows=record["masks_rows"] is True,
            build=missing,
            about=tuple(dict(record["about"]).items()),
            known=False,
        )
    except (KeyError, TypeError, ValueError) as error:
        raise UserError(f"the record of an architecture is broken ({error}): sweep anew") from error
