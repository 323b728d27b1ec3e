"""The native engine over HTTP: each request is sent once, at its moment, and recorded with what became of it."""

from __future__ import annotations

import hashlib
import json
import re
import subprocess
import sys
import time
from collections import Counter
from itertools import pairwise

import pytest

from pytest_enterprise import events
from pytest_enterprise.load.arrivals import Constant, Poisson, Step, Trace
from pytest_enterprise.load.native.request import Expect, HttpRequest
from pytest_enterprise.load.records import trace_id, traceparent
from pytest_enterprise.objectives import Availability, Latency, ObjectiveBroken, Objectives

GET = HttpRequest("GET", "/")


def outcomes(traffic):
    return Counter((record.name, record.error) for record in traffic.records())


def test_every_request_is_recorded_as_the_server_saw_it(serve, load, run):
    """As many requests as the pattern says, over few connections that are kept, with times on the run's clock."""
    server = serve()
    before = time.monotonic_ns()
    with load.http([GET], arrivals=Constant(rate=200), host=server.url, seconds=1) as traffic:
        traffic.wait(20)
    records = traffic.records()
    assert len(records) == traffic.requests == server.counts.total() == 200
    assert {(r.name, r.error, r.size) for r in records} == {("GET /", "", 5)}
    assert all(before < traffic.started <= r.start <= r.end <= traffic.stopped for r in records)
    assert server.connections < 100
    assert traffic.closed_loop is False
    assert traffic.cpu_seconds > 0
    [started] = [e for e in events.read(run.directory) if e["kind"] == "load.started"]
    [finished] = [e for e in events.read(run.directory) if e["kind"] == "load.finished"]
    assert started["file"] == f"load/{traffic.id}"
    assert started["closed_loop"] is False
    assert started["arrivals"] == {"kind": "constant", "rate": 200, "poisson": False}
    assert finished["requests"] == 200
    assert finished["reason"] == "seconds"
    assert finished["arrivals"]["due"] == finished["arrivals"]["made"] == 200


def test_without_keep_alive_each_request_has_a_connection_of_its_own(serve, load):
    """Whether the server closes it, as it was asked to, or not."""
    server = serve()
    requests = [GET, HttpRequest("GET", "/close"), HttpRequest("POST", "/echo", body="hello")]
    with load.http(
        requests, arrivals=Constant(rate=100), host=server.url, seconds=1, keep_alive=False, connections=20
    ) as traffic:
        traffic.wait(20)
    assert {(r.error, r.size) for r in traffic.records()} == {("", 5)}
    assert traffic.requests == server.connections == 100
    assert {headers["connection"] for _, _, headers, _ in server.seen} == {"close"}
    assert traffic.connections == 0


def test_an_answer_whose_digest_is_another_is_wrong(serve, load):
    def echo(name, told):
        digest = hashlib.sha256(told.encode()).hexdigest()
        return HttpRequest("POST", "/echo", body="a" * 300_000, name=name, expect=Expect(sha256=digest.upper()))

    requests = [echo("right", "a" * 300_000), echo("wrong", "a" * 299_999 + "b")]
    with load.http(requests, arrivals=Constant(rate=50), host=serve().url, seconds=1) as traffic:
        traffic.wait(20)
    found = outcomes(traffic)
    assert {name for name, _ in found} == {"right", "wrong"}
    assert {error for name, error in found if name == "right"} == {""}
    assert all(error.startswith("wrong: answer's SHA-256 is ") for name, error in found if name == "wrong")


def test_requests_are_recorded_at_their_intended_moments(serve, load):
    """The starts in the records are those of the pattern, not those at which the machine got round to sending."""
    moments = [0, 0.1, 0.15, 0.4]
    with load.http([GET], arrivals=Trace(moments=moments), host=serve().url) as traffic:
        traffic.wait(20)
    starts = sorted(record.start for record in traffic.records())
    assert [(start - traffic.started) / 1e9 for start in starts] == pytest.approx(moments, abs=1e-6)


