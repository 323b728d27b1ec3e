"""What a toxic is: settings shared by a proxy's connections, and one stage per connection and direction it acts on.

To write one: subclass :class:`Stage`, name its ``kind`` and ``fields``, override what it changes (``data``, ``end``,
``changed``, ``removed``), and list it in :mod:`pytest_enterprise.proxy.toxics`. ``noop.py`` is the smallest,
``latency.py`` one that holds data back.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Mapping
from enum import IntEnum
from random import Random
from time import monotonic_ns
from typing import Any, ClassVar, Protocol

from pytest_enterprise.proxy.conditions import ALWAYS, Conditions, Gate
from pytest_enterprise.proxy.timers import Timer, Timers

MS = 1_000_000
"""Nanoseconds in a millisecond."""


class Ending(IntEnum):
    """How a direction ends: its sender finished, the connection is to be closed, or it is to be reset."""

    FINISHED = 1
    CLOSED = 2
    RESET = 3


class Port(Protocol):
    """What data flows into: the next stage, or the socket at the end."""

    def data(self, chunk: bytes) -> None: ...
    def end(self, how: Ending) -> None: ...


class Carrier(Protocol):
    """The direction of a connection that a stage sits in."""

    timers: Timers
    upstream: bool
    """Whether it carries what the client sends."""

    @property
    def fresh(self) -> bool:
        """Whether nothing has passed it yet."""

    def block(self) -> None:
        """Read no more from the source until unblocked as often."""

    def unblock(self) -> None: ...

    def randomness(self, purpose: str) -> Random:
        """A generator that depends on the seed, the proxy, the connection's number, the direction and ``purpose``."""

    def close(self, *, reset: bool = False) -> None:
        """End the whole connection now, in good order or by force."""

    def shared(self, toxic: Toxic) -> dict[str, Any]:
        """What the two stages of a toxic that acts on both directions know together."""


class Counters:
    """What one toxic did, over all connections; kept when the toxic is gone."""

    __slots__ = ("bytes", "chunks", "connections", "delayed_ns", "dropped_bytes", "more")

    def __init__(self) -> None:
        self.chunks = 0
        self.bytes = 0
        self.connections = 0
        self.dropped_bytes = 0
        self.delayed_ns = 0
        self.more: Counter[str] = Counter()
        """What only some types of toxic do."""

    def report(self) -> dict[str, float]:
        """``chunks`` and ``bytes`` came to it on ``connections``; ``delayed_ms`` is the sum over chunks and ends."""
        return {
            "chunks": self.chunks,
            "bytes": self.bytes,
            "connections": self.connections,
            "dropped_bytes": self.dropped_bytes,
            "delayed_ms": round(self.delayed_ns / MS, 3),
            **self.more,
        }


class Toxic:
    """The settings of one toxic on one proxy."""

    def __init__(
        self,
        *,
        name: str,
        kind: type[Stage],
        stream: str,
        toxicity: float = 1.0,
        attributes: Mapping[str, Any],
        counters: Counters,
        when: Conditions = ALWAYS,
    ) -> None:
        self.name = name
        self.kind = kind
        self.stream = stream
        """As it was written; :attr:`upstream` is what it means."""
        self.upstream = stream.lower() == "upstream"
        self.toxicity = toxicity
        self.attributes: dict[str, Any] = {
            **{field: default() for field, default in kind.fields.items()},
            **attributes,
        }
        self.counters = counters
        self.when = when
        self._seen = 0

    def meets(self, peer: str) -> bool:
        """Whether the next connection, which comes from ``peer``, is one that the conditions mean."""
        self._seen += 1
        return self.when.meet(self._seen, peer)


