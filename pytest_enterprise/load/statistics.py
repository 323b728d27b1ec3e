"""Figures from recorded requests: exact percentiles, counts by name and by time. Latencies in seconds.

What counts requests needs NumPy and imports it when it is called: a report of a run without load does without.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from pytest_enterprise.load.records import Request

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pytest_enterprise.load.columns import Columns


def percentile(ordered: Sequence[float] | NDArray[Any], percent: float) -> float | None:
    """The smallest value that at least ``percent`` % of ``ordered`` (ascending) do not exceed; None when empty."""
    if not 0 < percent <= 100:
        raise ValueError(f"percent={percent!r}: give a number above 0, up to 100")
    if not len(ordered):
        return None
    # The rounding keeps 99.9 % of 1,000 at the 999th value, in spite of binary fractions.
    return float(ordered[max(math.ceil(round(percent * len(ordered) / 100, 9)), 1) - 1])


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


def _columns(requests: Iterable[Request]) -> Columns:
    from pytest_enterprise.load.columns import Columns

    return Columns.of(requests)


def summarise(requests: Sequence[Request], name: str = "all") -> Summary:
    """One summary; the rate is over the time from the first start to the last end."""
    columns = _columns(requests)
    latencies = columns.seconds()
    span = int(columns.end.max() - columns.start.min()) / 1e9 if len(columns) else 0.0
    return Summary(
        name,
        len(columns),
        int(columns.failed.sum()),
        len(columns) / span if span else 0.0,
        percentile(latencies, 50),
        percentile(latencies, 95),
        percentile(latencies, 99),
        percentile(latencies, 100),
    )


def by_name(requests: Iterable[Request]) -> list[Summary]:
    """A summary for each name, in order of names."""
    columns = _columns(requests)
    return [summarise(columns.named(name), name) for name in columns.names()]


def errors(requests: Iterable[Request]) -> list[tuple[str, str, int]]:
    """Name, kind of failure and count, the most frequent first."""
    columns = _columns(requests)
    failed = columns.where(columns.failed)
    counts = [(name, error, count) for name in failed.names() for error, count in failed.named(name).errors().items()]
    return sorted(counts, key=lambda entry: -entry[2])


def timeline(requests: Iterable[Request], start: int, step: float) -> list[Bucket]:
    """Buckets of ``step`` seconds from ``start`` (ns) to the last request, empty ones too; earlier ones are left out.

    A request belongs to the bucket in which it was *sent*: a stall then shows where users met it.
    """
    if step <= 0:
        raise ValueError(f"step={step!r}: give seconds above 0")
    import numpy as np

    width = round(step * 1e9)
    columns = _columns(requests)
    later = columns.where(columns.start >= start)
    if not len(later):
        return []
    # By bucket, and by latency within each.
    numbers = (later.start - start) // width
    order = np.lexsort((later.took, numbers))
    latencies, failed = later.took[order] / 1e9, np.concatenate(([0], np.cumsum(later.failed[order])))
    edges = np.searchsorted(numbers[order], np.arange(int(numbers.max()) + 2)).tolist()
    return [
        Bucket(
            start + number * width,
            last - first,
            int(failed[last] - failed[first]),
            *(percentile(latencies[first:last], percent) for percent in (50, 95, 99)),
        )
        for number, (first, last) in enumerate(pairwise(edges))
    ]
