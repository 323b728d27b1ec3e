"""``evidence.jsonl``: what one run shows, the same whenever and wherever it is made."""

import datetime
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tracemalloc
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pytest_enterprise.errors import EnterpriseError
from pytest_enterprise.evidence import attempts, documents, records

KILL = "scenarios/failover/test_replicas.py::test_kill_one_of_three"
CUT = "scenarios/failover/test_database.py::test_database_cut_for_3_s"


def by_test(found):
    return {record["node_id"]: record for record in found[1:]}


def test_a_run_and_each_of_its_scenarios_has_a_record(demo, made):
    run, *scenarios = found = made(demo)
    assert [record["kind"] for record in found] == ["run", *["scenario"] * 4]
    assert run["format"] == "pytest-enterprise/evidence/1"
    assert (run["outcome"], run["exit_status"], run["clean"], run["seed"]) == ("finished", 1, False, 4_021_338_117)
    assert run["commit"] == "3350ff62d0c2b8a1f4e7c6d5b4a392817f6e5d4c"
    assert run["environment"]["name"] == "not stated"
    assert run["counts"] == {"held": 2, "broken": 1, "skipped": 1}
    assert [scenario["outcome"] for scenario in scenarios] == ["held", "broken", "held", "skipped"]
    assert "tests/test_plain.py::test_arithmetic" not in by_test(found)


def test_a_scenario_tells_claim_controls_measurements_faults_and_load(demo, made):
    record = by_test(made(demo))[KILL]
    assert record["claim"]["id"] == "replica-failover"
    assert record["claim"]["text"].startswith("When one of three replicas dies")
    assert record["controls"] == [{"id": "SOC2:A1.2", "kind": "failover", "strength": "direct"}]
    first = record["measurements"][0]
    assert (first["objective"], first["value"], first["limit"], first["unit"]) == (
        *("availability-during", 0.9977, 0.995, "share"),
    )
    assert (first["interval"], first["samples"], first["outcome"]) == ([0.9937, 0.9997], 880, "held")
    [fault] = record["faults"]
    assert (fault["kind"], fault["proof"], fault["acted"], fault["evidence"]["pid"]) == ("kill", "acted", True, 4812)
    [load] = record["loads"]
    assert (load["loop"], load["users"], load["requests"]) == ("closed", 30, load["requests"])
    assert load["rate"] == pytest.approx(load["requests"] / 9, abs=0.001)
    assert record["again"].startswith(f"pytest {KILL} --enterprise-seed=4021338117")
    assert record["began"] < record["ended"]


def test_artefacts_are_named_with_their_hashes(demo, made):
    run, scenario, *_ = made(demo)
    assert {entry["path"] for entry in scenario["artefacts"]} == {
        "load/agent_service-1.index.jsonl",
        "load/agent_service-1.requests",
    }
    assert "events.jsonl" in {entry["path"] for entry in run["artefacts"]}
    for entry in (*run["artefacts"], *scenario["artefacts"]):
        data = (demo / entry["path"]).read_bytes()
        assert (entry["sha256"], entry["size"]) == (hashlib.sha256(data).hexdigest(), len(data))


def test_loads_whose_names_begin_alike_keep_their_own_files(builder, killing, made):
    build = builder()
    for _ in range(11):
        killing(build, test=f"t.py::test_{build.numbers.get('load', 0)}")
    files = {r["node_id"]: {entry["path"] for entry in r["artefacts"]} for r in made(build.write())[1:]}
    assert all(len(paths) == 2 for paths in files.values())
    assert len(set.union(*files.values())) == 22


def test_the_same_run_gives_the_same_bytes_here_and_elsewhere(demo, tmp_path):
    first = {path.relative_to(demo): path.read_bytes() for path in documents.write(demo)}
    copy = tmp_path / "elsewhere" / demo.name
    shutil.copytree(demo, copy)
    shutil.rmtree(copy / "evidence")
    program = (
        "import sys, pathlib; from pytest_enterprise.evidence.documents import write; write(pathlib.Path(sys.argv[1]))"
    )
    environ = {**os.environ, "TZ": "Asia/Tokyo", "LC_ALL": "C", "PYTHONHASHSEED": "7"}
    subprocess.run([sys.executable, "-c", program, str(copy)], check=True, env=environ, cwd=tmp_path)
    assert {path: (copy / path).read_bytes() for path in first} == first
    assert len(first) == 10


