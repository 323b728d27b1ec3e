"""What evidence costs: time and memory for ten thousand records in all formats, and how both grow with the records.

Run it: ``python benchmarks/evidence.py``.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

RECORDS = 10_000
TIMES = 3
_MAKE = """
import sys, pathlib
from pytest_enterprise.evidence import documents
from pytest_enterprise.report import junit
run = pathlib.Path(sys.argv[1])
documents.write(run)
junit.write(run)
"""
_S = 1_000_000_000


def make_run(directory: Path, records: int) -> None:
    """A run of so many scenarios, each with a load with its record file, a fault and three objectives; some fail."""
    (directory / "load").mkdir(parents=True)
    claims = [{"id": f"claim-{n}", "text": f"Claim {n} of the service.", "controls": ["SOC2:A1.2"]} for n in range(50)]
    document = {"format": 1, "run": directory.name, "seed": 7, "commit": "c" * 40, "clean": True, "claims": claims}
    document |= {"started": "2026-11-24T02:20:17Z", "settings": {"runtime": "process"}, "version": "0.1.0"}
    (directory / "run.json").write_text(json.dumps(document))
    at = "2026-11-24T02:20:17.123+00:00"
    with (directory / "events.jsonl").open("w") as file:

        def emit(t: int, kind: str, **fields: Any) -> None:
            file.write(json.dumps({"t": t, "at": at, "kind": kind, "pid": 1, **fields}) + "\n")

        emit(0, "run.started", run=directory.name)
        for n in range(records):
            test, load, fault = f"scenarios/test_{n % 50}.py::test_it[{n}]", f"l-{n}", f"kill-{n}"
            controls = ["SOC2:A1.2", "ISO27001:A.8.14", "HIPAA:164.308(a)(7)(ii)(C)", "NIST80053:CP-10"]
            strengths = {control: ["failover", "direct"] for control in controls}
            t, bad = (n + 1) * 10 * _S, n % 20 == 0
            about = {"suite": "failover", "scenario": True, "claim": f"claim-{n % 50}", "controls": controls}
            emit(t, "test.started", test=test, strengths=strengths, title="A replica dies.", **about)
            told = {"test": test, "load": load}
            emit(t, "load.started", **told, users=30, file=f"load/{load}", closed_loop=True, host="http://127.0.0.1:1")
            told_of_fault = {"test": test, "fault": fault, "fault_kind": "kill", "target": "agent-service-1"}
            emit(t, "fault.began", **told_of_fault, targets=["agent-service-1"], settings={}, began=t)
            proof = {"pid": 4812, "gone_after_ms": 3, "ready_after_s": 0.81}
            emit(t + _S, "fault.ended", **told_of_fault, proof="acted", acted=True, evidence=proof, ended=t + _S)
            emit(t + 2 * _S, "load.finished", **told, requests=2000, failures=2, seconds=9.0, reason="stop")
            for name, value, limit in (("availability-during", 0.9977, 0.995), ("recovery", 0.4, 3.0), ("lost", 0, 0)):
                emit(
                    t + 3 * _S, "objective.judged", test=test, objective=name, value=value, limit=limit, phase="during",
                    comparison="<=", unit="s", outcome="broken" if bad else "held", fault=fault, samples=880,
                    interval=[value * 0.9, value * 1.1], detail="resolution 0.004 s", worst=[],
                )  # fmt: skip
            outcome = "failed" if bad else "passed"
            emit(t + 4 * _S, "test.finished", test=test, outcome=outcome, seconds=9.8, message="x" if bad else "")
            (directory / "load" / f"{load}.requests").write_bytes(n.to_bytes(4, "little") * 100)
        emit((records + 2) * 10 * _S, "run.finished", exit_status=1)


def _made(directory: Path) -> tuple[float, float]:
    """Seconds, and the most memory in MB."""
    began = time.monotonic()
    process = subprocess.Popen((sys.executable, "-c", _MAKE, str(directory)))
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"making the evidence ended with {process.returncode}")
    return time.monotonic() - began, usage.ru_maxrss / 1024


def measure() -> dict[str, Any]:
    """Seconds, MB, and how much a record costs in a long run against a short one."""
    with tempfile.TemporaryDirectory() as folder:
        whole, part = Path(folder) / "whole", Path(folder) / "part"
        make_run(whole, RECORDS)
        make_run(part, RECORDS // 4)
        pairs = [(_made(part), _made(whole)) for _ in range(TIMES)]
        size = sum(path.stat().st_size for path in (whole / "evidence").rglob("*") if path.is_file())
    seconds = statistics.median(long[0] for _, long in pairs)
    return {
        f"{RECORDS:,} records to all formats, s (under 10)": round(seconds, 2),
        f"{RECORDS:,} records to all formats, MB of memory (under 300)": round(max(long[1] for _, long in pairs)),
        "time of a record in a run four times as long (at most 1.3)": round(
            statistics.median(long[0] / short[0] / 4 for short, long in pairs), 2
        ),
        "size of all files, MB": round(size / 1e6, 1),
    }


if __name__ == "__main__":
    print(json.dumps(measure(), indent=2))  # noqa: T201
