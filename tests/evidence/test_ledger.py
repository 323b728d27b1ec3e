"""The ledger is whole after every accident, and every run that began is counted."""

import os
import resource
import signal
import subprocess
import sys
import time
from datetime import timedelta
from pathlib import Path

import pytest
from evidence_runs import make_run, recorded

from pytest_enterprise.errors import ConfigurationError
from pytest_enterprise.evidence import keys, notes
from pytest_enterprise.evidence.checks import read_ledger
from pytest_enterprise.evidence.entries import CHECKPOINT, ENTRIES
from pytest_enterprise.evidence.ledger import Ledger
from pytest_enterprise.evidence.merkle import extends
from pytest_enterprise.evidence.verify import locate, verify


def kinds(ledger):
    kept, wrong = read_ledger(ledger.directory)
    assert not wrong
    return [
        (entry.kind, entry.data.get("run") or entry.data.get("slot") or entry.data["name"]) for entry in kept.entries
    ]


def whole(ledger, now=None):
    """No finding but notes."""
    found = verify(locate(ledger.directory.parent), trusted=[ledger.key.fingerprint], now=now or ledger._clock())
    return [one for one in found if one.severity != "note"] == []


def plan(clock, days=4, **fields):
    return {
        "name": "nightly",
        "from": clock().isoformat(),
        "until": (clock() + timedelta(days=days)).isoformat(),
        "first": clock().isoformat(),
        "every_seconds": 86400,
        "grace_seconds": 7200,
        "scenarios": ["scenarios/"],
        "controls": {},
        **fields,
    }


def test_a_run_is_recorded_when_it_begins_and_when_it_ends(ledger):
    recorded(ledger, "run-1")
    recorded(ledger, "run-2")
    assert kinds(ledger) == [("begun", "run-1"), ("run", "run-1"), ("begun", "run-2"), ("run", "run-2")]
    assert whole(ledger)


def test_each_checkpoint_extends_the_one_before(ledger):
    seen = []
    for number in range(9):
        recorded(ledger, f"run-{number}")
        seen.append(notes.parse_checkpoint((ledger.directory / CHECKPOINT).read_bytes()))
    tree = read_ledger(ledger.directory)[0].tree
    last = seen[-1]
    for old in seen:
        assert old.origin == last.origin
        assert extends(old.size, last.size, old.root, last.root, tree.consistency(old.size))


def test_a_run_is_stated_once(ledger, reports):
    directory = recorded(ledger)
    before = (ledger.directory / ENTRIES).read_bytes()
    with pytest.raises(ConfigurationError, match=r"line 2 .* is on this run already"):
        ledger.finish(directory)
    assert (ledger.directory / ENTRIES).read_bytes() == before


@pytest.mark.parametrize("left", [[], ["evidence/attestation.json"]])
def test_a_run_that_was_killed_while_it_was_signed_is_brought_back_from_the_ledger(left, ledger):
    directory = recorded(ledger, "run-1")
    recorded(ledger, "run-2")
    before = (ledger.directory / ENTRIES).read_bytes()
    for name in {"evidence/attestation.json", "evidence/inclusion.json"} - set(left):
        (directory / name).unlink()
    assert not whole(ledger)
    assert ledger.finish(directory) == 1
    assert (ledger.directory / ENTRIES).read_bytes() == before
    assert whole(ledger)


def test_a_run_that_died_is_counted_as_aborted_by_the_next(ledger, key, clock, tmp_path):
    program = (
        "import sys, os, signal, pathlib; from datetime import UTC, datetime\n"
        "from pytest_enterprise.evidence import keys, ledger\n"
        f"l = ledger.Ledger(pathlib.Path({str(ledger.directory)!r}), keys.load({str(tmp_path / 'k.pem')!r}, None))\n"
        "l.begin('dead', began=datetime(2026, 1, 1, 1, tzinfo=UTC)); os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    keys.make(tmp_path / "k.pem")
    done = subprocess.run([sys.executable, "-c", program], check=False)
    assert done.returncode == -signal.SIGKILL
    assert kinds(ledger) == [("begun", "dead")]
    recorded(ledger, "run-1")
    assert kinds(ledger)[1:] == [("aborted", "dead"), ("begun", "run-1"), ("run", "run-1")]
    assert not list((ledger.directory / "running").iterdir())


def test_a_run_that_goes_on_is_not_taken_for_dead(ledger, key, clock):
    ledger.begin("long", began=clock())
    recorded(Ledger(ledger.directory, key, clock=clock), "short")
    assert kinds(ledger) == [("begun", "long"), ("begun", "short"), ("run", "short")]
    ledger.finish(make_run(ledger.directory.parent, "long", began=clock()))
    assert kinds(ledger)[-1] == ("run", "long")


def test_slots_that_nobody_used_are_appended_as_missed_once(ledger, clock):
    ledger.register(plan(clock))
    clock.at += timedelta(days=2, hours=1)
    assert [entry.data["slot"] for entry in ledger.settle()] == ["2026-01-01T02:00:00.000Z", "2026-01-02T02:00:00.000Z"]
    assert ledger.settle() == []
    recorded(ledger, "run-1")
    assert whole(ledger)


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"every_seconds": 0}, "a minute apart"),
        ({"grace_seconds": 100_000}, "grace"),
        ({"until": "2025-01-01T00:00:00Z"}, "until lies after"),
        ({"from": "2026-01-01"}, "time zone"),
        ({"scenarios": None}, "cannot be read"),
    ],
)
def test_a_schedule_that_cannot_be_is_not_registered(fields, told, ledger, clock):
    with pytest.raises(ConfigurationError, match=told):
        ledger.register(plan(clock) | fields)
    assert not (ledger.directory / ENTRIES).exists()


