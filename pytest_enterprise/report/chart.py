"""One chart of one load as SVG: latency percentiles over throughput over time, with the faults as labelled bands.

Coordinates are whole units of the view box, paths are relative, and colours are classes of the page's style sheet: a
report of hundreds of loads stays small, and follows light, dark and print. No series is told by colour alone: lines
differ in width and dash and carry their name, failures are hatched.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from html import escape
from itertools import pairwise
from typing import NamedTuple

from pytest_enterprise.report.parts import Fault
from pytest_enterprise.report.scales import round_ticks, scale
from pytest_enterprise.report.traffic import Bucket, Timeline, runs

LEFT, RIGHT, WIDTH = 62, 58, 820
"""Of the picture; the plot lies between the margins."""
PLOT = WIDTH - LEFT - RIGHT
FOOT = 170
"""Of the latency panel, whose top is at 0; the labels of the faults and the heading stand above it."""
RATE_TOP, RATE_FOOT = 204, 288
"""Of the panel with the rates."""
BOTTOM = 324
_TITLE, _ROW = 20, 16
_ROWS = 4
"""Rows of band labels; faults that find no room there are told by the table alone."""
_CHARACTER = 6.3
"""Units that one character of a label takes at most, on average."""

STYLE = (
    "svg.ch{font:11px system-ui,sans-serif;font-variant-numeric:tabular-nums}"
    ".ch text{fill:var(--ink)}.ch .u{fill:var(--soft)}.ch path,.ch line{fill:none;stroke:var(--rule)}"
    ".ch .b{fill:var(--band);stroke:none}.ch .e{stroke:var(--edge);stroke-dasharray:3 2}"
    ".ch .p50,.ch .p95,.ch .p99{stroke:var(--line);stroke-linejoin:round;stroke-linecap:round}"
    ".ch .p50{stroke-width:1}.ch .p95{stroke-width:1.4;stroke-dasharray:4 3}.ch .p99{stroke-width:2.2}"
    ".ch .ok{fill:var(--area);stroke:var(--line)}.ch .no{fill:url(#hatch);stroke:var(--bad)}"
    ".ch .y{text-anchor:end}.ch .m{text-anchor:middle}.ch .h{font-weight:600}"
    ".ch .f{paint-order:stroke;stroke:var(--paper);stroke-width:3px}"
)
"""For the page; needs the colours --paper --ink --soft --rule --band --edge --line --area --bad."""
SHARED = (
    '<pattern id="hatch" width="5" height="5" patternUnits="userSpaceOnUse" patternTransform="rotate(45)">'
    '<path d="M0 0V5" style="stroke:var(--bad);stroke-width:2.4"/></pattern>'
    f'<g id="frame" class="ch"><text class="h" x="{LEFT}" y="{RATE_TOP - 6}">sent, requests per second</text>'
    f'<path class="ok" d="M{WIDTH - RIGHT + 5} {RATE_FOOT - 11}h10v9h-10z"/>'
    f'<text x="{WIDTH - RIGHT + 21}" y="{RATE_FOOT - 3}">ok</text>'
    f'<text class="u m" x="{LEFT + PLOT // 2}" y="{RATE_FOOT + 31}">seconds since the load began</text></g>'
    f'<g id="failed" class="ch"><path class="no" d="M{WIDTH - RIGHT + 5} {RATE_FOOT - 28}h10v9h-10z"/>'
    f'<text x="{WIDTH - RIGHT + 21}" y="{RATE_FOOT - 20}">failed</text></g>'
    + "".join(
        f'<g id="{name}" class="ch"><path class="{name}" d="M{WIDTH - RIGHT + 5} 0h18"/>'
        f'<text x="{WIDTH - RIGHT + 28}" y="4">{name}</text></g>'
        for name in ("p50", "p95", "p99")
    )
)
"""Once in a page: what all charts have in common."""
_ALONE = (
    "svg{--paper:#fff;--ink:#1b1f24;--soft:#57606a;--rule:#d0d7de;--band:#f5dfb8;--edge:#8a5a00;--line:#0b4f9e;--area:#c9def5;"
    "--bad:#b3261e;background:#fff}"
)


class _Label(NamedTuple):
    edge: int
    """x of the left edge of its band."""
    row: int
    text: str
    right: bool
    """It stands to the right of the edge."""


class _Band(NamedTuple):
    left: int
    right: int
    fault: Fault


def render(timeline: Timeline, faults: Sequence[Fault], *, alone: bool = False) -> str:
    """The chart as an ``<svg>`` element; ``alone`` makes it a picture of its own, with its colours."""
    bands = sorted((band for fault in faults if (band := _band(fault, timeline))), key=lambda band: band.left)
    labels, rows = _label(bands)
    above = _TITLE + rows * _ROW
    parts = [
        f'<svg class="ch" viewBox="0 -{above} {WIDTH} {BOTTOM + above}" role="img" '
        f'aria-label="{escape(_spoken(timeline, bands))}"'
        + (f' xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{BOTTOM + above}"' if alone else "")
        + ">"
    ]
    if alone:
        parts.append(f"<style>{_ALONE}{STYLE}</style><defs>{SHARED}</defs>")
    for band in bands:
        width = band.right - band.left
        parts.append(
            f'<path class="b" d="M{band.left} 0h{width}v{FOOT}h-{width}zM{band.left} {RATE_TOP}h{width}'
            f'V{RATE_FOOT}h-{width}z"/>'
        )
    parts += _latency(timeline, above)
    parts += _rate(timeline)
    parts += _time(timeline)
    # The lines first: a label keeps clear of those that pass behind it by its outline.
    for label in labels:
        parts.append(
            f'<path class="e" d="M{label.edge} {_height(label, rows) + 4}V{FOOT}M{label.edge} {RATE_TOP}V{RATE_FOOT}"/>'
        )
    for label in labels:
        x, side = (label.edge + 3, "") if label.right else (label.edge - 3, " y")
        parts.append(f'<text class="f{side}" x="{x}" y="{_height(label, rows)}">{escape(label.text)}</text>')
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


def _label(bands: Sequence[_Band]) -> tuple[list[_Label], int]:
    """The labels, none over another, and their number of rows; where full ones find no room, numbers alone."""
    numbered = len(bands) > 1
    full = [_fit(f"{band.fault.number} {band.fault.label}" if numbered else band.fault.label) for band in bands]
    labels = _placed(bands, full)
    if len(labels) < len(bands):
        labels = _placed(bands, [str(band.fault.number) for band in bands])
    return labels, max((label.row + 1 for label in labels), default=0)


def _placed(bands: Sequence[_Band], texts: Sequence[str]) -> list[_Label]:
    taken: list[list[tuple[float, float]]] = [[] for _ in range(_ROWS)]
    labels = []
    for band, text in zip(bands, texts, strict=True):
        width = len(text) * _CHARACTER + 8
        right = band.left + width <= WIDTH
        left = band.left if right else band.left - width
        row = next((i for i, spans in enumerate(taken) if _free(spans, left, left + width)), None)
        if row is not None and left >= 0:
            taken[row].append((left, left + width))
            labels.append(_Label(band.left, row, text, right))
    return labels


def _height(label: _Label, rows: int) -> int:
    return (label.row - rows) * _ROW + 9


def _free(spans: Sequence[tuple[float, float]], left: float, right: float) -> bool:
    return all(right <= a or left >= b for a, b in spans)


def _fit(text: str, most: int = 56) -> str:
    return text if len(text) <= most else text[: most - 1] + "…"


def _latency(timeline: Timeline, above: int) -> list[str]:
    buckets = timeline.buckets
    values = [v for b in buckets for v in (b.p50, b.p95, b.p99) if v is not None]
    axis = scale(min(values), max(values), FOOT)
    unit, factor = ("s", 1.0) if axis.ticks[-1] >= (10 if axis.logarithmic else 1) else ("ms", 1e3)
    kind = f"latency, {unit}" + (", logarithmic" if axis.logarithmic else "")
    parts = [f'<text class="h" x="{LEFT}" y="{14 - above}">{kind}</text>']
    parts += _grid((FOOT - axis.place(tick), f"{tick * factor:,.4g}") for tick in axis.ticks)
    ends = []
    for name in ("p50", "p95", "p99"):
        path, last = _line(buckets, name, timeline, lambda v: FOOT - axis.place(v))
        parts.append(f'<path class="{name}" d="{path}"/>')
        ends.append((last, name))
    return parts + _names(ends)


def _names(ends: Sequence[tuple[tuple[int, int], str]]) -> list[str]:
    """The lines' names behind their ends with a sample of each, pushed apart where they would overlap."""
    order = sorted(ends, key=lambda end: end[1], reverse=True)
    order.sort(key=lambda end: end[0][1])  # of equals the highest percentile stands first
    heights: list[int] = []
    for (_, y), _name in order:
        heights.append(max(y, heights[-1] + 13 if heights else 4))
    for i in reversed(range(len(heights))):
        heights[i] = min(heights[i], heights[i + 1] - 13 if i + 1 < len(heights) else FOOT - 4)
    return [f'<use href="#{name}" y="{y}"/>' for y, (_, name) in zip(heights, order, strict=True)]


