"""The ``objectives`` fixture and what it says."""

from __future__ import annotations

import json
from types import SimpleNamespace

import pytest

import pytest_enterprise
from pytest_enterprise.errors import ConfigurationError
from pytest_enterprise.load.columns import Columns
from pytest_enterprise.objectives import (
    Availability,
    Fact,
    Latency,
    ObjectiveBroken,
    ObjectiveNotJudged,
    Objectives,
    Recovery,
    Throughput,
)
from pytest_enterprise.objectives.message import doing
from pytest_enterprise.objectives.text import between, errors, quantity

S = 1_000_000_000
TEST = "scenarios/test_shop.py::test_cut"


class Load:
    def __init__(self, requests, started=0, stopped=0):
        self.started, self.stopped = started, stopped
        self._requests = requests

    def records(self):
        return self._requests


@pytest.fixture
def events():
    return []


@pytest.fixture
def judge(events):
    return Objectives(lambda kind, /, **fields: events.append({"kind": kind, **fields}), TEST, seed=7)


def test_what_holds_is_recorded_and_returned(judge, events, stream, window):
    """Each verdict becomes an event with the agreed fields and stays in ``verdicts``."""
    found = judge.check(Availability(at_least=0.99), Fact("lost", 0, 0), load=Load(stream(20)), faults=[window(5, 10)])
    assert found == judge.verdicts
    assert [event["kind"] for event in events] == ["objective.judged"] * 2
    wanted = {
        "test",
        "objective",
        "phase",
        "fault",
        "value",
        "limit",
        "comparison",
        "unit",
        "outcome",
        "samples",
        "detail",
    }
    assert all(wanted <= event.keys() for event in events)
    assert (events[0]["test"], events[0]["fault"], events[0]["outcome"]) == (TEST, "main-1", "held")


def test_everything_is_judged_before_it_raises(judge, events, stream, window):
    """The first broken objective hides none that stands behind it."""
    load = Load(stream(20, bad=lambda at: 5 <= at < 10))
    with pytest.raises(ObjectiveBroken) as raised:
        judge.check(
            Availability(at_least=0.99), Fact("lost", 0, 0), Recovery(within=1.0), load=load, faults=[window(5, 10)]
        )
    assert [event["outcome"] for event in events] == ["broken", "held", "broken"]
    assert [verdict.objective for verdict in raised.value.verdicts] == ["availability-during", "recovery"]
    assert isinstance(raised.value, AssertionError)


def test_the_message_reads_well(judge, stream, window):
    """Objective, value against limit with interval, count, the worst requests and what the fault did then, the seed."""
    load = Load(stream(20, bad=lambda at: 6 <= at < 7))
    with pytest.raises(ObjectiveBroken) as raised:
        judge.check(Availability(at_least=0.995), load=load, faults=[window(5, 10)])
    assert str(raised.value).splitlines() == [
        "availability-during: broken: 80.03 % (76.31 % to 83.3 %), limit at least 99.5 %, 501 samples",
        (
            "  100 of 501 requests failed (100 × HTTP 503); 95 % interval 76.31 % to 83.3 %; "
            "minimum detectable change 1.3 percentage points"
        ),
        "  during cut on a -> b (main-1), from 5.000 s to 10.000 s of the load",
        "  worst requests:",
        "    at 6.000 s  GET /  0.010 s  HTTP 503  1.000 s into cut on a -> b",
        "    at 6.010 s  GET /  0.010 s  HTTP 503  1.010 s into cut on a -> b",
        "    at 6.020 s  GET /  0.010 s  HTTP 503  1.020 s into cut on a -> b",
        "",
        "seed 7",
        "again: pytest scenarios/test_shop.py::test_cut --enterprise-seed=7",
    ]


