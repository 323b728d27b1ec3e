"""A run against many earlier ones, each of which is one value: whether it is worse than they vary among themselves.

The interval is the one in which the ratio of one more run to the typical earlier one lies by chance (Student's
prediction interval on logarithms). With few runs, or runs that vary much, it is wide: the verdict says what change
could have been found at all.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import fmean, stdev

from pytest_enterprise.objectives.comparison import Compared, Found, check_settings, judge_interval
from pytest_enterprise.objectives.intervals import POWER, _incomplete_beta
from pytest_enterprise.objectives.metrics import ALL, Metric

LEAST = 6
"""Earlier runs below which nothing is judged: their own variation is hardly known."""


def compare_run(
    value: float,
    earlier: Sequence[float],
    metric: Metric,
    *,
    endpoint: str = ALL,
    margin: float = 0.1,
    confidence: float = 0.99,
    among: int = 1,
) -> Compared:
    """The verdict on ``value`` against ``earlier`` ones, all above 0; ``among`` as for :func:`compare_blocks`."""
    check_settings(margin, confidence)
    level = 1 - (1 - confidence) / among
    count = len(earlier)
    pairs = tuple((one, value) for one in earlier)

    def found(outcome: Found, ratio: float | None, detail: str, **fields: object) -> Compared:
        return Compared(
            metric=metric.name,
            unit=metric.unit,
            better=metric.better,
            endpoint=endpoint,
            ratio=ratio,
            confidence=level,
            margin=margin,
            outcome=outcome,
            blocks=pairs,
            detail=detail,
            **{"interval": None, **fields},  # type: ignore[arg-type]
        )

    if count < LEAST:
        return found("not decided", None, f"{count} earlier runs, {LEAST} needed", needed=LEAST)
    logs = [math.log(one) for one in earlier]
    typical = fmean(logs)
    ratio = math.exp(math.log(value) - typical)
    # One more run varies as each of them does, and the mean of all is not exactly known either.
    spread = stdev(logs) * math.sqrt(1 + 1 / count)
    half = student_quantile(1 - (1 - level) / 2, count - 1) * spread
    interval = (ratio * math.exp(-half), ratio * math.exp(half))
    power = math.expm1(math.log1p(margin) + half + student_quantile(POWER, count - 1) * spread)
    outcome = judge_interval(interval, margin, metric.better)
    told = f"with {count} earlier runs a change of {power:.1%} would be found 4 times in 5"
    if outcome == "not decided":
        told = f"the runs vary too much for a margin of {margin:.1%} (least that could: {math.expm1(half):.1%}); {told}"
    return found(outcome, ratio, told, interval=interval, detectable=power)


def student_quantile(probability: float, freedom: int) -> float:
    """Below which value Student's t lies with this probability (above 0.5), by bisection."""
    low, high = 0.0, 1.0
    while _below(high, freedom) < probability:
        high *= 2
    while high - low > 1e-9 * high:
        middle = (low + high) / 2
        low, high = (middle, high) if _below(middle, freedom) < probability else (low, middle)
    return high


def _below(value: float, freedom: int) -> float:
    return 1 - _incomplete_beta(freedom / (freedom + value * value), freedom / 2, 0.5) / 2
