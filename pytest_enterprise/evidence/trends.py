"""Measurements that drift towards their threshold: seen before they fail, with how sure that is.

The slope is Theil and Sen's, the median of the slopes between all pairs: a few bad nights do not move it. Its interval
follows from Kendall's statistic (Sen 1968) and supposes nothing of how values are distributed.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import datetime
from statistics import median
from typing import Any, NamedTuple

from pytest_enterprise.evidence.history import Recorded, series

LEAST = 10
"""Values that a trend needs."""
MOST = 90
"""Values that it looks back at: pairs grow with the square."""
HORIZON = 30.0
"""Days ahead that matter."""
_Z = 2.576
"""Of the normal distribution, for intervals of 99 %: a period has hundreds of measurements."""
_DAY = 86400.0


class Trend(NamedTuple):
    """A measurement that holds and is on its way to its threshold."""

    scenario: str
    measurement: str
    unit: str
    limit: float
    last: float
    per_day: float
    interval: tuple[float, float]
    """Of ``per_day``, 99 %."""
    days: float
    """Until the trend meets the threshold; 0 where it has."""
    days_interval: tuple[float, float]
    """The same for lines at the ends of ``interval``."""
    values: int


def slope(times: Sequence[float], values: Sequence[float], z: float = _Z) -> tuple[float, float, float]:
    """The slope and the ends of its interval, which are infinite where there are too few pairs to tell."""
    slopes = sorted(
        (values[j] - values[i]) / (times[j] - times[i])
        for j in range(len(times))
        for i in range(j)
        if times[j] != times[i]
    )
    if not slopes:
        return 0.0, -math.inf, math.inf
    count, pairs = len(times), len(slopes)
    spread = z * math.sqrt(count * (count - 1) * (2 * count + 5) / 18)
    low, high = math.floor((pairs - spread) / 2), math.ceil((pairs + spread) / 2)
    return (
        median(slopes),
        slopes[low] if low >= 0 else -math.inf,
        slopes[high] if high < pairs else math.inf,
    )


def trends(history: Sequence[Recorded], horizon: float = HORIZON) -> list[Trend]:
    """The measurements that will meet their threshold within ``horizon`` days if they go on so; soonest first."""
    found = []
    for (scenario, name), told in series(history).items():
        limit, way = told[-1][1].get("limit"), str(told[-1][1].get("comparison"))[:1]
        points = [(at, float(one["value"])) for at, one in told if _finite(one.get("value"))][-MOST:]
        if len(points) >= LEAST and _finite(limit) and way in "<>" and told[-1][1].get("outcome") == "held":
            trend = _trend(points, float(limit or 0), 1.0 if way == "<" else -1.0)
            if trend and trend.days <= horizon:
                unit = str(told[-1][1].get("unit") or "")
                found.append(trend._replace(scenario=scenario, measurement=name, unit=unit))
    return sorted(found, key=lambda trend: (trend.days, trend.scenario, trend.measurement))


def _trend(points: Sequence[tuple[datetime, float]], limit: float, sign: float) -> Trend | None:
    """The trend, where it leads to the limit beyond doubt; ``sign`` is 1 where less is better."""
    last = points[-1][0]
    times = [(at - last).total_seconds() / _DAY for at, _ in points]
    values = [value for _, value in points]
    per_day, low, high = slope(times, values)
    if (low if sign > 0 else -high) <= 0:
        return None

    def left(by: float) -> float:
        """Days until a line of this slope through the middle of the values meets the limit."""
        level = median(value - by * at for at, value in zip(times, values, strict=True))
        return max(0.0, sign * (limit - level)) / abs(by) if math.isfinite(by) else 0.0

    slow, fast = (low, high) if sign > 0 else (high, low)
    between = (left(fast), left(slow))
    return Trend("", "", "", limit, values[-1], per_day, (low, high), left(per_day), between, len(points))


def _finite(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
