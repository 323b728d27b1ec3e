from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_enterprise.errors import ConfigurationError
from pytest_enterprise.load.records import Request
from pytest_enterprise.objectives import BurnRate, ErrorBudget, judge

S = 1_000_000_000


def one(objective, requests, *windows, **kwargs):
    (verdict,) = judge([objective], requests, windows, **kwargs)
    return verdict


def test_an_outage_uses_up_its_length_of_the_budget(stream):
    """Ten seconds in which everything fails are 10 s of the 2,592 s that 99.9 % leave of 30 days."""
    requests = stream(100, bad=lambda at: 20 <= at < 30)
    verdict = one(ErrorBudget(target=0.999, at_most=0.01), requests, span=(0, 100 * S))
    assert verdict.value == pytest.approx(10 / 2592)
    assert (verdict.outcome, verdict.unit, verdict.objective) == ("held", "share", "error-budget-whole")
    assert "a burn rate of 100; 99.9 % leave 43.2 min of 30 days" in verdict.detail
    assert one(ErrorBudget(target=0.999, at_most=0.003), requests, span=(0, 100 * S)).outcome == "broken"


def test_the_budget_of_a_fault(stream, window):
    """In its phase alone, too: two seconds of the five that it lasted."""
    requests = stream(20, bad=lambda at: 6 <= at < 8)
    verdict = one(ErrorBudget(target=0.99, at_most=1e-5, days=7, phase="during"), requests, window(5, 10))
    assert verdict.value == pytest.approx(2 / 6048, rel=0.01)
    assert verdict.outcome == "broken"
    assert len(verdict.worst) == 3


def test_a_limit_that_no_failure_could_break_is_refused(stream):
    """A minute cannot use up a month's budget, so that it did not shows nothing."""
    verdict = one(ErrorBudget(target=0.999, at_most=0.5), stream(60, 10))
    assert verdict.outcome == "not judged"
    assert "use up 2.31 % of the budget at most, even if every request fails" in verdict.detail


def test_too_few_requests_for_a_budget(stream):
    """Twenty requests do not show that hardly any fails."""
    verdict = one(ErrorBudget(target=0.999, at_most=1e-5), stream(20, 1))
    assert verdict.outcome == "not judged"
    assert "needed to judge this limit" in verdict.detail


def reference(requests, began, rate, seconds, at):
    """The failing share of a window that ends at a time, what lies before the load counted as served at its rate."""
    inside = [r for r in requests if at - seconds * S < r.end <= at]
    earlier = max(seconds - (at - began) / S, 0) * rate
    return sum(bool(r.error) for r in inside) / (len(inside) + earlier)


@given(st.lists(st.booleans(), min_size=30, max_size=120), st.integers(2, 20), st.integers(1, 10))
def test_the_burn_rate_is_the_highest_that_both_windows_reach(bad, long, short):
    """Agrees with a look at both windows at the end of every request."""
    short = min(long, short)
    requests = [Request(i * S, 0.5, "a", "E" if b else "", 0) for i, b in enumerate(bad)]
    span = (0, len(bad) * S)
    verdict = one(BurnRate(target=0.9, at_most=0.5, long=long, short=short), requests, span=span)
    rates = [
        min(reference(requests, 0, 1.0, seconds, r.end) for seconds in (long, short)) / 0.1 for r in requests if r.error
    ]
    assert verdict.value == pytest.approx(max(rates, default=0.0))


def test_a_short_outage_pages_nobody(stream):
    """Failures that are over at once fill the short window and not the long one."""
    requests = stream(200, bad=lambda at: 100 <= at < 102)
    quick = BurnRate(target=0.99, at_most=10, long=60, short=5, name="quick")
    verdict = one(quick, requests, span=(0, 200 * S))
    assert verdict.outcome == "held"
    assert verdict.value == pytest.approx(2 / 60 / 0.01, rel=0.02)
    assert one(BurnRate(target=0.99, at_most=3, long=60, short=5), requests, span=(0, 200 * S)).outcome == "broken"


def test_the_rules_of_the_workbook():
    """Two that page and one that opens a ticket, under names of their own."""
    rules = BurnRate.workbook(0.999, endpoint="GET /")
    assert [(rule.at_most, rule.long, rule.short) for rule in rules] == [
        (14.4, 3600, 300),
        (6.0, 21600, 1800),
        (1.0, 259200, 21600),
    ]
    assert [rule.name for rule in rules] == ["burn-rate-3600s-get", "burn-rate-21600s-get", "burn-rate-259200s-get"]


def test_a_load_that_could_not_burn_so_fast_is_not_judged(stream):
    """Five seconds of an hour cannot page anybody."""
    verdict = one(BurnRate(target=0.99), stream(5))
    assert verdict.outcome == "not judged"
    assert "5.0 s burn at 0.1389 × at most over 3600 s" in verdict.detail


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: ErrorBudget(target=1, at_most=0.1), "leaves no budget"),
        (lambda: ErrorBudget(target=99.9, at_most=0.1), "target=99.9"),
        (lambda: ErrorBudget(target=0.9, at_most=2), "at_most=2"),
        (lambda: BurnRate(target=0.9, at_most=11), "at_most=11"),
        (lambda: BurnRate(target=0.9, at_most=2, long=5, short=6), "short=6"),
    ],
)
def test_settings_that_cannot_be_meant(make, message):
    """A budget is what lies between the target and all; the short window is no longer than the long one."""
    with pytest.raises(ConfigurationError, match=message):
        make()
