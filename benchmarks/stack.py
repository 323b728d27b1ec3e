"""How fast the reference stack starts and ends, against the best that its engines allow."""

from __future__ import annotations

import os
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

from pytest_enterprise import Alertmanager, Etcd, Link, Postgres, Prometheus, Stack, events, stack_file
from pytest_enterprise.live import LiveStack
from pytest_enterprise.run import Run
from pytest_enterprise.settings import Settings

ROOT = Path(__file__).parents[1]
ALONE = (
    Stack([Etcd(name="etcd", replicas=3)], [Link("etcd", "etcd")]),
    Stack([Postgres(name="postgres")]),
    Stack([Prometheus(name="prometheus")]),
    Stack([Alertmanager(name="alertmanager")]),
)
"""Engines that can be ready alone; the service is measured with its database there."""


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


def measure(times: int = 3) -> dict[str, Any]:
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


if __name__ == "__main__":
    for name, value in measure().items():
        print(f"{name:<70} {value:>32}")  # noqa: T201