def test_each_line_is_canonical_json(demo, made):
    made(demo)
    for line in (demo / "evidence" / "evidence.jsonl").read_text(encoding="utf-8").splitlines():
        again = json.dumps(json.loads(line), sort_keys=True, separators=(",", ":"), allow_nan=False)
        assert again == line


def test_a_pass_after_a_retry_stays_broken_and_is_called_flaky(builder, made):
    build = builder()
    for value, outcome, result in ((2.6, "broken", "failed"), (1.1, "held", "passed")):
        build.begin(CUT, claim="database-cut")
        build.judged("recovery", value, 2.0, "<=", "s", outcome)
        build.end(result, "1 of 1 objectives did not hold" if result == "failed" else "")
    [record] = made(build.write())[1:]
    assert (record["outcome"], record["flaky"]) == ("broken", True)
    assert [(a["number"], a["outcome"], a["pytest"]) for a in record["attempts"]] == [
        (1, "broken", "failed"),
        (2, "held", "passed"),
    ]
    assert [(m["attempt"], m["value"]) for m in record["measurements"]] == [(1, 2.6), (2, 1.1)]
    assert record["seconds"] == pytest.approx(2 * 9.81)
    assert record["reason"].startswith("recovery")


def test_attempts_that_agree_are_not_flaky(builder, killing, made):
    build = builder()
    killing(build)
    killing(build)
    killing(build)
    [record] = made(build.write())[1:]
    assert (record["outcome"], record["flaky"], len(record["attempts"])) == ("held", False, 3)
    assert [fault["attempt"] for fault in record["faults"]] == [1, 2, 3]
    assert len(record["artefacts"]) == 6


@pytest.mark.parametrize(
    ("end", "outcome"),
    [
        (("passed", ""), "not-judged"),
        (("failed", "AssertionError"), "not-judged"),
        (("error", "fixture"), "error"),
        (("skipped", "no etcd"), "skipped"),
        (None, "unfinished"),
    ],
)
def test_a_scenario_that_judged_nothing_held_nothing(builder, made, end, outcome):
    build = builder()
    build.begin(CUT, claim="database-cut")
    if end:
        build.end(*end)
    run, record = made(build.write(finished=end is not None))
    assert record["outcome"] == outcome
    assert run["outcome"] == ("finished" if end else "aborted")
    if end is None:
        assert run["ended"] == record["ended"] == ""
        assert "did not end in good order" in run["notes"][0]


def test_sabotaged_runs_support_no_control(builder, killing, made):
    build = builder()
    killing(build, sabotage="retries_off", test=f"{KILL}[retries_off]")
    run, record = made(build.write())
    assert (record["kind"], record["switch"], record["objective"]) == (
        *("sabotage", "retries_off", "availability-during"),
    )
    assert (record["outcome"], record["controls"]) == ("caught", [])
    assert not (build.directory / "evidence" / "oscal").exists()
    assert run["counts"] == {"caught": 1}


EXCEPTION = {"owner": "payments", "reason": "until the pool is new", "approver": "J. Doe"}


@pytest.mark.parametrize(
    ("named", "expires", "applies"),
    [
        ({"scenario": CUT}, "2026-12-31", True),
        ({"claim": "database-cut"}, "2026-11-24", True),
        ({"scenario": CUT}, "2026-11-23", False),
        ({"scenario": KILL}, "2026-12-31", False),
    ],
)
def test_a_waived_failure_stays_failed(demo, made, named, expires, applies):
    document = json.loads((demo / "run.json").read_text())
    document["evidence"] = {"exceptions": [{**EXCEPTION, **named, "expires": expires}]}
    (demo / "run.json").write_text(json.dumps(document))
    run, *_ = found = made(demo)
    record = by_test(found)[CUT]
    assert record["outcome"] == "broken"
    assert bool(record["waiver"]) == applies
    assert by_test(found)[KILL]["waiver"] is None
    assert run["exceptions"][0]["expired"] == (expires < "2026-11-24")
    poam = json.loads((demo / "evidence" / "oscal" / "poam.json").read_text())["plan-of-action-and-milestones"]
    assert ("risks" in poam) == applies
    if applies:
        assert poam["risks"][0]["deadline"] == f"{expires}T23:59:59Z"
        hdf = json.loads((demo / "evidence" / "hdf.json").read_text())
        [control] = [c for c in hdf["profiles"][0]["controls"] if c["id"] == CUT]
        assert "failed" in [result["status"] for result in control["results"]]
        assert control["waiver_data"]["expiration_date"] == expires


