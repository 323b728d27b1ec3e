"""What the intervals and the minimum detectable change promise, tried on samples whose truth is known."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_enterprise.objectives import Availability, Correctness, Latency, intervals, judge

TRIALS = 500
LEAST = 0.90
"""A coverage of 95 % falls below this in 500 trials about once in a million times."""
SEEDS = st.integers(0, 2**32)


@given(SEEDS, st.sampled_from([(300, 0.5), (300, 0.9), (1000, 0.95), (3000, 0.99), (600, 0.98)]))
@settings(max_examples=8, deadline=None)
def test_the_interval_of_a_share_holds_the_true_share(seed, case):
    """Of 500 samples nearly all give an interval with the truth in it."""
    total, share = case
    found = np.random.default_rng(seed).binomial(total, share, TRIALS).tolist()
    covered = [low <= share <= high for low, high in (intervals.wilson(good, total) for good in found)]
    assert sum(covered) / TRIALS >= LEAST


@given(SEEDS, st.sampled_from([(40, 50), (300, 99), (1000, 95), (500, 99), (20, 90), (3000, 99.9)]))
@settings(max_examples=8, deadline=None)
def test_the_interval_of_a_percentile_holds_the_true_percentile(seed, case):
    """Whatever the distribution: latencies are drawn from a skewed one with a known percentile."""
    total, percent = case
    truth = -math.log(1 - percent / 100)
    samples = np.sort(np.random.default_rng(seed).exponential(1, (TRIALS, total)), axis=1)
    covered = [low <= truth <= high for low, high in (intervals.percentile_interval(s, percent) for s in samples)]
    assert sum(covered) / TRIALS >= LEAST


@given(SEEDS, st.floats(20, 2000))
@settings(max_examples=8, deadline=None)
def test_the_interval_of_a_rate_holds_the_true_rate(seed, rate):
    """Arrivals in ten seconds, drawn independently."""
    counts = np.random.default_rng(seed).poisson(rate * 10, TRIALS).tolist()
    covered = [low <= rate <= high for low, high in (intervals.rate_interval(count, 10) for count in counts)]
    assert sum(covered) / TRIALS >= LEAST


@given(SEEDS, st.integers(50, 20_000), st.sampled_from([0.0, 0.001, 0.005, 0.01, 0.1, 0.5]))
@settings(max_examples=20, deadline=None)
def test_a_change_as_large_as_the_detectable_one_is_told_four_times_in_five(seed, total, allowed):
    """Samples with just so many more bad ones are beyond chance in 80 % of cases, those at the limit in 2.5 %."""
    change = intervals.detectable(total, allowed)
    rng = np.random.default_rng(seed)

    def told(share):
        bad = rng.binomial(total, share, 2000)
        counted = {count: intervals.surely_below(total - count, total, 1 - allowed) for count in set(bad.tolist())}
        return np.mean([counted[count] for count in bad.tolist()])

    assert 0.75 < told(allowed + change) < 0.85
    assert told(allowed) < 0.045


def test_no_change_shows_in_a_sample_that_even_all_bad_ones_would_not_break():
    """Three requests, of which half may fail, tell nothing: three failures of three happen in one case of eight."""
    assert intervals.detectable(3, 0.5) is None


@pytest.mark.parametrize(("total", "share"), [(10, 0.3), (1000, 0.001), (10_000_000, 0.001), (10_000_000, 0.5)])
def test_the_binomial_tail_of_few_and_of_many(total, share):
    """Against the sum of its terms where that is short, and the normal distribution where that is close enough."""
    middle, spread = total * share, math.sqrt(total * share * (1 - share))
    for off in (-2, 0, 1, 2, 3):
        count = max(round(middle + off * spread), 0)
        if total <= 1000:
            terms = (math.comb(total, k) * share**k * (1 - share) ** (total - k) for k in range(count))
            assert intervals.tail(count, total, share) == pytest.approx(1 - sum(terms), abs=1e-9)
        else:
            normal = math.erfc((count - 0.5 - middle) / spread / math.sqrt(2)) / 2
            assert intervals.tail(count, total, share) == pytest.approx(normal, abs=1e-3)


def test_a_claim_of_99_9_per_cent_from_500_requests_is_refused(stream):
    """Not one failed, and still it is not judged: so few could not have shown it."""
    (verdict,) = judge([Availability(at_least=0.999, phase="whole")], stream(5), [])
    assert (verdict.outcome, verdict.samples, verdict.value) == ("not judged", 500, 1.0)
    assert verdict.detail.startswith(
        "500 requests cannot support a claim above 99.4 %, even if all are good; 3,000 needed to judge this limit: "
        "let the phase last about 6 times as long, or use more users; 0 of 500 requests failed"
    )
    assert verdict.detail.endswith("minimum detectable change 0.75 percentage points")


def test_the_same_claim_from_3000_requests_is_judged(stream):
    """The least number that supports it."""
    (verdict,) = judge([Availability(at_least=0.999, phase="whole")], stream(30), [])
    assert verdict.outcome == "held"


def test_a_percentile_that_so_few_cannot_tell_is_refused(stream):
    """The 99.9th of 500 requests is decided by a single one."""
    (verdict,) = judge([Latency(percentile=99.9, at_most=1, phase="whole")], stream(5), [])
    assert verdict.outcome == "not judged"
    assert "500 requests cannot support a claim beyond the 99.4th percentile; 3,000 needed" in verdict.detail


def test_the_detectable_change_of_a_percentile_is_the_way_to_the_next_that_shows(request_at):
    """Latencies of 1 to 1,000 ms: with so many more slow ones as would show, the 95th percentile is so much higher."""
    (verdict,) = judge(
        [Latency(percentile=95, at_most=1, phase="whole")], [request_at(i, i / 1000) for i in range(1, 1001)], []
    )
    assert verdict.value == 0.95
    assert verdict.detectable == pytest.approx(intervals.detectable(1000, 0.05), abs=0.002)


def test_answers_that_are_wrong(stream, request_at):
    """Refusals and silence are no answers: of 600 answers 6 were wrong, whatever else failed."""
    requests = [
        *stream(6, bad=lambda at: at < 0.06, error="wrong: no total"),
        *stream(2, bad=lambda at: True, error="HTTP 503"),
        request_at(3, error="TimeoutError"),
    ]
    (verdict,) = judge([Correctness(at_least=0.995, phase="whole")], requests, [])
    assert (verdict.objective, verdict.outcome, verdict.samples) == ("correctness-whole", "broken", 600)
    assert verdict.value == 0.99
    assert "6 of 600 answers were wrong (6 × wrong: no total)" in verdict.detail
    assert {request.error for request in verdict.worst} == {"wrong: no total"}


def test_without_an_answer_nothing_is_right_or_wrong(stream):
    """It says what came in place of answers."""
    (verdict,) = judge([Correctness(at_least=0.9, phase="whole")], stream(2, bad=lambda at: True), [])
    assert (verdict.outcome, verdict.samples) == ("not judged", 0)
    assert "none of 200 requests was answered (200 × HTTP 503)" in verdict.detail
