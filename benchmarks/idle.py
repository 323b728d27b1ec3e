"""What the plugin costs where nobody uses it: CPU time of collecting one trivial test, against pytest alone."""

from __future__ import annotations

import os
import statistics
import subprocess
import tempfile
import venv
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
PAIRS = 15


def _cpu_of(arguments: tuple[str, ...], cwd: Path) -> float:
    """CPU seconds of a program and its children."""
    process = subprocess.Popen(arguments, cwd=cwd, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{' '.join(arguments)} ended with {process.returncode}")
    return usage.ru_utime + usage.ru_stime


def measure() -> dict[str, Any]:
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


if __name__ == "__main__":
    for name, value in measure().items():
        print(f"{name:<70} {value:>32}")  # noqa: T201
