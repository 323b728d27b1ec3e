"""What it takes to judge a load: eight objectives by ten million requests, against the plain way by rows.

Each in a process of its own, so that its memory can be told. Run it: ``python benchmarks/judging.py [REQUESTS]``.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from pytest_enterprise import Availability, Latency, Recovery, Refusals, Throughput
from pytest_enterprise.load import records
from pytest_enterprise.load.columns import DTYPE, Columns
from pytest_enterprise.objectives import Objectives, Window

REQUESTS = 10_000_000
ROWS = 1_000_000
"""By rows only so many: ten million would take minutes and gigabytes."""
S = 1_000_000_000
BEGAN, SECONDS = 1_000 * S, 1_000
OBJECTIVES = (
    Availability(at_least=0.99, phase="whole"),
    Latency(at_most=1, phase="whole"),
    Latency(at_most=1, phase="before"),
    Latency(at_most=1, phase="during"),
    Latency(at_most=1, phase="after", endpoint="GET /1"),
    Throughput(at_least=1),
    Recovery(within=3),
    Refusals(within=1, phase="during"),
)


def write(path: Path, count: int) -> None:
    """A load of so many requests in 1,000 s, five endpoints, one failure in a thousand."""
    random = np.random.default_rng(1)
    made = np.empty(count, DTYPE)
    made["start"] = BEGAN + np.sort(random.integers(0, SECONDS * S, count))
    made["latency"] = random.lognormal(9, 0.5, count)
    made["name"] = random.integers(0, 5, count)
    made["outcome"] = random.random(count) < 0.001
    made["size"] = 100
    made.tofile(path.with_name(path.name + ".requests"))
    lines = [{"name": f"GET /{number}", "number": number} for number in range(5)] + [{"error": "HTTP 503", "number": 1}]
    path.with_name(path.name + ".index.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))


class Load:
    """A load that has ended, for the judge."""

    started, stopped = BEGAN, BEGAN + SECONDS * S

    def __init__(self, path: Path) -> None:
        self._path = path

    def records(self) -> Columns:
        return Columns.read(self._path)


def judge(path: Path) -> None:
    """All of the objectives."""
    fault = Window("f", "cut", "a -> b", BEGAN + 400 * S, BEGAN + 500 * S)
    Objectives(lambda _, **__: None, "bench").check(*OBJECTIVES, load=Load(path), faults=[fault])


def rows(path: Path) -> None:
    """One percentile, by a list of requests."""
    ordered = sorted(request.latency for request in list(records.read(path)) if not request.error)
    assert ordered[len(ordered) * 99 // 100] > 0


def _child(what: str, path: Path) -> tuple[float, float]:
    """CPU seconds and peak MB of one way, in a process of its own."""
    done = subprocess.run([sys.executable, __file__, what, str(path)], capture_output=True, text=True, check=True)
    seconds, memory = json.loads(done.stdout)
    return seconds, memory


def measure(requests: int = REQUESTS) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        many, few = Path(folder) / "many", Path(folder) / "few"
        write(many, requests)
        write(few, min(requests, ROWS))
        seconds, memory = _child("judge", many)
        small, _ = _child("judge", few)
        plain, heavy = _child("rows", few)
    return {
        f"eight objectives by {requests:,} requests, CPU s": round(seconds, 2),
        "peak memory, MB (under 1,000)": round(memory),
        f"by {min(requests, ROWS):,}, CPU s": round(small, 2),
        "one percentile of as many by rows, CPU s": round(plain, 2),
        "its peak memory, MB": round(heavy),
    }


if __name__ == "__main__":
    if sys.argv[1:2] in (["judge"], ["rows"]):
        began = time.process_time()
        {"judge": judge, "rows": rows}[sys.argv[1]](Path(sys.argv[2]))
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(json.dumps([time.process_time() - began, peak]))  # noqa: T201
    else:
        for name, value in measure(*map(int, sys.argv[1:])).items():
            print(f"{name:<60} {value:>10}")  # noqa: T201
