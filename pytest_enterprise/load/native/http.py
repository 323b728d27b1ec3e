"""HTTP/1.1 with keep-alive: requests from templates, and their answers.

httptools reads the answers. One whose head was seen before, byte for byte, and that came whole is taken without it:
most answers of a server differ in nothing but their bodies.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from random import Random
from typing import Any
from urllib.parse import SplitResult

from httptools import HttpParserError, HttpParserUpgrade, HttpResponseParser

from pytest_enterprise.load.native import outcome
from pytest_enterprise.load.native.connection import Connection, Target
from pytest_enterprise.load.native.pool import Pool
from pytest_enterprise.load.native.request import Expect, HttpRequest, from_document
from pytest_enterprise.load.native.template import Template

MALFORMED = "malformed answer"
_KNOWN_HEADS = 512
"""Heads that are remembered; a server that writes a new one each time is not remembered for ever."""


class Outcomes(dict[int, str]):
    """The kind of failure that each status is; empty for success."""

    def __init__(self, expect: Expect) -> None:
        self._expect = expect

    def __missing__(self, status: int) -> str:
        found = self[status] = outcome.of_status(self._expect, status)
        return found


class Plan:
    """One kind of request, compiled for a server."""

    def __init__(self, request: HttpRequest, base: SplitResult) -> None:
        self.name = request.name
        self.weight = request.weight
        self.bodiless = request.method == "HEAD"
        self.check = None if self.bodiless else outcome.of_body(request.expect)
        self.max_bytes = request.expect.max_bytes
        self.outcomes = Outcomes(request.expect)
        self._body = Template(request.text)
        headers = {"Host": base.netloc.rpartition("@")[2], "User-Agent": "pytest-enterprise", "Accept": "*/*"}
        if request.json is not None:
            headers["Content-Type"] = "application/json"
        given = {name.lower() for name in request.headers}
        headers = {name: value.replace("{", "{{") for name, value in headers.items() if name.lower() not in given}
        lines = [f"{name}: {value}\r\n" for name, value in {**headers, **request.headers}.items()]
        self._head = Template(f"{request.method} {base.path.rstrip('/')}{request.path} HTTP/1.1\r\n{''.join(lines)}")
        self._has_body = bool(request.text) or request.method in ("POST", "PUT", "PATCH")
        self.fixed: bytes | None = None
        if self._head.fixed is not None and self._body.fixed is not None:
            self.fixed = self._render(Random(), 0)

    def render(self, random: Random, number: int) -> bytes:
        """The bytes of one request."""
        return self.fixed or self._render(random, number)

    def _render(self, random: Random, number: int) -> bytes:
        head = self._head.render(random, number)
        if not self._has_body:
            return head + b"\r\n"
        body = self._body.render(random, number)
        return b"%sContent-Length: %d\r\n\r\n%s" % (head, len(body), body)


class HttpConnection(Connection):
    """A connection that speaks HTTP/1.1."""

    closed_kind = "HTTPConnectionClosed"

    def __init__(self, pool: Pool, target: Target, heads: dict[bytes, tuple[int, int]]) -> None:
        super().__init__(pool, target)
        self._heads = heads
        self._parser: Any = None
        self._begun = False
        self._headers_done = False
        self._framed = False
        """The answer tells where it ends."""
        self._kept_alive = False
        self._complete = False
        self._too_large = False
        self._status = 0
        self._size = 0
        self._kept = bytearray()

    def received(self, size: int) -> None:
        plan = self.plan
        if not self._begun and not plan.bodiless:
            body = self._buffer.find(b"\r\n\r\n", 0, size) + 4
            known = self._heads.get(bytes(self.pool.view[:body]))
            if known is not None and known[1] == size - body <= plan.max_bytes:
                error = plan.outcomes[known[0]]
                if not error and plan.check is not None:
                    error = plan.check(bytes(self.pool.view[body:size]))
                self.finish(error, known[1])
                return
        self._parse(bytes(self.pool.view[:size]))

    def _parse(self, data: bytes) -> None:
        if self._parser is None:
            self._parser = HttpResponseParser(self)
        first = not self._begun
        self._begun = True
        try:
            self._parser.feed_data(data)
        except HttpParserUpgrade:
            self._complete, self._framed = True, False
        except HttpParserError:
            # Garbage behind an answer that was complete is noticed when it is read as the next one.
            self.fail(MALFORMED)
            return
        if self._too_large:
            self.fail(f"answer over {self.plan.max_bytes:,d} bytes", self._size)
        elif self._complete:
            self._answered(data if first else b"")

    def _answered(self, whole: bytes) -> None:
        plan, status, size = self.plan, self._status, self._size
        reuse = self._framed and self._kept_alive
        error = plan.outcomes[status]
        if not error and plan.check is not None:
            error = plan.check(bytes(self._kept))
        if reuse and not plan.bodiless:
            body = whole.find(b"\r\n\r\n") + 4
            if body + size == len(whole):
                if len(self._heads) >= _KNOWN_HEADS:
                    self._heads.clear()
                self._heads[whole[:body]] = (status, size)
        self._begun = self._headers_done = self._framed = self._complete = False
        self._size = 0
        self._kept.clear()
        if plan.bodiless:
            self._parser = None  # it would wait for the body that the head tells of
        self.finish(error, size, reuse=reuse)

    def ended(self) -> None:
        if self._headers_done and not self._framed:
            self._complete = True  # a body without a length ends with its connection
            self._answered(b"")
        else:
            self.fail(self.closed_kind, self._size)

    # What httptools calls.

    def on_message_begin(self) -> None:
        if self._complete:
            self._framed = False  # more than was asked for: do not use this connection again

    def on_header(self, name: bytes, value: bytes) -> None:
        lower = name.lower()
        if lower == b"content-length":
            self._framed = True
            self._too_large = not self.plan.bodiless and int(value) > self.plan.max_bytes
        elif lower == b"transfer-encoding":
            self._framed = True

    def on_headers_complete(self) -> None:
        if self._complete:
            return
        self._status = self._parser.get_status_code()
        self._headers_done = self._status >= 200
        self._kept_alive = self._parser.should_keep_alive()
        if self._status in (204, 304) or self.plan.bodiless:
            self._framed = True
        if self.plan.bodiless and self._headers_done:
            self._complete = True

    def on_body(self, body: bytes) -> None:
        self._size += len(body)
        if self._size > self.plan.max_bytes:
            self._too_large = True
        elif self.plan.check is not None:
            self._kept += body

    def on_message_complete(self) -> None:
        if self._headers_done:
            self._complete = True


def protocol(settings: Mapping[str, Any], base: SplitResult) -> tuple[list[Plan], Callable[[Pool, Target], Connection]]:
    """What a load of HTTP sends, and how its connections are made."""
    heads: dict[bytes, tuple[int, int]] = {}
    plans = [Plan(from_document(document), base) for document in settings["requests"]]
    return plans, lambda pool, target: HttpConnection(pool, target, heads)