def test_a_request_is_not_sent_before_its_moment(serve, load):
    server = serve()
    with load.http([GET], arrivals=Poisson(rate=100), host=server.url, seconds=1) as traffic:
        traffic.wait(20)
    sent = sorted(at for at, *_ in server.seen)
    intended = sorted(record.start / 1e9 for record in traffic.records())
    assert all(at >= meant for at, meant in zip(sent, intended, strict=True))


def test_a_server_that_stalls_is_asked_no_less_and_all_who_waited_are_counted(serve, load):
    """The open loop: while nothing is answered, requests go out as before, and their latencies say how long it was."""
    server = serve()
    with load.http([GET], arrivals=Constant(rate=100), host=server.url) as traffic:
        traffic.wait_for_requests(20)
        server.stalled.clear()
        began = time.monotonic()
        traffic.run_for(1)
        during = sum(at > began for at, *_ in server.seen)
        server.stalled.set()
        traffic.wait_for_requests(200)
    assert during > 50
    waited = sorted(record.latency for record in traffic.records())[-50:]
    steps = [later - earlier for earlier, later in pairwise(waited)]
    assert waited[-1] > 0.9
    assert max(steps) < 0.4, "one after the other they had been due 0.01 s apart"
    assert not traffic.behind


def test_the_same_seed_sends_the_same_again(serve, load):
    """What is drawn (moments, kinds, values) follows from the seed, whatever the server did."""
    requests = [
        HttpRequest("GET", "/item/{int:1:1000000}", name="item"),
        HttpRequest("POST", "/echo", json={"id": "{uuid}", "n": "{int:1:6}", "at": "{seq}"}, weight=2),
    ]

    def sent(seed):
        server = serve()
        with load.http(requests, arrivals=Poisson(rate=300), host=server.url, seconds=0.5, seed=seed) as traffic:
            traffic.wait(20)
        assert {record.error for record in traffic.records()} == {""}
        moments = sorted(record.start - traffic.started for record in traffic.records())
        return sorted((what, body) for _, what, _, body in server.seen), moments

    first, again, other = sent(1), sent(1), sent(2)
    assert first == again
    assert first != other
    posts = [json.loads(body) for what, body in first[0] if what == "POST /echo"]
    assert 0.45 < len(posts) / len(first[0]) < 0.9
    assert {type(post["n"]) for post in posts} == {int}
    assert {post["n"] for post in posts} == {1, 2, 3, 4, 5, 6}
    assert len({post["id"] for post in posts}) == len({post["at"] for post in posts}) == len(posts)


def test_headers_base_path_and_host_are_sent(serve, load):
    server = serve()
    request = HttpRequest("PUT", "/echo?q=1", body="x={hex:8}", headers={"X-Trace": "{hex:32}", "accept": "text/plain"})
    with load.http([request], arrivals=Trace(moments=[0, 0]), host=server.url + "/") as traffic:
        traffic.wait(20)
    for _, what, headers, body in server.seen:
        assert what == "PUT /echo?q=1"
        assert headers["host"] == f"127.0.0.1:{server.port}"
        assert headers["accept"] == "text/plain"
        assert len(headers["x-trace"]) == 32
        assert len(body) == 10
    assert len({headers["x-trace"] for _, _, headers, _ in server.seen}) == 2


def test_each_request_carries_the_trace_id_of_its_number(serve, load):
    """The same ones that Locust's users send, whether anything else in the request is drawn or not."""
    server = serve()
    requests = [
        GET,
        HttpRequest("GET", "/item/{int:1:9}", name="item"),
        HttpRequest("POST", "/echo", json={"at": "{seq}"}),
    ]
    with load.http(requests, arrivals=Constant(rate=200), host=server.url, seconds=1.5, seed=5) as traffic:
        traffic.wait(20)
    sent = [headers["traceparent"] for _, _, headers, _ in server.seen]
    assert sorted(sent) == sorted(traceparent(trace_id(5, number)) for number in range(1, 301))
    posts = [(json.loads(body)["at"], headers["traceparent"]) for _, _, headers, body in server.seen if body]
    assert len(posts) > 50
    assert all(sent == traceparent(trace_id(5, at + 1)) for at, sent in posts)


