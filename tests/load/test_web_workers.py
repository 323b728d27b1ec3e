"""Records of Locust's workers at their master: nothing is lost, doubled or renamed, and what is missing is told."""

from __future__ import annotations

import random
from types import SimpleNamespace

import msgpack
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_enterprise.load import records
from pytest_enterprise.load.columns import Columns
from pytest_enterprise.load.records import Request
from pytest_enterprise.load.statistics import percentile
from pytest_enterprise.load.web import workers

ROWS = st.lists(
    st.builds(
        Request,
        st.integers(0, 10**12),
        st.integers(0, 10**7).map(lambda micros: micros / 1e6),
        st.sampled_from(["GET /", "POST /", "PUT /x"]),
        st.sampled_from(["", "", "HTTP 500", "TimeoutError"]),
        st.integers(0, 9999),
    ),
    max_size=30,
)


class Hook(list):
    add_listener = list.append
    remove_listener = list.remove

    def fire(self, **told):
        for listener in list(self):
            listener(**told)


def worker(send, load=1):
    """A worker whose messages go through what Locust packs them with."""
    names = ("test_start", "test_stop", "quitting", "request", "user_error")
    environment = SimpleNamespace(
        events=SimpleNamespace(**{name: Hook() for name in names}),
        runner=SimpleNamespace(send_message=lambda kind, data: send(msgpack.loads(msgpack.dumps(data)))),
        parsed_options=SimpleNamespace(**{workers.OPTION: load}),
        enterprise=None,
    )
    made = workers.Worker(environment)
    environment.events.test_start.fire()
    return made, environment


@settings(max_examples=20, deadline=None)
@given(st.lists(ROWS, min_size=1, max_size=3), st.randoms(use_true_random=False))
def test_the_merged_load_is_that_of_all_workers(tmp_path_factory, shares, chance):
    """In whatever portions they come, and however each numbers its names; so percentiles are those of all requests."""
    path = tmp_path_factory.mktemp("merged") / "load"
    merged = workers.Merged(path, 1, {f"w{number}": number for number in range(len(shares))})
    sides = []
    for number, rows in enumerate(shares):
        made, environment = worker(lambda data, number=number: merged.take(f"w{number}", number, data))
        sides.append((made, environment, list(rows)))
    left = [side for side in sides if side[2]]
    while left:
        made, _, rows = chance.choice(left)
        made._recorder._writer.add(*rows.pop(0))
        if chance.random() < 0.3:
            made._send()
            merged.flush()
        left = [side for side in sides if side[2]]
    for _, environment, _ in sides:
        environment.events.test_stop.fire()
    assert merged.settled
    merged.close()
    found, told = list(records.read(path)), [row for rows in shares for row in rows]
    assert sorted(found) == sorted(told)
    assert merged.requests == len(told)
    assert merged.failures == sum(bool(row.error) for row in told)
    assert merged.missing() == ""
    if told:
        seconds = Columns.read(path).seconds()
        assert percentile(seconds, 99) == percentile(sorted(row.latency for row in told), 99)


def test_what_is_kept_of_unexpected_answers_and_errors_comes_too(tmp_path):
    merged = workers.Merged(tmp_path / "load", 1, {"a": 0, "b": 1})
    for id, index in (("a", 0), ("b", 1)):
        made, environment = worker(lambda data, who=(id, index): merged.take(*who, data))
        environment.events.request.fire(
            request_type="GET", name="/", response_time=5, response_length=0, exception=TimeoutError(), response=None
        )
        environment.events.user_error.fire(exception=ValueError("odd"))
        made._send()
        environment.enterprise.operation(f"key-{id}", "ok", {})
        environment.events.test_stop.fire()
        assert environment.enterprise is None
    merged.close()
    assert [request.error for request in records.read(tmp_path / "load")] == ["TimeoutError"] * 2
    assert (tmp_path / "load.unexpected.jsonl").read_text().count('"error": "TimeoutError"') == 2
    assert [f'"key-{id}"' in (tmp_path / "load.operations.jsonl").read_text() for id in "ab"] == [True, True]
    assert merged.user_errors == {"ValueError: odd": 2}


def test_a_silent_worker_is_lost_and_told_with_its_moment(tmp_path, monkeypatch):
    now = [0]
    monkeypatch.setattr(workers, "monotonic_ns", lambda: now[0])
    sent = []
    _, environment = worker(sent.append, load=1)
    environment.events.test_stop.fire()
    merged = workers.Merged(tmp_path / "load", 1, {"a": 0, "b": 1})
    now[0] = 2_500_000_000
    merged.take("a", 0, {**sent[-1], "final": False})
    now[0] = 4_000_000_000
    assert merged.missing() == "worker 1 is lost: what it did after 0.0 s is unknown"
    assert not merged.settled
    merged.take("b", 1, sent[-1])
    assert merged.missing() == ""
    now[0] = 9_000_000_000
    assert merged.settled
    merged.close()
    now[0] = 99_000_000_000
    assert merged.missing() == "worker 0 is lost: what it did after 2.5 s is unknown"


def test_of_a_worker_on_another_machine_nothing_is_taken_and_that_is_told(tmp_path):
    merged = workers.Merged(tmp_path / "load", 1, {"a": 0})
    made, environment = worker(lambda data: merged.take("a", 0, {**data, "machine": "elsewhere"}))
    made._recorder._writer.add(1, 0.5, "GET /", "", 7)
    environment.events.test_stop.fire()
    assert merged.requests == 0
    assert merged.missing() == "worker 0 runs on another machine, whose clock is not this one's"
    merged.close()


def test_messages_of_an_earlier_load_are_dropped(tmp_path):
    merged = workers.Merged(tmp_path / "load", 2, {"a": 0})
    made, environment = worker(lambda data: merged.take("a", 0, data), load=1)
    made._recorder._writer.add(1, 0.5, "GET /", "", 7)
    environment.events.test_stop.fire()
    assert (merged.requests, merged.settled) == (0, False)
    merged.close()


@pytest.mark.parametrize("load", [0, None])
def test_without_a_master_that_asks_nothing_is_recorded(load):
    sent = []
    made, environment = worker(sent.append, load=load)
    environment.events.request.fire(request_type="GET", name="/")
    environment.events.test_stop.fire()
    assert sent == []
    assert made._recorder is None


def test_nothing_of_a_worker_stays_on_disk(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    sent = []
    made, environment = worker(sent.append)
    for number in range(1000):
        made._recorder._writer.add(number, random.random(), "GET /", "", 7)
    assert list(tmp_path.iterdir())
    environment.events.quitting.fire()
    assert list(tmp_path.iterdir()) == []
    assert sum(len(data["requests"]) for data in sent) == 20_000
