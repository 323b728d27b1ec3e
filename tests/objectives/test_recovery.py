from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_enterprise.errors import ConfigurationError
from pytest_enterprise.load.columns import Columns
from pytest_enterprise.load.records import Request
from pytest_enterprise.objectives import Recovery, Window, judge
from pytest_enterprise.objectives.moments import Found, Moments, find, moments

S = 1_000_000_000


def one(objective, requests, *windows, **kwargs):
    (verdict,) = judge([objective], requests, windows, **kwargs)
    return verdict


def test_the_time_to_the_first_request_that_is_served_again(stream, window):
    """Known stream: everything fails from 5 s to 6.5 s; the request of 6.5 s is answered 10 ms later."""
    requests = stream(20, bad=lambda at: 5 <= at < 6.5)
    verdict = one(Recovery(within=3.0), requests, window(5, 8))
    assert verdict.value == pytest.approx(1.51)
    assert verdict.interval == pytest.approx((1.49, 1.51))
    assert (verdict.outcome, verdict.phase, verdict.unit, verdict.comparison) == ("held", "after", "s", "<=")
    assert "served again 1.510 s after the fault's start, not yet at 1.490 s" in verdict.detail


def test_too_late_is_broken_with_the_last_that_were_not_served(stream, window):
    """The same outage against a limit of one second."""
    requests = stream(20, bad=lambda at: 5 <= at < 6.5)
    verdict = one(Recovery(within=1.0), requests, window(5, 8))
    assert (verdict.outcome, verdict.value) == ("broken", pytest.approx(1.51))
    assert [round(r.start / S, 2) for r in verdict.worst] == [6.49, 6.48, 6.47]


def test_from_the_end_of_the_fault(stream, window):
    """since="end" counts from there, and what failed in the fault does not matter."""
    requests = stream(20, bad=lambda at: 5 <= at < 8.2)
    verdict = one(Recovery(within=1.0, since="end"), requests, window(5, 8))
    assert (verdict.outcome, verdict.value) == ("held", pytest.approx(0.21))


@given(st.integers(0, 400), st.integers(50, 500), st.integers(0, 1_000_000))
@settings(max_examples=60)
def test_an_outage_is_measured_within_one_request(outage, rate, phase):
    """Whatever its length and the rate, the answer lies at most one interval and one latency past the truth."""
    recovered = 2 + outage / 100
    period = 1 / rate
    requests = []
    for i in range(round((recovered + 8) * rate)):
        at = (i + phase / 1_000_000) * period
        bad = 2 <= at < recovered
        requests.append(Request(round(at * S), 0.001, "a", "E" if bad else "", 0))
    verdict = one(Recovery(within=60), requests, Window("f", "cut", "x", 2 * S, 9 * S))
    assert verdict.outcome == "held"
    assert outage / 100 - 1e-6 <= verdict.value <= outage / 100 + period + 0.001 + 1e-6
    assert verdict.interval[0] <= verdict.value


def test_a_system_that_falls_over_again_has_not_recovered(stream, window):
    """Service that comes back for two seconds and fails again counts from when it stays."""
    requests = stream(20, bad=lambda at: 5 <= at < 6 or 8 <= at < 9)
    verdict = one(Recovery(within=5.0), requests, window(5, 7))
    assert verdict.value == pytest.approx(4.01)


def test_what_the_next_fault_breaks_is_its_own(stream, window):
    """Recovery from a fault is judged up to the start of the next."""
    requests = stream(30, bad=lambda at: 5 <= at < 6 or 15 <= at < 18)
    first, second = window(5, 7, "f1"), window(15, 17, "f2")
    verdicts = judge([Recovery(within=2.0)], requests, [first, second])
    assert [(v.fault, v.outcome, v.value) for v in verdicts] == [
        ("f1", "held", pytest.approx(1.01)),
        ("f2", "broken", pytest.approx(3.01)),
    ]


def test_requests_that_the_next_fault_hits_do_not_count(request_at, stream, window):
    """What was under way when the next fault began fails by that one."""
    caught = [request_at(14.99, 0.5, "E") for _ in range(50)]
    verdict = one(Recovery(within=1.0), stream(30) + caught, window(5, 7), around=[window(15, 17, "f2")])
    assert verdict.outcome == "held"


def test_failures_that_the_objective_allows_do_not_delay_it(stream, window):
    """One failure in two hundred, all the time, is within 99 %."""
    requests = stream(20, 200, bad=lambda at: 5 <= at < 6 or round(at * 200) % 200 == 77)
    verdict = one(Recovery(within=3.0), requests, window(5, 8))
    assert verdict.value == pytest.approx(1.01)


def test_at_a_low_rate_one_failure_is_still_one_in_a_hundred(stream, window):
    """At 20 requests per second a share of 99 % is told from a hundred requests, not from the twenty of a second."""
    requests = stream(40, 20, bad=lambda at: 5 <= at < 6 or at == 20)
    verdict = one(Recovery(within=3.0), requests, window(5, 8))
    assert verdict.value == pytest.approx(1.01)


