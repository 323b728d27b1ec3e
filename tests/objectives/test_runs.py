"""One run against many earlier ones: each is one value, and few of them show little."""

import math
import random

import pytest

from pytest_enterprise.objectives.metrics import named
from pytest_enterprise.objectives.runs import compare_run, student_quantile

MEDIAN = named("median")


def runs(count, noise=0.01, seed=1):
    draw = random.Random(seed)
    return [0.02 * math.exp(draw.gauss(0, noise)) for _ in range(count)]


@pytest.mark.parametrize(
    ("probability", "freedom", "value"),
    [(0.975, 10, 2.2281), (0.995, 11, 3.1058), (0.8, 5, 0.9195), (0.9995, 9, 4.7809)],
)
def test_quantiles_of_student_are_those_of_the_tables(probability, freedom, value):
    assert student_quantile(probability, freedom) == pytest.approx(value, abs=2e-4)


@pytest.mark.parametrize(
    ("effect", "outcome"), [(1.0, "no change"), (1.05, "no change"), (1.25, "regression"), (0.75, "improved")]
)
def test_a_run_is_judged_by_how_the_earlier_ones_vary(effect, outcome):
    found = compare_run(0.02 * effect, runs(20), MEDIAN)
    assert found.outcome == outcome
    assert found.interval[0] < found.ratio < found.interval[1]
    assert "with 20 earlier runs a change of" in found.detail


def test_few_runs_judge_nothing():
    found = compare_run(0.2, runs(5), MEDIAN)
    assert (found.outcome, found.ratio) == ("not decided", None)
    assert "5 earlier runs, 6 needed" in found.detail


def test_runs_that_vary_much_cannot_tell_a_small_change_and_say_which_they_could():
    found = compare_run(0.02, runs(10, noise=0.1), MEDIAN)
    assert found.outcome == "not decided"
    assert found.detectable > 0.3
    assert "vary too much" in found.detail
    assert compare_run(0.02 * 3, runs(10, noise=0.1), MEDIAN).outcome == "regression"


def test_a_change_of_the_stated_size_is_found_about_as_often_as_stated():
    """The power that is told holds: of 300 such runs about 80 % are found, and hardly any that did not change."""
    caught = alarms = 0
    for seed in range(300):
        *earlier, now = runs(13, noise=0.02, seed=seed)
        power = math.log1p(0.1) + (student_quantile(0.995, 11) + student_quantile(0.8, 11)) * 0.02 * math.sqrt(13 / 12)
        caught += compare_run(now * math.exp(power), earlier, MEDIAN).outcome == "regression"
        alarms += compare_run(now, earlier, MEDIAN).outcome == "regression"
    assert 200 < caught < 280
    assert alarms == 0


def test_more_runs_tell_smaller_changes():
    found = [compare_run(0.02, runs(count, noise=0.03), MEDIAN).detectable for count in (6, 12, 40)]
    assert found == sorted(found, reverse=True)
