"""What the page is computed from: seconds of a load that runs, verdicts of the last seconds and during faults."""

from __future__ import annotations

import random

import pytest

from pytest_enterprise.errors import ConfigurationError
from pytest_enterprise.load import statistics
from pytest_enterprise.load.records import RecordWriter, read
from pytest_enterprise.load.web import objectives, series
from pytest_enterprise.load.web.series import Series
from pytest_enterprise.objectives import Availability, Latency, Recovery, Throughput, Window

S = 1_000_000_000
BEGAN = 5 * S


@pytest.fixture
def writer(tmp_path):
    writer = RecordWriter(tmp_path / "load" / "users-1")
    yield writer
    writer.close()


@pytest.fixture
def follow(tmp_path):
    return lambda: Series(tmp_path / "load" / "users-1", BEGAN)


def test_seconds_are_those_of_the_finished_load(writer, follow):
    """Read bit by bit while it is written, the figures are those that the whole load has: exact."""
    rng = random.Random(7)
    live = follow()
    seen = {}
    for at in sorted(rng.uniform(0, 20) for _ in range(3_000)):
        writer.add(BEGAN + round(at * S), rng.expovariate(10), "GET /", "HTTP 503" if rng.random() < 0.1 else "", 5)
        if rng.random() < 0.01:
            writer.flush()
            live.poll()
            seen |= {second[0]: second for second in live.changed(live.version - 1)}
    writer.flush()
    live.poll()
    seen |= {second[0]: second for second in live.changed(live.version - 1)}
    for bucket in statistics.timeline(read(live.path), BEGAN, 1.0):
        _, sent, failed, *percentiles = seen[(bucket.start - BEGAN) // S]
        assert (sent, failed) == (bucket.count, bucket.failures)
        assert percentiles == pytest.approx([bucket.p50, bucket.p95, bucket.p99], abs=2e-6)
    assert sorted(seen.values()) == live.changed(0)


def test_nothing_recorded_yet_is_no_error(follow):
    live = follow()
    live.poll()
    assert (live.changed(0), len(live.between(BEGAN, None)), live.version) == ([], 0, 0)


def test_a_record_that_is_half_written_is_taken_later(writer, follow, tmp_path):
    for number in range(3):
        writer.add(BEGAN + number, 0.5, "GET /", "", 1)
    writer.flush()
    path = tmp_path / "load" / "users-1.requests"
    whole = path.read_bytes()
    path.write_bytes(whole[:50])
    live = follow()
    live.poll()
    assert live.changed(0) == [(0, 2, 0, 0.5, 0.5, 0.5)]
    path.write_bytes(whole)
    live.poll()
    assert live.changed(1) == [(0, 3, 0, 0.5, 0.5, 0.5)]


def test_requests_between_two_moments_are_those_under_way_then(writer, follow):
    """One that began before and ended within, one within, and one that ended after; with their names and errors."""
    for start, latency, error in ((0, 1.0, ""), (1, 2.5, ""), (3.1, 0.1, "HTTP 503"), (3.5, 9.0, ""), (5, 0.1, "")):
        writer.add(BEGAN + round(start * S), latency, f"GET /{start}", error, 9)
    writer.flush()
    live = follow()
    live.poll()
    found = live.between(BEGAN + 3 * S, BEGAN + 4 * S)
    assert [(request.name, request.error) for request in found] == [
        ("GET /1", ""), ("GET /3.1", "HTTP 503"), ("GET /3.5", ""),
    ]  # fmt: skip


def test_what_is_kept_is_bounded(writer, follow, monkeypatch):
    """Old seconds and requests go; those that come too fast to be read are counted as skipped."""
    monkeypatch.setattr(series, "MOST", 1_000)
    monkeypatch.setattr(series, "KEPT", 10)
    for number in range(5_000):
        writer.add(BEGAN + number * S // 100, 0.01, "GET /", "", 1)
    writer.flush()
    live = follow()
    live.poll()
    assert live.skipped == 4_000
    assert [second[0] for second in live.changed(0)] == list(range(40, 50))
    for number in range(5_000, 8_000):
        writer.add(BEGAN + number * S // 100, 0.01, "GET /", "", 1)
        if number % 500 == 499:
            writer.flush()
            live.poll()
    assert live.skipped == 4_000
    assert [second[0] for second in live.changed(0)] == list(range(69, 80))
    assert 1_000 <= len(live.between(0, None)) < 1_500
    assert live.complete_from == BEGAN + 70 * S


@pytest.fixture
def judge():
    limits = (
        Availability(name="availability", at_least=0.99, phase="whole"),
        Latency(name="latency-p99", percentile=99, at_most=0.1, phase="whole"),
    )
    return objectives.Judge(limits, 5.0)


def outcomes(verdicts):
    return [verdict.outcome for verdict in verdicts]


def test_verdicts_follow_the_last_seconds_and_stay_with_the_fault(writer, follow, judge):
    """Broken while a fault slows everything, held again afterwards; what was felt in the fault is kept with it."""
    live = follow()

    def second(number, latency):
        for step in range(400):
            writer.add(BEGAN + number * S + step * S // 400, latency, "GET /", "", 1)
        writer.flush()
        live.poll()

    def at(number, *windows):
        judge._next = 0.0
        return judge.judge(live, windows, BEGAN + number * S)

    for number in range(5):
        second(number, 0.01)
    now, during = at(5)
    assert (outcomes(now), during) == (["held", "held"], {})
    slow = Window("f-1", "latency", "load -> shop", BEGAN + 5 * S, None)
    for number in range(5, 8):
        second(number, 0.2)
    now, during = at(8, slow)
    assert outcomes(now) == outcomes(verdict for _, verdict in during["f-1"]) == ["held", "broken"]
    ended = slow._replace(ended_ns=BEGAN + 8 * S)
    for number in range(8, 16):
        second(number, 0.01)
    now, during = at(16, ended)
    assert outcomes(now) == ["held", "held"]
    assert outcomes(verdict for _, verdict in during["f-1"]) == ["held", "broken"]
    assert during["f-1"][1][1].value == pytest.approx(0.2)


def test_too_few_requests_are_not_judged(writer, follow, judge):
    live = follow()
    for number in range(20):
        writer.add(BEGAN + number * S // 10, 0.01, "GET /", "", 1)
    writer.flush()
    live.poll()
    now, _ = judge.judge(live, (), BEGAN + 2 * S)
    assert outcomes(now) == ["not judged", "not judged"]
    told = objectives.told(judge.objectives[1], now[1])
    assert (told["name"], told["limit"], told["value"]) == ("latency-p99", "at most 0.100 s", "0.010 s")
    assert "300 needed" in told["detail"]


def test_a_fault_before_the_load_has_no_verdict(writer, follow, judge):
    writer.add(BEGAN, 0.01, "GET /", "", 1)
    writer.flush()
    live = follow()
    live.poll()
    _, during = judge.judge(live, [Window("f-1", "cut", "load -> shop", S, 2 * S)], BEGAN + S)
    assert during == {}


def test_what_is_claimed_of_another_time_is_not_judged_now(writer, follow):
    """Limits for a fault and for quiet times each wait for theirs; what needs the whole load is left to its end."""
    limits = (
        Availability(at_least=0.99, phase="during"),
        Availability(at_least=0.99, phase="before"),
        Recovery(within=1.0),
    )
    judge = objectives.Judge(limits, 5.0)
    for step in range(4_000):
        failed = 4 <= step / 400 < 6
        writer.add(BEGAN + step * S // 400, 0.01, "GET /", "HTTP 503" if failed else "", 1)
    writer.flush()
    live = follow()
    live.poll()
    now, _ = judge.judge(live, (), BEGAN + 3 * S)
    assert outcomes(now) == ["not judged", "held", "not judged"]
    assert "none was on in the last 5 s" in now[0].detail
    assert "judged when the load has ended" in now[2].detail
    judge.clear()
    now, during = judge.judge(live, [Window("f-1", "cut", "x", BEGAN + 4 * S, BEGAN + 6 * S)], BEGAN + 7 * S)
    assert outcomes(now) == ["broken", "not judged", "not judged"]
    assert now[0].value == pytest.approx(0, abs=0.02)
    assert [limit.name for limit, _ in during["f-1"]] == ["availability-during"]


def test_objectives_are_those_of_the_project(tmp_path):
    """By the names of groups in pyproject.toml, several too; none: defaults."""
    (tmp_path / "pyproject.toml").write_text(
        "[tool.pytest-enterprise.objectives.a]\nquick = {kind = 'Latency', at_most = 0.25}\n"
        "[tool.pytest-enterprise.objectives.b]\nmany = {kind = 'Throughput', at_least = 100}\n"
    )
    assert objectives.read(["a", "b"], tmp_path) == (
        Latency(name="quick", at_most=0.25),
        Throughput(name="many", at_least=100),
    )
    assert objectives.read([], tmp_path) == objectives.DEFAULT
    with pytest.raises(ConfigurationError, match="there are no objectives 'c'"):
        objectives.read(["c"], tmp_path)


@pytest.mark.parametrize("window", ["0", "-1", "601", "nan", "x", ""])
def test_a_window_that_cannot_be_is_refused(window):
    with pytest.raises(ConfigurationError, match="above 0, up to 600"):
        objectives.seconds(window)
    assert objectives.seconds(None) == 60
