"""The control port under clients that misbehave."""

from __future__ import annotations

import asyncio
import http.client
import time

import pytest

from pytest_enterprise import http_server as control_http


def answer(wire, control, data):
    """Everything that the control port sends back to ``data`` until it hangs up."""
    client = wire(control.address)
    client.send(data)
    return client.read_all()


@pytest.mark.parametrize("data", [b"nonsense\r\n\r\n", b"GET\r\n\r\n", b"\x16\x03\x01\x00", b"GET / HTTP/9.9\r\n\r\n"])
def test_what_is_no_http_is_400(wire, control, data):
    assert answer(wire, control, data).startswith(b"HTTP/1.1 400 ")
    assert control.get("/version").status == 200


def test_a_body_announced_too_large_is_413_before_it_is_sent(wire, control):
    head = b"POST /populate HTTP/1.1\r\nHost: x\r\nContent-Length: 104857600\r\n\r\n"
    assert answer(wire, control, head).startswith(b"HTTP/1.1 413 ")


def test_an_endless_chunked_body_is_413(wire, control):
    client = wire(control.address)
    client.send(b"POST /populate HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
    chunk = b"100000\r\n" + b" " * 0x100000 + b"\r\n"
    for _ in range(9):
        client.send(chunk)
    assert client.read_all().startswith(b"HTTP/1.1 413 ")


def test_an_endless_head_is_413(wire, control):
    head = b"GET /version HTTP/1.1\r\n" + b"x: " + b"y" * 70_000
    assert answer(wire, control, head).startswith(b"HTTP/1.1 413 ")


def test_an_upgrade_is_refused(wire, control):
    assert answer(wire, control, b"CONNECT x:1 HTTP/1.1\r\nHost: x\r\n\r\n").startswith(b"HTTP/1.1 400 ")


def test_pipelined_requests_are_answered_in_order(wire, control):
    first = b"GET /version HTTP/1.1\r\nHost: x\r\n\r\n"
    last = b"GET /nowhere HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    text = answer(wire, control, first * 3 + last)
    assert text.count(b"HTTP/1.1 200 OK") == 3
    assert text.endswith(b"404 page not found\n")


def test_100_continue_is_answered(wire, control):
    client = wire(control.address)
    client.send(b"POST /populate HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n")
    assert client.read(25) == b"HTTP/1.1 100 Continue\r\n\r\n"
    client.send(b"[]")
    assert client.read(12) == b"HTTP/1.1 201"


def test_query_is_ignored_and_names_are_decoded(control):
    control.create("127.0.0.1:9", name="a/b -> c")
    assert control.get("/proxies/a%2Fb%20-%3E%20c?x=1").json()["name"] == "a/b -> c"


@pytest.mark.parametrize(
    "body", [b"[" * 100_000, b'{"name": ' * 50_000, b'{"a": 1e999999, "b": NaN}', b"\xff\xfe", b"1" * 5000]
)
def test_hostile_json_is_400(control, body):
    assert control.post("/proxies", body).status == 400
    assert control.get("/version").status == 200


def test_ten_thousand_proxies_can_be_held(program):
    """Populate takes them in one request, and the listing holds them all."""
    control = program().control
    wanted = [{"name": f"p{n}", "upstream": "127.0.0.1:9", "enabled": False} for n in range(10_000)]
    assert control.post("/populate", wanted).status == 201
    assert len(control.get("/proxies").json()) == 10_000


def test_a_request_that_trickles_in_is_cut_off(monkeypatch):
    """Slow loris: the whole request must be there within the time limit, and others are served meanwhile."""
    monkeypatch.setattr(control_http, "REQUEST_TIMEOUT", 0.2)

    async def handler(request):
        return control_http.Response(body=request.path.encode())

    async def scenario():
        server = control_http.Server(handler)
        host, port = await server.listen("127.0.0.1", 0)
        reader, writer = await asyncio.open_connection(host, port)
        began = time.monotonic()
        writer.write(b"GET /slow HTTP/1.1\r\n")

        async def trickle():
            while True:
                await asyncio.sleep(0.02)
                writer.write(b"a: b\r\n")

        trickling = asyncio.create_task(trickle())

        def quick():
            connection = http.client.HTTPConnection(host, port, timeout=5)
            try:
                connection.request("GET", "/quick")
                with connection.getresponse() as reply:
                    return reply.read()
            finally:
                connection.close()

        assert await asyncio.to_thread(quick) == b"/quick"
        with pytest.raises((asyncio.IncompleteReadError, ConnectionError)):
            await asyncio.wait_for(reader.readexactly(1), 5)
        trickling.cancel()
        writer.close()
        server.close()
        return time.monotonic() - began

    assert asyncio.run(scenario()) >= 0.19


def test_a_handler_that_fails_is_500_and_the_server_goes_on():
    async def handler(request):
        if request.path == "/bad":
            raise RuntimeError("broken")
        return control_http.Response()

    async def scenario():
        failures = []
        asyncio.get_running_loop().set_exception_handler(lambda _, context: failures.append(context["message"]))
        server = control_http.Server(handler)
        host, port = await server.listen("127.0.0.1", 0)
        reader, writer = await asyncio.open_connection(host, port)
        writer.write(b"GET /bad HTTP/1.1\r\n\r\nGET /good HTTP/1.1\r\nConnection: close\r\n\r\n")
        text = await asyncio.wait_for(reader.read(), 5)
        writer.close()
        server.close()
        return text, failures

    text, failures = asyncio.run(scenario())
    assert [word for word in text.split() if word in (b"500", b"200")] == [b"500", b"200"]
    assert failures == ["GET /bad failed"]
