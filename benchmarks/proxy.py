"""What the fault proxy costs: against HAProxy and a direct connection, in alternation.

Run it: ``python benchmarks/proxy.py [ROUNDS]``. Needs Debian's ``haproxy`` and ``wrk``; without them it says so.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROUNDS = 15
TRIPS = 3000
WRK_SECONDS = 2
BULK = 1 << 30
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


def serve(http: int, echo: int, source: int) -> None:
    """The servers behind: HTTP, an echo, and one that sends as much as it can."""
    import uvloop

    class Http(asyncio.Protocol):
        def connection_made(self, transport: Any) -> None:
            self.transport = transport

        def data_received(self, data: bytes) -> None:
            self.transport.write(ANSWER * data.count(b"\r\n\r\n"))

    class Echo(Http):
        def data_received(self, data: bytes) -> None:
            self.transport.write(data)

    async def run() -> None:
        loop = asyncio.get_running_loop()
        await loop.create_server(Http, "127.0.0.1", http)
        await loop.create_server(Echo, "127.0.0.1", echo)
        await asyncio.sleep(3600)

    listener = socket.create_server(("127.0.0.1", source))
    if os.fork() == 0:
        block = bytes(1 << 20)
        while True:
            connection, _ = listener.accept()
            with contextlib.suppress(OSError), connection:
                for _ in range(BULK >> 20):
                    connection.sendall(block)
    uvloop.run(run())


def free_ports(count: int) -> list[int]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


def wait_for(port: int) -> None:
    ends = time.monotonic() + 10
    while time.monotonic() < ends:
        with contextlib.suppress(OSError):
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        time.sleep(0.02)
    raise SystemExit(f"nothing listens on port {port}")


@contextlib.contextmanager
def started(*arguments: str) -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(arguments, stdout=subprocess.DEVNULL, start_new_session=True)
    try:
        yield process
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, 9)
        process.wait()


def cpu_of(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def round_trip(port: int) -> float:
    """The median round trip of one client, in microseconds."""
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        times = []
        for _ in range(TRIPS):
            began = time.perf_counter_ns()
            connection.sendall(b"x" * 64)
            connection.recv(64)
            times.append(time.perf_counter_ns() - began)
    return statistics.median(times) / 1e3


def requests(port: int) -> int:
    """Requests that 50 connections made."""
    done = subprocess.run(
        ("wrk", "-t1", "-c50", f"-d{WRK_SECONDS}s", f"http://127.0.0.1:{port}/"),
        capture_output=True,
        text=True,
        check=True,
    )
    found = re.search(r"(\d+) requests in", done.stdout)
    assert found
    return int(found[1])


def bulk(port: int) -> float:
    """Megabytes per second of one stream."""
    with socket.create_connection(("127.0.0.1", port)) as connection:
        buffer = bytearray(1 << 20)
        began = time.perf_counter()
        received = 0
        while size := connection.recv_into(buffer):
            received += size
        return received / (time.perf_counter() - began) / 1e6


def haproxy(folder: Path, links: list[tuple[int, int]], *, tuned: bool = False) -> Path:
    lines = ["global", "  maxconn 4000", "  nbthread 1", *(["  tune.bufsize 262144"] if tuned else [])]
    lines += ["defaults", "  mode tcp", *(f"  timeout {name} 60s" for name in ("connect", "client", "server"))]
    for listen, upstream in links:
        lines += [f"listen l{listen}", f"  bind 127.0.0.1:{listen}", f"  server s 127.0.0.1:{upstream}"]
    path = folder / f"haproxy{tuned}.cfg"
    path.write_text("\n".join(lines) + "\n")
    return path


def interval(values: list[float]) -> str:
    """The median, with the order statistics between which it lies with 95 %."""
    values = sorted(values)
    aside = max(0, int(len(values) / 2 - 0.98 * len(values) ** 0.5))
    return f"{statistics.median(values):.2f} ({values[aside]:.2f} to {values[-1 - aside]:.2f})"


def speed(rounds: int) -> dict[str, Any]:
    """Ours against HAProxy in TCP mode, no toxic on, one after the other in changing order."""
    for program, package in (("haproxy", "haproxy"), ("wrk", "wrk")):
        if not shutil.which(program):
            return {f"{program} is missing: apt-get install {package}": ""}
    behind = free_ports(3)
    ports = {name: free_ports(3) for name in ("ours", "haproxy", "tuned")}
    control = free_ports(1)[0]
    with tempfile.TemporaryDirectory() as name, contextlib.ExitStack() as running:
        folder = Path(name)
        config = folder / "proxy.json"
        config.write_text(
            json.dumps(
                [
                    {"name": f"l{listen}", "listen": f"127.0.0.1:{listen}", "upstream": f"127.0.0.1:{upstream}"}
                    for listen, upstream in zip(ports["ours"], behind, strict=True)
                ]
            )
        )
        running.enter_context(started(sys.executable, __file__, "serve", *map(str, behind)))
        own = (sys.executable, "-m", "pytest_enterprise.proxy", "-host", "127.0.0.1", "-port", str(control))
        processes = {"ours": running.enter_context(started(*own, "-config", str(config)))}
        for kind in ("haproxy", "tuned"):
            links = list(zip(ports[kind], behind, strict=True))
            path = haproxy(folder, links, tuned=kind == "tuned")
            processes[kind] = running.enter_context(started("haproxy", "-db", "-f", str(path)))
        ports["direct"] = behind
        for group in ports.values():
            for port in group:
                wait_for(port)
        trips: dict[str, list[float]] = {kind: [] for kind in ports}
        rates: dict[str, list[float]] = {kind: [] for kind in ports}
        costs: dict[str, list[float]] = {kind: [] for kind in processes}
        streams: dict[str, list[float]] = {kind: [] for kind in ports}
        for number in range(rounds):
            order = ["direct", "haproxy", "ours"]
            for kind in order if number % 2 else order[::-1]:
                http, echo, source = ports[kind]
                trips[kind].append(round_trip(echo))
                before = cpu_of(processes[kind].pid) if kind in processes else 0.0
                count = requests(http)
                rates[kind].append(count / WRK_SECONDS)
                if kind in processes:
                    costs[kind].append((cpu_of(processes[kind].pid) - before) / count * 1e6)
                streams[kind].append(bulk(source))
            streams["tuned"].append(bulk(ports["tuned"][2]))

    def ratio(of: dict[str, list[float]], one: str, other: str) -> str:
        return interval([a / b for a, b in zip(of[one], of[other], strict=True)])

    def median(of: dict[str, list[float]], *kinds: str) -> str:
        return " / ".join(f"{statistics.median(of[kind]):,.0f}" for kind in kinds)

    return {
        "round trip, us: direct / HAProxy / ours": median(trips, "direct", "haproxy", "ours"),
        "  ours / HAProxy (at most 1.05)": ratio(trips, "ours", "haproxy"),
        "requests/s: direct / HAProxy / ours": median(rates, "direct", "haproxy", "ours"),
        "  ours / HAProxy (at least 1.0)": ratio(rates, "ours", "haproxy"),
        "CPU per request, us: HAProxy / ours": median(costs, "haproxy", "ours"),
        "  ours / HAProxy (at most 1.25)": ratio(costs, "ours", "haproxy"),
        "bulk, MB/s: direct / HAProxy / tuned / ours": median(streams, "direct", "haproxy", "tuned", "ours"),
        "  ours / HAProxy (at least 1.3)": ratio(streams, "ours", "haproxy"),
        "  HAProxy tuned / untuned": ratio(streams, "tuned", "haproxy"),
    }


def measure(rounds: int = ROUNDS) -> dict[str, Any]:
    return speed(rounds)


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["serve", *ports]:
            serve(*map(int, ports))
        case rest:
            for name, value in measure(*map(int, rest)).items():
                print(f"{name:<70} {value:>32}")  # noqa: T201
