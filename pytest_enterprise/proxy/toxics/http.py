"""Answers HTTP/1.1 requests wrongly, late, or only in part.

``route`` is a regular expression for ``METHOD /path?query`` (all requests when it is empty). Of its effects each that
is not zero or empty acts:

``status``
    answer with this status and ``body`` instead of asking the server.
``delay``
    milliseconds for which the request is held back.
``truncate``
    pass so many bytes of the answer's body, then close the connection.
``body``
    put this in place of the answer's body.
``slow_head``
    milliseconds between the lines of the answer's head.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from time import monotonic_ns
from typing import Any, ClassVar

from pytest_enterprise.proxy.http1 import Head, Messages, NotHttp
from pytest_enterprise.proxy.toxics.base import MS, Ending, Schedule


@dataclass
class _Exchange:
    """A request, and what is to become of its answer."""

    method: str
    meant: bool
    complete: bool = False
    reply: bytes = b""
    """Our own answer; the server knows nothing of the request."""
    passed: int = 0
    """Bytes of the answer's body that the client got."""


class HttpFault(Schedule):
    """A dependency that misbehaves in its own language. Not for connections that were in the middle of a message."""

    kind = "http"
    fields: ClassVar = {
        "route": str,
        "status": int,
        "delay": int,
        "truncate": int,
        "body": str,
        "slow_head": int,
    }
    both = True
    capacity = 8 << 20

    @classmethod
    def problem(cls, attributes: Mapping[str, Any]) -> str:
        try:
            re.compile(attributes.get("route", ""))
        except re.error as error:
            return f"route is no regular expression: {error}"
        status = attributes.get("status", 0)
        if status and not 200 <= status <= 599:
            return f"status is {status}; give one from 200 to 599"
        if not any(attributes.get(name) for name in ("status", "delay", "truncate", "body", "slow_head")):
            return "it would change nothing; give status, delay, truncate, body or slow_head"
        return ""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._shared = self.carrier.shared(self.toxic)
        self._messages: Messages | None = Messages(answers=not self.carrier.upstream)
        self._exchanges: deque[_Exchange] = self._shared.setdefault("exchanges", deque())
        self._current: _Exchange | None = None
        self._moment = 0
        self._shared["up" if self.carrier.upstream else "down"] = self

    def data(self, chunk: bytes) -> None:
        if self._messages is None:
            self._forward(chunk)
            return
        try:
            if self.carrier.upstream:
                self._requests(chunk)
            else:
                self._answers(chunk)
        except NotHttp:
            self._messages = None
            self._forward(chunk)

    def _forward(self, data: bytes, *, after: int = 0) -> None:
        """Pass on, ``after`` ns from now or from what is due before it."""
        now = monotonic_ns()
        if not after and not self.waiting():
            self.next.data(data)
            return
        self._moment = max(now, self._moment) + after
        self.put(self._moment, data, came=now)

    def _acted(self, size: int) -> None:
        self.toxic.counters.more["http_messages"] += 1
        self.toxic.counters.chunks += 1
        self.toxic.counters.bytes += size
        self.touch()

    # What the client sends.

    def _requests(self, chunk: bytes) -> None:
        assert self._messages is not None
        for head, body, last in self._messages.feed(chunk):
            delay = 0
            if head is not None:
                line = head.first.rpartition(" ")[0]
                meant = bool(re.search(self.setting("route"), line))
                self._current = _Exchange(line.partition(" ")[0], meant)
                self._exchanges.append(self._current)
                if meant:
                    self._acted(len(head.raw))
                    delay = self.setting("delay") * MS
                    if self.setting("status"):
                        self._current.reply = self._reply(self._current.method)
            assert self._current is not None
            if self._current.reply:
                self.toxic.counters.dropped_bytes += len(body) + len(head.raw if head else b"")
            else:
                self._forward(head.raw if head else body, after=delay)
            if last:
                self._current.complete = True
                self._shared["down"].reply_if_its_turn()

    def _reply(self, method: str) -> bytes:
        status = self.setting("status")
        try:
            phrase = HTTPStatus(status).phrase
        except ValueError:
            phrase = "Status"
        body = self.setting("body").encode()
        head = f"HTTP/1.1 {status} {phrase}\r\nContent-Type: text/plain\r\nContent-Length: {len(body)}\r\n\r\n"
        return head.encode() + (b"" if method == "HEAD" else body)

    # What the server answers.

    def reply_if_its_turn(self) -> None:
        """Give our own answers to the requests that are next in line."""
        while self._exchanges and self._exchanges[0].reply and self._exchanges[0].complete:
            self._forward(self._exchanges.popleft().reply, after=self.setting("delay") * MS)

    def _answers(self, chunk: bytes) -> None:
        while True:
            exchange = self._exchanges[0] if self._exchanges else None
            bodiless = exchange is not None and exchange.method == "HEAD"
            piece = next(self._messages.feed(chunk, bodiless=bodiless), None) if self._messages else None
            chunk = b""
            if piece is None:
                return
            if exchange is None or not exchange.meant:
                self._forward(piece.head.raw if piece.head else piece.body)
            elif piece.head:
                self._answer_head(piece.head, exchange)
            else:
                self._answer_body(piece.body, exchange)
            # An interim answer (100 Continue) is not the answer yet.
            interim = piece.head is not None and piece.head.first.split(" ")[1].startswith("1")
            if piece.last and exchange is not None and not interim and self._exchanges:
                self._exchanges.popleft()
                self.reply_if_its_turn()

    def _answer_head(self, head: Head, exchange: _Exchange) -> None:
        raw = head.raw
        if self.setting("body") and not head.first.split(" ")[1].startswith("1"):
            content = b"" if exchange.method == "HEAD" else self.setting("body").encode()
            kept = [
                line
                for line in raw.split(b"\r\n")[:-2]
                if not line.lower().startswith((b"content-length:", b"transfer-encoding:", b"content-encoding:"))
            ]
            raw = b"\r\n".join([*kept, b"Content-Length: %d" % len(self.setting("body").encode()), b"", b""]) + content
        gap = self.setting("slow_head") * MS
        if gap:
            lines, _, rest = raw.partition(b"\r\n\r\n")
            for line in lines.split(b"\r\n"):
                self._forward(line + b"\r\n", after=gap)
            self._forward(b"\r\n" + rest, after=gap)
        else:
            self._forward(raw)

    def _answer_body(self, body: bytes, exchange: _Exchange) -> None:
        if self.setting("body"):
            self.toxic.counters.dropped_bytes += len(body)
            return
        limit = self.setting("truncate")
        if not limit:
            self._forward(body)
            return
        kept = body[: max(0, limit - exchange.passed)]
        exchange.passed += len(kept)
        if kept:
            self._forward(kept)
        if len(kept) < len(body):
            self.toxic.counters.dropped_bytes += len(body) - len(kept)
            self._messages = None
            self.end(Ending.CLOSED)

    def end(self, how: Ending) -> None:
        if self.waiting():
            self.put(self._moment, how, came=monotonic_ns())
        else:
            self.next.end(how)
