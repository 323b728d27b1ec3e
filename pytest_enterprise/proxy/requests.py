"""Complete requests in what a client sends, and the first bytes of their answers, protocol by protocol.

Each class follows one connection: :meth:`requests` is given what the client sends and tells the requests that it
completes, in words that a pattern can be matched with; :meth:`answered` is given what the server sends and tells
whether it answers the request that was waited for.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

from pytest_enterprise.proxy.http1 import Messages, NotHttp


class Requests(Protocol):
    """One protocol's view of a connection."""

    def requests(self, data: bytes) -> Iterator[str]: ...
    def wait(self) -> None:
        """The request that was told last is the one whose answer matters."""

    def answered(self, data: bytes) -> bool: ...


class AnyProtocol:
    """Whatever is sent is a request, whatever comes back is its answer."""

    def __init__(self, *, fresh: bool) -> None:
        pass

    def requests(self, data: bytes) -> Iterator[str]:
        yield data[:200].decode("latin-1")

    def wait(self) -> None:
        pass

    def answered(self, data: bytes) -> bool:
        return bool(data)


class Http(AnyProtocol):
    """HTTP/1.1: ``POST /tasks``. On a connection that was in the middle of a request it sees none any more."""

    def __init__(self, *, fresh: bool) -> None:
        super().__init__(fresh=fresh)
        self._messages: Messages | None = Messages(answers=False)
        self._line = ""

    def requests(self, data: bytes) -> Iterator[str]:
        try:
            for piece in self._messages.feed(data) if self._messages else ():
                if piece.head:
                    self._line = piece.head.first.rpartition(" ")[0]
                if piece.last:
                    yield self._line
        except NotHttp:
            self._messages = None


class Postgres(AnyProtocol):
    """PostgreSQL's protocol, version 3, without TLS: the statements that end with a Query or a Sync."""

    _STARTUP = ("SSLRequest", "GSSENCRequest")

    def __init__(self, *, fresh: bool) -> None:
        super().__init__(fresh=fresh)
        self._data = b""
        self._greeting = fresh
        self._prepared: dict[bytes, str] = {}
        self._statements: list[str] = []

    def requests(self, data: bytes) -> Iterator[str]:
        self._data += data
        while True:
            start = 0 if self._greeting else 1
            if len(self._data) < start + 4:
                return
            size = start + int.from_bytes(self._data[start : start + 4], "big")
            if len(self._data) < size or size < start + 4:
                return
            message, self._data = self._data[:size], self._data[size:]
            if self._greeting:
                # A request for encryption is answered with one byte, and then comes the greeting proper.
                self._greeting = message[4:8] in (b"\x04\xd2\x16\x2f", b"\x04\xd2\x16\x30")
                continue
            if (told := self._take(message[:1], message[5:])) is not None:
                yield told

    def _take(self, kind: bytes, body: bytes) -> str | None:
        if kind == b"Q":
            return _text(body)
        if kind == b"P":
            name, _, rest = body.partition(b"\0")
            self._prepared[name] = _text(rest)
        elif kind == b"B":
            _, _, rest = body.partition(b"\0")
            self._statements.append(self._prepared.get(rest.partition(b"\0")[0], ""))
        elif kind == b"S":
            told, self._statements = "; ".join(self._statements), []
            return told
        return None


def _text(body: bytes) -> str:
    return body.partition(b"\0")[0].decode("utf-8", "replace")


class Grpc:
    """gRPC: the path of a call, ``/etcdserverpb.KV/Put``, when the client has sent all of it.

    Only on connections that are seen from their start can paths be read, since later ones refer to earlier ones; on
    others a call is told as an empty text.
    """

    _PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
    _DATA, _HEADERS, _CONTINUATION = 0, 1, 9
    _END_STREAM, _PADDED, _PRIORITY = 1, 8, 32

    def __init__(self, *, fresh: bool) -> None:
        from hpack import Decoder

        self._up = _Frames(self._PREFACE if fresh else b"")
        self._down = _Frames(b"")
        self._decoder = Decoder() if fresh else None
        self._paths: dict[int, str] = {}
        self._block = b""
        self._last = 0
        self._awaited: set[int] = set()

    def requests(self, data: bytes) -> Iterator[str]:
        for kind, flags, stream, payload in self._up.feed(data):
            if kind == self._HEADERS:
                self._headers(flags, stream, payload)
            if kind in (self._DATA, self._HEADERS) and flags & self._END_STREAM:
                self._last = stream
                yield self._paths.pop(stream, "")

    def _headers(self, flags: int, stream: int, payload: bytes) -> None:
        if self._decoder is None:
            return
        if flags & self._PADDED:
            payload = payload[1 : -payload[0] or None]
        if flags & self._PRIORITY:
            payload = payload[5:]
        try:
            fields = dict(self._decoder.decode(payload, raw=True))
        except Exception:  # whatever is wrong with it, no later path can be read either
            self._decoder = None
            return
        self._paths[stream] = fields.get(b":path", b"").decode("latin-1")

    def wait(self) -> None:
        self._awaited.add(self._last)

    def answered(self, data: bytes) -> bool:
        return any(
            stream in self._awaited and kind in (self._DATA, self._HEADERS)
            for kind, _, stream, _ in self._down.feed(data)
        )


class _Frames:
    """The frames of one direction of HTTP/2."""

    def __init__(self, preface: bytes) -> None:
        self._preface = preface
        self._data = b""

    def feed(self, data: bytes) -> Iterator[tuple[int, int, int, bytes]]:
        """Type, flags, stream and payload of each frame that ``data`` completes."""
        self._data += data
        if self._preface:
            if len(self._data) < len(self._preface):
                return
            self._data, self._preface = self._data.removeprefix(self._preface), b""
        while len(self._data) >= 9:
            size = 9 + int.from_bytes(self._data[:3], "big")
            if len(self._data) < size:
                return
            frame, self._data = self._data[:size], self._data[size:]
            yield frame[3], frame[4], int.from_bytes(frame[5:9], "big") & 0x7FFFFFFF, frame[9:]


PROTOCOLS: dict[str, type[AnyProtocol] | type[Grpc]] = {
    "any": AnyProtocol,
    "http": Http,
    "postgres": Postgres,
    "grpc": Grpc,
}
