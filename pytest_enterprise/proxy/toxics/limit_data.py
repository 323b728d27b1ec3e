"""Passes exactly ``bytes`` bytes of each connection, then closes it."""

from __future__ import annotations

from typing import Any, ClassVar

from pytest_enterprise.proxy.toxics.base import Ending, Stage


class LimitData(Stage):
    """A transfer that breaks off."""

    kind = "limit_data"
    fields: ClassVar = {"bytes": int}

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._passed = 0
        self._over = False

    def data(self, chunk: bytes) -> None:
        self.count(chunk)
        allowed = 0 if self._over else max(0, self.setting("bytes") - self._passed)
        piece = chunk[:allowed]
        self.toxic.counters.dropped_bytes += len(chunk) - len(piece)
        self._passed += len(piece)
        if piece:
            self.next.data(piece)
        if not self._over and self._passed >= self.setting("bytes"):
            self._over = True
            self.next.end(Ending.CLOSED)
