"""Drops each chunk with ``probability``; what remains passes, with a hole in it."""

from __future__ import annotations

from typing import Any, ClassVar

from pytest_enterprise.proxy.toxics.base import Stage


class Loss(Stage):
    """A peer that forgets parts of what it sends: TCP hides lost packets, this does not."""

    kind = "loss"
    fields: ClassVar = {"probability": float}

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._random = self.carrier.randomness(f"{self.toxic.name}/loss")

    def data(self, chunk: bytes) -> None:
        self.count(chunk)
        if self._random.random() < self.setting("probability"):
            self.toxic.counters.dropped_bytes += len(chunk)
        else:
            self.next.data(chunk)
