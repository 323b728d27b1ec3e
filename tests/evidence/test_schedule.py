"""How schedules are written, and which slots follow from them."""

from datetime import UTC, datetime, timedelta

import pytest
from evidence_runs import recorded, scenario

from pytest_enterprise.errors import ConfigurationError
from pytest_enterprise.evidence import schedule
from pytest_enterprise.evidence.checks import read_ledger
from pytest_enterprise.evidence.period import schedules, slots, starts

WHOLE = """
name = "nightly"
from = 2026-01-01T00:00:00Z
until = 2026-01-08T00:00:00+02:00
at = "02:23"
every = "1d"
grace = "2h"
scenarios = ["scenarios/"]
[controls]
"SOC2:A1.2" = { every = "7d", ttl = "30d" }
"""


def load(tmp_path, text):
    path = tmp_path / "schedule.toml"
    path.write_text(text)
    return schedule.load(path)


def test_a_schedule_reads_as_it_is_written(tmp_path):
    assert load(tmp_path, WHOLE) == {
        "name": "nightly",
        "from": "2026-01-01T00:00:00.000Z",
        "until": "2026-01-07T22:00:00.000Z",
        "first": "2026-01-01T02:23:00.000Z",
        "every_seconds": 86400,
        "grace_seconds": 7200,
        "scenarios": ["scenarios/"],
        "controls": {"SOC2:A1.2": {"every_seconds": 604800, "ttl_seconds": 2592000}},
    }


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ('every = "1d"\ngrace', "grace", "every is missing"),
        ('every = "1d"', 'every = "daily"', "'daily' is no length of time"),
        ('grace = "2h"', 'grace = "0h"', "'0h' is no length of time"),
        ('at = "02:23"', 'at = "24:00"', "a time of day in UTC"),
        ("from = 2026-01-01T00:00:00Z", "from = 2026-01-01", "with its zone"),
        ("from = 2026-01-01T00:00:00Z", "from = 2026-01-01T00:00:00", "with its zone"),
        ('scenarios = ["scenarios/"]', 'scenarios = "scenarios/"', "beginnings of node ids"),
        ("grace", "graze", "Did you mean 'grace'"),
        ('ttl = "30d"', 'tl = "30d"', "Did you mean 'ttl'"),
        ('{ every = "7d", ttl = "30d" }', '"7d"', 'write { every = "7d"'),
        ('name = "nightly"', 'name = ""', "give it a name"),
        ('name = "nightly"', "name = nightly", "cannot be read as TOML"),
    ],
)
def test_a_mistake_is_named_with_what_is_right(old, new, told, tmp_path):
    assert old in WHOLE
    with pytest.raises(ConfigurationError) as caught:
        load(tmp_path, WHOLE.replace(old, new, 1))
    assert told in str(caught.value)
    assert "schedule.toml" in str(caught.value)


def plan(**fields):
    return {
        "name": "n",
        "from": "2026-01-01T00:00:00Z",
        "until": "2026-01-05T00:00:00Z",
        "first": "2026-01-01T02:00:00Z",
        "every_seconds": 86400,
        "grace_seconds": 3600,
        "scenarios": [],
        "controls": {},
        **fields,
    }


def outcomes(ledger, now=None):
    return [slot.outcome for slot in slots(read_ledger(ledger.directory)[0].entries, now or ledger._clock())]


@pytest.mark.parametrize(
    ("minutes", "outcome"), [(0, "run"), (60, "run"), (61, "late"), (1439, "late"), (-1, "missed"), (1440, "missed")]
)
def test_a_slot_is_judged_by_when_its_run_began(minutes, outcome, ledger, clock):
    clock.at = datetime(2025, 12, 31, tzinfo=UTC)
    ledger.register(plan())
    clock.at = datetime(2026, 1, 2, 2, tzinfo=UTC) + timedelta(minutes=minutes)
    recorded(ledger)
    assert outcomes(ledger, datetime(2026, 1, 5, 3, tzinfo=UTC))[1] == outcome


def test_a_run_without_the_scenarios_or_with_sabotage_fills_no_slot(ledger, clock):
    clock.at = datetime(2025, 12, 31, tzinfo=UTC)
    ledger.register(plan(scenarios=["scenarios/", "tests/other"]))
    for day, switch in ((1, False), (2, True)):
        clock.at = datetime(2026, 1, day, 2, 10, tzinfo=UTC)
        one = {"kind": "sabotage", "switch": "x", "outcome": "caught"} if switch else {}
        recorded(ledger, f"run-{day}", scenarios=[scenario(**one)], exit_status=0)
    assert outcomes(ledger, datetime(2026, 1, 3, 0, tzinfo=UTC)) == ["missed", "open", "open", "open"]


def test_a_slot_is_open_until_the_next_begins(ledger, clock):
    clock.at = datetime(2025, 12, 31, tzinfo=UTC)
    ledger.register(plan())
    assert outcomes(ledger, datetime(2026, 1, 2, 1, 59, tzinfo=UTC))[0] == "open"
    assert outcomes(ledger, datetime(2026, 1, 2, 2, 0, tzinfo=UTC))[0] == "missed"


def test_an_interrupted_run_leaves_its_slot_aborted_and_a_whole_one_fills_it(ledger, clock):
    clock.at = datetime(2025, 12, 31, tzinfo=UTC)
    ledger.register(plan())
    clock.at = datetime(2026, 1, 1, 2, tzinfo=UTC)
    recorded(ledger, "run-1", exit_status=2)
    assert outcomes(ledger)[0] == "aborted"
    recorded(ledger, "run-2")
    assert outcomes(ledger)[0] == "run"


def test_a_schedule_that_replaces_another_takes_nothing_back(ledger, clock):
    """The slots before it stay those of the earlier one, missed or not."""
    clock.at = datetime(2025, 12, 31, tzinfo=UTC)
    ledger.register(plan())
    clock.at = datetime(2026, 1, 3, 1, tzinfo=UTC)
    ledger.register(plan(every_seconds=2 * 86400, first="2026-01-02T02:00:00Z"))
    found = slots(read_ledger(ledger.directory)[0].entries, datetime(2026, 1, 9, tzinfo=UTC))
    assert [(slot.start.day, slot.outcome) for slot in found] == [(1, "missed"), (2, "missed"), (4, "missed")]
    assert all(slot.announced for slot in found)


def test_slots_begin_within_the_period_only(ledger, clock):
    clock.at = datetime(2025, 12, 31, tzinfo=UTC)
    ledger.register(plan(first="2025-12-01T02:00:00Z", until="2026-01-03T02:00:00Z"))
    (one,) = schedules(read_ledger(ledger.directory)[0].entries)
    assert [at.day for at in starts(one)] == [1, 2]
