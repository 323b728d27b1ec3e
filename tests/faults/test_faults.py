"""Every fault on a real stack: refused when it cannot be meant, seen to act, undone, and told with facts."""

import time
import urllib.error
import urllib.request

import pytest

from pytest_enterprise import events
from pytest_enterprise.errors import ActedOnNothing, ConfigurationError
from pytest_enterprise.faults.session import Faults
from pytest_enterprise.session import system

NUMBERS = [-1, 0, float("nan"), float("inf"), 1e9, "1", None, True]


@pytest.mark.parametrize("value", NUMBERS, ids=str)
def test_values_that_cannot_be_meant_are_refused(faults, value):
    with pytest.raises(ConfigurationError, match="latency: delay="):
        faults.latency("load -> files", value)
    with pytest.raises(ConfigurationError, match="bandwidth: rate="):
        faults.bandwidth("load -> files", value)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda f: f.latency("load -> files", 0.1, jitter=0.2), "jitter=0.2 is more than delay"),
        (lambda f: f.latency("load -> files", 0.1, direction="sideways"), "'sideways' is not one of both, upstream"),
        (lambda f: f.reset("load -> files", after=-1), "after=-1"),
        (lambda f: f.kill("files-1", signal="SIGNOTHING"), "'SIGNOTHING' does not exist"),
        (lambda f: f.kill("fils"), "no instance is named 'fils'. Did you mean"),
        (lambda f: f.cut("files -> load"), "no link is named"),
        (lambda f: f.cut("load"), "no link is named"),
        (lambda f: f.partition("etcd-1", ["etcd-9"]), "etcd-9"),
    ],
)
def test_settings_and_targets_that_cannot_be_meant_name_what_exists(faults, make, message):
    with pytest.raises(ConfigurationError, match=message):
        make(faults)


def test_faults_that_contradict_each_other_are_refused(faults, get):
    with faults.cut("load -> files-1"):
        with pytest.raises(ConfigurationError, match=r"latency and cut contradict each other on load -> files-1"):
            faults.latency("load -> files", 0.1).begin()
        assert get("files-2") < 1
        with pytest.raises(OSError):
            get("files-1")
    with faults.pause("files-1"), pytest.raises(ConfigurationError, match="contradict"):
        faults.kill("files-1").begin()
    once = faults.noop()
    once.begin()
    with pytest.raises(ConfigurationError, match="has begun already"):
        once.begin()


@pytest.mark.parametrize("kind", ["latency", "bandwidth", "cut", "blackhole"])
def test_a_fault_that_nothing_met_is_an_error(faults, kind):
    arguments = {"latency": (0.1,), "bandwidth": (10,)}.get(kind, ())
    with pytest.raises(ActedOnNothing, match=rf"{kind} on load -> files-2 acted on nothing"):
        with getattr(faults, kind)("load -> files-2", *arguments):
            time.sleep(0.02)


def test_latency_delays_one_link_alone_and_is_gone_afterwards(faults, get):
    get()
    with faults.latency("load -> files-1", 0.2) as slow:
        assert get() >= 0.2
        assert get("files-2") < 0.15
    assert get() < 0.15
    assert slow.ended_ns > slow.began_ns


def test_bandwidth_holds_the_rate(faults, get):
    with faults.bandwidth("load -> files-1", 400, direction="downstream"):
        assert get(path="/big") >= 0.35


def test_a_black_hole_is_silent(faults, get):
    with faults.blackhole("load -> files-1"), pytest.raises((TimeoutError, urllib.error.URLError)):
        get(timeout=0.3)
    assert get() < 1


def test_a_reset_ends_connections_by_force(faults, get):
    with faults.reset("load -> files-1"), pytest.raises((ConnectionResetError, urllib.error.URLError, OSError)):
        get()
    assert get() < 1


def test_a_paused_instance_is_alive_and_silent(faults, get, live):
    with faults.pause("files-2"):
        instance = live.running.instance("files-2")
        assert live.portal.call(instance.alive())
        assert live.portal.call(instance.paused())
        with pytest.raises((TimeoutError, urllib.error.URLError)):
            get("files-2", timeout=0.3)
    assert get("files-2") < 2


def test_killed_and_restarted_instances_come_back_where_they_were(faults, get, live):
    before = live.address("files-1", "http")
    with faults.kill("files-1"):
        assert not live.portal.call(live.running.instance("files-1").alive())
        with pytest.raises((OSError, urllib.error.URLError)):
            get()
    assert live.address("files-1", "http") == before
    assert get() < 1
    with faults.restart("files-1"):
        pass
    assert get() < 1


@pytest.mark.parametrize("one_way", [False, True])
def test_a_partitioned_member_of_the_registry_is_told_by_its_own_words(faults, live, one_way):
    registry = system("registry", live)
    apart = registry.leader()
    others = [name for name in live.instances("etcd") if name != apart]
    with faults.partition(apart, others, one_way=one_way):
        ends = time.monotonic() + 15
        while not one_way and registry.leader() == apart:
            assert time.monotonic() < ends, "the others elected nobody"
            time.sleep(0.05)
        time.sleep(0.3)
    registry.put("/after", "the partition")
    assert registry.items("/after") == {"/after": "the partition"}


def test_all_is_undone_at_the_end_even_when_one_cannot_be_proven(live, get):
    faults = Faults(live, "another")
    faults.cut("load -> files-1").begin()
    faults.latency("load -> files-2", 0.3).begin()
    with pytest.raises(ActedOnNothing):
        faults.close()
    assert get() < 1
    assert get("files-2") < 0.25
    faults.cut("load -> files-1").begin()
    faults.close(failed=True)
    assert get() < 1


def test_what_a_fault_did_is_in_the_events(faults, live, get):
    with faults.latency("load -> files", 0.01, jitter=0.005) as slow:
        get()
    [began] = [e for e in events.read(live.run.directory) if e["kind"] == "fault.began" and e["fault"] == slow.id]
    [ended] = [e for e in events.read(live.run.directory) if e["kind"] == "fault.ended" and e["fault"] == slow.id]
    assert began["targets"] == ["load -> files-1", "load -> files-2"]
    assert began["settings"]["delay"] == 0.01
    assert ended["acted"] is True
    assert ended["evidence"]["bytes"] > 0
    assert ended["evidence"]["delayed_ms"] > 4
