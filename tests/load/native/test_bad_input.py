"""The native engine against what goes wrong: each failure is recorded with its kind, and the engine goes on."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from threading import Thread

import pytest

from pytest_enterprise.engines.clock import Clock, _library, why_not
from pytest_enterprise.errors import ConfigurationError, LoadFailed, MachineCannot
from pytest_enterprise.load.arrivals import Constant, Poisson, Trace
from pytest_enterprise.load.native.grpc_call import GrpcCall
from pytest_enterprise.load.native.postgres_query import PostgresQuery
from pytest_enterprise.load.native.redis_command import RedisCommand
from pytest_enterprise.load.native.request import Expect, HttpRequest
from pytest_enterprise.load.recorder import UNFINISHED
from pytest_enterprise.objectives import Latency
from pytest_enterprise.objectives.check import ObjectiveNotJudged, Objectives

GET = HttpRequest("GET", "/")


def errors(traffic):
    return Counter(record.error for record in traffic.records())


def gone(pid, within=3):
    end = time.monotonic() + within
    while time.monotonic() < end:
        try:
            if Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z":
                return True
        except OSError:
            return True
        time.sleep(0.01)
    return False


def memory(pid):
    """Bytes at the peak."""
    text = Path(f"/proc/{pid}/status").read_text()
    return int(text.partition("VmHWM:")[2].split()[0]) * 1024


@pytest.mark.parametrize(
    ("path", "error"),
    [
        ("/hang-up", "HTTPConnectionClosed"),
        ("/reset", "ConnectionResetError"),
        ("/garbage", "malformed answer"),
    ],
)
def test_each_failure_is_recorded_once_with_its_kind(serve, load, path, error):
    """Nothing is repeated behind the user's back."""
    server = serve()
    with load.http([HttpRequest("GET", path)], arrivals=100, host=server.url, seconds=0.2) as traffic:
        traffic.wait(20)
    assert errors(traffic) == {error: 20}
    assert server.counts.total() == 20
    assert traffic.failures == 20


def test_a_refused_connection_is_a_failed_request(serve, load):
    server = serve()
    server.close()
    with load.http([GET], arrivals=200, host=server.url, seconds=0.3) as traffic:
        traffic.wait(20)
    assert errors(traffic) == {"ConnectionRefusedError": 60}


def test_a_server_that_closes_each_connection_is_dialled_again(serve, load):
    server = serve()
    request = HttpRequest("GET", "/close")
    with load.http([request], arrivals=300, host=server.url, seconds=0.5) as traffic:
        traffic.wait(20)
    assert errors(traffic) == {"": 150}
    assert server.connections == 150


def test_an_endpoint_that_never_answers_fails_at_its_time_limit(serve, load):
    """Counted from the intended moment; others go on meanwhile."""
    requests = [HttpRequest("GET", "/never"), GET]
    with load.http(requests, arrivals=100, host=serve().url, seconds=1, timeout=0.5) as traffic:
        traffic.wait(20)
    never = [record for record in traffic.records() if record.name == "GET /never"]
    assert {record.error for record in never} == {"TimeoutError"}
    assert all(0.5 <= record.latency < 1.5 for record in never)
    assert {record.error for record in traffic.records() if record.name == "GET /"} == {""}
    assert traffic.requests == 100


def test_requests_under_way_at_the_end_are_recorded_as_unfinished(serve, load):
    """Ending takes about two seconds at most, and what got no answer until then is not lost."""
    server = serve()
    with load.http([HttpRequest("GET", "/never")], arrivals=Trace(moments=[0, 0, 0.1]), host=server.url) as traffic:
        while server.counts.total() < 3:
            traffic.run_for(0.05)
        began = time.monotonic()
    assert time.monotonic() - began < 5
    assert errors(traffic) == {UNFINISHED: 3}
    assert all(record.latency > 1.5 for record in traffic.records())


