"""Users of WebSockets: they send messages and wait for those of the server."""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping
from functools import cached_property
from typing import ClassVar

import websocket
from websocket import ABNF, frame_buffer

from pytest_enterprise.load.protocol import (
    Answer,
    ConnectionClosed,
    Expected,
    Pool,
    ProtocolUser,
    Refusal,
    Reply,
    TooLarge,
)
from pytest_enterprise.load.records import LARGEST

Message = str | bytes


class Closed(ConnectionClosed):
    """The server said that it ends the WebSocket; recorded with its code: ``WebSocket close 1011``."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason or f"code {code}")
        self.kind = f"WebSocket close {code}"


class _Frames(frame_buffer):
    """Frames of a bounded length; no message has more bytes than one of them may have."""

    taken = 0
    """Bytes of the message under way."""

    def recv_length(self) -> None:
        super().recv_length()
        assert self.header is not None
        opcode = self.header[4]
        if opcode in (ABNF.OPCODE_TEXT, ABNF.OPCODE_BINARY, ABNF.OPCODE_CONT):
            self.taken = (self.length or 0) + (self.taken if opcode == ABNF.OPCODE_CONT else 0)
        if self.taken > LARGEST:
            raise TooLarge


class Connection:
    """One WebSocket. Messages that came before they were waited for stay in its socket."""

    def __init__(self, url: str, timeout: float, headers: Mapping[str, str], subprotocols: list[str] | None) -> None:
        self.closed = False
        self._socket = websocket.WebSocket(enable_multithread=False)
        self._socket.frame_buffer = _Frames(self._socket._recv, False)  # noqa: SLF001  there is no setting for it
        try:
            self._socket.connect(  # type: ignore[no-untyped-call]
                url, timeout=timeout, header=dict(headers), subprotocols=subprotocols, suppress_origin=True
            )
        except websocket.WebSocketBadStatusException as error:
            raise Refusal(f"HTTP {error.status_code}", str(error), error.resp_body or b"") from None
        except websocket.WebSocketTimeoutException as error:
            raise TimeoutError(str(error)) from None
        except websocket.WebSocketConnectionClosedException as error:
            raise ConnectionClosed(str(error)) from None
        self._socket.settimeout(None)  # the exchange has a limit

    def send(self, message: Message) -> None:
        opcode = ABNF.OPCODE_TEXT if isinstance(message, str) else ABNF.OPCODE_BINARY
        self._socket.send(message, opcode)

    def receive(self) -> tuple[Message, int]:
        """The next message and its bytes; pings are answered on the way."""
        while True:
            try:
                opcode, frame = self._socket.recv_data_frame(control_frame=True)
            except websocket.WebSocketConnectionClosedException as error:
                raise ConnectionClosed(str(error)) from None
            data: bytes = frame.data
            if opcode == ABNF.OPCODE_CLOSE:
                code = struct.unpack("!H", data[:2])[0] if len(data) >= 2 else 1005
                raise Closed(code, data[2:].decode(errors="replace"))
            if opcode == ABNF.OPCODE_TEXT:
                return data.decode(), len(data)
            if opcode == ABNF.OPCODE_BINARY:
                return data, len(data)

    def close(self) -> None:
        """Say goodbye if the server listens, and wait for nothing."""
        self.closed = True
        self._socket.close(timeout=0)


class WebSocketClient:
    """The ``client`` of a :class:`WebSocketUser`."""

    def __init__(self, user: WebSocketUser) -> None:
        self._user = user
        address = user.address()
        url = address._replace(path=(address.path.rstrip("/") + user.path) or "/").geturl()
        self._pool = Pool(
            lambda: Connection(url, user.connection_timeout, user.headers, list(user.subprotocols) or None)
        )

    def ask(
        self,
        message: Message,
        *,
        name: str,
        match: Callable[[Message], bool] | None = None,
        expect: Expected = None,
        time_limit: float | None = None,
    ) -> Answer:
        """Send a message (text or bytes) and wait for the next, or the first that ``match`` says is its answer.

        Others that come before it are dropped.
        """
        return self._wait(message, name, match, expect, time_limit)

    def receive(
        self,
        *,
        name: str,
        match: Callable[[Message], bool] | None = None,
        expect: Expected = None,
        time_limit: float | None = None,
    ) -> Answer:
        """Wait for a message that the server sends by itself."""
        return self._wait(None, name, match, expect, time_limit)

    def _wait(
        self,
        message: Message | None,
        name: str,
        match: Callable[[Message], bool] | None,
        expect: Expected,
        time_limit: float | None,
    ) -> Answer:
        def work(_: str) -> Reply:
            with self._pool.connection() as connection:
                if message is not None:
                    connection.send(message)
                while True:
                    answer, size = connection.receive()
                    if match is None or match(answer):
                        return Reply(answer, size)

        return self._user.exchange(name, work, expect=expect, time_limit=time_limit)

    def close(self) -> None:
        self._pool.close()


class WebSocketUser(ProtocolUser):
    """Speaks WebSocket; connections are kept. Its host is ``ws://HOST:PORT`` or ``wss://HOST:PORT``."""

    abstract = True
    protocol = "WebSocket"
    schemes: ClassVar[tuple[str, ...]] = ("ws", "wss")
    path: str = ""
    """Follows the host's: ``/events``."""
    headers: Mapping[str, str] = {}
    """Of the handshake."""
    subprotocols: tuple[str, ...] = ()

    @cached_property
    def client(self) -> WebSocketClient:
        """Made when the first task asks for it, so that a host that cannot be is told as an error of that task."""
        return WebSocketClient(self)
