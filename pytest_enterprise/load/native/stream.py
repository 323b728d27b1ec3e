"""Connections over sockets: dialling, TLS, sending and reading; what the bytes mean is their protocol's.

Sockets are read and written directly when the event loop says so: through transports the same work costs as much, and
TLS would need a second way of doing it.
"""

from __future__ import annotations

import errno
import socket
import ssl
from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import SplitResult

from pytest_enterprise.errors import ConfigurationError
from pytest_enterprise.load.native.connection import Connection
from pytest_enterprise.load.native.pool import Pool

MALFORMED = "malformed answer"
_NOW = (0, errno.EISCONN)
_SOON = (errno.EINPROGRESS, errno.EALREADY, errno.EAGAIN)


@dataclass(frozen=True)
class Target:
    """Where to dial."""

    family: int
    address: Any
    tls: ssl.SSLContext | None = None
    name: str = ""
    """The host that the server's certificate must be for."""


def target(base: SplitResult, port: int, ca: str | None = None) -> Target:
    """Where a host's server is; ``port`` is the protocol's own.

    Raises ConfigurationError for a host that does not resolve and for certificates that cannot be read.
    """
    host = base.hostname or ""
    try:
        family, _, _, _, address = socket.getaddrinfo(host, base.port or port, type=socket.SOCK_STREAM)[0]
    except OSError as error:
        raise ConfigurationError(f"host {without_password(base)!r} does not resolve: {error}") from None
    tls = None
    if base.scheme == "https":
        try:
            tls = ssl.create_default_context(cafile=ca)
        except OSError as error:
            raise ConfigurationError(f"ca={ca!r} cannot be read as certificates: {error}") from None
    return Target(family, address, tls, host)


def without_password(base: SplitResult) -> str:
    """The host's URL as it may be told."""
    return base._replace(netloc=base.netloc.rpartition("@")[2]).geturl()


def kind_of(error: OSError) -> str:
    """``ConnectionRefusedError``, ``SSLError WRONG_VERSION_NUMBER``, ``OSError EADDRNOTAVAIL``."""
    kind = type(error).__name__
    if isinstance(error, ssl.SSLError):
        return kind if isinstance(error, ssl.SSLCertVerificationError) else f"{kind} {error.reason or ''}".rstrip()
    return kind if kind != "OSError" else f"{kind} {errno.errorcode.get(error.errno or 0, '')}".rstrip()


class StreamConnection(Connection):
    """A connection that sends bytes and is answered by bytes."""

    closed_kind = "ConnectionClosed"
    """The kind of failure when the server ends the connection in place of an answer."""

    def __init__(self, pool: Pool, target: Target) -> None:
        super().__init__(pool)
        self._target = target
        self._buffer = pool.buffer
        self._socket: socket.socket | ssl.SSLSocket | None = None
        self._unsent: bytes | memoryview = b""
        self._pending: Callable[[], int] | None = None
        """Bytes that TLS has deciphered already, which no event tells of."""
        self._fd = -1
        self._writing = False
        self._reading = False

    # What a protocol does.

    def greet(self) -> bytes:
        """What is sent before the first request; empty when the protocol has no greeting.

        One that has calls :meth:`greeted` when the server has answered it.
        """
        return b""

    @abstractmethod
    def received(self, size: int) -> None:
        """``size`` bytes of an answer came, at the beginning of the pool's buffer."""

    def ended(self) -> None:
        """The server sends no more, in the middle of an answer."""
        self.fail(self.closed_kind)

    def shut(self) -> None:
        self._stop_reading()
        self._stop_writing()
        if self._socket is not None:
            self._socket.close()

    # Dialling.

    def dial(self) -> None:
        target = self._target
        try:
            made = socket.socket(target.family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
        except OSError as error:
            self.fail(kind_of(error))
            return
        self._socket = made
        self._fd = made.fileno()
        if target.family != socket.AF_UNIX:
            made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        code = made.connect_ex(target.address)
        if code in _SOON:
            # Over loopback the answer is here already; asking again saves a turn of the loop.
            code = made.connect_ex(target.address)
        if code in _NOW:
            self._dialled()
        elif code in _SOON:
            self._write_when_possible()
        else:
            self.fail(kind_of(OSError(code, "")))

    def _dialled(self) -> None:
        assert self._socket is not None
        context = self._target.tls
        if context is None:
            self._established()
            return
        try:
            self._socket = context.wrap_socket(
                self._socket, server_hostname=self._target.name, do_handshake_on_connect=False
            )
        except OSError as error:  # it was closed at once
            self.fail(kind_of(error))
            return
        self._shake_hands()

    def _shake_hands(self) -> None:
        assert isinstance(self._socket, ssl.SSLSocket)
        try:
            self._socket.do_handshake()
        except ssl.SSLWantReadError:
            self._stop_writing()
            self._read_when_possible(self._shake_hands)
        except ssl.SSLWantWriteError:
            self._write_when_possible()
        except OSError as error:
            self.fail(kind_of(error))
        else:
            self._established()

    def _established(self) -> None:
        assert self._socket is not None
        self._stop_writing()
        self._stop_reading()
        self._recv_into = self._socket.recv_into
        self._send = self._socket.send
        if isinstance(self._socket, ssl.SSLSocket):
            self._pending = self._socket.pending
        self.ready = True
        self._read_when_possible(self._readable)
        greeting = self.greet()
        if greeting:
            self.send(greeting)
        else:
            self.greeted()

    def greeted(self) -> None:
        """Send the request that the connection was made for."""
        self.send(self.payload)

    # Sending and reading.

    def send(self, payload: bytes | memoryview) -> None:
        """Send, or keep what the kernel does not take until it does."""
        try:
            sent = self._send(payload)
        except (BlockingIOError, ssl.SSLWantWriteError, ssl.SSLWantReadError):
            sent = 0
        except OSError as error:
            self._sending_failed(error)
            return
        if sent < len(payload):
            self._unsent = memoryview(payload)[sent:]
            self._write_when_possible()

    def _sending_failed(self, error: OSError) -> None:
        """What the server said before it hung up tells more than the failure to send: a refusal, say."""
        self._stop_writing()
        self._readable()
        if not self.over:
            self.fail(kind_of(error))

    def _writable(self) -> None:
        if self.ready:
            self._stop_writing()
            self.send(self._unsent)
        elif isinstance(self._socket, ssl.SSLSocket):
            self._shake_hands()
        else:
            assert self._socket is not None
            if code := self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
                self.fail(kind_of(OSError(code, "")))
            else:
                self._dialled()

    def _readable(self) -> None:
        try:
            size = self._recv_into(self._buffer)
        except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
            return
        except OSError as error:
            self._silent(kind_of(error))
            return
        if not size:
            self._silent("")
        elif self.plan is None:
            self.close()  # nothing was asked, so this answers nothing
        else:
            self.received(size)
            if self._pending and not self.over and self._pending():
                self._readable()

    def _silent(self, error: str) -> None:
        if self.plan is None:
            self.close()
        elif error:
            self.fail(error)
        else:
            self.ended()

    def _read_when_possible(self, call: Callable[[], None]) -> None:
        if not self._reading:
            self._reading = True
            self.pool.loop.add_reader(self._fd, call)

    def _stop_reading(self) -> None:
        if self._reading:
            self._reading = False
            self.pool.loop.remove_reader(self._fd)

    def _write_when_possible(self) -> None:
        if not self._writing:
            self._writing = True
            self.pool.loop.add_writer(self._fd, self._writable)

    def _stop_writing(self) -> None:
        if self._writing:
            self._writing = False
            self.pool.loop.remove_writer(self._fd)
