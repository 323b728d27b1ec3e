"""Users of plain TCP against small real servers: what is recorded when it goes well, and when it does not."""

from __future__ import annotations

import asyncio
import hashlib
import socket
import struct
from itertools import pairwise

import pytest

from pytest_enterprise.errors import LoadFailed
from pytest_enterprise.load.recorder import UNFINISHED
from pytest_enterprise.load.records import trace_id
from pytest_enterprise.objectives import Correctness, Latency, ObjectiveBroken, Objectives

USERS = """
import re
from locust import task
from pytest_enterprise.load.tcp_users import TcpUser

class Asker(TcpUser):
    rate = 40
    time_limit = 0.4
    @task
    def ask(self):
        self.client.ask({ask})
"""


async def speak(reader, writer, server):
    """Answers lines: the line itself, or as its mode says."""
    server.counts["connections"] += 1
    while line := await reader.readline():
        server.counts["lines"] += 1
        server.since = getattr(server, "since", asyncio.get_running_loop().time())
        if server.mode == "half":
            writer.write(line[: len(line) // 2])
            await writer.drain()
            return
        if server.mode == "reset":
            linger = struct.pack("ii", 1, 0)
            writer.transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            writer.transport.abort()
            return
        if server.mode == "hang":
            await asyncio.sleep(30)
        if server.mode == "stall":  # the first second, for everybody
            await asyncio.sleep(max(0, server.since + 1 - asyncio.get_running_loop().time()))
        if server.mode == "drip":
            for _ in range(100):
                writer.write(b".")
                await asyncio.sleep(0.05)
        writer.write(line)
        if server.mode == "last":
            return


@pytest.fixture
def ask(serve, load, locustfile):
    """A load of one user against a server in some mode, ended after its first requests."""

    def ask(mode="echo", call='b"hello\\n", name="hello"', requests=5, users=1):
        server = serve(mode, speak)
        with load(locustfile(USERS.format(ask=call)), users=users, host=f"tcp://{server.address}") as traffic:
            traffic.wait_for_requests(requests)
        return server, traffic

    return ask


@pytest.mark.parametrize("until", ['b"\\n"', "6", 're.compile(rb"l+o\\s")'])
def test_bytes_are_sent_and_expected(ask, until):
    """A mark, a number of bytes or a pattern ends the answer; each user keeps its connection."""
    server, traffic = ask(call=f'b"hello\\n", name="hello", until={until}, expect=b"hello\\n"', requests=20, users=2)
    assert {(r.name, r.error, r.size) for r in traffic.records()} == {("TCP hello", "", 6)}
    assert server.counts["connections"] == 2
    assert server.counts["lines"] == traffic.requests
    assert traffic.unexpected() == []


def test_an_answer_may_end_with_the_connection(ask):
    """With until=None all is read that the server sends before it closes, and the next question dials again."""
    server, traffic = ask("last", 'b"hello\\n", name="hello", until=None, expect=b"hello\\n"')
    assert {(r.error, r.size) for r in traffic.records()} == {("", 6)}
    assert server.counts["connections"] == server.counts["lines"]


@pytest.mark.parametrize(("mode", "error"), [("half", "ConnectionClosed"), ("reset", "ConnectionResetError")])
def test_a_connection_lost_in_the_middle_is_a_failed_request(ask, mode, error):
    """Each loss is recorded once, by its kind, and the next request dials again."""
    server, traffic = ask(mode)
    assert {r.error for r in traffic.records()} == {error}
    assert traffic.requests == traffic.failures == server.counts["lines"] == server.counts["connections"]


@pytest.mark.parametrize("mode", ["hang", "drip"])
def test_an_answer_that_is_not_whole_in_time_is_given_up(ask, mode):
    """The limit is that of the whole exchange: a server that sends a byte now and then does not extend it."""
    _, traffic = ask(mode, requests=2)
    timely = [r for r in traffic.records() if r.error != UNFINISHED]
    assert {r.error for r in timely} == {"TimeoutError"}
    assert all(0.4 <= r.latency < 0.9 for r in timely)


def test_a_request_under_way_at_the_end_is_unfinished(serve, load, locustfile):
    """Stopping in the middle of an exchange leaves its record."""
    server = serve("hang", speak)
    path = locustfile(USERS.format(ask='b"hello\\n", name="hello", time_limit=20'))
    with load(path, users=2, host=f"tcp://{server.address}") as traffic:
        while server.counts["lines"] < 2:
            traffic.run_for(0.05)
    assert [(r.name, r.error) for r in traffic.records()] == [("TCP hello", UNFINISHED)] * 2


def test_a_refused_connection_is_a_failed_request(load, locustfile):
    with socket.create_server(("127.0.0.1", 0)) as closed:
        address = f"tcp://127.0.0.1:{closed.getsockname()[1]}"
    with load(locustfile(USERS.format(ask='b"x\\n", name="x"')), users=1, host=address) as traffic:
        traffic.wait_for_requests(3)
    assert {r.error for r in traffic.records()} == {"ConnectionRefusedError"}


def test_in_an_open_loop_latency_counts_from_the_intended_moment(serve, load, locustfile):
    """Questions are asked when they are meant to be, each by a user that is free; all who met a stall saw it."""
    server = serve("stall", speak)
    path = locustfile(USERS.format(ask='b"hello\\n", name="hello", time_limit=10'))
    with load(path, arrivals=20, host=f"tcp://{server.address}", seconds=2.5) as traffic:
        traffic.wait(20)
    records = sorted(traffic.records())
    assert {(r.name, r.error) for r in records} <= {("TCP hello", ""), ("TCP hello", UNFINISHED)}
    gaps = [round((later.start - earlier.start) / 1e6) for earlier, later in pairwise(records)]
    assert set(gaps) == {50}
    assert server.counts["connections"] > 5
    stalled = [r for r in records if (r.start - records[0].start) / 1e9 < 0.9]
    assert all(r.latency > 0.9 - (r.start - records[0].start) / 1e9 for r in stalled)


def test_of_an_unexpected_answer_digest_and_trace_are_kept(ask):
    """The digest tells which wrong answer it was, the trace id which request; the answer's text is not kept."""
    _, traffic = ask(call='b"secret\\n", name="wrong", expect=b"hello\\n"')
    assert {r.error for r in traffic.records()} == {"wrong: the answer is not the expected one"}
    kept = traffic.unexpected()
    assert len(kept) == traffic.requests
    assert {line["sha256"] for line in kept} == {hashlib.sha256(b"secret\n").hexdigest()}
    seed = traffic.settings["seed"]
    assert [line["trace_id"] for line in kept] == [trace_id(seed, n) for n in range(1, len(kept) + 1)]
    assert [line["start"] for line in kept] == [r.start for r in traffic.records()]
    assert "secret" not in traffic.path.with_suffix(".unexpected.jsonl").read_text()


def test_a_check_may_say_what_is_wrong(ask):
    """`expect` may be a function; a text that it gives is the kind of failure."""
    _, traffic = ask(call='b"hello\\n", name="x", expect=lambda answer: answer == b"y" or "no y"')
    assert {r.error for r in traffic.records()} == {"wrong: no y"}


def test_a_host_of_another_protocol_is_told(serve, load, locustfile):
    """The message says the value and how to write it."""
    with pytest.raises(LoadFailed, match=r"host 'http://.*' cannot be used; write tcp://HOST:PORT"):
        with load(locustfile(USERS.format(ask='b"x", name="x"')), users=1, host=serve().url) as traffic:
            traffic.run_for(0.3)


def test_a_broken_objective_names_the_traces_of_its_worst_requests(ask):
    """The ids under which the server saw the requests that were answered wrongly."""
    _, traffic = ask(call='b"hello\\n", name="x", expect=b"bye\\n"')
    made = Objectives(lambda kind, **fields: None, "test")
    with pytest.raises(ObjectiveBroken) as raised:
        made.check(Correctness(at_least=0.9, phase="whole"), load=traffic)
    (verdict,) = made.verdicts
    assert len(verdict.traces) == 3
    assert set(verdict.traces) <= {line["trace_id"] for line in traffic.unexpected()}
    assert f"trace {verdict.traces[0]}" in str(raised.value)


def test_the_slowest_of_those_that_succeed_have_their_traces_too(ask):
    """A few of each name are kept, the slowest of all among them, so that a broken latency can name them."""
    _, traffic = ask(call='b"hello\\n", name="x", expect=b"hello\\n"', requests=200)
    seed = traffic.settings["seed"]
    kept = traffic.slowest()
    assert 3 <= len(kept) < 60
    known = {trace_id(seed, number) for number in range(1, traffic.requests + 1)}
    assert {line["trace_id"] for line in kept} <= known
    made = Objectives(lambda kind, **fields: None, "test")
    with pytest.raises(ObjectiveBroken) as raised:
        made.check(Latency(percentile=50, at_most=1e-6, phase="whole"), load=traffic)
    (verdict,) = made.verdicts
    assert len(set(verdict.traces)) == 3
    assert set(verdict.traces) <= known
    assert f"trace {verdict.traces[0]}" in str(raised.value)
