"""How sure a figure from so many requests is: intervals for proportions, percentiles and rates, how many it takes, and
what change could have been told from chance.

All intervals are at 95 % confidence and treat requests as independent, which under faults they are not quite: read them
as the least uncertainty that there is.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from statistics import NormalDist
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from numpy.typing import NDArray

Z = 1.959964
"""Of the normal distribution, for 95 %."""
TAIL = 0.025
"""What is as improbable as this on one side is not put down to chance: 95 % confidence on both."""
POWER = 0.8
"""The probability with which a detectable change is told."""
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
    """Whether so few good ones of so many hardly happen (2.5 %) where ``share`` of all are good: the exact binomial.

    Tells what is broken from what has too few requests to tell.
    """
    return good < total and tail(total - good, total, 1 - share) < TAIL


def tail(count: int, total: int, share: float) -> float:
    """The probability of ``count`` or more of ``total``, where each is one of them with probability ``share``."""
    if count <= 0 or share >= 1:
        return 1.0 if count <= total else 0.0
    if count > total or share <= 0:
        return 0.0
    return _incomplete_beta(share, count, total - count + 1)


def detectable(total: int, allowed: float) -> float | None:
    """The least change for the worse that would have shown: how much more than ``allowed`` of ``total`` must be bad.

    Shown means: with a probability of 80 % so many are bad as happens by chance in 2.5 % of such samples where just
    ``allowed`` is. None when not even a sample of bad ones alone would show.
    """
    critical = _least(lambda count: tail(count, total, allowed) <= TAIL, math.floor(total * allowed), total + 1)
    if critical > total:
        return None
    low, high = allowed, 1.0
    while high - low > 1e-4 * (high - allowed):
        middle = (low + high) / 2
        low, high = (middle, high) if tail(critical, total, middle) < POWER else (low, middle)
    return high - allowed


def detectable_rate(expected: float, seconds: float) -> float:
    """The least drop of a rate per second that would have shown (80 % power at 95 % confidence).

    Of ``expected`` independent arrivals in ``seconds``.
    """
    return (Z + NormalDist().inv_cdf(POWER)) * math.sqrt(expected) / seconds


def _least(holds: Callable[[int], bool], low: int, high: int) -> int:
    """The least number from ``low`` on for which it holds, where it does for all greater ones; else ``high``."""
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if holds(middle) else (middle + 1, high)
    return low


def _incomplete_beta(x: float, a: float, b: float) -> float:
    """The regularised incomplete beta function, by its continued fraction (DLMF 8.17.22)."""
    if x > (a + 1) / (a + b + 2):
        return 1 - _incomplete_beta(1 - x, b, a)
    log = math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b) + a * math.log(x) + b * math.log1p(-x)
    tiny = 1e-300
    c, d = 1.0, 1 / _nonzero(1 - (a + b) * x / (a + 1), tiny)
    value = d
    for m in range(1, 100_000):
        for term in (
            m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m)),
            -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1)),
        ):
            d = 1 / _nonzero(1 + term * d, tiny)
            c = _nonzero(1 + term / c, tiny)
            value *= c * d
        if abs(c * d - 1) < 1e-14:
            break
    return math.exp(log) * value / a


def _nonzero(value: float, tiny: float) -> float:
    return value if abs(value) > tiny else tiny


def percentile(ordered: Sequence[float] | NDArray[Any], percent: float) -> float:
    """The smallest of ``ordered`` values that at least ``percent`` of them do not exceed (nearest rank)."""
    rank = math.ceil(round(len(ordered) * percent / 100, 9))
    return float(ordered[max(rank, 1) - 1])


def percentile_interval(ordered: Sequence[float] | NDArray[Any], percent: float) -> tuple[float, float]:
    """The values between which the percentile lies, from the ranks that chance moves it over: the exact binomial.

    The lower end is 0 and the upper infinite when there are too few values to bound it.
    """
    count, share = len(ordered), percent / 100
    middle = math.ceil(round(count * share, 9))
    low = _least(lambda rank: 1 - tail(rank, count, share) > TAIL, 1, middle + 1) - 1
    high = _least(lambda rank: tail(rank, count, share) <= TAIL, middle, count + 1)
    return float(ordered[low - 1]) if low else 0.0, float(ordered[high - 1]) if high <= count else math.inf


def rate_interval(count: int, seconds: float) -> tuple[float, float]:
    """The interval of a rate per second from ``count`` arrivals in ``seconds``, for independent arrivals."""
    if count == 0:
        return 0.0, PER_ALLOWED / seconds
    margin = Z * math.sqrt(count)
    return max(0.0, count - margin) / seconds, (count + margin) / seconds
