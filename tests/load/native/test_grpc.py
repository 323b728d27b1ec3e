"""The native engine over gRPC, against a real server in a process of its own and against some that misbehave."""

from __future__ import annotations

import signal
from collections import Counter
from itertools import pairwise

import pytest

from pytest_enterprise.load.arrivals import Constant, Poisson, Trace
from pytest_enterprise.load.native.grpc_call import GrpcCall
from pytest_enterprise.load.records import trace_id, traceparent


def outcomes(traffic):
    return Counter((record.name, record.error) for record in traffic.records())


def test_calls_carry_metadata_and_the_trace_id_of_their_number(load, grpc_server):
    """Each at its moment, all over one connection."""
    call = GrpcCall("/test.Echo/Echo", b"hello", metadata={"who": "me-{int:1:3}"}, expect=b"hello")
    with load.grpc([call], arrivals=Poisson(rate=100), host=grpc_server.host, seconds=1, seed=9) as traffic:
        traffic.run_for(0.7)
        assert traffic.connections == 1
        traffic.wait(20)
    made = traffic.requests
    assert outcomes(traffic) == {("gRPC /test.Echo/Echo", ""): made}
    assert {record.size for record in traffic.records()} == {5}
    told = [line.split() for line in grpc_server.stop()]
    assert made == len(told) > 60
    assert sorted(trace for trace, _ in told) == sorted(traceparent(trace_id(9, n)) for n in range(1, made + 1))
    assert {who for _, who in told} == {"me-1", "me-2", "me-3"}
    slowest = {line["trace_id"] for line in traffic.slowest()}
    assert len(slowest) >= 3
    assert slowest <= {trace[3:35] for trace, _ in told}


def test_messages_are_drawn(load, grpc_server):
    """From several that are given, or as a text."""
    calls = [
        GrpcCall("/test.Echo/Echo", [b"a", b"bb", b"\xff\x00\xff"], name="several"),
        GrpcCall("/test.Echo/Echo", '{"n": {int:10:12}}', name="text"),
        GrpcCall("/test.Echo/Echo", name="empty", expect=b""),
    ]
    with load.grpc(calls, arrivals=Poisson(rate=200), host=grpc_server.host, seconds=1) as traffic:
        traffic.wait(20)
    sizes = {name: {r.size for r in traffic.records() if r.name == name} for name in ("several", "text", "empty")}
    assert sizes == {"several": {1, 2, 3}, "text": {len('{"n": 10}')}, "empty": {0}}
    assert {record.error for record in traffic.records()} == {""}


@pytest.mark.parametrize(
    ("call", "error"),
    [
        (GrpcCall("/test.Echo/Echo", b"a", expect=b"b"), "wrong: the answer is not the expected one"),
        (GrpcCall("/test.Echo/Refuse"), "gRPC RESOURCE_EXHAUSTED"),
        (GrpcCall("/test.Echo/Raise_"), "gRPC UNKNOWN"),
        (GrpcCall("/test.Echo/Nothing"), "gRPC UNIMPLEMENTED"),
    ],
    ids=lambda value: value.method if isinstance(value, GrpcCall) else None,
)
def test_what_was_not_expected_is_a_failed_request_of_its_kind(load, grpc_server, call, error):
    with load.grpc([call], arrivals=50, host=grpc_server.host, seconds=0.2, seed=3) as traffic:
        traffic.wait(20)
    assert outcomes(traffic) == {(call.name, error): 10}
    kept = traffic.unexpected()
    assert {line["trace_id"] for line in kept} == {trace_id(3, number) for number in range(1, 11)}
    assert {line["status"] for line in kept} == {"OK" if error.startswith("wrong") else error}
    assert all(len(line["sha256"]) == 64 for line in kept)


def test_a_call_that_is_never_answered_fails_at_its_time_limit(load, grpc_server):
    """Counted from its intended moment; others are not held up."""
    calls = [GrpcCall("/test.Echo/Hang", weight=0.1), GrpcCall("/test.Echo/Echo")]
    with load.grpc(calls, arrivals=Constant(rate=60), host=grpc_server.host, seconds=1, timeout=0.5, seed=1) as traffic:
        traffic.wait(20)
    found = outcomes(traffic)
    assert set(found) == {("gRPC /test.Echo/Hang", "TimeoutError"), ("gRPC /test.Echo/Echo", "")}
    assert found.total() == 60
    assert all(0.49 <= record.latency < 1.5 for record in traffic.records() if record.error)


