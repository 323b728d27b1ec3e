"""HTTP/1.1, with keep-alive or without: requests from templates, and their answers.

httptools reads the answers. One whose head was seen before, byte for byte, and that came whole is taken without it:
most answers of a server differ in nothing but their bodies.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from random import Random
from typing import Any
from urllib.parse import SplitResult

from httptools import HttpParserError, HttpParserUpgrade, HttpResponseParser

from pytest_enterprise.load.native import outcome
from pytest_enterprise.load.native.connection import Protocol
from pytest_enterprise.load.native.pool import Pool
from pytest_enterprise.load.native.request import Expect, HttpRequest, from_document
from pytest_enterprise.load.native.stream import MALFORMED, StreamConnection, Target, target
from pytest_enterprise.load.native.template import Template
from pytest_enterprise.load.records import TRACE_CALLER, trace_ids

_KNOWN_HEADS = 512
"""Heads that are remembered; a server that writes a new one each time is not remembered for ever."""
_TRACED = re.compile(rb"(?i)\r\ntraceparent:[ \t]*00-([0-9a-f]{32})-")


class Outcomes(dict[int, str]):
    """The kind of failure that each status is; empty for success."""

    def __init__(self, expect: Expect) -> None:
        self._expect = expect

    def __missing__(self, status: int) -> str:
        found = self[status] = outcome.of_status(self._expect, status)
        return found


class Plan:
    """One kind of request, compiled for a server."""

    def __init__(
        self, request: HttpRequest, base: SplitResult, trace_ids: Iterator[bytes], *, keep_alive: bool = True
    ) -> None:
        self.name = request.name
        self.weight = request.weight
        self.bodiless = request.method == "HEAD"
        self.check = None if self.bodiless else outcome.of_body(request.expect)
        self.max_bytes = request.expect.max_bytes
        self.outcomes = Outcomes(request.expect)
        self.slow = -1.0
        self.usual_head = b""
        self.usual_size = -1
        """Bytes of the answer that was right last, head and body; -1 before the first."""
        self._body = Template(request.text)
        headers = {"Host": base.netloc.rpartition("@")[2], "User-Agent": "pytest-enterprise", "Accept": "*/*"}
        if not keep_alive:
            headers["Connection"] = "close"
        if request.json is not None:
            headers["Content-Type"] = "application/json"
        given = {name.lower() for name in request.headers}
        headers = {name: value.replace("{", "{{") for name, value in headers.items() if name.lower() not in given}
        lines = [f"{name}: {value}\r\n" for name, value in {**headers, **request.headers}.items()]
        self._next_trace_id: Callable[[], bytes] | None = None
        self._between = b""
        """The rest of the header that has the trace id."""
        if "traceparent" not in given:
            self._next_trace_id = trace_ids.__next__
            lines.append("traceparent: 00-")
            self._between = TRACE_CALLER.encode() + b"\r\n"
        self._head = Template(f"{request.method} {base.path.rstrip('/')}{request.path} HTTP/1.1\r\n{''.join(lines)}")
        self._has_body = bool(request.text) or request.method in ("POST", "PUT", "PATCH")
        self.fixed: bytes | None = None
        self.render: Callable[[Random, int], bytes] = self._render
        """The bytes of one request."""
        if self._head.fixed is not None and self._body.fixed is not None:
            before, after = self._halves(Random(), 0)
            if self._next_trace_id is None:
                self.fixed = before + after
            else:
                self.render = _between(before, self._next_trace_id, after)

    def _render(self, random: Random, number: int) -> bytes:
        before, after = self._halves(random, number)
        return before + after if self._next_trace_id is None else before + self._next_trace_id() + after

    def _halves(self, random: Random, number: int) -> tuple[bytes, bytes]:
        """What comes before the request's trace id and after it."""
        before = self._head.render(random, number)
        if not self._has_body:
            return before, self._between + b"\r\n"
        body = self._body.render(random, number)
        return before, b"%bContent-Length: %d\r\n\r\n%b" % (self._between, len(body), body)

    @staticmethod
    def trace_id(payload: bytes) -> str:
        """Of a request that :meth:`render` gave; empty when its template has a traceparent that is none."""
        found = _TRACED.search(payload, 0, payload.find(b"\r\n\r\n"))
        return found[1].decode() if found else ""


def _between(before: bytes, next_trace_id: Callable[[], bytes], after: bytes) -> Callable[[Random, int], bytes]:
    return lambda _random, _number: before + next_trace_id() + after


class HttpConnection(StreamConnection):
    """A connection that speaks HTTP/1.1."""

    closed_kind = "HTTPConnectionClosed"

    def __init__(
        self, pool: Pool, target: Target, heads: dict[bytes, tuple[int, int]], *, keep_alive: bool = True
    ) -> None:
        super().__init__(pool, target)
        self._keep_alive = keep_alive
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
            if size == plan.usual_size and plan.check is None and self._buffer.startswith(plan.usual_head):
                self.succeed(size - len(plan.usual_head))
                return
            body = self._buffer.find(b"\r\n\r\n", 0, size) + 4
            known = self._heads.get(bytes(self.pool.view[:body]))
            if known is not None and known[1] == size - body <= plan.max_bytes:
                error = plan.outcomes[known[0]]
                if not error and plan.check is not None:
                    error = plan.check(bytes(self.pool.view[body:size]))
                if error:
                    self.finish(error, known[1], status=known[0], body=bytes(self.pool.view[body:size]))
                else:
                    plan.usual_head, plan.usual_size = bytes(self.pool.view[:body]), size
                    self.succeed(known[1])
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
        reuse = self._keep_alive and self._framed and self._kept_alive
        kept = bytes(self._kept)
        error = plan.outcomes[status]
        if not error and plan.check is not None:
            error = plan.check(kept)
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
        self.finish(error, size, reuse=reuse, status=status, body=kept)

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
        elif self.plan.check is not None or self.plan.outcomes[self._status]:
            self._kept += body

    def on_message_complete(self) -> None:
        if self._headers_done:
            self._complete = True


def protocol(settings: Mapping[str, Any], base: SplitResult) -> Protocol:
    """HTTP to that host. Raises ConfigurationError."""
    heads: dict[bytes, tuple[int, int]] = {}
    ids, keep_alive = trace_ids(settings["seed"]), settings["keep_alive"]
    plans = [Plan(from_document(document), base, ids, keep_alive=keep_alive) for document in settings["requests"]]
    where = target(base, 443 if base.scheme == "https" else 80, settings["ca"])
    return Protocol(plans, lambda pool: HttpConnection(pool, where, heads, keep_alive=keep_alive))
