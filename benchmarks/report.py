"""What a report costs: time, memory and size, for ten million requests and for a run of 200 tests with load.

The run of 200 tests is reported by Allure 3 as well, from results with the same charts, where `allure` is installed
(``npm install --global allure``). Run it: ``python benchmarks/report.py``.
"""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from pytest_enterprise.load.records import RecordWriter

ROOT = Path(__file__).parents[1]
REQUESTS = 10_000_000
TIMES = 5
"""Reports of each, in alternation."""
_S = 1_000_000_000
_RECORD = np.dtype([("start", "<u8"), ("latency", "<u4"), ("name", "<u2"), ("outcome", "<u2"), ("size", "<u4")])

# A session that hands over to Allure what the plugin would have, test by test.
HANDED_OVER = """
import pathlib, pytest
from pytest_enterprise import events
from pytest_enterprise.report import allure

DIRECTORY = pathlib.Path({directory!r})
TESTS = {{}}
running = None
for event in events.read(DIRECTORY):
    if event["kind"] == "test.started":
        running = TESTS.setdefault(len(TESTS), [])
    if running is not None and "test" in event:
        running.append(event)

@pytest.mark.parametrize("number", TESTS)
def test_scenario(number):
    assert allure.attach(TESTS[number], DIRECTORY)
    assert TESTS[number][-1]["outcome"] == "passed", TESTS[number][-1]["message"]
"""


def _run(arguments: list[str], where: Path) -> tuple[float, float]:
    """Seconds that a program takes, and the most memory it had, in MB."""
    began = time.monotonic()
    process = subprocess.Popen(arguments, cwd=where, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    said = process.stderr.read() if process.stderr else b""
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{' '.join(arguments)} ended with {process.returncode}: {said.decode()[-2000:]}")
    return time.monotonic() - began, usage.ru_maxrss / 1024


def _report(directory: Path) -> tuple[float, float]:
    return _run([sys.executable, "-m", "pytest_enterprise.cli", "report", str(directory)], directory)


def _millions(directory: Path) -> None:
    """A run of one load of ten minutes, with a fault in the middle."""
    writer = RecordWriter(directory / "load" / "l-1")
    writer.add(1000 * _S, 0.01, "GET /0", "HTTP 503", 400)
    for number in range(1, 5):
        writer.add(1000 * _S, 0.01, f"GET /{number}", "", 400)
    writer.close()
    random = np.random.default_rng(7)
    part = REQUESTS // 10
    with (directory / "load" / "l-1.requests").open("ab") as file:
        for number in range(10):
            records = np.zeros(part, _RECORD)
            records["start"] = 1000 * _S + np.arange(number * part, (number + 1) * part) * 60_000
            records["latency"] = random.lognormal(9, 0.6, part)
            records["name"] = random.integers(0, 5, part)
            records["outcome"] = random.random(part) < 0.001
            records.tofile(file)
    told: list[dict[str, Any]] = [
        {"t": 999 * _S, "kind": "test.started", "test": "t.py::test_load", "claim": "a"},
        {"t": 1000 * _S, "kind": "load.started", "test": "t.py::test_load", "load": "l-1", "closed_loop": False},
        {"t": 1200 * _S, "kind": "fault.began", "test": "t.py::test_load", "fault": "f", "fault_kind": "kill"},
        {"t": 1300 * _S, "kind": "fault.ended", "test": "t.py::test_load", "fault": "f", "acted": True},
        {"t": 1601 * _S, "kind": "load.finished", "test": "t.py::test_load", "load": "l-1", "requests": REQUESTS},
        {"t": 1602 * _S, "kind": "test.finished", "test": "t.py::test_load", "outcome": "passed"},
        {"t": 1603 * _S, "kind": "run.finished", "exit_status": 0},
    ]
    (directory / "events.jsonl").write_text("".join(json.dumps(event) + "\n" for event in told))
    (directory / "run.json").write_text("{}")


def _hundreds(directory: Path) -> Path:
    """The run of 201 scenarios that the report's tests use."""
    spec = importlib.util.spec_from_file_location("runs", ROOT / "tests" / "report" / "conftest.py")
    assert spec is not None
    assert spec.loader is not None
    runs = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(runs)
    made: Path = runs.hundreds_run(runs.Builder(directory))
    return made


def _handed_over(run: Path, where: Path) -> list[str] | None:
    """The command by which Allure 3 reports the same run; None where it is not installed."""
    program = shutil.which("allure") or shutil.which("allure", path=str(ROOT / "node_modules" / ".bin"))
    if program is None or importlib.util.find_spec("allure_pytest") is None:
        return None
    where.mkdir()
    (where / "test_handed_over.py").write_text(HANDED_OVER.format(directory=str(run)))
    subprocess.run(
        (sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--alluredir=results", "test_handed_over.py"),
        cwd=where,
        check=False,  # a third of them failed
        stdout=subprocess.DEVNULL,
    )
    return [program, "generate", "results", "-o", "made"]


def measure() -> dict[str, Any]:
    """Seconds, MB and bytes, and the ratio to Allure."""
    with tempfile.TemporaryDirectory() as folder:
        where = Path(folder)
        large = where / "large"
        _millions(large)
        seconds, memory = _report(large)
        run = _hundreds(where / "hundreds")
        theirs = _handed_over(run, where / "allure")
        pairs = []
        for number in range(TIMES):
            made = {}
            for name in ("ours", "theirs") if number % 2 else ("theirs", "ours"):
                if name == "ours":
                    made[name] = _report(run)[0]
                elif theirs:
                    made[name] = _run(theirs, where / "allure")[0]
            pairs.append(made)
        size = (run / "index.html").stat().st_size
    ours = statistics.median(made["ours"] for made in pairs)
    rows: dict[str, Any] = {
        "10 million requests reported, s (under 60)": round(seconds, 1),
        "10 million requests reported, MB of memory (under 1000)": round(memory),
        "HTML of 201 scenarios with load, kB (at most 950)": round(size / 1000),
        "made in, s": round(ours, 2),
    }
    if theirs is None:
        return {**rows, "ratio to Allure 3's generate (at most 1)": "allure is not installed"}
    return {
        **rows,
        "allure generate, s": round(statistics.median(made["theirs"] for made in pairs), 2),
        "ratio (at most 1)": round(statistics.median(made["ours"] / made["theirs"] for made in pairs), 2),
    }


if __name__ == "__main__":
    print(json.dumps(measure(), indent=2))  # noqa: T201
