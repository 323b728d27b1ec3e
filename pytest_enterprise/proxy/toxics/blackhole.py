"""Drops all bytes of its direction in silence, the end of the stream too, and never closes anything."""

from __future__ import annotations

from typing import Any

from pytest_enterprise.proxy.toxics.base import Ending, Stage


class Blackhole(Stage):
    """A partition; when it is taken off, connections that lost something are closed.

    A stream with a hole in it must not go on: etcd 3.5.1 panicked when it did.
    """

    kind = "blackhole"

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._swallowed = False

    def data(self, chunk: bytes) -> None:
        self.count(chunk)
        self.toxic.counters.dropped_bytes += len(chunk)
        self._swallowed = True

    def end(self, how: Ending) -> None:  # noqa: ARG002 - it is dropped, whatever it was
        self.touch()
        self._swallowed = True

    def removed(self) -> None:
        if self._swallowed:
            self.carrier.close()
