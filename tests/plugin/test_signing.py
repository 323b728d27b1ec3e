"""Signing as users have it: a setting, a ledger beside the runs, and commands that read it."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest

import pytest_enterprise.evidence.keys  # noqa: F401  (pytester would unload cryptography, which cannot be loaded twice)
from pytest_enterprise import cli

pytestmark = pytest.mark.usefixtures("project")

SCENARIO = """
import os, pytest, time
from pytest_enterprise.objectives import Fact

@pytest.mark.scenario(claim="swift")
@pytest.mark.control("SOC2:A1.2", kind="failover")
def test_swift(objectives):
    while os.path.exists("wait"):
        time.sleep(0.05)
    objectives.check(Fact("seconds", float(os.environ.get("MEASURED", "1")), 2, "<=", "s"))
"""
LEDGER = "--enterprise-ledger=reports/ledger"


@pytest.fixture
def shop(project, run):
    project.makepyfile(test_shop=SCENARIO)
    return run


def verified(capsys, *arguments):
    status = cli.main(["verify", "reports", *arguments])
    return status, capsys.readouterr().out


def fingerprint(capsys):
    assert cli.main(["key", "key.pem"]) == 0
    return capsys.readouterr().out.split()[-1]


def test_without_the_setting_nothing_is_signed_and_nobody_says_so(project, shop):
    result = shop()
    result.assert_outcomes(passed=1)
    result.stdout.no_fnmatch_line("signed as *")
    assert not (project.path / "reports" / "ledger").exists()
    assert not list((project.path / "reports").glob("*/evidence/attestation.json"))


def test_tests_that_are_only_listed_are_no_run(project, shop):
    shop(LEDGER, "--collect-only")
    assert not (project.path / "reports" / "ledger").exists()


def test_a_run_is_signed_with_a_key_and_verified(project, shop, capsys):
    key = fingerprint(capsys)
    result = shop(LEDGER, "--enterprise-key=key.pem", "--enterprise-checkpoints=kept")
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(
        [f"signed as entry 2 of */reports/ledger by {key} (file key.pem)", "checkpoint copied to kept/*"]
    )
    status, out = verified(capsys, "--key", key)
    assert status == 0, out
    assert verified(capsys, "--key", key, "--documents")[0] == 0
    (kept,) = (project.path / "kept").iterdir()
    assert verified(capsys, "--key", key, "--checkpoint", str(kept))[0] == 0
    (envelope,) = (project.path / "reports").glob("2*/evidence/attestation.json")
    assert (envelope.parent / "oscal" / "assessment-results.json").is_file()
    (envelope.parent / "oscal" / "poam.json").write_text("{}")
    assert verified(capsys, "--key", key)[0] == 3


def test_without_a_key_a_throw_away_one_is_named_as_such(shop, capsys):
    result = shop(LEDGER)
    result.stdout.fnmatch_lines(["*(throw-away key *", "a throw-away key shows that nothing was damaged, *"])
    status, out = verified(capsys)
    assert status == 1
    assert "signed by a throw-away key" in out


def test_a_broken_scenario_is_signed_as_broken(project, shop, capsys, monkeypatch):
    monkeypatch.setenv("MEASURED", "3")
    shop(LEDGER).assert_outcomes(failed=1)
    assert verified(capsys)[0] == 1
    assert cli.main(["coverage", "--output", "period"]) == 0
    document = json.loads((project.path / "period" / "coverage.json").read_text())
    assert document["outcomes"] == {"failed": 1}
    assert [set(control["days"].values()) for control in document["controls"]] == [{"broken"}]


def test_reports_made_again_leave_signed_evidence_as_it_is(project, shop, capsys):
    shop(LEDGER)
    (evidence,) = (project.path / "reports").glob("2*/evidence")
    before = {path: path.read_bytes() for path in evidence.rglob("*") if path.is_file()}
    assert cli.main(["report"]) == 0
    assert {path: path.read_bytes() for path in evidence.rglob("*") if path.is_file()} == before
    assert verified(capsys)[0] == 1


def test_a_run_that_is_over_can_be_signed_once(shop, capsys):
    shop()
    assert cli.main(["sign", LEDGER]) == 0
    assert verified(capsys)[0] == 1
    assert cli.main(["sign", LEDGER]) == 2
    assert "is on this run already" in capsys.readouterr().err


def test_workers_make_one_entry(shop, capsys):
    shop(LEDGER, "-n2").assert_outcomes(passed=1)
    _, out = verified(capsys)
    assert "broken" not in out.replace("BROKEN", "")
    shop(LEDGER).stdout.fnmatch_lines(["signed as entry 4 of *"])


@pytest.mark.parametrize(
    ("option", "told"),
    [
        ("--enterprise-key=nowhere.pem", "*nowhere.pem*No such file*pytest-enterprise key FILE makes one*"),
        ("--enterprise-checkpoints=ftp:x", "*'ftp:x' is none of DIRECTORY, git:REMOTE*"),
        ("--enterprise-ledger=test_shop.py", "*cannot write*test_shop.py*"),
    ],
)
def test_what_cannot_sign_is_told_before_any_test_runs(option, told, shop):
    result = shop(LEDGER, option)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([told])
    result.stderr.no_fnmatch_line("*Traceback*")


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_a_run_that_is_ended_is_counted_as_aborted(how, project, shop, capsys):
    (project.path / "wait").touch()
    command = [sys.executable, "-m", "pytest", "--enterprise-runtime=process", LEDGER, "-p", "no:cacheprovider"]
    process = subprocess.Popen(command, cwd=project.path, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    entries = project.path / "reports" / "ledger" / "entries.jsonl"
    until = time.monotonic() + 30
    while not entries.exists() or not list((project.path / "reports").glob("2*/events/*")):
        assert time.monotonic() < until
        time.sleep(0.05)
    time.sleep(0.5)
    os.kill(process.pid, how)
    process.communicate(timeout=30)
    (project.path / "wait").unlink()
    shop(LEDGER).assert_outcomes(passed=1)
    status, out = verified(capsys)
    assert status == 1, out
    assert out.count("did not end in good order: aborted") == 1
    assert cli.main(["coverage"]) == 0
    assert "Runs: 1 aborted, 1 passed." in capsys.readouterr().out


SCHEDULE = """
name = "nightly"
from = 2026-01-01T00:00:00Z
until = 2026-01-04T00:00:00Z
every = "1d"
[controls]
"SOC2:A1.2" = { every = "1d" }
"""


def test_a_schedule_is_registered_and_its_misses_are_recorded(project, shop, capsys):
    key = fingerprint(capsys)
    (project.path / "nightly.toml").write_text(SCHEDULE)
    signing = (LEDGER, "--enterprise-key=key.pem")
    assert cli.main(["schedule", "nightly.toml", *signing]) == 0
    assert "schedule nightly\n" in capsys.readouterr().out
    shop(*signing)
    _, out = verified(capsys, "--key", key)
    assert "schedule nightly: 3 slots: 3 missed" in out
    assert "3 slots began before it was registered" in out
    assert cli.main(["schedule", *signing]) == 0
    assert capsys.readouterr().out == "nothing to record\n"


def test_the_kit_is_written_and_verifies(project, shop, capsys):
    key = fingerprint(capsys)
    shop(LEDGER, "--enterprise-key=key.pem")
    assert cli.main(["kit", "kit.tar.gz"]) == 0
    assert key in capsys.readouterr().out
    assert cli.main(["verify", "kit.tar.gz", "--key", key]) == 0


@pytest.mark.parametrize("command", [["coverage"], ["kit", "k.tar.gz"], ["schedule"], ["sign"], ["verify"]])
def test_without_a_ledger_commands_say_what_is_missing(command, capsys):
    assert cli.main(command) == 2
    assert "ledger" in capsys.readouterr().err
