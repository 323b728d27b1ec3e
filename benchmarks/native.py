"""The native load engine: its cost against wrk and Locust, and how true what it reports is, in alternation.

Run it: ``python benchmarks/native.py [ROUNDS]``. Needs Debian's ``wrk``; without it it says so.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path
from typing import Any

from load import LOCUSTFILE, _bare
from proxy import free_ports, started, wait_for

from pytest_enterprise import Constant, HttpRequest, Poisson, Spike
from pytest_enterprise.load.arrivals import Arrivals
from pytest_enterprise.load.generator import Load
from pytest_enterprise.load.statistics import percentile
from pytest_enterprise.run import Run
from pytest_enterprise.settings import Settings

ROUNDS = 5
SECONDS = 3
SATURATED = 8
"""Seconds of the engine at its limit: its start, which counts, is as small a part as in a real load."""
CONNECTIONS = 50
OUTAGE = 2.0


def wrk(host: str) -> tuple[float, float]:
    """Requests per second, and per CPU second, as fast as it can."""
    before = os.times()
    done = subprocess.run(
        ("wrk", "-t1", f"-c{CONNECTIONS}", f"-d{SECONDS}s", f"{host}/"), capture_output=True, text=True, check=True
    )
    after = os.times()
    found = re.search(r"(\d+) requests in", done.stdout)
    assert found
    cpu = after.children_user + after.children_system - before.children_user - before.children_system
    return int(found[1]) / SECONDS, int(found[1]) / cpu


def figures(host: str) -> dict[str, Any]:
    """What the server saw since it was last asked."""
    with urllib.request.urlopen(f"{host}/figures", timeout=10) as answer:
        told: dict[str, Any] = json.load(answer)
    return told


def cost(load: Load, host: str, rounds: int, folder: Path) -> dict[str, Any]:
    """Requests per CPU second, the engine's own start included, and achieved against asked arrivals.

    As wrk can only go as fast as it can, over a number of connections, the engine is compared in the same state: asked
    for what wrk reached, over as many, which is more than it can. At a rate that leaves the server idle in between,
    each request also wakes it up, which is the sender's to pay; that is the second figure.
    """
    locustfile = folder / "locustfile.py"
    locustfile.write_text(LOCUSTFILE)
    rows: list[tuple[float, float, float]] = []
    achieved: dict[float, list[float]] = {0.1: [], 0.3: [], 0.6: []}
    ready, lags, partly = [], [], []
    for number in range(rounds):
        measured = [wrk(host)] if number % 2 else []
        locust = _bare(locustfile, host)
        if not measured:
            measured = [wrk(host)]
        rate, by_wrk = measured[0]
        for share, ratios in achieved.items():
            figures(host)
            asked = round(rate * share)
            began = time.monotonic_ns()
            request = [HttpRequest("GET", "/")]
            with load.http(request, arrivals=Constant(rate=asked), host=host, seconds=SECONDS) as traffic:
                ready.append((traffic.started - began) / 1e9)
                traffic.wait()
            seen = figures(host)
            ratios.append((seen["count"] - 1) / seen["seconds"] / asked)
            lags.append(traffic.arrivals["lag"])
        partly.append(traffic.requests / traffic.cpu_seconds)
        with load.http(
            [HttpRequest("GET", "/")], arrivals=rate, host=host, connections=CONNECTIONS, timeout=60
        ) as traffic:
            traffic.run_for(SATURATED)
        answered = sum(1 for record in traffic.records() if not record.error)
        rows.append((by_wrk, locust, answered / traffic.cpu_seconds))
    of_wrk, of_locust = (
        statistics.median(ours / other for *_, ours, other in ((row[2], row[place]) for row in rows))
        for place in (0, 1)
    )
    return {
        "requests per CPU second": round(statistics.median(row[2] for row in rows)),
        "requests per CPU second at 0.6 of wrk's rate": round(statistics.median(partly)),
        "requests per CPU second, wrk": round(statistics.median(row[0] for row in rows)),
        "requests per CPU second, Locust's FastHttpUser": round(statistics.median(row[1] for row in rows)),
        "against wrk (at least 0.85)": round(of_wrk, 3),
        "against FastHttpUser (at least 6)": round(of_locust, 2),
        **{
            f"achieved against asked arrivals at {share:g} of wrk's rate (0.999 to 1.001)": round(
                statistics.median(ratios), 4
            )
            for share, ratios in achieved.items()
        },
        "largest lag, median of runs, ms": round(statistics.median(lags) * 1e3, 2),
        "spawn to ready, s": round(statistics.median(ready), 3),
    }


PATTERNS: dict[str, Arrivals] = {
    "stall": Poisson(rate=200),
    "slow-start": Constant(rate=200),
    "burst": Spike(rate=100, peak=2000, at=1, lasting=0.3),
}


def truth(load: Load, host: str, rounds: int) -> dict[str, Any]:
    """Reported percentiles against the server's own."""
    found: dict[str, list[tuple[float, float]]] = {}
    for _ in range(rounds):
        for name, arrivals in PATTERNS.items():
            figures(host)
            request = [HttpRequest("GET", f"/{name}")]
            with load.http(request, arrivals=arrivals, host=host, seconds=4) as traffic:
                traffic.wait()
            seen = figures(host)
            latencies = sorted(record.latency for record in traffic.records())
            for which in (95, 99):
                pair = (percentile(latencies, which) or 0.0, seen[f"p{which}"])
                found.setdefault(f"{name}, p{which}", []).append(pair)
    rows = {}
    for name, pairs in found.items():
        ours, theirs = (statistics.median(column) for column in zip(*pairs, strict=True))
        worst = max(abs(ours - theirs) / max(0.02 * theirs, 0.001) for ours, theirs in pairs)
        rows[f"{name}: reported, the server's own, ms"] = f"{ours * 1e3:.2f}, {theirs * 1e3:.2f}"
        rows[f"{name}: worst difference over what is allowed, 2 % or 1 ms (at most 1)"] = round(worst, 3)
    return rows


