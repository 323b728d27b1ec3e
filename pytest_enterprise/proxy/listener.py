"""Listening sockets that accept in batches and survive running out of descriptors."""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Callable

from pytest_enterprise.proxy.address import HostPort
from pytest_enterprise.proxy.relay import Reactor

BACKLOG = 4096
_ACCEPTS_PER_TURN = 64
_OUT_OF_DESCRIPTORS = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)
_REST = 0.05


class BindFailed(Exception):
    """The listener could not be opened; worded as Toxiproxy's."""


class Listener:
    """Listens from its creation until closed, and hands each accepted socket, which does not block, to ``take``.

    Raises BindFailed.
    """

    def __init__(
        self,
        reactor: Reactor,
        family: socket.AddressFamily,
        address: HostPort,
        take: Callable[[socket.socket], None],
    ) -> None:
        self._reactor = reactor
        self._take = take
        self._socket = socket.socket(family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        try:
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            # Accepted sockets inherit it, which saves a system call for each.
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._socket.bind(tuple(address))
            self._socket.listen(BACKLOG)
        except OSError as error:
            self._socket.close()
            reason = os.strerror(error.errno or 0).lower()
            raise BindFailed(f"listen tcp {address}: bind: {reason}") from None
        self.address = HostPort(*self._socket.getsockname()[:2])
        self._open = True
        self._listen()

    def _listen(self) -> None:
        if self._open:
            self._reactor.loop.add_reader(self._socket.fileno(), self._accept)

    def _accept(self) -> None:
        for _ in range(_ACCEPTS_PER_TURN):
            if not self._open:
                return
            try:
                client, _ = self._socket.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError as error:
                if error.errno in _OUT_OF_DESCRIPTORS:
                    # Leave the rest in the backlog for a while instead of spinning.
                    self._reactor.loop.remove_reader(self._socket.fileno())
                    self._reactor.timers.after(_REST, self._listen)
                return
            client.setblocking(False)
            self._take(client)

    def close(self) -> None:
        if self._open:
            self._open = False
            self._reactor.loop.remove_reader(self._socket.fileno())
            self._socket.close()
