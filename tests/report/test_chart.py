"""The chart and its figures."""

import base64
import re
import struct
import xml.etree.ElementTree as ET
import zlib
from itertools import pairwise

import pytest

from pytest_enterprise.load.records import RecordWriter
from pytest_enterprise.report import chart, heatmap, labels, saturation, scales, traffic
from pytest_enterprise.report.parts import Cpu, Fault, Load, Moment

S = 1_000_000_000


def fault(kind="kill", target="a", began=2.0, ended=4.0, number=1):
    return Fault(
        id=f"{kind}-{number}", number=number, kind=kind, target=target, targets=(target,), settings={},
        began_ns=round(began * S), ended_ns=None if ended is None else round(ended * S), proof="acted", acted=True,
        evidence={},
    )  # fmt: skip


@pytest.fixture
def record(tmp_path):
    """A load of these requests: when sent, latency, error."""

    def make(requests, **fields):
        writer = RecordWriter(tmp_path / "load" / "l")
        for at, latency, error in requests:
            writer.add(round(at * S), latency, "GET /", error, 1)
        writer.close()
        told = {
            "id": "l", "locustfile": "", "users": 1, "host": "", "link": "", "closed_loop": True, "seconds": 1.0,
            "cpu_seconds": None, "recorded": traffic.read(tmp_path / "load" / "l"), "notes": (), **fields,
        }  # fmt: skip
        return Load(**told)

    return make


def decoded(picture, name):
    """The counts that a path of bars says, as the page's script reads them."""
    found, at = [], 0
    path = re.search(rf'class="{name}" d="(M0 0[^"]*)"', picture)[1]
    for rise, run, none in re.findall(r"v(-?\d+)(?:h(\d+))?|m(\d+) 0", path):
        at += int(rise or 0)
        found += [at] * int(run or none or 0)
    return found


def test_bars_say_every_count(record):
    """What was sent, answered and failed stands in the paths exactly, also where nothing was."""
    requests = [(i / 100, 0.3, "HTTP 503" if 300 < i < 500 else "") for i in range(1000) if not 600 < i < 800]
    load = record(requests)
    picture = chart.render(load, [])
    buckets = load.recorded.timeline.buckets
    assert decoded(picture, "sent") == [b.sent for b in buckets]
    assert decoded(picture, "ok") == [b.answered for b in buckets]
    assert decoded(picture, "no") == [b.refused for b in buckets]
    assert 0 in decoded(picture, "sent")


def test_a_line_is_broken_where_nothing_was_sent(record):
    """A gap in the load is a gap in the percentiles, not a line across it."""
    load = record([(i / 100, 0.01, "") for i in range(1000) if not 400 < i < 700])
    path = re.search(r'class="p99" d="([^"]*)"', chart.render(load, []))[1]
    assert path.count("M") == 2


def test_the_loop_is_told_in_every_chart(record):
    """Open or closed loop stands in the chart itself and in what is read aloud."""
    requests = [(i / 100, 0.01, "") for i in range(100)]
    for closed, word in ((True, "closed"), (False, "open")):
        picture = chart.render(record(requests, closed_loop=closed), [], alone=True)
        assert f'<use href="#ms-{word}"/>' in picture
        assert f"{word} loop: p99" in picture


def test_the_moment_of_recovery_is_marked(record):
    """A measured moment has its line and its words; one outside of the load has none."""
    load = record([(i / 100, 0.01, "") for i in range(1000)])
    moments = [Moment(at_ns=round(4.5 * S), text="served again after 0.500 s"), Moment(at_ns=99 * S, text="too late")]
    picture = chart.render(load, [fault()], moments)
    x = labels.LEFT + round(4.5 / load.recorded.timeline.seconds * labels.PLOT)
    assert f'<path class="g" d="M{x} ' in picture
    assert picture.count("served again after 0.500 s") == 2  # for eyes and ears
    assert "too late" not in picture


def test_cpu_is_drawn_where_it_was_sampled(record):
    """CPU has a panel of its own up to all of the machine's cores, and none without samples."""
    requests = [(i / 100, 0.01, "") for i in range(1000)]
    without = chart.render(record(requests), [], cpus=4)
    samples = tuple(Cpu(i * S, 0.5 + i / 20, 1.5) for i in range(1, 9))
    drawn = chart.render(record(requests, cpu=samples), [], cpus=4)
    assert '<use href="#cpu"/>' in drawn
    assert drawn.count('class="generator"') == drawn.count('class="engines"') == 1
    assert "#cpu" not in without


def test_a_silence_at_the_end_belongs_to_the_picture(record):
    """Users that all hang at the end leave empty buckets, not a chart that ends before them, and a backlog."""
    recorded = record([(i / 100, 0.01, "") for i in range(200)] + [(2, 5.0, "Timeout")] * 3).recorded
    assert recorded.timeline.seconds == pytest.approx(7, abs=0.3)
    buckets = recorded.timeline.buckets
    assert traffic.runs(buckets) == [(0, next(i for i, b in enumerate(buckets) if b.p50 is None))]
    assert buckets[-3].under_way == 3


