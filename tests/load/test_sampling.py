"""CPU samples of a load: true figures, no end of them, and never a reason for a test to fail."""

import subprocess
import sys
import time

import pytest

from pytest_enterprise import events
from pytest_enterprise.load import sampling
from pytest_enterprise.load.sampling import CpuSampler

# A parent that rests, and a child that works for half a CPU second and tells when it has.
FAMILY = """
import subprocess, sys, time
work = "import time\\nwhile time.process_time() < 0.5: pass\\nprint(flush=True)\\ntime.sleep(60)"
child = subprocess.Popen((sys.executable, "-c", work), stdout=subprocess.PIPE)
child.stdout.readline()
print(flush=True)
try:
    sys.stdin.read()
finally:
    child.kill()
"""


@pytest.fixture
def family():
    process = subprocess.Popen((sys.executable, "-c", FAMILY), stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    process.stdout.readline()
    yield process
    process.communicate()


def sampled(pid, engines, until, monkeypatch, every=0.02):
    """What a quick sampler told until ``until`` of the events is true."""
    monkeypatch.setattr(sampling, "EVERY", every)
    told = []
    sampler = CpuSampler(lambda kind, **fields: told.append({"kind": kind, **fields}), {"load": "l"}, pid, engines)
    sampler.begin()
    deadline = time.monotonic() + 10
    while not until(told) and time.monotonic() < deadline:
        time.sleep(0.01)
    sampler.end()
    return told


def test_children_count_too(family, monkeypatch):
    """The generator's figure holds what its worker processes used; engines are told as they are."""
    told = sampled(family.pid, lambda: {"a": 1.23456}, lambda told: len(told) >= 3, monkeypatch)
    assert {event["kind"] for event in told} == {"load.sampled"}
    assert all(event["generator"] >= 0.5 for event in told)
    assert told[0]["engines"] == {"a": 1.23}
    count = len(told)
    time.sleep(0.1)
    assert len(told) == count  # none after its end


def test_engines_that_are_gone_do_not_end_it(family, monkeypatch):
    """A stack that cannot be asked leaves a sample without engines."""

    def closed():
        raise RuntimeError("no stack")

    told = sampled(family.pid, closed, lambda told: len(told) >= 2, monkeypatch)
    assert [event["engines"] for event in told[:2]] == [{}, {}]


def test_a_generator_that_is_gone_is_told_no_more(monkeypatch):
    """Where there is no process there is no sample."""
    process = subprocess.Popen(("true",))
    process.wait()
    assert sampled(process.pid, None, lambda _: True, monkeypatch) == []


def test_long_loads_are_sampled_ever_more_rarely(family, monkeypatch):
    """The time between samples doubles after so many, so that their number stays bounded."""
    monkeypatch.setattr(sampling, "_OFTEN", 4)
    began = time.monotonic()
    told = sampled(family.pid, None, lambda told: len(told) >= 13, monkeypatch, every=0.01)
    assert len(told) >= 13
    assert time.monotonic() - began >= 4 * 0.01 + 4 * 0.02 + 4 * 0.04 - 0.01


def test_a_load_tells_its_cpu(serve, load, locustfile, run):
    """Every load has at least one sample in the run's events."""
    load._engines_cpu = lambda: {"postgres": 2.5}
    with load(locustfile(), users=2, host=serve().url) as traffic:
        traffic.wait_for_requests(5)
    told = [event for event in events.read(run.directory) if event["kind"] == "load.sampled"]
    assert told
    assert told[0]["load"] == traffic.id
    assert told[0]["generator"] > 0.1  # importing Locust alone takes that
    assert told[0]["engines"] == {"postgres": 2.5}
