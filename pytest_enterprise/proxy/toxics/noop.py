"""Passes everything on and counts it."""

from __future__ import annotations

from pytest_enterprise.proxy.toxics.base import Stage


class Noop(Stage):
    """No effect; shows that a link carries traffic."""

    kind = "noop"

    def data(self, chunk: bytes) -> None:
        self.count(chunk)
        self.next.data(chunk)
