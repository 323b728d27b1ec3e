"""Sends requests at their intended times, whatever the server does, and tells when it could not."""

from __future__ import annotations

import asyncio
from bisect import bisect
from collections.abc import Callable, Iterator, Sequence
from itertools import accumulate
from random import Random
from time import monotonic_ns
from typing import Any

from pytest_enterprise.load.native.pool import Pool
from pytest_enterprise.load.recorder import UNFINISHED
from pytest_enterprise.proxy.timers import Timers

QUANTUM = 100_000
"""Nanoseconds between two awakenings at least; arrivals between them are sent together, so far behind their time."""
BATCH = 64
"""Requests that are sent before answers are read again."""
LATE = 10_000_000
"""Nanoseconds behind its intended time from which a request counts as late."""
GRACE = 2.0
"""Seconds that requests under way get when the load ends."""
_SWEEP = 0.01
"""Seconds between two looks at the time limit."""


class Dispatcher:
    """The open loop of one load."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        pool: Pool,
        plans: Sequence[Any],
        *,
        moments: Iterator[float],
        seconds: float | None,
        timeout: float,
        random: Random,
        over: Callable[[str], None],
    ) -> None:
        """``over`` is called once with the reason, when the last request has its outcome."""
        self.behind = 0
        """The largest time between a request's intended moment and its sending, in ns."""
        self.late = 0
        """Requests that were sent :data:`LATE` or more after their moment."""
        self._loop = loop
        self._pool = pool
        self._plans = list(plans)
        self._weights = list(accumulate(plan.weight for plan in plans))
        self._moments = moments
        self._seconds = seconds
        self._timeout = int(timeout * 1e9)
        self._random = random
        self._over = over
        self._timers = Timers(loop)
        self._number = 0
        self._start = 0
        self._next = 0
        self._reason = ""
        self._given_up_at = 0.0

    def start(self, at: int) -> None:
        """Send from that moment on (ns)."""
        self._start = at
        self._advance()
        self._due()
        self._loop.call_later(_SWEEP, self._sweep)

    def stop(self, reason: str) -> None:
        """Send nothing new; give what is under way :data:`GRACE` seconds."""
        if not self._reason:
            self._reason = reason
            self._given_up_at = self._loop.time() + GRACE

    def _advance(self) -> None:
        """Find the next intended moment."""
        moment = next(self._moments, None)
        if moment is None:
            self.stop("arrivals")
        elif self._seconds is not None and moment >= self._seconds:
            self.stop("seconds")
        else:
            self._next = self._start + int(moment * 1e9)

    def _due(self) -> None:
        now = monotonic_ns()
        for _ in range(BATCH):
            if self._reason or self._next > now:
                break
            self._send(now - self._next)
            self._advance()
            now = monotonic_ns()
        if not self._reason:
            self._timers.at(max(self._next, now + QUANTUM) if self._next > now else now, self._due)

    def _send(self, lag: int) -> None:
        if lag > self.behind:
            self.behind = lag
        if lag >= LATE:
            self.late += 1
        if len(self._plans) == 1:
            plan = self._plans[0]
        else:
            plan = self._plans[bisect(self._weights, self._random.random() * self._weights[-1])]
        payload = plan.fixed or plan.render(self._random, self._number)
        self._number += 1
        self._pool.submit(self._next, plan, payload)

    def _sweep(self) -> None:
        """Give up what took too long, and end when all is done."""
        now = monotonic_ns()
        self._pool.expire(now - self._timeout)
        if self._reason:
            if self._pool.under_way and self._loop.time() >= self._given_up_at:
                self._pool.expire(now, UNFINISHED)
            if not self._pool.under_way:
                self._pool.close()
                self._timers.close()
                self._over(self._reason)
                return
        self._loop.call_later(_SWEEP, self._sweep)
