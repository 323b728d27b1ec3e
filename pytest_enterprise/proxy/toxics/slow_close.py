"""Delays the end of the stream by ``delay`` milliseconds; data pass at once."""

from __future__ import annotations

from time import monotonic_ns
from typing import ClassVar

from pytest_enterprise.proxy.toxics.base import MS, Ending, Schedule


class SlowClose(Schedule):
    """A peer that takes its time to hang up."""

    kind = "slow_close"
    fields: ClassVar = {"delay": int}

    def data(self, chunk: bytes) -> None:
        self.count(chunk)
        self.next.data(chunk)

    def end(self, how: Ending) -> None:
        self.touch()
        now = monotonic_ns()
        self.put(now + max(0, self.setting("delay")) * MS, how, came=now)
