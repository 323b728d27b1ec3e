"""Comparisons of two versions: the events ``comparison.judged``, and their chart.

A line for each endpoint and metric: the ratio b / a as a dot, its interval as a bar, the margin as the grey field in
the middle. A bar that lies wholly outside of the field is a verdict, one that reaches across its edge is none.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from html import escape
from itertools import groupby
from typing import Any, NamedTuple

from pytest_enterprise.events import Event

_WIDTH, _LEFT, _RIGHT = 820, 250, 210
_PLOT = _WIDTH - _LEFT - _RIGHT
_ROW, _TOP = 24, 34
_NAME = 40
"""Characters of a name, and of a verdict."""
_LEAST = 1.05
"""The ratio that the axis shows at least on either side of 1."""
_MOST = 10.0
"""The ratio beyond which bars are cut."""
MARKS = {"regression": "✗", "improved": "✓", "no change": "✓", "not decided": "?"}


class Compared(NamedTuple):
    """One metric of one endpoint, b against a."""

    comparison: str
    metric: str
    better: str
    """``lower`` or ``higher``."""
    endpoint: str
    ratio: float | None
    interval: tuple[float, float] | None
    confidence: float | None
    margin: float
    outcome: str
    """``regression``, ``improved``, ``no change`` or ``not decided``."""
    pairs: int
    detail: str


def read(event: Event) -> Compared:
    """One ``comparison.judged``; a field of the wrong type reads as missing."""
    ends = event.get("interval")
    low, high = map(_ratio, ends) if isinstance(ends, list | tuple) and len(ends) == 2 else (None, None)
    blocks = event.get("blocks")
    return Compared(
        comparison=str(event.get("comparison") or ""),
        metric=str(event.get("metric") or ""),
        better=str(event.get("better") or "lower"),
        endpoint=str(event.get("endpoint") or ""),
        ratio=_ratio(event.get("ratio")),
        interval=None if low is None or high is None or low > high else (low, high),
        confidence=_ratio(event.get("confidence")),
        margin=_ratio(event.get("margin")) or 0.0,
        outcome=str(event.get("outcome") or "not decided"),
        pairs=len(blocks) if isinstance(blocks, list | tuple) else 0,
        detail=str(event.get("detail") or ""),
    )


def _ratio(value: Any) -> float | None:
    good = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value) and value > 0
    return float(value) if good else None


def groups(compared: Sequence[Compared]) -> list[tuple[str, list[Compared]]]:
    """By the comparison that they belong to."""
    return [(name, list(mine)) for name, mine in groupby(compared, lambda one: one.comparison)]


def render(compared: Sequence[Compared]) -> str:
    """The chart of one comparison as an ``<svg>`` element."""
    far = max([_LEAST, *(1 + 2 * one.margin for one in compared), *(_far(one) for one in compared)])
    span = math.log(min(far, _MOST) * 1.03)

    def place(ratio: float) -> int:
        share = min(max(math.log(ratio) / span, -1.0), 1.0)
        return _LEFT + round((1 + share) / 2 * _PLOT)

    foot = _TOP + _ROW * len(compared)
    spoken = "; ".join(f"{_name(one)}: {_told(one)}" for one in compared)
    parts = [
        f'<svg class="ch" viewBox="0 0 {_WIDTH} {foot + 34}" role="img" aria-label="{escape(spoken)}">',
        f'<text class="h" x="{_LEFT}" y="14">b / a, with interval; grey: the margin</text>',
    ]
    ticks = _ticks(math.exp(span))
    parts += (f'<path d="M{place(tick)} {_TOP - 8}V{foot}"/>' for tick in ticks)
    for number, one in enumerate(compared):
        middle = _TOP + _ROW * number + _ROW // 2
        left, right = place(1 / (1 + one.margin)), place(1 + one.margin)
        parts.append(f'<path class="mg" d="M{left} {middle - 11}h{right - left}v22h-{right - left}z"/>')
        parts.append(f'<text class="y" x="{_LEFT - 10}" y="{middle + 4}">{escape(_fit(_name(one)))}</text>')
        parts.append(f'<text x="{_WIDTH - _RIGHT + 10}" y="{middle + 4}">{escape(_fit(_told(one)))}</text>')
        kind = {"regression": "no", "improved": "in"}.get(one.outcome, "nc")
        if one.interval:
            low, high = map(place, one.interval)
            parts.append(
                f'<path class="iv {kind}" d="M{low} {middle}h{max(high - low, 1)}m0 -5v10M{low} {middle - 5}v10"/>'
            )
        if one.ratio:
            parts.append(f'<circle class="iv {kind}" cx="{place(one.ratio)}" cy="{middle}" r="4"/>')
    parts.append(f'<path class="one" d="M{place(1)} {_TOP - 8}V{foot}"/><g class="m">')
    parts += (f'<text x="{place(tick)}" y="{foot + 15}">{tick:g}</text>' for tick in ticks)
    slower, faster = ("b is worse", "b is better") if _lower(compared) else ("b is better", "b is worse")
    parts.append(f'</g><text class="u" x="{_LEFT}" y="{foot + 30}">← {faster}</text>')
    parts.append(f'<text class="u y" x="{_LEFT + _PLOT}" y="{foot + 30}">{slower} →</text></svg>')
    return "".join(parts)


def _lower(compared: Sequence[Compared]) -> bool:
    return compared[0].better != "higher"


def _far(one: Compared) -> float:
    ends = [*(one.interval or ()), *([one.ratio] if one.ratio else [])]
    return max((max(end, 1 / end) for end in ends), default=1.0)


def _ticks(far: float) -> list[float]:
    steps = (0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0)
    step = next((step for step in steps if (far - 1) / step <= 3.5), steps[-1])
    above = [round(1 + step * number, 4) for number in range(1, 5) if 1 + step * number <= far]
    return [*(round(1 / tick, 3) for tick in reversed(above)), 1.0, *above]


def _name(one: Compared) -> str:
    return f"{one.metric} of {one.endpoint}" if one.endpoint else one.metric


def _told(one: Compared) -> str:
    mark = MARKS.get(one.outcome, "?")
    return f"{mark} {one.outcome}" if one.ratio is None else f"{mark} {one.outcome}, {one.ratio:.3f}"


def _fit(text: str) -> str:
    return text if len(text) <= _NAME else text[: _NAME - 1] + "…"


def facts(one: Compared) -> Mapping[str, str]:
    """The figures of the table beside the chart."""
    return {
        "ratio": "–" if one.ratio is None else f"{one.ratio:.3f}",
        "interval": "–" if one.interval is None else f"{one.interval[0]:.3f} to {one.interval[1]:.3f}",
        "confidence": "–" if one.confidence is None else f"{one.confidence:.4g}",
        "margin": f"{one.margin:.1%}",
    }
