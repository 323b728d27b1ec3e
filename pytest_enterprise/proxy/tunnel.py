"""An HTTP CONNECT entry: one listener that leads to several links, by the address that a client asks for.

etcd has one peer URL for all its peers; dialling through a tunnel of its own, each peer gets a link of its own.
"""

from __future__ import annotations

import socket
from collections.abc import Mapping

from pytest_enterprise.proxy.address import resolve
from pytest_enterprise.proxy.link import Link
from pytest_enterprise.proxy.listener import Listener
from pytest_enterprise.proxy.relay import Reactor
from pytest_enterprise.proxy.timers import Timer

MAX_HEAD = 16384
HEAD_TIMEOUT = 10.0
_END = b"\r\n\r\n"


def _reply(status: str, reason: str = "") -> bytes:
    if not reason:
        return f"HTTP/1.1 {status}\r\n\r\n".encode("latin-1", "replace")
    body = f"{reason}\n".encode()
    head = f"HTTP/1.1 {status}\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: {len(body)}\r\n"
    return f"{head}Connection: close\r\n\r\n".encode() + body


class Tunnel:
    """Hands each CONNECT to the link that ``routes`` names for its target."""

    def __init__(
        self, reactor: Reactor, links: Mapping[str, Link], *, name: str, listen: str, routes: dict[str, str]
    ) -> None:
        self.reactor = reactor
        self.name = name
        self.asked = listen
        self.listen = listen
        self.routes = routes
        """Target as in CONNECT, to the name of a link."""
        self._links = links
        self._listener: Listener | None = None
        self._waiting: dict[socket.socket, tuple[bytearray, Timer]] = {}

    async def start(self) -> None:
        """Bind and accept. Raises BadAddress, BindFailed."""
        family, address = await resolve(self.reactor.loop, self.listen)
        self._listener = Listener(self.reactor, family, address, self._take)
        self.listen = str(self._listener.address)

    def stop(self) -> None:
        """Listen no more; connections that were handed to a link are the link's."""
        if self._listener:
            self._listener.close()
            self._listener = None
        for client in tuple(self._waiting):
            self._forget(client)
            client.close()

    def describe(self) -> dict[str, object]:
        return {"name": self.name, "listen": self.listen, "routes": self.routes}

    def _take(self, client: socket.socket) -> None:
        timer = self.reactor.timers.after(HEAD_TIMEOUT, lambda: self._refuse(client, "408 Request Timeout", "too slow"))
        self._waiting[client] = (bytearray(), timer)
        self.reactor.loop.add_reader(client.fileno(), self._readable, client)

    def _forget(self, client: socket.socket) -> None:
        _, timer = self._waiting.pop(client)
        timer.cancel()
        self.reactor.loop.remove_reader(client.fileno())

    def _refuse(self, client: socket.socket, status: str, reason: str) -> None:
        self._forget(client)
        try:
            client.send(_reply(status, reason))
            client.shutdown(socket.SHUT_WR)
        except OSError:
            pass
        client.close()

    def _readable(self, client: socket.socket) -> None:
        head, _ = self._waiting[client]
        try:
            data = client.recv(MAX_HEAD)
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            data = b""
        if not data:
            self._forget(client)
            client.close()
            return
        head += data
        end = head.find(_END)
        if end < 0:
            if len(head) > MAX_HEAD:
                self._refuse(client, "431 Request Header Fields Too Large", f"the head is beyond {MAX_HEAD} bytes")
            return
        line = bytes(head[:end]).partition(b"\r\n")[0].decode("latin-1")
        self._connect(client, line.split(" "), bytes(head[end + len(_END) :]))

    def _connect(self, client: socket.socket, words: list[str], early: bytes) -> None:
        if len(words) != 3 or words[0] != "CONNECT" or not words[2].startswith("HTTP/1."):
            self._refuse(client, "405 Method Not Allowed", f"tunnel {self.name} knows only CONNECT host:port HTTP/1.1")
            return
        target = words[1]
        name = self.routes.get(target)
        link = self._links.get(name) if name is not None else None
        if link is None:
            known = ", ".join(sorted(self.routes)) or "none"
            self._refuse(client, "403 Forbidden", f"tunnel {self.name} has no route to {target}; routes: {known}")
        elif not link.enabled or link.refusing:
            link.refusals += 1
            self._refuse(client, "503 Service Unavailable", f"link {link.name} is disabled")
        else:
            self._forget(client)
            link.take(
                client,
                early=early,
                greeting=_reply("200 Connection established"),
                refusal=_reply("502 Bad Gateway", f"link {link.name}: {link.upstream} does not answer"),
            )
