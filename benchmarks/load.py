"""What recording costs: requests per CPU second of the ``load`` fixture's generator against Locust alone.

Same users, same target, in alternation; and the time from spawn to ready against ``import locust``.
Run it: ``python benchmarks/load.py [PAIRS]``.
"""

from __future__ import annotations

import json
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from pytest_enterprise.load.generator import Load
from pytest_enterprise.run import Run
from pytest_enterprise.settings import Settings

USERS = 20
SECONDS = 4.0

LOCUSTFILE = """
from locust import FastHttpUser, constant, task

class Visitor(FastHttpUser):
    wait_time = constant(0)

    @task
    def visit(self):
        self.client.get("/", name="/")
"""

# Locust as a library, with nothing but what it needs itself to make load.
BARE = """
import json, sys, time
import gevent, locust
from locust.env import Environment
from locust.util.load_locustfile import load_locustfile
classes, _ = load_locustfile(sys.argv[1])
environment = Environment(user_classes=list(classes.values()), events=locust.events, host=sys.argv[2])
runner = environment.create_local_runner()
runner.start(int(sys.argv[3]), spawn_rate=int(sys.argv[3]))
gevent.sleep(float(sys.argv[4]))
runner.quit()
print(json.dumps({"requests": environment.stats.total.num_requests, "cpu_seconds": time.process_time()}))
"""

SERVER = """
import asyncio, sys
class Answer(asyncio.Protocol):
    def connection_made(self, transport): self.transport = transport
    def data_received(self, data): self.transport.write(b"HTTP/1.1 200 OK\\r\\nContent-Length: 5\\r\\n\\r\\nhello")
async def main():
    server = await asyncio.get_running_loop().create_server(Answer, "127.0.0.1", int(sys.argv[1]))
    await server.serve_forever()
asyncio.run(main())
"""


def _target() -> tuple[subprocess.Popen[bytes], str]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    server = subprocess.Popen((sys.executable, "-c", SERVER, str(port)))
    for _ in range(500):
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            break
        except OSError:
            time.sleep(0.01)
    return server, f"http://127.0.0.1:{port}"


def _ours(load: Load, locustfile: Path, host: str) -> tuple[float, float]:
    began = time.monotonic_ns()
    with load(locustfile, users=USERS, host=host) as traffic:
        traffic.run_for(SECONDS)
    return traffic.requests / traffic.cpu_seconds, (traffic.started - began) / 1e9


def _bare(locustfile: Path, host: str) -> float:
    done = subprocess.run(
        (sys.executable, "-c", BARE, str(locustfile), host, str(USERS), str(SECONDS)),
        capture_output=True,
        text=True,
        check=True,
    )
    figures = json.loads(done.stdout)
    return float(figures["requests"] / figures["cpu_seconds"])


def _import_locust() -> float:
    began = time.monotonic()
    subprocess.run((sys.executable, "-c", "import locust"), check=True)
    return time.monotonic() - began


def measure(pairs: int = 5) -> dict[str, Any]:
    """Medians of alternated runs, and the ratios that are promised."""
    server, host = _target()
    ours, bare, ready, imports = [], [], [], []
    try:
        with tempfile.TemporaryDirectory() as folder:
            locustfile = Path(folder) / "locustfile.py"
            locustfile.write_text(LOCUSTFILE)
            load = Load(Run(Settings(reports=folder)), "benchmark")
            _ours(load, locustfile, host)  # bytecode and page cache
            for number in range(pairs):
                if number % 2:
                    bare.append(_bare(locustfile, host))
                rate, seconds = _ours(load, locustfile, host)
                ours.append(rate)
                ready.append(seconds)
                imports.append(_import_locust())
                if not number % 2:
                    bare.append(_bare(locustfile, host))
    finally:
        server.kill()
        server.wait()
    return {
        "requests per CPU second": round(statistics.median(ours)),
        "requests per CPU second, Locust alone": round(statistics.median(bare)),
        "ratio of requests per CPU second (at least 0.95)": round(
            statistics.median(a / b for a, b in zip(ours, bare, strict=True)), 3
        ),
        "spawn to ready, s": round(statistics.median(ready), 3),
        "import locust, s": round(statistics.median(imports), 3),
        "ratio of spawn to ready (at most 1.4)": round(statistics.median(ready) / statistics.median(imports), 3),
        "pairs": pairs,
    }


if __name__ == "__main__":
    print(json.dumps(measure(int(sys.argv[1]) if len(sys.argv) > 1 else 5), indent=2))  # noqa: T201
