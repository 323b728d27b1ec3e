"""A server that knows the truth: it behaves as planned and notes when each request came and when it was answered.

``python benchmarks/truthful_server.py PORT PLAN``: the plan is JSON, and its seconds count from the first request.

``{"kind": "stall", "at": 5, "lasting": 1}``
    answers nothing meanwhile; then everything that waits at once.
``{"kind": "slow start", "first": 0.2, "over": 3}``
    takes that long for an answer at first, and less and less until it takes no time.
``{"kind": "one at a time", "each": 0.004}``
    takes each request in turn.
``{"kind": "outage", "at": 3, "lasting": 1.5}``
    answers 503 meanwhile.

When stdin ends, it prints what it noted and ends too.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any, NamedTuple

_OK = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"
_DOWN = b"HTTP/1.1 503 Unavailable\r\nContent-Length: 4\r\n\r\ndown"


class Truth(NamedTuple):
    """What the server saw, in seconds of CLOCK_MONOTONIC."""

    began: float
    """When the first request came."""
    latencies: list[float]
    """From the arrival of each request at the server to its answer."""

    def percentile(self, percent: float) -> float:
        from pytest_enterprise.load.statistics import percentile

        return percentile(sorted(self.latencies), percent) or 0.0


class Server:
    """Started with :func:`running`; ask for its ``truth`` when the load is over."""

    def __init__(self, plan: dict[str, Any]) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        self.url = f"http://127.0.0.1:{port}"
        self.process = subprocess.Popen(
            (sys.executable, __file__, str(port), json.dumps(plan)), stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        for _ in range(500):
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
                return
            time.sleep(0.01)
        raise SystemExit("the server did not start")

    def truth(self) -> Truth:
        """End it and take what it noted."""
        told = json.loads(self.process.communicate(timeout=30)[0])
        return Truth(told["began"], told["latencies"])


@contextlib.contextmanager
def running(plan: dict[str, Any]) -> Iterator[Server]:
    """The server in a process of its own."""
    server = Server(plan)
    try:
        yield server
    finally:
        server.process.kill()
        server.process.wait()


class _Behaviour:
    def __init__(self, plan: dict[str, Any]) -> None:
        self.plan = plan
        self.began = 0.0
        self.latencies: list[float] = []
        self._free = 0.0

    def answer(self, now: float) -> tuple[float, bytes]:
        """When a request that came now is answered, and what."""
        self.began = self.began or now
        at, plan = now - self.began, self.plan
        match plan.get("kind"):
            case "stall" if plan["at"] <= at < plan["at"] + plan["lasting"]:
                return self.began + plan["at"] + plan["lasting"], _OK
            case "slow start" if at < plan["over"]:
                return now + plan["first"] * (1 - at / plan["over"]), _OK
            case "one at a time":
                self._free = max(self._free, now) + plan["each"]
                return self._free, _OK
            case "outage" if plan["at"] <= at < plan["at"] + plan["lasting"]:
                return now, _DOWN
        return now, _OK


class _Protocol(asyncio.Protocol):
    def __init__(self, behaviour: _Behaviour) -> None:
        self._behaviour = behaviour

    def connection_made(self, transport: Any) -> None:
        self._transport = transport

    def data_received(self, _: bytes) -> None:
        came = time.monotonic()
        due, answer = self._behaviour.answer(came)
        if due <= came:
            self._send(came, answer)
        else:
            asyncio.get_running_loop().call_at(due, self._send, came, answer)

    def _send(self, came: float, answer: bytes) -> None:
        self._transport.write(answer)
        self._behaviour.latencies.append(time.monotonic() - came)


async def _serve(port: int, behaviour: _Behaviour) -> None:
    loop = asyncio.get_running_loop()
    await loop.create_server(lambda: _Protocol(behaviour), "127.0.0.1", port)
    await loop.run_in_executor(None, sys.stdin.read)
    print(json.dumps({"began": behaviour.began, "latencies": behaviour.latencies}))  # noqa: T201


if __name__ == "__main__":
    asyncio.run(_serve(int(sys.argv[1]), _Behaviour(json.loads(sys.argv[2]))))