def test_the_heat_map_is_a_picture(record):
    """The picture is a whole PNG, whose cells follow the counts and whose dashes follow the failures."""
    load = record([(i / 100, 0.01 + i % 7 / 100, "HTTP 503" if i > 900 else "") for i in range(1000)])
    line = load.recorded.timeline
    data = base64.b64decode(heatmap.address(line).partition(",")[2])
    chunks, at = {}, 8
    while at < len(data):
        (length,) = struct.unpack(">I", data[at : at + 4])
        kind, body = data[at + 4 : at + 8], data[at + 8 : at + 8 + length]
        assert struct.unpack(">I", data[at + 8 + length : at + 12 + length])[0] == zlib.crc32(kind + body)
        chunks[kind] = body
        at += 12 + length
    width, height = struct.unpack(">II", chunks[b"IHDR"][:8])
    assert (width, height) == (len(line.buckets), 3 * traffic.ROWS)
    raw, size = zlib.decompress(chunks[b"IDAT"]), (width + 1) // 2 + 1
    for number, column in enumerate(line.heat):
        for row, count in enumerate(column):
            y = 3 * (traffic.ROWS - 1 - row)
            pixels = [raw[(y + i) * size + 1 + number // 2] >> (0 if number % 2 else 4) & 15 for i in range(3)]
            assert pixels[0] == pixels[2] == heatmap.shade(count, heatmap.most(line))
            assert (pixels[0] > 0) == (count > 0)
            assert (pixels[1] == len(heatmap.SHADES) + 1) == (line.failed_heat[number][row] > 0)


def test_bands_lie_inside_the_plot(record):
    """Bands are clipped to the plot, and a fault outside the load has none."""
    load = record([(i / 100, 0.01, "") for i in range(1000)])
    faults = [fault(began=-3, ended=1), fault(began=9, ended=None), fault(began=30, ended=31), fault(began=5, ended=5)]
    picture = chart.render(load, faults, alone=True)
    ET.fromstring(picture)
    bands = re.findall(r'class="b" d="M(\d+) 0h(\d+)V', picture)
    assert len(bands) == 3
    for left, width in bands:
        assert labels.LEFT <= int(left) < int(left) + int(width) <= labels.LEFT + labels.PLOT
        assert int(width) >= 2


def test_labels_of_bands_never_overlap(record):
    """Many faults share the rows above the chart, by number where their names find no room."""
    load = record([(i / 100, 0.01, "") for i in range(1000)])
    faults = [fault("latency", "agent-service-1 -> postgres", i / 3, i / 3 + 0.1, i + 1) for i in range(30)]
    picture = chart.render(load, faults)
    spans = {}
    for kind, x, y, text in re.findall(r'<text class="f( y)?" x="(\d+)" y="(-?\d+)">([^<]*)', picture):
        width = len(text.replace("&gt;", ">")) * 6.3
        left = int(x) - width if kind else int(x)
        assert left >= 0
        assert left + width <= labels.WIDTH
        spans.setdefault(y, []).append((left, left + width))
    assert 1 <= len(spans) <= 4
    for row in spans.values():
        row.sort()
        assert all(a[1] <= b[0] for a, b in pairwise(row))


def test_one_failure_among_thousands_is_drawn(record):
    """The bar of a single failure is there; its outline makes it visible however low it is."""
    picture = chart.render(record([(i / 2000, 0.01, "HTTP 500" if i == 7000 else "") for i in range(20000)]), [])
    assert sum(decoded(picture, "no")) == 1
    assert "stroke: var(--bad)" in chart.STYLE


def test_hostile_names_stay_text(record):
    """A target's name cannot become markup."""
    load = record([(i / 100, 0.01, "") for i in range(1000)])
    assert "<script" not in chart.render(load, [fault(target='"><script>alert(1)</script>')])


@pytest.mark.parametrize("high", [0.0003, 0.9, 1, 7, 123, 99_000])
def test_ticks_are_round_and_reach_the_top(high):
    """Ticks begin at 0, are evenly spaced and end at or just above the highest value."""
    ticks = scales.round_ticks(high, 5)
    assert ticks[0] == 0
    assert ticks[-1] >= high * 0.999
    assert len(ticks) <= 7


def test_cpu_between_samples():
    """Cores are what was used between two samples; a start does not count, and one that began anew counts from 0."""
    told = [
        {"t": 0, "generator": 1.0, "engines": {"a": 5.0}},
        {"t": 2 * S, "generator": 2.0, "engines": {"a": 6.0, "b": 9.0}},
        {"t": 3 * S, "generator": 2.5, "engines": {"a": 0.5, "b": 9.25}},
        {"t": 3 * S, "generator": "much", "engines": 7},
    ]
    found, busiest = saturation.read(told)
    assert found == (Cpu(2 * S, 0.5, 0.5), Cpu(3 * S, 0.5, 0.75))
    assert busiest == (("a", 0.5), ("b", pytest.approx(0.25 / 3)))
    assert saturation.read(told[:1]) == ((), ())


def test_a_brief_chart_has_what_users_felt(record):
    """In a large run what held is drawn with latency and rates only, without backlog and CPU."""
    load = record([(i / 100, 0.01, "") for i in range(1000)], cpu=(Cpu(S, 1.0, 1.0), Cpu(2 * S, 1.0, 1.0)))
    brief, full = chart.render(load, [], brief=True), chart.render(load, [])
    assert decoded(brief, "sent") == decoded(full, "sent")
    assert 'class="ht"' in brief
    for part in ('class="p95"', 'class="wt"', "#cpu"):
        assert part in full
        assert part not in brief
