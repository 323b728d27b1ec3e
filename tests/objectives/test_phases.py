from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_enterprise.load.records import Request
from pytest_enterprise.objectives.phases import Observed, Window

S = 1_000_000_000


def starts(observed, phase, window, **kwargs):
    return [r.start / S for r in observed.phase(phase, window, **kwargs).requests]


def test_a_request_that_overlaps_the_fault_is_during_it(request_at, window):
    """A request felt the fault when any of its time lies in it, whenever it started or ended."""
    fault = window(10, 20)
    requests = [
        request_at(8, 1),  # over before
        request_at(9, 3),  # hangs into it
        request_at(12, 1),
        request_at(19, 5),  # hangs out of it
        request_at(5, 30),  # spans it
        request_at(20, 1),  # starts when it is over
    ]
    observed = Observed(requests, [fault])
    assert starts(observed, "before", fault) == [8]
    assert starts(observed, "during", fault) == [9, 12, 19, 5]
    assert starts(observed, "after", fault) == [20]


@given(
    st.lists(st.tuples(st.integers(0, 100), st.integers(0, 60)), min_size=1, max_size=30),
    st.integers(0, 100),
    st.integers(1, 50),
)
def test_one_fault_puts_each_request_in_exactly_one_phase(times, began, length):
    """Before, during and after share out all requests, none twice."""
    requests = [Request(start * 1000, length * 1e-6, "a", "", i) for i, (start, length) in enumerate(times)]
    fault = Window("f", "cut", "x", began * 1000, (began + length) * 1000)
    observed = Observed(requests, [fault])
    parts = [r.size for phase in ("before", "during", "after") for r in observed.phase(phase, fault).requests]
    assert sorted(parts) == list(range(len(requests)))


def test_between_two_faults_lies_the_after_of_one_and_the_before_of_the_other(stream, window):
    """After reaches to the next fault and before back to the last, and no further."""
    first, second = window(10, 20, "f1"), window(30, 40, "f2")
    observed = Observed(stream(50, 1), [second, first])
    assert starts(observed, "after", first) == starts(observed, "before", second) == list(range(20, 30))
    assert starts(observed, "before", first) == list(range(10))
    assert starts(observed, "after", second) == list(range(40, 50))


def test_faults_that_overlap_are_one_disturbance(stream, window):
    """Before and after lie outside both; during is each fault's own time."""
    long, short = window(10, 30, "f1"), window(15, 20, "f2")
    observed = Observed(stream(40, 1), [long, short])
    for fault in (long, short):
        assert starts(observed, "before", fault) == list(range(10))
        assert starts(observed, "after", fault) == list(range(30, 40))
    assert starts(observed, "during", short) == list(range(15, 20))


def test_a_fault_without_end_has_no_after(stream, window):
    """What follows the start of a fault that never ended is all during it."""
    fault = window(10, None)
    observed = Observed(stream(20, 1), [fault])
    assert starts(observed, "during", fault) == list(range(10, 20))
    assert starts(observed, "after", fault) == []


def test_phases_are_clipped_to_the_load(stream, window):
    """The time of a phase is only that in which the load ran."""
    fault = window(-5, 100)
    observed = Observed(stream(10, 1, latency=0), [fault])
    assert observed.phase("during", fault).seconds == pytest.approx(9)
    assert observed.phase("before", fault).seconds == 0
    assert observed.phase("after", fault).seconds == 0


def test_the_span_given_wins_over_the_requests(stream, window):
    """A load that made its last request long before its end lasted until its end."""
    fault = window(10, 20)
    observed = Observed(stream(10, 1), [fault], (0, 60 * S))
    assert observed.phase("after", fault).seconds == 40
    assert observed.phase("whole", None).seconds == 60


def test_the_horizon_is_the_next_fault_or_the_end(stream, window):
    """What follows a fault can be put down to it until the next begins."""
    first, second = window(10, 20, "f1"), window(30, 40, "f2")
    observed = Observed(stream(50, 1), [first, second], (0, 50 * S))
    assert observed.horizon(first) == 30 * S
    assert observed.horizon(second) == 50 * S


def test_an_endpoint_has_only_its_own_requests(request_at, window):
    """The filter goes by the recorded name."""
    fault = window(0, 10)
    observed = Observed([request_at(1, name="A"), request_at(2, name="B")], [fault])
    assert starts(observed, "during", fault, endpoint="B") == [2]


def test_no_requests_are_no_error(window):
    """With nothing recorded every phase is empty and takes no time."""
    fault = window(0, 10)
    observed = Observed([], [fault])
    for phase in ("before", "during", "after", "whole"):
        part = observed.phase(phase, fault)
        assert (list(part.requests), part.seconds) == ([], 0)
