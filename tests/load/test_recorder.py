from __future__ import annotations

import json
import time
from types import SimpleNamespace

import pytest

from pytest_enterprise.load import exemplars, recorder, records
from pytest_enterprise.load.recorder import Recorder, kind_of


def fire(recorder, *, start_time, response_time):
    recorder.on_request(
        request_type="GET", name="/", response_time=response_time, response_length=3, start_time=start_time, context={}
    )


@pytest.fixture
def recorded(tmp_path):
    made = Recorder(tmp_path / "x")

    def read():
        made.flush()
        return list(records.read(tmp_path / "x"))

    yield made, read
    made.close()


def test_the_start_is_when_the_request_was_sent_not_when_it_was_told(recorded):
    """An event that comes late, at the end of a with block, does not shift the request."""
    made, read = recorded
    began, wall = time.monotonic_ns(), time.time()
    time.sleep(0.05)
    fire(made, start_time=wall, response_time=10)
    [request] = read()
    assert abs(request.start - began) < 5e6
    assert request.latency == 0.01


def test_without_a_start_time_the_latency_tells_it(recorded):
    """Clients that tell only a latency are taken to have ended now."""
    made, read = recorded
    now = time.monotonic_ns()
    fire(made, start_time=None, response_time=100)
    made.on_request("GET", "/", None, None)
    first, second = read()
    assert 0 <= first.start - (now - 100e6) < 50e6
    assert second.latency == second.size == 0


@pytest.mark.parametrize("step", [-3600, 3600])
def test_a_step_of_the_wall_clock_does_not_move_requests(recorded, monkeypatch, step):
    """Requests that began before a clock step, and those after it, keep their place on the monotonic clock."""
    made, read = recorded
    before, wall_before = time.monotonic_ns(), time.time()
    time.sleep(0.02)
    monkeypatch.setattr(recorder, "time_ns", lambda: time.time_ns() + step * 10**9)
    fire(made, start_time=wall_before, response_time=20)
    after, wall_after = time.monotonic_ns(), time.time() + step
    fire(made, start_time=wall_after, response_time=0)
    made.flush()
    fire(made, start_time=time.time() + step, response_time=0)
    first, second, third = read()
    assert abs(first.start - before) < 10e6
    assert abs(second.start - after) < 10e6
    assert 0 <= third.start - second.start < 50e6


@pytest.mark.parametrize("step", [-300_000, -3600, 3600])
def test_a_step_is_noticed_late_without_moving_what_began_after_it(recorded, monkeypatch, step):
    """Between a step and the first event after it, requests begin by the new clock: none is lost, none is moved."""
    made, read = recorded
    monkeypatch.setattr(recorder, "time_ns", lambda: time.time_ns() + step * 10**9)
    began, wall = time.monotonic_ns(), time.time() + step
    time.sleep(0.02)
    fire(made, start_time=wall, response_time=10)
    fire(made, start_time=wall, response_time=15)
    for request in read():
        assert abs(request.start - began) < 10e6


def test_exceptions_that_all_differ_take_no_memory_without_end(recorded):
    made, _ = recorded
    for number in range(3000):
        made.on_user_error(ValueError(number))
    again = KeyError("same")
    made.on_user_error(again)
    made.on_user_error(again)
    assert len(made.user_errors) == recorder.DISTINCT + 2
    assert made.user_errors["(other) ValueError"] == 3000 - recorder.DISTINCT
    assert made.user_errors["(other) KeyError"] == 1


class CatchResponseError(Exception):
    pass


class LocustBadStatusCode(Exception):
    code = 404


class RetriesExceeded(Exception):
    original = TimeoutError("timed out")


@pytest.mark.parametrize(
    ("failure", "kind"),
    [
        (LocustBadStatusCode(), "HTTP 404"),
        (RetriesExceeded(), "TimeoutError"),
        (ConnectionRefusedError(111, "refused"), "ConnectionRefusedError"),
        (CatchResponseError("task 123456 at 0x7f00 is wrong"), "wrong: task ... at ... is wrong"),
        (CatchResponseError("x" * 500), "wrong: " + "x" * 120),
        (CatchResponseError(""), "wrong: check failed"),
        ("plain text", "plain text"),
    ],
)
def test_kinds_of_failure(failure, kind):
    """Failures are few kinds, not one for each request."""
    assert kind_of(failure) == kind


@pytest.mark.parametrize(
    ("status", "kind"),
    [(200, "wrong: no total"), (301, "wrong: no total"), (503, "no total"), (404, "no total"), (0, "no total")],
)
def test_a_wrong_answer_is_told_from_a_refusal_and_from_none(status, kind):
    """A check that failed on a good status found an answer wrong; on any other it only says more of what failed."""
    assert kind_of(CatchResponseError("no total"), SimpleNamespace(status_code=status)) == kind


def test_what_a_user_calls_wrong_is_wrong_once():
    """A locustfile may say so itself, whatever the status."""
    answer = SimpleNamespace(status_code=404)
    assert kind_of(CatchResponseError("wrong: an acknowledged task is gone"), answer).startswith("wrong: an ack")


def test_of_the_slowest_so_far_the_trace_ids_are_kept_and_no_more(tmp_path):
    """Of each name the first three, then only what is slower than three before it; a bounded number in all.

    Of what comes between two flushes the slowest three suffice, so that a queue that grows costs nothing.
    """
    made = Recorder(tmp_path / "x")
    for number, milliseconds in enumerate([5, 4, 6, 1, 3, 7, 2, 7]):
        answer = SimpleNamespace(trace_id=f"{number:032x}")
        made.on_request("GET", "/", milliseconds, 0, response=answer)
        made.flush()
    made.on_request("GET", "/other", 1, 0, response=SimpleNamespace())
    made.flush()
    kept = [json.loads(line)["trace_id"] for line in (tmp_path / "x.slowest.jsonl").read_text().splitlines()]
    assert kept == [f"{number:032x}" for number in (0, 1, 2, 5, 7)]
    for number in range(exemplars.KEPT + 10):
        made.on_request("GET", f"/{number}", 1, 0, response=answer)
    made.close()
    assert len((tmp_path / "x.slowest.jsonl").read_text().splitlines()) == exemplars.KEPT
