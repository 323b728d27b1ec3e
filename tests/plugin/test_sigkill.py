"""Pytest is killed at random moments of a session with the whole reference stack, and nothing is left."""

import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LIMIT = 10.0
"""Seconds for everything to be gone."""


def ours(reports):
    """Processes of runs below a reports directory."""
    ids = [path.name for path in reports.iterdir() if not path.is_symlink()] if reports.exists() else []
    wanted = [f"PYTEST_ENTERPRISE_RUN={id}".encode() for id in ids]
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            try:
                environment = (entry / "environ").read_bytes()
            except OSError:
                continue
            if any(one in environment for one in wanted):
                found.append(int(entry.name))
    return found


def shared_memory():
    return {path.name for path in Path("/dev/shm").iterdir()}


def temporary():
    return {path.name for path in Path(tempfile.gettempdir()).glob("pytest-enterprise-*") if "-ports-" not in path.name}


@pytest.mark.nightly
@pytest.mark.parametrize("seed", range(20))
def test_nothing_is_left(tmp_path, seed):
    reports = tmp_path / "reports"
    before = shared_memory(), temporary()
    arguments = ("-m", "demo", "-q", "--enterprise-runtime=process", f"--enterprise-reports={reports}")
    program = (sys.executable, "-m", "pytest", "scenarios", *arguments, "-p", "no:cacheprovider")
    killed = subprocess.Popen(program, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    time.sleep(random.Random(seed).uniform(0.3, 12))
    killed.send_signal(signal.SIGKILL)
    killed.wait(10)
    ends = time.monotonic() + LIMIT
    while ours(reports) and time.monotonic() < ends:
        time.sleep(0.05)
    assert not ours(reports)
    while (shared_memory(), temporary()) != before and time.monotonic() < ends:
        time.sleep(0.05)
    assert (shared_memory() - before[0], temporary() - before[1]) == (set(), set())