class Stage:
    """A toxic at work on one direction of one connection; this base passes everything on."""

    kind: ClassVar[str]
    fields: ClassVar[Mapping[str, type]] = {}
    """Attributes and their types: ``int``, ``float`` for shares, or ``str``."""
    fractional: ClassVar[frozenset[str]] = frozenset()
    """Those of the ``int`` fields that our own interface takes as fractions too; Toxiproxy's does not."""
    resets: ClassVar[bool] = False
    """Whether connections opened under it end with a reset."""
    both: ClassVar[bool] = False
    """Whether it needs a stage in each direction, whatever the toxic's stream."""
    capacity: int = 65536
    """Bytes that may be held before reading from the source pauses."""

    @classmethod
    def problem(cls, attributes: Mapping[str, Any]) -> str:  # noqa: ARG003
        """What is wrong with these attributes beyond their types and ranges; empty when nothing is."""
        return ""

    def __init__(self, toxic: Toxic, carrier: Carrier, following: Port) -> None:
        self.toxic = toxic
        self.carrier = carrier
        self.next = following
        self._held = 0
        self._blocking = False
        self._touched = False
        self.entry: Port = self
        """Where data come in: the stage itself, or the gate of its conditions."""
        if toxic.when.of_data:
            self.entry = Gate(self, toxic.when, carrier.randomness(f"{toxic.name}/chunks"))

    # What a toxic overrides.

    def data(self, chunk: bytes) -> None:
        """Bytes came."""
        self.next.data(chunk)

    def end(self, how: Ending) -> None:
        """Nothing more comes."""
        self.next.end(how)

    def skip(self, chunk: bytes) -> None:
        """Bytes came that its conditions do not mean: pass them on, behind what is held."""
        self.next.data(chunk)

    def changed(self) -> None:
        """The attributes are different now."""

    def removed(self) -> None:
        """It no longer acts: give everything held to ``next``, at once and in order."""

    def dropped(self) -> None:
        """The connection is gone: cancel timers."""

    # What the flow and the toxics use.

    def detach(self) -> None:
        """It is out of the chain: the source must not wait for it any more."""
        if self._blocking:
            self._blocking = False
            self.carrier.unblock()

    def setting(self, name: str) -> Any:
        return self.toxic.attributes[name]

    def touch(self) -> None:
        """Count this connection as one the toxic acted on."""
        if not self._touched:
            self._touched = True
            self.toxic.counters.connections += 1

    def count(self, chunk: bytes) -> None:
        """Count a chunk as one that came to the toxic."""
        counters = self.toxic.counters
        counters.chunks += 1
        counters.bytes += len(chunk)
        self.touch()

    def hold(self, size: int) -> None:
        """Account for bytes held; the source is not read beyond the capacity."""
        self._held += size
        if not self._blocking and self._held > self.capacity:
            self._blocking = True
            self.carrier.block()

    def release(self, size: int) -> None:
        """Account for bytes no longer held."""
        self._held -= size
        if self._blocking and self._held <= self.capacity // 2:
            self._blocking = False
            self.carrier.unblock()


class Schedule(Stage):
    """A stage that holds chunks in order, each until its own moment."""

    def __init__(self, toxic: Toxic, carrier: Carrier, following: Port) -> None:
        super().__init__(toxic, carrier, following)
        self._queue: deque[tuple[int, int, bytes | Ending]] = deque()
        self._timer: Timer | None = None

    def put(self, due: int, item: bytes | Ending, *, came: int) -> None:
        """Pass ``item`` on at ``due``, or later when those before it are due later."""
        self._queue.append((due, came, item))
        if not isinstance(item, Ending):
            self.hold(len(item))
        if len(self._queue) == 1:
            self._timer = self.carrier.timers.at(due, self._due)

    def waiting(self) -> bool:
        return bool(self._queue)

    def skip(self, chunk: bytes) -> None:
        if self._queue:
            now = monotonic_ns()
            self.put(now, chunk, came=now)
        else:
            self.next.data(chunk)

    def _due(self) -> None:
        self._timer = None
        now = monotonic_ns()
        queue = self._queue
        # A few at a time, so that one connection cannot keep the loop from the others.
        for _ in range(64):
            if not queue or queue[0][0] > now:
                break
            self._pass(now)
        if queue and self._timer is None:
            self._timer = self.carrier.timers.at(queue[0][0], self._due)

    def _pass(self, now: int) -> None:
        _, came, item = self._queue.popleft()
        self.toxic.counters.delayed_ns += now - came
        if isinstance(item, Ending):
            self.next.end(item)
            return
        self.next.data(item)
        self.release(len(item))

    def removed(self) -> None:
        self._disarm()
        now = monotonic_ns()
        while self._queue:
            self._pass(now)

    def dropped(self) -> None:
        self._queue.clear()
        self._disarm()

    def _disarm(self) -> None:
        if self._timer:
            self._timer.cancel()
            self._timer = None