@pytest.mark.parametrize("size", [1_000_000_001, 1_000_000_000], ids=["announced", "endless"])
def test_an_answer_of_a_gigabyte_is_refused_in_bounded_memory(serve, load, size):
    """The connection is closed at the limit; the kind of the failure says so."""
    request = HttpRequest("GET", f"/big/{size}", expect=Expect(contains="x", max_bytes=10_000_000))
    traffic = load.http([request], arrivals=Constant(rate=10), host=serve().url).begin()
    traffic.wait_for_requests(3)
    assert memory(traffic._process.pid) < 200e6
    traffic.end()
    assert set(errors(traffic)) == {"answer over 10,000,000 bytes"}
    assert all(record.size < 20_000_000 for record in traffic.records())


def test_a_certificate_that_nobody_vouches_for_is_refused(serve, load, tls):
    server = serve(tls)
    with load.http([GET], arrivals=50, host=server.url, seconds=0.2) as traffic:
        traffic.wait(20)
    assert errors(traffic) == {"SSLCertVerificationError": 10}
    assert not server.counts


def test_a_certificate_for_another_host_is_refused(serve, load, tls, certificate):
    server = serve(tls)
    host = f"https://localhost:{server.port}"
    with load.http([GET], arrivals=50, host=host, seconds=0.2, ca=certificate) as traffic:
        traffic.wait(20)
    assert errors(traffic) == {"SSLCertVerificationError": 10}