def test_the_message_tells_the_faults_settings_and_the_trace_ids(judge, events, stream):
    """What the fault did, in what it was told to do; and under which id the service logged the worst requests."""

    class Traced(Load):
        def unexpected(self):
            found = [r for r in self._requests if r.error]
            return [
                *(
                    {"start": r.start, "name": r.name, "error": r.error, "trace_id": f"{i:032x}"}
                    for i, r in enumerate(found)
                ),
                {"left_out": 7},
            ]

    slow = SimpleNamespace(kind="latency", target="a -> b", settings={"seconds": 0.3, "jitter": 0.0, "direction": None})
    fault = SimpleNamespace(id="main-3", fault=slow, began_ns=5 * S, ended_ns=10 * S)
    load = Traced(stream(20, bad=lambda at: 6 <= at < 7 or 9 <= at < 9.01))
    with pytest.raises(ObjectiveBroken) as raised:
        judge.check(Availability(at_least=0.995), load=load, faults=[fault])
    lines = str(raised.value).splitlines()
    assert "  during latency on a -> b (main-3: seconds 0.3), from 5.000 s to 10.000 s of the load" in lines
    assert lines[4].endswith(f"HTTP 503  1.000 s into latency on a -> b  trace {0:032x}")
    assert [entry["trace"] for entry in events[0]["worst"]] == [f"{i:032x}" for i in range(3)]


def test_the_columns_of_the_worst_requests_are_aligned(judge, request_at, stream, window):
    """So that they can be compared at a glance."""
    late = [request_at(5, 12.5, "TimeoutError", name="POST /tasks"), request_at(6, 1, "HTTP 503", name="GET /")]
    with pytest.raises(ObjectiveBroken) as raised:
        judge.check(Availability(at_least=1.0, phase="whole"), load=Load([*stream(4), *late]))
    assert str(raised.value).splitlines()[-5:-3] == [
        "    at 5.000 s  POST /tasks  12.500 s  TimeoutError",
        "    at 6.000 s  GET /        1.000 s   HTTP 503",
    ]


def test_the_command_that_runs_it_again_can_be_given(events, judge):
    """The plugin gives it with the options that the run had."""
    made = Objectives(lambda kind, **fields: None, TEST, seed=7, again="pytest x --enterprise-runtime=container")
    with pytest.raises(ObjectiveBroken, match=r"again: pytest x --enterprise-runtime=container$"):
        made.check(Fact("lost", 1, 0))


def test_several_are_named_in_the_first_line_the_broken_first(judge, stream, window):
    """The one line that summaries show says what is wrong."""
    load = Load(stream(20, bad=lambda at: 6 <= at < 7))
    with pytest.raises(ObjectiveBroken) as raised:
        judge.check(Fact("doubled", None, 0), Availability(at_least=0.99), load=load, faults=[window(5, 10)])
    first, *rest = str(raised.value).splitlines()
    assert first == "2 of 2 objectives did not hold: availability-during, doubled"
    assert "doubled: not judged, limit at most 0" in rest


def test_not_judged_fails_with_the_way_out(judge, stream, window):
    """Too few requests fail the test too, as another kind of error."""
    with pytest.raises(ObjectiveNotJudged, match=r"600 needed to judge this limit: let the phase last .* more users"):
        judge.check(Availability(at_least=0.995), load=Load(stream(20)), faults=[window(5, 6)])


def test_a_fault_as_the_faults_fixture_gives_it(judge, stream):
    """An application of a fault is taken for its window."""
    fault = SimpleNamespace(
        id="main-3", fault=SimpleNamespace(kind="kill", target="shop-1"), began_ns=5 * S, ended_ns=10 * S
    )
    (verdict,) = judge.check(Availability(at_least=0.99), load=Load(stream(20)), faults=[fault])
    assert (verdict.fault, verdict.samples) == ("main-3", 501)


def test_a_fault_that_never_began_is_a_mistake(judge, stream):
    """Nothing can be judged around it."""
    fault = SimpleNamespace(id="1", fault=SimpleNamespace(kind="kill", target="shop-1"), began_ns=None, ended_ns=None)
    with pytest.raises(ConfigurationError, match="kill on shop-1 never began"):
        judge.check(Availability(at_least=0.99), load=Load(stream(20)), faults=[fault])


