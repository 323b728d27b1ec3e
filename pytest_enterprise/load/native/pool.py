"""The connections of a load, and the requests that have none yet."""

from __future__ import annotations

import asyncio
from collections import OrderedDict, deque
from collections.abc import Callable
from functools import partial
from heapq import nlargest
from operator import itemgetter
from random import Random
from time import monotonic_ns
from typing import Any

from pytest_enterprise.load.exemplars import SLOWEST, Exemplars
from pytest_enterprise.load.records import RecordWriter

BUFFER_SIZE = 256 * 1024
QUEUE = 100_000
"""Requests that may wait for a connection; those beyond fail at once, so that memory stays bounded."""
FULL = "no connection free"
"""The kind of failure of requests beyond."""
TIMED_OUT = "TimeoutError"


class Pool:
    """Grows as requests need it, up to ``limit`` connections; a request holds its connection until it is answered.

    The connection that was used last is used next. Nothing is ever sent twice: a request that met a connection which
    the server was just closing has failed, as its user would see it.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        connect: Callable[[Pool], Any],
        limit: int,
        writer: RecordWriter,
        exemplars: Exemplars,
        random: Random,
        at_once: int = 1,
    ) -> None:
        """Up to ``limit`` connections, each of so many requests ``at_once``; ``random`` draws what is sent."""
        self.loop = loop
        self.random = random
        self.buffer = bytearray(BUFFER_SIZE)
        """Every connection reads into it: what it read is used up before another one reads."""
        self.view = memoryview(self.buffer)
        self.idle: list[Any] = []
        self.active: OrderedDict[Any, None] = OrderedDict()
        """In the order in which they were given their requests."""
        self.waiting: deque[tuple[int, Any, int]] = deque()
        """Intended moment (CLOCK_MONOTONIC in ns), plan and number; what they send is drawn when they are sent."""
        self.open = 0
        self.failures = 0
        self.crowded = 0
        """Requests that had to wait for a connection, because ``limit`` of them were in use."""
        self._connect = connect
        self.limit = limit * at_once
        self.connections = limit
        self.writer = writer
        self._write = writer.add
        self.exemplars = exemplars
        self.slow: list[tuple[int, int, Any, Any]] = []
        """Successes slower than their plan's ``slow``: latency in ns, intended moment, plan and payload."""
        self._refilling = False

    @property
    def under_way(self) -> int:
        """Requests that were due and have no outcome yet."""
        return len(self.active) + len(self.waiting)

    def submit(self, intended: int, plan: Any, number: int) -> None:
        """Send a request as soon as there is a connection, which is at once below the limit."""
        if self.idle:
            self.idle.pop().begin(intended, plan, number)
        elif self.open < self.limit:
            self.open += 1
            self._connect(self).begin(intended, plan, number)
        elif len(self.waiting) < QUEUE:
            self.crowded += 1
            self.waiting.append((intended, plan, number))
        else:
            self.crowded += 1
            self.unsent(intended, plan, FULL)

    def failed(
        self,
        intended: int,
        plan: Any,
        payload: Any,
        error: str,
        size: int = 0,
        *,
        status: Any = None,
        body: bytes | None = None,
    ) -> None:
        """Note that a request failed, now; ``body`` is what was answered, if anything was."""
        self.failures += 1
        self._write(intended, (monotonic_ns() - intended) / 1e9, plan.name, error, size)
        trace_id = plan.trace_id(payload)
        self.exemplars.unexpected(intended, plan.name, error, status=status, trace_id=trace_id, body=body)

    def note_slow(self) -> None:
        """Hand the slowest over; once in a while, since where a queue grows each is slower than all before it."""
        found, self.slow = self.slow, []
        for plan in {job[2] for job in found}:
            own = (job for job in found if job[2] is plan)
            for latency, intended, _, payload in nlargest(SLOWEST, own, key=itemgetter(0)):
                if self.exemplars.is_slow(plan.name, latency / 1e9):
                    trace_id = partial(plan.trace_id, payload)
                    plan.slow = 1e9 * self.exemplars.slow(intended, latency / 1e9, plan.name, trace_id)

    def unsent(self, intended: int, plan: Any, error: str) -> None:
        """Note that a request failed before it was sent, of which there is no more to tell."""
        self.failures += 1
        self._write(intended, (monotonic_ns() - intended) / 1e9, plan.name, error, 0)

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
        while self.waiting and self.waiting[0][0] <= before:
            intended, plan, _ = self.waiting.popleft()
            self.unsent(intended, plan, error)

    def close(self) -> None:
        """End the connections that nobody uses."""
        for connection in self.idle[:]:
            connection.close()