def test_a_plain_server_under_https_is_told(load):
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def answer():
            for _ in range(10):
                connection, _ = listener.accept()
                with connection:
                    connection.recv(65536)
                    connection.sendall(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")

        Thread(target=answer, daemon=True).start()
        host = f"https://127.0.0.1:{listener.getsockname()[1]}"
        with load.http([GET], arrivals=50, host=host, seconds=0.2) as traffic:
            traffic.wait(20)
    assert errors(traffic) == {"SSLError WRONG_VERSION_NUMBER": 10}


def test_a_server_that_restarts_costs_what_was_under_way(serve, load):
    """Idle connections that the server ends are noticed; requests after the restart succeed."""
    server = serve()
    with load.http([GET], arrivals=100, host=server.url) as traffic:
        traffic.wait_for_requests(20)
        server.close()
        traffic.run_for(0.3)
        again = serve(port=server.port)
        while again.counts.total() < 30:
            traffic.run_for(0.05)
    kinds = errors(traffic)
    assert kinds["ConnectionRefusedError"] > 10
    assert kinds.total() - kinds["ConnectionRefusedError"] - kinds[""] < 10
    assert [record.error for record in traffic.records()][-20:] == [""] * 20


def test_a_limit_of_connections_makes_requests_wait_and_is_told(serve, load):
    """What waits is counted from its intended moment, and nothing is judged by such a load."""
    server = serve()
    request = HttpRequest("GET", "/slow/0.1")
    with load.http([request], arrivals=50, host=server.url, seconds=0.5, connections=2) as traffic:
        traffic.wait(20)
    assert errors(traffic) == {"": 25}
    assert server.connections <= 2
    assert max(record.latency for record in traffic.records()) > 0.5
    assert "the limit of 2 connections was met" in traffic.behind


@pytest.mark.parametrize("path", ["/slow/0.05", "/slow-close/0.05"])
def test_the_limit_of_connections_is_never_passed(serve, load, path):
    """By what the server counts: as many as allowed are used and no more, also where each is closed and made anew."""
    server = serve()
    request = HttpRequest("GET", path)
    with load.http([request], arrivals=Poisson(rate=200), host=server.url, seconds=1, connections=5) as traffic:
        traffic.wait(20)
    assert server.peak == 5
    assert traffic.requests == server.counts.total() > 150


def test_a_rate_beyond_the_machine_is_told_and_not_judged(serve, load, run):
    """The generator says that it is behind, by how much, and an objective is not judged by it."""
    with load.http([GET], arrivals=Constant(rate=1_000_000), host=serve().url) as traffic:
        traffic.run_for(1)
    assert traffic.arrivals["due"] > 200_000
    assert traffic.arrivals["made"] < traffic.arrivals["due"]
    assert traffic.behind
    objectives = Objectives(run.events.emit, "test")
    with pytest.raises(ObjectiveNotJudged, match="generator behind"):
        objectives.check(Latency(percentile=50, at_most=30.0), load=traffic)


def test_a_million_requests_that_wait_stay_within_memory(serve, load):
    """Those beyond the queue's bound fail at once, and their kind says why."""
    server = serve()
    server.stalled.clear()
    traffic = load.http([GET], arrivals=Constant(rate=1_000_000), host=server.url, connections=1).begin()
    traffic.wait_for_requests(2_000)
    assert memory(traffic._process.pid) < 200e6
    server.stalled.set()
    traffic._process.kill()
    with pytest.raises(LoadFailed, match="died"):
        traffic.end()
    assert errors(traffic)["no connection free"] >= 2_000


def test_steps_of_the_wall_clock_change_nothing(serve, load, monkeypatch, tmp_path):
    """The clock is set ahead by days and back while it runs: requests go on, in their moments and with true times."""
    library = _library()
    if why := why_not():
        raise MachineCannot(why)
    Clock(tmp_path).set(0)
    monkeypatch.setenv("LD_PRELOAD", str(library))
    monkeypatch.setenv("FAKETIME_TIMESTAMP_FILE", str(tmp_path / "clock"))
    monkeypatch.setenv("FAKETIME_NO_CACHE", "1")
    monkeypatch.setenv("FAKETIME_DONT_FAKE_MONOTONIC", "1")
    watch = Clock(tmp_path).watch()
    traffic = load.http([GET], arrivals=Constant(rate=100), host=serve().url, seconds=1)
    traffic.begin()
    monkeypatch.undo()
    for offset in (300_000, -300_000, 7):
        traffic.run_for(0.2)
        Clock(tmp_path).set(offset)
    traffic.wait(20)
    assert watch.close(), "this clock was the engine's"
    traffic.end()
    assert traffic.requests == 100
    starts = sorted(record.start - traffic.started for record in traffic.records())
    assert starts == pytest.approx([10_000_000 * number for number in range(100)], abs=2)
    assert all(record.latency < 5 for record in traffic.records())
    assert 0.9 < (traffic.stopped - traffic.started) / 1e9 < 5


def test_it_dies_with_its_parent(serve, tmp_path):
    """When the process that began a load gets SIGKILL, the engine leaves at once."""
    program = f"""
import time
from pytest_enterprise.load.generator import Load
from pytest_enterprise.load.native.grpc_call import GrpcCall
from pytest_enterprise.load.native.postgres_query import PostgresQuery
from pytest_enterprise.load.native.redis_command import RedisCommand
from pytest_enterprise.load.native.request import HttpRequest
from pytest_enterprise.run import Run
from pytest_enterprise.settings import Settings
load = Load(Run(Settings(reports={str(tmp_path / "r")!r})), "t")
traffic = load.http([HttpRequest("GET", "/")], arrivals=10, host={serve().url!r}).begin()
print(traffic._process.pid, flush=True)
time.sleep(60)
"""
    with subprocess.Popen((sys.executable, "-c", program), stdout=subprocess.PIPE, text=True) as parent:
        pid = int(parent.stdout.readline())
        assert Path(f"/proc/{pid}").exists()
        parent.kill()
        assert gone(pid)


def test_an_engine_that_dies_is_told(serve, load):
    with pytest.raises(LoadFailed, match="died with signal 9"):
        with load.http([GET], arrivals=100, host=serve().url) as traffic:
            traffic.wait_for_requests(1)
            os.kill(traffic._process.pid, signal.SIGKILL)
            traffic.run_for(30)
    assert len(traffic.records()) >= 1


def test_a_host_that_does_not_resolve_is_told_by_begin(load):
    with pytest.raises(ConfigurationError, match=r"host 'http://nowhere\.invalid' does not resolve"):
        load.http([GET], arrivals=1, host="http://nowhere.invalid").begin()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"requests": []}, "no request is given"),
        ({"requests": ["/"]}, "'/' is no request"),
        ({"arrivals": 0}, "rate=0 is no rate"),
        ({"arrivals": 2_000_000}, "is no rate"),
        ({"arrivals": None}, "arrivals=None is no pattern"),
        ({"seconds": 0}, "seconds=0"),
        ({"timeout": -1}, "timeout=-1"),
        ({"connections": 0.5}, "connections=0.5"),
        ({"keep_alive": "no"}, "keep_alive='no' is neither True nor False"),
        ({"ca": "/nowhere.pem"}, "ca='/nowhere.pem' does not exist"),
        ({"host": "127.0.0.1:80"}, "is not a base URL"),
    ],
)
def test_what_cannot_be_is_refused_before_anything_starts(load, run, arguments, message):
    given = {"requests": [GET], "arrivals": 10, "host": "http://127.0.0.1:1", **arguments}
    with pytest.raises(ConfigurationError, match=message):
        load.http(given.pop("requests"), **given)
    assert not (run.directory / "load").exists()


