"""How the fault proxy bears many connections: idle, at once, short; and whether one link feels the toxic of another.

Against HAProxy in TCP mode and a direct connection, in alternation. Run it: ``python benchmarks/proxy_connections.py``.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import resource
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from proxy import ANSWER, free_ports, haproxy, interval, round_trip, started, wait_for

IDLE = 2000
MANY = 5000
ROUNDS = 7
SECONDS = 2


def serve(echo: int, closing: int) -> None:
    """An echo, and HTTP that ends each connection after its answer."""
    import uvloop

    class Echo(asyncio.Protocol):
        def connection_made(self, transport: Any) -> None:
            self.transport = transport

        def data_received(self, data: bytes) -> None:
            self.transport.write(data)

    class Closing(Echo):
        def data_received(self, data: bytes) -> None:  # noqa: ARG002
            self.transport.write(ANSWER.replace(b"OK\r\n", b"OK\r\nConnection: close\r\n"))
            self.transport.close()

    async def run() -> None:
        loop = asyncio.get_running_loop()
        await loop.create_server(Echo, "127.0.0.1", echo, backlog=4096)
        await loop.create_server(Closing, "127.0.0.1", closing, backlog=4096)
        await asyncio.sleep(3600)

    allow_many()
    uvloop.run(run())


def allow_many() -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def resident(pid: int) -> float:
    """Megabytes that a process holds."""
    text = Path(f"/proc/{pid}/status").read_text()
    found = re.search(r"VmRSS:\s+(\d+)", text)
    assert found
    return int(found[1]) / 1024


@contextlib.contextmanager
def opened(port: int, count: int) -> Iterator[list[socket.socket]]:
    """So many connections, each of which has seen its echo."""
    with contextlib.ExitStack() as all_of_them:
        made = [
            all_of_them.enter_context(socket.create_connection(("127.0.0.1", port), timeout=10)) for _ in range(count)
        ]
        for connection in made:
            connection.sendall(b"x")
        for connection in made:
            assert connection.recv(1) == b"x"
        yield made


def short(port: int) -> float:
    """Connections per second, each for one request."""
    done = subprocess.run(
        ("wrk", "-t1", "-c50", f"-d{SECONDS}s", f"http://127.0.0.1:{port}/"), capture_output=True, text=True, check=True
    )
    found = re.search(r"(\d+) requests in", done.stdout)
    assert found
    return int(found[1]) / SECONDS


def disturbed(control: int, other: int, port: int) -> tuple[float, float]:
    """Round trips on one link in microseconds, while a busy link has no toxic and while it has one."""
    ended = threading.Event()

    def busy() -> None:
        with socket.create_connection(("127.0.0.1", other)) as connection:
            connection.settimeout(0.2)
            while not ended.wait(0.001):
                connection.sendall(b"x" * 64)
                with contextlib.suppress(TimeoutError):
                    connection.recv(4096)

    def call(method: str, path: str, body: Any = None) -> None:
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"http://127.0.0.1:{control}{path}", data, method=method)
        urllib.request.urlopen(request, timeout=5).close()

    thread = threading.Thread(target=busy)
    thread.start()
    try:
        without = round_trip(port)
        call("POST", f"/proxies/l{other}/toxics", {"name": "t", "type": "latency", "attributes": {"latency": 5}})
        with_toxic = round_trip(port)
        call("DELETE", f"/proxies/l{other}/toxics/t")
    finally:
        ended.set()
        thread.join()
    return without, with_toxic


def measure(rounds: int = ROUNDS) -> dict[str, Any]:
    """Rows of the table, goals beside."""
    for program in ("haproxy", "wrk"):
        if not shutil.which(program):
            return {f"{program} is missing: apt-get install {program}": ""}
    allow_many()
    echo, closing = free_ports(2)
    ports = {"direct": (echo, closing), "ours": free_ports(2), "haproxy": free_ports(2)}
    spare, control = free_ports(2)
    rows: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as name, contextlib.ExitStack() as running:
        folder = Path(name)
        links = [*zip(ports["ours"], (echo, closing), strict=True), (spare, echo)]
        config = folder / "proxy.json"
        config.write_text(
            json.dumps(
                [
                    {"name": f"l{listen}", "listen": f"127.0.0.1:{listen}", "upstream": f"127.0.0.1:{upstream}"}
                    for listen, upstream in links
                ]
            )
        )
        running.enter_context(started(sys.executable, __file__, "serve", str(echo), str(closing)))
        wait_for(echo)
        own = (sys.executable, "-m", "pytest_enterprise.proxy", "-host", "127.0.0.1", "-port", str(control))
        pairs = list(zip(ports["haproxy"], (echo, closing), strict=True))
        processes = {
            "ours": running.enter_context(started(*own, "-config", str(config))),
            "haproxy": running.enter_context(started("haproxy", "-db", "-f", str(haproxy(folder, pairs)))),
        }
        for group in ports.values():
            for port in group:
                wait_for(port)
        held = {}
        for kind, process in processes.items():
            with opened(ports[kind][0], IDLE):
                held[kind] = resident(process.pid)
        rows[f"memory with {IDLE:,} idle connections, MB: HAProxy / ours (ours under 60)"] = (
            f"{held['haproxy']:.0f} / {held['ours']:.0f}"
        )
        began = time.monotonic()
        with opened(ports["ours"][0], MANY) as many:
            rows[f"connections open at once, all echoed ({MANY:,})"] = (
                f"{len(many):,} in {time.monotonic() - began:.1f} s"
            )
        rates: dict[str, list[float]] = {kind: [] for kind in ports}
        trips = []
        for number in range(rounds):
            order = list(ports)
            for kind in order if number % 2 else order[::-1]:
                rates[kind].append(short(ports[kind][1]))
            trips.append(disturbed(control, spare, ports["ours"][0]))
    middle = {kind: statistics.median(values) for kind, values in rates.items()}
    rows["short connections/s: direct / HAProxy / ours (10,000, or HAProxy's)"] = " / ".join(
        f"{middle[kind]:,.0f}" for kind in ("direct", "haproxy", "ours")
    )
    rows["  ours / HAProxy"] = interval([a / b for a, b in zip(rates["ours"], rates["haproxy"], strict=True)])
    rows["round trip beside a link with a toxic / beside one without (1)"] = interval(
        [with_toxic / without for without, with_toxic in trips]
    )
    return rows


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["serve", echo, closing]:
            serve(int(echo), int(closing))
        case rest:
            for name, value in measure(*map(int, rest)).items():
                print(f"{name:<75} {value:>32}")  # noqa: T201
