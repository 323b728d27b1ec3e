"""One relayed connection: two flows, each straight from socket to socket, or through the stages of toxics.

A flow without stages reads into one buffer shared by all and sends from it at once; only what the kernel does not take
is copied. Reading pauses while anything is held back, so memory stays bounded and the sender feels the pressure.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import socket
import struct
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any, Protocol

from pytest_enterprise.proxy.timers import Timer, Timers
from pytest_enterprise.proxy.toxics.base import Ending, Port, Stage, Toxic

BUFFER_SIZE = 256 * 1024
CHUNK_SIZE = 32 * 1024
"""What a toxic gets at most in one piece, as in Toxiproxy."""
CONNECT_TIMEOUT = 30.0
_LINGER_RESET = struct.pack("ii", 1, 0)
_DRAIN_LIMIT = 64


@dataclass
class Reactor:
    """What all connections of the program share."""

    loop: asyncio.AbstractEventLoop
    timers: Timers
    seed: int
    buffer: memoryview = field(default_factory=lambda: memoryview(bytearray(BUFFER_SIZE)))


class Owner(Protocol):
    """The link that a connection belongs to."""

    name: str
    reactor: Reactor
    toxics: list[Toxic]

    def refused(self, connection: Connection) -> None: ...
    def closed(self, connection: Connection, *, reset: bool) -> None: ...


class Flow:
    """One direction of a connection: the source's data, through the stages, to the sink."""

    __slots__ = (
        "_blocks", "_buffer", "_draws", "_ending", "_met", "_pending", "_recv_into", "_send", "_small", "broken",
        "connection", "done", "first", "other", "received", "sent", "sink", "source", "source_ended", "stages",
        "timers", "upstream",
    )  # fmt: skip

    other: Flow

    def __init__(self, connection: Connection, source: socket.socket, sink: socket.socket, *, upstream: bool) -> None:
        self.connection = connection
        self.source = source
        self.sink = sink
        self.upstream = upstream
        self.timers = connection.reactor.timers
        self.stages: list[Stage] = []
        self.first: Port | None = None
        self.received = 0
        self.sent = 0
        self.source_ended = False
        self.broken = False
        """The sink takes nothing any more; what still comes is dropped."""
        self.done = False
        """The end has been delivered to the sink."""
        self._buffer = connection.reactor.buffer
        self._small = self._buffer[:CHUNK_SIZE]
        self._recv_into = source.recv_into
        self._send = sink.send
        self._pending: deque[memoryview] = deque()
        self._ending: Ending | None = None
        self._blocks = 0
        self._draws: dict[str, Random] = {}
        self._met: dict[Toxic, bool] = {}

    # From the source.

    def start(self) -> None:
        if not self._blocks and not self.source_ended:
            self.connection.reactor.loop.add_reader(self.source.fileno(), self._readable)

    def _readable(self) -> None:
        first = self.first
        try:
            size = self._recv_into(self._buffer if first is None else self._small)
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            self.source_over(Ending.RESET)
            return
        if not size:
            self.source_over(Ending.FINISHED)
            return
        self.received += size
        if first is not None:
            first.data(bytes(self._small[:size]))
        elif not self.broken:
            try:
                sent = self._send(self._buffer[:size])
            except (BlockingIOError, InterruptedError):
                sent = 0
            except OSError:
                self._sink_failed()
                return
            self.sent += sent
            if sent < size:
                self._wait(bytes(self._buffer[sent:size]))

    def feed(self, chunk: bytes) -> None:
        """Take ``chunk`` as if it had been read from the source."""
        self.received += len(chunk)
        (self.first or self).data(chunk)

    def source_over(self, how: Ending) -> None:
        """The source sends no more."""
        if self.source_ended:
            return
        self.source_ended = True
        if not self._blocks:
            self.connection.reactor.loop.remove_reader(self.source.fileno())
        (self.first or self).end(how)

    def block(self) -> None:
        self._blocks += 1
        if self._blocks == 1 and not self.source_ended:
            self.connection.reactor.loop.remove_reader(self.source.fileno())

    def unblock(self) -> None:
        self._blocks -= 1
        if not self.connection.over:
            self.start()

    # To the sink.

    def data(self, chunk: bytes) -> None:
        """Send, or keep until the sink takes it."""
        if self.broken or self.done or self._ending is not None:
            return
        if self._pending:
            self._pending.append(memoryview(chunk))
            return
        try:
            sent = self._send(chunk)
        except (BlockingIOError, InterruptedError):
            sent = 0
        except OSError:
            self._sink_failed()
            return
        self.sent += sent
        if sent < len(chunk):
            self._wait(chunk[sent:])

    def _wait(self, rest: bytes) -> None:
        self._pending.append(memoryview(rest))
        self.block()
        self.connection.reactor.loop.add_writer(self.sink.fileno(), self._writable)

    def _writable(self) -> None:
        pending = self._pending
        try:
            while pending:
                size = self._send(pending[0])
                self.sent += size
                if size < len(pending[0]):
                    pending[0] = pending[0][size:]
                    return
                pending.popleft()
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            self._sink_failed()
            return
        self._stop_waiting()
        if self._ending is not None:
            self._finish(self._ending)

    def _stop_waiting(self) -> None:
        self._pending.clear()
        self.connection.reactor.loop.remove_writer(self.sink.fileno())
        self.unblock()

    def _sink_failed(self) -> None:
        self.broken = True
        if self._pending:
            self._stop_waiting()
        if self.other.done:
            self.connection.close(reset=True)
        else:
            self.other.source_over(Ending.RESET)

    def end(self, how: Ending) -> None:
        """Deliver the end after all data, a reset at once."""
        if self.connection.over or self.done or self._ending is not None:
            return
        if self._pending and how is not Ending.RESET:
            self._ending = how
        else:
            self._finish(how)

    def _finish(self, how: Ending) -> None:
        self.done = True
        if how is Ending.CLOSED:
            self.connection.close(reset=self.connection.resets, counted=True)
        elif how is Ending.RESET or self.other.broken:
            self.connection.close(reset=True)
        elif self.other.done:
            self.connection.close(unread=False)
        else:
            with contextlib.suppress(OSError):
                self.sink.shutdown(socket.SHUT_WR)

    # Toxics.

    def randomness(self, purpose: str) -> Random:
        stream = "upstream" if self.upstream else "downstream"
        return Random(f"{self.connection.reactor.seed}/{self.connection.origin}/{stream}/{purpose}")

    @property
    def fresh(self) -> bool:
        return not self.received

    def close(self, *, reset: bool = False) -> None:
        self.connection.close(reset=reset or self.connection.resets, counted=True)

    def shared(self, toxic: Toxic) -> dict[str, Any]:
        return self.connection.shared.setdefault(toxic, {})

    def drawn(self, toxic: Toxic) -> bool:
        """Whether the toxic is to act here: its conditions are asked once, its toxicity at every change."""
        if toxic not in self._met:
            self._met[toxic] = toxic.meets(self.connection.peer)
        if not self._met[toxic]:
            return False
        if toxic.toxicity >= 1 or toxic.toxicity <= 0:
            return toxic.toxicity > 0
        if toxic.name not in self._draws:
            self._draws[toxic.name] = self.randomness(f"{toxic.name}/toxicity")
        return self._draws[toxic.name].random() < toxic.toxicity

    def place(self, toxic: Toxic, index: int) -> Stage:
        """Put a stage of the toxic into the chain."""
        stage = toxic.kind(toxic, self, self.stages[index].entry if index < len(self.stages) else self)
        self.stages.insert(index, stage)
        self._join(index)
        return stage

    def _join(self, index: int) -> None:
        """Make what stands before ``index`` hand on to what stands there now."""
        following = self.stages[index].entry if index < len(self.stages) else None
        if index == 0:
            self.first = following
        else:
            self.stages[index - 1].next = following or self

    def remove(self, toxic: Toxic) -> None:
        """Take a toxic out; what it held goes on at once."""
        for index, stage in enumerate(self.stages):
            if stage.toxic is toxic:
                stage.removed()
                if not self.connection.over:
                    del self.stages[index]
                    self._join(index)
                    stage.detach()
                return

    def change(self, toxic: Toxic, order: Sequence[Toxic]) -> None:
        """The settings of a toxic that acts here changed: tell its stage, or insert one."""
        stage = next((stage for stage in self.stages if stage.toxic is toxic), None)
        if stage:
            stage.changed()
        else:
            before = set(order[: order.index(toxic)])
            self.place(toxic, sum(stage.toxic in before for stage in self.stages))

    def stop(self) -> None:
        """The connection is gone."""
        loop = self.connection.reactor.loop
        loop.remove_reader(self.source.fileno())
        loop.remove_writer(self.sink.fileno())
        # A stage in the middle of handing on may still call: from here on nothing is taken.
        self.source_ended = self.broken = self.done = True
        self._pending.clear()
        for stage in self.stages:
            stage.dropped()
        self.stages.clear()


