"""One chart of one load as SVG: latency percentiles over throughput over time, with the faults as labelled bands.

Coordinates are whole units of the view box, paths are relative, and colours are classes of the page's style sheet: a
report of hundreds of loads stays small, and follows light, dark and print. No series is told by colour alone: lines
differ in width and dash and carry their name, failures are hatched.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from html import escape
from itertools import pairwise
from typing import NamedTuple

from pytest_enterprise.report.parts import Fault
from pytest_enterprise.report.traffic import Bucket, Timeline, runs

LEFT, RIGHT, WIDTH = 62, 58, 820
"""Of the picture; the plot lies between the margins."""
PLOT = WIDTH - LEFT - RIGHT
_LATENCY, _RATE = 170, 84
"""Heights of the two panels."""
_BETWEEN, _TITLE, _ROW, _FOOT = 34, 20, 16, 36
_ROWS = 4
"""Rows of band labels; faults that find no room there are told by the table alone."""
_CHARACTER = 6.3
"""Units that one character of a label takes at most, on average."""
_SPREAD = 30.0
"""Ratio of the highest to the lowest latency from which on only a logarithmic scale shows both."""

STYLE = (
    "svg.ch{font:11px system-ui,sans-serif;font-variant-numeric:tabular-nums}"
    ".ch text{fill:var(--ink)}.ch .u{fill:var(--soft)}.ch path,.ch line{fill:none;stroke:var(--rule)}"
    ".ch .b{fill:var(--band);stroke:none}.ch .e{stroke:var(--edge);stroke-dasharray:3 2}"
    ".ch .p50,.ch .p95,.ch .p99{stroke:var(--line);stroke-linejoin:round;stroke-linecap:round}"
    ".ch .p50{stroke-width:1}.ch .p95{stroke-width:1.4;stroke-dasharray:4 3}.ch .p99{stroke-width:2.2}"
    ".ch .ok{fill:var(--area);stroke:var(--line)}.ch .no{fill:url(#hatch);stroke:var(--bad)}"
    ".ch .h{font-weight:600}.ch text.no{fill:var(--bad);stroke:none;font-weight:600}.ch text.ok{stroke:none}"
)
"""For the page; needs the colours --ink --soft --rule --band --edge --line --area --bad."""
PATTERN = (
    '<pattern id="hatch" width="5" height="5" patternUnits="userSpaceOnUse" patternTransform="rotate(45)">'
    '<path d="M0 0V5" style="stroke:var(--bad);stroke-width:2.4"/></pattern>'
)
"""Once in a page: what failures are filled with."""
_ALONE = (
    "svg{--ink:#1b1f24;--soft:#57606a;--rule:#d0d7de;--band:#f5dfb8;--edge:#8a5a00;--line:#0b4f9e;--area:#c9def5;"
    "--bad:#b3261e;background:#fff}"
)


class _Band(NamedTuple):
    left: int
    right: int
    fault: Fault


class _Scale(NamedTuple):
    """From seconds to a height above the foot of the panel."""

    place: Callable[[float], int]
    ticks: Sequence[float]
    logarithmic: bool


def render(timeline: Timeline, faults: Sequence[Fault], *, alone: bool = False) -> str:
    """The chart as an ``<svg>`` element; ``alone`` makes it a picture of its own, with its colours."""
    bands = [band for fault in faults if (band := _band(fault, timeline))]
    labels, rows = _label(bands)
    top = rows * _ROW + _TITLE
    foot = top + _LATENCY
    rate_top = foot + _BETWEEN
    rate_foot = rate_top + _RATE
    height = rate_foot + _FOOT
    parts = [
        f'<svg class="ch" viewBox="0 0 {WIDTH} {height}" role="img" aria-label="{escape(_spoken(timeline, bands))}"'
        + (f' xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}"' if alone else "")
        + ">"
    ]
    if alone:
        parts.append(f"<style>{_ALONE}{STYLE}</style><defs>{PATTERN}</defs>")
    for band in bands:
        width = band.right - band.left
        parts.append(
            f'<path class="b" d="M{band.left} {top}h{width}V{foot}h-{width}zM{band.left} {rate_top}h{width}'
            f'V{rate_foot}h-{width}z"><title>{escape(_told(band.fault, timeline))}</title></path>'
        )
    parts += _latency(timeline, top, foot)
    parts += _rate(timeline, rate_top, rate_foot)
    parts += _time(timeline, rate_foot)
    for band, row, x, anchor, text in labels:
        y = row * _ROW + 12
        parts.append(f'<path class="e" d="M{band.left} {y + 4}V{foot}M{band.left} {rate_top}V{rate_foot}"/>')
        end = ' text-anchor="end"' if anchor == "end" else ""
        parts.append(f'<text class="f" x="{x}" y="{y}"{end}>{escape(text)}</text>')
    return "".join([*parts, "</svg>"])


def _x(at: float, timeline: Timeline) -> int:
    return LEFT + round(at / timeline.seconds * PLOT)


def _band(fault: Fault, timeline: Timeline) -> _Band | None:
    began = (fault.began_ns - timeline.began_ns) / 1e9
    ended = math.inf if fault.ended_ns is None else (fault.ended_ns - timeline.began_ns) / 1e9
    if ended < 0 or began >= timeline.seconds:
        return None
    left = min(_x(max(began, 0.0), timeline), LEFT + PLOT - 2)
    return _Band(left, max(left + 2, _x(min(ended, timeline.seconds), timeline)), fault)


def _label(bands: Sequence[_Band]) -> tuple[list[tuple[_Band, int, int, str, str]], int]:
    """Places of the labels, none over another: band, row, x, anchor, text; and the number of rows."""
    taken: list[list[tuple[float, float]]] = []
    labels = []
    for band in bands:
        full = f"{band.fault.number} {band.fault.label}" if len(bands) > 1 else band.fault.label
        for text in (_fit(full), str(band.fault.number)):
            width = len(text) * _CHARACTER + 8
            left, anchor = (band.left, "start") if band.left + width <= WIDTH else (band.left - width, "end")
            row = next((i for i, spans in enumerate(taken) if _free(spans, left, left + width)), len(taken))
            if left >= 0 and row < _ROWS:
                break
        else:
            continue
        if row == len(taken):
            taken.append([])
        taken[row].append((left, left + width))
        labels.append((band, row, band.left + (3 if anchor == "start" else -3), anchor, text))
    return labels, len(taken)


def _free(spans: Sequence[tuple[float, float]], left: float, right: float) -> bool:
    return all(right <= a or left >= b for a, b in spans)


def _fit(text: str, most: int = 56) -> str:
    return text if len(text) <= most else text[: most - 1] + "…"


def _latency(timeline: Timeline, top: int, foot: int) -> list[str]:
    buckets = timeline.buckets
    values = [v for b in buckets for v in (b.p50, b.p95, b.p99) if v is not None]
    scale = _scale(min(values), max(values))
    unit, factor = ("s", 1.0) if scale.ticks[-1] >= 1 else ("ms", 1e3)
    kind = f"latency, {unit}" + (", logarithmic" if scale.logarithmic else "")
    parts = [_heading(kind, top)]
    parts += [_gridline(foot - scale.place(tick), f"{tick * factor:,.4g}") for tick in scale.ticks]
    ends = []
    for name in ("p50", "p95", "p99"):
        path, last = _line(buckets, name, timeline, lambda v: foot - scale.place(v))
        parts.append(f'<path class="{name}" d="{path}"/>')
        ends.append((last, name))
    return parts + _names(ends, top, foot)


def _names(ends: Sequence[tuple[tuple[int, int], str]], top: int, foot: int) -> list[str]:
    """The lines' names behind their ends with a sample of each, pushed apart where they would overlap."""
    order = sorted(ends, key=lambda end: end[0][1])
    heights: list[int] = []
    for (_, y), _name in order:
        heights.append(max(y, heights[-1] + 13 if heights else top + 4))
    for i in reversed(range(len(heights))):
        heights[i] = min(heights[i], heights[i + 1] - 13 if i + 1 < len(heights) else foot - 4)
    x = LEFT + PLOT
    return [
        f'<path class="{name}" d="M{x + 5} {y}h18"/><text x="{x + 28}" y="{y + 4}">{name}</text>'
        for y, (_, name) in zip(heights, order, strict=True)
    ]


