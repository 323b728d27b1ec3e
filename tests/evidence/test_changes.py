"""Changes from run to run: what asks for less than before is told apart from what does not."""

from datetime import timedelta

import pytest
from evidence_runs import START, measurement, scenario

from pytest_enterprise.evidence.changes import changes
from pytest_enterprise.evidence.history import Recorded

TEST = "scenarios/test_a.py::test_one"


def history(*nights, **runs):
    """Runs on days in a row; each night a list of scenarios."""
    return [
        Recorded(f"run-{n}", START + timedelta(days=n), None, {**runs.get(f"run_{n}", {})}, tuple(night))
        for n, night in enumerate(nights)
    ]


def told(*nights, whole=True, **runs):
    return [(one.kind, one.text, one.loosened) for one in changes(history(*nights, **runs), lambda _: whole)]


def one(*measurements, **fields):
    return [scenario(TEST, measurements=list(measurements), **fields)]


@pytest.mark.parametrize(
    ("before", "after", "loosened"),
    [
        (("<=", 200), ("<=", 250), True),
        (("<=", 250), ("<=", 200), False),
        ((">=", 0.999), (">=", 0.99), True),
        ((">=", 0.99), (">=", 0.999), False),
        (("<=", 200), (">=", 200), True),
        (("<=", 200), ("<=", None), True),
    ],
)
def test_a_threshold_that_asks_for_less_is_loosened(before, after, loosened):
    night = [
        one(measurement("p95", 225, 225, comparison=way, outcome="held") | {"limit": limit})
        for way, limit in (before, after)
    ]
    ((kind, _, found),) = told(*night)
    assert (kind, found) == ("threshold", loosened)


def test_another_unit_cannot_be_compared_so_it_is_taken_for_looser():
    ((_, text, loosened),) = told(
        one(measurement("p95", 1, 200, "<=", "ms")), one(measurement("p95", 1, 0.2, "<=", "s"))
    )
    assert (text, loosened) == ("p95 during: <= 200 ms before, <= 0.2 s now", True)


def test_what_did_not_change_is_no_event_though_faults_are_numbered_anew():
    nights = [
        one(
            measurement(fault=f"fault-{n}"), faults=[{"attempt": 1, "id": f"fault-{n}", "kind": "kill", "target": "db"}]
        )
        for n in range(3)
    ]
    assert told(*nights) == []


def test_an_objective_that_is_no_longer_judged_is_loosened_unless_the_test_failed_first():
    two = [measurement("p95", 1, 2, "<="), measurement("recovery", 1, 2, "<=")]
    assert told(one(*two), one(two[0])) == [("threshold", "recovery during: no longer judged", True)]
    assert told(one(*two), one(measurement("p95", 3, 2, "<=")), one(*two)) == []
    assert told(one(*two), one(outcome="skipped"), one(*two)) == []
    assert told(one(two[0]), one(*two)) == [("threshold", "recovery during: judged from now on", False)]


def test_a_threshold_is_compared_across_runs_that_did_not_judge_it():
    nights = one(measurement("p95", 1, 2, "<=")), one(outcome="skipped"), one(measurement("p95", 1, 3, "<="))
    assert [loosened for *_, loosened in told(*nights)] == [True]


def test_a_mapping_to_a_control_that_went_is_loosened():
    def mapped(*controls):
        return one(controls=controls)

    assert told(mapped("SOC2:A1.2"), mapped("SOC2:A1.3")) == [
        ("mapping", "SOC2:A1.2: direct before, not mapped now", True),
        ("mapping", "SOC2:A1.3: not mapped before, direct now", False),
    ]


def test_a_test_is_gone_when_it_is_absent_for_longer_than_ever_before():
    nothing = [scenario("scenarios/test_a.py::test_other")]
    both = one() + nothing
    assert told(both, nothing) == [("test", "no longer there", True)]
    assert told(both, nothing, both, nothing) == []
    assert told(both, nothing, both, nothing, nothing) == [("test", "no longer there", True)]
    assert told(both, nothing, whole=False) == []


def test_a_test_that_came_is_an_event_but_for_the_first_run():
    other = [scenario("scenarios/test_a.py::test_other")]
    assert told(other, other + one()) == [("test", "new", False)]


def test_a_claim_whose_words_changed_is_an_event():
    claims = [{"id": "x", "text": text} for text in ("in 5 s", "in 9 s")]
    assert told(one(claim=claims[0]), one(claim=claims[1])) == [
        ("test", "its claim was 'in 5 s' and is 'in 9 s'", False)
    ]


def test_environment_framework_and_exceptions_are_events():
    accepted = {"scenario": TEST, "owner": "a", "reason": "b", "approver": "c", "expires": "2026-02-01"}
    runs = [
        {"environment": {"name": "staging"}, "frameworks": [{"id": "SOC2", "version": "1", "sha256": "0"}]},
        {"environment": {"name": "production"}, "frameworks": [{"id": "SOC2", "version": "2", "sha256": "0"}]},
        {"environment": {"name": "production"}, "exceptions": [accepted]},
        {"environment": {"name": "production"}, "exceptions": [{**accepted, "expires": "2026-03-01"}]},
        {"environment": {"name": "production"}},
    ]
    found = told(*[one()] * 5, **{f"run_{n}": run for n, run in enumerate(runs)})
    assert [(kind, loosened) for kind, _, loosened in found] == [
        ("environment", False),
        ("framework", False),
        ("exception", True),
        ("exception", True),
        ("exception", False),
    ]
