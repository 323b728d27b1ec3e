"""Users of gRPC: unary and streaming calls, waited for by gevent."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cached_property
from typing import Any, ClassVar

from pytest_enterprise.errors import ConfigurationError
from pytest_enterprise.load import failure_words
from pytest_enterprise.load.grpc_channel import CHANNEL_OPTIONS
from pytest_enterprise.load.protocol import Answer, Expected, ProtocolUser, Reply, failure
from pytest_enterprise.load.records import traceparent

try:
    import grpc
    from grpc.experimental import gevent as grpc_gevent
except ImportError:
    raise ConfigurationError(
        "users of gRPC need grpcio, which is not installed: pip install 'pytest-enterprise[grpc]'"
    ) from None

grpc_gevent.init_gevent()  # before any channel: its threads must yield to the other users

Serializer = Callable[[Any], bytes]
Deserializer = Callable[[bytes], Any]


class _Sized:
    """A deserializer that notes the bytes of what it reads."""

    def __init__(self, deserializer: Deserializer | None) -> None:
        self._deserializer = deserializer
        self.size = 0

    def __call__(self, data: bytes) -> Any:
        self.size += len(data)
        return self._deserializer(data) if self._deserializer else data


class GrpcClient:
    """The ``client`` of a :class:`GrpcUser`: one channel."""

    def __init__(self, user: GrpcUser) -> None:
        self._user = user
        address = user.address()
        target = f"{address.hostname}:{address.port or 50051}"
        options = (*CHANNEL_OPTIONS, *user.channel_options)
        if user.credentials is None:
            self._channel = grpc.insecure_channel(target, options)
        else:
            self._channel = grpc.secure_channel(target, user.credentials, options)

    def call(
        self,
        method: str,
        message: Any = b"",
        *,
        serializer: Serializer | None = None,
        deserializer: Deserializer | None = None,
        metadata: Mapping[str, str] | None = None,
        name: str | None = None,
        expect: Expected = None,
        time_limit: float | None = None,
    ) -> Answer:
        """A unary call of ``method`` (``/shop.Orders/Add``), named after it.

        Messages are bytes, or what ``serializer`` (``Order.SerializeToString``) and ``deserializer``
        (``Order.FromString``) make of them. Any status but OK is a failed request of the kind ``gRPC <its name>``.
        """

        def start(sized: _Sized, settings: dict[str, Any]) -> Any:
            return self._channel.unary_unary(method, serializer, sized)(message, **settings)

        return self._exchange(method, start, deserializer, metadata, name, expect, time_limit)

    def stream(
        self,
        method: str,
        messages: Any = b"",
        *,
        serializer: Serializer | None = None,
        deserializer: Deserializer | None = None,
        metadata: Mapping[str, str] | None = None,
        name: str | None = None,
        expect: Expected = None,
        time_limit: float | None = None,
    ) -> Answer:
        """A call whose answer is a stream; its value is the list of messages, its time that of all of them.

        ``messages`` is one message, or an iterator of several that are streamed too.
        """

        def start(sized: _Sized, settings: dict[str, Any]) -> Any:
            several = isinstance(messages, Iterator)
            open_ = self._channel.stream_stream if several else self._channel.unary_stream
            call: Iterable[Any] = open_(method, serializer, sized)(messages, **settings)
            return list(call)

        return self._exchange(method, start, deserializer, metadata, name, expect, time_limit)

    def _exchange(
        self,
        method: str,
        start: Callable[[_Sized, dict[str, Any]], Any],
        deserializer: Deserializer | None,
        metadata: Mapping[str, str] | None,
        name: str | None,
        expect: Expected,
        time_limit: float | None,
    ) -> Answer:
        limit = self._user.time_limit if time_limit is None else time_limit

        def work(trace_id: str) -> Reply:
            sized = _Sized(deserializer)
            given = list((metadata or {}).items())
            if trace_id:
                given.append(("traceparent", traceparent(trace_id)))
            try:
                value = start(sized, {"timeout": limit, "metadata": given})
            except grpc.RpcError as error:
                raise _told(error) from error
            return Reply(value, sized.size, "OK")

        # The deadline goes with the call, so that the server knows it; the exchange's own is only behind it.
        return self._user.exchange(name or method, work, expect=expect, time_limit=limit + 1)

    def close(self) -> None:
        with contextlib.suppress(Exception):
            self._channel.close()


def _told(error: grpc.RpcError) -> Exception:
    details = error.details() or ""
    return failure(failure_words.of_grpc(error.code().name, details), details)


class GrpcUser(ProtocolUser):
    """Speaks gRPC over a channel of its own. Its host is ``grpc://HOST:PORT``."""

    abstract = True
    protocol = "gRPC"
    schemes: ClassVar[tuple[str, ...]] = ("grpc",)
    credentials: ClassVar[Any] = None
    """``grpc.ssl_channel_credentials(...)``, for TLS."""
    channel_options: ClassVar[tuple[tuple[str, Any], ...]] = ()

    @cached_property
    def client(self) -> GrpcClient:
        """Made when the first task asks for it, so that a host that cannot be is told as an error of that task."""
        return GrpcClient(self)