def test_slow_answers_are_no_recovery_where_a_latency_is_asked(request_at, stream, window):
    """With latency=0.2, requests that take 0.5 s are not served."""
    slow = [request_at(5 + i / 100, 0.5) for i in range(100)]
    requests = [r for r in stream(20) if not 5 <= r.start / S < 6] + slow
    assert one(Recovery(within=3.0, latency=0.2), requests, window(5, 8)).value == pytest.approx(1.01)
    assert one(Recovery(within=3.0), requests, window(5, 8)).value == pytest.approx(0.5)


def test_a_stall_without_a_failure_is_not_served(request_at, window):
    """Ten users who all wait for two seconds and then succeed were served again after two seconds, not after none."""
    before = [request_at(i / 100 + u / 1e4, 0.009) for i in range(300) for u in range(10)]
    stalled = [request_at(3 + u / 1e4, 2) for u in range(10)]
    after = [request_at(5.002 + i / 100 + u / 1e4, 0.009) for i in range(300) for u in range(10)]
    fault = window(2.9995, 4)
    verdict = one(Recovery(within=1.0), before + stalled + after, fault)
    assert verdict.outcome == "broken"
    assert verdict.value == pytest.approx(2, abs=0.01)


def test_silence_that_comes_later_in_the_fault_is_not_service(request_at, window):
    """Answers in the first moments of a fault do not make up for two silent seconds after them."""
    times = [i / 100 for i in range(350)] + [5.5 + i / 100 for i in range(500)]
    verdict = one(Recovery(within=1.0), [request_at(at) for at in times], window(3, 6))
    assert verdict.value == pytest.approx(2.51)


def test_a_hung_request_counts_when_it_was_made(request_at, stream, window):
    """One that started in the outage and failed long after it does not delay the recovery of the others."""
    requests = [*stream(20, bad=lambda at: 5 <= at < 6), *(request_at(5.5, 10, "TimeoutError") for _ in range(5))]
    assert one(Recovery(within=2.0), requests, window(5, 8)).value == pytest.approx(1.01)


def test_never_served_again_is_broken_without_a_value(stream, window):
    """No figure is made up for what was not seen, least of all 0."""
    verdict = one(Recovery(within=3.0), stream(20, bad=lambda at: at >= 5), window(5, 8))
    assert (verdict.outcome, verdict.value) == ("broken", None)
    assert "not served again in the 15" in verdict.detail
    assert len(verdict.worst) == 3


def test_all_users_hanging_to_the_end_is_broken(request_at, stream, window):
    """Ten requests that never ended are no lack of data: before, there were hundreds."""
    hung = [request_at(5.001, 15, "unfinished") for _ in range(10)]
    verdict = one(Recovery(within=3.0), stream(5) + hung, window(5, 8), span=(0, 20 * S))
    assert (verdict.outcome, verdict.value) == ("broken", None)


def test_a_load_that_ends_too_early_is_not_judged(stream, window):
    """Half a second after the outage nobody can tell whether it is over."""
    verdict = one(Recovery(within=3.0), stream(6.5, bad=lambda at: 5 <= at < 6), window(5, 6))
    assert (verdict.outcome, verdict.value) == ("not judged", None)
    assert "let the load run on" in verdict.detail


def test_too_few_requests_after_recovery_are_not_judged(stream, window):
    """150 requests served after the outage do not show 99 %."""
    verdict = one(Recovery(within=3.0), stream(7.5, bad=lambda at: 5 <= at < 6), window(5, 6))
    assert verdict.outcome == "not judged"
    assert verdict.value == pytest.approx(1.01)
    assert "300 needed" in verdict.detail


def test_a_thin_load_cannot_tell_silence(stream, window):
    """With one request in two seconds, a second without one says nothing."""
    verdict = one(Recovery(within=3.0), stream(2000, 0.5), window(500, 600))
    assert verdict.outcome == "not judged"
    assert "more users" in verdict.detail
    assert one(Recovery(within=30.0, sustained=10), stream(2000, 0.5), window(500, 600)).outcome == "held"


def test_no_data_after_the_fault(stream, window):
    """A fault at the end of the load is not judged."""
    verdict = one(Recovery(within=3.0, since="end"), stream(10), window(5, 30))
    assert (verdict.outcome, verdict.value) == ("not judged", None)


def test_no_requests_at_all(window):
    """Nothing recorded is not judged."""
    assert one(Recovery(within=3.0), [], window(5, 8)).outcome == "not judged"


def test_a_fault_that_never_ended(stream, window):
    """There is no recovery from its end; from its start there may be."""
    requests = stream(20, bad=lambda at: 5 <= at < 6)
    verdict = one(Recovery(within=3.0, since="end"), requests, window(5, None))
    assert verdict.outcome == "not judged"
    assert "never ended" in verdict.detail
    assert one(Recovery(within=3.0), requests, window(5, None)).value == pytest.approx(1.01)


