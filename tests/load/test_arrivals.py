"""Patterns of arrivals: as many requests as asked for, at the moments that were asked for."""

import math
from itertools import islice, pairwise, takewhile
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_enterprise.errors import ConfigurationError
from pytest_enterprise.load.arrivals import KINDS, Constant, Poisson, Ramp, Spike, Step, Trace, from_document

RATES = st.floats(0.5, 500)
SECONDS = st.floats(0.5, 20)


def until(pattern, seconds, seed=1):
    return list(takewhile(lambda moment: moment < seconds, pattern.times(Random(seed))))


def test_constant_arrivals_are_evenly_spaced_from_the_start():
    assert list(islice(Constant(rate=4).times(Random(1)), 4)) == pytest.approx([0, 0.25, 0.5, 0.75])


@given(rate=RATES, seconds=SECONDS)
def test_a_constant_rate_gives_its_number(rate, seconds):
    assert len(until(Constant(rate=rate), seconds)) == pytest.approx(rate * seconds, abs=1.001)


@given(first=RATES, last=RATES, over=SECONDS)
def test_a_ramp_gives_the_area_below_it_and_then_stays(first, last, over):
    pattern = Ramp(first=first, last=last, over=over)
    assert len(until(pattern, over)) == pytest.approx((first + last) / 2 * over, abs=1.001)
    moments = list(islice(pattern.times(Random(1)), int((first + last) * over) + 5))
    assert moments == sorted(moments)
    later = until(pattern, over + 4 / last)
    assert later[-1] - later[-2] == pytest.approx(1 / last, rel=1e-6)


@given(rates=st.lists(RATES, min_size=1, max_size=4), each=SECONDS)
def test_steps_give_each_rate_and_end(rates, each):
    moments = list(Step(rates=rates, each=each).times(Random(1)))
    assert moments == sorted(moments)
    assert len(moments) == pytest.approx(sum(rates) * each, abs=len(rates) + 0.001)
    for number, rate in enumerate(rates):
        inside = [m for m in moments if number * each <= m < (number + 1) * each]
        assert len(inside) == pytest.approx(rate * each, abs=1.001)


def test_a_spike_is_where_it_should_be():
    moments = until(Spike(rate=10, peak=100, at=2, lasting=1), 5)
    counts = [sum(second <= m < second + 1 for m in moments) for second in range(5)]
    assert counts == pytest.approx([10, 10, 100, 10, 10], abs=1)


@pytest.mark.parametrize("pattern", [Poisson(rate=200), Ramp(first=100, last=300, over=10, poisson=True)])
def test_independent_arrivals_vary_as_chance_does_and_come_again_with_the_seed(pattern):
    moments = until(pattern, 10)
    assert len(moments) == pytest.approx(2000, abs=4 * math.sqrt(2000))
    assert moments == until(pattern, 10)
    assert moments != until(pattern, 10, seed=2)
    gaps = [b - a for a, b in pairwise(moments)]
    mean = sum(gaps) / len(gaps)
    spread = math.sqrt(sum((gap - mean) ** 2 for gap in gaps) / len(gaps))
    assert spread / mean == pytest.approx(1, abs=0.15)  # the exponential's; 0 for even spacing


def test_a_trace_is_replayed_from_its_first_moment_at_its_speed():
    assert list(Trace(moments=[100.0, 101.0, 104.0], speed=2).times(Random(1))) == [0, 0.5, 2]


@pytest.mark.parametrize(
    "pattern",
    [
        Constant(rate=5),
        Poisson(rate=5),
        Ramp(first=0, last=5, over=2),
        Step(rates=(1, 2), each=3),
        Spike(rate=1, peak=2, at=3, lasting=4),
        Trace(moments=(1, 2), speed=0.5),
    ],
    ids=lambda pattern: pattern.kind,
)
def test_a_pattern_is_data(pattern):
    assert from_document(pattern.document()) == pattern
    assert KINDS[pattern.kind] is type(pattern)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Constant(rate=0), r"constant: rate=0 is no rate; give requests per second above 0, up to 1,000,000"),
        (lambda: Constant(rate=1e9), "is no rate"),
        (lambda: Constant(rate=math.nan), "is no rate"),
        (lambda: Poisson(rate=-1), "poisson: rate=-1"),
        (lambda: Ramp(first=-1, last=1, over=1), "ramp: first=-1 is no rate; give requests per second from 0"),
        (lambda: Ramp(first=0, last=1, over=0), "ramp: over=0 is out of range; give seconds above 0"),
        (lambda: Step(rates=(), each=1), "step: rates is empty"),
        (lambda: Spike(rate=1, peak=True, at=1, lasting=1), "spike: peak=True"),
        (lambda: Trace(moments=()), "there is no moment in it"),
        (lambda: Trace(moments=(0, 2, 1)), "trace: entry 3 is at 1 s, before the one above it"),
        (lambda: Trace(moments=(0, 1), speed=0), "speed=0 is out of range"),
        (lambda: from_document({"kind": "constnat", "rate": 1}), "kind='constnat'. Did you mean 'constant'"),
        (lambda: from_document({"kind": "constant", "rat": 1}), "constant has no setting 'rat'"),
        (lambda: from_document({"kind": "constant"}), "constant: .*rate"),
    ],
)
def test_what_cannot_be_meant_is_refused(make, message):
    with pytest.raises(ConfigurationError, match=message):
        make()