def test_what_is_watched_need_not_be_named(judge, stream, window):
    """Loads and faults that are watched are judged by where a check names none."""
    judge.watch(Load(stream(20)), window(5, 10))
    (verdict,) = judge.check(Availability(at_least=0.99))
    assert (verdict.fault, verdict.outcome) == ("main-1", "held")
    with pytest.raises(ConfigurationError, match="neither a load nor a fault"):
        judge.watch(3)


def test_watched_faults_end_what_lies_around_those_judged(judge, stream, window):
    """A second fault is not part of the time after the first, even when only the first is judged."""
    first, second = window(5, 6, "f1"), window(12, 20, "f2")
    judge.watch(second)
    load = Load(stream(20, bad=lambda at: at >= 12))
    (verdict,) = judge.check(Availability(at_least=0.99, phase="after"), load=load, faults=[first])
    assert (verdict.outcome, verdict.samples) == ("held", 599)


def test_several_loads_are_judged_together(judge, stream, window):
    """Their requests count as one."""
    loads = [Load(stream(20)), Load(stream(20))]
    (verdict,) = judge.check(Availability(at_least=0.99), load=loads, faults=[window(5, 10)])
    assert verdict.samples == 2 * 501


def test_a_check_without_objectives_or_load_is_a_mistake(judge, window):
    """It would prove nothing; facts alone need no load."""
    with pytest.raises(ConfigurationError, match="no objective"):
        judge.check()
    with pytest.raises(ConfigurationError, match="no load"):
        judge.check(Availability(at_least=0.9), faults=[window(1, 2)])
    assert judge.check(Fact("lost", 0, 0))[0].outcome == "held"


def test_a_load_without_requests(judge, window):
    """It is not judged, and the message says so."""
    with pytest.raises(ObjectiveNotJudged, match="no request at all"):
        judge.check(Availability(at_least=0.9), load=Load([]), faults=[window(1, 2)])


def test_two_of_the_same_name_are_a_mistake(judge, stream, window):
    """A name stands for one verdict, since sabotage refers to it; another fault's is another."""
    load = Load(stream(40))
    judge.check(Availability(at_least=0.9), load=load, faults=[window(5, 10, "f1")])
    judge.check(Availability(at_least=0.9), load=load, faults=[window(15, 20, "f2")])
    with pytest.raises(ConfigurationError, match="both named 'availability-during'"):
        judge.check(Availability(at_least=0.8), load=load, faults=[window(5, 10, "f1")])
    judge.check(Availability(at_least=0.8, name="barely"), load=load, faults=[window(5, 10, "f1")])


def test_the_end_of_the_users_is_no_silence(judge, stream, request_at, window):
    """While users are stopped, one that ends its last request 1.8 s later is no outage of the others."""
    load = Load([*stream(20), request_at(19.9, 1.9)], stopped=round(21.8 * S))
    (verdict,) = judge.check(Recovery(within=1.0), load=load, faults=[window(5, 10)])
    assert verdict.outcome == "held"


def test_users_who_hang_to_the_end_are_silence(judge, stream, request_at, window):
    """Users who all hang from 5 s on are not served until the load ends at 20 s."""
    load = Load([*stream(5), *(request_at(5.001, 15, "unfinished") for _ in range(10))], stopped=20 * S)
    with pytest.raises(ObjectiveBroken, match=r"recovery: broken, limit at most 1.000 s"):
        judge.check(Recovery(within=1.0), load=load, faults=[window(5, 10)])


def test_throughput_counts_the_time_of_the_load(judge, stream):
    """From its start, before the first request, to the time at which users were told to stop."""
    load = Load([r._replace(start=r.start + 10 * S) for r in stream(10)], started=5 * S, stopped=20 * S)
    (verdict,) = judge.check(Throughput(at_least=60), load=load)
    assert verdict.value == pytest.approx(1000 / 15, rel=0.01)