def test_a_traceparent_of_ones_own_is_sent_and_kept_instead(serve, load):
    server = serve()
    request = HttpRequest("GET", "/status/503", headers={"TraceParent": "00-{hex:32}-00f067aa0ba902b7-00"})
    with load.http([request], arrivals=100, host=server.url, seconds=0.2) as traffic:
        traffic.wait(20)
    sent = {headers["traceparent"][3:35] for _, _, headers, _ in server.seen}
    assert len(sent) == 20
    assert {headers["traceparent"][35:] for _, _, headers, _ in server.seen} == {"-00f067aa0ba902b7-00"}
    assert {entry["trace_id"] for entry in traffic.unexpected()} == sent


@pytest.mark.parametrize("path", ["/status/503", "/json"])
def test_what_was_unexpected_can_be_found_again(serve, load, path):
    """By trace id, status and digest, whether the answer's head was seen before or not."""
    server = serve()
    requests = [HttpRequest("GET", path, name="bad", expect=Expect(contains="x")), GET]
    with load.http(requests, arrivals=200, host=server.url, seconds=0.3) as traffic:
        traffic.wait(20)
    sent = {headers["traceparent"][3:35] for _, what, headers, _ in server.seen if what == f"GET {path}"}
    kept = traffic.unexpected()
    body = b"told" if path == "/status/503" else b'{"status": "done", "steps": [{"output": 21}]}'
    assert {entry["trace_id"] for entry in kept} == sent
    assert len(kept) == len(sent) == traffic.failures > 10
    assert {(entry["status"], entry["size"], entry["sha256"]) for entry in kept} == {
        (503 if path == "/status/503" else 200, len(body), hashlib.sha256(body).hexdigest())
    }


@pytest.mark.parametrize("path", ["/slow/0.3", "/status/500", "/hang-up"])
def test_objectives_tell_the_trace_ids_of_the_worst_requests(serve, load, run, path):
    server = serve()
    with load.http([HttpRequest("GET", path)], arrivals=100, host=server.url, seconds=1) as traffic:
        traffic.wait(20)
    objective = (
        Latency(percentile=50, at_most=0.1, phase="whole")
        if "slow" in path
        else Availability(at_least=0.9, phase="whole")
    )
    with pytest.raises(ObjectiveBroken) as told:
        Objectives(run.events.emit, "test").check(objective, load=traffic)
    traces = re.findall(r"trace ([0-9a-f]{32})", str(told.value))
    assert len(set(traces)) >= 2, "two that took the same microseconds may change places"
    assert set(traces) <= {headers["traceparent"][3:35] for _, _, headers, _ in server.seen}


@pytest.mark.parametrize("path", ["/", "/chunked", "/until-close", "/early", "/close", "/status/204", "/echo"])
def test_answers_of_every_framing_are_read(serve, load, path):
    """Whatever way the server tells where an answer ends, it is read whole, again and again."""
    server = serve()
    request = HttpRequest("POST", path, body="hello")
    with load.http([request], arrivals=Constant(rate=100), host=server.url, seconds=0.3) as traffic:
        traffic.wait(20)
    size = 0 if path == "/status/204" else 5
    assert {(r.error, r.size) for r in traffic.records()} == {("", size)}
    assert traffic.requests == server.counts.total() == 30


def test_head_requests_have_no_body(serve, load):
    server = serve()
    with load.http([HttpRequest("HEAD", "/")], arrivals=100, host=server.url, seconds=0.3) as traffic:
        traffic.wait(20)
    assert {(r.error, r.size) for r in traffic.records()} == {("", 0)}
    assert server.connections < 20


