"""The statistics of comparisons: what they say of pairs of blocks, and what must not change what they say."""

import math
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_enterprise.errors import ConfigurationError
from pytest_enterprise.objectives import Metric, NoRegression
from pytest_enterprise.objectives.comparison import compare_blocks, judge_interval, ratio_interval
from pytest_enterprise.objectives.metrics import ALL, Block, named

MEDIAN = named("median")
OPPOSITE = {"regression": "improved", "improved": "regression"}


def pairs(effect, *, noise=0.01, drift=0.0, count=12, seed=1):
    """Blocks whose levels wander; b takes ``effect`` times as long."""
    draw = random.Random(seed)
    found = []
    for number in range(count):
        level = 0.01 * math.exp(drift * number + draw.gauss(0, 3 * noise))
        found.append((level * math.exp(draw.gauss(0, noise)), level * effect * math.exp(draw.gauss(0, noise))))
    return found


@pytest.mark.parametrize(
    ("effect", "outcome"), [(1.0, "no change"), (1.01, "no change"), (1.07, "regression"), (0.9, "improved")]
)
def test_a_change_beyond_the_margin_is_told_and_a_smaller_one_is_none(effect, outcome):
    found = compare_blocks(pairs(effect), MEDIAN)
    assert found.outcome == outcome
    assert found.interval[0] < effect < found.interval[1]
    assert found.ratio == pytest.approx(effect, rel=0.02)


def test_more_throughput_is_better():
    assert compare_blocks(pairs(0.9), named("throughput")).outcome == "regression"
    assert compare_blocks(pairs(1.1), named("throughput")).outcome == "improved"


def test_blocks_that_other_work_hit_raise_no_alarm_and_leave_the_ratio():
    hit = [(a, b * 1.6) if number in (3, 8) else (a, b) for number, (a, b) in enumerate(pairs(1.0))]
    found = compare_blocks(hit, MEDIAN)
    assert found.outcome != "regression"
    assert found.ratio == pytest.approx(1.0, abs=0.01)


