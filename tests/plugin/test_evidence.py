"""What a session leaves for an auditor: controls that are checked, evidence without secrets, exceptions."""

import hashlib
import json
import shutil
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

from pytest_enterprise.evidence.oscal import checks

TEST = """
import pytest
from pytest_enterprise import Fact

@pytest.mark.failover
@pytest.mark.control({control})
@pytest.mark.scenario(claim="swift")
def test_swift(objectives):
    {body}
    objectives.check(Fact("lost", {lost}, 0, "<=", "tasks"))
"""
EXCEPTION = """
[[exception]]
claim = "swift"
owner = "payments"
reason = "until the pool is new"
approver = "J. Doe"
expires = {expires}
"""


@pytest.fixture
def shop(project):
    """Writes the one scenario of the user's repository."""

    def write(control='"SOC2:A1.2"', body="pass", lost=0):
        project.makepyfile(test_shop=TEST.format(control=control, body=body, lost=lost))

    return write


def evidence(project):
    return project.path / "reports" / "latest" / "evidence"


def records(project):
    return [json.loads(line) for line in (evidence(project) / "evidence.jsonl").read_text().splitlines()]


def hashes(folder):
    return {
        path.relative_to(folder): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_a_session_leaves_evidence_in_every_form(project, shop, run):
    shop()
    run("--enterprise-environment=staging").assert_outcomes(passed=1)
    told, scenario = records(project)
    assert told["environment"]["name"] == "staging"
    assert told["exit_status"] == 0
    assert told["frameworks"][0]["id"] == "SOC2"
    assert scenario["outcome"] == "held"
    assert scenario["controls"] == [{"id": "SOC2:A1.2", "kind": "failover", "strength": "direct"}]
    assert {path.name for path in evidence(project).iterdir()} == {
        *("evidence.jsonl", "evidence.csv", "hdf.json", "oscal", "sbom.cdx.json", "auditor.html"),
    }
    assert checks.folder(evidence(project) / "oscal") == []
    names = {part["name"] for part in json.loads((evidence(project) / "sbom.cdx.json").read_text())["components"]}
    assert {"pytest", "pytest-enterprise"} <= names
    junit = ElementTree.parse(project.path / "reports" / "latest" / "junit.xml")
    found = {one.get("name"): one.get("value") for one in junit.iter("property")}
    assert found["enterprise.control.SOC2:A1.2"] == "direct (failover)"


def test_the_programs_of_engines_are_named_with_their_digests(project, run):
    project.makepyfile(
        test_shop=TEST.format(control='"SOC2:A1.2"', body="pass", lost=0).replace("(objectives)", "(stack, objectives)")
    )
    run().assert_outcomes(passed=1)
    engines = {engine["name"]: engine for engine in records(project)[0]["engines"]}
    program = Path(engines["proxy"]["program"]).read_bytes()
    assert engines["proxy"]["sha256"] == hashlib.sha256(program).hexdigest()
    assert engines["proxy"]["version"]
    assert (engines["shop"]["runtime"], engines["shop"]["sha256"]) == ("external", None)


def test_evidence_is_made_again_elsewhere_with_the_same_bytes(project, shop, run, tmp_path):
    own = project.path / "acme.toml"
    own.write_text(
        'id = "ACME"\ntitle = "A"\nversion = "1"\n[controls]\n"OPS-1" = { text = "It lives.", direct = ["failover"] }\n'
    )
    shop('"ACME:OPS-1", "SOC2:CC7.5"')
    run("--enterprise-frameworks=acme.toml").assert_outcomes(passed=1)
    before = hashes(evidence(project))
    copy = tmp_path / "elsewhere"
    shutil.copytree((project.path / "reports" / "latest").resolve(), copy)
    own.unlink()
    for path in (copy / "evidence").glob("*.json*"):
        if path.name != "sbom.cdx.json":
            path.unlink()
    subprocess.run(
        [sys.executable, "-m", "pytest_enterprise.cli", "report", str(copy)],
        check=True,
        cwd=tmp_path,
        capture_output=True,
    )
    assert hashes(copy / "evidence") == before
    text = (evidence(project) / "oscal" / "catalog.json").read_text()
    assert "It lives." in text


@pytest.mark.parametrize(
    ("control", "told"),
    [
        (
            '"SOC2:A1.9"',
            "*test_swift: SOC 2 trust services criteria has no control 'SOC2:A1.9'. Did you mean 'SOC2:A1.*",
        ),
        ('"SOC1:A1.2"', "*no framework has the id 'SOC1'. Did you mean 'SOC2'*"),
        ('"HIPAA:164.310(b)"', "*no test can support HIPAA:164.310(b) (Use and surroundings*: it is about buildings*"),
        ('"SOC2:CC6.2", kind="failover"', "*a test of kind 'failover' does not support SOC2:CC6.2; these do: access *"),
        ('"SOC2:A1.2", kinds="failover"', '*control takes identifiers and kind="..."*'),
        ("7", "*control 7; give identifiers as texts*"),
        ("", '*control takes identifiers and kind="..."*'),
    ],
)
def test_controls_are_checked_at_collection(project, shop, run, control, told):
    shop(control)
    result = run()
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([f"ERROR: {told}"])
    result.stderr.no_fnmatch_line("*Traceback*")


def test_controls_of_claims_are_checked_where_tests_name_controls(project, shop, run):
    claims = project.path / "claims.toml"
    claims.write_text(claims.read_text() + 'controls = ["SOC2:A1.22"]\n')
    shop()
    run().stderr.fnmatch_lines(["ERROR: claims.toml: claim 'swift': *no control 'SOC2:A1.22'*"])


def test_the_nearest_marker_decides_on_the_kind_of_test(project, shop, run):
    shop('"SOC2:A1.2", kind="restore"')
    path = project.path / "test_shop.py"
    path.write_text("import pytest\npytestmark = pytest.mark.control('SOC2:A1.2', 'SOC2:CC7.5')\n" + path.read_text())
    run().assert_outcomes(passed=1)
    found = {one["id"]: (one["kind"], one["strength"]) for one in records(project)[1]["controls"]}
    assert found == {"SOC2:A1.2": ("restore", "partial"), "SOC2:CC7.5": ("failover", "direct")}


def test_workers_find_the_same_strengths(project, shop, run):
    shop()
    run("-n", "2", "-p", "xdist").assert_outcomes(passed=1)
    told, scenario = records(project)
    assert scenario["controls"] == [{"id": "SOC2:A1.2", "kind": "failover", "strength": "direct"}]
    assert told["frameworks"][0]["sha256"]


def test_a_waived_failure_stays_failed(project, shop, run):
    shop(lost=3)
    (project.path / "exceptions.toml").write_text(EXCEPTION.format(expires="2999-12-31"))
    result = run()
    result.assert_outcomes(failed=1)
    told, scenario = records(project)
    assert scenario["outcome"] == "broken"
    assert scenario["waiver"]["approver"] == "J. Doe"
    assert told["exceptions"][0]["expired"] is False


def test_an_exception_that_has_expired_fails_the_run(project, shop, run):
    shop()
    (project.path / "exceptions.toml").write_text(EXCEPTION.format(expires="2020-01-31"))
    result = run()
    result.assert_outcomes(passed=1)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(
        ["the exception for claim swift expired on 2020-01-31 (owner: payments): settle or renew*"]
    )
    told, scenario = records(project)
    assert (told["exit_status"], told["exceptions"][0]["expired"]) == (1, True)
    assert scenario["outcome"] == "held"


def test_a_wrong_exception_or_framework_is_told_before_anything_runs(project, shop, run):
    shop()
    (project.path / "exceptions.toml").write_text("[[exception]]\n")
    result = run()
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["ERROR: *exceptions.toml: exception 1: name what it is for*"])
    (project.path / "exceptions.toml").unlink()
    result = run("--enterprise-frameworks=nowhere.toml")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["ERROR: *nowhere.toml: cannot be read*"])


