"""Users of a plain TCP service: they send bytes and expect bytes."""

from __future__ import annotations

import re
import socket
from functools import cached_property
from typing import ClassVar

from pytest_enterprise.errors import ConfigurationError
from pytest_enterprise.load.protocol import Answer, ConnectionClosed, Expected, Pool, ProtocolUser, Reply, TooLarge
from pytest_enterprise.load.records import LARGEST


class Connection:
    """A TCP connection with what was read ahead. It is waited for by gevent, as all sockets in Locust's process."""

    def __init__(self, host: str, port: int, timeout: float) -> None:
        self.socket = socket.create_connection((host, port), timeout)
        self.socket.settimeout(None)  # the exchange has a limit
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.closed = False
        self._rest = b""

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def _more(self) -> bytes:
        data = self.socket.recv(65536)
        if not data:
            raise ConnectionClosed("the server closed the connection before its answer was whole")
        return data

    def read(self, until: bytes | re.Pattern[bytes] | int | None) -> bytes:
        """Up to and with a mark or the first match of a pattern; so many bytes; or (None) until the server closes."""
        data = bytearray(self._rest)
        self._rest = b""
        searched = 0
        while True:
            end = -1
            if isinstance(until, int):
                end = until if len(data) >= until else -1
            elif isinstance(until, bytes):
                at = data.find(until, searched)
                end = at + len(until) if at >= 0 else -1
                searched = max(0, len(data) - len(until) + 1)
            elif until is not None and (match := until.search(data)):
                end = match.end()
            if end >= 0:
                self._rest = bytes(data[end:])
                return bytes(data[:end])
            if len(data) > LARGEST:
                raise TooLarge
            try:
                data += self._more()
            except ConnectionClosed:
                if until is None:
                    return bytes(data)
                raise

    def close(self) -> None:
        self.closed = True
        self.socket.close()


class TcpClient:
    """The ``client`` of a :class:`TcpUser`."""

    def __init__(self, user: TcpUser) -> None:
        self._user = user
        address = user.address()
        if address.port is None:
            raise ConfigurationError(f"{type(user).__name__}: host {user.host!r} names no port; write tcp://HOST:PORT")
        host, port = str(address.hostname), address.port
        self._pool = Pool(lambda: Connection(host, port, user.connection_timeout))

    def ask(
        self,
        data: bytes,
        *,
        name: str,
        until: bytes | re.Pattern[bytes] | int | None = b"\n",
        expect: Expected = None,
        time_limit: float | None = None,
    ) -> Answer:
        """Send ``data`` and read the answer: up to a mark, a pattern's first match, so many bytes, or (None) the end.

        ``expect`` is the whole answer, or a function of it.
        """

        def work(_: str) -> Reply:
            with self._pool.connection() as connection:
                connection.send(data)
                answer = connection.read(until)
                if until is None:
                    connection.close()
                return Reply(answer, len(answer))

        return self._user.exchange(name, work, expect=expect, time_limit=time_limit)

    def close(self) -> None:
        self._pool.close()


class TcpUser(ProtocolUser):
    """Sends bytes over TCP and expects bytes; connections are kept. Its host is ``tcp://HOST:PORT``."""

    abstract = True
    protocol = "TCP"
    schemes: ClassVar[tuple[str, ...]] = ("tcp",)

    @cached_property
    def client(self) -> TcpClient:
        """Made when the first task asks for it, so that a host that cannot be is told as an error of that task."""
        return TcpClient(self)
