"""How exact the fault proxy is: delays, bandwidth and schedules, each against what was asked for."""

from __future__ import annotations

import contextlib
import json
import socket
import statistics
import sys
import tempfile
import time
import urllib.request
from typing import Any

from proxy import free_ports, started, wait_for

MESSAGE = 16


def send(port: int, rate: float, count: int) -> None:
    """Messages that say when they were sent, at a steady rate."""
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        start = time.monotonic()
        for number in range(count):
            while (left := start + number / rate - time.monotonic()) > 0:
                time.sleep(left)
            connection.sendall(time.monotonic_ns().to_bytes(MESSAGE, "big"))
        connection.shutdown(socket.SHUT_WR)
        connection.recv(1)


def one_way(listener: socket.socket, port: int, rate: float, count: int) -> list[float]:
    """Milliseconds from sending to receiving, through whatever listens on ``port``."""
    times = []
    with started(sys.executable, __file__, "send", str(port), str(rate), str(count)):
        connection, _ = listener.accept()
        with connection:
            rest = b""
            while data := connection.recv(65536):
                now = time.monotonic_ns()
                rest += data
                while len(rest) >= MESSAGE:
                    times.append((now - int.from_bytes(rest[:MESSAGE], "big")) / 1e6)
                    rest = rest[MESSAGE:]
    return times


def measure() -> dict[str, Any]:
    """Rows of the table, goals beside."""
    rows: dict[str, Any] = {}
    control, listen = free_ports(2)
    listener = socket.create_server(("127.0.0.1", 0))
    upstream = f"127.0.0.1:{listener.getsockname()[1]}"
    with started(sys.executable, "-m", "pytest_enterprise.proxy", "-host", "127.0.0.1", "-port", str(control)):
        wait_for(control)

        def call(method: str, path: str, body: Any = None) -> None:
            data = None if body is None else json.dumps(body).encode()
            request = urllib.request.Request(f"http://127.0.0.1:{control}{path}", data, method=method)
            urllib.request.urlopen(request, timeout=5).close()

        call("POST", "/proxies", {"name": "l", "listen": f"127.0.0.1:{listen}", "upstream": upstream})
        for rate, delays in ((200, (0.3, 1, 2.5, 10, 100, 1000)), (2000, (0.3, 1, 2.5, 10, 100))):
            bare = statistics.median(one_way(listener, listen, rate, rate * 2))
            for delay in delays:
                toxic = {"name": "t", "type": "latency", "stream": "upstream", "attributes": {"latency": delay}}
                call("POST", "/enterprise/proxies/l/toxics", toxic)
                times = sorted(one_way(listener, listen, rate, rate * 3))
                call("DELETE", "/proxies/l/toxics/t")
                over = [value - delay - bare for value in times]
                rows[f"latency {delay:g} ms at {rate}/s: least / p50 / p99 over, ms"] = (
                    f"{times[0] - delay:+.3f} / {statistics.median(over):+.3f} / {over[int(len(over) * 0.99)]:+.3f}"
                )
        rows["  goals"] = "-0.02 / +0.35 / +0.8"
        for rate in (100, 1000, 20_000):
            toxic = {"name": "t", "type": "bandwidth", "stream": "upstream", "attributes": {"rate": rate}}
            call("POST", "/proxies/l/toxics", toxic)
            with socket.create_connection(("127.0.0.1", listen)) as connection:
                peer, _ = listener.accept()
                connection.setblocking(False)
                block, received, began = bytes(1 << 16), 0, time.monotonic()
                peer.settimeout(0.05)
                while time.monotonic() < began + 5:
                    with contextlib.suppress(BlockingIOError):
                        connection.send(block)
                    with contextlib.suppress(TimeoutError):
                        received += len(peer.recv(1 << 20))
                held = received / (time.monotonic() - began) / 1000 / rate
                peer.close()
            call("DELETE", "/proxies/l/toxics/t")
            rows[f"bandwidth {rate} kB/s over 5 s, found / asked (within 0.03)"] = f"{held:.3f}"
    listener.close()
    rows["a schedule's events, p50 / latest, ms late (under 5)"] = _schedule()
    return rows


def _schedule() -> str:
    from pytest_enterprise import Stack
    from pytest_enterprise.faults.session import Faults
    from pytest_enterprise.live import LiveStack
    from pytest_enterprise.run import Run
    from pytest_enterprise.settings import Settings

    with tempfile.TemporaryDirectory() as folder:
        live = LiveStack(Run(Settings(runtime="process", reports=folder)), Stack([]))
        entries = [{"at": 0.03 * n, "for": 0.02, "fault": "noop"} for n in range(100)]
        with live, Faults(live, "bench").play({"faults": entries}) as played:
            played.wait()
        live.run.events.close()
    late = sorted(seconds * 1e3 for seconds in played.late)
    return f"{statistics.median(late):.2f} / {late[-1]:.2f}"


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["send", port, rate, count]:
            send(int(port), float(rate), int(count))
        case _:
            for name, value in measure().items():
                print(f"{name:<70} {value:>32}")  # noqa: T201