def test_a_fault_that_nobody_felt(stream, window):
    """Recovered is then with the first answer, and it is said that nothing had failed."""
    verdict = one(Recovery(within=3.0), stream(20), window(5, 8))
    assert verdict.value == pytest.approx(0.01)
    assert "no request failed or was late" in verdict.detail


def test_without_a_fault(stream):
    """There is nothing to recover from."""
    assert one(Recovery(within=3.0), stream(20)).outcome == "not judged"


class Moment(NamedTuple):
    at: int
    good: bool


def columns(found):
    at = np.array([moment.at for moment in found], np.int64)
    return Moments(at, np.array([moment.good for moment in found], bool), Columns.of([]))


def test_what_fails_at_the_very_end_is_part_of_the_last_full_stretch():
    """A burst of failures too close to the end to have a stretch of its own is not lost."""
    found = [Moment(at, True) for at in (*range(0, 18, 2), 21)]
    assert find(columns(found), 30, 0.5, 10).recovered == 0
    assert find(columns([*found, *(Moment(28, False) for _ in range(20))]), 30, 0.5, 10).recovered is None


def test_a_fault_at_the_very_start_of_the_load(stream, window):
    """Where there is nothing before the fault, the whole load tells whether it is dense enough."""
    requests = [r._replace(start=r.start + S // 2) for r in stream(10, bad=lambda at: at < 1)]
    assert one(Recovery(within=3.0), requests, window(0.4, 2), span=(0, 11 * S)).value == pytest.approx(1.11)
    assert one(Recovery(within=3.0), requests, window(-1, 2), span=(0, 11 * S)).value == pytest.approx(2.51)


def reference(found, until, share, sustained, stretch):
    """The definition, word for word, without any thought of speed."""

    def full(i):
        return found[i].at + sustained <= until and len(found) - i >= stretch

    def holds(i):
        following = found[i + 1].at if i + 1 < len(found) else until
        if following - found[i].at > sustained:
            return False
        if not full(i):
            return True
        members = [m for m in found[i:] if m.at < found[i].at + sustained]
        # Requests of the same moment as the first lie before and after it in the order; those before are not its own.
        members = max(members, found[i : i + stretch], key=len)
        if i + 1 >= len(found) or not full(i + 1):
            members = found[i:]
        return sum(m.good for m in members) >= share * len(members)

    for i in range(len(found)):
        if found[i].good and full(i) and all(holds(j) for j in range(i, len(found))):
            return i
    return None


@given(
    st.lists(st.tuples(st.integers(0, 60), st.sampled_from([True, True, True, True, False])), max_size=40),
    st.integers(60, 80),
    st.sampled_from([(0.5, 2), (0.75, 4), (0.8, 5), (0.9, 10)]),
    st.integers(1, 30),
)
@settings(max_examples=500)
def test_agrees_with_the_definition(times, until, share_and_stretch, sustained):
    """The quick search finds the very moment that the slow definition finds."""
    share, stretch = share_and_stretch
    found = sorted((Moment(at, good) for at, good in times), key=lambda m: (m.at, m.good))
    quick = find(columns(found), until, share, sustained)
    assert isinstance(quick, Found)
    assert quick.recovered == reference(found, until, share, sustained, stretch)


@given(
    st.lists(
        st.tuples(st.integers(0, 100), st.integers(0, 30), st.booleans()).map(
            lambda t: Request(t[0] * 1000, t[1] * 1e-6, "a", "" if t[2] else "E", 0)
        ),
        max_size=30,
    ),
    st.integers(0, 100),
    st.one_of(st.none(), st.just(15e-6)),
)
def test_moments_lie_between_the_fault_and_the_end(requests, since, latency):
    """Every moment lies in the time asked about, in order, good ones at the end of their request and started in it."""
    found = moments(Columns.of(requests), since * 1000, 90_000, latency)
    assert found.at.tolist() == sorted(found.at.tolist())
    for at, good, request in zip(found.at.tolist(), found.good.tolist(), found.requests, strict=True):
        assert since * 1000 <= at <= 90_000
        if good:
            assert (at, request.error) == (request.end, "")
            assert request.start >= since * 1000
            assert latency is None or request.latency <= latency
        else:
            assert at == max(request.start, since * 1000)


@pytest.mark.parametrize(
    "wrong",
    [{"within": 0}, {"within": -1}, {"availability": 0}, {"availability": 2}, {"sustained": 0}, {"latency": -1},
     {"since": "start"}],
)  # fmt: skip
def test_settings_that_cannot_be_meant(wrong):
    """Times are positive, a share lies above 0 and up to 1, since is begin or end."""
    with pytest.raises(ConfigurationError, match=next(iter(wrong))):
        Recovery(**{"within": 1.0, **wrong})


def test_name():
    """Sabotage refers to it by this name."""
    assert Recovery(within=1).name == "recovery"
