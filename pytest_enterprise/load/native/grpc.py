"""gRPC: unary calls over the channels of grpcio, a hundred at once on each, as its clients do."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from random import Random
from time import monotonic_ns
from typing import Any, NamedTuple
from urllib.parse import SplitResult

from grpc import aio

from pytest_enterprise.load import failure_words
from pytest_enterprise.load.grpc_channel import CHANNEL_OPTIONS
from pytest_enterprise.load.native.connection import Connection, Protocol
from pytest_enterprise.load.native.grpc_call import GrpcCall, from_document
from pytest_enterprise.load.native.pool import Pool
from pytest_enterprise.load.native.stream import target
from pytest_enterprise.load.native.template import Template
from pytest_enterprise.load.records import WRONG, trace_ids, traceparent

PORT = 50051
STREAMS = 100
"""Calls at once on one connection: what most servers allow, and clients then wait."""


class Call(NamedTuple):
    """What one call is sent with."""

    message: bytes
    metadata: tuple[tuple[str, str], ...]


class Plan:
    """One kind of call, compiled."""

    fixed = None

    def __init__(self, call: GrpcCall, trace_ids: Iterator[bytes]) -> None:
        self.name = call.name
        self.weight = call.weight
        self.method = call.method
        self.slow = -1.0
        self._expect = call.expect.encode() if isinstance(call.expect, str) else call.expect
        self._text: Template | None = None
        self._messages: Sequence[bytes] = ()
        if isinstance(call.message, str):
            self._text = Template(call.message)
        else:
            self._messages = [call.message] if isinstance(call.message, bytes) else call.message
        self._metadata = [(name, Template(value)) for name, value in call.metadata.items()]
        self._trace_ids = None if "traceparent" in call.metadata else trace_ids

    def render(self, random: Random, number: int) -> Call:
        """One call, drawn."""
        metadata = [(name, value.render(random, number).decode()) for name, value in self._metadata]
        if self._trace_ids is not None:
            metadata.append(("traceparent", traceparent(next(self._trace_ids).decode())))
        if self._text is not None:
            return Call(self._text.render(random, number), tuple(metadata))
        several = len(self._messages)
        return Call(self._messages[int(random.random() * several) if several > 1 else 0], tuple(metadata))

    def check(self, answer: bytes) -> str:
        """The kind of failure of an answer with the status OK; empty for success."""
        return "" if self._expect in (None, answer) else f"{WRONG}the answer is not the expected one"

    @staticmethod
    def trace_id(payload: Call) -> str:
        """Of a call that :meth:`render` gave."""
        return dict(payload.metadata)["traceparent"][3:35]


class Channels:
    """The connections of a load; calls are given the first that has room."""

    def __init__(self, address: str) -> None:
        self._address = address
        self._calls: dict[aio.Channel, int] = {}

    def take(self) -> aio.Channel:
        """A place for calls on one of them."""
        channel = next((channel for channel, calls in self._calls.items() if calls < STREAMS), None)
        if channel is None:
            channel = aio.insecure_channel(self._address, CHANNEL_OPTIONS)
        self._calls[channel] = self._calls.get(channel, 0) + 1
        return channel

    def give_back(self, channel: aio.Channel) -> None:
        """That place is free again."""
        self._calls[channel] -= 1


class Place(Connection):
    """A place for one call at a time on a channel, which finds and keeps its connection itself."""

    def __init__(self, pool: Pool, channels: Channels, timeout: float) -> None:
        super().__init__(pool)
        self._channels = channels
        self._channel: aio.Channel | None = None
        self._timeout = timeout
        self._call: Any = None
        self._task: asyncio.Task[None] | None = None

    def dial(self) -> None:
        self._channel = self._channels.take()
        self.ready = True
        self.send(self.payload)

    def send(self, payload: Call) -> None:
        assert self._channel is not None
        # The deadline goes with the call, so that the server knows it.
        left = self._timeout - (monotonic_ns() - self.intended) / 1e9
        method = self._channel.unary_unary(self.plan.method)
        self._call = method(payload.message, metadata=payload.metadata, timeout=max(left, 0.0))
        self._task = self.pool.loop.create_task(self._exchange(self._call))
        self._task.add_done_callback(_told)

    async def _exchange(self, call: Any) -> None:
        error = details = ""
        answer = b""
        try:
            answer = await call
        except aio.AioRpcError as failure:
            details = failure.details() or ""
            error = failure_words.of_grpc(failure.code().name, details)
        except asyncio.CancelledError:
            if self.over:  # it was given up, and is recorded
                return
            raise
        if self.over:
            return
        if error:
            status = error if error.startswith("gRPC ") else None
            self.finish(error, 0, status=status, body=details.encode() if status else None)
        elif wrong := self.plan.check(answer):
            self.finish(wrong, len(answer), status="OK", body=answer)
        else:
            self.finish("", len(answer))

    def shut(self) -> None:
        if self._call is not None:
            self._call.cancel()
        if self._channel is not None:
            self._channels.give_back(self._channel)


def _told(task: asyncio.Task[None]) -> None:
    """An error of the engine itself is not to be kept until somebody asks for it."""
    if not task.cancelled() and (error := task.exception()):
        raise error


def protocol(settings: Mapping[str, Any], base: SplitResult) -> Protocol:
    """Calls to that host. Raises ConfigurationError."""
    target(base, PORT)  # it exists
    ids = trace_ids(settings["seed"])
    plans = [Plan(from_document(document), ids) for document in settings["requests"]]
    channels = Channels(f"{base.hostname}:{base.port or PORT}")
    return Protocol(
        plans,
        lambda pool: Place(pool, channels, settings["timeout"]),
        at_once=STREAMS,
        makes_cycles=True,
    )
