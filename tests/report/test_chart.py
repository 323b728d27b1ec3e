"""The chart and its figures."""

import re
import xml.etree.ElementTree as ET
from itertools import pairwise

import pytest

from pytest_enterprise.load.records import RecordWriter
from pytest_enterprise.report import chart, scales, traffic
from pytest_enterprise.report.parts import Fault

S = 1_000_000_000


def fault(kind="kill", target="a", began=2.0, ended=4.0, number=1):
    return Fault(
        id=f"{kind}-{number}", number=number, kind=kind, target=target, targets=(target,), settings={},
        began_ns=round(began * S), ended_ns=None if ended is None else round(ended * S), proof="acted", acted=True,
        evidence={},
    )  # fmt: skip


@pytest.fixture
def record(tmp_path):
    def make(requests):
        writer = RecordWriter(tmp_path / "load" / "l")
        for at, latency, error in requests:
            writer.add(round(at * S), latency, "GET /", error, 1)
        writer.close()
        return traffic.read(tmp_path / "load" / "l")

    return make


def test_buckets_count_every_request_once(record):
    """The buckets together hold every request, failed ones apart, and percentiles are exact."""
    recorded = record([(i / 100, (i % 100 + 1) / 1000, "HTTP 503" if i % 10 == 0 else "") for i in range(1000)])
    buckets = recorded.timeline.buckets
    assert sum(b.ok for b in buckets) == 900
    assert sum(b.failed for b in buckets) == recorded.failures == 100
    assert len(buckets) <= 151
    assert recorded.endpoints[0].p99 == pytest.approx(0.099)
    assert recorded.errors == (("GET /", "HTTP 503", 100),)


def test_a_silence_at_the_end_belongs_to_the_picture(record):
    """Users that all hang at the end leave empty buckets, not a chart that ends before them."""
    recorded = record([(i / 100, 0.01, "") for i in range(200)] + [(2, 5.0, "Timeout")] * 3)
    assert recorded.timeline.seconds == pytest.approx(7, abs=0.3)
    assert traffic.runs(recorded.timeline.buckets) == [(0, next(
        i for i, b in enumerate(recorded.timeline.buckets) if b.p50 is None))]  # fmt: skip


def test_bands_lie_inside_the_plot(record):
    """Bands are clipped to the plot, and a fault outside the load has none."""
    recorded = record([(i / 100, 0.01, "") for i in range(1000)])
    faults = [fault(began=-3, ended=1), fault(began=9, ended=None), fault(began=30, ended=31), fault(began=5, ended=5)]
    picture = chart.render(recorded.timeline, faults, alone=True)
    ET.fromstring(picture)
    bands = re.findall(r'class="b" d="M(\d+) 0h(\d+)v', picture)
    assert len(bands) == 3
    for left, width in bands:
        assert chart.LEFT <= int(left) < int(left) + int(width) <= chart.LEFT + chart.PLOT
        assert int(width) >= 2


def test_labels_of_bands_never_overlap(record):
    """Many faults share the rows above the chart, by number where their names find no room."""
    recorded = record([(i / 100, 0.01, "") for i in range(1000)])
    faults = [fault("latency", "agent-service-1 -> postgres", i / 3, i / 3 + 0.1, i + 1) for i in range(30)]
    picture = chart.render(recorded.timeline, faults)
    spans = {}
    for kind, x, y, text in re.findall(r'<text class="f( y)?" x="(\d+)" y="(-?\d+)">([^<]*)', picture):
        width = len(text.replace("&gt;", ">")) * 6.3
        left = int(x) - width if kind else int(x)
        assert left >= 0
        assert left + width <= chart.WIDTH
        spans.setdefault(y, []).append((left, left + width))
    assert 1 <= len(spans) <= 4
    for row in spans.values():
        row.sort()
        assert all(a[1] <= b[0] for a, b in pairwise(row))


def test_one_failure_among_thousands_is_seen(record):
    """The bar of a single failure is at least two units high."""
    recorded = record([(i / 2000, 0.01, "HTTP 500" if i == 7000 else "") for i in range(20000)])
    picture = chart.render(recorded.timeline, [])
    path = re.search(r'class="no" d="M\d+ \d+v-(\d+)', picture)
    assert path is not None
    assert int(path[1]) >= 2


def test_hostile_names_stay_text(record):
    """A target's name cannot become markup."""
    recorded = record([(i / 100, 0.01, "") for i in range(1000)])
    assert "<script" not in chart.render(recorded.timeline, [fault(target='"><script>alert(1)</script>')])


@pytest.mark.parametrize("high", [0.0003, 0.9, 1, 7, 123, 99_000])
def test_ticks_are_round_and_reach_the_top(high):
    """Ticks begin at 0, are evenly spaced and end at or just above the highest value."""
    ticks = scales.round_ticks(high, 5)
    assert ticks[0] == 0
    assert ticks[-1] >= high * 0.999
    assert len(ticks) <= 7


def test_scale_turns_logarithmic_where_the_lowest_would_vanish():
    """A ratio above 30 is shown logarithmically, all of it within the panel."""
    assert not scales.scale(0.01, 0.2, 170).logarithmic
    wide = scales.scale(0.004, 2.3, 170)
    assert wide.logarithmic
    assert 0 <= wide.place(0.004) < wide.place(2.3) <= 170
