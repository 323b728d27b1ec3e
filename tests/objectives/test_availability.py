from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_enterprise.errors import ConfigurationError
from pytest_enterprise.load.records import Request
from pytest_enterprise.objectives import Availability, Window, judge


def one(objective, requests, *windows, **kwargs):
    (verdict,) = judge([objective], requests, windows, **kwargs)
    return verdict


def test_counts_what_failed_during_the_fault(stream, window):
    """Known stream: 1,000 requests in the fault, 6 of them fail."""
    requests = stream(30, bad=lambda at: 12 <= at < 12.06, latency=0.001)
    verdict = one(Availability(at_least=0.995), requests, window(10.005, 20.005))
    assert (verdict.value, verdict.samples, verdict.outcome) == (0.994, 1000, "broken")
    assert "6 of 1,000 requests failed (6 × HTTP 503)" in verdict.detail
    assert verdict.interval[0] < 0.994 < verdict.interval[1]
    assert (verdict.phase, verdict.fault, verdict.unit, verdict.comparison) == ("during", "main-1", "share", ">=")


def test_exactly_the_limit_holds(stream, window):
    """5 of 1,000 failed is 99.5 %, which is at least 99.5 %."""
    requests = stream(30, bad=lambda at: 12 <= at < 12.05, latency=0.001)
    assert one(Availability(at_least=0.995), requests, window(10.005, 20.005)).outcome == "held"


@given(st.lists(st.tuples(st.integers(0, 99), st.integers(0, 20), st.booleans()), max_size=60))
def test_counts_agree_with_counting(times):
    """Samples and value are those of a plain count over the requests that overlap the fault."""
    requests = [Request(start, length * 1e-9, "a", "E" if failed else "", 0) for start, length, failed in times]
    verdict = one(Availability(at_least=0.9), requests, Window("f", "cut", "x", 30, 60))
    felt = [failed for start, length, failed in times if start < 60 and start + length >= 30]
    assert verdict.samples == len(felt)
    assert verdict.value == (None if not felt else felt.count(False) / len(felt))
    if len(felt) < 30:
        assert verdict.outcome != "held"
    elif verdict.value >= 0.9:
        assert verdict.outcome == "held"
    else:
        assert verdict.outcome == "broken"


def test_too_few_requests_are_not_judged(stream, window):
    """599 requests without a failure do not show 99.5 %, 600 do."""
    requests = stream(20, latency=0.001)
    verdict = one(Availability(at_least=0.995), requests, window(5.005, 10.995))
    assert (verdict.outcome, verdict.samples) == ("not judged", 599)
    assert "600 needed" in verdict.detail
    assert "more users" in verdict.detail
    assert one(Availability(at_least=0.995), requests, window(5.005, 11.005)).outcome == "held"


def test_few_requests_that_all_fail_are_broken(stream, window):
    """Ten failures of ten need no six hundred requests to be believed."""
    verdict = one(Availability(at_least=0.995), stream(2, 10, bad=lambda at: True), window(0.55, 1.55))
    assert (verdict.outcome, verdict.value) == ("broken", 0.0)


def test_all_means_all(stream, window):
    """At a limit of 1 a single failure breaks it; without one, 300 requests are needed."""
    fault = window(1.005, 6.005)
    objective = Availability(at_least=1.0)
    assert one(objective, stream(10, bad=lambda at: at == 2), fault).outcome == "broken"
    assert one(objective, stream(10), fault).outcome == "held"
    assert one(objective, stream(10, 10), fault).outcome == "not judged"


def test_the_worst_requests_are_the_slowest_failures(request_at, window):
    """Three are kept, slowest first, and none of a success."""
    requests = [request_at(1 + i / 100, i / 1000, "E") for i in range(10)] + [request_at(2, 5)]
    verdict = one(Availability(at_least=0.5), requests, window(0, 10))
    assert [r.latency for r in verdict.worst] == [0.009, 0.008, 0.007]


@pytest.mark.parametrize(
    ("phase", "expected"),
    [
        ("before", "let the load run before the first fault"),
        ("during", "keep the fault on while the load runs"),
        ("after", "let the load run on after the fault"),
    ],
)
def test_an_empty_phase_says_what_to_do(request_at, window, phase, expected):
    """No request in a phase is not judged, with the way out for that phase."""
    at = 50 if phase == "before" else 1
    verdict = one(Availability(at_least=0.9, phase=phase), [request_at(at)], window(10, 20))
    assert (verdict.outcome, verdict.value, verdict.samples) == ("not judged", None, 0)
    assert expected in verdict.detail


def test_after_a_fault_that_never_ended(stream, window):
    """It is said that the fault did not end, not that the load was too short."""
    verdict = one(Availability(at_least=0.9, phase="after"), stream(20), window(10, None))
    assert "never ended" in verdict.detail


def test_no_requests_at_all(window):
    """A load that made none is not judged, and says where to look."""
    verdict = one(Availability(at_least=0.9), [], window(10, 20))
    assert verdict.outcome == "not judged"
    assert "no request at all" in verdict.detail


def test_an_endpoint_that_nobody_asked_for(stream, window):
    """The nearest name that occurs is shown."""
    requests = stream(20, name="POST /tasks")
    verdict = one(Availability(at_least=0.9, endpoint="POST /task"), requests, window(5, 10))
    assert verdict.outcome == "not judged"
    assert "Did you mean 'POST /tasks'?" in verdict.detail


def test_one_verdict_for_each_fault(stream, window):
    """With two faults the phase is judged around each, in the order in which they began."""
    requests = stream(40, bad=lambda at: 20 <= at < 30)
    faults = [window(20.005, 29.995, "f2"), window(5, 15, "f1")]
    verdicts = judge([Availability(at_least=0.99)], requests, faults)
    assert [(v.fault, v.outcome) for v in verdicts] == [("f1", "held"), ("f2", "broken")]


def test_the_whole_load_is_judged_once(stream, window):
    """The phase "whole" has one verdict, with no fault, however many faults there were."""
    verdicts = judge([Availability(at_least=0.9, phase="whole")], stream(20), [window(1, 2, "a"), window(3, 4, "b")])
    assert [(v.fault, v.outcome, v.samples) for v in verdicts] == [(None, "held", 2000)]


def test_without_a_fault_there_is_no_during(stream):
    """It is not judged and says so, rather than passing over nothing."""
    verdict = one(Availability(at_least=0.9), stream(20))
    assert verdict.outcome == "not judged"
    assert "no fault" in verdict.detail


@pytest.mark.parametrize("at_least", [0, -1, 1.1, float("nan"), "1", True, 99.5])
def test_a_limit_that_is_no_share_is_refused(at_least):
    """A share lies above 0 and up to 1; 99.5 is not one."""
    with pytest.raises(ConfigurationError, match="at_least="):
        Availability(at_least=at_least)


def test_a_phase_that_does_not_exist_is_refused():
    """The message names the nearest."""
    with pytest.raises(ConfigurationError, match="Did you mean 'during'"):
        Availability(at_least=0.9, phase="durng")


def test_names():
    """A name tells the phase and the endpoint, unless one is given; it is a plain word."""
    assert Availability(at_least=0.9).name == "availability-during"
    assert (
        Availability(at_least=0.9, phase="after", endpoint="POST /tasks/{id}").name
        == "availability-after-post-tasks-id"
    )
    assert Availability(at_least=0.9, name="mine").name == "mine"
    with pytest.raises(ConfigurationError, match="lower-case"):
        Availability(at_least=0.9, name="My name")
