"""Schedules as data, played beside a load; guards; and what must be well again afterwards."""

import json
import statistics
import threading
import time
import urllib.error

import jsonschema
import pytest

from pytest_enterprise import events
from pytest_enterprise.errors import ActedOnNothing, ConfigurationError, FaultFailed
from pytest_enterprise.faults.schedule import read, schema
from pytest_enterprise.faults.session import Faults

SCHEDULE = {
    "faults": [
        {"at": 0.3, "for": 0.3, "fault": "cut", "target": "load -> files-1"},
        {"at": 0.1, "for": 0.6, "fault": "latency", "target": "load -> files-2", "settings": {"delay": 0.05}},
        {
            "at": 0.9,
            "for": 0.5,
            "fault": "flapping",
            "target": "load -> files-1",
            "settings": {"fault": "latency", "delay": 0.03, "on": 0.1, "off": 0.1},
        },
    ]
}


def test_every_fault_happens_at_its_moment(faults, get, live):
    """Two at once, each felt while it is on and gone afterwards."""
    outcomes = []
    with faults.play(SCHEDULE) as played:
        began = time.monotonic()
        while time.monotonic() < began + 1.6:
            for name in ("files-1", "files-2"):
                at = time.monotonic() - began
                try:
                    outcomes.append((name, at, get(name)))
                except (OSError, urllib.error.URLError):
                    outcomes.append((name, at, None))
        played.wait()
    failed = [at for name, at, seconds in outcomes if seconds is None]
    assert failed
    assert all(0.25 < at < 0.65 for at in failed)
    slow = [at for name, at, seconds in outcomes if name == "files-2" and seconds and seconds >= 0.05]
    assert any(0.04 < at < 0.75 for at in slow)
    assert len(played.late) == 6
    assert statistics.median(played.late) < 0.02
    assert [fault.fault.kind for fault in played.faults] == ["latency", "cut", "flapping"]
    kinds = [e["fault_kind"] for e in events.read(live.run.directory) if e["kind"] == "fault.began"]
    assert kinds[-3:] == ["latency", "cut", "flapping"]


def test_a_playback_ends_with_its_block(faults, get):
    long = {"faults": [{"at": 0, "for": 60, "fault": "cut", "target": "load -> files-1"}]}
    with faults.play(long), pytest.raises((OSError, urllib.error.URLError)):
        time.sleep(0.2)
        get()
    assert get() < 1
    later = {"faults": [{"at": 60, "for": 60, "fault": "cut", "target": "load -> files-1"}]}
    with faults.play(later):
        pass


def test_what_was_played_can_be_written_read_and_checked_against_the_schema(tmp_path):
    jsonschema.Draft202012Validator.check_schema(schema())
    jsonschema.validate(SCHEDULE, schema())
    path = tmp_path / "schedule.json"
    path.write_text(json.dumps(read(SCHEDULE).as_dict()))
    jsonschema.validate(json.loads(path.read_text()), schema())
    assert read(path) == read(SCHEDULE)
    assert read(path).seconds == pytest.approx(1.4)


def entry(**fields):
    return {"faults": [{"at": 0, "for": 1, "fault": "cut", "target": "load -> files-1", **fields}]}


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ([], r'a schedule is {"faults": \[...\]}'),
        ({"faults": [], "when": 1}, "unknown key 'when'; known: faults"),
        ({"faults": ["cut"]}, r"faults\[0\] is 'cut'; give an object with at, for"),
        (entry(at=-1), r"faults\[0\]: at=-1 is out of range; give 0 to 86400 seconds"),
        (entry(at=float("nan")), "at=nan is not a number"),
        (entry(**{"for": 0}), "for=0 is out of range"),
        (entry(fault="cutt"), "no fault is named 'cutt'. Did you mean 'cut'"),
        (entry(target=1), "target=1; name a link or an engine"),
        (entry(until=2), "unknown key 'until'"),
        (entry(settings=[]), r"settings=\[\]; give an object"),
        (entry(settings={"delay": 1}), "cut has no setting 'delay'"),
        (entry(fault="latency"), "latency needs delay"),
        (entry(fault="latency", settings={"delay": -1}), r"faults\[0\]: latency: delay=-1 is out of range"),
        (entry(fault="flapping", settings={"on": 1, "off": 1}), "flapping: no fault is named None"),
    ],
)
def test_what_cannot_be_meant_names_the_place(document, message):
    with pytest.raises(ConfigurationError, match=message):
        read(document)


