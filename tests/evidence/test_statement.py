"""The statement on a run, as in-toto's own library reads it."""

import json

import pytest
from evidence_runs import START, make_run, measurement, scenario
from google.protobuf.json_format import Parse, ParseDict
from in_toto_attestation.predicates.test_result.v0 import test_result_pb2
from in_toto_attestation.v1 import statement_pb2
from in_toto_attestation.v1.statement import Statement

from pytest_enterprise.errors import ConfigurationError
from pytest_enterprise.evidence.statement import sha256, statement

SCENARIOS = [
    scenario("test_a.py::test_held"),
    scenario("test_a.py::test_broken", measurements=[measurement(value=0.5)]),
    scenario("test_a.py::test_waived", measurements=[measurement(value=0.5)], waiver={"owner": "someone"}),
    scenario("test_a.py::test_skipped", outcome="skipped"),
    scenario("test_a.py::test_unjudged", outcome="not-judged"),
    scenario("test_a.py::test_flaky", outcome="broken", flaky=True),
]


def stated(directory):
    return statement(directory, at=START, throw_away=False)


def test_in_toto_accepts_statement_and_predicate(reports):
    document = stated(make_run(reports, scenarios=SCENARIOS))
    read = Parse(json.dumps(document), statement_pb2.Statement())
    Statement.copy_from_pb(read).validate()
    predicate = ParseDict(document["predicate"], test_result_pb2.TestResult())
    assert predicate.result == "FAILED"
    assert list(predicate.passed_tests) == ["test_a.py::test_held"]
    assert list(predicate.warned_tests) == ["test_a.py::test_unjudged"]
    # What was waived, and what passed only when tried again, stays failed.
    assert {name.partition("::")[2] for name in predicate.failed_tests} == {"test_broken", "test_waived", "test_flaky"}


def test_subjects_are_every_file_of_evidence_by_sha256_alone(reports):
    directory = make_run(reports)
    (directory / "evidence" / "more").mkdir()
    (directory / "evidence" / "more" / "a file").write_text("x")
    subjects = stated(directory)["subject"]
    assert {one["name"]: one["digest"] for one in subjects} == {
        name: {"sha256": sha256(directory / name)}
        for name in (
            "events.jsonl",
            "run.json",
            "load/1.bin",
            "evidence/evidence.jsonl",
            "evidence/evidence.csv",
            "evidence/more/a file",
        )
    }


def test_the_commit_is_in_the_configuration(reports):
    document = stated(make_run(reports, commit="b" * 40))
    found = {one["name"]: one for one in document["predicate"]["configuration"]}
    assert found["commit"]["digest"] == {"gitCommit": "b" * 40}
    assert found["commit"]["annotations"] == {"clean": True}
    assert "commit" not in {
        one["name"] for one in stated(make_run(reports, "run-2", commit=""))["predicate"]["configuration"]
    }


@pytest.mark.parametrize(
    ("scenarios", "status", "result"), [(None, 0, "PASSED"), (None, 2, "FAILED"), ([], 0, "WARNED")]
)
def test_a_run_that_was_interrupted_or_tested_nothing_did_not_pass(scenarios, status, result, reports):
    assert stated(make_run(reports, scenarios=scenarios, exit_status=status))["predicate"]["result"] == result


def test_a_scenario_that_was_broken_on_purpose_is_named_so(reports):
    one = scenario("t.py::test_x", controls=(), kind="sabotage", outcome="caught", switch="checks_off", measurements=[])
    predicate = stated(make_run(reports, scenarios=[one], exit_status=0))["predicate"]
    assert predicate["passedTests"] == ["t.py::test_x [sabotage checks_off]"]
    assert predicate["configuration"][0]["annotations"]["mode"] == "sabotage"


@pytest.mark.parametrize("content", [None, b"", b"{}\n", b'{"kind": "run"', b"[1]\n"])
def test_without_whole_records_nothing_is_stated(content, reports):
    directory = make_run(reports)
    path = directory / "evidence" / "evidence.jsonl"
    path.unlink()
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ConfigurationError, match=r"evidence\.jsonl"):
        stated(directory)