def test_events_are_json(events, judge, stream, window):
    """Even an interval without upper end and the worst requests can be written."""
    with pytest.raises(ObjectiveBroken):
        judge.check(Latency(at_most=0.001), load=Load(stream(20)), faults=[window(5, 6)])
    text = json.loads(json.dumps(events[0], allow_nan=False))
    assert text["interval"] == [0.01, None]
    assert text["worst"][0]["name"] == "GET /"


def test_what_the_faults_were_doing(window):
    """Into those that are on, else after the last that ended, else before the first to come."""
    faults = [window(5, 10, "f1", "cut"), window(8, 9, "f2", "kill"), window(20, None, "f3", "pause")]
    assert doing(round(8.5 * S), faults) == "3.500 s into cut on a -> b; 0.500 s into kill on a -> b"
    assert doing(12 * S, faults) == "2.000 s after the end of cut on a -> b"
    assert doing(1 * S, faults) == "4.000 s before cut on a -> b"
    assert doing(25 * S, faults) == "5.000 s into pause on a -> b"
    assert doing(1, []) == ""


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (1.0, "share", "100 %"),
        (0.995, "share", "99.5 %"),
        (0.999996, "share", "99.9996 %"),
        (0.99999999, "share", "99.999999 %"),
        (0.0, "share", "0 %"),
        (0.25743, "share", "25.74 %"),
        (0.0123, "s", "0.012 s"),
        (0.00025, "s", "0.25 ms"),
        (0, "s", "0.000 s"),
        (3, "tasks", "3 tasks"),
        (51.3333, "requests/s", "51.33 requests/s"),
        (None, "s", "unknown"),
        (float("inf"), "s", "unbounded"),
        (0, "", "0"),
    ],
)
def test_figures_as_people_read_them(value, unit, text):
    """A share below 100 % never reads as 100 %."""
    assert quantity(value, unit) == text


def test_intervals_and_errors_in_words(request_at):
    """An interval without upper end says so; errors are counted, the commonest first."""
    assert between((0.1, float("inf")), "s") == "at least 0.100 s"
    assert between((0.9, 0.95), "share") == "90 % to 95 %"
    made = [request_at(i, error=e) for i, e in enumerate(["A", "B", "B", "", "C", "D", "E"])]
    assert errors(Columns.of(made), 2) == "2 × B, 1 × A, 3 other kinds"
    assert errors(Columns.of([])) == ""


def test_objectives_come_from_the_package_too():
    """What users write is importable from pytest_enterprise."""
    for name in ("Availability", "Fact", "Latency", "Recovery", "Refusals", "Throughput"):
        assert name in pytest_enterprise.__all__
        assert getattr(pytest_enterprise, name).__name__ == name


def test_a_generator_that_fell_behind_is_not_judged(events, stream):
    """What a load did that did not keep to its arrivals proves nothing, good or bad; facts are judged all the same."""
    objectives = Objectives(lambda kind, **fields: events.append((kind, fields)), TEST)
    load = Load(stream(10, bad=lambda at: at < 5))
    load.behind = "the limit of 5 journeys at once was met"
    with pytest.raises(ObjectiveNotJudged, match=r"generator behind, the limit of 5 journeys") as failed:
        objectives.check(
            Availability(at_least=0.995, phase="whole"),
            Latency(percentile=95, at_most=1, phase="whole"),
            Fact("lost", 0, 0, "<=", "tasks"),
            load=load,
        )
    assert [verdict.outcome for verdict in failed.value.verdicts] == ["not judged"] * 2
    assert [fields["outcome"] for _, fields in events] == ["not judged", "not judged", "held"]
    load.behind = ""
    again = Objectives(lambda kind, **fields: None, TEST)
    with pytest.raises(ObjectiveBroken):
        again.check(Availability(at_least=0.995, phase="whole"), load=load)
