"""Locust's users against what goes wrong: each failure is recorded with its kind, and the load goes on."""

from __future__ import annotations

import asyncio
import base64
import gzip
import hashlib
import re
import signal
import struct
import time
import zlib
from collections import Counter
from pathlib import Path

import brotli
import pytest

from pytest_enterprise import events
from pytest_enterprise.engines.clock import Clock, _library, why_not
from pytest_enterprise.errors import ConfigurationError, LoadFailed, MachineCannot
from pytest_enterprise.report.model import load_run

VISITOR = """
import ssl
from locust import events, task
from pytest_enterprise.load.users import EnterpriseUser

class Visitor(EnterpriseUser):
    rate = 20
{settings}
    @task
    def visit(self):
        self.client.get("/", name="/")
"""


def visitor(settings="", after=""):
    lines = "".join(f"    {line}\n" for line in settings.splitlines())
    return VISITOR.format(settings=lines) + after


def errors(traffic):
    return Counter(record.error for record in traffic.records())


def memory(pid):
    """Bytes at the peak."""
    text = Path(f"/proc/{pid}/status").read_text()
    return int(text.partition("VmHWM:")[2].split()[0]) * 1024


def answering(head, body=b"", *, hang_up=False):
    """Speaks HTTP: the same bytes for each request."""

    async def speak(reader, writer, server):
        while True:
            await reader.readuntil(b"\r\n\r\n")
            server.counts["/"] += 1
            writer.write(b"HTTP/1.1 200 OK\r\n" + head + b"\r\n" + body)
            await writer.drain()
            if hang_up:
                return

    return speak


def a_gigabyte(head):
    async def speak(reader, writer, server):
        await reader.readuntil(b"\r\n\r\n")
        server.counts["/"] += 1
        writer.write(b"HTTP/1.1 200 OK\r\n" + head + b"\r\n")
        for _ in range(1000):
            writer.write(bytes(1 << 20))
            await writer.drain()

    return speak


@pytest.mark.parametrize("head", [b"Content-Length: 1048576000\r\n", b""], ids=["announced", "endless"])
def test_an_answer_of_a_gigabyte_is_refused_in_bounded_memory(serve, load, locustfile, head):
    """The connection is closed at the limit; the kind of the failure says so, and no digest of a part is kept."""
    server = serve(speak=a_gigabyte(head))
    with load(locustfile(visitor("max_bytes = 10_000_000")), users=3, host=server.url) as traffic:
        traffic.wait_for_requests(12)
        assert memory(traffic._process.pid) < 200e6
    assert errors(traffic)["answer over 10,000,000 bytes"] >= 12
    assert set(errors(traffic)) <= {"answer over 10,000,000 bytes", "unfinished"}
    assert not any("sha256" in answer for answer in traffic.unexpected())


OTHERS = {
    "tcp": ("tcp_users", "TcpUser", 'ask(b"go\\r\\n", name="go")'),
    "redis": ("redis_users", "RedisUser", 'call("GET", "key")'),
    "ws": ("websocket_users", "WebSocketUser", 'ask("go", name="go")'),
    "fragments": ("websocket_users", "WebSocketUser", 'ask("go", name="go")'),
}


