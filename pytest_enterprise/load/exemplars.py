"""The requests of which more is kept than their records: what was unexpected, and the slowest, with their trace ids.

``<load>.unexpected.jsonl`` and ``<load>.slowest.jsonl``: enough to find a request in the service's own traces and to
tell one wrong answer from another. Never an answer's text, which may hold secrets.
"""

from __future__ import annotations

import bisect
import hashlib
import json
from collections.abc import Callable
from operator import itemgetter
from pathlib import Path
from typing import Any, NamedTuple

KEPT = 10_000
"""Unexpected answers of which a load keeps digest and trace id; of further ones it keeps the number."""
SLOWEST = 3
"""Requests of each name that are always among those whose trace ids are kept, because they were the slowest so far."""
DIGESTED = 1 << 20
"""Bytes of an answer's body that its digest covers."""


class _Slow(NamedTuple):
    latency: float
    """Seconds."""
    start: int
    trace_id: Callable[[], str] | None
    """None when it was written."""


class Exemplars:
    """Those of one load; flush them as often as readers should see them."""

    def __init__(self, path: Path) -> None:
        """``path`` without suffix, as for the records."""
        self._unexpected: list[str] = []
        self._unexpected_path = path.with_name(path.name + ".unexpected.jsonl")
        self._unexpected_count = 0
        self._slowest: dict[str, list[_Slow]] = {}
        """The slowest of each name so far, ascending."""
        self._fresh: set[str] = set()
        """Names that have some among them that were not written."""
        self._slow_path = path.with_name(path.name + ".slowest.jsonl")
        self._slow_count = 0

    def is_slow(self, name: str, latency: float) -> bool:
        """Whether a success was slower than nearly all before it."""
        slowest = self._slowest.get(name)
        return slowest is None or len(slowest) < SLOWEST or latency > slowest[0].latency

    def slow(self, start: int, latency: float, name: str, trace_id: Callable[[], str]) -> float:
        """Keep such a success; gives the latency in seconds above which the next one of its name is slow.

        Nothing but this is done before they are written: where a queue grows, each success is slower than all before.
        """
        if self._slow_count >= KEPT or (len(self._slowest) >= KEPT and name not in self._slowest):
            return float("inf")
        slowest = self._slowest.setdefault(name, [])
        bisect.insort(slowest, _Slow(latency, start, trace_id), key=itemgetter(0))
        del slowest[:-SLOWEST]
        self._fresh.add(name)
        return slowest[0].latency if len(slowest) == SLOWEST else -1.0

    def _write_slow(self) -> None:
        lines = []
        for name in self._fresh:
            slowest = self._slowest[name]
            for place, (latency, start, trace_id) in enumerate(slowest):
                if trace_id is not None:
                    slowest[place] = _Slow(latency, start, None)
                    if found := trace_id():
                        lines.append(json.dumps({"start": start, "name": name, "trace_id": found}) + "\n")
        self._fresh.clear()
        del lines[KEPT - self._slow_count :]
        self._slow_count += len(lines)
        if lines:
            with self._slow_path.open("a", encoding="utf-8") as file:
                file.writelines(lines)

    def unexpected(
        self,
        start: int,
        name: str,
        error: str,
        *,
        status: Any = None,
        trace_id: str = "",
        body: bytes | bytearray | None = None,
    ) -> None:
        """Keep what an assertion needs of a failed request; ``body`` is what was answered, if anything was."""
        self._unexpected_count += 1
        if self._unexpected_count > KEPT:
            return
        line: dict[str, Any] = {"start": start, "name": name, "error": error}
        if status:
            line["status"] = status
        if trace_id:
            line["trace_id"] = trace_id
        if body is not None:
            line["size"] = len(body)
            line["sha256"] = hashlib.sha256(memoryview(body)[:DIGESTED]).hexdigest()
        self._unexpected.append(json.dumps(line) + "\n")

    def flush(self) -> None:
        """Write what there is, OSError when that cannot be."""
        if self._unexpected:
            with self._unexpected_path.open("a", encoding="utf-8") as file:
                file.writelines(self._unexpected)
            self._unexpected.clear()
        if self._fresh:
            self._write_slow()

    def close(self) -> None:
        """Write the rest, and how many were left out."""
        if self._unexpected_count > KEPT:
            self._unexpected.append(json.dumps({"left_out": self._unexpected_count - KEPT}) + "\n")
        self.flush()
