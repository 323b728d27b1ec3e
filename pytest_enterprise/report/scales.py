"""Axes: round numbers that people read, linear from zero for counts, logarithmic for latencies."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

_LEAST = 1e-6
"""Seconds; records are kept in µs."""


class LatencyAxis(NamedTuple):
    """A logarithmic axis in seconds: from 1 ms to 10 ms is as high as from 1 s to 10 s."""

    low: float
    high: float
    ticks: Sequence[float]

    def share(self, latency: float) -> float:
        """The height of a latency above the foot of the axis: 0 to 1."""
        at = math.log(max(latency, self.low) / self.low) / math.log(self.high / self.low)
        return min(max(at, 0.0), 1.0)

    def edges(self, rows: int) -> list[float]:
        """The ``rows`` - 1 latencies that divide the axis into rows of equal height."""
        return [self.low * (self.high / self.low) ** (row / rows) for row in range(1, rows)]


def latency_axis(low: float, high: float) -> LatencyAxis:
    """The axis that shows latencies from ``low`` to ``high`` seconds, between round numbers."""
    low, high = max(low, _LEAST), max(high, _LEAST)
    first, last = math.floor(math.log10(low * 1.0001)), math.ceil(math.log10(high * 0.9999))
    every = [round(m * 10.0**e, 9) for e in range(first, last + 1) for m in (1, 2, 5)]
    bottom = max(tick for tick in every if tick <= low * 1.001)
    top = min(tick for tick in every if tick >= high * 0.999)
    if top <= bottom:
        top = min(tick for tick in (*every, 10.0 ** (last + 1)) if tick > bottom * 1.001)
    ticks = [tick for tick in every if bottom <= tick <= top]
    if len(ticks) > 7:
        powers = [tick for tick in ticks if math.isclose(tick, 10.0 ** round(math.log10(tick)))]
        ticks = sorted({bottom, *_apart(powers, bottom, top), top})
    return LatencyAxis(bottom, top, ticks)


def _apart(ticks: Sequence[float], bottom: float, top: float) -> list[float]:
    """Those that stand clear of both ends."""
    return [tick for tick in ticks if tick / bottom > 2.1 and top / tick > 2.1]


def round_ticks(high: float, most: int) -> list[float]:
    """0 and round steps up to the first that is at least ``high``."""
    raw = max(high, 1e-9) / most
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(m * power for m in (1, 2, 5, 10) if m * power >= raw * 0.9999)
    return [round(i * step, 9) for i in range(math.ceil(high / step - 1e-9) + 1)]
