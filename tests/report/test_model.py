"""A run directory is read whatever state it is in."""

import json
import random

import pytest

from pytest_enterprise.errors import EnterpriseError
from pytest_enterprise.report import html
from pytest_enterprise.report.model import load_run
from pytest_enterprise.report.terminal import summary_lines


def test_a_finished_run(demo):
    """Identity, answers, scenarios, faults, loads, engines and links come from the run directory alone."""
    report = load_run(demo)
    assert (report.seed, report.clean, report.exit_status, report.notes) == (4_021_338_117, False, 1, ())
    assert [(a.claim.id, a.answer) for a in report.claims] == [
        ("replica-failover", "held"),
        ("database-cut", "broken"),
        ("slow-database", "held"),
        ("registry-failover", "not judged"),
        ("point-in-time-recovery", "no scenario"),
    ]
    assert [s.verdict for s in report.scenarios] == ["held", "broken", "held", "not judged"]
    assert [t.test for t in report.others] == ["tests/test_plain.py::test_arithmetic"]
    kill = report.scenarios[0].faults[0]
    assert (kill.label, kill.seconds, kill.acted) == ("kill agent-service-1", 4.0, True)
    load = report.scenarios[0].loads[0]
    assert load.closed_loop
    assert load.notes == ()
    assert load.recorded.requests > 1_500
    postgres = next(engine for engine in report.engines if engine.name == "postgres")
    assert (postgres.version, postgres.starts, postgres.ready, postgres.cpu_seconds) == ("18.6", 1, (0.553,), 9.84)
    assert len(report.links) == 4


def test_a_sabotaged_run_answers_no_claim(sabotaged):
    """A sabotaged scenario is told by what its sabotage showed, and says nothing of its claim."""
    report = load_run(sabotaged)
    assert [(s.switch, s.verdict) for s in report.sabotaged] == [
        ("retries_off", "caught"),
        ("idempotency_off", "survived"),
    ]
    assert report.scenarios == ()
    assert report.claims[0].answer == "not judged"


def test_a_killed_run(builder):
    """A run that was killed is read as far as it came, and the report says how far that was."""
    build = builder()
    build.stack()
    build.begin("scenarios/test_a.py::test_b", claim="replica-failover", title="Killed half way.")
    build.load(3, faults=[("kill", "agent-service-1", 1, None, {})], finish=False)
    directory = build.write(finished=False)
    events = directory / "events" / "4711.jsonl"
    events.write_bytes(events.read_bytes()[:-40])
    records = next((directory / "load").glob("*.requests"))
    records.write_bytes(records.read_bytes()[:-7])
    (directory / "run.json").write_text('{"format": 1, "run": ')
    report = load_run(directory)
    told = " ".join(report.notes)
    assert "did not end in good order" in told
    assert "run.json is not whole" in told
    assert "1 of " in told
    assert report.finished == ""
    scenario = report.scenarios[0]
    assert (scenario.verdict, scenario.outcome) == ("not judged", "unfinished")
    assert "its end was never seen" in scenario.loads[0].notes
    assert any("ends within a record" in note for note in scenario.loads[0].notes)


def test_fields_of_the_wrong_type_read_as_missing(builder):
    """Hand-edited events neither stop the report nor are believed."""
    build = builder()
    build.begin("test_a.py::test_b", claim="replica-failover", controls="SOC2")
    build.judged("x", "many", None, ">=", None, interval=[1], samples="some", worst=[3, {"latency": "long"}])
    build.emit("objective.judged", test=build.test)
    build.emit("fault.began", test=build.test, fault="f", settings=3)
    build.emit("load.started", test=build.test, load="l", file="../../../../etc/passwd", users="all")
    build.end("passed", 7, "soon")
    build.document |= {"claims": [3, {"id": "a"}], "seed": "none", "settings": []}
    build.write()
    report = load_run(build.directory)
    scenario = report.scenarios[0]
    judged = scenario.judgements[0]
    assert (judged.value, judged.limit, judged.interval, judged.samples) == (None, None, None, 0)
    assert scenario.loads[0].notes[0] == "its record file lies outside the run directory and was not read"
    assert any("1 events lack" in note for note in report.notes)
    assert any("1 claims" in note for note in report.notes)


def test_missing_records_are_said(demo):
    """A load whose records are gone or fewer than it told is reported with what is missing."""
    (demo / "load" / "agent_service-1.requests").unlink()
    cut = demo / "load" / "agent_service-2.requests"
    cut.write_bytes(cut.read_bytes()[:2000])
    first, second, _ = (load for scenario in load_run(demo).scenarios for load in scenario.loads)
    assert "cannot be read" in first.notes[0]
    assert "of which 100 could be read" in second.notes[0]


def test_a_newer_format_is_said(demo):
    """A run directory made by a newer version is read, with a warning."""
    document = json.loads((demo / "run.json").read_text()) | {"format": 2}
    (demo / "run.json").write_text(json.dumps(document))
    assert "format 2" in load_run(demo).notes[0]


def test_no_run_directory(tmp_path):
    """A directory without a run is refused with where to look."""
    with pytest.raises(EnterpriseError, match="is not a run directory"):
        load_run(tmp_path)


def test_a_test_that_ran_twice_is_there_twice(builder):
    """A retry is told as a run of its own, and the claim is answered by the worst."""
    build = builder()
    for outcome in ("broken", "held"):
        build.begin("scenarios/failover/test_replicas.py::test_kill_one_of_three", claim="replica-failover")
        build.judged("recovery", 1, 3, "<=", "s", outcome)
        build.end("passed" if outcome == "held" else "failed")
    report = load_run(build.write())
    assert [s.verdict for s in report.scenarios] == ["broken", "held"]
    assert report.claims[0].answer == "broken"


def test_damaged_files_never_stop_the_report(demo):
    """Whatever bytes are cut, changed or doubled in a run directory, there is a report or a plain refusal."""
    files = [path for path in demo.rglob("*") if path.is_file()]
    whole = {path: path.read_bytes() for path in files}
    luck = random.Random(7)
    for _ in range(40):
        path = luck.choice(files)
        data = bytearray(whole[path])
        at = luck.randrange(len(data))
        match luck.randrange(4):
            case 0:
                del data[at:]
            case 1:
                data[at] ^= 1 << luck.randrange(8)
            case 2:
                del data[at : at + luck.randrange(1, 40)]
            case _:
                data[at:at] = data[: luck.randrange(400)]
        path.write_bytes(data)
        page = html.render(load_run(demo))
        assert page.startswith("<!doctype html>")
        assert summary_lines(load_run(demo))
        path.write_bytes(whole[path])


def test_a_summary_reads_no_records(demo):
    """What is printed at the end of a session needs the events only: it is the same without the requests."""
    whole, quick = load_run(demo), load_run(demo, records=False)
    assert summary_lines(quick) == summary_lines(whole)
    for path in (demo / "load").iterdir():
        path.unlink()
    assert load_run(demo, records=False) == quick
    assert all(load.recorded.requests == 0 and not load.notes for test in quick.tests for load in test.loads)
