from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_enterprise.errors import ConfigurationError
from pytest_enterprise.load.records import Request
from pytest_enterprise.objectives import Latency, Window, judge


def one(objective, requests, *windows):
    (verdict,) = judge([objective], requests, windows)
    return verdict


def spread(request_at, count, errors=0):
    """Latencies of 1 ms to ``count`` ms, the slowest ``errors`` of which fail."""
    return [request_at(i / 1000, (i + 1) / 1000, "E" if i >= count - errors else "") for i in range(count)]


def test_the_percentile_of_a_known_stream(request_at, window):
    """The 99th percentile of 1 to 1,000 ms is 990 ms."""
    verdict = one(Latency(percentile=99, at_most=0.8), spread(request_at, 1000), window(0, 10))
    assert (verdict.value, verdict.samples, verdict.outcome) == (0.99, 1000, "broken")
    assert verdict.interval == pytest.approx((0.983, 0.998), abs=0.0015)
    assert [r.latency for r in verdict.worst] == [1.0, 0.999, 0.998]
    assert "median 0.500 s, slowest 1.000 s" in verdict.detail


def test_exactly_the_limit_holds(request_at, window):
    """A p99 of 990 ms is at most 990 ms."""
    assert one(Latency(percentile=99, at_most=0.99), spread(request_at, 1000), window(0, 10)).outcome == "held"


def test_failures_are_left_out_and_said(request_at, window):
    """Quick refusals do not flatter, and what hung and failed is for availability to judge."""
    verdict = one(Latency(percentile=99, at_most=0.8), spread(request_at, 1000, errors=500), window(0, 10))
    assert (verdict.value, verdict.samples) == (0.495, 500)
    assert "500 failed ones left out" in verdict.detail


def test_all_requests_can_be_asked_for(request_at, window):
    """of="all" takes failures with the time that they took."""
    verdict = one(Latency(at_most=0.8, of="all"), spread(request_at, 1000, errors=500), window(0, 10))
    assert verdict.samples == 1000


def test_where_everything_failed_there_is_no_latency(request_at, window):
    """It is not judged, rather than held by nobody."""
    verdict = one(Latency(at_most=0.8), [request_at(1, 0.1, "E")] * 400, window(0, 10))
    assert (verdict.outcome, verdict.value) == ("not judged", None)
    assert "all 400 requests failed" in verdict.detail


def test_too_few_to_tell(stream, window):
    """A p99 takes 300 requests; 100 fast ones do not show it."""
    verdict = one(Latency(at_most=0.8), stream(1), window(0, 10))
    assert verdict.outcome == "not judged"
    assert "300 needed" in verdict.detail


def test_too_few_but_all_slow_is_broken(stream, window):
    """Twenty slow requests of twenty are beyond chance."""
    assert one(Latency(at_most=0.8), stream(1, 20, latency=2), window(0, 10)).outcome == "broken"


@given(st.lists(st.integers(1, 1000), min_size=300, max_size=400), st.integers(1, 1000))
def test_it_holds_just_when_enough_are_fast(latencies, limit):
    """The p99 is within the limit exactly when 99 % of the requests are."""
    requests = [Request(0, latency / 1000, "a", "", 0) for latency in latencies]
    verdict = one(Latency(at_most=limit / 1000), requests, Window("f", "cut", "x", 0, 10**9))
    fast = sum(latency <= limit for latency in latencies)
    assert (verdict.outcome == "held") == (fast >= 0.99 * len(latencies))


@pytest.mark.parametrize(
    "settings", [{"percentile": 0}, {"percentile": 101}, {"at_most": 0}, {"at_most": -1}, {"of": "none"}]
)
def test_settings_that_cannot_be_meant(settings):
    """Percentiles lie above 0 and up to 100, limits above 0."""
    with pytest.raises(ConfigurationError, match=next(iter(settings))):
        Latency(**{"at_most": 1.0, **settings})


def test_names():
    """The percentile is part of the name."""
    assert Latency(at_most=1).name == "latency-p99-during"
    assert Latency(at_most=1, percentile=99.9, phase="after").name == "latency-p99.9-after"
