"""Pytest is killed at random moments, with the whole reference stack and with many faults: nothing is left."""

import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

from pytest_enterprise.engines import packets
from pytest_enterprise.faults import memory
from pytest_enterprise.runtimes import cgroup

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


def pressing():
    """Processes that take an instance's memory."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            if memory._HOG.encode() in (entry / "cmdline").read_bytes():
                found.append(int(entry.name))
        except OSError:
            continue
    return found


def alias(device):
    """Whose a network device is."""
    try:
        return (device / "ifalias").read_text()
    except OSError:
        return ""


def shared_memory():
    return {path.name for path in Path("/dev/shm").iterdir()}


def temporary():
    """What runs have outside of their reports, without the folder where all of them register."""
    found = {path.name for path in Path(tempfile.gettempdir()).glob("pytest-enterprise-*")}
    return {name for name in found if "-ports-" not in name and not name.startswith("pytest-enterprise-runs-")}


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


MANY_FAULTS = """
import itertools
import time

import pytest
from pytest_enterprise import Etcd, Link, Service, Stack
from pytest_enterprise.engines import packets

FILES = ("{python}", "-m", "http.server", "{port}", "--bind", "{bind}")
PACKETS = packets.why_not() is None

@pytest.fixture(scope="session")
def enterprise_stack_spec():
    engines = [Service(name="files", command=FILES, replicas=3, packets=PACKETS), Etcd(name="etcd", replicas=3)]
    return Stack(engines, [Link("load", "files"), Link("etcd", "etcd")])

def test_many_faults(stack, faults):
    for number in itertools.count():
        made = [
            faults.pause("etcd:one"),
            faults.cpu("files-1", 0.1),
            faults.memory("files-2", more=1 << 28),
            faults.processes("files-3", more=4),
            faults.descriptors("files-1", more=10),
            faults.flapping(faults.cut("load -> files-1"), on=0.05, off=0.05),
            faults.topology("etcd", "isolate"),
            faults.latency("load -> files-2", 0.1),
            faults.memory("files-3", more=1 << 23, press=True),
            *([faults.packets("files-2", loss=0.1, delay=0.01)] if PACKETS else []),
        ]
        for fault in made:
            fault.begin()
            time.sleep(0.03)
        for fault in reversed(made):
            try:
                fault.end()
            except Exception:
                pass
"""


@pytest.mark.nightly
@pytest.mark.parametrize("seed", range(50))
def test_down_removes_what_faults_left(pytester, seed):
    """Control groups too, which outlive whoever made them, who takes memory in them, and wires into networks."""
    if reason := cgroup.why_not("cpu"):
        pytest.skip(reason)
    if reason := packets.why_not():
        pytest.fail(reason) if os.environ.get("CI") else pytest.skip(reason)
    pytester.makepyfile(test_faults=MANY_FAULTS)
    (pytester.path / ".engines").symlink_to(ROOT / ".engines")
    before = shared_memory(), temporary()
    arguments = ("-q", "--enterprise-runtime=process", "-p", "no:cacheprovider")
    program = (sys.executable, "-m", "pytest", *arguments)
    killed = subprocess.Popen(program, cwd=pytester.path, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    time.sleep(random.Random(seed).uniform(0.3, 4))
    assert killed.poll() is None
    killed.send_signal(signal.SIGKILL)
    killed.wait(10)
    down = subprocess.run((sys.executable, "-m", "pytest_enterprise.cli", "down"), capture_output=True, text=True)
    assert down.returncode == 0, down.stderr
    ends = time.monotonic() + LIMIT
    while (ours(pytester.path / "reports") or (shared_memory(), temporary()) != before) and time.monotonic() < ends:
        time.sleep(0.05)
    assert not ours(pytester.path / "reports")
    assert (shared_memory() - before[0], temporary() - before[1]) == (set(), set())
    assert not [path for path in cgroup.ROOT.glob("*/pytest-enterprise-*") if f"-{killed.pid}-" in path.name]
    assert not [name for name in Path("/sys/class/net").glob("pe-*") if f"-{killed.pid}-" in alias(name)]
    while pressing() and time.monotonic() < ends:
        time.sleep(0.05)
    assert not pressing()