class Connection:
    """A client's connection and ours to the upstream, from acceptance to the end."""

    def __init__(
        self,
        owner: Owner,
        client: socket.socket,
        number: int,
        *,
        early: bytes = b"",
        greeting: bytes = b"",
        refusal: bytes = b"",
    ) -> None:
        self.owner = owner
        self.reactor = owner.reactor
        self.client = client
        self.server: socket.socket | None = None
        self.origin = f"{owner.name}/{number}"
        self.flows: tuple[Flow, ...] = ()
        self.over = False
        self.shared: dict[Toxic, dict[str, Any]] = {}
        self.resets = False
        """Opened under a toxic that ends connections with a reset."""
        self._early = early
        self._greeting = greeting
        self._refusal = refusal
        self._patience: Timer | None = None

    def connect(self, family: socket.AddressFamily, address: tuple[str, int]) -> None:
        """Dial the upstream; on failure the client is closed and the owner told."""
        try:
            server = socket.socket(family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        except OSError:
            self.fail()
            return
        self.server = server
        server.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        code = server.connect_ex(address)
        if code == errno.EINPROGRESS:
            # Over loopback the answer is here already; asking again saves a turn of the loop.
            code = server.connect_ex(address)
        if code in (0, errno.EISCONN):
            self._begin()
        elif code in (errno.EINPROGRESS, errno.EALREADY):
            self.reactor.loop.add_writer(server.fileno(), self._answered)
            self._patience = self.reactor.timers.after(CONNECT_TIMEOUT, self.fail)
        else:
            self.fail()

    def _answered(self) -> None:
        assert self.server is not None
        self._stop_dialling()
        if self.server.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
            self.fail()
        else:
            self._begin()

    def _stop_dialling(self) -> None:
        if self._patience and self.server:
            self._patience.cancel()
            self._patience = None
            self.reactor.loop.remove_writer(self.server.fileno())

    def fail(self) -> None:
        """The upstream cannot be reached."""
        if not self.over:
            self.owner.refused(self)
            if self._refusal:
                self._tell(self._refusal)
            self.close()

    def _tell(self, text: bytes) -> None:
        """A few bytes of our own to the client, which its empty send buffer takes whole."""
        with contextlib.suppress(OSError):
            self.client.send(text)

    def _begin(self) -> None:
        assert self.server is not None
        up = Flow(self, self.client, self.server, upstream=True)
        down = Flow(self, self.server, self.client, upstream=False)
        up.other, down.other = down, up
        self.flows = (up, down)
        for toxic in self.owner.toxics:
            if self.add(toxic) and toxic.kind.resets:
                self.resets = True
        if self._greeting:
            self._tell(self._greeting)
        if self._early:
            up.feed(self._early)
        if not self.over:
            up.start()
            down.start()

    @property
    def peer(self) -> str:
        """The client's address; empty when it has gone already."""
        try:
            return str(self.client.getpeername()[0])
        except OSError:
            return ""

    # Toxics.

    def _flow(self, toxic: Toxic) -> Flow:
        """The flow that a toxic is about, and that draws for both."""
        return self.flows[0 if toxic.upstream else 1]

    def _flows(self, toxic: Toxic) -> tuple[Flow, ...]:
        return self.flows if toxic.kind.both else (self._flow(toxic),)

    def add(self, toxic: Toxic) -> bool:
        """Put a new toxic at the end of the chain; False when it is not to act on this connection."""
        drawn = self._flow(toxic).drawn(toxic)
        if drawn:
            for flow in self._flows(toxic):
                flow.place(toxic, len(flow.stages))
        return drawn

    def change(self, toxic: Toxic, order: Sequence[Toxic]) -> None:
        """The toxic's settings changed: draw again, then tell, insert or remove its stages."""
        drawn = self._flow(toxic).drawn(toxic)
        for flow in self._flows(toxic):
            if drawn:
                flow.change(toxic, order)
            else:
                flow.remove(toxic)

    def remove(self, toxic: Toxic) -> None:
        """Take a toxic out; what it held goes on at once."""
        for flow in self._flows(toxic):
            if not self.over:
                flow.remove(toxic)

    def close(self, *, reset: bool = False, counted: bool = False, unread: bool = True) -> None:
        """End both sides, with FIN or with RST; ``counted`` when a reset is our doing and not passed on.

        ``unread`` is false when both sides have ended already, so that nothing can be left to read.
        """
        if self.over:
            return
        self.over = True
        self._stop_dialling()
        for flow in self.flows:
            flow.stop()
        for end in (self.client, self.server):
            if end is not None:
                _hang_up(end, reset=reset, unread=unread)
        self.owner.closed(self, reset=reset and counted)


def _hang_up(end: socket.socket, *, reset: bool, unread: bool) -> None:
    with contextlib.suppress(OSError):
        if reset:
            end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_RESET)
        elif unread:
            # Closing with unread data would send RST: read a little of it away first.
            end.shutdown(socket.SHUT_WR)
            for _ in range(_DRAIN_LIMIT):
                if not end.recv(65536):
                    break
    end.close()
