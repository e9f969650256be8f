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
        if recorded(given) != record:
            name = "an MLP" if record is None else record.get("name")
            raise UserError(f"the run trained {name}, and {given.name} is given: give the architecture that it had")
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
            known=False,
        )
    except (KeyError, TypeError, ValueError) as error:
        raise UserError(f"the record of an architecture is broken ({error}): sweep anew") from error