def an_endless_answer(protocol):
    """A gigabyte in the words of a protocol, in one message or in fragments of one."""

    async def speak(reader, writer, server):
        head = await reader.readuntil(b"\r\n\r\n" if protocol in ("ws", "fragments") else b"\r\n")
        if key := re.search(rb"Sec-WebSocket-Key: (\S+)", head):
            proof = base64.b64encode(hashlib.sha1(key[1] + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest())
            upgrade = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            writer.write(upgrade + b"Sec-WebSocket-Accept: " + proof + b"\r\n\r\n")
        writer.write({"redis": b"$1000000000\r\n", "ws": struct.pack("!BBQ", 0x82, 127, 10**9)}.get(protocol, b""))
        for number in range(1000):
            if protocol == "fragments":
                writer.write(struct.pack("!BBQ", 0 if number else 2, 127, 1 << 20))
            writer.write(bytes(1 << 20))
            await writer.drain()

    return speak


@pytest.mark.parametrize("protocol", OTHERS)
def test_endless_answers_of_other_protocols_are_refused_in_bounded_memory(serve, load, locustfile, protocol):
    module, user, work = OTHERS[protocol]
    text = (
        f"from locust import task\nfrom pytest_enterprise.load.{module} import {user}\n"
        f"class Asker({user}):\n    rate = 20\n    @task\n    def ask(self):\n        self.client.{work}\n"
    )
    host = f"{'ws' if protocol == 'fragments' else protocol}://{serve(speak=an_endless_answer(protocol)).address}"
    with load(locustfile(text), users=1, host=host) as traffic:
        traffic.wait_for_requests(3)
        assert memory(traffic._process.pid) < 350e6
    assert errors(traffic)["answer over 67,108,864 bytes"] >= 3
    assert set(errors(traffic)) <= {"answer over 67,108,864 bytes", "unfinished"}


def bomb(compress, end):
    return b"".join(compress(bytes(1 << 20)) for _ in range(200)) + end()


def zipped_bomb():
    made = zlib.compressobj(wbits=31)
    return bomb(made.compress, made.flush)


def brotli_bomb():
    made = brotli.Compressor(quality=1)
    return bomb(made.process, made.finish)


@pytest.mark.parametrize(
    ("encoding", "body", "error"),
    [
        ("gzip", gzip.compress(b"hello"), ""),
        ("br", brotli.compress(b"hello"), ""),
        ("deflate", zlib.compress(b"hello"), ""),
        ("deflate", zlib.compress(b"hello")[2:-4], ""),
        ("gzip", b"hello", "answer is no gzip"),
        ("br", bytes(range(255, 200, -1)), "answer is no br"),
        ("gzip", gzip.compress(b"hello" * 9)[:-9], "answer is no whole gzip"),
        ("br", brotli.compress(b"hello" * 9)[:-2], "answer is no whole br"),
        ("zstd", b"hello", "answer in an unknown encoding, zstd"),
        ("gzip", zipped_bomb(), "answer over 1,000,000 bytes"),
        ("br", brotli_bomb(), "answer over 1,000,000 bytes"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_packed_answers_are_unpacked_within_the_limit(serve, load, locustfile, encoding, body, error):
    """What unpacks to more than the limit, or not at all, is a failed request; none is lost."""
    head = b"Content-Length: %d\r\nContent-Encoding: %s\r\n" % (len(body), encoding.encode())
    server = serve(speak=answering(head, body))
    with load(locustfile(visitor("max_bytes = 1_000_000")), users=2, host=server.url) as traffic:
        traffic.wait_for_requests(5)
        assert memory(traffic._process.pid) < 150e6
    assert set(errors(traffic)) == {error}
    assert {record.size for record in traffic.records()} == {0 if error else 5}
    assert traffic.requests == server.total
    assert not traffic.user_errors


@pytest.mark.parametrize("head", [b"Content-Length: 100\r\n", b"Transfer-Encoding: chunked\r\n"])
def test_an_answer_that_is_cut_short_is_a_failed_request(serve, load, locustfile, head):
    server = serve(speak=answering(head, b"64\r\nhello", hang_up=True))
    with load(locustfile(visitor()), users=2, host=server.url) as traffic:
        traffic.wait_for_requests(5)
    assert set(errors(traffic)) == {"HTTPParseError"}
    assert traffic.requests == server.total


def test_a_server_that_closes_each_connection_costs_nothing_but_connections(serve, load, locustfile):
    server = serve("bye")
    with load(locustfile(), users=3, host=server.url) as traffic:
        traffic.wait_for_requests(20)
    assert set(errors(traffic)) == {""}
    assert traffic.requests == server.total


def test_an_endpoint_that_never_answers_fails_at_its_time_limit(serve, load, locustfile):
    server = serve("hang")
    with load(locustfile(visitor("network_timeout = 0.3")), users=3, host=server.url) as traffic:
        traffic.wait_for_requests(9)
    kinds = errors(traffic)
    assert kinds["TimeoutError"] >= 9
    assert set(kinds) <= {"TimeoutError", "unfinished"}
    assert all(record.latency >= 0.29 for record in traffic.records() if record.error == "TimeoutError")


def test_a_certificate_that_nobody_vouches_for_is_refused(serve, load, locustfile, tls):
    server = serve(tls=tls)
    with load(locustfile(visitor()), users=2, host=server.url) as traffic:
        traffic.wait_for_requests(5)
    assert set(errors(traffic)) == {"SSLCertVerificationError"}
    assert not server.total


@pytest.mark.parametrize(("name", "error"), [("127.0.0.1", ""), ("localhost", "SSLCertVerificationError")])
def test_a_certificate_is_for_one_host(serve, load, locustfile, tls, certificate, name, error):
    """A user may trust a certificate of its own, and only for the host that it names."""
    server = serve(tls=tls)
    trusting = f"ssl_context_factory = staticmethod(lambda: ssl.create_default_context(cafile={str(certificate)!r}))"
    host = server.url.replace("127.0.0.1", name)
    with load(locustfile(visitor(f"{trusting}\nconnection_timeout = 5")), users=2, host=host) as traffic:
        traffic.wait_for_requests(5)
    assert set(errors(traffic)) == {error}


def test_a_plain_server_under_https_is_told(serve, load, locustfile):
    async def plain(reader, writer, server):
        await reader.read(1)
        writer.write(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")
        await writer.drain()
        await asyncio.sleep(0.05)

    host = serve(speak=plain).url.replace("http:", "https:")
    with load(locustfile(visitor()), users=2, host=host) as traffic:
        traffic.wait_for_requests(5)
    assert set(errors(traffic)) == {"SSLError"}


@pytest.mark.parametrize("loop", [{"users": 2}, {"arrivals": 40}], ids=["closed", "open"])
@pytest.mark.parametrize(
    ("settings", "after", "error"),
    [
        ("def on_stop(self):\n    raise ValueError('stop')", "", "ValueError: stop"),
        ("", "@events.test_start.add_listener\ndef start(**_): raise ValueError('start')", "ValueError: start"),
        ("", "@events.test_stop.add_listener\ndef stop(**_): raise ValueError('stop')", "ValueError: stop"),
        ("", "@events.quitting.add_listener\ndef quit(**_): raise ValueError('quit')", "ValueError: quit"),
        ("", "@events.request.add_listener\ndef request(**_): raise ValueError('request')", "ValueError: request"),
    ],
    ids=["on_stop", "test_start", "test_stop", "quitting", "request"],
)
def test_whatever_a_locustfile_raises_is_told_and_loses_no_request(
    serve, load, locustfile, run, loop, settings, after, error
):
    """Outside of tasks too, where Locust only logs it: it stands among the errors of the load, and in its report."""
    server = serve()
    with load(locustfile(visitor(settings, after)), host=server.url, **loop) as traffic:
        traffic.wait_for_requests(10)
    assert set(traffic.user_errors) == {error}
    assert traffic.requests == server.total >= 10
    [finished] = [event for event in events.read(run.directory) if event["kind"] == "load.finished"]
    assert finished["user_errors"] == traffic.user_errors


@pytest.mark.parametrize("loop", [{"users": 2}, {"arrivals": 40}], ids=["closed", "open"])
def test_users_that_cannot_be_made_are_no_empty_success(serve, load, locustfile, loop):
    text = visitor("def __init__(self, environment):\n    raise ValueError('made')")
    with pytest.raises(LoadFailed, match="made no request: its tasks raised ValueError: made"):
        with load(locustfile(text), host=serve().url, **loop) as traffic:
            traffic.run_for(0.5)


def test_a_user_that_cannot_be_made_costs_its_arrival_alone(serve, load, locustfile):
    """Arrivals go on, and those that were not made are told."""
    text = visitor(
        "made = 0\ndef __init__(self, environment):\n    type(self).made += 1\n    if 3 <= self.made <= 8:\n"
        "        raise ValueError('made')\n    super().__init__(environment)"
    )
    server = serve()
    with load(locustfile(text), arrivals=40, host=server.url) as traffic:
        traffic.wait_for_requests(2)
        server.stall(0.5)  # so that more users are needed
        traffic.wait_for_requests(40)
    assert traffic.user_errors == {"ValueError: made": 6}
    assert traffic.behind.startswith(f"6 of {traffic.arrivals['due']} arrivals were not made")


@pytest.mark.parametrize(
    ("rate", "options", "message"),
    [
        ("0", {}, "Visitor.rate=0 is not possible; give a number above 0"),
        ("-1", {}, "Visitor.rate=-1 is not possible"),
        ("None", {}, "Visitor.rate=None is not possible"),
        ("float('nan')", {}, "Visitor.rate=nan is not possible"),
        ("1e12", {}, "rate=1000000000000.0 is not possible; give a number above 0 and below 1,000,000,000"),
        ("1", {"rate": 0}, "rate=0 is not possible"),
        ("1", {"rate": -3}, "rate=-3 is not possible"),
    ],
)
def test_a_rate_that_is_none_is_told_by_begin(load, locustfile, rate, options, message):
    text = visitor(f"rate = {rate}")
    with pytest.raises(ConfigurationError, match=message):
        load(locustfile(text), users=1, host="http://127.0.0.1:1", options=options).begin()


def test_a_rate_beyond_the_machine_is_what_the_machine_can_do(serve, load, locustfile):
    """A closed loop sends as fast as answers come."""
    with load(locustfile(rate=1e6), users=2, host=serve().url) as traffic:
        traffic.run_for(0.5)
    assert traffic.requests > 50
    assert set(errors(traffic)) <= {"", "unfinished"}


def test_a_generator_that_dies_says_what_is_lost(serve, load, locustfile, run):
    """The records of up to a quarter of a second: the error says so, and the report too."""
    run.events.emit("test.started", test="tests/load::test", suite="", scenario=True)
    server = serve()
    with pytest.raises(LoadFailed, match="requests were recorded, those that ended in its last quarter of a second"):
        with load(locustfile(visitor("rate = 200")), users=2, host=server.url) as traffic:
            traffic.wait_for_requests(60)
            traffic._process.send_signal(signal.SIGKILL)
            traffic.run_for(10)
    assert 60 <= len(traffic.records()) <= server.total
    run.events.emit("test.finished", test="tests/load::test", outcome="failed", seconds=1.0)
    run.finish(exit_status=1)
    [scenario] = load_run(run.directory).tests
    assert any("died" in note and "are lost" in note for note in scenario.loads[0].notes)


def test_steps_of_the_wall_clock_change_nothing(serve, load, locustfile, monkeypatch, tmp_path):
    """The clock is set ahead by days and back while a closed loop runs: its records stay in the load's own time."""
    library = _library()
    if why := why_not():
        raise MachineCannot(why)
    Clock(tmp_path).set(0)
    monkeypatch.setenv("LD_PRELOAD", str(library))
    monkeypatch.setenv("FAKETIME_TIMESTAMP_FILE", str(tmp_path / "clock"))
    monkeypatch.setenv("FAKETIME_NO_CACHE", "1")
    monkeypatch.setenv("FAKETIME_DONT_FAKE_MONOTONIC", "1")
    watch = Clock(tmp_path).watch()
    server = serve()
    traffic = load(locustfile(visitor("rate = 50")), users=2, host=server.url).begin()
    monkeypatch.undo()
    for offset in (300_000, -300_000, 7):
        traffic.run_for(0.3)
        Clock(tmp_path).set(offset)
    traffic.run_for(0.3)
    assert watch.close(), "this clock was the load's"
    now = time.monotonic_ns()
    traffic.end()
    assert traffic.requests == server.total > 80
    records = traffic.records()
    assert all(traffic.started <= record.start <= record.end <= now + 3e9 for record in records)
    assert all(record.latency < 2 for record in records)
    seconds = Counter((record.start - traffic.started) // 300_000_000 for record in records)
    assert all(seconds[third] > 0 for third in range(3)), seconds
