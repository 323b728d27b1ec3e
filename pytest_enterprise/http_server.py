"""A small HTTP/1.1 server for our own programs: keep-alive and pipelining, with bounds on everything a client sends."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import cast

import httptools

MAX_BODY = 8 << 20
MAX_HEAD = 64 << 10
MAX_CONNECTIONS = 512
REQUEST_TIMEOUT = 10.0
"""Seconds from the first byte of a request to its last."""
IDLE_TIMEOUT = 120.0

LINGER = 2.0
"""Seconds that a connection is kept after the last answer, for a client that still sends."""


@dataclass
class Request:
    method: str
    path: str
    """As sent, without the query."""
    headers: Mapping[str, str]
    """Names in lower case."""
    body: bytes


@dataclass
class Response:
    status: int = 200
    body: bytes = b""
    type: str = "application/json"
    headers: dict[str, str] = field(default_factory=dict)

    def render(self, *, keep_alive: bool) -> bytes:
        lines = [f"HTTP/1.1 {self.status} {HTTPStatus(self.status).phrase}"]
        if self.body:
            lines.append(f"Content-Type: {self.type}")
        if self.status != HTTPStatus.NO_CONTENT:
            lines.append(f"Content-Length: {len(self.body)}")
        lines += [f"{name}: {value}" for name, value in self.headers.items()]
        if not keep_alive:
            lines.append("Connection: close")
        return "\r\n".join(lines).encode("latin-1", "replace") + b"\r\n\r\n" + self.body


Handler = Callable[[Request], Awaitable[Response]]


class _TooLarge(Exception):
    """The head or the body is beyond its limit."""


class _Conversation(asyncio.Protocol):
    """One client's connection. The ``on_`` methods are called by httptools."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._loop = asyncio.get_running_loop()
        self._parser = httptools.HttpRequestParser(self)
        self._queue: deque[tuple[Request | Response, bool]] = deque()
        self._task: asyncio.Task[None] | None = None
        self._deadline: asyncio.TimerHandle | None = None
        self._ending = False
        self._reset()

    def _reset(self) -> None:
        self._target = b""
        self._headers: dict[str, str] = {}
        self._body: list[bytes] = []
        self._in_head = True
        self._head_size = 0
        self._body_size = 0

    # From the transport.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is none by inheritance
        if len(self._server.open) >= MAX_CONNECTIONS:
            self._transport.abort()
            return
        self._server.open.add(self)
        self._expire_in(REQUEST_TIMEOUT)

    def connection_lost(self, error: Exception | None) -> None:  # noqa: ARG002
        self._server.open.discard(self)
        if self._deadline:
            self._deadline.cancel()

    def data_received(self, data: bytes) -> None:
        if self._ending:
            return
        try:
            self._parser.feed_data(data)
            self._grow_head(len(data))
        except _TooLarge as error:
            self._refuse(413, str(error))
        except httptools.HttpParserUpgrade:
            self._queue.pop()  # it counts as a complete request
            self._refuse(400, "upgrades are not supported")
        except httptools.HttpParserError as error:
            if isinstance(error.__context__, _TooLarge):
                self._refuse(413, str(error.__context__))
            else:
                self._refuse(400, "malformed HTTP request")

    def _expire_in(self, seconds: float) -> None:
        if self._deadline:
            self._deadline.cancel()
        self._deadline = self._loop.call_later(seconds, self._transport.abort)

    def _refuse(self, status: int, reason: str) -> None:
        """Answer what came before, then this, and then nothing more."""
        self._ending = True
        self._queue.append((Response(status, reason.encode() + b"\n", "text/plain; charset=utf-8"), False))
        self._begin_answering()

    def _begin_answering(self) -> None:
        if self._deadline:
            self._deadline.cancel()
        if self._task is None:
            self._transport.pause_reading()
            self._task = self._loop.create_task(self._answer())

    # From the parser.

    def on_message_begin(self) -> None:
        self._reset()
        self._expire_in(REQUEST_TIMEOUT)

    def on_url(self, url: bytes) -> None:
        self._target += url

    def on_header(self, name: bytes, value: bytes) -> None:
        self._headers[name.decode("latin-1").lower()] = value.decode("latin-1")

    def _grow_head(self, size: int) -> None:
        """Count what came while a head is not complete; the parser keeps it without a limit of its own."""
        if self._in_head:
            self._head_size += size
            if self._head_size > MAX_HEAD:
                raise _TooLarge(f"the request's head is beyond {MAX_HEAD} bytes")

    def on_headers_complete(self) -> None:
        self._in_head = False
        length = self._headers.get("content-length", "")
        if length.isdigit() and int(length) > MAX_BODY:
            raise _TooLarge(f"a body of {length} bytes is beyond the limit of {MAX_BODY}")
        if self._headers.get("expect", "").lower() == "100-continue":
            self._transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def on_body(self, body: bytes) -> None:
        self._body_size += len(body)
        if self._body_size > MAX_BODY:
            raise _TooLarge(f"the body is beyond the limit of {MAX_BODY} bytes")
        self._body.append(body)

    def on_message_complete(self) -> None:
        request = Request(
            self._parser.get_method().decode("latin-1"),
            self._target.decode("latin-1").partition("?")[0],
            self._headers,
            b"".join(self._body),
        )
        self._queue.append((request, self._parser.should_keep_alive()))
        self._begin_answering()

    async def _answer(self) -> None:
        while self._queue:
            item, keep_alive = self._queue.popleft()
            response = item if isinstance(item, Response) else await self._server.handle(item)
            if self._transport.is_closing():
                return
            self._transport.write(response.render(keep_alive=keep_alive))
            if not keep_alive:
                self._finish()
                return
        self._task = None
        self._transport.resume_reading()
        self._expire_in(IDLE_TIMEOUT)

    def _finish(self) -> None:
        """Hang up; read on for a moment without keeping anything, so that the answer is not lost to a reset."""
        self._ending = True
        self._transport.write_eof()
        self._transport.resume_reading()
        self._expire_in(LINGER)

    def abort(self) -> None:
        self._transport.abort()


class Server:
    """Answers requests on one port with ``handler``; a handler that fails is a 500, and the server goes on."""

    def __init__(self, handler: Handler) -> None:
        self._handler = handler
        self._server: asyncio.Server | None = None
        self.open: set[_Conversation] = set()

    async def listen(self, host: str, port: int) -> tuple[str, int]:
        """Start, and return the bound host and port. Raises OSError."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: _Conversation(self), host, port, backlog=1024)
        address = self._server.sockets[0].getsockname()
        return str(address[0]), int(address[1])

    async def handle(self, request: Request) -> Response:
        try:
            return await self._handler(request)
        except Exception as error:
            asyncio.get_running_loop().call_exception_handler(
                {"message": f"{request.method} {request.path} failed", "exception": error}
            )
            return Response(500, b"internal error\n", "text/plain; charset=utf-8")

    def close(self) -> None:
        if self._server:
            self._server.close()
        for conversation in tuple(self.open):
            conversation.abort()
