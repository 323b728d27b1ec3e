"""Delays everything by ``latency`` plus or minus ``jitter``, both in milliseconds; the order is kept."""

from __future__ import annotations

from time import monotonic_ns
from typing import Any, ClassVar

from pytest_enterprise.proxy.toxics.base import MS, Ending, Schedule


class Latency(Schedule):
    """A long wire: throughput stays, every byte (and the end) comes later."""

    kind = "latency"
    fields: ClassVar = {"latency": int, "jitter": int}
    fractional = frozenset(fields)
    # What is on the wire at once: 8 MiB carries 80 MB/s at 100 ms.
    capacity = 8 << 20

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._random = self.carrier.randomness(f"{self.toxic.name}/jitter") if self.setting("jitter") else None

    def changed(self) -> None:
        if self._random is None and self.setting("jitter"):
            self._random = self.carrier.randomness(f"{self.toxic.name}/jitter")

    def _delay(self) -> int:
        delay: int = round(self.setting("latency") * MS)
        jitter: int = round(self.setting("jitter") * MS)
        if jitter and self._random:
            delay += round(self._random.uniform(-jitter, jitter))
        return max(0, delay)

    def data(self, chunk: bytes) -> None:
        now = monotonic_ns()
        self.count(chunk)
        self.put(now + self._delay(), chunk, came=now)

    def end(self, how: Ending) -> None:
        now = monotonic_ns()
        self.put(now + self._delay(), how, came=now)
