"""``make bench``: what the plugin costs and how exact it is, as ratios within one run, in one table beside the goals.

Every ``benchmarks/<part>.py`` with a function ``measure()`` is a part; it returns rows of a table, some of which name
their goal (see ``table.py``). ``make bench PART=proxy`` runs one, ``PART="proxy load"`` two. Each is a test with
pytest-benchmark, whose storage is ``reports/benchmarks``. Needs a quiet machine to mean much; no figure fails the run.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from parts import PARTS

from pytest_enterprise.errors import nearest

HERE = Path(__file__).parent


def main(wanted: list[str]) -> int:
    """Run the named parts, or all; pytest's exit status, 2 for a part that does not exist."""
    for name in wanted:
        if name not in PARTS:
            print(f"PART={name}: there is no such part. {nearest(name, PARTS)}", file=sys.stderr)  # noqa: T201
            return 2
    chosen = [f"{HERE / 'test_bench.py'}::test_part[{name}]" for name in wanted] or [str(HERE / "test_bench.py")]
    storage = f"--benchmark-storage=file://{HERE.parent / 'reports' / 'benchmarks'}"
    options = ["--benchmark-autosave", "--benchmark-quiet", "--benchmark-only", "-v", "--no-header"]
    # What a benchmark warns of (a socket left to the collector) is no failure of its figures.
    options += ["-p", "no:cacheprovider", "-W", "default", "--disable-warnings"]
    return subprocess.run((sys.executable, "-m", "pytest", *chosen, storage, *options), check=False).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
