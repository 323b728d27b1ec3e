"""``make bench``: what the plugin costs, as ratios in one run, printed as a table and kept as ``reports/bench.json``.

Idle cost, start-up and teardown of the reference stack, load, and the fault proxy. Needs a quiet machine to mean much.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
import venv
from pathlib import Path
from typing import Any

from load import measure as measure_load
from native import measure as measure_native
from open_loop import measure as measure_open_loop
from proxy import measure as measure_proxy
from proxy_accuracy import measure as measure_accuracy
from proxy_connections import measure as measure_connections

from pytest_enterprise import Alertmanager, Etcd, Link, Postgres, Prometheus, Stack, events, stack_file
from pytest_enterprise.live import LiveStack
from pytest_enterprise.run import Run
from pytest_enterprise.settings import Settings

ROOT = Path(__file__).parents[1]
PAIRS = 15
ALONE = (
    Stack([Etcd(name="etcd", replicas=3)], [Link("etcd", "etcd")]),
    Stack([Postgres(name="postgres")]),
    Stack([Prometheus(name="prometheus")]),
    Stack([Alertmanager(name="alertmanager")]),
)
"""Engines that can be ready alone; the service is measured with its database there."""


def _cpu_of(arguments: tuple[str, ...], cwd: Path) -> float:
    """CPU seconds of a program and its children."""
    process = subprocess.Popen(arguments, cwd=cwd, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{' '.join(arguments)} ended with {process.returncode}")
    return usage.ru_utime + usage.ru_stime


def idle() -> dict[str, Any]:
    """CPU time of collecting one trivial test, with the plugin (no extras) against pytest alone."""
    with tempfile.TemporaryDirectory() as folder:
        where = Path(folder)
        (where / "test_one.py").write_text("def test_one(): pass\n")
        pythons = []
        for name, wanted in (("with", ["pytest", str(ROOT)]), ("without", ["pytest"])):
            venv.create(where / name, with_pip=True)
            python = where / name / "bin" / "python"
            subprocess.run((python, "-m", "pip", "install", "-q", *wanted), check=True)
            pythons.append(str(python))
        figures: list[tuple[float, float]] = []
        for number in range(PAIRS + 1):
            order = pythons if number % 2 else pythons[::-1]
            cost = {p: _cpu_of((p, "-m", "pytest", "--collect-only", "-q", "test_one.py"), where) for p in order}
            figures.append((cost[pythons[0]], cost[pythons[1]]))
        ratios = [ours / bare for ours, bare in figures[1:]]  # the first pair writes bytecode
    return {
        "collect with the plugin, CPU s": round(statistics.median(ours for ours, _ in figures[1:]), 3),
        "collect without, CPU s": round(statistics.median(bare for _, bare in figures[1:]), 3),
        "ratio (at most 1.05)": round(statistics.median(ratios), 3),
    }


def _start(spec: Stack, only: tuple[str, ...] = ()) -> tuple[float, float, float, dict[str, float]]:
    """Seconds to ready and to the end, CPU seconds until ready, and each engine's own seconds."""
    with tempfile.TemporaryDirectory() as folder:
        run = Run(Settings(runtime="process", reports=folder))
        live = LiveStack(run, spec)
        try:
            began = time.monotonic()
            live.ensure(*only)
            ready = time.monotonic() - began
            cpu = sum(live.portal.call(one.cpu_seconds()) for one in live.running.running.values())
        finally:
            ending = time.monotonic()
            live.close()
            ended = time.monotonic() - ending
        told = {
            event["engine"]: event["seconds"] for event in events.read(run.directory) if event["kind"] == "engine.ready"
        }
        run.events.close()
        run.ports.release()
    return ready, ended, cpu, told


def stack(times: int = 5) -> dict[str, Any]:
    """The reference stack: to ready against the best that its engines allow, and to nothing left."""
    spec = stack_file.load(ROOT / "fixtures" / "stack.py")
    rounds = []
    for _ in range(times):
        own = max(max(_start(alone)[3].values()) for alone in ALONE)
        chain = _start(spec, ("agent-service",))[0]
        ready, ended, cpu, _ = _start(spec)
        bound = max(own, chain, cpu / (os.cpu_count() or 1))
        rounds.append((ready, bound, ready / bound, ended, _start(Stack([Etcd(name="etcd")]))[0], cpu))
    ready, bound, ratio, ended, single, cpu = (statistics.median(column) for column in zip(*rounds, strict=True))
    return {
        "full stack ready, s": round(ready, 2),
        "slowest chain, or CPU time by cores, s": round(bound, 2),
        "ratio (at most 1.25)": round(ratio, 2),
        "CPU time of all engines until ready, s": round(cpu, 2),
        "etcd alone ready, s (under 1)": round(single, 2),
        "teardown of the full stack, s (under 3)": round(ended, 2),
    }


def main() -> None:
    figures: dict[str, dict[str, Any]] = {}
    parts = {
        "idle": idle,
        "stack": stack,
        "load": measure_load,
        "open loop, Locust": measure_open_loop,
        "native load": measure_native,
        "proxy": measure_proxy,
        "proxy accuracy": measure_accuracy,
        "proxy connections": measure_connections,
    }
    for part, measure in parts.items():
        rows = figures[part] = measure()
        print(part, flush=True)  # noqa: T201
        for name, value in rows.items():
            print(f"  {name:<70} {value:>32}")  # noqa: T201
    path = ROOT / "reports" / "bench.json"
    path.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")
    print(f"kept in {path}")  # noqa: T201


if __name__ == "__main__":
    sys.exit(main())