def test_what_is_too_noisy_is_not_decided_and_told_how_many_blocks_would_do():
    wide = [(1.0, 1.08 * factor) for factor in (0.92, 0.95, 0.98, 1.02, 1.05, 1.08)]
    few = compare_blocks(wide * 2, MEDIAN)
    assert few.outcome == "not decided"
    assert few.needed > 12
    assert f"about {few.needed} blocks" in few.detail
    assert compare_blocks(wide * (few.needed // 6 + 2), MEDIAN).outcome == "regression"


def test_a_change_of_just_the_margin_is_told_not_to_be_decidable():
    exact = [(1.0, 1.03 * (1.05 if number % 2 else 1 / 1.05)) for number in range(12)]
    found = compare_blocks(exact, MEDIAN)
    assert (found.outcome, found.needed) == ("not decided", None)
    assert "at the margin itself" in found.detail


def test_few_pairs_decide_nothing():
    assert compare_blocks(pairs(2.0)[:5], MEDIAN).outcome == "not decided"
    missing = [(a, None) if number % 2 else (a, b) for number, (a, b) in enumerate(pairs(2.0, count=10))]
    found = compare_blocks(missing, MEDIAN)
    assert found.outcome == "not decided"
    assert "5 of 10 pairs" in found.detail


def test_the_more_is_compared_at_once_the_wider_the_intervals():
    alone = compare_blocks(pairs(1.0), MEDIAN)
    among = compare_blocks(pairs(1.0), MEDIAN, among=20)
    assert among.confidence == pytest.approx(0.9995)
    assert among.interval[0] < alone.interval[0] < alone.interval[1] < among.interval[1]


def test_the_interval_holds_the_truth_about_as_often_as_it_says():
    """Of 300 comparisons of the same, so few intervals miss 1 that 97 % at least is plausible."""
    missed = 0
    for seed in range(300):
        low, high = compare_blocks(pairs(1.0, noise=0.02, seed=seed), MEDIAN).interval
        missed += not low <= 1 <= high
    assert missed <= 15


def test_one_seed_gives_one_interval():
    ratios = [b / a for a, b in pairs(1.0)]
    assert ratio_interval(ratios, seed=5) == ratio_interval(ratios, seed=5)
    assert ratio_interval(ratios, seed=5) != ratio_interval(ratios, seed=6)


values = st.floats(min_value=1e-4, max_value=10, allow_nan=False)
blocks = st.lists(st.tuples(values, values), min_size=6, max_size=14)


@settings(max_examples=25, deadline=None)
@given(blocks, st.floats(min_value=0.01, max_value=100))
def test_scaling_both_sides_leaves_the_verdict(drawn, factor):
    one = compare_blocks(drawn, MEDIAN)
    scaled = compare_blocks([(a * factor, b * factor) for a, b in drawn], MEDIAN)
    assert scaled.ratio == pytest.approx(one.ratio)
    assert scaled.interval == pytest.approx(one.interval)


@settings(max_examples=25, deadline=None)
@given(blocks)
def test_swapping_inverts_the_verdict(drawn):
    one, other = compare_blocks(drawn, MEDIAN), compare_blocks([(b, a) for a, b in drawn], MEDIAN)
    assert other.ratio == pytest.approx(1 / one.ratio)
    assert other.interval == pytest.approx((1 / one.interval[1], 1 / one.interval[0]))
    assert other.outcome == OPPOSITE.get(one.outcome, one.outcome) or _on_the_edge(one)


def _on_the_edge(found):
    edges = (1 + found.margin, 1 / (1 + found.margin))
    return any(math.isclose(end, edge, rel_tol=1e-9) for end in found.interval for edge in edges)


@settings(max_examples=25, deadline=None)
@given(blocks)
def test_the_ratio_lies_in_its_interval(drawn):
    found = compare_blocks(drawn, MEDIAN)
    low, high = found.interval
    assert low <= high
    assert low * (1 - 1e-9) <= found.ratio <= high * (1 + 1e-9)


@pytest.mark.parametrize(
    ("interval", "better", "outcome"),
    [
        ((1.031, 1.2), "lower", "regression"),
        ((1.031, 1.2), "higher", "improved"),
        ((1.02, 1.2), "lower", "not decided"),
        ((0.98, 1.02), "lower", "no change"),
        ((0.8, 0.96), "higher", "regression"),
    ],
)
def test_the_whole_interval_decides(interval, better, outcome):
    assert judge_interval(interval, 0.03, better) == outcome


@pytest.mark.parametrize("wrong", [{"margin": -0.1}, {"margin": 30}, {"confidence": 1}, {"confidence": 0.01}])
def test_settings_that_cannot_be_meant_are_refused(wrong):
    with pytest.raises(ConfigurationError, match="out of range"):
        compare_blocks(pairs(1.0), MEDIAN, **wrong)


def test_metrics_of_a_block():
    block = Block(samples={ALL: [0.1, 0.2, 0.3, 0.4], "GET /": [0.1]}, seconds=2, failed={ALL: 1}, cpu_seconds=0.5)
    assert named("median").value(block) == 0.2
    assert named("p99").value(block) == 0.4
    assert named("mean").value(block) == pytest.approx(0.25)
    assert named("throughput").value(block) == 2.0
    assert named("cpu").value(block) == 0.125
    assert named("cpu").value(block, "GET /") is None
    assert named("p50").value(block, "GET /nowhere") is None
    assert Metric(name="least", of=min).value(block) == 0.1


@pytest.mark.parametrize("name", ["p0", "p100", "p999", "medain", ""])
def test_an_unknown_metric_is_refused_with_those_that_exist(name):
    with pytest.raises(ConfigurationError, match="median"):
        named(name)


@pytest.mark.parametrize(("effect", "outcome"), [(1.1, "broken"), (1.0, "held"), (0.9, "held")])
def test_as_an_objective(effect, outcome):
    objective = NoRegression(compared=compare_blocks(pairs(effect), MEDIAN, endpoint="GET /"))
    (verdict,) = _judged(objective)
    assert (verdict.objective, verdict.outcome, verdict.limit) == ("no-regression-median-get", outcome, 1.03)
    assert verdict.interval[0] < verdict.value < verdict.interval[1]


def test_what_is_not_decided_is_not_judged():
    (verdict,) = _judged(NoRegression(compared=compare_blocks(pairs(1.0)[:3], MEDIAN)))
    assert verdict.outcome == "not judged"


def _judged(objective):
    from pytest_enterprise.objectives import judge

    return judge([objective], [], [])
