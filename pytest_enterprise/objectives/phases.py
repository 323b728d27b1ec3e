"""What was observed of a load, cut at the faults: which requests belong before, during and after each.

The rules, for a fault on from ``began`` to ``ended``:

during
    every request whose time, from its start to its end, overlaps the fault: it felt it. So a request that began before
    the fault and hung in it counts, and so does one that began in the fault and ended long after.
before, after
    the requests that ended before the fault began, and those that started when it had ended. A single fault puts each
    request in exactly one of the three.

With several faults, before reaches back to the end of the last earlier one and after ahead to the start of the next;
faults that overlap are one disturbance, before and after which both lie. The tail of a request that felt another fault
is not in either. What users noted has a moment, not a length: it belongs to the phase in which that moment lies.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, get_args

from pytest_enterprise.load.records import Request

if TYPE_CHECKING:
    from pytest_enterprise.load.columns import Columns

Phase = Literal["before", "during", "after", "whole"]
PHASES: tuple[str, ...] = get_args(Phase)


class Window(NamedTuple):
    """When a fault was on: CLOCK_MONOTONIC in ns."""

    fault_id: str
    kind: str
    target: str
    began_ns: int
    ended_ns: int | None
    """None: it was never ended, or still is on."""
    settings: str = ""
    """What it does, in words: ``seconds 0.3``."""

    @property
    def label(self) -> str:
        return f"{self.kind} on {self.target}" if self.target else self.kind


class Slice(NamedTuple):
    """The requests of a phase and the time that it took, clipped to the load's."""

    requests: Columns
    began_ns: int
    ended_ns: int

    @property
    def seconds(self) -> float:
        return max(0, self.ended_ns - self.began_ns) / 1e9


@dataclass(frozen=True)
class Observed:
    """The requests of a load, its time, and the faults that were on."""

    requests: Sequence[Request]
    windows: Sequence[Window] = ()
    span: tuple[int, int] | None = None
    """When the load began and ended in ns; None: from the first request's start to the last one's end."""
    operations: Sequence[Mapping[str, Any]] = ()
    """What users noted: ``t`` (CLOCK_MONOTONIC, ns), ``key``, ``status`` and more; see ``traffic.operations()``."""
    _disturbed: list[tuple[float, float]] = field(init=False, default_factory=list)

    def __post_init__(self) -> None:
        if self.span is None and len(self.requests):
            span = int(self.columns.start.min()), int(self.columns.end.max())
            object.__setattr__(self, "span", span)
        for began, ended in sorted((w.began_ns, _end(w)) for w in self.windows):
            if self._disturbed and began <= self._disturbed[-1][1]:
                self._disturbed[-1] = (self._disturbed[-1][0], max(self._disturbed[-1][1], ended))
            else:
                self._disturbed.append((began, ended))

    @cached_property
    def columns(self) -> Columns:
        """The requests in columns; only what is judged by requests needs NumPy."""
        from pytest_enterprise.load.columns import Columns

        return Columns.of(self.requests)

    def endpoint(self, name: str | None) -> Columns:
        """The requests of one endpoint, or all."""
        return self.columns.named(name)

    def phase(self, phase: str, window: Window | None, endpoint: str | None = None) -> Slice:
        """The requests of a phase; ``window`` is None for the whole."""
        requests = self.endpoint(endpoint)
        first, last = self.span or (0, 0)
        if phase == "whole" or window is None:
            return Slice(requests, first, last)
        began, ended = self._time(phase, window)
        if phase == "during":
            chosen = requests.where((requests.start < ended) & (requests.end >= began))
        else:
            chosen = requests.where((requests.start >= began) & (requests.end < ended))
        began, ended = max(began, first), min(ended, last)
        return Slice(chosen, int(min(began, last)), int(max(ended, min(began, last))))

    def noted(self, phase: str, window: Window | None) -> list[Mapping[str, Any]]:
        """What users noted in a phase; ``window`` is None for the whole."""
        if phase == "whole" or window is None:
            return list(self.operations)
        began, ended = self._time(phase, window)
        return [entry for entry in self.operations if began <= entry["t"] < ended]

    def _time(self, phase: str, window: Window) -> tuple[float, float]:
        """From when to when a phase lasts, whenever the load ran."""
        return (window.began_ns, _end(window)) if phase == "during" else self._quiet(phase, window)

    def horizon(self, window: Window) -> int:
        """Until when what follows can be put down to ``window``: the next fault's start, or the load's end."""
        _, following = self._quiet("after", window)
        return int(min(following, (self.span or (0, 0))[1]))

    def _quiet(self, phase: str, window: Window) -> tuple[float, float]:
        """The undisturbed time before or after the disturbance that ``window`` is part of."""
        at = next(i for i, (began, ended) in enumerate(self._disturbed) if began <= window.began_ns <= ended)
        began, ended = self._disturbed[at]
        if phase == "before":
            return (self._disturbed[at - 1][1] if at else -math.inf), began
        return ended, (self._disturbed[at + 1][0] if at + 1 < len(self._disturbed) else math.inf)


def _end(window: Window) -> float:
    return math.inf if window.ended_ns is None else window.ended_ns
