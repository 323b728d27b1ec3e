"""Cuts data into pieces of ``average_size`` plus or minus ``size_variation`` bytes, ``delay`` microseconds apart."""

from __future__ import annotations

from time import monotonic_ns
from typing import Any, ClassVar

from pytest_enterprise.proxy.toxics.base import Ending, Schedule


class Slicer(Schedule):
    """A stream in small pieces, as over a bad path; an average size of 0 cuts nothing."""

    kind = "slicer"
    fields: ClassVar = {"average_size": int, "size_variation": int, "delay": int}

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._random = self.carrier.randomness(f"{self.toxic.name}/size")
        self._due_last = 0

    def data(self, chunk: bytes) -> None:
        self.count(chunk)
        now = monotonic_ns()
        gap = max(0, self.setting("delay")) * 1000
        due = max(now, self._due_last + gap)
        start = 0
        while start < len(chunk):
            piece = chunk[start : start + self._size(len(chunk))]
            start += len(piece)
            self._due_last = due
            self.put(due, piece, came=now)
            due += gap

    def _size(self, whole: int) -> int:
        average: int = self.setting("average_size")
        if average <= 0:
            return whole
        variation: int = max(0, self.setting("size_variation"))
        return max(1, average + (self._random.randint(-variation, variation) if variation else 0))

    def end(self, how: Ending) -> None:
        if self.waiting():
            self.put(self._due_last, how, came=self._due_last)
        else:
            self.next.end(how)
