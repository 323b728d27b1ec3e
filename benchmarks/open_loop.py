"""Whether Locust's open loop tells the truth: arrivals against those asked for, percentiles against the server's own.

Run it: ``python benchmarks/open_loop.py``; about a minute and a half.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from truthful_server import Truth, running

from pytest_enterprise import Constant, Poisson, Spike
from pytest_enterprise.load.arrivals import Arrivals
from pytest_enterprise.load.generator import Load
from pytest_enterprise.load.statistics import percentile
from pytest_enterprise.load.traffic import Traffic
from pytest_enterprise.run import Run
from pytest_enterprise.settings import Settings

LOCUSTFILE = """
from locust import task
from pytest_enterprise.load.users import EnterpriseUser

class Visitor(EnterpriseUser):
    rate = 10

    @task
    def visit(self):
        self.client.get("/", name="/")
"""
RATES = (100, 400, 800)
STALL = {"kind": "stall", "at": 5.0, "lasting": 1.0}
SHAPES: dict[str, tuple[dict[str, Any], Arrivals]] = {
    "stall": (STALL, Constant(rate=100)),
    "slow start": ({"kind": "slow start", "first": 0.2, "over": 3.0}, Poisson(rate=100)),
    "burst": ({"kind": "one at a time", "each": 0.004}, Spike(rate=100, peak=400, at=4, lasting=2)),
}
OUTAGE = {"kind": "outage", "at": 3.0, "lasting": 1.5}
SECONDS = 10.0


@contextmanager
def loads() -> Iterator[tuple[Load, Path]]:
    """A maker of loads, and a locustfile."""
    with tempfile.TemporaryDirectory() as folder:
        locustfile = Path(folder) / "locustfile.py"
        locustfile.write_text(LOCUSTFILE)
        yield Load(Run(Settings(reports=folder, seed=1)), "benchmark"), locustfile


def _run(plan: dict[str, Any], **how: Any) -> tuple[Traffic, list[Any], Truth]:
    with loads() as (load, locustfile), running(plan) as server:
        with load(locustfile, host=server.url, seconds=SECONDS, **how) as traffic:
            traffic.wait(60)
        return traffic, list(traffic.records()), server.truth()


def kept() -> dict[str, Any]:
    """Achieved against asked arrivals: requests begun in the time between the first and the last."""
    rows = {}
    for rate in RATES:
        traffic, made, _ = _run({}, arrivals=rate)
        starts = [request.start for request in made]
        achieved = (len(starts) - 1) / ((max(starts) - min(starts)) / 1e9)
        told = f"{achieved / rate:.4f}, at worst {traffic.arrivals['lag'] * 1e3:.1f} ms late"
        rows[f"achieved of {rate} arrivals/s (0.999 to 1.001)"] = told + (" BEHIND" if traffic.behind else "")
    return rows


def truthful() -> dict[str, Any]:
    """Reported percentiles against the server's own, and those of a closed loop for the stall."""
    rows = {}
    for name, (plan, arrivals) in SHAPES.items():
        loops: dict[str, dict[str, Any]] = {"open": {"arrivals": arrivals}}
        if name == "stall":
            loops["closed"] = {"users": 4, "options": {"rate": 25}}
        for loop, how in loops.items():
            _, made, truth = _run(plan, **how)
            if loop == "open":
                true = truth
            ordered = sorted(request.latency for request in made)
            for percent in (95, 99):
                ours, server = (percentile(ordered, percent) or 0) * 1e3, true.percentile(percent) * 1e3
                told = f"{ours:.1f}, {server:.1f} ({(ours / server - 1) * 100:+.1f} %)"
                rows[f"{name}, {loop} loop, p{percent}: reported, the server's own, ms"] = told
                if loop == "open":
                    row = f"{name}, p{percent}: difference over what is allowed, 2 % or 1 ms (at most 1)"
                    rows[row] = round(abs(ours - server) / max(0.02 * server, 1.0), 3)
    return rows


def outage() -> dict[str, Any]:
    """The outage as users met it, from the first refusal to the first request that was served again."""
    _, made, _ = _run(OUTAGE, arrivals=100)
    made.sort(key=lambda request: request.start)
    refused = [request.start for request in made if request.error]
    served = next(request.start for request in made if request.start > refused[-1])
    measured = (served - refused[0]) / 1e9
    off = (measured - OUTAGE["lasting"]) * 1e3
    return {
        "measured outage against true, 100/s (within 10 ms)": f"{measured:.3f} of {OUTAGE['lasting']} s, {off:+.1f} ms"
    }


def measure() -> dict[str, Any]:
    """All rows."""
    return {**kept(), **truthful(), **outage()}


if __name__ == "__main__":
    print(json.dumps(measure(), indent=2))  # noqa: T201
