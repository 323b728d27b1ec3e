from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_enterprise.objectives import intervals


@pytest.mark.parametrize(
    ("share", "count"), [(0.995, 600), (0.99, 300), (0.999, 3000), (0.5, 6), (0.9, 30), (1.0, 300), (0.9999, 30000)]
)
def test_three_requests_for_each_that_may_be_bad(share, count):
    """The rule of three, without a request more for what floating point leaves over."""
    assert intervals.needed(share) == count


def test_wilson_against_known_values():
    """The interval agrees with published figures: 8 of 10 and 0 of 10."""
    assert intervals.wilson(8, 10) == pytest.approx((0.4902, 0.9433), abs=1e-4)
    assert intervals.wilson(0, 10) == pytest.approx((0.0, 0.2775), abs=1e-4)
    assert intervals.wilson(0, 0) == (0.0, 1.0)


@given(st.integers(1, 5000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_wilson_holds_the_share(pair):
    """The observed share always lies in its interval."""
    good, total = pair
    low, high = intervals.wilson(good, total)
    assert 0 <= low <= good / total <= high <= 1


@given(st.integers(1, 60).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))), st.floats(0.5, 0.99))
def test_surely_below_is_the_binomial_tail(pair, share):
    """It says yes just when so many bad ones or more have a probability below 2.5 %."""
    good, total = pair
    bad = total - good
    tail = sum(math.comb(total, k) * (1 - share) ** k * share ** (total - k) for k in range(bad, total + 1))
    if abs(tail - 0.025) > 1e-9:
        assert intervals.surely_below(good, total, share) == (tail < 0.025)


def test_one_failure_breaks_a_limit_of_all():
    """Where every request must be good, a single bad one is enough."""
    assert intervals.surely_below(9, 10, 1.0)
    assert not intervals.surely_below(10, 10, 1.0)


@given(st.lists(st.floats(0, 100), min_size=1, max_size=200), st.floats(0.1, 100))
def test_a_percentile_is_the_smallest_value_that_so_many_do_not_exceed(values, percent):
    """Nearest rank: enough values are at most it, and not enough are below it."""
    ordered = sorted(values)
    found = intervals.percentile(ordered, percent)
    wanted = len(ordered) * percent / 100 - 1e-6
    assert sum(v <= found for v in ordered) >= wanted
    assert sum(v < found for v in ordered) < wanted + 1e-5
    low, high = intervals.percentile_interval(ordered, percent)
    assert low <= found <= high


def test_percentiles_of_a_hundred():
    """The 99th of 1 to 100 is 99, the 100th is 100."""
    ordered = list(range(1, 101))
    assert [intervals.percentile(ordered, p) for p in (1, 50, 99, 99.5, 100)] == [1, 50, 99, 100, 100]


def test_too_few_values_do_not_bound_a_percentile():
    """The 99th percentile of ten values may be anything above."""
    assert intervals.percentile_interval(list(range(10)), 99)[1] == math.inf


def test_rates():
    """A hundred in ten seconds are 10 plus or minus 2 per second; none in ten may still be 0.3."""
    assert intervals.rate_interval(100, 10) == pytest.approx((8.04, 11.96), abs=0.01)
    assert intervals.rate_interval(0, 10) == (0.0, 0.3)
