"""Holds everything back with nothing lost, and lets it go when it is taken off."""

from __future__ import annotations

from time import monotonic_ns
from typing import Any

from pytest_enterprise.proxy.toxics.base import Ending, Stage


class Freeze(Stage):
    """A pause: bytes wait here, then in the kernel's buffers, then at the sender."""

    kind = "freeze"

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._queue: list[tuple[int, bytes]] = []
        self._end: Ending | None = None

    def data(self, chunk: bytes) -> None:
        self.count(chunk)
        self._queue.append((monotonic_ns(), chunk))
        self.hold(len(chunk))

    def skip(self, chunk: bytes) -> None:
        if self._queue:
            self.data(chunk)
        else:
            self.next.data(chunk)

    def end(self, how: Ending) -> None:
        self.touch()
        self._end = how

    def removed(self) -> None:
        queue, self._queue = self._queue, []
        for came, chunk in queue:
            self.toxic.counters.delayed_ns += monotonic_ns() - came
            self.next.data(chunk)
            self.release(len(chunk))
        if self._end is not None:
            self.next.end(self._end)
