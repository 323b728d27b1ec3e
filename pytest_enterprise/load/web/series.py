"""What the charts show: the requests of each second, exact, from the records of a load that may still be running."""

from __future__ import annotations

import json
from array import array
from bisect import bisect_left
from pathlib import Path
from typing import Any

from pytest_enterprise.load.records import RECORD, Request
from pytest_enterprise.load.statistics import percentile

KEPT = 900
"""Seconds that are kept; the chart shows no more."""
MOST = 1_000_000
"""Requests that are kept to be judged, and read at once."""
_S = 1_000_000_000


class _Second:
    __slots__ = ("failures", "latencies", "version")

    def __init__(self) -> None:
        self.latencies = array("f")
        self.failures = 0
        self.version = 0


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
        self._names: dict[int, str] = {}
        self._errors: dict[int, str] = {0: ""}
        self._read = 0
        self._index_read = 0
        self._starts, self._ends = array("Q"), array("Q")
        self._latencies = array("d")
        self._name_of, self._error_of, self._sizes = array("H"), array("H"), array("I")

    def poll(self) -> None:
        """Take in what was recorded since the last time."""
        try:
            with self.path.with_name(self.path.name + ".requests").open("rb") as file:
                size = file.seek(0, 2) // RECORD.size * RECORD.size
                if size - self._read > MOST * RECORD.size:
                    self.skipped += (size - self._read) // RECORD.size - MOST
                    self._read = size - MOST * RECORD.size
                file.seek(self._read)
                block = file.read(size - self._read)
        except FileNotFoundError:
            return
        if not block:
            return
        self._read = size
        self._read_index()
        self.version += 1
        seconds, version, began = self._seconds, self.version, self.began
        for start, micros, name, error, size in RECORD.iter_unpack(block):
            number = max(0, start - began) // _S
            second = seconds.get(number)
            if second is None:
                second = seconds[number] = _Second()
            latency = micros / 1e6
            second.latencies.append(latency)
            second.failures += error != 0
            second.version = version
            self._starts.append(start)
            self._ends.append(start + micros * 1000)
            self._latencies.append(latency)
            self._name_of.append(name)
            self._error_of.append(error)
            self._sizes.append(size)
        self._forget()

    def _read_index(self) -> None:
        with self.path.with_name(self.path.name + ".index.jsonl").open("rb") as file:
            file.seek(self._index_read)
            for line in file:
                if not line.endswith(b"\n"):
                    break
                self._index_read += len(line)
                entry: dict[str, Any] = json.loads(line)
                if "name" in entry:
                    self._names[entry["number"]] = entry["name"]
                else:
                    self._errors[entry["number"]] = entry["error"]

    def _forget(self) -> None:
        oldest = max(self._seconds) - KEPT
        for number in [number for number in self._seconds if number < oldest]:
            del self._seconds[number]
        gone = max(len(self._starts) - MOST, bisect_left(self._ends, self.began + max(oldest, 0) * _S))
        if gone > MOST // 50:
            for kept in (self._starts, self._ends, self._latencies, self._name_of, self._error_of, self._sizes):
                del kept[:gone]

    def changed(self, since: int) -> list[tuple[int, int, int, float | None, float | None, float | None]]:
        """The seconds that changed after version ``since``: number, sent, failed, p50, p95, p99 (seconds)."""
        found = []
        for number, second in sorted(self._seconds.items()):
            if second.version > since:
                ordered = sorted(second.latencies)
                figures = (percentile(ordered, percent) for percent in (50, 95, 99))
                p50, p95, p99 = (None if value is None else round(value, 6) for value in figures)
                found.append((number, len(ordered), second.failures, p50, p95, p99))
        return found

    def between(self, began: int, ended: int | None) -> list[Request]:
        """The requests kept that were under way at some time from ``began`` to ``ended`` (ns)."""
        # They come about in the order of their ends: an event may be fired a little after the answer had come.
        first = bisect_left(self._ends, began - 2 * _S)
        return [
            Request(
                self._starts[i],
                self._latencies[i],
                self._names.get(self._name_of[i], ""),
                self._errors.get(self._error_of[i], "unknown"),
                self._sizes[i],
            )
            for i in range(first, len(self._ends))
            if self._ends[i] >= began and (ended is None or self._starts[i] < ended)
        ]

    @property
    def complete_from(self) -> int:
        """CLOCK_MONOTONIC in ns from which every request is kept."""
        return self._starts[0] if self._starts else self.began
