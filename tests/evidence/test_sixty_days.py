"""A signed nightly job over 60 simulated days, with misses, exceptions and a loosened threshold, and its report."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from evidence_runs import FAILOVER, RESTORE, SMOKE, START, Clock, sixty_days

from pytest_enterprise.evidence import coverage_text, verify
from pytest_enterprise.evidence.coverage import coverage
from pytest_enterprise.evidence.ledger import Ledger

NOW = datetime(2026, 3, 2, 2, tzinfo=UTC)


@pytest.fixture(scope="module")
def period(tmp_path_factory, key):
    ledger = Ledger(tmp_path_factory.mktemp("sixty") / "reports" / "ledger", key, clock=Clock())
    sixty_days(ledger)
    return ledger


@pytest.fixture(scope="module")
def found(period):
    return coverage(period.directory, period.directory.parent, now=NOW)


def day(number):
    return (START + timedelta(days=number)).date().isoformat()


def test_the_report_says_exactly_what_happened(found, key):
    told = "\n".join(coverage_text.lines(found)).replace(key.fingerprint, "FINGERPRINT") + "\n"
    assert told == (Path(__file__).parent / "sixty_days.md").read_text(encoding="utf-8")


def test_every_slot_ends_as_it_did(found):
    expected = {9: "missed", 10: "missed", 14: "late", 20: "aborted"}
    assert [slot.outcome for slot in found.slots] == [expected.get(number, "run") for number in range(60)]
    assert [number for number, slot in enumerate(found.slots) if slot.recorded] == [9, 10]
    assert found.outcomes == {"passed": 52, "failed": 5, "aborted": 1}


def test_the_calendar_of_a_control_is_that_of_its_scenarios(found):
    failover, restore, monitoring = found.controls
    odd = {9: "none", 10: "none", 20: "none", **dict.fromkeys(range(24, 28), "waived"), 28: "broken"}
    assert failover.days == {day(number): odd.get(number, "held") for number in range(60)}
    assert (failover.strength, failover.scenarios, failover.late) == ("direct", (FAILOVER,), True)
    assert [day for day, verdict in restore.days.items() if verdict == "held"] == [
        day(number) for number in (0, 7, 14, 21, 28, 49, 56)
    ]
    assert restore.longest_gap.length == timedelta(days=21)
    assert [(part.begins.date().isoformat(), part.ends.date().isoformat()) for part in restore.stale] == [
        (day(38), day(49))
    ]
    assert (monitoring.scenarios, set(monitoring.days.values())) == ((), {"none"})
    assert (found.without_scenario, found.without_control) == (("SOC2:CC7.2",), (SMOKE,))


def test_what_was_loosened_is_told_and_nothing_else(found):
    told = [(change.at.date().isoformat(), change.kind, change.subject) for change in found.changes if change.loosened]
    assert told == [(day(24), "exception", FAILOVER), (day(30), "threshold", FAILOVER), (day(50), "test", SMOKE)]
    others = [(change.at.date().isoformat(), change.kind) for change in found.changes if not change.loosened]
    assert others == [("2025-12-31", "schedule"), (day(29), "exception")]


def test_an_exception_says_who_accepted_what_and_that_it_outlived_its_term(found):
    (one,) = found.exceptions
    assert (one.owner, one.approver, one.expires) == ("payments team", "J. Doe", "2026-01-28")
    assert [id[:8] for id in one.waived] == ["20260125", "20260126", "20260127", "20260128"]
    assert [id[:8] for id in one.expired_in] == ["20260129"]


def test_the_drift_is_seen_before_it_fails(found):
    (one,) = found.trends
    assert (one.scenario, one.measurement) == (FAILOVER, "recovery during")
    assert one.interval[0] <= 0.02 <= one.interval[1]
    assert one.per_day == pytest.approx(0.02, abs=0.002)
    true = (3.5 - (2.0 + 0.02 * 59)) / 0.02
    assert one.days_interval[0] <= true <= one.days_interval[1]


def test_it_verifies_with_the_key_and_the_sample_is_of_every_slot(period, key, capsys):
    arguments = [str(period.directory.parent), "--now", NOW.isoformat()]
    assert verify.main([*arguments, "--key", key.fingerprint]) == 0
    assert "note: schedule nightly: 60 slots: 56 run, 1 late, 2 missed, 1 aborted" in capsys.readouterr().out
    assert verify.main([*arguments, "--sample", "60", "--seed", "an auditor's own"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == """60 of 60, drawn with seed "an auditor's own":"""
    assert len([line for line in lines if line.startswith("nightly ")]) == 60


def test_the_document_is_json_with_every_part(found):
    document = json.loads(json.dumps(found.document(), allow_nan=False))
    assert document["format"] == "pytest-enterprise/coverage/1"
    assert document["period"] == {"begins": "2026-01-01T00:00:00.000Z", "ends": "2026-03-02T00:00:00.000Z"}
    assert len(document["slots"]) == 60
    assert document["controls"][1]["scenarios"] == [RESTORE]
    assert sum(change["loosened"] for change in document["changes"]) == 3
