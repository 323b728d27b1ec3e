"""Redis, and what speaks its protocol: commands, and their replies as hiredis reads them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from random import Random
from typing import Any
from urllib.parse import SplitResult, unquote

import hiredis

from pytest_enterprise.load import failure_words
from pytest_enterprise.load.native.connection import Protocol
from pytest_enterprise.load.native.pool import Pool
from pytest_enterprise.load.native.redis_command import RedisCommand, from_document
from pytest_enterprise.load.native.stream import MALFORMED, StreamConnection, Target, target
from pytest_enterprise.load.native.template import Template
from pytest_enterprise.load.records import LARGEST, WRONG

PORT = 6379


def _pack(words: Sequence[str | bytes]) -> bytes:
    packed: bytes = hiredis.pack_command(tuple(words))  # type: ignore[arg-type]  # its stub errs
    return packed


class Plan:
    """One kind of command, compiled."""

    slow = math.inf

    def __init__(self, command: RedisCommand) -> None:
        self.name = command.name
        self.weight = command.weight
        self._expect = _bytes(command.expect)
        self._words = [Template(word) for word in command.words]
        self.fixed: bytes | None = None
        if all(word.fixed is not None for word in self._words):
            self.fixed = self.render(Random(), 0)

    def render(self, random: Random, number: int) -> bytes:
        """The bytes of one command."""
        return _pack([word.render(random, number) for word in self._words])

    def check(self, reply: Any) -> str:
        """The kind of failure of a reply that is no error; empty for success."""
        return "" if self._expect in (None, reply) else f"{WRONG}the answer is not the expected one"

    @staticmethod
    def trace_id(_: bytes) -> str:
        """None: the protocol has no place for one."""
        return ""


def _bytes(expected: Any) -> Any:
    if isinstance(expected, list):
        return [_bytes(one) for one in expected]
    return expected.encode() if isinstance(expected, str) else expected


class RedisConnection(StreamConnection):
    """A connection that speaks RESP, logged in and with its database selected."""

    def __init__(self, pool: Pool, target: Target, greeting: Sequence[Sequence[str]]) -> None:
        super().__init__(pool, target)
        self._reader = hiredis.Reader()
        self._greeting = b"".join(_pack(command) for command in greeting)
        self._greetings = len(greeting)
        self._size = 0

    def greet(self) -> bytes:
        return self._greeting

    def received(self, size: int) -> None:
        self._size += size
        try:
            self._reader.feed(bytes(self.pool.view[:size]))
            reply = self._reader.gets()
            while self._greetings and reply is not False:
                if isinstance(reply, hiredis.ReplyError):
                    self._refused(str(reply))
                    return
                self._greetings -= 1
                if not self._greetings:
                    self._size = 0
                    self.greeted()
                    return
                reply = self._reader.gets()
        except hiredis.ProtocolError:
            self.fail(MALFORMED)
            return
        if reply is not False:
            self._replied(reply)
        elif self._size > LARGEST:
            self.fail(f"answer over {LARGEST:,d} bytes", self._size)

    def _refused(self, text: str) -> None:
        kind = failure_words.of_redis(text)
        self.fail(kind, status=kind, body=text.encode())

    def _replied(self, reply: Any) -> None:
        size, self._size = self._size, 0
        # A reply that was not asked for would be taken for the next one's.
        reuse = not self._reader.has_data()
        if isinstance(reply, hiredis.ReplyError):
            text = str(reply)
            kind = failure_words.of_redis(text)
            self.finish(kind, size, reuse=reuse, status=kind, body=text.encode())
        elif error := self.plan.check(reply):
            self.finish(error, size, reuse=reuse, body=reply if isinstance(reply, bytes) else repr(reply).encode())
        else:
            self.finish("", size, reuse=reuse)


def protocol(settings: Mapping[str, Any], base: SplitResult) -> Protocol:
    """Redis at that host. Raises ConfigurationError."""
    greeting: list[list[str]] = []
    if base.password:
        names = [unquote(base.username)] if base.username else []
        greeting.append(["AUTH", *names, unquote(base.password)])
    if database := base.path.strip("/"):
        greeting.append(["SELECT", database])
    where = target(base, PORT)
    plans = [Plan(from_document(document)) for document in settings["requests"]]
    return Protocol(plans, lambda pool: RedisConnection(pool, where, greeting))