def test_strengths_are_those_that_the_session_found(builder, made):
    build = builder()
    build.begin(CUT, claim="database-cut", controls=("SOC2:A1.2",))
    build.events[-1]["strengths"] = {"SOC2:A1.2": ["restore", "partial"]}
    build.end()
    assert made(build.write())[1]["controls"] == [{"id": "SOC2:A1.2", "kind": "restore", "strength": "partial"}]


def test_a_control_of_an_older_run_that_nobody_knows_is_left_out_and_told(builder, made):
    build = builder()
    build.begin(CUT, claim="database-cut", controls=("SOC2:A1.2", "SOC2:X9"))
    build.end()
    run, record = made(build.write())
    assert [control["id"] for control in record["controls"]] == ["SOC2:A1.2"]
    assert any("'SOC2:X9'" in note for note in run["notes"])


def test_numbers_that_are_not_finite_become_null(builder, made):
    build = builder()
    build.begin(CUT, claim="database-cut")
    build.judged("recovery", float("nan"), 2.0, "<=", "s", "not judged", interval=[0.5, None])
    build.emit(
        "fault.began", fault="f", test=CUT, fault_kind="kill", target="x", settings={"delay": float("inf")}, began=1
    )
    build.end()
    record = made(build.write())[1]
    assert record["measurements"][0]["value"] is None
    assert record["measurements"][0]["interval"] == [0.5, None]
    assert record["faults"][0]["settings"] == {"delay": None}


def test_a_clock_that_was_set_back_is_told_and_no_document_ends_before_it_begins(builder, killing, made):
    build = builder()
    killing(build)
    build.events[0]["at"] = "2026-11-24T09:00:00.000+00:00"
    run, _ = made(build.write())
    assert any("clock was set back" in note for note in run["notes"])
    results = json.loads((build.directory / "evidence" / "oscal" / "assessment-results.json").read_text())
    [result] = results["assessment-results"]["results"]
    assert result["start"] <= result["end"]


def test_a_directory_without_a_run_is_told_in_words(tmp_path):
    with pytest.raises(EnterpriseError, match="is not a run directory"):
        documents.write(tmp_path)


def test_truncated_files_are_read_as_far_as_they_go(demo, made):
    text = (demo / "events.jsonl").read_bytes()
    (demo / "run.json").write_text("{")
    for share in (0.2, 0.5, 0.9):
        (demo / "events.jsonl").write_bytes(text[: int(len(text) * share)])
        run, *_ = made(demo)
        assert run["outcome"] == "aborted"
        assert any("run.json cannot be read" in note for note in run["notes"])


WRONG = (None, 7, -1.5, "x", "", [], {}, [None], {"a": [1]}, True, "\ud800")


def test_events_with_anything_in_any_field_never_stop_the_evidence(builder, killing):
    build = builder()
    killing(build)
    events = build.events
    kinds = {event["kind"]: number for number, event in enumerate(events)}
    for number in kinds.values():
        event = events[number]
        for field in event:
            for wrong in WRONG:
                build.events = [*events[:number], {**event, field: wrong}, *events[number + 1 :]]
                lines = "".join(json.dumps(one) + "\n" for one in build.events)
                (build.directory / "events.jsonl").write_text(lines)
                records.write(build.directory)
    documents.write(build.directory)


@pytest.mark.parametrize("wrong", WRONG)
def test_a_run_json_with_anything_in_any_field_never_stops_the_evidence(demo, wrong):
    document = json.loads((demo / "run.json").read_text())
    document["evidence"] = {
        "environment": "x",
        "exceptions": [],
        "engines": [],
        "frameworks": [],
        "oscal_version": "1.1.2",
    }
    for field in document:
        (demo / "run.json").write_text(json.dumps({**document, field: wrong}))
        records.write(demo)
    for field in document["evidence"]:
        (demo / "run.json").write_text(json.dumps({**document, "evidence": {**document["evidence"], field: wrong}}))
        documents.write(demo)