def _rate(timeline: Timeline) -> list[str]:
    buckets, step = timeline.buckets, timeline.step
    most = max((b.ok + b.failed) / step for b in buckets)
    ticks = round_ticks(most, 3)
    full = max(ticks[-1], most)

    def place(rate: float) -> int:
        return RATE_FOOT - round(rate / full * (RATE_FOOT - RATE_TOP))

    parts = _grid((place(tick), f"{tick:,.4g}") for tick in ticks)
    edges = [_x(i * step, timeline) for i in range(len(buckets) + 1)]
    served = [place(b.ok / step) for b in buckets]
    parts.append(f'<path class="ok" d="{_steps(edges, served, [RATE_FOOT] * len(buckets))}"/>')
    if any(b.failed for b in buckets):
        # A single failure among thousands must not vanish.
        highs = [
            min(place((b.ok + b.failed) / step), y - 2) if b.failed else y for b, y in zip(buckets, served, strict=True)
        ]
        parts.append(f'<path class="no" d="{_steps(edges, highs, served)}"/><use href="#failed"/>')
    return parts


def _time(timeline: Timeline) -> list[str]:
    ticks = [
        (_x(tick, timeline), tick) for tick in round_ticks(timeline.seconds, 8) if tick <= timeline.seconds * 1.0001
    ]
    marks = "".join(f"M{x} {RATE_FOOT}v4" for x, _ in ticks)
    texts = "".join(f'<text x="{x}">{tick:,.6g}</text>' for x, tick in ticks)
    axis = f'<path d="M{LEFT} {RATE_FOOT}h{PLOT}{marks}"/><use href="#frame"/>'
    return [axis, f'<g class="m" transform="translate(0 {RATE_FOOT + 16})">{texts}</g>']


