"""What the charts show: the requests of each second, exact, from the records of a load that may still be running."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from pytest_enterprise.load.columns import DTYPE, Columns
from pytest_enterprise.load.records import RECORD, read_index
from pytest_enterprise.load.statistics import percentile

KEPT = 900
"""Seconds that are kept; the chart shows no more."""
MOST = 2_000_000
"""Requests that are kept to be judged, and read at once."""
_S = 1_000_000_000
_NEVER = 2**63 - 1


class _Second:
    def __init__(self) -> None:
        self.latencies: list[Any] = []
        """Arrays of µs, one for each time that it was read."""
        self.failures = 0
        self.version = 0


class _Block(NamedTuple):
    """What was read at one time."""

    raw: Any
    ended: int
    """CLOCK_MONOTONIC in ns at which the last of them had ended."""


class Series:
    """Follows the record files of one load.

    A request belongs to the second in which it was *sent*: a stall then shows where users met it, once their answers
    have come.
    """

    def __init__(self, path: Path, began: int) -> None:
        """``path`` without suffix; ``began`` is CLOCK_MONOTONIC in ns."""
        self.path = path
        self.began = began
        self.version = 0
        self.skipped = 0
        """Requests that came faster than they could be read, and are in no figure here."""
        self._seconds: dict[int, _Second] = {}
        self._read = 0
        self._kept: list[_Block] = []
        self.complete_from = began
        """CLOCK_MONOTONIC in ns: every request that ended later is kept."""

    def poll(self) -> None:
        """Take in what was recorded since the last time."""
        try:
            with self.path.with_name(self.path.name + ".requests").open("rb") as file:
                size = file.seek(0, 2) // RECORD.size * RECORD.size
                skipped = max(0, (size - self._read) // RECORD.size - MOST)
                if skipped:
                    self._read = size - MOST * RECORD.size
                file.seek(self._read)
                raw = np.frombuffer(file.read(size - self._read), DTYPE)
        except FileNotFoundError:
            return
        if not len(raw):
            return
        self._read = size
        self.version += 1
        numbers = np.maximum(raw["start"].astype(np.int64) - self.began, 0) // _S
        for number in np.unique(numbers).tolist():
            second = self._seconds.setdefault(number, _Second())
            chosen = raw[numbers == number]
            second.latencies.append(chosen["latency"])
            second.failures += int(np.count_nonzero(chosen["outcome"]))
            second.version = self.version
        ends = raw["start"].astype(np.int64) + raw["latency"].astype(np.int64) * 1000
        self._kept.append(_Block(raw, int(ends.max())))
        if skipped:
            self.skipped += skipped
            self.complete_from = max(self.complete_from, int(ends.min()))
        self._forget()

    def _forget(self) -> None:
        oldest = max(self._seconds) - KEPT
        for number in [number for number in self._seconds if number < oldest]:
            del self._seconds[number]
        count = sum(len(block.raw) for block in self._kept)
        while len(self._kept) > 1 and (
            count - len(self._kept[0].raw) >= MOST or self._kept[0].ended < self.began + oldest * _S
        ):
            gone = self._kept.pop(0)
            count -= len(gone.raw)
            self.complete_from = max(self.complete_from, gone.ended)

    def changed(self, since: int) -> list[tuple[int, int, int, float | None, float | None, float | None]]:
        """The seconds that changed after version ``since``: number, sent, failed, p50, p95, p99 (seconds)."""
        found = []
        for number, second in sorted(self._seconds.items()):
            if second.version > since:
                ordered = np.sort(np.concatenate(second.latencies)) / 1e6
                p50, p95, p99 = (percentile(ordered, percent) for percent in (50, 95, 99))
                found.append((number, len(ordered), second.failures, p50, p95, p99))
        return found

    def between(self, began: int, ended: int | None) -> Columns:
        """The requests kept that were under way at some time from ``began`` to ``ended`` (ns)."""
        names, errors = read_index(self.path) if self._kept else ({}, {})
        blocks = [block.raw for block in self._kept if block.ended >= began]
        found = Columns.of_records(np.concatenate(blocks) if blocks else np.empty(0, DTYPE), names, errors)
        return found.where((found.end >= began) & (found.start < (_NEVER if ended is None else ended)))
