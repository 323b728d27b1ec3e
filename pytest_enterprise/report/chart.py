"""One chart of one load as SVG: what users felt over time, faults as bands, the measured moment of recovery marked.

From the top: latency as a heat map with its percentiles; requests sent against those answered; how many were waiting
for an answer; CPU of the generator and of the engines, where it was sampled. A brief chart, for the many loads of a
large run in which all was well, has the first two only.

Colours are classes of the page's style sheet, so that it follows light, dark and print. Nothing is told by colour
alone: lines differ in width and dash and carry their name, failures are darker and stand at the foot.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape
from pathlib import Path

from pytest_enterprise.report import heatmap, labels, paths
from pytest_enterprise.report.labels import LEFT, PLOT, RIGHT, ROW, WIDTH, Band, x_of
from pytest_enterprise.report.parts import Cpu, Fault, Load, Moment
from pytest_enterprise.report.scales import round_ticks
from pytest_enterprise.report.traffic import Bucket, Timeline

FOOT = 170
"""Of the latency panel, whose top is at 0; the labels of the faults and the heading stand above it."""
FINE = 4
"""Steps of one unit of height in which percentiles are drawn: less than a percent of the value."""
_GAP = 30
"""Between two panels, for the heading of the lower one."""
_FLOW, _WAITING, _CPU = 76, 38, 48
"""Heights of the panels below."""
_FLOW_TOP = FOOT + _GAP
_WAITING_TOP = _FLOW_TOP + _FLOW + _GAP
_WAITING_FOOT = _WAITING_TOP + _WAITING
_CPU_TOP = _WAITING_FOOT + _GAP
_CPU_FOOT = _CPU_TOP + _CPU
_TITLE = 24
_FOLDER = Path(__file__).parent / "templates"

STYLE = (_FOLDER / "chart.css").read_text(encoding="utf-8")
"""For the page; needs the colours --paper --ink --soft --rule --band --edge --line --area --bad --good."""
_SIDE = WIDTH - RIGHT
"""x of the right end of the plot."""
_SAMPLES = (
    *(
        (name, f'<path class="{name}" d="M{_SIDE + 5} 0h18"/>')
        for name in ("p50", "p95", "p99", "generator", "engines")
    ),
    *((name, f'<path class="{name}" d="M{_SIDE + 5} -4h18v8h-18z"/>') for name in ("ok", "no")),
)
_WORDS = {"ok": "answered", "no": "failed"}
_HEADING = -9
SHARED = (
    "".join(
        f'<g id="{name}" class="ch">{sample}<text x="{_SIDE + 27}" y="4">{_WORDS.get(name, name)}</text></g>'
        for name, sample in _SAMPLES
    )
    + "".join(
        f'<g id="{unit}-{loop}" class="ch"><text class="h" x="{LEFT}" y="{_HEADING}">'
        f"latency, {unit}, logarithmic; {loop} loop</text></g>"
        for unit in ("ms", "s")
        for loop in ("open", "closed")
    )
    + f'<g id="frame" class="ch"><path d="M{LEFT} {_FLOW_TOP + _FLOW}h{PLOT}"/>'
    f'<text class="h" x="{LEFT}" y="{_FLOW_TOP - 8}">sent and answered, requests per second</text>'
    f'<path class="sent" d="M{_SIDE + 5} {_FLOW_TOP + 12}h18"/><text x="{_SIDE + 27}" y="{_FLOW_TOP + 16}">sent</text>'
    f'<use href="#ok" y="{_FLOW_TOP + 28}"/>'
    f'<text class="y" x="{LEFT - 6}" y="{_FLOW_TOP + _FLOW + 4}">0</text>'
    f'<text class="u y" x="{_SIDE - 64}" y="{_HEADING}">requests in a cell: 1</text>'
    + "".join(
        f'<path style="fill:rgb{heatmap.BLUE};fill-opacity:{alpha / 255:.2f};stroke:none" '
        f'd="M{_SIDE - 60 + number * 12} {_HEADING - 8}h12v9h-12z"/>'
        for number, alpha in enumerate(heatmap.SHADES)
    )
    + f'</g><g id="dash" class="ch">'
    f'<path style="fill:rgb{heatmap.RED};stroke:none" d="M{_SIDE - 284} {_HEADING - 5}h12v3h-12z"/>'
    f'<text class="u" x="{_SIDE - 268}" y="{_HEADING}">some failed</text></g>'
    f'<g id="waiting" class="ch"><path d="M{LEFT} {_WAITING_FOOT}h{PLOT}"/>'
    f'<text class="h" x="{LEFT}" y="{_WAITING_TOP - 8}">waiting for an answer, requests</text>'
    f'<text class="y" x="{LEFT - 6}" y="{_WAITING_FOOT + 4}">0</text></g>'
    f'<g id="cpu" class="ch"><path d="M{LEFT} {_CPU_FOOT}h{PLOT}"/>'
    f'<text class="h" x="{LEFT}" y="{_CPU_TOP - 8}">CPU, cores of the machine</text>'
    f'<text class="y" x="{LEFT - 6}" y="{_CPU_FOOT + 4}">0</text></g>'
    f'<g id="time" class="ch"><path d="M{LEFT} 0h{PLOT}"/>'
    f'<text class="u m" x="{LEFT + PLOT // 2}" y="31">seconds since the load began</text></g>'
)
"""Once in a page: what all charts have in common."""
_ALONE = (
    "svg{--paper:#fff;--ink:#1b1f24;--soft:#57606a;--rule:#d0d7de;--band:#f5dfb8;--edge:#8a5a00;--line:#0b4f9e;--area:#c9def5;"
    "--bad:#b3261e;--good:#116329;background:#fff}"
)


def render(
    load: Load,
    faults: Sequence[Fault],
    moments: Sequence[Moment] = (),
    *,
    cpus: int | None = None,
    brief: bool = False,
    alone: bool = False,
) -> str:
    """The chart as an ``<svg>`` element, empty where nothing was recorded.

    ``moments`` are marked, ``cpus`` is the number of the machine's. ``alone`` makes it a picture of its own, with its
    colours.
    """
    timeline = load.recorded.timeline
    if timeline is None:
        return ""
    shown, measured = labels.bands(timeline, faults), labels.marks(timeline, moments)
    placed, rows = labels.place(shown, measured)
    above = _TITLE + rows * ROW
    foot = _FLOW_TOP + _FLOW
    lines: list[tuple[int, str]] = []
    names = ("p50", "p99") if brief else ("p50", "p95", "p99")
    panels = ['<use href="#frame"/>', *_latency(timeline, load.loop, names, lines), *_flow(timeline, lines)]
    if not brief:
        panels.append(_waiting(timeline, lines))
        foot = _WAITING_FOOT
        if cpu := _within(load.cpu, timeline):
            panels += _saturation(cpu, timeline, cpus, lines)
            foot = _CPU_FOOT
    total = foot + 36
    size = f' xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{total + above}"' if alone else ""
    defined = f"<style>{_ALONE}{STYLE}</style><defs>{SHARED}</defs>" if alone else ""
    edges = "".join(
        f'<path class="{"g" if label.measured else "e"}" d="M{label.edge} {labels.height(label, rows) + 4}V{foot}"/>'
        for label in placed
    )
    return "".join(
        (
            f'<svg class="ch" viewBox="0 -{above} {WIDTH} {total + above}" role="img" ',
            f'data-c="{timeline.step} {len(timeline.buckets)} {timeline.axis.low:g} {timeline.axis.high:g}" ',
            f'aria-label="{escape(_spoken(timeline, load, shown, measured))}"{size}>{defined}',
            *(f'<path class="b" d="M{band.left} 0h{band.right - band.left}V{foot}H{band.left}z"/>' for band in shown),
            *panels,
            *_grid(lines),
            *_time(timeline, foot),
            # The lines first: a label keeps clear of those that pass behind it by its outline.
            edges,
            *(_text(label, rows) for label in placed),
            "</svg>",
        )
    )


def _text(label: labels.Label, rows: int) -> str:
    x, side = (label.edge + 3, "") if label.right else (label.edge - 3, " y")
    kind = " r" if label.measured else ""
    return f'<text class="f{side}{kind}" x="{x}" y="{labels.height(label, rows)}">{escape(label.text)}</text>'


def _latency(timeline: Timeline, loop: str, names: Sequence[str], lines: list[tuple[int, str]]) -> list[str]:
    buckets, axis = timeline.buckets, timeline.axis
    unit, factor = ("s", 1.0) if axis.high >= 10 else ("ms", 1e3)

    def height(latency: float) -> int:
        return round((1 - axis.share(latency)) * FOOT * FINE)

    heading = f'<use href="#{unit}-{loop.split()[0]}"/>'
    parts = [f'{heading}<text class="u" x="{_SIDE + 4}" y="{_HEADING}">{heatmap.most(timeline):,}</text>']
    if timeline.failed_heat:
        parts.append('<use href="#dash"/>')
    lines += ((round(height(tick) / FINE), f"{tick * factor:,.4g}") for tick in axis.ticks)
    parts.append(f'<image class="ht" preserveAspectRatio="none" href="{heatmap.address(timeline)}"/>')
    found = ((name, paths.percentiles(buckets, name, height)) for name in names)
    drawn = "".join(f'<path class="{name}" d="{path}"/>' for name, path in found)
    parts.append(_scaled(drawn, timeline, 0, 1 / FINE))
    last: Bucket = next(bucket for bucket in reversed(buckets) if bucket.sent)
    ends = [(round(height(getattr(last, name)) / FINE), name) for name in names]
    return parts + _names(ends, 4, FOOT - 4)


def _names(ends: Sequence[tuple[int, str]], top: int, foot: int) -> list[str]:
    """The lines' names behind their ends with a sample of each, pushed apart where they would overlap."""
    order = sorted(ends, key=lambda end: end[1], reverse=True)
    order.sort(key=lambda end: end[0])  # of equals the highest percentile stands first
    heights: list[int] = []
    for y, _name in order:
        heights.append(max(y, heights[-1] + 13 if heights else top))
    for i in reversed(range(len(heights))):
        heights[i] = min(heights[i], heights[i + 1] - 13 if i + 1 < len(heights) else foot)
    return [f'<use href="#{name}" y="{y}"/>' for y, (_, name) in zip(heights, order, strict=True)]


