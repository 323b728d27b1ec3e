"""Ends the connection ``timeout`` milliseconds after the first data, with a reset if it was opened under this toxic."""

from __future__ import annotations

from time import monotonic_ns
from typing import Any, ClassVar

from pytest_enterprise.proxy.timers import Timer
from pytest_enterprise.proxy.toxics.base import MS, Ending, Stage


class ResetPeer(Stage):
    """A peer that crashes; connections that were open before it came get a FIN, as Toxiproxy does."""

    kind = "reset_peer"
    fields: ClassVar = {"timeout": int}
    resets = True

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._timer: Timer | None = None

    def data(self, chunk: bytes) -> None:
        self.count(chunk)
        self.toxic.counters.dropped_bytes += len(chunk)
        self._begin()

    def end(self, how: Ending) -> None:  # noqa: ARG002 - it ends in its own way
        self._begin()

    def _begin(self) -> None:
        self.touch()
        if self._timer is None:
            self._timer = self.carrier.timers.at(monotonic_ns() + max(0, self.setting("timeout")) * MS, self._expired)

    def _expired(self) -> None:
        self.next.end(Ending.CLOSED)

    def removed(self) -> None:
        # Data were dropped already, so the stream cannot go on.
        if self._timer is not None:
            self._timer.cancel()
            self.next.end(Ending.CLOSED)

    def dropped(self) -> None:
        if self._timer:
            self._timer.cancel()
