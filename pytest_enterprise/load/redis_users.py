"""Users of Redis, and of what speaks its protocol: commands and pipelines."""

from __future__ import annotations

import socket
from collections.abc import Iterable, Sequence
from functools import cached_property
from typing import Any, ClassVar
from urllib.parse import unquote

from pytest_enterprise.errors import ConfigurationError
from pytest_enterprise.load import failure_words
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

try:
    import hiredis
except ImportError:
    raise ConfigurationError(
        "users of Redis need hiredis, which is not installed: pip install 'pytest-enterprise[redis]'"
    ) from None

Word = str | bytes | int | float


class Connection:
    """One connection, logged in and with its database selected."""

    def __init__(self, host: str, port: int, timeout: float, greeting: Sequence[Sequence[Word]]) -> None:
        self.closed = False
        self._reader = hiredis.Reader()
        self._socket = socket.create_connection((host, port), timeout)
        try:
            self._socket.settimeout(None)  # the exchange has a limit
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for command in greeting:
                [(value, _)] = self.ask([command])
                if isinstance(value, hiredis.ReplyError):
                    raise refusal(value)
        except BaseException:
            self.close()
            raise

    def ask(self, commands: Sequence[Sequence[Word]]) -> list[tuple[Any, int]]:
        """Send commands at once; their replies in order, each with its bytes. Errors are among the replies."""
        packed = [hiredis.pack_command(tuple(command)) for command in commands]  # type: ignore[arg-type]  # its stub errs
        self._socket.sendall(b"".join(packed))
        replies: list[tuple[Any, int]] = []
        read = 0
        while len(replies) < len(commands):
            reply = self._reader.gets()
            if reply is False:
                data = self._socket.recv(65536)
                if not data:
                    raise ConnectionClosed("the server closed the connection before its reply was whole")
                read += len(data)
                if read > LARGEST:
                    raise TooLarge
                self._reader.feed(data)
            else:
                replies.append((reply, read))
                read = 0
        return replies

    def close(self) -> None:
        self.closed = True
        self._socket.close()


def refusal(error: Exception) -> Refusal:
    """An error reply."""
    text = str(error)
    return Refusal(failure_words.of_redis(text), text, text.encode())


class RedisClient:
    """The ``client`` of a :class:`RedisUser`."""

    def __init__(self, user: RedisUser) -> None:
        self._user = user
        address = user.address()
        greeting: list[list[Word]] = []
        if address.password:
            names = [unquote(address.username)] if address.username else []
            greeting.append(["AUTH", *names, unquote(address.password)])
        if address.path.strip("/"):
            greeting.append(["SELECT", address.path.strip("/")])
        host, port = str(address.hostname), address.port or 6379
        self._pool = Pool(lambda: Connection(host, port, user.connection_timeout, greeting))

    def call(
        self,
        *command: Word,
        name: str | None = None,
        expect: Expected = None,
        time_limit: float | None = None,
    ) -> Answer:
        """One command, ``client.call("GET", key)``, named after its first word; strings come back as bytes.

        An error reply is a failed request of the kind ``Redis <its first word>``.
        """

        def work(_: str) -> Reply:
            with self._pool.connection() as connection:
                [(value, size)] = connection.ask([command])
                if isinstance(value, hiredis.ReplyError):
                    raise refusal(value)
                return Reply(value, size)

        return self._user.exchange(name or str(command[0]).upper(), work, expect=expect, time_limit=time_limit)

    def pipeline(
        self,
        commands: Iterable[Sequence[Word]],
        *,
        name: str,
        expect: Expected = None,
        time_limit: float | None = None,
    ) -> Answer:
        """Several commands sent at once, recorded as one request; its value is the list of replies.

        The first error reply makes it a failed request.
        """
        given = list(commands)

        def work(_: str) -> Reply:
            with self._pool.connection() as connection:
                replies = connection.ask(given)
                for value, _size in replies:
                    if isinstance(value, hiredis.ReplyError):
                        raise refusal(value)
                return Reply([value for value, _ in replies], sum(size for _, size in replies))

        return self._user.exchange(name, work, expect=expect, time_limit=time_limit)

    def close(self) -> None:
        self._pool.close()


class RedisUser(ProtocolUser):
    """Speaks RESP; connections are kept, and nothing is retried. Its host is ``redis://[USER:PASSWORD@]HOST:PORT/0``."""

    abstract = True
    protocol = "Redis"
    schemes: ClassVar[tuple[str, ...]] = ("redis",)

    @cached_property
    def client(self) -> RedisClient:
        """Made when the first task asks for it, so that a host that cannot be is told as an error of that task."""
        return RedisClient(self)
