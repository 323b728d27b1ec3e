"""Targets by selection and by label, partitions by shape, and faults that act again and again."""

import itertools
import time
import urllib.error

import pytest

from pytest_enterprise import events
from pytest_enterprise.errors import ActedOnNothing
from pytest_enterprise.session import system


def patiently(call, *arguments):
    """What a client of a cluster does that elects a leader: ask again."""
    ends = time.monotonic() + 15
    while True:
        try:
            return call(*arguments)
        except Exception:
            assert time.monotonic() < ends, "no majority answered"


def test_the_leader_is_asked_for_when_the_fault_begins(faults, live):
    live.ensure("etcd")
    registry = system("registry", live)
    pause = faults.pause("etcd:leader")
    assert len(pause.targets) == 3  # any of them, as far as is known now
    leader = registry.leader()
    with pause:
        assert pause.targets == [leader]
        ends = time.monotonic() + 10
        while registry.leader() == leader:
            assert time.monotonic() < ends
    with faults.pause("etcd:followers") as others:
        assert len(others.targets) == 2
    [began] = [e for e in events.read(live.run.directory) if e["kind"] == "fault.began" and e["fault"] == pause.id]
    assert began["target"] == "etcd:leader"
    assert began["targets"] == [leader]


@pytest.mark.parametrize(
    ("selection", "counts"), [("one", {1}), ("minority", {1}), ("majority", {2}), ("all", {3}), ("random", {1, 2, 3})]
)
def test_selections_draw_as_many_as_they_say(faults, live, selection, counts):
    with faults.pause(f"etcd:{selection}") as paused:
        assert len(paused.targets) in counts
        assert set(paused.targets) <= set(live.instances("etcd"))


def test_labels_choose_instances(faults, get):
    with faults.latency("load -> zone=b", 0.2) as slow:
        assert slow.targets == ["load -> files-2"]
        assert get("files-2") >= 0.2
        assert get("files-1") < 0.15
    with faults.latency("load -> files:one", 0.2) as one:
        assert len(one.targets) == 1
        assert get(one.targets[0].rpartition(" ")[2]) >= 0.2


@pytest.mark.parametrize("shape", ["isolate", "halves"])
def test_a_cluster_is_parted_by_shape(faults, live, shape):
    """The majority goes on, and all is one again afterwards."""
    registry = system("registry", live)
    patiently(registry.put, "/shape", "before")
    with faults.topology("etcd", shape) as parted:
        time.sleep(0.5)
        assert len(parted.targets) == 4
        patiently(registry.put, "/shape", shape)
    assert patiently(registry.items, "/shape") == {"/shape": shape}


def test_a_bridge_parts_the_two_beside_it(faults, live):
    registry = system("registry", live)
    bridge = faults.topology("etcd", "bridge").begin()
    time.sleep(0.5)
    [parted] = {frozenset(target.split(" -> ")) for target in bridge.targets}
    patiently(registry.put, "/bridge", "holds")
    try:
        bridge.end()
    except ActedOnNothing:
        # Followers have nothing to tell each other while the bridge leads.
        assert registry.leader() not in parted
    assert patiently(registry.items, "/bridge") == {"/bridge": "holds"}


def test_a_ring_silences_each_from_one_side(faults, live):
    with faults.topology("etcd", "ring") as ring:
        time.sleep(0.5)
        assert len(ring.targets) == 6
    registry = system("registry", live)
    patiently(registry.put, "/ring", "over")
    assert patiently(registry.items, "/ring") == {"/ring": "over"}


def test_a_link_that_flaps(faults, get, live):
    outcomes = []
    with faults.flapping(faults.cut("load -> files-1"), on=0.15, off=0.15) as flapping:
        ends = time.monotonic() + 1.2
        while time.monotonic() < ends:
            try:
                get()
                outcomes.append(True)
            except (OSError, urllib.error.URLError):
                outcomes.append(False)
            time.sleep(0.01)
    changes = sum(a != b for a, b in itertools.pairwise(outcomes))
    assert changes >= 4
    assert get() < 1
    [ended] = [e for e in events.read(live.run.directory) if e["kind"] == "fault.ended" and e["fault"] == flapping.id]
    assert ended["evidence"]["times_acted"] >= 3


def test_a_crash_loop_ends_with_the_server_up(faults, get):
    with faults.crash_loop("files-2", up=0.1):
        time.sleep(1)
    assert get("files-2") < 1


def test_a_failure_inside_a_repetition_reaches_the_test(faults, monkeypatch):
    flapping = faults.flapping(faults.cut("load -> files-1"), on=0.05, off=0.05).begin()
    monkeypatch.setattr(faults.stack.proxy, "refuse", None)
    with pytest.raises(TypeError):
        time.sleep(0.3) or flapping.end()
    monkeypatch.undo()
    faults.stack.proxy.refuse("load -> files-1", False)


def test_killed_at_its_first_write_and_not_before(faults, live):
    registry = system("registry", live)
    registry.leader()
    with pytest.raises(ActedOnNothing), faults.kill_on_write("files-1"):
        time.sleep(0.05)
    with faults.kill_on_write("etcd:leader") as trap:
        patiently(registry.put, "/trap", "sprung")
        ends = time.monotonic() + 5
        while live.portal.call(live.running.instance(trap.targets[0]).alive()):
            assert time.monotonic() < ends
            time.sleep(0.01)
    assert patiently(registry.items, "/trap") == {"/trap": "sprung"}


def test_a_slow_start_lasts_as_long_as_was_asked(faults, get):
    began = time.monotonic()
    with faults.restart("files-1", down_for=0.4):
        pass
    assert time.monotonic() - began >= 0.4
    assert get() < 1
