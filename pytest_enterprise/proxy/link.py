"""One link: a listener, its upstream, its toxics, its live connections and what was counted."""

from __future__ import annotations

import asyncio
import socket
import struct
from typing import Any

from pytest_enterprise.proxy.address import BadAddress, literal, resolve
from pytest_enterprise.proxy.listener import Listener
from pytest_enterprise.proxy.relay import Connection, Reactor
from pytest_enterprise.proxy.toxics.base import Counters, Toxic

_RESET = struct.pack("ii", 1, 0)
"""SO_LINGER of no time: closing sends RST."""


class Link:
    """A proxy in Toxiproxy's words. Accepts on ``listen`` while enabled and relays to ``upstream``."""

    def __init__(self, reactor: Reactor, *, name: str, listen: str, upstream: str) -> None:
        self.reactor = reactor
        self.name = name
        self.listen = listen
        self.upstream = upstream
        self.enabled = False
        self.refusing = False
        """Ends what connects, at once and counted; a link that is not enabled refuses in the kernel, unseen."""
        self.toxics: list[Toxic] = []
        """In the order in which data pass them."""
        self.accepted = 0
        self.refusals = 0
        self.resets = 0
        self._connections: dict[Connection, None] = {}
        self._listener: Listener | None = None
        self._counters: dict[str, Counters] = {}
        self._lookups: set[asyncio.Task[None]] = set()
        # What connections that are gone carried: received and sent, upstream first.
        self._carried = [[0, 0], [0, 0]]

    # Listening.

    async def start(self) -> None:
        """Bind and accept; no effect when enabled already. Raises BadAddress, BindFailed."""
        if self.enabled:
            return
        family, address = await resolve(self.reactor.loop, self.listen)
        self._listener = Listener(self.reactor, family, address, self.take)
        self.listen = str(self._listener.address)
        self.enabled = True

    def stop(self) -> None:
        """Refuse connections, and send FIN to those that are open."""
        if self._listener:
            self._listener.close()
            self._listener = None
        self.enabled = False
        self.hang_up()

    def refuse(self, on: bool, *, keep: bool = False) -> int:
        """Begin or end refusing; closes the open connections, unless they are kept, and returns their number."""
        self.refusing = on
        return self.hang_up() if on and not keep else 0

    def hang_up(self, *, reset: bool = False) -> int:
        """Close the open connections and return how many there were."""
        connections = list(self._connections)
        for connection in connections:
            connection.close(reset=reset, counted=True)
        return len(connections)

    def take(
        self,
        client: socket.socket,
        *,
        early: bytes = b"",
        greeting: bytes = b"",
        refusal: bytes = b"",
    ) -> None:
        """Relay ``client``, a socket that does not block, to the upstream.

        ``early`` was read from it already; ``greeting`` is sent to it once the upstream is there, ``refusal`` when it
        is not.
        """
        if self.refusing:
            self.refusals += 1
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
            client.close()
            return
        self.accepted += 1
        connection = Connection(self, client, self.accepted, early=early, greeting=greeting, refusal=refusal)
        self._connections[connection] = None
        try:
            target = literal(self.upstream)
        except BadAddress:
            connection.fail()
            return
        if target:
            connection.connect(*target)
        else:
            task = self.reactor.loop.create_task(self._look_up(connection))
            self._lookups.add(task)
            task.add_done_callback(self._lookups.discard)

    async def _look_up(self, connection: Connection) -> None:
        try:
            target = await resolve(self.reactor.loop, self.upstream)
        except BadAddress:
            connection.fail()
            return
        if not connection.over:
            connection.connect(*target)

    # Told by connections.

    def refused(self, connection: Connection) -> None:  # noqa: ARG002
        self.refusals += 1

    def closed(self, connection: Connection, *, reset: bool) -> None:
        self.resets += reset
        for carried, flow in zip(self._carried, connection.flows, strict=False):
            carried[0] += flow.received
            carried[1] += flow.sent
        self._connections.pop(connection, None)

    # Toxics.

    def toxic(self, name: str) -> Toxic | None:
        return next((toxic for toxic in self.toxics if toxic.name == name), None)

    def counters_for(self, name: str) -> Counters:
        """The counters of the toxic of that name, which go on when it comes back."""
        return self._counters.setdefault(name, Counters())

    def add_toxic(self, toxic: Toxic) -> None:
        self.toxics.append(toxic)
        for connection in self._established():
            connection.add(toxic)

    def change_toxic(self, toxic: Toxic) -> None:
        for connection in self._established():
            connection.change(toxic, self.toxics)

    def remove_toxic(self, toxic: Toxic) -> None:
        self.toxics.remove(toxic)
        for connection in self._established():
            connection.remove(toxic)

    def _established(self) -> list[Connection]:
        return [connection for connection in self._connections if connection.flows and not connection.over]

    # What was counted.

    def carried(self) -> tuple[tuple[int, int], tuple[int, int]]:
        """Bytes received and sent, upstream and then downstream."""
        total = [list(carried) for carried in self._carried]
        for connection in self._connections:
            for carried, flow in zip(total, connection.flows, strict=False):
                carried[0] += flow.received
                carried[1] += flow.sent
        up, down = total
        return (up[0], up[1]), (down[0], down[1])

    def counters(self) -> dict[str, Any]:
        (_, up), (_, down) = self.carried()
        return {
            "connections_accepted": self.accepted,
            "connections_open": sum(bool(connection.flows) for connection in self._connections),
            "connections_refused": self.refusals,
            "connections_reset": self.resets,
            "bytes_upstream": up,
            "bytes_downstream": down,
            "toxics": {name: counters.report() for name, counters in self._counters.items()},
        }
