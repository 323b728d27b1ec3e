"""How sure a figure from so many requests is: intervals for proportions, percentiles and rates, and how many it takes.

All intervals are at 95 % confidence and treat requests as independent, which under faults they are not quite: read them
as the least uncertainty that there is.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

Z = 1.959964
"""Of the normal distribution, for 95 %."""
PER_ALLOWED = 3
"""Requests for each ``1 / (1 - share)``: the rule of three. With fewer, not even a run in which no request was bad
would show at 95 % confidence that at most the allowed share is."""


def needed(share: float) -> int:
    """How many requests it takes to judge that ``share`` of them (0.995: an availability, a percentile) are good.

    A share of 1 can never be shown of requests to come; it is judged of those that were made, when they would do for
    99 %.
    """
    allowed = 1 - (share if share < 1 else 0.99)
    # Rounded first: 1 / (1 - 0.995) is 200.00000000000017 in floating point.
    return PER_ALLOWED * math.ceil(round(1 / allowed, 6))


def wilson(good: int, total: int) -> tuple[float, float]:
    """Wilson's interval for a proportion; (0, 1) when there is nothing to go by."""
    if total == 0:
        return 0.0, 1.0
    share = good / total
    middle = share + Z * Z / (2 * total)
    margin = Z * math.sqrt(share * (1 - share) / total + Z * Z / (4 * total * total))
    scale = 1 + Z * Z / total
    low = 0.0 if good == 0 else max(0.0, (middle - margin) / scale)
    high = 1.0 if good == total else min(1.0, (middle + margin) / scale)
    return low, high


def surely_below(good: int, total: int, share: float) -> bool:
    """Whether so few good ones of so few hardly happen (2.5 %) where ``share`` of all are good: the exact binomial.

    Tells what is broken from what has too few requests to tell, so for totals below :func:`needed` only: the first
    term of the sum does not underflow there.
    """
    bad = total - good
    allowed = 1 - share
    if bad == 0:
        return False
    if allowed <= 0:
        return True
    term = total_probability = share**total
    for k in range(1, bad):
        term *= (total - k + 1) / k * allowed / share
        total_probability += term
    return 1 - total_probability < 0.025


def percentile(ordered: Sequence[float], percent: float) -> float:
    """The smallest of ``ordered`` values that at least ``percent`` of them do not exceed (nearest rank)."""
    rank = math.ceil(round(len(ordered) * percent / 100, 9))
    return ordered[max(rank, 1) - 1]


def percentile_interval(ordered: Sequence[float], percent: float) -> tuple[float, float]:
    """The values between which the percentile lies, from the ranks that chance moves it over.

    The upper end is infinite when there are too few values to bound it.
    """
    count = len(ordered)
    share = percent / 100
    margin = Z * math.sqrt(count * share * (1 - share))
    low = math.floor(count * share - margin)
    high = math.ceil(count * share + margin) + 1
    return ordered[max(low, 1) - 1], ordered[high - 1] if high <= count else math.inf


def rate_interval(count: int, seconds: float) -> tuple[float, float]:
    """The interval of a rate per second from ``count`` arrivals in ``seconds``, for independent arrivals."""
    if count == 0:
        return 0.0, PER_ALLOWED / seconds
    margin = Z * math.sqrt(count)
    return max(0.0, count - margin) / seconds, (count + margin) / seconds