CANARY = "Kanarie/7f3a+Zq=9"


def test_a_canary_in_every_output_reaches_no_file_that_is_handed_over(project, shop, run, monkeypatch):
    monkeypatch.setenv("SHOP_API_KEY", CANARY)
    shop(body=f"raise ValueError('refused: {CANARY} and password=hunter2222 and AKIAABCDEFGHIJKLMNOP')")
    run("-v", f"--enterprise-environment=x {CANARY}", "-o", f"markers=n: {CANARY}").assert_outcomes(failed=1)
    latest = project.path / "reports" / "latest"
    seen = 0
    for path in latest.resolve().rglob("*"):
        data = path.read_bytes() if path.is_file() else b""
        seen += b"[redacted]" in data
        for secret in (CANARY, "hunter2222", "AKIAABCDEFGHIJKLMNOP", "Kanarie"):
            assert secret.encode() not in data, (path, secret)
    assert seen >= 6
    assert records(project)[1]["reason"].endswith(
        "ValueError: refused: [redacted] and password=[redacted] and [redacted]"
    )


SERVICE = """
import sys
import pytest
from pytest_enterprise import Fact, Service, Stack

PROGRAM = "import http.server, sys; http.server.HTTPServer(('127.0.0.1', int(sys.argv[1])), "
PROGRAM += "http.server.SimpleHTTPRequestHandler).serve_forever()"

@pytest.fixture(scope="session")
def enterprise_stack_spec():
    command = (sys.executable, "-c", PROGRAM, "{port}")
    return Stack([Service(name="shop", command=command, env={"DB_PASSWORD": "Kanarie/7f3a+Zq=9"})])

@pytest.mark.control("SOC2:A1.2", kind="failover")
@pytest.mark.scenario(claim="swift")
def test_swift(stack, objectives):
    objectives.check(Fact("lost", 1, 0, "<=", "tasks, said Kanarie/7f3a+Zq=9"))
"""


def test_secrets_in_the_environment_of_engines_are_known(project, run):
    (project.path / "conftest.py").unlink()
    project.makepyfile(test_shop=SERVICE)
    run().assert_outcomes(failed=1)
    latest = project.path / "reports" / "latest"
    assert records(project)[1]["measurements"][0]["unit"] == "tasks, said [redacted]"
    for path in (*evidence(project).rglob("*.*"), latest / "events.jsonl", latest / "index.html", latest / "junit.xml"):
        assert path.is_dir() or CANARY not in path.read_text(), path


def test_no_framework_is_read_where_no_test_names_a_control(project, shop, run):
    shop()
    path = project.path / "test_shop.py"
    path.write_text(path.read_text().replace('@pytest.mark.control("SOC2:A1.2")\n', ""))
    (project.path / "conftest.py").write_text(
        (project.path / "conftest.py").read_text()
        + "\nimport tomllib\nfrom pytest_enterprise.evidence import frameworks\n"
        + "def read(*_): raise AssertionError('a framework was read')\n"
        + "frameworks._document = read\n"
    )
    run().assert_outcomes(passed=1)
    assert records(project)[0]["frameworks"] == []
    assert not (evidence(project) / "oscal").exists()
