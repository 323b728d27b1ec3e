"""The server that the native engine is measured against: ``python benchmarks/native_target.py PORT``.

It answers at once, or as a path says: ``/stall``, ``/slow-start``, ``/burst`` hold answers back by a schedule and note
how long each was held. ``/figures`` tells and forgets what it saw; ``/outage/SECONDS`` closes its port for that long.
"""

from __future__ import annotations

import asyncio
import json
import sys
from time import monotonic_ns
from typing import Any

import uvloop

from pytest_enterprise.load.statistics import percentile
from pytest_enterprise.proxy.timers import Timers

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"
SECOND = 1_000_000_000
BACKLOG = 4096


class Target:
    """The server's state."""

    def __init__(self, port: int) -> None:
        self.loop = asyncio.get_running_loop()
        self.timers = Timers(self.loop)
        self.port = port
        self.connections: set[asyncio.Transport] = set()
        self.server: asyncio.Server | None = None
        self.outage: list[int] = []
        self.forget()

    def forget(self) -> None:
        self.count = self.first = self.last = self.busy_until = 0
        self.held: list[float] = []

    async def listen(self) -> None:
        self.server = await self.loop.create_server(lambda: Http(self), "127.0.0.1", self.port, backlog=BACKLOG)

    def break_down(self, seconds: float) -> None:
        """Refuse everything for so long."""
        assert self.server
        self.outage = [monotonic_ns()]
        self.server.close()
        for transport in list(self.connections):
            transport.abort()
        self.timers.after(seconds, lambda: asyncio.ensure_future(self._mend()))

    async def _mend(self) -> None:
        await self.listen()
        self.outage.append(monotonic_ns())

    def figures(self) -> bytes:
        held = sorted(self.held)
        told = {
            "count": self.count,
            "seconds": (self.last - self.first) / 1e9,
            "p95": percentile(held, 95),
            "p99": percentile(held, 99),
            "outage": self.outage,
        }
        self.forget()
        return json.dumps(told).encode()

    def due(self, path: bytes, now: int) -> int:
        """When a request that came now is to be answered."""
        since = now - self.first
        if path.startswith(b"/stall"):
            # From 1 s on for 1 s, nothing.
            return max(now, self.first + 2 * SECOND) if since >= SECOND else now
        if path.startswith(b"/slow-start"):
            # From 60 ms for each, down to 2 ms after two seconds.
            return now + max(2_000_000, 60_000_000 - since * 29 // 1000)
        # One worker that takes 1.5 ms for each.
        self.busy_until = max(self.busy_until, now) + 1_500_000
        return self.busy_until


class Http(asyncio.Protocol):
    """One connection; a client sends its next request when it has its answer."""

    def __init__(self, target: Target) -> None:
        self.target = target

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        self.target.connections.add(transport)

    def connection_lost(self, _: Exception | None) -> None:
        self.target.connections.discard(self.transport)

    def data_received(self, data: bytes) -> None:
        target = self.target
        path = data[4 : data.index(b" ", 4)]
        if path == b"/figures":
            body = target.figures()
            self.transport.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))
            return
        if path.startswith(b"/outage"):
            self.transport.write(ANSWER)
            target.loop.call_later(0.2, target.break_down, float(path[8:]))
            return
        now = monotonic_ns()
        target.count += 1
        target.first = target.first or now
        target.last = now
        if path == b"/":
            self.transport.write(ANSWER)
        else:
            target.timers.at(target.due(path, now), lambda: self._answer(now))

    def _answer(self, came: int) -> None:
        self.target.held.append((monotonic_ns() - came) / 1e9)
        self.transport.write(ANSWER)


async def main() -> None:
    target = Target(int(sys.argv[1]))
    await target.listen()
    await asyncio.sleep(3600)


if __name__ == "__main__":
    uvloop.run(main())
