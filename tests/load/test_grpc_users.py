"""Users of gRPC against a real server, in a process of its own."""

from __future__ import annotations

import re
import time

import pytest

from pytest_enterprise.load.recorder import UNFINISHED

USERS = """
from locust import task
from pytest_enterprise.load.grpc_users import GrpcUser

class Caller(GrpcUser):
    rate = 30
    time_limit = 0.5
    @task
    def work(self):
        self.client.{call}
"""


@pytest.fixture
def call(grpc_server, load, locustfile):
    def call(text, users=1, requests=5):
        with load(locustfile(USERS.format(call=text)), users=users, host=grpc_server.host) as traffic:
            traffic.wait_for_requests(requests)
        return traffic

    return call


def errors(traffic):
    return {(r.name, r.error) for r in traffic.records() if r.error != UNFINISHED}


def test_unary_calls_carry_metadata_and_a_trace_id(call, grpc_server):
    """The size is that of the answer; the server knows the trace id of each call."""
    text = 'call("/test.Echo/Echo", b"hello", metadata={"who": "me"}, expect=b"hello")'
    traffic = call(text, users=3, requests=30)
    assert errors(traffic) == {("gRPC /test.Echo/Echo", "")}
    assert {r.size for r in traffic.records() if not r.error} == {5}
    told = [line.split() for line in grpc_server.stop()]
    assert len(told) >= 30
    assert all(re.fullmatch(r"00-[0-9a-f]{32}-[0-9a-f]{16}-01", trace) and who == "me" for trace, who in told)
    assert len({trace for trace, _ in told}) == len(told)


def test_messages_may_be_of_any_kind(call):
    """By functions that make bytes of them, and that make them of bytes."""
    text = 'call("/test.Echo/Echo", 12, serializer=lambda n: b"x" * n, deserializer=len, expect=12, name="echo")'
    assert errors(call(text)) == {("gRPC echo", "")}


def test_streams_are_one_request(call):
    """Its value is the list of messages, whether one is sent or many are."""
    many = 'stream("/test.Echo/Chat", iter([b"a", b"b"]), expect=[b"A", b"B"])'
    traffic = call(f'stream("/test.Echo/Count", b"3", expect=[b"0", b"1", b"2"])\n        self.client.{many}')
    assert errors(traffic) == {("gRPC /test.Echo/Count", ""), ("gRPC /test.Echo/Chat", "")}
    assert {r.size for r in traffic.records() if r.name.endswith("Count")} == {3}


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ('call("/test.Echo/Refuse", name="x")', "gRPC RESOURCE_EXHAUSTED"),
        ('call("/test.Echo/Raise_", name="x")', "gRPC UNKNOWN"),
        ('call("/test.Echo/Nothing", name="x")', "gRPC UNIMPLEMENTED"),
        ('stream("/test.Echo/Half", name="x")', "gRPC DATA_LOSS"),
        ('call("/test.Echo/Hang", name="x")', "TimeoutError"),
        ('call("/test.Echo/Echo", b"a", name="x", expect=b"b")', "wrong: the answer is not the expected one"),
    ],
)
def test_failures_are_recorded_by_status(call, text, error):
    """A deadline that has passed is the same TimeoutError as everywhere."""
    traffic = call(text, requests=3)
    assert errors(traffic) == {("gRPC x", error)}
    assert all(len(line["trace_id"]) == 32 for line in traffic.unexpected())
    if error == "TimeoutError":
        assert all(0.45 <= r.latency < 1.4 for r in traffic.records() if r.error == error)


def test_waiting_for_the_server_holds_up_nobody_else(call):
    """Ten users wait at the same time: grpcio yields while it waits."""
    traffic = call('call("/test.Echo/Hang", name="x")', users=10, requests=20)
    records = sorted(traffic.records())
    assert sum(r.start < records[0].end for r in records) >= 5


def test_a_server_that_goes_away_and_comes_back(grpc_server, load, locustfile):
    """Calls under way are lost, those after them are refused, and then all is well again, with no retry hidden."""
    hang = 'self.client.call("/test.Echo/Hang", name="hang", time_limit=0.2)'
    path = locustfile(USERS.format(call=f'call("/test.Echo/Echo", b"a", name="echo")\n        {hang}'))
    with load(path, users=2, host=grpc_server.host) as traffic:
        traffic.wait_for_requests(6)
        grpc_server.stop()
        traffic.wait_for_requests(traffic.requests + 10)
        grpc_server.start()
        end = time.monotonic() + 15
        while "gRPC echo" not in [r.name for r in list(traffic.records())[-4:] if not r.error]:
            assert time.monotonic() < end, "no call was answered any more"
            traffic.run_for(0.2)
    kinds = [r.error for r in traffic.records()]
    refused = kinds.index("ConnectionRefusedError")
    assert "" in kinds[:refused]
    lost = {"ConnectionClosed", "gRPC UNAVAILABLE"}
    assert set(kinds) <= {"", "ConnectionRefusedError", "TimeoutError", UNFINISHED, *lost}
