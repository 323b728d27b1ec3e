"""Toxics that know a protocol: HTTP answers that are wrong, late or cut, and commits that nobody hears of."""

from __future__ import annotations

import http.client
import itertools
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_enterprise.proxy.http1 import Messages, NotHttp
from pytest_enterprise.proxy.requests import Postgres


class Shop(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    asked: list[str]

    def do_GET(self):
        self.server.asked.append(f"{self.command} {self.path}")
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        body = b"0123456789" * 10
        self.send_response(200)
        if self.path == "/chunked":
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            self.wfile.write(b"64\r\n" + body + b"\r\n0\r\n\r\n")
            return
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    do_POST = do_HEAD = do_GET  # noqa: N815

    def log_message(self, *_):
        pass


class Quiet(ThreadingHTTPServer):
    def handle_error(self, request, client_address):
        """Say nothing: connections are reset on purpose."""


@pytest.fixture
def shop():
    with Quiet(("127.0.0.1", 0), Shop) as server:
        server.asked = []
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


@pytest.fixture
def disturb(control, shop):
    """A link to the shop with a toxic; gives a connection through it."""
    made = []

    def disturb(kind, *, when=None, **attributes):
        toxic = {"name": "t", "type": kind, "attributes": attributes, "when": when or {}}
        upstream = f"127.0.0.1:{shop.server_port}"
        wanted = {"name": "link", "listen": "127.0.0.1:0", "upstream": upstream, "toxics": [toxic]}
        reply = control.post("/enterprise/proxies", wanted)
        assert reply.status == 201, reply.body
        made.append(http.client.HTTPConnection(reply.json()["listen"], timeout=5))
        return made[0]

    yield disturb
    for connection in made:
        connection.close()


def ask(connection, method="GET", path="/", body=None):
    connection.request(method, path, body)
    answer = connection.getresponse()
    return answer.status, answer.read()


WHOLE = b"0123456789" * 10


def test_a_status_by_route_and_the_server_never_hears_of_it(disturb, shop, control):
    connection = disturb("http", route="POST /tasks", status=503, body="not today")
    assert ask(connection) == (200, WHOLE)
    assert ask(connection, "POST", "/tasks", b"x" * 1000) == (503, b"not today")
    assert ask(connection, "HEAD", "/") == (200, b"")
    assert ask(connection, "GET", "/chunked") == (200, WHOLE)
    assert shop.asked == ["GET /", "HEAD /", "GET /chunked"]
    assert control.counters()["toxics"]["t"]["http_messages"] == 1
    control.remove()
    assert ask(connection, "POST", "/tasks", b"x") == (200, WHOLE)


def test_answers_of_our_own_keep_their_turn_among_pipelined_requests(disturb, wire, control):
    connection = disturb("http", route="/two", status=429)
    client = wire((connection.host, connection.port))
    client.send(b"".join(b"GET /%s HTTP/1.1\r\nHost: x\r\n\r\n" % name for name in (b"one", b"two", b"three")))
    told = b""
    while told.count(b"HTTP/1.1") < 3 or not told.endswith(WHOLE):
        told += client.read(1)
    assert [line.split()[1] for line in told.split(b"\r\n") if b"HTTP/1.1 " in line] == [b"200", b"429", b"200"]


def test_a_delay_by_route(disturb):
    connection = disturb("http", route="GET /slow", delay=200)
    began = time.monotonic()
    assert ask(connection) == (200, WHOLE)
    assert time.monotonic() - began < 0.2
    assert ask(connection, path="/slow") == (200, WHOLE)
    assert time.monotonic() - began >= 0.2


@pytest.mark.parametrize("path", ["/", "/chunked"])
def test_a_truncated_body_breaks_off(disturb, path):
    connection = disturb("http", truncate=30)
    connection.request("GET", path)
    with pytest.raises(http.client.IncompleteRead) as broken:
        connection.getresponse().read()
    assert len(broken.value.partial) <= 30


@pytest.mark.parametrize("path", ["/", "/chunked"])
def test_wrong_content_in_a_whole_answer(disturb, path):
    connection = disturb("http", body="<html>maintenance</html>")
    for _ in range(2):
        assert ask(connection, path=path) == (200, b"<html>maintenance</html>")


def test_a_head_that_comes_line_by_line(disturb):
    connection = disturb("http", slow_head=60)
    began = time.monotonic()
    assert ask(connection) == (200, WHOLE)
    assert time.monotonic() - began >= 5 * 0.06


def test_what_is_no_http_passes_unchanged(control, echo, wire):
    toxic = {"type": "http", "attributes": {"status": 500}}
    wanted = {"name": "link", "listen": "127.0.0.1:0", "upstream": echo.address, "toxics": [toxic]}
    host, port = control.post("/enterprise/proxies", wanted).json()["listen"].rsplit(":", 1)
    wire((host, int(port))).echo(b"\x00\x01binary\r\n\r\n")


def test_an_ambiguous_commit_was_done_and_nobody_hears_of_it(disturb, shop, control):
    connection = disturb("cut_answer", protocol="http", match="^POST", limit=1)
    assert ask(connection) == (200, WHOLE)
    with pytest.raises((ConnectionResetError, http.client.RemoteDisconnected)):
        ask(connection, "POST", "/tasks", b"x")
    assert shop.asked == ["GET /", "POST /tasks"]
    connection.close()
    assert ask(connection, "POST", "/tasks", b"x") == (200, WHOLE)  # one was the limit
    assert control.counters()["toxics"]["t"]["cut_answers"] == 1


@pytest.mark.parametrize(
    ("kind", "attributes", "message"),
    [
        ("http", {}, "it would change nothing"),
        ("http", {"status": 99}, "status is 99; give one from 200 to 599"),
        ("http", {"status": 500, "route": "("}, "route is no regular expression"),
        ("http", {"delay": -1}, "delay is -1"),
        ("http", {"status": "500"}, "cannot unmarshal string"),
        ("cut_answer", {"protocol": "smtp"}, "protocol 'smtp' is unknown; known: any, http, postgres, grpc"),
        ("cut_answer", {"match": "["}, "match is no regular expression"),
        ("cut_answer", {"share": 2}, "share is 2.0; give a number from 0 to 1"),
    ],
)
def test_what_cannot_be_meant_is_refused(control, kind, attributes, message):
    control.create("127.0.0.1:9")
    reply = control.post("/enterprise/proxies/link/toxics", {"type": kind, "attributes": attributes})
    assert reply.status == 400
    assert message in reply.json()["error"]


def test_conditions_on_data_mean_nothing_to_those_that_know_a_protocol(control):
    control.create("127.0.0.1:9")
    toxic = {"type": "cut_answer", "when": {"chunk_share": 0.5}}
    reply = control.post("/enterprise/proxies/link/toxics", toxic)
    assert reply.status == 400
    assert "cut_answer must see all data" in reply.json()["error"]


STREAM = (
    b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"
    b"HTTP/1.1 204 No Content\r\n\r\n"
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nTrailer: x\r\n\r\n"
    b"HTTP/1.0 200 OK\r\n\r\nuntil the end"
)


@settings(max_examples=200, deadline=None, database=None)
@given(st.lists(st.integers(0, len(STREAM)), max_size=12))
def test_messages_are_found_however_the_stream_is_cut(cuts):
    """Nothing is lost or invented, and messages end where they end."""
    messages = Messages(answers=True)
    pieces = []
    places = [0, *sorted(cuts), len(STREAM)]
    for start, stop in itertools.pairwise(places):
        pieces += messages.feed(STREAM[start:stop])
    assert b"".join(piece.head.raw if piece.head else piece.body for piece in pieces) == STREAM
    assert sum(piece.last for piece in pieces) == 3
    assert [piece.head.first.split(" ")[1] for piece in pieces if piece.head] == ["200", "204", "200", "200"]


@pytest.mark.parametrize("data", [b"\x16\x03\x01", b"SSH-2.0-x\r\n\r\n", b"GET / FTP/1\r\n\r\n", b"x" * 70_000])
def test_what_is_no_http_is_told(data):
    with pytest.raises(NotHttp):
        list(Messages(answers=False).feed(data))


def message(kind, body):
    return kind + (len(body) + 4).to_bytes(4, "big") + body


def test_statements_of_postgres_are_seen_where_they_end():
    """After the greeting: a simple query, and a prepared one that is bound again later."""
    startup = (8 + 4).to_bytes(4, "big") + b"\x00\x03\x00\x00user"
    encryption = (8).to_bytes(4, "big") + b"\x04\xd2\x16\x2f"
    prepare = message(b"P", b"s1\0INSERT INTO t VALUES ($1)\0\0\0")
    bind = message(b"B", b"\0s1\0\0\0\0\0\0\0")
    sync = message(b"S", b"")
    stream = encryption + startup + message(b"Q", b"COMMIT\0") + prepare + bind + sync + bind + sync
    for size in (1, 7, len(stream)):
        view = Postgres(fresh=True)
        told = [one for i in range(0, len(stream), size) for one in view.requests(stream[i : i + size])]
        assert told == ["COMMIT", "INSERT INTO t VALUES ($1)", "INSERT INTO t VALUES ($1)"]