def _rate(timeline: Timeline, top: int, foot: int) -> list[str]:
    buckets, step = timeline.buckets, timeline.step
    most = max((b.ok + b.failed) / step for b in buckets)
    ticks = _round_ticks(most, 3)
    full = max(ticks[-1], most)

    def place(rate: float) -> int:
        return foot - round(rate / full * _RATE)

    parts = [_heading("sent, requests per second", top)]
    parts += [_gridline(place(tick), f"{tick:,.4g}") for tick in ticks]
    edges = [_x(i * step, timeline) for i in range(len(buckets) + 1)]
    served = [place(b.ok / step) for b in buckets]
    parts.append(f'<path class="ok" d="{_steps(edges, served, [foot] * len(buckets))}"/>')
    x = LEFT + PLOT + 5
    if any(b.failed for b in buckets):
        highs = [place((b.ok + b.failed) / step) for b in buckets]
        parts.append(f'<path class="no" d="{_steps(edges, highs, served)}"/>')
        parts.append(f'<text class="no" x="{x}" y="{top + 10}">failed</text>')
    parts.append(f'<text class="ok" x="{x}" y="{foot - 4}">succeeded</text>')
    return parts


def _time(timeline: Timeline, foot: int) -> list[str]:
    ticks = _round_ticks(timeline.seconds, 8)
    parts = [f'<path d="M{LEFT} {foot}h{PLOT}"/>']
    for tick in ticks:
        if tick <= timeline.seconds * 1.0001:
            x = _x(tick, timeline)
            parts.append(f'<path d="M{x} {foot}v4"/>')
            parts.append(f'<text x="{x}" y="{foot + 16}" text-anchor="middle">{tick:,.6g}</text>')
    middle = LEFT + PLOT // 2
    parts.append(
        f'<text class="u" x="{middle}" y="{foot + 31}" text-anchor="middle">seconds since the load began '
        f"(one step is {timeline.step:g} s)</text>"
    )
    return parts


