"""Drops all data, and closes the connection after ``timeout`` milliseconds without any; 0 never closes it."""

from __future__ import annotations

from time import monotonic_ns
from typing import Any, ClassVar

from pytest_enterprise.proxy.timers import Timer
from pytest_enterprise.proxy.toxics.base import MS, Ending, Stage


class Timeout(Stage):
    """A peer that hangs until somebody gives up; when it is taken off, the connection is closed."""

    kind = "timeout"
    fields: ClassVar = {"timeout": int}

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._timer: Timer | None = None
        self._last = 0
        self.changed()

    def data(self, chunk: bytes) -> None:
        self.count(chunk)
        self.toxic.counters.dropped_bytes += len(chunk)
        self._last = monotonic_ns()

    def end(self, how: Ending) -> None:
        """The end is dropped like the data."""

    def changed(self) -> None:
        self.dropped()
        self._last = monotonic_ns()
        if self.setting("timeout") > 0:
            self._timer = self.carrier.timers.at(self._deadline(), self._expired)

    def _deadline(self) -> int:
        deadline: int = self._last + self.setting("timeout") * MS
        return deadline

    def _expired(self) -> None:
        # Chunks only note the time; moving the timer for each would fill the heap with dead ones.
        if monotonic_ns() < self._deadline():
            self._timer = self.carrier.timers.at(self._deadline(), self._expired)
            return
        self._timer = None
        self.touch()
        self.next.end(Ending.CLOSED)

    def removed(self) -> None:
        self.dropped()
        self.next.end(Ending.CLOSED)

    def dropped(self) -> None:
        if self._timer:
            self._timer.cancel()
            self._timer = None
