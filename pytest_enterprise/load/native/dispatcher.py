"""Sends requests at their intended times, whatever the server does, and tells when it could not."""

from __future__ import annotations

import asyncio
import math
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
LATE = ((100_000_000, 0.05), (500_000_000, 0.01))
"""The generator is behind when requests are sent more than so many ns after their intended moments, by its own fault,
in more than such a share of arrivals; the same as for Locust, see ``open_loop``.
"""
(_LATE, _), (_VERY_LATE, _) = LATE
MISSED = 0.01
"""And when more than this share was not sent at all."""
_COUNTED = 1_000_000
"""Arrivals that were not made are counted up to here."""
GRACE = 2.0
"""Seconds that requests under way get when the load ends."""
_CATCHING_UP = 1_000_000
"""Nanoseconds of lag from which connections are made sparingly, while answers free old ones: one in this time. The lag
alone would make thousands that the server never asked for, each of which costs as much as ten requests.
"""
_NEW = 16
"""Connections that are made at once while catching up when nothing is answered."""
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
        self._loop = loop
        self._pool = pool
        self._plans = plans
        for plan in plans:
            plan.add = pool.writer.successes(plan.name)
        self._only = plans[0] if len(plans) == 1 else None
        self._weights = list(accumulate(plan.weight for plan in plans))
        self._moments = moments
        self._seconds = math.inf if seconds is None else seconds
        self._timeout = int(timeout * 1e9)
        self._random = random
        self._over = over
        self._timers = Timers(loop)
        self._number = self._missed = self._late = self._very_late = self._lag = self._answered = self._grew = 0
        self._start = 0
        self._next = 0
        self._reason = ""
        self._given_up_at = 0.0

    def start(self, at: int) -> None:
        """Send from that moment on (ns)."""
        self._start = at
        moment = next(self._moments, math.inf)
        if not self._ended(moment):
            self._next = at + int(moment * 1e9)
            self._due()
        self._loop.call_later(_SWEEP, self._sweep)

    def stop(self, reason: str) -> None:
        """Send nothing new; give what is under way :data:`GRACE` seconds."""
        if self._reason:
            return
        self._reason = reason
        self._given_up_at = self._loop.time() + GRACE
        if reason not in ("arrivals", "seconds"):
            late = monotonic_ns() - _LATE
            while self._next <= late and self._missed < _COUNTED:
                self._missed += 1
                moment = next(self._moments, None)
                self._next = late + 1 if moment is None else self._start + int(moment * 1e9)

    @property
    def figures(self) -> dict[str, Any]:
        """Arrivals that were due and those made, how many late, the worst lag in seconds, and whether it is behind."""
        return {
            "due": self._number + self._missed,
            "made": self._number,
            "late": self._late,
            "lag": round(self._lag / 1e9, 6),
            "behind": self._behind(),
        }

    def _behind(self) -> str:
        due = self._number + self._missed
        if self._pool.crowded:
            return (
                f"the limit of {self._pool.connections:,} connections was met: {self._pool.crowded:,} of {due:,} "
                "requests had to wait for one to be free"
            )
        for (limit, share), late in zip(LATE, (self._late, self._very_late), strict=True):
            if late > max(1, share * due):
                told = f"{late:,} of {due:,} requests were sent over {limit / 1e9:g} s late"
                return f"{told} (at worst {self._lag / 1e9:.2f} s)"
        missed = self._missed
        return f"{missed:,} of {due:,} requests were not sent" if missed > max(1, MISSED * due) else ""

    def _ended(self, moment: float) -> bool:
        """Whether there is nothing to send at that moment (seconds) any more."""
        if moment < self._seconds:
            return False
        self.stop("arrivals" if moment == math.inf else "seconds")
        return True

    def _due(self) -> None:
        if self._reason:
            return
        # Kept apart from the object while it runs: this is done for each request.
        pool, only, moments, seconds, start = self._pool, self._only, self._moments, self._seconds, self._start
        submit, number, due = pool.submit, self._number, self._next
        now = monotonic_ns()
        left = BATCH
        patient = False
        moment = 0.0
        while left > 0 and due <= now:
            lag = now - due
            if lag > _CATCHING_UP and not pool.idle and pool.open < pool.limit:
                patient = True
                if self._answered == pool.writer.count:
                    left = min(left, _NEW)
                elif now - self._grew > _CATCHING_UP:
                    self._grew = now
                    left = 1
                else:
                    break
            if lag > self._lag:
                self._lag = lag
            if lag > _LATE:
                self._late += 1
                self._very_late += lag > _VERY_LATE
            left -= 1
            submit(due, only or self._draw(), number)
            number += 1
            moment = next(moments, math.inf)
            if moment >= seconds:
                break
            due = start + int(moment * 1e9)
            now = monotonic_ns()
        self._number, self._next = number, due
        if self._ended(moment):
            return
        self._answered = pool.writer.count
        if due <= now and not patient:
            self._loop.call_soon(self._due)
        else:
            self._timers.at(max(due, now + QUANTUM), self._due)

    def _draw(self) -> Any:
        return self._plans[bisect(self._weights, self._random.random() * self._weights[-1])]

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
