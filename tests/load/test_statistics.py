from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_enterprise.load import statistics
from pytest_enterprise.load.records import Request


def request(start, latency, name="GET /", error=""):
    return Request(int(start * 1e9), latency, name, error, 0)


@given(st.lists(st.floats(0, 100), min_size=1), st.floats(0.001, 100))
def test_a_percentile_is_the_smallest_value_that_enough_do_not_exceed(values, percent):
    """At least so many do not exceed it, and for the next smaller value that is not so."""
    ordered = sorted(values)
    found = statistics.percentile(ordered, percent)
    share = sum(v <= found for v in ordered) / len(ordered) * 100
    below = sum(v < found for v in ordered) / len(ordered) * 100
    assert share >= percent - 1e-6
    assert below < percent + 1e-6


def test_percentiles_of_known_values():
    """1 to 1,000: the p-th percentile is the p-th thousandth; nothing has none; 0 % is an error."""
    values = list(range(1, 1001))
    assert [statistics.percentile(values, p) for p in (0.1, 50, 99, 99.9, 100)] == [1, 500, 990, 999, 1000]
    assert statistics.percentile([], 50) is None
    for percent in (0, 101):
        with pytest.raises(ValueError, match="above 0, up to 100"):
            statistics.percentile(values, percent)


def test_a_summary_for_each_name():
    """Counts, failures, rate and percentiles by name, and over all."""
    requests = [request(i / 10, 0.1, f"GET /{i % 2}", "HTTP 500" if i == 3 else "") for i in range(10)]
    even, odd = statistics.by_name(requests)
    assert (even.name, even.count, even.failures) == ("GET /0", 5, 0)
    assert (odd.name, odd.count, odd.failures) == ("GET /1", 5, 1)
    everything = statistics.summarise(requests)
    assert everything.per_second == pytest.approx(10)
    assert everything.p99 == everything.maximum == 0.1
    assert statistics.errors(requests) == [("GET /1", "HTTP 500", 1)]
    assert statistics.summarise([]).p50 is None


def test_a_timeline_has_a_bucket_for_each_step():
    """Requests count where they were sent; steps without any are there, empty."""
    requests = [request(1.0, 5), request(1.4, 1, error="x"), request(3.2, 2), request(0.5, 9)]
    first, second, third, fourth, fifth = statistics.timeline(requests, int(1e9), 0.5)
    assert (first.start, first.count, first.failures, first.p50, first.p99) == (int(1e9), 2, 1, 1, 5)
    assert [b.count for b in (second, third, fourth)] == [0, 0, 0]
    assert second.p50 is None
    assert (fifth.start, fifth.count, fifth.p95) == (int(3e9), 1, 2)
    assert statistics.timeline([], 0, 1) == []
    with pytest.raises(ValueError, match="above 0"):
        statistics.timeline(requests, 0, 0)