@pytest.mark.parametrize(
    ("path", "expect", "error"),
    [
        ("/status/503", Expect(), "HTTP 503"),
        ("/status/404", Expect(status=404), ""),
        ("/status/200", Expect(status=(201, 202)), "HTTP 200"),
        ("/json", Expect(contains='"done"'), ""),
        ("/json", Expect(contains="broken"), "wrong: answer lacks 'broken'"),
        ("/json", Expect(json={"status": "done", "steps.0.output": 21}), ""),
        ("/json", Expect(json={"steps.0.output": 22}), "wrong: answer's steps.0.output is not 22"),
        ("/json", Expect(json={"steps.7": 22}), "wrong: answer's steps.7 is not 22"),
        ("/", Expect(json={"status": "done"}), "wrong: answer is no JSON"),
        ("/chunked", Expect(contains="hello"), ""),
        ("/big/3001", Expect(max_bytes=3001), ""),
        ("/big/3001", Expect(max_bytes=3000), "answer over 3,000 bytes"),
        ("/", Expect(max_bytes=4), "answer over 4 bytes"),
    ],
)
def test_answers_are_checked(serve, load, path, expect, error):
    """An answer that is not what was expected is a failed request, with its kind."""
    request = HttpRequest("GET", path, name="it", expect=expect)
    with load.http([request], arrivals=100, host=serve().url, seconds=0.1) as traffic:
        traffic.wait(20)
    assert outcomes(traffic) == {("it", error): 10}
    assert traffic.failures == (10 if error else 0)


def test_a_pattern_that_ends_ends_the_load(serve, load):
    with load.http([GET], arrivals=Step(rates=(20, 40), each=0.5), host=serve().url) as traffic:
        traffic.wait(20)
    assert traffic.requests == 30


def test_it_is_stopped_in_the_middle(serve, load):
    """end() sends nothing more, and waits for what is under way."""
    server = serve()
    with load.http([HttpRequest("GET", "/slow/0.3")], arrivals=50, host=server.url) as traffic:
        traffic.wait_for_requests(5)
    assert {record.error for record in traffic.records()} == {""}
    assert traffic.requests == server.counts.total()


def test_tls_is_verified_against_the_given_certificates(serve, load, tls, certificate):
    server = serve(tls)
    request = HttpRequest("GET", "/", expect=Expect(contains="hello"))
    with load.http([request], arrivals=200, host=server.url, seconds=0.5, ca=certificate) as traffic:
        traffic.wait(20)
    assert outcomes(traffic) == {("GET /", ""): 100}
    assert server.connections < 50


def test_large_answers_come_whole_over_tls(serve, load, tls, certificate):
    """More than one record and more than one read."""
    request = HttpRequest("GET", "/big/1000001")
    with load.http([request], arrivals=20, host=serve(tls).url, seconds=0.3, ca=certificate) as traffic:
        traffic.wait(20)
    assert {(r.error, r.size) for r in traffic.records()} == {("", 1000001)}


def test_large_requests_are_sent_whole(serve, load):
    """More than the kernel takes at once."""
    server = serve()
    request = HttpRequest("POST", "/echo", body="x" * 3_000_000)
    with load.http([request], arrivals=Trace(moments=[0, 0.1]), host=server.url) as traffic:
        traffic.wait(20)
    assert {(r.error, r.size) for r in traffic.records()} == {("", 3_000_000)}


def test_the_parent_never_imports_the_engine():
    program = (
        "import sys\nimport pytest_enterprise.load.native.traffic\n"
        "heavy = {'httptools', 'hiredis', 'psycopg', 'grpc', 'uvloop', 'asyncio', 'ssl'}\n"
        "print([m for m in sys.modules if m in heavy or m.endswith('dispatcher')])"
    )
    assert subprocess.run((sys.executable, "-c", program), capture_output=True, text=True).stdout == "[]\n"
