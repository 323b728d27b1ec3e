"""Growth: what leaks is told from what wavers."""

import math
import random

import pytest

from pytest_enterprise.errors import ConfigurationError
from pytest_enterprise.objectives import Growth, judge
from pytest_enterprise.objectives.growth import slope


def line(count, growth, *, noise=0.0, seed=1, start=100.0):
    drawn = random.Random(seed)
    return [(at, start + growth * at + drawn.gauss(0, noise)) for at in range(count)]


def one(growth):
    (verdict,) = judge([growth], [], [])
    return verdict


def test_the_slope_of_a_straight_line_is_its_own():
    """Without noise the slope and both ends of its interval are that of the line, whatever the order of samples."""
    found = slope(line(20, 3.0)[::-1])
    assert found.value == pytest.approx(3.0)
    assert found.interval == pytest.approx((3.0, 3.0))


def test_outliers_do_not_move_the_slope():
    """A quarter of the samples may be anything; a line fitted by least squares would point up steeply."""
    samples = [(at, 1e6 if at > 15 else value) for at, value in line(20, 0.0)]
    assert slope(samples).value == 0


def test_the_interval_holds_the_true_slope_in_19_of_20_cases():
    """Of 400 noisy lines, the intervals of 95 % miss the truth about 20 times."""
    missed = 0
    for seed in range(400):
        low, high = slope(line(15, 2.0, noise=5.0, seed=seed)).interval
        missed += not low <= 2.0 <= high
    assert 5 <= missed <= 40


def test_a_long_soak_is_thinned_out():
    """A day of samples takes no more than a moment, and gives the same slope."""
    assert slope(line(86_400, 0.5, noise=1.0)).value == pytest.approx(0.5, abs=0.001)


@pytest.mark.parametrize(
    ("growth", "noise", "outcome"), [(0.0, 1.0, "held"), (10.0, 1.0, "broken"), (5.0, 20.0, "not judged")]
)
def test_growth_is_judged_by_its_interval(growth, noise, outcome):
    """Within the limit is held, beyond it broken, and across it not judged."""
    verdict = one(Growth("memory", line(20, growth, noise=noise), 5.0, "B"))
    assert (verdict.objective, verdict.outcome, verdict.limit, verdict.unit) == ("memory", outcome, 5.0, "B/s")
    assert verdict.interval[0] <= verdict.value <= verdict.interval[1]
    assert verdict.samples == 20


def test_of_several_things_the_one_that_grows_fastest_is_judged():
    """One replica of three that leaks is a leak, and it is named."""
    verdict = one(Growth("memory", {"a-1": line(20, 0), "a-2": line(20, 9), "a-3": line(20, 1)}, 5.0, "B"))
    assert (verdict.outcome, verdict.value) == ("broken", pytest.approx(9))
    assert "100 B to 271 B in 19.0 s of a-2" in verdict.detail


def test_a_thing_that_cannot_be_told_hides_behind_no_other():
    """One that is surely within the limit does not decide for one that may not be."""
    samples = {"a-1": line(20, 4.9), "a-2": line(20, 0.0, noise=1e3)}
    verdict = one(Growth("memory", samples, 5.0, "B"))
    assert verdict.outcome == "not judged"
    assert "a-2" in verdict.detail


def test_what_shrinks_is_no_leak():
    """Memory that is given back is within every limit."""
    assert one(Growth("memory", line(20, -50.0, noise=1.0), 1.0, "B")).outcome == "held"


@pytest.mark.parametrize(
    "samples", [[], {}, line(7, 0.0), {"a-1": line(20, 0.0), "a-2": line(3, 0.0)}, [(1.0, 5.0)] * 9]
)
def test_too_few_samples_are_not_judged(samples):
    """Nothing, or hardly anything, sampled proves nothing; the same moment again and again is one sample."""
    verdict = one(Growth("memory", samples, 1.0, "B"))
    assert (verdict.outcome, verdict.value) == ("not judged", None)


@pytest.mark.parametrize("wrong", [{"name": ""}, {"at_most": 0}, {"at_most": math.nan}])
def test_growth_that_cannot_be_meant(wrong):
    """It has a name and a limit above nothing: no slope that was measured is exactly 0."""
    with pytest.raises(ConfigurationError):
        Growth(**{"name": "memory", "samples": [], "at_most": 1.0, **wrong})
