"""What the dispatcher and the pool know of a connection, whatever it speaks; see the modules beside this one."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from time import monotonic_ns
from typing import Any, NamedTuple

from pytest_enterprise.load.native.pool import Pool


class Connection(ABC):
    """A connection that has one request under way, or none."""

    def __init__(self, pool: Pool) -> None:
        self.pool = pool
        self.intended = 0
        self.plan: Any = None
        self.payload: Any = None
        """Of the request under way, or of the last one."""
        self.over = False
        self.ready = False
        """It is connected: from then on requests are sent at once."""

    # What a protocol does.

    @abstractmethod
    def dial(self) -> None:
        """Connect, then set ``ready`` and send the payload that there is."""

    @abstractmethod
    def send(self, payload: Any) -> None:
        """Send a request. Its outcome is told by :meth:`finish` or :meth:`fail`, once."""

    @abstractmethod
    def shut(self) -> None:
        """Give back what the connection holds, at once."""

    # What the pool does.

    def begin(self, intended: int, plan: Any, number: int) -> None:
        """Send a request, when the connection is there."""
        self.intended = intended
        self.plan = plan
        pool = self.pool
        self.payload = payload = plan.fixed or plan.render(pool.random, number)
        pool.active[self] = None
        if self.ready:
            self.send(payload)
        else:
            self.dial()

    def fail(self, error: str, size: int = 0, *, status: Any = None, body: bytes | None = None) -> None:
        """The request under way has failed, and the connection with it."""
        plan = self.plan
        self.close()
        self.pool.failed(self.intended, plan, self.payload, error, size, status=status, body=body)

    def finish(
        self, error: str, size: int, *, reuse: bool = True, status: Any = None, body: bytes | None = None
    ) -> None:
        """The request under way was answered; ``status`` and ``body`` are of interest when that was a failure."""
        if reuse and not error:
            self.succeed(size)
            return
        pool, plan = self.pool, self.plan
        latency = monotonic_ns() - self.intended
        if reuse:
            self.plan = None
            del pool.active[self]
        else:
            self.close()
        if error:
            pool.failed(self.intended, plan, self.payload, error, size, status=status, body=body)
        else:
            plan.add(self.intended, latency, size)
            if latency > plan.slow:
                pool.slow.append((latency, self.intended, plan, self.payload))
        if reuse:
            self._go_on()

    def succeed(self, size: int) -> None:
        """The request under way was answered as expected, and the connection is good: how most requests end."""
        pool, plan, intended = self.pool, self.plan, self.intended
        latency = monotonic_ns() - intended
        plan.add(intended, latency, size)
        if latency > plan.slow:
            pool.slow.append((latency, intended, plan, self.payload))
        self.plan = None
        del pool.active[self]
        self._go_on()

    def _go_on(self) -> None:
        pool = self.pool
        if pool.waiting:
            self.begin(*pool.waiting.popleft())
        else:
            pool.idle.append(self)

    def close(self) -> None:
        """End the connection; the pool forgets it."""
        if self.over:
            return
        self.over = True
        self.shut()
        if self.plan is None:
            self.pool.idle.remove(self)
        else:
            del self.pool.active[self]
            self.plan = None
        self.pool.lost()


class Protocol(NamedTuple):
    """What a load sends, and how its connections are made."""

    plans: Sequence[Any]
    """Kinds of requests. Each has ``name``, ``weight``, ``fixed`` (the payload when nothing in it is drawn, else None),
    ``render(random, number)``, ``trace_id(payload)`` and ``slow``, the latency in ns above which a success is one of
    the slowest; infinite when requests have no trace ids. The dispatcher sets ``add``, which records a success.
    """
    connect: Callable[[Pool], Connection]
    at_once: int = 1
    """Requests that one connection carries at once."""
    makes_cycles: bool = False
    """Its libraries leave garbage that only the collector frees."""
