"""Lets ``rate`` kilobytes (1,000 bytes) per second through; 0 lets nothing through."""

from __future__ import annotations

from collections import deque
from time import monotonic_ns
from typing import Any, ClassVar

from pytest_enterprise.proxy.timers import Timer
from pytest_enterprise.proxy.toxics.base import Ending, Stage

_TICK = 0.005
"""Seconds of traffic that pass as one piece: small enough to be smooth, large enough to be cheap."""


class Bandwidth(Stage):
    """A narrow wire: each piece passes once the time to send it at ``rate`` is over."""

    kind = "bandwidth"
    fields: ClassVar = {"rate": int}

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._queue: deque[tuple[int, memoryview]] = deque()
        self._end: Ending | None = None
        self._free = 0  # when the wire has sent all that was given to it
        self._timer: Timer | None = None
        self._fit()

    def _fit(self) -> None:
        # Enough must be held that the wire never idles while the source has more.
        self.capacity = min(max(65536, self.setting("rate") * 250), 8 << 20)

    def data(self, chunk: bytes) -> None:
        self.count(chunk)
        self._queue.append((monotonic_ns(), memoryview(chunk)))
        self.hold(len(chunk))
        self._plan()

    def skip(self, chunk: bytes) -> None:
        if self._queue:
            self.data(chunk)  # it cannot overtake, and the wire is as narrow for all that waits
        else:
            self.next.data(chunk)

    def end(self, how: Ending) -> None:
        if self._queue:
            self._end = how
        else:
            self.next.end(how)

    def _plan(self) -> None:
        rate = self.setting("rate") * 1000
        if self._timer or not self._queue or rate <= 0:
            return
        size = min(len(self._queue[0][1]), max(1, int(rate * _TICK)))
        self._free = max(self._free, self._queue[0][0]) + size * 1_000_000_000 // rate
        self._timer = self.carrier.timers.at(self._free, lambda: self._send(size))

    def _send(self, size: int) -> None:
        self._timer = None
        came, rest = self._queue[0]
        piece, rest = rest[:size], rest[size:]
        if rest:
            self._queue[0] = (came, rest)
        else:
            self._queue.popleft()
            self.toxic.counters.delayed_ns += monotonic_ns() - came
        self.next.data(bytes(piece))
        self.release(size)
        self._plan()
        self._finish()

    def _finish(self) -> None:
        if self._end is not None and not self._queue:
            how, self._end = self._end, None
            self.next.end(how)

    def changed(self) -> None:
        self._fit()
        self._disarm()
        self._free = monotonic_ns()
        self._plan()

    def removed(self) -> None:
        self._disarm()
        while self._queue:
            came, rest = self._queue.popleft()
            self.toxic.counters.delayed_ns += monotonic_ns() - came
            self.next.data(bytes(rest))
            self.release(len(rest))
        self._finish()

    def dropped(self) -> None:
        self._queue.clear()
        self._disarm()

    def _disarm(self) -> None:
        if self._timer:
            self._timer.cancel()
            self._timer = None
