"""Resources that are taken away from a real server, within a limit of its own, and given back."""

import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from pytest_enterprise import Service, Stack, events
from pytest_enterprise.errors import ActedOnNothing, ConfigurationError
from pytest_enterprise.faults import memory
from pytest_enterprise.faults.session import Faults
from pytest_enterprise.live import LiveStack
from pytest_enterprise.runtimes import cgroup

HUNGRY = str(Path(__file__).with_name("hungry.py"))
MEGABYTE = 1 << 20


@pytest.fixture(scope="module")
def live(new_run):
    spec = Stack([Service(name="hungry", command=("{python}", HUNGRY, "{port}"), ready_path="/cpu/1")])
    with LiveStack(new_run(runtime="process"), spec) as live:
        yield live


@pytest.fixture
def faults(live):
    faults = Faults(live, "test")
    yield faults
    faults.close()


@pytest.fixture
def ask(live):
    """Seconds that the server takes for what it is asked to take."""

    def ask(path, timeout=10.0):
        began = time.monotonic()
        urllib.request.urlopen(f"{live.url('hungry')}{path}", timeout=timeout).close()
        return time.monotonic() - began

    return ask


def needs(controller):
    if reason := cgroup.why_not(controller):
        pytest.skip(reason)  # what a machine cannot do; `doctor` says the same


def evidence(live, fault):
    [ended] = [e for e in events.read(live.run.directory) if e["kind"] == "fault.ended" and e["fault"] == fault.id]
    return ended["evidence"]


@pytest.fixture
def share(live, ask):
    """The share of one CPU that the server has while it works; its time alone would tell of others' work too."""

    def used():
        return live.portal.call(live.running.instance("hungry").cpu_seconds())

    def share():
        before = used()
        took = ask("/cpu/3000000")
        return (used() - before) / took

    return share


def test_little_cpu_time(live, faults, share):
    needs("cpu")
    assert max(share() for _ in range(5)) > 0.25
    with faults.cpu("hungry", 0.1) as starved:
        assert share() < 0.2
    assert max(share() for _ in range(5)) > 0.25
    assert evidence(live, starved)["throttled"] > 0
    assert not groups()


def test_memory_that_suffices_and_memory_that_does_not(live, faults, ask):
    """The kernel ends the server, it comes back when the fault has ended, and then gets what it asks for."""
    needs("memory")
    with pytest.raises(ActedOnNothing), faults.memory("hungry", more=200 * MEGABYTE):
        ask(f"/memory/{20 * MEGABYTE}")
    with faults.memory("hungry", more=20 * MEGABYTE) as starved:
        with pytest.raises((OSError, urllib.error.URLError)):
            ask(f"/memory/{200 * MEGABYTE}")
        ends = time.monotonic() + 5
        while live.portal.call(live.running.instance("hungry").alive()):
            assert time.monotonic() < ends
            time.sleep(0.01)
    assert evidence(live, starved)["oom_kills"] >= 1
    assert ask(f"/memory/{200 * MEGABYTE}") < 5
    live.portal.call(live.running.restart("hungry"))
    assert not groups()


def test_memory_that_somebody_else_takes(live, faults, ask):
    """The kernel ends the server at once, whatever it does, and not who took its memory first."""
    needs("memory")
    with faults.memory("hungry", more=20 * MEGABYTE, press=True) as pressed:
        assert not live.portal.call(live.running.instance("hungry").alive())
    assert evidence(live, pressed)["oom_kills"] >= 1
    assert ask("/cpu/1") < 5
    assert not groups()


@pytest.mark.parametrize(("told", "status"), [("", 0), ("go\n", 1)])
def test_who_takes_memory_takes_none_once_its_maker_is_gone(told, status):
    """It is told to by a word, and the end of its input is no word; here it may not have what it would take."""
    allowed = ("prlimit", f"--as={512 * MEGABYTE}")
    hog = subprocess.run((*allowed, sys.executable, "-c", memory._HOG, "4096"), input=told, text=True, timeout=30)
    assert hog.returncode == status


