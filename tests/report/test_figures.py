"""The figures of a load against brute force, and files as crashes leave them."""

import math
import struct
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_enterprise.load.columns import Columns
from pytest_enterprise.load.records import RECORD, RecordWriter, Request
from pytest_enterprise.load.statistics import percentile
from pytest_enterprise.objectives.phases import Observed, Window
from pytest_enterprise.report import figures, scales, traffic

S = 1_000_000_000
ENDPOINTS = ("GET /", "POST /tasks", "GET /tasks/{id}")
requests = st.lists(
    st.builds(
        Request,
        st.integers(0, 20 * S),
        st.integers(0, 30_000_000).map(lambda micros: micros / 1e6),
        st.sampled_from(ENDPOINTS),
        st.sampled_from(("", "", "HTTP 503", "Timeout")),
        st.just(1),
    ),
    min_size=1,
    max_size=300,
)


def percentiles(latencies):
    return tuple(percentile(sorted(latencies), percent) for percent in (50, 95, 99))


@settings(max_examples=60, deadline=None)
@given(requests, st.integers(20, 150))
def test_the_timeline_is_what_counting_gives(made, most):
    """Each bucket holds exactly what was sent, failed and answered in it, and what had not been answered at its end."""
    line = figures.timeline(Columns.of(made), most)
    first = min(r.start for r in made)
    assert line.began_ns == first
    assert len(line.buckets) <= most + 1
    width = round(line.step * S)
    last = len(line.buckets) - 1
    for number, bucket in enumerate(line.buckets):
        sent = [r for r in made if (r.start - first) // width == number]
        ended = [r for r in made if min((r.end - first) // width, last) == number]
        assert (bucket.sent, bucket.failed) == (len(sent), sum(bool(r.error) for r in sent))
        assert (bucket.answered, bucket.refused) == (len(ended), sum(bool(r.error) for r in ended))
        begun = sum((r.start - first) // width <= number for r in made)
        assert bucket.under_way == begun - sum(min((r.end - first) // width, last) <= number for r in made)
        assert (bucket.p50, bucket.p95, bucket.p99) == pytest.approx(percentiles([r.latency for r in sent]))
        assert sum(line.heat[number]) == len(sent)
        assert sum(line.failed_heat[number]) == bucket.failed if line.failed_heat else bucket.failed == 0
    assert line.buckets[-1].under_way == 0


@settings(max_examples=40, deadline=None)
@given(requests)
def test_the_heat_map_puts_each_request_in_its_row(made):
    """A cell counts the requests between its edges, the lowest row those below and the highest those above too."""
    line = figures.timeline(Columns.of(made), 40)
    borders = [int(edge * 1e6) for edge in line.axis.edges(traffic.ROWS)]
    width = round(line.step * S)
    wanted = Counter(
        ((r.start - line.began_ns) // width, sum(round(r.latency * 1e6) >= border for border in borders)) for r in made
    )
    found = {
        (number, row): count for number, column in enumerate(line.heat) for row, count in enumerate(column) if count
    }
    assert found == dict(wanted)


@settings(max_examples=40, deadline=None)
@given(requests, st.integers(0, 20), st.integers(0, 20))
def test_around_a_fault_is_what_objectives_are_judged_by(made, began, lasted):
    """Before, during and after hold the requests that the rules of the phases put there, endpoint by endpoint."""
    window = Window("f-1", "kill", "a", began * S, (began + lasted) * S)
    told = figures.around(Columns.of(made), [window], ENDPOINTS)
    observed = Observed(made, [window])
    if not told:
        assert observed.span is not None
        assert window.began_ns >= observed.span[1] or window.ended_ns < observed.span[0]
        return
    [(fault, lines)] = told
    assert fault == "f-1"
    by_name = {line.name: line for line in lines}
    for phase in ("before", "during", "after"):
        part = list(observed.phase(phase, window).requests)
        for name in ("all", *ENDPOINTS):
            mine = [r for r in part if name in ("all", r.name)]
            summary = getattr(by_name[name], phase) if name in by_name else None
            if not mine:
                assert summary is None
                continue
            assert (summary.count, summary.failures) == (len(mine), sum(bool(r.error) for r in mine))
            assert (summary.p50, summary.p95, summary.p99) == pytest.approx(percentiles([r.latency for r in mine]))
            assert summary.maximum == pytest.approx(max(r.latency for r in mine))


@pytest.fixture
def write(tmp_path):
    def make(rows, path=tmp_path / "load" / "l"):
        writer = RecordWriter(path)
        for start, latency, name, error in rows:
            writer.add(start, latency, name, error, 1)
        writer.close()
        return path

    return make


def test_one_request_only(write):
    """A single request is a load: one bucket at least, all percentiles its latency."""
    recorded = traffic.read(write([(5 * S, 0.02, "GET /", "")]))
    sent = [bucket for bucket in recorded.timeline.buckets if bucket.sent]
    assert [(b.sent, b.p50, b.p99) for b in sent] == [(1, 0.02, 0.02)]
    assert recorded.timeline.axis.low < 0.02 <= recorded.timeline.axis.high or recorded.timeline.axis.low == 0.02


def test_all_failed_at_once_and_took_no_time(write):
    """Latencies of 0 have a place on a logarithmic axis too."""
    recorded = traffic.read(write([(S + i, 0.0, "GET /", "ConnectionRefusedError") for i in range(50)]))
    assert (recorded.requests, recorded.failures) == (50, 50)
    assert sum(map(sum, recorded.timeline.failed_heat)) == 50
    assert recorded.errors == (("GET /", "ConnectionRefusedError", 50),)


def test_huge_latencies(write):
    """A request that hung for the longest that a record can tell makes the chart long, not wrong."""
    recorded = traffic.read(write([(0, 5000.0, "GET /", "Timeout"), *((i * S, 0.001, "GET /", "") for i in range(60))]))
    line = recorded.timeline
    assert line.seconds >= 4294
    assert len(line.buckets) <= 151
    assert line.axis.high >= 4294
    assert line.buckets[-2].under_way == 1


@pytest.mark.parametrize("size", [0, 1, 19])
def test_a_file_without_a_whole_record(write, size):
    """A load that was killed before its first record was whole has no request, and that is said."""
    path = write([])
    path.with_suffix(".requests").write_bytes(b"\1" * size)
    recorded = traffic.read(path)
    assert recorded.timeline is None
    assert "no request was recorded" in recorded.notes
    assert ("ends within a record" in " ".join(recorded.notes)) == (size > 0)


def test_a_time_that_no_clock_shows_is_left_out(write):
    """A damaged record neither stretches the chart over centuries nor hides the others."""
    path = write([(S + i, 0.01, "GET /", "") for i in range(100)])
    with path.with_suffix(".requests").open("ab") as file:
        file.write(RECORD.pack((1 << 64) - 1, 1, 0, 0, 1) + RECORD.pack(1 << 62, 1, 0, 0, 1))
    recorded = traffic.read(path)
    assert recorded.requests == 100
    assert recorded.timeline.seconds < 10
    assert "2 requests have a time that no clock shows" in recorded.notes[0]


def test_records_without_an_index_are_told_by_number(write):
    """Where the index is lost, requests are still counted, under numbers."""
    path = write([(S, 0.01, "GET /", "HTTP 500")])
    path.with_suffix(".index.jsonl").write_text("")
    recorded = traffic.read(path)
    assert [line.name for line in recorded.endpoints] == ["(name 0)"]
    assert recorded.errors == (("(name 0)", "(error 1)", 1),)


def test_names_that_nobody_grouped(write):
    """Thousands of endpoints do not make a table of thousands of lines; what is left out is said."""
    rows = [(i * 1000, 0.01, f"GET /tasks/{i}", "") for i in range(3000)] + [(0, 0.01, "GET /", "")] * 5
    recorded = traffic.read(write(rows))
    assert len(recorded.endpoints) == figures.ENDPOINTS
    assert "GET /" in [line.name for line in recorded.endpoints]
    assert "2,977 further endpoints" in recorded.notes[0]


def test_two_numbers_of_one_name_are_one_endpoint(write):
    """A generator that began anew gives a name a second number; it stays one endpoint."""
    path = write([(S, 0.01, "GET /", ""), (2 * S, 0.02, "POST /", "")])
    path.with_suffix(".index.jsonl").write_text('{"name": "GET /", "number": 0}\n{"name": "GET /", "number": 1}\n')
    [line] = traffic.read(path).endpoints
    assert (line.name, line.count, line.p50, line.maximum) == ("GET /", 2, 0.01, 0.02)


@settings(max_examples=200, deadline=None)
@given(st.floats(1e-6, 4000), st.floats(1, 1e9))
def test_the_latency_axis_shows_everything_between_round_numbers(low, ratio):
    """Both ends of the data lie on the axis, whose ticks are few, ascending and end at its ends."""
    high = min(low * ratio, 4294.0)
    axis = scales.latency_axis(low, max(low, high))
    assert axis.low <= low * 1.001
    assert axis.high >= max(low, high) * 0.999
    assert axis.low < axis.high
    assert list(axis.ticks) == sorted(set(axis.ticks))
    assert 2 <= len(axis.ticks) <= 13
    assert (axis.ticks[0], axis.ticks[-1]) == (axis.low, axis.high)
    assert 0 <= axis.share(low) <= axis.share(max(low, high)) <= 1
    assert math.isclose(axis.share(axis.high), 1)


def test_the_records_are_those_of_the_format(write):
    """What is read column by column is what the format says, record by record."""
    path = write([(7 * S, 0.25, "GET /", ""), (8 * S, 1.5, "GET /", "HTTP 500")])
    raw = path.with_suffix(".requests").read_bytes()
    assert [struct.unpack("<QIHHI", raw[i : i + 20])[:2] for i in (0, 20)] == [(7 * S, 250_000), (8 * S, 1_500_000)]
    assert np.array_equal(Columns.read(path).took, [250_000_000, 1_500_000_000])
