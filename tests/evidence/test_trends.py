"""A drift towards a threshold is flagged before it fails, and noise is not."""

import random
from datetime import timedelta

import pytest
from evidence_runs import START, measurement, scenario
from hypothesis import given
from hypothesis import strategies as st

from pytest_enterprise.evidence.history import Recorded
from pytest_enterprise.evidence.trends import slope, trends


def history(values, limit=100.0, comparison="<="):
    return [
        Recorded(
            f"run-{day}",
            START + timedelta(days=day),
            None,
            {},
            (scenario(measurements=[measurement("p95", value, limit, comparison, "ms")]),),
        )
        for day, value in enumerate(values)
    ]


def test_the_slope_of_a_line_is_exact_and_outliers_do_not_move_it():
    times = [float(n) for n in range(30)]
    values = [2 * at + 5 for at in times]
    assert slope(times, values)[0] == pytest.approx(2)
    for n in (3, 11, 20):
        values[n] = 1e6
    assert slope(times, values)[0] == pytest.approx(2, abs=0.2)


def test_the_interval_ends_at_the_ranks_that_kendalls_variance_gives():
    times = [0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0]
    values = [0.0, 1.2, 1.9, 3.3, 3.8, 5.4, 5.9]
    found = slope(times, values, z=1.96)
    slopes = sorted((values[j] - values[i]) / (times[j] - times[i]) for j in range(7) for i in range(j))
    # C = 1.96 * sqrt(7 * 6 * 19 / 18) = 13.05: the pairs (21 - 13.05) / 2 = 3.97 from either end, rounded outwards.
    assert found == (slopes[10], slopes[3], slopes[18])


def test_the_interval_covers_the_true_slope_as_often_as_it_says():
    source = random.Random(7)
    times = [float(n) for n in range(40)]
    covered = 0
    for _ in range(300):
        low, high = slope(times, [0.5 * at + source.gauss(0, 5) for at in times])[1:]
        covered += low <= 0.5 <= high
    assert covered >= 290


def test_a_drift_is_flagged_while_it_still_holds():
    source = random.Random(3)
    (found,) = trends(history([60 + 0.8 * day + source.gauss(0, 2) for day in range(40)]))
    assert found.measurement == "p95 during"
    assert found.interval[0] <= 0.8 <= found.interval[1]
    assert found.days_interval[0] <= (100 - (60 + 0.8 * 39)) / 0.8 <= found.days_interval[1]


def test_a_drift_downwards_to_a_lower_limit_is_flagged():
    (found,) = trends(history([1.0 - 0.0002 * day for day in range(40)], 0.99, ">="))
    assert found.days == pytest.approx(11, abs=0.1)


@pytest.mark.parametrize(
    "values",
    [
        [50.0] * 40,
        [60 - 0.8 * day for day in range(40)],  # away from it
        [60 + 0.1 * day for day in range(40)],  # a year away
        [60 + 4 * day for day in range(9)],  # too few
        [70 + 2 * day for day in range(40)],  # it fails already
    ],
)
def test_what_is_no_drift_to_the_threshold_soon_is_not_flagged(values):
    assert trends(history(values)) == []


def test_noise_alone_is_hardly_ever_flagged():
    source = random.Random(11)
    flagged = sum(bool(trends(history([90 + source.gauss(0, 3) for _ in range(30)]))) for _ in range(200))
    assert flagged <= 4


@given(st.lists(st.floats(-1e6, 1e6), min_size=2, max_size=20))
def test_the_interval_holds_the_slope(values):
    middle, low, high = slope([float(n) for n in range(len(values))], values)
    assert low <= middle <= high