def test_a_server_that_stalls_is_asked_no_less(load, grpc_server):
    """The open loop: latencies of those that met the stall fall by the time between their moments."""
    with load.grpc([GrpcCall("/test.Echo/Echo")], arrivals=Constant(rate=100), host=grpc_server.host) as traffic:
        traffic.wait_for_requests(20)
        grpc_server.process.send_signal(signal.SIGSTOP)
        traffic.run_for(1)
        grpc_server.process.send_signal(signal.SIGCONT)
        traffic.wait_for_requests(200)
    assert {record.error for record in traffic.records()} == {""}
    waited = sorted(record.latency for record in traffic.records())[-80:]
    assert waited[-1] > 0.9
    assert max(later - earlier for earlier, later in pairwise(waited)) < 0.4
    assert not traffic.behind


def test_a_connection_carries_a_hundred_calls_and_then_there_is_another(load, grpc_server):
    """Up to the limit of connections, beyond which calls wait and the load says so."""
    calls = [GrpcCall("/test.Echo/Echo")]
    grpc_server.process.send_signal(signal.SIGSTOP)
    with load.grpc(calls, arrivals=Trace(moments=[0.0] * 250), host=grpc_server.host, connections=2) as traffic:
        while traffic.active_users < 250:
            traffic.run_for(0.05)
        assert traffic.connections == 2
        grpc_server.process.send_signal(signal.SIGCONT)
        traffic.wait_for_requests(250)
    assert outcomes(traffic) == {("gRPC /test.Echo/Echo", ""): 250}
    assert "the limit of 2 connections was met: 50 of 250 requests had to wait" in traffic.behind


def test_a_server_that_goes_away_and_comes_back(load, grpc_server):
    """What was under way is lost with the connection, what comes then is refused, and then all is well again."""
    calls = [GrpcCall("/test.Echo/Hang", weight=0.1), GrpcCall("/test.Echo/Echo")]
    with load.grpc(calls, arrivals=Constant(rate=100), host=grpc_server.host, seed=1) as traffic:
        traffic.wait_for_requests(40)
        under_way = traffic.active_users
        grpc_server.stop()
        traffic.run_for(0.5)
        grpc_server.start()
        before = traffic.requests
        traffic.wait_for_requests(before + 60)
    kinds = Counter(record.error for record in traffic.records())
    assert set(kinds) <= {"", "ConnectionClosed", "ConnectionRefusedError", "unfinished"}
    assert kinds["ConnectionClosed"] >= min(under_way, 1)
    assert kinds["ConnectionRefusedError"] > 10
    echoes = [record.error for record in traffic.records() if record.name == "gRPC /test.Echo/Echo"]
    assert echoes[-10:] == [""] * 10


def test_a_refused_connection_is_a_failed_request(load, run):
    host = f"grpc://127.0.0.1:{run.ports.take()}"
    with load.grpc([GrpcCall("/test.Echo/Echo")], arrivals=100, host=host, seconds=0.3) as traffic:
        traffic.wait(20)
    assert outcomes(traffic) == {("gRPC /test.Echo/Echo", "ConnectionRefusedError"): 30}


@pytest.mark.parametrize(
    ("speech", "errors"),
    [
        (None, {"TimeoutError"}),
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", {"gRPC UNAVAILABLE", "ConnectionClosed"}),
    ],
)
def test_a_server_that_speaks_otherwise_or_never_is_told(load, answering, speech, errors):
    host = f"grpc://{answering(speech)}"
    with load.grpc([GrpcCall("/test.Echo/Echo")], arrivals=50, host=host, seconds=0.2, timeout=0.5) as traffic:
        traffic.wait(20)
    assert {error for _, error in outcomes(traffic)} <= errors
    assert traffic.failures == traffic.requests == 10