def test_a_file_that_holds_no_certificates_is_told_by_begin(load, tmp_path):
    (tmp_path / "ca.pem").write_text("nothing")
    with pytest.raises(ConfigurationError, match=r"ca\.pem.* cannot be read as certificates"):
        load.http([GET], arrivals=1, host="https://127.0.0.1:1", ca=tmp_path / "ca.pem").begin()


@pytest.mark.parametrize(
    ("verb", "requests", "host", "message"),
    [
        ("http", [GET], "redis://127.0.0.1:1", "load.http cannot speak to a redis:// host; give http://HOST:PORT"),
        ("redis", [GET], "redis://127.0.0.1:1", r'is no request of load.redis; write RedisCommand\("GET", "key"\)'),
        ("redis", [RedisCommand("PING")], "http://127.0.0.1:1", "load.redis cannot speak to a http:// host"),
        ("postgres", [], "postgresql://127.0.0.1:1", r"no request is given; write load.postgres\(\[PostgresQuery"),
        ("grpc", [GrpcCall("/a.B/C")], "https://127.0.0.1:1", "load.grpc cannot speak to a https:// host"),
        ("grpc", [PostgresQuery("SELECT 1")], "grpc://127.0.0.1:1", "is no request of load.grpc"),
    ],
)
def test_a_protocol_is_not_mistaken_for_another(load, verb, requests, host, message):
    with pytest.raises(ConfigurationError, match=message):
        getattr(load, verb)(requests, arrivals=1, host=host)


@pytest.mark.parametrize(
    ("verb", "requests", "host"),
    [
        ("redis", [RedisCommand("PING")], "redis://:secret@nowhere.invalid"),
        ("postgres", [PostgresQuery("SELECT 1")], "postgresql://me:secret@nowhere.invalid/app"),
        ("grpc", [GrpcCall("/a.B/C")], "grpc://nowhere.invalid"),
    ],
)
def test_a_host_of_any_protocol_that_does_not_resolve_is_told_by_begin(load, verb, requests, host):
    """Without its password."""
    with pytest.raises(ConfigurationError, match=r"nowhere\.invalid\S*' does not resolve") as told:
        getattr(load, verb)(requests, arrivals=1, host=host).begin()
    assert "secret" not in str(told.value)


@pytest.mark.parametrize(
    ("verb", "request_", "extra"),
    [
        ("redis", RedisCommand("PING"), "redis"),
        ("postgres", PostgresQuery("SELECT 1"), "postgres"),
        ("grpc", GrpcCall("/a.B/C"), "grpc"),
    ],
)
def test_without_its_library_a_protocol_tells_the_way_out(load, monkeypatch, verb, request_, extra):
    monkeypatch.setattr("pytest_enterprise.load.native.kinds.find_spec", lambda name: None)
    with pytest.raises(ConfigurationError, match=rf"pip install 'pytest-enterprise\[{extra}\]'"):
        getattr(load, verb)([request_], arrivals=1, host="http://127.0.0.1:1")


def test_without_httptools_the_way_out_is_told(load, monkeypatch):
    monkeypatch.setattr("pytest_enterprise.load.native.kinds.find_spec", lambda name: None)
    with pytest.raises(ConfigurationError, match=r"pip install 'pytest-enterprise\[load\]'"):
        load.http([GET], arrivals=1, host="http://127.0.0.1:1")