def test_what_finds_no_room_leaves_nothing_half_written(demo, monkeypatch):
    made = documents.write(demo)
    before = {path: path.read_bytes() for path in made}
    monkeypatch.setattr(Path, "replace", lambda *_: (_ for _ in ()).throw(OSError(28, "No space left on device")))
    with pytest.raises(OSError, match="No space"):
        documents.write(demo)
    assert {path: path.read_bytes() for path in made} == before
    assert not list(demo.rglob("*.part"))


def test_a_large_artefact_is_hashed_in_parts(demo, made):
    with (demo / "load" / "agent_service-1.requests").open("r+b") as file:
        file.truncate(100_000_000)
    tracemalloc.start()
    record = made(demo)[1]
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert [entry["size"] for entry in record["artefacts"]].count(100_000_000) == 1
    assert most < 20_000_000


def test_links_out_of_the_run_directory_are_not_followed(demo, made, tmp_path):
    outside = tmp_path / "outside"
    outside.write_text("x")
    (demo / "load" / "agent_service-1.slowest.jsonl").symlink_to(outside)
    assert all("slowest" not in entry["path"] for entry in made(demo)[1]["artefacts"])


def test_only_the_first_line_of_a_run_begins_evidence(demo, made):
    made(demo)
    path = demo / "evidence" / "evidence.jsonl"
    assert records.read(path).run["run"] == demo.name
    path.write_text("".join(path.read_text().splitlines(keepends=True)[1:]))
    with pytest.raises(EnterpriseError, match="no record of a run"):
        records.read(path)


HOSTILE = [
    "t.py::test[<script>alert(1)</script>]",
    "t.py::test[\"quoted'\\]",
    "t.py::test[a\tb\nc\rd\x00\x1b[31m]",
    "t.py::test[=HYPERLINK(1)]",
    "t.py::test[日本語 \U0001f600]",
    "t.py::test[\ud800]",
    't.py::test[{"@":"observations"}]',
    "t.py::test[]]>&amp;]",
    "=cmd|' /C calc'!A0",
    "t.py::test[\u2028\u202e]",
]


@pytest.fixture
def hostile(builder):
    build = builder()
    for test in HOSTILE:
        build.begin(test, claim="database-cut", title=test, controls=("SOC2:A1.2",))
        build.judged(test, 1.0, 2.0, "<=", test, "broken", detail=test)
        build.end("failed", test)
    return build.write()


def test_node_ids_with_every_kind_of_character_are_told_apart_in_every_format(hostile, made):
    found = made(hostile)
    assert len({record["node_id"] for record in found[1:]}) == len(HOSTILE)
    results = json.loads((hostile / "evidence" / "oscal" / "assessment-results.json").read_text())
    observations = results["assessment-results"]["results"][0]["observations"]
    assert len({observation["uuid"] for observation in observations}) == len(HOSTILE)
    hdf = json.loads((hostile / "evidence" / "hdf.json").read_text())
    assert {control["id"] for control in hdf["profiles"][0]["controls"]} == {record["node_id"] for record in found[1:]}


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(name=st.text(st.characters(), min_size=1, max_size=40))
def test_any_text_as_a_node_id_gives_readable_documents(builder, name):
    build = builder(f"run-{hashlib.sha256(name.encode('utf-8', 'surrogatepass')).hexdigest()}")
    shutil.rmtree(build.directory / "evidence", ignore_errors=True)
    build.begin(name, claim="c", controls=("SOC2:A1.2",))
    build.judged(name, 1.0, 2.0, "<=", "s")
    build.end()
    for path in documents.write(build.write()):
        text = path.read_bytes().decode("utf-8")
        if path.suffix == ".json":
            json.loads(text)


def test_times_are_those_of_events_in_rfc_3339():
    assert attempts.time_of("2026-11-24T02:20:17.5+00:00") == "2026-11-24T02:20:17.500Z"
    assert attempts.time_of("2026-11-24T02:20:17Z") == "2026-11-24T02:20:17.000Z"
    assert datetime.datetime.fromisoformat(attempts.time_of("2026-11-24T02:20:17Z")).tzinfo
    assert [attempts.time_of(wrong) for wrong in (None, "", "yesterday", 7)] == [""] * 4
