"""Axes: round numbers that people read, on linear and logarithmic scales."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

_SPREAD = 30.0
"""Ratio of the highest to the lowest value from which on only a logarithmic scale shows both."""


class Scale(NamedTuple):
    """An axis for values above zero."""

    place: Callable[[float], int]
    """From a value to its height above the foot of the axis."""
    ticks: Sequence[float]
    logarithmic: bool


def scale(low: float, high: float, height: int) -> Scale:
    """Linear from zero, or logarithmic where the lowest would vanish; ``height`` is that of the axis."""
    low, high = max(low, 1e-6), max(high, 1e-6)
    if high / low <= _SPREAD:
        ticks = round_ticks(high, 5)
        full = max(ticks[-1], high)
        return Scale(lambda v: round(v / full * height), ticks, False)
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    every = [m * 10.0**e for e in range(first, last + 1) for m in ((1, 2, 5) if last - first <= 3 else (1,))]
    above = [tick for tick in every if tick >= high * 0.999][:1] or [every[-1]]
    below = [tick for tick in every if tick <= low * 1.001][-1:] or [every[0]]
    ticks = [tick for tick in every if below[0] <= tick <= above[0]]
    bottom, span = math.log10(below[0]), math.log10(above[0] / below[0]) or 1.0
    return Scale(lambda v: max(0, round((math.log10(max(v, 1e-6)) - bottom) / span * height)), ticks, True)


def round_ticks(high: float, most: int) -> list[float]:
    """0 and round steps up to the first that is at least ``high``."""
    raw = max(high, 1e-9) / most
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(m * power for m in (1, 2, 5, 10) if m * power >= raw * 0.9999)
    return [round(i * step, 9) for i in range(math.ceil(high / step - 1e-9) + 1)]
