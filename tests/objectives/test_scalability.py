"""The Universal Scalability Law from steps, and the limit by search."""

import math
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_enterprise.errors import ConfigurationError
from pytest_enterprise.objectives.scalability import Law, Step, fit, search

LOADS = (1, 2, 4, 8, 16, 32, 64)


def steps(law, noise=0.0, seed=1):
    draw = random.Random(seed)
    return [Step(load, law.throughput(load) * (1 + draw.gauss(0, noise))) for load in LOADS]


@settings(max_examples=15, deadline=None)
@given(st.floats(1, 1e4), st.floats(0, 0.3), st.floats(1e-5, 0.01))
def test_exact_steps_give_their_law_back(rate, contention, coherency):
    found = fit(steps(Law(rate, contention, coherency))).law
    assert found == pytest.approx((rate, contention, coherency), rel=1e-3, abs=1e-6)


def test_intervals_hold_the_law_nearly_always():
    """Of 20 series of noisy steps, so few miss the law that 95 % intervals are plausible."""
    law = Law(100, 0.05, 0.001)
    held = [0, 0, 0, 0]
    for seed in range(20):
        found = fit(steps(law, noise=0.02, seed=seed))
        truth = ((found.rate, 100), (found.contention, 0.05), (found.coherency, 0.001), (found.peak, law.peak))
        for number, ((low, high), value) in enumerate(truth):
            held[number] += low <= value <= high
        assert 0 < found.error < 0.06
    assert min(held) >= 17


def test_linear_growth_has_no_knee_and_no_peak():
    found = fit(steps(Law(50, 0, 0)))
    assert found.law.throughput(1000) == pytest.approx(50_000, rel=1e-3)
    assert (Law(50, 0, 0).knee, Law(50, 0, 0).peak) == (None, None)


@pytest.mark.parametrize("law", [Law(10, 0.1, 0.001), Law(10, 0.02, 0.0001), Law(10, 0, 0.002), Law(10, 0.1, 0)])
def test_knee_and_peak_are_where_they_are_said_to_be(law):
    power = lambda load: law.throughput(load) ** 2 / load  # noqa: E731
    assert power(law.knee) >= max(power(law.knee * 0.97), power(law.knee * 1.03))
    if law.peak:
        assert law.throughput(law.peak) >= max(law.throughput(law.peak * 0.97), law.throughput(law.peak * 1.03))
        assert law.knee < law.peak


@pytest.mark.parametrize("wrong", [[Step(1, 1)] * 5, [Step(n, 0) for n in LOADS], [Step(n / 2, 1) for n in LOADS]])
def test_steps_that_no_law_fits_are_refused(wrong):
    with pytest.raises(ConfigurationError):
        fit(wrong)


@settings(max_examples=50, deadline=None)
@given(st.floats(10, 990), st.floats(0.01, 0.2))
def test_the_limit_is_found_to_what_was_asked(limit, within):
    found = search(lambda load: load <= limit, 10, 1000, within=within)
    assert found.holds <= limit < found.breaks
    assert found.breaks <= found.holds * (1 + within) * (1 + 1e-9)
    assert found.trials[-1] == (found.holds, True)
    assert len(found.trials) <= 2 + math.ceil(math.log2(100)) + math.ceil(math.log2(math.log(2) / math.log1p(within)))
    assert max(load for load, _ in found.trials) <= 2 * limit, "nothing far beyond the limit"


def test_limits_outside_of_the_search_are_told():
    assert search(lambda load: load < 5, 10, 100).holds is None
    beyond = search(lambda load: load < 500, 10, 100)
    assert (beyond.holds, beyond.breaks) == (100, None)


def test_what_does_not_hold_again_is_no_limit():
    tried = []

    def holds(load):
        tried.append(load)
        return load <= 50 if tried.count(load) == 1 else load <= 30

    found = search(holds, 10, 100)
    assert found.holds <= 30
    assert found.breaks <= 50


@pytest.mark.parametrize(("low", "high", "within"), [(0, 1, 0.05), (5, 5, 0.05), (1, math.inf, 0.05), (1, 2, 0)])
def test_a_search_that_cannot_be_meant_is_refused(low, high, within):
    with pytest.raises(ConfigurationError):
        search(lambda _: True, low, high, within=within)
