"""What a report tells of one load: percentiles and rates over time, by endpoint and by kind of failure."""

from __future__ import annotations

from array import array
from collections import Counter
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

from pytest_enterprise.load import records
from pytest_enterprise.load.statistics import Summary, percentile

_STEPS = (0.01, 0.02, 0.05, 0.1, 0.2, 0.25, 0.5, 1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1800, 3600, 7200, 21600, 86400)
_ENOUGH = 20
"""Requests in a bucket from which on its percentiles tell three lines apart."""
_FEWEST = 40
"""Buckets below which a chart is too coarse, however few the requests."""


class Bucket(NamedTuple):
    """The requests that were sent within one step of time; latencies in seconds, None where nothing was sent."""

    ok: int
    failed: int
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

    @property
    def seconds(self) -> float:
        return self.step * len(self.buckets)


@dataclass(frozen=True, kw_only=True)
class Recorded:
    """What the record files of a load hold."""

    requests: int = 0
    failures: int = 0
    timeline: Timeline | None = None
    """None when there is no request."""
    endpoints: tuple[Summary, ...] = ()
    """One for each name, in order of names."""
    errors: tuple[tuple[str, str, int], ...] = ()
    """Name, kind of failure and count, the most frequent first."""
    notes: tuple[str, ...] = ()
    """What was missing or cut short."""


def step_for(seconds: float, requests: int, most: int) -> float:
    """A round bucket width in seconds for at most ``most`` buckets, wider where requests are few."""
    wanted = max(seconds / most, min(seconds / _FEWEST, seconds * _ENOUGH / max(requests, 1)))
    return next((step for step in _STEPS if step >= wanted), float(_STEPS[-1]))


def read(path: Path, *, buckets: int = 150) -> Recorded:
    """The load whose files are ``path`` plus suffix, in at most about ``buckets`` steps of time; never raises OSError.

    What a crash cut short is left out and noted.
    """
    file = path.with_name(path.name + ".requests")
    try:
        size = file.stat().st_size
        notes = [f"{file.name} ends within a record"] if size % records.RECORD.size else []
        starts, latencies, failed = array("q"), array("d"), bytearray()
        by_name: dict[str, array[int]] = {}
        errors: Counter[tuple[str, str]] = Counter()
        for number, (start, latency, name, error, _) in enumerate(records.read(path)):
            starts.append(start)
            latencies.append(latency)
            failed.append(1 if error else 0)
            if error:
                errors[name, error] += 1
            mine = by_name.get(name)
            if mine is None:
                mine = by_name[name] = array("q")
            mine.append(number)
    except (OSError, OverflowError) as error:
        reason = error.strerror if isinstance(error, OSError) else "a time that no clock shows"
        return Recorded(notes=(f"the requests in {file.name} cannot be read: {reason}",))
    if not starts:
        return Recorded(notes=(*notes, "no request was recorded"))
    timeline = _timeline(starts, latencies, failed, buckets)
    endpoints = tuple(_endpoint(name, by_name[name], latencies, failed, timeline) for name in sorted(by_name))
    return Recorded(
        requests=len(starts),
        failures=sum(failed),
        timeline=timeline,
        endpoints=endpoints,
        errors=tuple((name, error, count) for (name, error), count in errors.most_common()),
        notes=tuple(notes),
    )


def _timeline(starts: array[int], latencies: array[float], failed: bytearray, most: int) -> Timeline:
    first, last = min(starts), max(starts)
    finish = max(start + round(latency * 1e9) for start, latency in zip(starts, latencies, strict=True))
    step = step_for(max(last - first, 1) / 1e9, len(starts), most)
    if finish - last > 2 * step * 1e9:
        # Users hung at the end: the silence belongs to the picture.
        step = step_for((finish - first) / 1e9, len(starts), most)
        last = finish
    width = round(step * 1e9)
    groups: list[list[float]] = [[] for _ in range((last - first) // width + 1)]
    failures = [0] * len(groups)
    for start, latency, bad in zip(starts, latencies, failed, strict=True):
        number = (start - first) // width
        groups[number].append(latency)
        failures[number] += bad
    buckets = []
    for group, bad in zip(groups, failures, strict=True):
        group.sort()
        p50, p95, p99 = (percentile(group, percent) for percent in (50, 95, 99))
        buckets.append(Bucket(len(group) - bad, bad, p50, p95, p99))
    return Timeline(began_ns=first, step=step, buckets=tuple(buckets))


def _endpoint(
    name: str, numbers: array[int], latencies: array[float], failed: bytearray, timeline: Timeline
) -> Summary:
    ordered = sorted(latencies[number] for number in numbers)
    return Summary(
        name,
        len(numbers),
        sum(failed[number] for number in numbers),
        len(numbers) / timeline.seconds,
        percentile(ordered, 50),
        percentile(ordered, 95),
        percentile(ordered, 99),
        ordered[-1],
    )


def runs(buckets: tuple[Bucket, ...]) -> list[tuple[int, int]]:
    """Stretches of buckets, as (first, one past the last), in which something was sent."""
    edges = [i for i in range(len(buckets) + 1) if _sent(buckets, i) != _sent(buckets, i - 1)]
    return [(a, b) for a, b in pairwise(edges) if _sent(buckets, a)]


def _sent(buckets: tuple[Bucket, ...], number: int) -> bool:
    return 0 <= number < len(buckets) and buckets[number].p50 is not None