def _flow(timeline: Timeline, lines: list[tuple[int, str]]) -> list[str]:
    """Arrivals against completions: where the line stands above the area, a backlog grows."""
    buckets, step, foot = timeline.buckets, timeline.step, _FLOW_TOP + _FLOW
    most = max(max(b.sent, b.answered) for b in buckets) / step
    ticks = round_ticks(most, 2)
    full = max(ticks[-1], most)
    lines += ((foot - round(tick / full * _FLOW), f"{tick:,.4g}") for tick in ticks[1:])
    parts = []
    drawn = f'<path class="ok" d="{paths.steps([b.answered for b in buckets])}"/>'
    if any(b.refused for b in buckets):
        drawn += f'<path class="no" d="{paths.steps([b.refused for b in buckets])}"/>'
        parts.append(f'<use href="#no" y="{_FLOW_TOP + 44}"/>')
    drawn += f'<path class="sent" d="{paths.steps([b.sent for b in buckets])}"/>'
    return [*parts, _scaled(drawn, timeline, foot, -_FLOW / (full * step))]


def _waiting(timeline: Timeline, lines: list[tuple[int, str]]) -> str:
    full = round_ticks(max(1, *(b.under_way for b in timeline.buckets)), 2)[-1]
    drawn = f'<path class="wt" d="{paths.level([b.under_way for b in timeline.buckets])}"/>'
    lines.append((_WAITING_TOP, f"{full:,.4g}"))
    return '<use href="#waiting"/>' + _scaled(drawn, timeline, _WAITING_FOOT, -_WAITING / full)


