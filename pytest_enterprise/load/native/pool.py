"""The connections of a load, and the requests that have none yet."""

from __future__ import annotations

import asyncio
from collections import OrderedDict, deque
from collections.abc import Callable
from time import monotonic_ns
from typing import Any, NamedTuple

from pytest_enterprise.load.records import RecordWriter

BUFFER_SIZE = 256 * 1024
QUEUE = 100_000
"""Requests that may wait for a connection; those beyond fail at once, so that memory stays bounded."""
FULL = "no connection free"
"""The kind of failure of requests beyond."""
TIMED_OUT = "TimeoutError"


class Job(NamedTuple):
    """One request, drawn and due."""

    intended: int
    """CLOCK_MONOTONIC in ns."""
    plan: Any
    """What is sent and expected; the protocol's own."""
    payload: bytes


class Pool:
    """Grows as requests need it, up to ``limit`` connections; a request holds its connection until it is answered.

    The connection that was used last is used next. Nothing is ever sent twice: a request that met a connection which
    the server was just closing has failed, as its user would see it.
    """

    def __init__(
        self, loop: asyncio.AbstractEventLoop, connect: Callable[[Pool], Any], limit: int, writer: RecordWriter
    ) -> None:
        self.loop = loop
        self.buffer = bytearray(BUFFER_SIZE)
        """Every connection reads into it: what it read is used up before another one reads."""
        self.view = memoryview(self.buffer)
        self.idle: list[Any] = []
        self.active: OrderedDict[Any, None] = OrderedDict()
        """In the order in which they were given their requests."""
        self.waiting: deque[Job] = deque()
        self.open = 0
        self.failures = 0
        self.crowded = 0
        """Requests that had to wait for a connection, because ``limit`` of them were in use."""
        self._connect = connect
        self.limit = limit
        self.writer = writer
        self.write = writer.add
        self._refilling = False

    @property
    def under_way(self) -> int:
        """Requests that were due and have no outcome yet."""
        return len(self.active) + len(self.waiting)

    def submit(self, intended: int, plan: Any, payload: bytes) -> None:
        """Send a request as soon as there is a connection, which is at once below the limit."""
        if self.idle:
            self.idle.pop().begin(intended, plan, payload)
        elif self.open < self.limit:
            self.open += 1
            self._connect(self).begin(intended, plan, payload)
        elif len(self.waiting) < QUEUE:
            self.crowded += 1
            self.waiting.append(Job(intended, plan, payload))
        else:
            self.crowded += 1
            self.record(intended, plan.name, FULL, 0)

    def record(self, intended: int, name: str, error: str, size: int) -> None:
        """Note an outcome, now."""
        if error:
            self.failures += 1
        self.write(intended, (monotonic_ns() - intended) / 1e9, name, error, size)

    def lost(self) -> None:
        """A connection has ended."""
        self.open -= 1
        if self.waiting and not self._refilling:
            # Not at once: a connection that is refused at once would go down one level for each that waits.
            self._refilling = True
            self.loop.call_soon(self._refill)

    def _refill(self) -> None:
        self._refilling = False
        for _ in range(min(len(self.waiting), self.limit - self.open)):
            self.open += 1
            self._connect(self).begin(*self.waiting.popleft())

    def expire(self, before: int, error: str = TIMED_OUT) -> None:
        """Give up requests that were intended before that moment (ns)."""
        while self.active:
            oldest = next(iter(self.active))
            if oldest.intended > before:
                break
            oldest.fail(error)
        while self.waiting and self.waiting[0].intended <= before:
            job = self.waiting.popleft()
            self.record(job.intended, job.plan.name, error, 0)

    def close(self) -> None:
        """End the connections that nobody uses."""
        for connection in self.idle[:]:
            connection.close()