def _heading(text: str, top: int) -> str:
    return f'<text class="h" x="{LEFT}" y="{top - 6}">{text}</text>'


def _gridline(y: int, text: str) -> str:
    return f'<path d="M{LEFT} {y}h{PLOT}"/><text x="{LEFT - 6}" y="{y + 4}" text-anchor="end">{text}</text>'


def _line(
    buckets: tuple[Bucket, ...], name: str, timeline: Timeline, place: Callable[[float], int]
) -> tuple[str, tuple[int, int]]:
    """The path of one percentile, broken where nothing was sent, and its last point."""
    parts = []
    last = (LEFT, 0)
    for first, end in runs(buckets):
        middles = [_x((i + 0.5) * timeline.step, timeline) for i in range(first, end)]
        points = [(x, place(getattr(buckets[i], name))) for i, x in enumerate(middles, first)]
        parts.append(f"M{points[0][0]} {points[0][1]}" + ("" if len(points) > 1 else "h0"))
        # Relative, without separators that a minus sign makes needless: the bulk of a report is these numbers.
        steps = [f"{b[0] - a[0]}{_signed(b[1] - a[1])}" for a, b in pairwise(points)]
        parts.append("l" + " ".join(steps) if steps else "")
        last = points[-1]
    return "".join(parts), last


def _signed(number: int) -> str:
    return str(number) if number < 0 else f" {number}"


def _steps(edges: Sequence[int], highs: Sequence[int], lows: Sequence[int]) -> str:
    """The outline of bars that touch; where a bar has no height, nothing is drawn."""
    parts = []
    number = 0
    while number < len(highs):
        if highs[number] == lows[number]:
            number += 1
            continue
        first = number
        while number < len(highs) and highs[number] != lows[number]:
            number += 1
        path, at = [f"M{edges[first]} {lows[first]}"], lows[first]
        for i in range(first, number):
            path.append((f"v{highs[i] - at}" if highs[i] != at else "") + f"h{edges[i + 1] - edges[i]}")
            at = highs[i]
        for i in range(number - 1, first - 1, -1):
            path.append((f"v{lows[i] - at}" if lows[i] != at else "") + f"h{edges[i] - edges[i + 1]}")
            at = lows[i]
        parts.append("".join(path) + "z")
    return "".join(parts)


def _scale(low: float, high: float) -> _Scale:
    """Linear from zero, or logarithmic where the lowest would vanish."""
    low, high = max(low, 1e-6), max(high, 1e-6)
    if high / low <= _SPREAD:
        ticks = _round_ticks(high, 5)
        full = max(ticks[-1], high)
        return _Scale(lambda v: round(v / full * _LATENCY), ticks, False)
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    every = [m * 10.0**e for e in range(first, last + 1) for m in ((1, 2, 5) if last - first <= 3 else (1,))]
    above = [tick for tick in every if tick >= high * 0.999][:1] or [every[-1]]
    below = [tick for tick in every if tick <= low * 1.001][-1:] or [every[0]]
    ticks = [tick for tick in every if below[0] <= tick <= above[0]]
    bottom, span = math.log10(below[0]), math.log10(above[0] / below[0]) or 1.0
    return _Scale(lambda v: max(0, round((math.log10(max(v, 1e-6)) - bottom) / span * _LATENCY)), ticks, True)


def _round_ticks(high: float, most: int) -> list[float]:
    """0 and round steps up to the first that is at least ``high``."""
    raw = max(high, 1e-9) / most
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(m * power for m in (1, 2, 5, 10) if m * power >= raw * 0.9999)
    return [round(i * step, 9) for i in range(math.ceil(high / step - 1e-9) + 1)]


def _told(fault: Fault, timeline: Timeline) -> str:
    began = (fault.began_ns - timeline.began_ns) / 1e9
    until = "never seen to end" if fault.ended_ns is None else f"to {(fault.ended_ns - timeline.began_ns) / 1e9:.2f} s"
    return f"{fault.label}: from {began:.2f} s {until}"


def _spoken(timeline: Timeline, bands: Sequence[_Band]) -> str:
    """The chart in a sentence, for those who do not see it."""
    highest = max((b.p99 for b in timeline.buckets if b.p99 is not None), default=0.0)
    failed = sum(b.failed for b in timeline.buckets)
    told = "; ".join(_told(band.fault, timeline) for band in bands) or "no fault"
    return (
        f"Latency and throughput over {timeline.seconds:.1f} s. Highest p99 in a step: {highest:.3f} s. "
        f"Failed requests: {failed:,}. Faults: {told}."
    )