def _within(samples: Sequence[Cpu], timeline: Timeline) -> list[Cpu]:
    began, ended = timeline.began_ns, timeline.began_ns + timeline.seconds * 1e9
    return [sample for sample in samples if began <= sample.at_ns <= ended]


def _saturation(
    samples: Sequence[Cpu], timeline: Timeline, cpus: int | None, lines: list[tuple[int, str]]
) -> list[str]:
    """CPU in cores; its axis reaches up to all of the machine's, where they are known."""
    most = max(max(sample.generator, sample.engines) for sample in samples)
    full = max(float(cpus or 0), most, 0.1)
    lines.append((_CPU_TOP, f"{full:.3g}"))
    parts, ends = ['<use href="#cpu"/>'], []
    for name in ("generator", "engines"):
        points = [
            (
                x_of((sample.at_ns - timeline.began_ns) / 1e9, timeline),
                _CPU_FOOT - round(getattr(sample, name) / full * _CPU),
            )
            for sample in samples
        ]
        parts.append(f'<path class="{name}" d="{paths.line(points)}"/>')
        ends.append((points[-1][1], name))
    return parts + _names(ends, _CPU_TOP + 4, _CPU_FOOT - 2)


def _scaled(drawn: str, timeline: Timeline, foot: int, factor: float) -> str:
    """Paths whose x counts buckets and whose y is scaled by ``factor``."""
    along = PLOT / len(timeline.buckets)
    return f'<g class="k" transform="translate({LEFT} {foot}) scale({along:.5g} {factor:.4g})">{drawn}</g>'


def _time(timeline: Timeline, foot: int) -> list[str]:
    ticks = [(x_of(at, timeline), at) for at in round_ticks(timeline.seconds, 6) if at <= timeline.seconds * 1.0001]
    texts = "".join(f'<text x="{x}">{tick:,.6g}</text>' for x, tick in ticks)
    return [f'<g class="m" transform="translate(0 {foot + 16})">{texts}</g><use href="#time" y="{foot}"/>']


def _grid(lines: Iterable[tuple[int, str]]) -> list[str]:
    placed = list(lines)
    path = "".join(f"M{LEFT} {y}h{PLOT}" for y, _ in placed)
    texts = "".join(f'<text y="{y}">{text}</text>' for y, text in placed)
    return [f'<path d="{path}"/><g class="y" transform="translate({LEFT - 6} 4)">{texts}</g>']


def _spoken(timeline: Timeline, load: Load, shown: Sequence[Band], measured: Sequence[tuple[int, Moment]]) -> str:
    """The chart in a sentence, for those who do not see it."""
    highest = max((b.p99 for b in timeline.buckets if b.p99 is not None), default=0.0)
    failed = sum(b.failed for b in timeline.buckets)
    waiting = max(b.under_way for b in timeline.buckets)
    told = [band.fault.label for band in shown] or ["no fault"]
    told += [moment.text for _, moment in measured]
    return (
        f"{timeline.seconds:.1f} s, {load.loop}: p99 up to {highest:.3f} s, {failed:,} failed, up to {waiting:,} "
        f"waiting; {', '.join(told)}"
    )
