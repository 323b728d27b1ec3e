"""Conditions: on which connections and which of their data a toxic acts."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pytest_enterprise.proxy.conditions import Conditions


@pytest.fixture
def disturb(control, echo):
    """A link with one toxic of our own interface; returns where it listens."""

    def disturb(kind, when, *, stream="downstream", **attributes):
        toxic = {"name": "t", "type": kind, "stream": stream, "attributes": attributes, "when": when}
        reply = control.post(
            "/enterprise/proxies",
            {"name": "link", "listen": "127.0.0.1:0", "upstream": echo.address, "toxics": [toxic]},
        )
        assert reply.status == 201, reply.body
        host, port = reply.json()["listen"].rsplit(":", 1)
        return host, int(port)

    return disturb


def late(seconds):
    return seconds >= 0.2


def test_the_first_connections_alone(disturb, wire):
    link = disturb("latency", {"first_connections": 2}, latency=200)
    assert [late(wire(link).echo()) for _ in range(4)] == [True, True, False, False]


def test_every_so_many_th_connection(disturb, wire, control):
    link = disturb("latency", {"every_connection": 3}, latency=200)
    assert [late(wire(link).echo()) for _ in range(6)] == [False, False, True, False, False, True]
    assert control.counters()["toxics"]["t"]["connections"] == 2


@pytest.mark.parametrize(("peer", "met"), [("127.0.0.0/8", True), ("127.0.0.1", True), ("10.0.0.0/8", False)])
def test_connections_from_a_peer(disturb, wire, peer, met):
    assert late(wire(disturb("latency", {"peer": peer}, latency=200)).echo()) is met


def test_the_first_chunks_of_each_connection(disturb, wire):
    link = disturb("latency", {"first_chunks": 1}, latency=200)
    for _ in range(2):
        client = wire(link)
        assert [late(client.echo()) for _ in range(3)] == [True, False, False]


def test_every_so_many_th_chunk(disturb, wire):
    client = wire(disturb("latency", {"every_chunk": 2}, latency=200))
    assert [late(client.echo()) for _ in range(4)] == [False, True, False, True]


def test_a_share_of_the_chunks_is_drawn_from_the_seed(disturb, wire, control):
    client = wire(disturb("noop", {"chunk_share": 0.3}))
    for _ in range(400):
        client.echo(b"x")
    met = control.counters()["toxics"]["t"]["chunks"]
    assert 80 <= met <= 164  # 99.9 % of binomial outcomes lie in 90..151
    control.clear()
    again = wire(disturb("noop", {"chunk_share": 0.3}))
    for _ in range(400):
        again.echo(b"x")
    assert control.counters()["toxics"]["t"]["chunks"] == met


def test_bytes_of_a_range(disturb, wire, control):
    client = wire(disturb("blackhole", {"from_byte": 3, "to_byte": 5}))
    client.send(b"0123456789")
    assert client.read(8) == b"01256789"
    assert control.counters()["toxics"]["t"]["dropped_bytes"] == 2


@pytest.mark.parametrize("kind", ["latency", "bandwidth", "freeze", "slicer"])
def test_what_is_not_meant_does_not_overtake_what_is_held(disturb, wire, control, kind, eventually):
    attributes = {"latency": {"latency": 150}, "bandwidth": {"rate": 1}, "slicer": {"average_size": 2, "delay": 9000}}
    client = wire(disturb(kind, {"first_chunks": 1}, stream="upstream", **attributes.get(kind, {})))
    client.send(b"a" * 20)
    eventually(lambda: control.counters()["toxics"]["t"]["bytes"] >= 20)
    client.send(b"b" * 20)
    if kind == "freeze":
        assert client.silent()
        control.remove()
    assert client.read(40) == b"a" * 20 + b"b" * 20


@pytest.mark.parametrize(
    ("when", "message"),
    [
        ({"first_connections": -1}, "first_connections is -1; give a number of 0 or more"),
        ({"chunk_share": 1.5}, "chunk_share is 1.5; give a number from 0 to 1"),
        ({"first": 1}, "when: unknown field 'first'; known: chunk_share, every_chunk"),
        ({"peer": "somewhere"}, "'somewhere' does not appear to be an IPv4 or IPv6 network"),
        ({"from_byte": 5, "to_byte": 5}, "to_byte 5 is not above from_byte 5"),
        ({"every_chunk": "2"}, "cannot unmarshal string"),
        ([], "cannot unmarshal array"),
    ],
)
def test_conditions_that_cannot_be_meant_are_refused(control, when, message):
    control.create("127.0.0.1:9")
    reply = control.post("/enterprise/proxies/link/toxics", {"type": "noop", "when": when})
    assert reply.status == 400
    assert message in reply.json()["error"]


def test_conditions_are_shown_where_there_are_any(control):
    control.create("127.0.0.1:9")
    reply = control.post("/enterprise/proxies/link/toxics", {"type": "noop", "when": {"first_chunks": 1}})
    assert reply.json()["when"] == {"first_chunks": 1}
    assert "when" not in control.toxic("latency")


@settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck), database=None)
@given(first=st.integers(0, 5), every=st.integers(0, 5), number=st.integers(1, 20))
def test_connections_are_meant_by_their_number(first, every, number):
    met = Conditions(first_connections=first, every_connection=every).meet(number, "127.0.0.1")
    assert met == ((not first or number <= first) and (not every or number % every == 0))