def test_no_further_process(live, faults, ask):
    needs("pids")
    with faults.processes("hungry", more=1) as starved:
        ask("/processes/1")
        with pytest.raises((OSError, urllib.error.URLError)):
            ask("/processes/2")
    assert evidence(live, starved)["refused"] >= 1
    assert ask("/processes/2") < 5
    assert not groups()


def test_no_further_descriptor(live, faults, ask):
    with faults.descriptors("hungry", more=500):
        ask("/files/2")
    with faults.descriptors("hungry", more=20) as starved:
        with pytest.raises((OSError, urllib.error.URLError)):
            ask("/files/30", timeout=2)
    assert evidence(live, starved)["limited_to_the_end"] >= 1
    assert ask("/files/30") < 5


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda f: f.cpu("hungry", 0), "share=0 is out of range"),
        (lambda f: f.memory("hungry", more=-1), "more=-1 is out of range"),
        (lambda f: f.processes("hungry", more="1"), "more='1' is not a number"),
        (lambda f: f.descriptors("hungry", more=-1), "more=-1 is out of range"),
    ],
)
def test_what_cannot_be_meant_is_refused(faults, make, message):
    with pytest.raises(ConfigurationError, match=message):
        make(faults)


def test_a_limit_that_cannot_be_set_leaves_no_group(faults, monkeypatch):
    needs("cpu")

    def refused(group, **values):
        raise OSError(22, "Invalid argument")

    monkeypatch.setattr(cgroup.Group, "set", refused)
    with pytest.raises(OSError, match="Invalid argument"):
        faults.cpu("hungry", 0.5).begin()
    assert not groups()
    assert not faults.active


def groups():
    return [path for path in cgroup.ROOT.glob("*/pytest-enterprise-*") if f"-{os.getpid()}-" in path.name]


def test_limits_of_a_run_that_was_killed_are_lifted():
    """Its process lives on in its group: it is moved out, and the group goes."""
    needs("cpu")
    program = (
        "import os, subprocess, time\n"
        "from pytest_enterprise.runtimes.cgroup import Group\n"
        "child = subprocess.Popen(['sleep', '60'])\n"
        "group = Group('cpu')\n"
        "group.take(lambda: [child.pid])\n"
        "group.set(cpu=10)\n"
        "print(child.pid, flush=True)\n"
        "time.sleep(60)\n"
    )
    owner = subprocess.Popen((sys.executable, "-c", program), stdout=subprocess.PIPE, text=True)
    child = int(owner.stdout.readline())
    try:
        assert "pytest-enterprise-" in Path(f"/proc/{child}/cgroup").read_text()
        assert not cgroup.find_leftovers()
        owner.kill()
        owner.wait()
        assert len(cgroup.find_leftovers()) == 1
        assert len(cgroup.remove_leftovers()) == 1
        assert not cgroup.find_leftovers()
        assert "pytest-enterprise-" not in Path(f"/proc/{child}/cgroup").read_text()
    finally:
        os.kill(child, 9)
        owner.stdout.close()


def test_without_controllers_or_rights_the_way_out_is_told(monkeypatch, tmp_path):
    monkeypatch.setattr(cgroup, "ROOT", tmp_path)
    assert "no control group controller 'cpu'" in cgroup.why_not("cpu")
    (tmp_path / "cgroup.controllers").write_text("cpu memory\n")
    (tmp_path / "cgroup.subtree_control").write_text("memory\n")
    assert "echo +cpu >" in cgroup.why_not("cpu")
    assert cgroup.why_not("memory") is None or "root only" in cgroup.why_not("memory")


def test_groups_of_version_2(monkeypatch, tmp_path):
    """One tree for all controllers; files of other names."""
    monkeypatch.setattr(cgroup, "ROOT", tmp_path)
    (tmp_path / "cgroup.controllers").write_text("cpu memory pids\n")
    (tmp_path / "cgroup.subtree_control").write_text("cpu memory pids\n")
    written = {}
    monkeypatch.setattr(Path, "write_text", lambda path, text, **_: written.__setitem__(path.name, text))
    group = cgroup.Group("memory")
    group.set(memory=1000, cpu=50, pids=7)
    assert written == {"memory.max": "1000", "memory.swap.max": "0", "cpu.max": "10000 20000", "pids.max": "7"}
