"""Where data came from, so that they can be read again and known to be the same."""

import dataclasses
import json
from pathlib import Path
from typing import Any, Literal, cast

from jaxbn.data import Dataset, fingerprint, load_data
from jaxbn.data.reading import Reading
from jaxbn.errors import UserError
from jaxbn.study.summary import Request


@dataclasses.dataclass(frozen=True)
class Origin:
    """The source of a data set and how it was read, as plain values. Two are equal wherever the same data lie.

    Attributes:
        source: a path or a built-in name; None for arrays and frames.
        test_source: of a test set that was named apart.
        reading: how the source was read, as `Reading.to_json` gives it.
        task: "classification" or "regression".
        fingerprint: of the data.
    """

    source: str | None = dataclasses.field(compare=False)
    test_source: str | None = dataclasses.field(compare=False)
    reading: dict[str, Any]
    task: str
    fingerprint: str

    @classmethod
    def of(cls, dataset: Dataset) -> "Origin":
        """Where a data set came from."""
        reading = json.loads(json.dumps(dataset.reading.to_json()))
        return cls(dataset.source, dataset.test_source, reading, dataset.task, fingerprint(dataset))

    @classmethod
    def recorded(cls, request: Request) -> "Origin":
        """Where the data of a sweep came from."""
        return cls(request.source, request.test_source, request.reading, request.task, request.fingerprint)

    def read(self, data: Any = None) -> Dataset:
        """The data, read again, or given again and checked.

        Args:
            data: a `Dataset`, or what `load_data` reads; None is the source.

        Raises:
            UserError: they cannot be read again, or are not the same.
        """
        if data is None and self.source is None:
            raise UserError("the sweep or panda was given arrays, which its record does not hold: give the data again")
        # Any other word is refused by `load_data`, with the words that there are.
        task = cast('Literal["classification", "regression"]', self.task)
        if isinstance(data, Dataset):
            dataset = data
        else:
            source: Any = self.source if data is None else data
            if data is None and Path(source).is_absolute() and not Path(source).exists():
                raise UserError(f"the data of the sweep or panda, {source!r}, is not there any more: give it again")
            reading = Reading.from_json(self.reading)
            dataset = load_data(
                source,
                target=reading.target,
                task=task,
                drop=reading.dropped,
                group=reading.group,
                header=reading.header,
                test=self._test_source(source),
            )
        if fingerprint(dataset) != self.fingerprint:
            raise UserError(
                f"the data in {dataset.source or dataset.name!r} are not those of the sweep or panda: "
                "give the data as they were, or start anew"
            )
        return dataset

    def _test_source(self, source: Any) -> str | None:
        """Where the test set is: where it was, or beside the data, since folders are moved whole."""
        before = self.test_source
        if before is None or not Path(before).is_absolute() or Path(before).exists():
            return before
        if isinstance(source, str | Path):
            beside = Path(source).expanduser().resolve().parent / Path(before).name
            if beside.exists():
                return str(beside)
        raise UserError(
            f"the test data of the sweep or panda, {before!r}, are not there any more: put them beside the data, or "
            "give what load_data(..., test=...) makes of both"
        )
