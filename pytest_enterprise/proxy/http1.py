"""Where HTTP/1.1 messages begin and end in a stream: heads, and the bytes of their bodies, untouched."""

from __future__ import annotations

from collections.abc import Iterator
from enum import Enum
from typing import NamedTuple

MAX_HEAD = 64 * 1024


class NotHttp(ValueError):
    """The stream is something else, or what was seen of it began in the middle of a message."""


class Head(NamedTuple):
    """The first part of a message, with the empty line that ends it."""

    raw: bytes
    first: str
    """The request line or the status line."""

    def header(self, name: str) -> str:
        """The value of a header; empty when there is none."""
        wanted = name.lower().encode() + b":"
        for line in self.raw.split(b"\r\n")[1:]:
            if line.lower().startswith(wanted):
                return line.partition(b":")[2].strip().decode("latin-1")
        return ""


class Piece(NamedTuple):
    """A part of one message: its head, or bytes of its body; ``last`` when the message is over with it."""

    head: Head | None
    body: bytes
    last: bool


class _State(Enum):
    HEAD = 0
    BODY = 1
    """``left`` bytes more."""
    CHUNK_SIZE = 2
    CHUNK = 3
    TRAILER = 4
    UNTIL_CLOSE = 5


class Messages:
    """Cuts a stream of requests, or of answers, into pieces."""

    def __init__(self, *, answers: bool) -> None:
        self._answers = answers
        self._state = _State.HEAD
        self._data = b""
        self._left = 0

    @property
    def between(self) -> bool:
        """Whether no message is under way."""
        return self._state is _State.HEAD and not self._data

    def feed(self, data: bytes, *, bodiless: bool = False) -> Iterator[Piece]:
        """The pieces that ``data`` completes. Raises NotHttp.

        ``bodiless`` says that the next answer has no body whatever its head says: it answers HEAD. Read one piece, then
        ask again with no data, when that depends on the piece.
        """
        self._data += data
        while (piece := self._next(bodiless=bodiless)) is not None:
            yield piece

    def _next(self, *, bodiless: bool) -> Piece | None:
        match self._state:
            case _State.HEAD:
                return self._head(bodiless=bodiless)
            case _State.BODY | _State.CHUNK:
                taken, self._data = self._data[: self._left], self._data[self._left :]
                self._left -= len(taken)
                done = not self._left
                if self._state is _State.CHUNK:
                    if done:
                        self._state = _State.CHUNK_SIZE
                    done = False
                elif done:
                    self._state = _State.HEAD
                return Piece(None, taken, done) if taken else None
            case _State.CHUNK_SIZE:
                return self._size()
            case _State.TRAILER:
                line = self._line()
                if line is None:
                    return None
                if line == b"\r\n":
                    self._state = _State.HEAD
                return Piece(None, line, line == b"\r\n")
            case _State.UNTIL_CLOSE:
                taken, self._data = self._data, b""
                return Piece(None, taken, False) if taken else None

    def _head(self, *, bodiless: bool) -> Piece | None:
        end = self._data.find(b"\r\n\r\n")
        if end < 0:
            if len(self._data) > MAX_HEAD or (self._data and not self._data[:1].isalpha()):
                raise NotHttp(f"no HTTP message begins with {self._data[:20]!r}")
            return None
        raw, self._data = self._data[: end + 4], self._data[end + 4 :]
        head = Head(raw, raw.partition(b"\r\n")[0].decode("latin-1"))
        parts = head.first.split(" ")
        if len(parts) < (2 if self._answers else 3) or not parts[0 if self._answers else -1].startswith("HTTP/1."):
            raise NotHttp(f"no HTTP message begins with {head.first[:40]!r}")
        if self._answers and (bodiless or parts[1][:1] == "1" or parts[1] in ("204", "304")):
            return Piece(head, b"", True)
        if "chunked" in head.header("Transfer-Encoding").lower():
            self._state = _State.CHUNK_SIZE
        elif length := head.header("Content-Length"):
            if not length.isdecimal():
                raise NotHttp(f"Content-Length: {length[:20]}")
            self._left = int(length)
            if self._left:
                self._state = _State.BODY
        elif self._answers:
            self._state = _State.UNTIL_CLOSE
        return Piece(head, b"", self._state is _State.HEAD)

    def _line(self) -> bytes | None:
        end = self._data.find(b"\r\n")
        if end < 0:
            if len(self._data) > MAX_HEAD:
                raise NotHttp("a line without end")
            return None
        line, self._data = self._data[: end + 2], self._data[end + 2 :]
        return line

    def _size(self) -> Piece | None:
        line = self._line()
        if line is None:
            return None
        try:
            size = int(line.partition(b";")[0], 16)
        except ValueError:
            raise NotHttp(f"chunk size {line[:20]!r}") from None
        if size:
            self._left = size + 2
            self._state = _State.CHUNK
        else:
            self._state = _State.TRAILER
        return Piece(None, line, False)
