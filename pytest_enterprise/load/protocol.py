"""The base of users that speak something else than HTTP: one exchange, timed, limited, judged and recorded."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, ClassVar, Generic, NamedTuple, Protocol, TypeVar
from urllib.parse import SplitResult, urlsplit

from gevent import Timeout
from locust import User
from locust.exception import ResponseError

from pytest_enterprise.errors import ConfigurationError
from pytest_enterprise.load.failure_words import CLOSED, REFUSED, TIMED_OUT
from pytest_enterprise.load.open_loop import waited
from pytest_enterprise.load.pace import Paced
from pytest_enterprise.load.records import LARGEST, WRONG


class ConnectionClosed(ConnectionError):
    """The server closed the connection where an answer was due."""


class TooLarge(ConnectionError):
    """An answer did not end within :data:`LARGEST` bytes."""

    def __init__(self) -> None:
        self.kind = f"answer over {LARGEST:,d} bytes"
        super().__init__(self.kind)


class Refusal(Exception):
    """The server answered, and its answer is no; the connection is still good. ``kind`` is what is recorded."""

    def __init__(self, kind: str, message: str = "", body: bytes = b"") -> None:
        super().__init__(message or kind)
        self.kind = kind
        self.body = body
        """The answer's bytes, for its digest."""


def failure(kind: str, text: str = "") -> Exception:
    """The exception for one of :mod:`failure_words`; whatever else the server says is a refusal."""
    kinds = {REFUSED: ConnectionRefusedError, CLOSED: ConnectionClosed, TIMED_OUT: TimeoutError}
    return kinds[kind](text) if kind in kinds else Refusal(kind, text, text.encode())


class Reply(NamedTuple):
    """What a client's work on a connection gives."""

    value: Any
    size: int
    """Bytes of the answer."""
    status: str = ""
    """As the protocol writes it, where it has one."""


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What came of one exchange; it never raises, so that a journey decides itself what a failure means."""

    value: Any = None
    """The answer in the protocol's own terms; None when there was none."""
    error: BaseException | None = None
    status: str = ""
    seconds: float = 0.0
    size: int = 0
    """Bytes of the answer."""
    trace_id: str = ""
    """32 hexadecimal digits, derived from the load's seed and the request's number; empty under plain Locust."""
    content: bytes | None = None
    """What an unexpected answer said, for its digest; None otherwise."""

    @property
    def ok(self) -> bool:
        """True when the server answered, and as it was expected to."""
        return self.error is None


Expected = Any
"""What ``expect`` takes: a value that the answer must equal, or a function of the value that says whether it is right
(False, or a text with what is wrong)."""


def _mismatch(expect: Expected, value: Any) -> str:
    if not callable(expect):
        return "" if value == expect else "the answer is not the expected one"
    verdict = expect(value)
    if isinstance(verdict, str):
        return verdict
    return "" if verdict else "the answer is not as expected"


class Connected(Protocol):
    """A connection, as far as a pool knows it."""

    @property
    def closed(self) -> bool: ...

    def close(self) -> object: ...


C = TypeVar("C", bound=Connected)


class Pool(Generic[C]):
    """A user's connections: one in a closed loop, as many as are under way in an open one; opened when needed."""

    def __init__(self, connect: Callable[[], C]) -> None:
        self._connect = connect
        self._idle: list[C] = []

    @contextmanager
    def connection(self) -> Iterator[C]:
        """A connection for one exchange. It is given up when anything but a :class:`Refusal` ends the exchange.

        An idle connection that the server has closed meanwhile fails the exchange: a retry would hide it.
        """
        connection = self._idle.pop() if self._idle else self._connect()
        try:
            yield connection
        except Refusal:
            self._idle.append(connection)
            raise
        except BaseException:
            connection.close()
            raise
        if not connection.closed:
            self._idle.append(connection)

    def close(self) -> None:
        """Close those that are idle."""
        while self._idle:
            self._idle.pop().close()


class ProtocolUser(Paced, User):
    """A user with a protocol of its own; see the subclasses in the modules beside this one."""

    abstract = True
    protocol: ClassVar[str] = ""
    """The first word of its requests' names in records: ``TCP``, ``Redis``."""
    schemes: ClassVar[tuple[str, ...]] = ()
    """What ``host`` may begin with."""
    time_limit: float = 10.0
    """Seconds that an exchange may take, with the connection that it opens; each call can give its own."""
    connection_timeout: float = 3.0
    """Seconds that opening a connection may take."""

    def on_stop(self) -> None:
        """Close the user's connections."""
        client = self.__dict__.get("client")  # a cached property: not made when no task got to it
        if client is not None:
            client.close()

    def address(self) -> SplitResult:
        """The host, split. Raises ConfigurationError when it cannot be one of this protocol."""
        host = self.host or ""
        try:
            parts = urlsplit(host)
            good = parts.scheme in self.schemes and bool(parts.hostname) and parts.port != 0
        except ValueError:
            good = False
        if not good:
            raise ConfigurationError(
                f"{type(self).__name__}: host {host!r} cannot be used; write {self.schemes[0]}://HOST:PORT"
            )
        return parts

    def exchange(
        self,
        name: str,
        work: Callable[[str], Reply],
        *,
        expect: Expected = None,
        time_limit: float | None = None,
    ) -> Answer:
        """Do one exchange and record it as ``<protocol> <name>``; ``work`` gets the trace id and gives the reply.

        Whatever ``work`` raises is a failed request, recorded by its kind; after ``time_limit`` seconds (None: the
        user's own) a TimeoutError.
        """
        # Its stack is read when a user is stopped in the middle of a request: see locust_runner.in_flight.
        method = self.protocol
        trace_id = "" if self.recorder is None else self.recorder.next_trace_id()
        context = {**self.context(), **self.intention()}
        reply, content = Reply(None, 0), None
        error: BaseException | None = None
        start_time, start_perf_counter = time.time(), time.perf_counter()
        limit = self.time_limit if time_limit is None else time_limit
        ours = Timeout(limit)
        try:
            with ours:
                reply = work(trace_id)
        except Exception as failure:
            error = failure.with_traceback(None)  # which would keep what was read of the answer in memory
        except Timeout as timeout:
            if timeout is not ours:
                raise
            error = TimeoutError(f"no answer within {limit:g} s")
        seconds = time.perf_counter() - start_perf_counter
        if error is None and expect is not None and (wrong := _mismatch(expect, reply.value)):
            error = ResponseError(f"{WRONG}{wrong}")
            content = reply.value if isinstance(reply.value, bytes) else repr(reply.value).encode()
        elif isinstance(error, Refusal):
            content = error.body or str(error).encode()
        answer = Answer(
            value=reply.value,
            error=error,
            status=reply.status or getattr(error, "kind", ""),
            seconds=seconds,
            size=reply.size,
            trace_id=trace_id,
            content=content,
        )
        self.environment.events.request.fire(
            request_type=method,
            name=name,
            response_time=seconds * 1e3 + waited(context),
            response_length=reply.size,
            response=answer,
            context=context,
            exception=error,
            start_time=start_time,
            url=self.host,
        )
        return answer
