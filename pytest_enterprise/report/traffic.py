"""What a report tells of one load: over time, around each fault, by endpoint and by kind of failure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

from pytest_enterprise.errors import ConfigurationError
from pytest_enterprise.load.records import RECORD
from pytest_enterprise.load.statistics import Summary
from pytest_enterprise.objectives.phases import Window
from pytest_enterprise.report.scales import LatencyAxis

ROWS = 20
"""Of the heat map, between the ends of the latency axis."""
_STEPS = (
    *(m * e / 1000 for e in (10, 100, 1000) for m in (1, 1.5, 2, 2.5, 3, 4, 5, 6, 8)),
    *(10, 15, 20, 30, 60, 120, 300, 600, 1800, 3600, 7200, 21600, 86400),
)
_ENOUGH = 20
"""Requests in a bucket from which on its percentiles tell three lines apart."""
_FEWEST = 40
"""Buckets below which a chart is too coarse, however few the requests."""


class Bucket(NamedTuple):
    """One step of time; latencies in seconds, of the requests that were sent in it, None where there is none."""

    sent: int
    failed: int
    """Of those sent in it."""
    answered: int
    """Ended in it, well or not."""
    refused: int
    """Ended in it and had failed."""
    under_way: int
    """Sent and not ended at its end: the backlog."""
    p50: float | None
    p95: float | None
    p99: float | None


@dataclass(frozen=True, kw_only=True)
class Timeline:
    """A load over time."""

    began_ns: int
    """CLOCK_MONOTONIC at the left edge of the first bucket."""
    step: float
    """Seconds of one bucket."""
    buckets: tuple[Bucket, ...]
    axis: LatencyAxis
    heat: tuple[tuple[int, ...], ...]
    """For each bucket the requests sent in it, by the rows of the latency axis, the quickest first."""
    failed_heat: tuple[tuple[int, ...], ...]
    """Those of them that failed; empty when none did."""

    @property
    def seconds(self) -> float:
        return self.step * len(self.buckets)


class Around(NamedTuple):
    """One endpoint (or ``all``) before, during and after a fault; None where the phase had no request."""

    name: str
    before: Summary | None
    during: Summary | None
    after: Summary | None


@dataclass(frozen=True, kw_only=True)
class Recorded:
    """What the record files of a load hold."""

    requests: int = 0
    failures: int = 0
    timeline: Timeline | None = None
    """None when there is no request."""
    endpoints: tuple[Summary, ...] = ()
    """One for each name, in order of names; those with the most requests where there are too many to read."""
    around: tuple[tuple[str, tuple[Around, ...]], ...] = ()
    """The id of a fault, and what was felt before, during and after it: the endpoints above, ``all`` first."""
    errors: tuple[tuple[str, str, int], ...] = ()
    """Name, kind of failure and count, the most frequent first."""
    notes: tuple[str, ...] = ()
    """What was missing or cut short."""


def step_for(seconds: float, requests: int, most: int) -> float:
    """A round bucket width in seconds for at most ``most`` buckets, wider where requests are few."""
    wanted = max(seconds / most, min(seconds / min(_FEWEST, most), seconds * _ENOUGH / max(requests, 1)))
    return next((step for step in _STEPS if step >= wanted), float(_STEPS[-1]))


def read(path: Path, *, buckets: int = 150, windows: Sequence[Window] = ()) -> Recorded:
    """The load whose files are ``path`` plus suffix, in at most about ``buckets`` steps of time; never raises OSError.

    ``windows`` are the faults to look around. What a crash cut short is left out and noted.
    """
    file = path.with_name(path.name + ".requests")
    try:
        size = file.stat().st_size
        notes = [f"{file.name} ends within a record"] if size % RECORD.size else []
        if size < RECORD.size:
            return Recorded(notes=(*notes, "no request was recorded"))
        from pytest_enterprise.report import figures

        return figures.gather(path, buckets, windows, notes)
    except OSError as error:
        return Recorded(notes=(f"the requests in {file.name} cannot be read: {error.strerror}",))
    except ConfigurationError as error:
        return Recorded(notes=(f"the requests in {file.name} were not read: {error}",))


def runs(buckets: Sequence[Bucket]) -> list[tuple[int, int]]:
    """Stretches of buckets, as (first, one past the last), in which something was sent."""
    edges = [i for i in range(len(buckets) + 1) if _sent(buckets, i) != _sent(buckets, i - 1)]
    return [(a, b) for a, b in pairwise(edges) if _sent(buckets, a)]


def _sent(buckets: Sequence[Bucket], number: int) -> bool:
    return 0 <= number < len(buckets) and buckets[number].sent > 0
