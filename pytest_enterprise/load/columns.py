"""The requests of a load in columns: ten million of them are judged in seconds and a few hundred MB.

A :class:`Columns` is a sequence of :class:`Request` as well, made one at a time where somebody looks at them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

from pytest_enterprise.errors import ConfigurationError
from pytest_enterprise.load.records import RECORD, WRONG, Request, read_index

try:
    import numpy as np
except ImportError:
    raise ConfigurationError(
        "requests are read with NumPy, which is not installed: pip install 'pytest-enterprise[load]'"
    ) from None

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Mask = NDArray[np.bool_]
    Ints = NDArray[np.int64]
    Floats = NDArray[np.float64]

DTYPE = np.dtype([("start", "<u8"), ("latency", "<u4"), ("name", "<u2"), ("outcome", "<u2"), ("size", "<u4")])
"""A record as NumPy reads it: :data:`records.RECORD`."""
_BLOCK = 8192


class Columns(Sequence[Request]):
    """Requests as columns of equal length, in the order in which they ended."""

    def __init__(
        self,
        start: Ints,
        took: Ints,
        name: NDArray[np.uint16],
        outcome: NDArray[np.uint16],
        size: NDArray[np.uint32],
        names: dict[int, str],
        errors: dict[int, str],
    ) -> None:
        """``names`` and ``errors`` tell what the numbers in ``name`` and ``outcome`` mean; outcome 0 is success."""
        self.start = start
        """CLOCK_MONOTONIC in ns."""
        self.took = took
        """Latency in ns."""
        self.name = name
        self.outcome = outcome
        self.size = size
        """Bytes of the response."""
        self.name_texts = names
        self.error_texts = errors

    @classmethod
    def read(cls, path: Path) -> Columns:
        """The requests of a load, whose files are ``path`` plus suffix; one that a crash cut short is left out.

        A load that still runs can be read too. Raises FileNotFoundError.
        """
        file = path.with_name(path.name + ".requests")
        count = file.stat().st_size // RECORD.size
        # A file of no byte cannot be mapped.
        raw: Any = np.memmap(file, DTYPE, "r", shape=(count,)) if count else np.empty(0, DTYPE)
        # Read after the records: the writer puts a name into the index before any record that uses it.
        names, errors = read_index(path)
        return cls.of_records(raw, names, errors)

    @classmethod
    def of_records(cls, raw: Any, names: dict[int, str], errors: dict[int, str]) -> Columns:
        """The requests of an array of :data:`DTYPE`, which is what the file holds."""
        return cls(
            raw["start"].astype(np.int64),
            raw["latency"].astype(np.int64) * 1000,
            np.ascontiguousarray(raw["name"]),
            np.ascontiguousarray(raw["outcome"]),
            np.ascontiguousarray(raw["size"]),
            names,
            errors,
        )

    @classmethod
    def of(cls, requests: Iterable[Request]) -> Columns:
        """The same requests in columns; what is in columns already is given back."""
        if isinstance(requests, Columns):
            return requests
        rows = list(requests)
        names: dict[str, int] = {}
        errors: dict[str, int] = {"": 0}
        return cls(
            np.fromiter((r.start for r in rows), np.int64, len(rows)),
            np.fromiter((r.end - r.start for r in rows), np.int64, len(rows)),
            np.fromiter((names.setdefault(r.name, len(names)) for r in rows), np.uint16, len(rows)),
            np.fromiter((errors.setdefault(r.error, len(errors)) for r in rows), np.uint16, len(rows)),
            np.fromiter((r.size for r in rows), np.uint32, len(rows)),
            {number: text for text, number in names.items()},
            {number: text for text, number in errors.items()},
        )

    @classmethod
    def joined(cls, parts: Sequence[Columns]) -> Columns:
        """The requests of several loads, one load after the other."""
        if len(parts) == 1:
            return parts[0]
        names: dict[str, int] = {}
        errors: dict[str, int] = {"": 0}
        columns: list[list[Any]] = [[], [], [], [], []]
        for part in parts:
            name = _renumbered(part.name, part.name_texts, names, "name")
            outcome = _renumbered(part.outcome, part.error_texts, errors, "error")
            for column, values in zip(columns, (part.start, part.took, name, outcome, part.size), strict=True):
                column.append(values)
        kinds = (np.int64, np.int64, np.uint16, np.uint16, np.uint32)
        arrays: Any = [
            np.concatenate(column) if column else np.empty(0, kind) for column, kind in zip(columns, kinds, strict=True)
        ]
        told = [{number: text for text, number in table.items()} for table in (names, errors)]
        return cls(*arrays, *told)

    def __len__(self) -> int:
        return len(self.start)

    @overload
    def __getitem__(self, index: int) -> Request: ...
    @overload
    def __getitem__(self, index: slice) -> Columns: ...
    def __getitem__(self, index: int | slice) -> Request | Columns:
        if isinstance(index, slice):
            return self._chosen(index)
        return Request(
            int(self.start[index]),
            int(self.took[index]) / 1e9,
            self._name(int(self.name[index])),
            self._error(int(self.outcome[index])),
            int(self.size[index]),
        )

    def __iter__(self) -> Iterator[Request]:
        for first in range(0, len(self), _BLOCK):
            part = slice(first, first + _BLOCK)
            columns = (self.start, self.took, self.name, self.outcome, self.size)
            for start, took, name, outcome, size in zip(*(c[part].tolist() for c in columns), strict=True):
                yield Request(start, took / 1e9, self._name(name), self._error(outcome), size)

    def __eq__(self, other: object) -> bool:
        """Whether it holds the same requests as another sequence, a list too."""
        return isinstance(other, Sequence) and len(self) == len(other) and all(map(Request.__eq__, self, other))

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"<{len(self):,} requests>"

    @cached_property
    def end(self) -> Ints:
        """CLOCK_MONOTONIC in ns."""
        return self.start + self.took

    @cached_property
    def failed(self) -> Mask:
        """Which of them failed, in whatever way."""
        failed: Mask = self.outcome != 0
        return failed

    @cached_property
    def wrong(self) -> Mask:
        """Which of them were answered, and wrongly."""
        numbers = [number for number, text in self.error_texts.items() if text.startswith(WRONG)]
        return np.isin(self.outcome, np.array(numbers, np.uint16))

    def where(self, mask: Mask) -> Columns:
        """Those for which ``mask`` is true."""
        return self if bool(mask.all()) else self._chosen(mask)

    def taken(self, numbers: Ints) -> Columns:
        """Those with these numbers, in the order of the numbers."""
        return self._chosen(numbers)

    def named(self, name: str | None) -> Columns:
        """Those of one endpoint; all for None."""
        if name is None:
            return self
        numbers = [number for number in self._used(self.name) if self._name(number) == name]
        return self.where(np.isin(self.name, np.array(numbers, np.uint16)))

    def of_kind(self, kinds: Iterable[str]) -> Mask:
        """Which of them failed in one of these ways."""
        wanted = set(kinds)
        numbers = [number for number in self._used(self.outcome) if self._error(number) in wanted]
        return np.isin(self.outcome, np.array(numbers, np.uint16))

    def names(self) -> list[str]:
        """The endpoints that occur, in order of names."""
        return sorted({self._name(number) for number in self._used(self.name)})

    def seconds(self) -> Floats:
        """The latencies in ascending order."""
        ordered: Floats = np.sort(self.took) / 1e9
        return ordered

    def slowest(self, count: int) -> list[Request]:
        """At most ``count`` of them, the slowest first; of those that took equally long, the earlier ones."""
        if len(self) > count:
            threshold = np.partition(self.took, -count)[-count]
            chosen = np.flatnonzero(self.took >= threshold)
        else:
            chosen = np.arange(len(self))
        order = chosen[np.argsort(-self.took[chosen], kind="stable")[:count]]
        return [self[int(number)] for number in order]

    def errors(self) -> Counter[str]:
        """How often each kind of failure occurred."""
        counts = np.bincount(self.outcome)
        counted: Counter[str] = Counter()
        for number in np.flatnonzero(counts).tolist():
            if number:
                counted[self._error(number)] += int(counts[number])
        return counted

    def _used(self, column: NDArray[np.uint16]) -> list[int]:
        used: list[int] = np.flatnonzero(np.bincount(column)).tolist()
        return used

    def _name(self, number: int) -> str:
        text = self.name_texts.get(number)
        return f"(name {number})" if text is None else text

    def _error(self, number: int) -> str:
        text = self.error_texts.get(number)
        return f"(error {number})" if text is None else text

    def _chosen(self, what: Any) -> Columns:
        return Columns(
            self.start[what],
            self.took[what],
            self.name[what],
            self.outcome[what],
            self.size[what],
            self.name_texts,
            self.error_texts,
        )


def _renumbered(
    column: NDArray[np.uint16], told: dict[int, str], numbers: dict[str, int], field: str
) -> NDArray[np.uint16]:
    """``column`` by the numbers of another table, which learns the texts that are new to it."""
    table = np.zeros(int(column.max(initial=0)) + 1, np.uint16)
    for number in np.flatnonzero(np.bincount(column)).tolist():
        text = told.get(number, f"({field} {number})")
        table[number] = numbers.setdefault(text, len(numbers))
    return table[column]