def test_a_file_that_is_no_schedule_is_told(tmp_path):
    with pytest.raises(ConfigurationError, match=r"nowhere\.json: No such file"):
        read(tmp_path / "nowhere.json")
    (tmp_path / "broken.json").write_text('{"faults": [')
    with pytest.raises(ConfigurationError, match=r"broken\.json: no JSON"):
        read(tmp_path / "broken.json")


def test_a_schedule_that_contradicts_itself_is_refused_before_it_is_played(faults):
    twice = entry()
    twice["faults"].append({**twice["faults"][0], "at": 0.5, "fault": "latency", "settings": {"delay": 0.1}})
    with pytest.raises(ConfigurationError, match=r"cut from 0 s and latency from 0\.5 s are both on load -> files-1"):
        faults.play(twice)
    twice["faults"][1]["at"] = 1
    faults.play(twice)


def test_a_mistake_in_a_target_is_told_before_it_is_played(faults):
    with pytest.raises(ConfigurationError, match="no link is named"):
        faults.play(entry(target="load -> shop"))


def test_a_guard_ends_all_faults_at_once_and_fails_the_test(live, get):
    faults = Faults(live, "guarded")
    full = threading.Event()
    faults.guard("disk of the database", lambda: "it is full" if full.is_set() else None)
    cut = faults.cut("load -> files-1").begin()
    with pytest.raises((OSError, urllib.error.URLError)):
        get()
    full.set()
    ends = time.monotonic() + 5
    while cut.ended_ns is None:
        assert time.monotonic() < ends
        time.sleep(0.01)
    assert get() < 1
    with pytest.raises(FaultFailed, match="the guard 'disk of the database' was breached: it is full"):
        faults.cut("load -> files-1").begin()
    with pytest.raises(FaultFailed, match="All faults were ended at once"):
        faults.close()


def test_a_guard_that_cannot_tell_is_breached(live):
    faults = Faults(live, "guarded")
    faults.guard("nonsense", lambda: 1 / 0)
    faults.noop().begin()
    time.sleep(0.6)
    with pytest.raises(FaultFailed, match="its check raised ZeroDivisionError"):
        faults.close()


def test_a_target_that_does_not_come_back_is_reported(faults, live, get):
    get("files-2")
    slow = faults.latency("load -> files-2", 0.01).begin()
    get("files-2")
    live.kill("files-2")
    with pytest.raises(
        FaultFailed, match=r"latency on load -> files-2 has ended, but not all is well again: files-2 ended .*signal 9"
    ):
        slow.end()
    live.portal.call(live.running.restart("files-2"))
    assert get("files-2") < 1


def test_recovery_is_in_the_events(faults, live, get):
    with faults.latency("load -> files-1", 0.01) as slow:
        get()
    [told] = [e for e in events.read(live.run.directory) if e["kind"] == "fault.recovered" and e["fault"] == slow.id]
    assert set(told["ready_after"]) == {"files-1"}


def test_what_goes_wrong_while_it_plays_reaches_the_test(faults, live):
    idle = {
        "faults": [{"at": 0, "for": 0.05, "fault": "latency", "target": "load -> files-2", "settings": {"delay": 1}}]
    }
    played = faults.play(idle).begin()
    with pytest.raises(ActedOnNothing):
        played.wait()
    with pytest.raises(AssertionError, match="mine"), faults.play(idle):
        time.sleep(0.1)
        raise AssertionError("mine")
    taken = {"faults": [{"at": 0, "for": 0.2, "fault": "cut", "target": "load -> files-1"}]}
    with faults.latency("load -> files-1", 0.01) as slow:
        played = faults.play(taken).begin()
        with pytest.raises(ConfigurationError, match="contradict"):
            played.wait()
        import urllib.request

        urllib.request.urlopen(live.url("files-1"), timeout=5).close()
    assert slow.ended_ns
