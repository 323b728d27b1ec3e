"""Figures from recorded requests: exact percentiles, counts by name and by time. Latencies in seconds."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from pytest_enterprise.load.records import Request


def percentile(ordered: Sequence[float], percent: float) -> float | None:
    """The smallest value that at least ``percent`` % of ``ordered`` (ascending) do not exceed; None when empty."""
    if not 0 < percent <= 100:
        raise ValueError(f"percent={percent!r}: give a number above 0, up to 100")
    if not ordered:
        return None
    # The rounding keeps 99.9 % of 1,000 at the 999th value, in spite of binary fractions.
    return ordered[max(math.ceil(round(percent * len(ordered) / 100, 9)), 1) - 1]


@dataclass(frozen=True, slots=True)
class Summary:
    """One line of a table: requests of one name, or all. Latencies count every request, failed ones too."""

    name: str
    count: int
    failures: int
    per_second: float
    p50: float | None
    p95: float | None
    p99: float | None
    maximum: float | None


@dataclass(frozen=True, slots=True)
class Bucket:
    """The requests that started within one step of time."""

    start: int
    """CLOCK_MONOTONIC in ns."""
    count: int
    failures: int
    p50: float | None
    p95: float | None
    p99: float | None


def summarise(requests: Sequence[Request], name: str = "all") -> Summary:
    """One summary; the rate is over the time from the first start to the last end."""
    latencies = sorted(request.latency for request in requests)
    span = 0.0
    if requests:
        span = (max(request.end for request in requests) - min(request.start for request in requests)) / 1e9
    return Summary(
        name,
        len(requests),
        sum(1 for request in requests if request.error),
        len(requests) / span if span else 0.0,
        percentile(latencies, 50),
        percentile(latencies, 95),
        percentile(latencies, 99),
        latencies[-1] if latencies else None,
    )


def by_name(requests: Iterable[Request]) -> list[Summary]:
    """A summary for each name, in order of names."""
    groups: dict[str, list[Request]] = {}
    for request in requests:
        groups.setdefault(request.name, []).append(request)
    return [summarise(groups[name], name) for name in sorted(groups)]


def errors(requests: Iterable[Request]) -> list[tuple[str, str, int]]:
    """Name, kind of failure and count, the most frequent first."""
    counts = Counter((request.name, request.error) for request in requests if request.error)
    return [(name, error, count) for (name, error), count in counts.most_common()]


def timeline(requests: Iterable[Request], start: int, step: float) -> list[Bucket]:
    """Buckets of ``step`` seconds from ``start`` (ns) to the last request, empty ones too; earlier ones are left out.

    A request belongs to the bucket in which it was *sent*: a stall then shows where users met it.
    """
    if step <= 0:
        raise ValueError(f"step={step!r}: give seconds above 0")
    width = round(step * 1e9)
    groups: dict[int, list[Request]] = {}
    for request in requests:
        if request.start >= start:
            groups.setdefault((request.start - start) // width, []).append(request)
    buckets = []
    for number in range(max(groups, default=-1) + 1):
        group = groups.get(number, [])
        latencies = sorted(request.latency for request in group)
        buckets.append(
            Bucket(
                start + number * width,
                len(group),
                sum(1 for request in group if request.error),
                percentile(latencies, 50),
                percentile(latencies, 95),
                percentile(latencies, 99),
            )
        )
    return buckets