def test_an_append_that_was_cut_short_is_no_entry_and_hinders_nothing(ledger):
    recorded(ledger, "run-1")
    path = ledger.directory / ENTRIES
    whole_lines = path.read_bytes()
    for cut in (1, 100):
        path.write_bytes(whole_lines + whole_lines[:cut])
        found = verify(locate(ledger.directory.parent), trusted=[ledger.key.fingerprint])
        assert [one.text for one in found if one.severity != "note"] == ["an append was cut short here; it is no entry"]
    recorded(ledger, "run-2")
    assert path.read_bytes().startswith(whole_lines)
    assert whole(ledger)


def test_an_append_without_its_checkpoint_is_covered_by_the_next(ledger):
    recorded(ledger, "run-1")
    old = (ledger.directory / CHECKPOINT).read_bytes()
    recorded(ledger, "run-2")
    (ledger.directory / CHECKPOINT).write_bytes(old)
    assert not whole(ledger)
    recorded(ledger, "run-3")
    assert [kind for kind, _ in kinds(ledger)] == ["begun", "run"] * 3


@pytest.mark.parametrize("change", ["byte", "line", "checkpoint"])
def test_a_ledger_that_was_changed_is_not_signed_for_again(change, ledger):
    recorded(ledger, "run-1")
    path = ledger.directory / ENTRIES
    lines = path.read_bytes()
    if change == "byte":
        path.write_bytes(lines.replace(b"payload", b"paylaod", 1))
    elif change == "line":
        path.write_bytes(lines.split(b"\n", 1)[1])
    else:
        (ledger.directory / CHECKPOINT).unlink()
    before = path.read_bytes()
    with pytest.raises(ConfigurationError, match=r"Keep it as it is, .* another directory"):
        ledger.begin("run-2", began=ledger._clock())
    assert path.read_bytes() == before


WRITER = """
import sys, pathlib
sys.path.insert(0, {tests!r})
from evidence_runs import START, make_run
from pytest_enterprise.evidence import keys, ledger
kept = ledger.Ledger(pathlib.Path({directory!r}), keys.load({key!r}, None))
for number in range({count}):
    id = f"{name}-{{number}}"
    kept.begin(id, began=START)
    kept.finish(make_run(kept.directory.parent, id))
    print(id, flush=True)
"""


def writer(ledger, tmp_path, name, count):
    if not (tmp_path / "k.pem").exists():
        keys.make(tmp_path / "k.pem")
    program = WRITER.format(
        tests=str(Path(__file__).parent),
        directory=str(ledger.directory),
        key=str(tmp_path / "k.pem"),
        name=name,
        count=count,
    )
    return subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)


def test_runs_that_finish_at_once_are_all_there(ledger, tmp_path):
    writers = [writer(ledger, tmp_path, name, 12) for name in "abc"]
    assert [(one.communicate()[1], one.returncode) for one in writers] == [(None, 0)] * 3
    told = kinds(ledger)
    for name in "abc":
        for number in range(12):
            assert told.count(("begun", f"{name}-{number}")) == told.count(("run", f"{name}-{number}")) == 1
    assert not [kind for kind, _ in told if kind == "aborted"]


def test_after_sigkill_at_any_moment_the_ledger_is_whole_and_the_run_is_counted(ledger, tmp_path):
    """Killed 12 times, at moments spread over the time that a run takes to be recorded."""
    finished = set()
    for round in range(12):
        process = writer(ledger, tmp_path, f"round-{round}", 1000)
        finished.add(process.stdout.readline().strip())
        time.sleep(round * 0.003)
        process.kill()
        finished |= set(process.communicate()[0].split())
    Ledger(ledger.directory, keys.load(str(tmp_path / "k.pem"), tmp_path)).settle()
    found = verify(locate(ledger.directory.parent), trusted=[keys.load(str(tmp_path / "k.pem"), tmp_path).fingerprint])
    assert not [one for one in found if one.severity == "broken" and "evidence/" not in one.place]
    told = kinds(ledger)
    began = {id for kind, id in told if kind == "begun"}
    ended = {id for kind, id in told if kind == "run"}
    assert finished <= ended <= began
    assert {id for kind, id in told if kind == "aborted"} == began - ended


def limited(size):
    """Runs in a child whose files cannot grow beyond ``size`` bytes, which is how a full disk looks."""
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))


@pytest.mark.parametrize("room", [1, 100, 300])
def test_a_full_disk_is_told_and_leaves_the_ledger_as_it_was(room, ledger, tmp_path):
    recorded(ledger, "run-1")
    before = (ledger.directory / ENTRIES).read_bytes(), (ledger.directory / CHECKPOINT).read_bytes()
    pid = os.fork()
    if pid == 0:
        try:
            limited(len(before[0]) + room)
            ledger.begin("run-2", began=ledger._clock())
        except ConfigurationError as error:
            os._exit(7 if "make room" in str(error) else 8)
        os._exit(9)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 7
    assert ((ledger.directory / ENTRIES).read_bytes(), (ledger.directory / CHECKPOINT).read_bytes()) == before
    recorded(ledger, "run-3")
    assert ("run", "run-3") in kinds(ledger)


def test_a_disk_with_room_for_entries_and_none_for_the_checkpoint_takes_neither(ledger, monkeypatch):
    recorded(ledger, "run-1")
    before = (ledger.directory / ENTRIES).read_bytes()
    (ledger.directory / f".{CHECKPOINT}.part").mkdir()
    with pytest.raises(ConfigurationError, match="as it was before"):
        ledger.begin("run-2", began=ledger._clock())
    assert (ledger.directory / ENTRIES).read_bytes() == before
