"""Figures as people read them."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable

from pytest_enterprise.load.records import Request


def quantity(value: float | None, unit: str) -> str:
    """A value with its unit: ``99.5 %``, ``0.812 s``, ``51.3 requests/s``, ``3 tasks``; ``unknown`` for None."""
    if value is None:
        return "unknown"
    if not math.isfinite(value):
        return "unbounded"
    if unit == "share":
        # Down, never up: 99.9996 % must not read as 100 %.
        return f"{math.floor(round(value * 1e6, 3)) / 1e4:.10g} %"
    if unit == "s":
        return f"{value:.3f} s"
    number = f"{value:,.0f}" if float(value).is_integer() else f"{value:,.4g}"
    return f"{number} {unit}".rstrip()


def between(interval: tuple[float, float], unit: str) -> str:
    """An interval in words."""
    low, high = interval
    if math.isinf(high):
        return f"at least {quantity(low, unit)}"
    return f"{quantity(low, unit)} to {quantity(high, unit)}"


def errors(requests: Iterable[Request], most: int = 4) -> str:
    """What failed how often, the commonest first: ``HTTP 503 40 times, ReadTimeout 7 times``; empty for no failure."""
    counts = Counter(r.error for r in requests if r.error)
    told = [f"{error} {_times(count)}" for error, count in counts.most_common(most)]
    if len(counts) > most:
        told.append(f"{len(counts) - most} other kinds")
    return ", ".join(told)


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count:,} times"