def outage(load: Load, host: str, rounds: int, rate: float = 500.0) -> dict[str, Any]:
    """The outage that the records tell against the one that was."""
    differences, worst = [], []
    for _ in range(rounds):
        with load.http([HttpRequest("GET", "/")], arrivals=Constant(rate=rate), host=host) as traffic:
            traffic.run_for(0.5)
            urllib.request.urlopen(f"{host}/outage/{OUTAGE}", timeout=10).close()
            traffic.run_for(OUTAGE + 1)
        began, ended = figures(host)["outage"]
        records = sorted(traffic.records(), key=lambda record: record.start)
        failed = [record.start for record in records if record.error]
        back = next(record.start for record in records if record.start > failed[-1])
        difference = abs((back - failed[0]) - (ended - began)) / 1e9
        differences.append(difference)
        worst.append(difference / max(1 / rate, 0.005 * OUTAGE))
    return {
        f"measured outage against the true one of {OUTAGE:g} s: difference, ms": round(
            statistics.median(differences) * 1e3, 2
        ),
        "outage: worst difference over what is allowed, 1/rate or 0.5 % (at most 1)": round(max(worst), 3),
    }


def measure(rounds: int = ROUNDS) -> dict[str, Any]:
    """All figures."""
    if not shutil.which("wrk"):
        return {"not measured": "needs wrk: apt-get install wrk"}
    [port] = free_ports(1)
    host = f"http://127.0.0.1:{port}"
    with started(sys.executable, str(Path(__file__).parent / "native_target.py"), str(port)):
        wait_for(port)
        with tempfile.TemporaryDirectory() as folder:
            load = Load(Run(Settings(reports=folder)), "benchmark")
            return {
                **cost(load, host, rounds, Path(folder)),
                **truth(load, host, max(1, rounds // 2)),
                **outage(load, host, max(1, rounds // 2)),
            }


if __name__ == "__main__":
    print(json.dumps(measure(int(sys.argv[1]) if len(sys.argv) > 1 else ROUNDS), indent=2))  # noqa: T201
