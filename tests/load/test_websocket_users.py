"""Users of WebSockets against a real server."""

from __future__ import annotations

import asyncio
import socket

import pytest
from starlette.applications import Starlette
from starlette.routing import WebSocketRoute

from pytest_enterprise.load.recorder import UNFINISHED

USERS = """
from locust import task
from pytest_enterprise.load.websocket_users import WebSocketUser

class Talker(WebSocketUser):
    rate = 30
    time_limit = 0.5
    path = "{path}"
    headers = {{"X-Name": "talker"}}
    @task
    def talk(self):
        self.client.{call}
"""


@pytest.fixture
def server(serve_app):
    """A server with a path for each behaviour, and whom it saw at /echo."""
    seen = []

    async def echo(ws):
        await ws.accept()
        seen.append(ws.headers["x-name"])
        async for text in ws.iter_text():
            await ws.send_text(text.upper())

    async def binary(ws):
        await ws.accept()
        async for data in ws.iter_bytes():
            await ws.send_bytes(data[::-1])

    async def chatter(ws):
        await ws.accept()
        async for text in ws.iter_text():
            for number in range(3):
                await ws.send_text(f"news {number}")
            await ws.send_text(f"answer to {text}")

    async def push(ws):
        await ws.accept()
        while True:
            await ws.send_text("tick")
            await asyncio.sleep(0.01)

    async def gone(ws):
        await ws.accept()
        await ws.receive_text()
        await ws.close(1011, "broken")

    async def hang(ws):
        await ws.accept()
        await ws.receive_text()
        await asyncio.sleep(30)

    async def refused(ws):
        await ws.close()

    paths = {f.__name__: f for f in (echo, binary, chatter, push, gone, hang, refused)}
    host = serve_app(Starlette(routes=[WebSocketRoute(f"/{name}", handle) for name, handle in paths.items()]))
    return f"ws://{host}", seen


@pytest.fixture
def talk(server, load, locustfile):
    def talk(path, call, requests=5, users=1):
        with load(locustfile(USERS.format(path=path, call=call)), users=users, host=server[0]) as traffic:
            traffic.wait_for_requests(requests)
        return traffic

    return talk


def errors(traffic):
    return {(r.name, r.error) for r in traffic.records() if r.error != UNFINISHED}


def test_messages_are_asked_and_answered(talk, server):
    """Each user keeps one WebSocket, opened with its headers."""
    traffic = talk("/echo", 'ask("hello", name="hello", expect="HELLO")', requests=20, users=2)
    assert errors(traffic) == {("WebSocket hello", "")}
    assert {r.size for r in traffic.records()} == {5}
    assert server[1] == ["talker"] * 2


def test_bytes_are_bytes(talk):
    traffic = talk("/binary", 'ask(bytes(range(200)), name="b", expect=bytes(range(200))[::-1])')
    assert errors(traffic) == {("WebSocket b", "")}


def test_the_answer_may_be_chosen_among_messages(talk):
    """What the server sends besides is dropped."""
    call = 'ask("x", name="x", match=lambda m: m.startswith("answer"), expect="answer to x")'
    assert errors(talk("/chatter", call)) == {("WebSocket x", "")}


def test_what_the_server_sends_by_itself_can_be_waited_for(talk):
    assert errors(talk("/push", 'receive(name="tick", expect="tick")')) == {("WebSocket tick", "")}


@pytest.mark.parametrize(
    ("path", "error"),
    [
        ("/gone", "WebSocket close 1011"),
        ("/hang", "TimeoutError"),
        ("/refused", "HTTP 403"),
        ("/echo", "wrong: the answer is not the expected one"),
    ],
)
def test_failures_are_recorded_by_kind(talk, path, error):
    """What ends a WebSocket, or keeps it from opening, by its code; and each is counted once."""
    traffic = talk(path, 'ask("hello", name="hello", expect="hi")', requests=3)
    assert errors(traffic) == {("WebSocket hello", error)}
    assert len(traffic.unexpected()) + sum(r.error == UNFINISHED for r in traffic.records()) == traffic.requests


async def _half(reader, writer, server):
    """Opens as a WebSocket should, and dies in the middle of its first frame."""
    import base64
    import hashlib

    head = (await reader.readuntil(b"\r\n\r\n")).decode()
    [key] = [line.partition(": ")[2] for line in head.splitlines() if line.lower().startswith("sec-websocket-key")]
    accept = base64.b64encode(hashlib.sha1(f"{key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11".encode()).digest()).decode()
    writer.write(
        b"HTTP/1.1 101 X\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        + f"Sec-WebSocket-Accept: {accept}\r\n\r\n".encode()
    )
    await reader.read(10)
    writer.write(b"\x81\x05he")


def test_a_connection_lost_in_the_middle_of_a_message(serve, load, locustfile):
    server = serve("", _half)
    path = locustfile(USERS.format(path="/", call='ask("hello", name="hello")'))
    with load(path, users=1, host=f"ws://{server.address}") as traffic:
        traffic.wait_for_requests(3)
    assert errors(traffic) == {("WebSocket hello", "ConnectionClosed")}


def test_a_server_that_opens_none_is_told_by_its_status(serve, load, locustfile):
    host = f"ws://{serve('500').address}"
    with load(locustfile(USERS.format(path="/", call='ask("x", name="x")')), users=1, host=host) as traffic:
        traffic.wait_for_requests(2)
    assert errors(traffic) == {("WebSocket x", "HTTP 500")}


def test_a_refused_connection_is_a_failed_request(load, locustfile):
    with socket.create_server(("127.0.0.1", 0)) as closed:
        host = f"ws://127.0.0.1:{closed.getsockname()[1]}"
    with load(locustfile(USERS.format(path="/", call='ask("x", name="x")')), users=1, host=host) as traffic:
        traffic.wait_for_requests(2)
    assert errors(traffic) == {("WebSocket x", "ConnectionRefusedError")}
