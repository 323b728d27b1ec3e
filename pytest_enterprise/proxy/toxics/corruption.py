"""Flips ``bits`` random bits (1 when 0) in each chunk that it hits, with ``probability``."""

from __future__ import annotations

from typing import Any, ClassVar

from pytest_enterprise.proxy.toxics.base import Stage


class Corruption(Stage):
    """A memory that lies between two checksums: TCP repairs what the wire broke, this it does not see."""

    kind = "corruption"
    fields: ClassVar = {"probability": float, "bits": int}

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._random = self.carrier.randomness(f"{self.toxic.name}/corruption")

    def data(self, chunk: bytes) -> None:
        self.count(chunk)
        if self._random.random() < self.setting("probability"):
            spoilt = bytearray(chunk)
            for _ in range(max(1, self.setting("bits"))):
                spoilt[self._random.randrange(len(spoilt))] ^= 1 << self._random.randrange(8)
            chunk = bytes(spoilt)
            self.toxic.counters.more["corrupted_chunks"] += 1
        self.next.data(chunk)
