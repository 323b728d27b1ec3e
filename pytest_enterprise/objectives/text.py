"""Figures as people read them."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pytest_enterprise.load.columns import Columns


def quantity(value: float | None, unit: str) -> str:
    """A value with its unit: ``99.5 %``, ``0.812 s``, ``0.25 ms``, ``51.3 requests/s``; ``unknown`` for None."""
    if value is None:
        return "unknown"
    if not math.isfinite(value):
        return "unbounded"
    if unit == "share":
        return f"{_percent(value)} %"
    if unit == "s":
        return f"{value:.3f} s" if value == 0 or abs(value) >= 0.001 else f"{value * 1e3:.3g} ms"
    number = f"{value:,.0f}" if float(value).is_integer() else f"{value:,.4g}"
    return f"{number} {unit}".rstrip()


def between(interval: tuple[float, float], unit: str) -> str:
    """An interval in words."""
    low, high = interval
    if math.isinf(high):
        return f"at least {quantity(low, unit)}"
    return f"{quantity(low, unit)} to {quantity(high, unit)}"


def errors(requests: Columns, most: int = 4) -> str:
    """What failed how often, the commonest first: ``40 × HTTP 503, 7 × ReadTimeout``; empty for no failure."""
    counts = requests.errors()
    told = [f"{count:,} × {error}" for error, count in counts.most_common(most)]
    if len(counts) > most:
        told.append(f"{len(counts) - most} other kinds")
    return ", ".join(told)


def _percent(share: float) -> str:
    """Two decimals, and as many more as tell it from 100; cut off, since 99.9996 % must not read as 100 %."""
    left = 100 - share * 100
    decimals = 2 if left < 1e-9 else max(2, 1 - math.floor(math.log10(left)))
    scale = 10**decimals
    return f"{math.floor(round(share * 100 * scale, 3)) / scale:.10g}"