def _grid(lines: Iterable[tuple[int, str]]) -> list[str]:
    placed = list(lines)
    path = "".join(f"M{LEFT} {y}h{PLOT}" for y, _ in placed)
    texts = "".join(f'<text y="{y}">{text}</text>' for y, text in placed)
    return [f'<path d="{path}"/><g class="y" transform="translate({LEFT - 6} 4)">{texts}</g>']


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
        path = [f"M{edges[first]} {lows[first]}"]
        at = _walk(path, lows[first], [(highs[i], edges[i + 1] - edges[i]) for i in range(first, number)])
        _walk(path, at, [(lows[i], edges[i] - edges[i + 1]) for i in reversed(range(first, number))])
        parts.append("".join(path) + "z")
    return "".join(parts)


def _walk(path: list[str], at: int, bars: Sequence[tuple[int, int]]) -> int:
    """Append the steps over ``bars``, heights with widths; neighbours of one height are one step."""
    along = 0
    for height, width in bars:
        if height != at:
            path.append((f"h{along}" if along else "") + f"v{height - at}")
            at, along = height, 0
        along += width
    path.append(f"h{along}")
    return at


def _spoken(timeline: Timeline, bands: Sequence[_Band]) -> str:
    """The chart in a sentence, for those who do not see it."""
    highest = max((b.p99 for b in timeline.buckets if b.p99 is not None), default=0.0)
    failed = sum(b.failed for b in timeline.buckets)
    told = ", ".join(band.fault.label for band in bands) or "no fault"
    return f"Latency and throughput over {timeline.seconds:.1f} s: p99 up to {highest:.3f} s, {failed:,} failed; {told}"
