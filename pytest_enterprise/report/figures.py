"""The figures of a load from its columns: ten million requests in seconds and a few hundred MB, every one counted.

What is asked of requests in groups (of one step of time, of one endpoint) is read off one sorted array of numbers that
hold the group in their upper and the latency in their lower 32 bits: percentiles are exact, and the rows of the heat
map are looked up by bisection.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pytest_enterprise.load.columns import Columns
from pytest_enterprise.load.statistics import Summary, errors, percentile
from pytest_enterprise.objectives.phases import Observed, Window
from pytest_enterprise.report.scales import LatencyAxis, latency_axis
from pytest_enterprise.report.traffic import ROWS, Around, Bucket, Recorded, Timeline, step_for

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pytest_enterprise.load.columns import Ints

ENDPOINTS = 24
"""Endpoints that a table tells; more are names that nobody grouped."""
FAULTS = 6
"""Faults that are looked around; more in one load are told by the chart."""
_BITS = 32
_LATENCY = (1 << _BITS) - 1
_LONGEST = 1 << 62
"""ns; a clock that shows more is damage."""


def gather(path: Path, buckets: int, windows: Sequence[Window], notes: Sequence[str] = ()) -> Recorded:
    """Everything a report tells of the load whose files are ``path`` plus suffix; ``notes`` come first.

    Raises OSError where its files cannot be read.
    """
    requests = Columns.read(path)
    told = list(notes)
    good = (requests.start >= 0) & (requests.start < _LONGEST)
    if not bool(good.all()):
        told.append(f"{int((~good).sum()):,} requests have a time that no clock shows and are left out")
        requests = requests.where(good)
    if not len(requests):
        return Recorded(notes=(*told, "no request was recorded"))
    line = timeline(requests, buckets)
    names, more = _most_frequent(requests)
    if more:
        told.append(
            f"{more:,} further endpoints had fewer requests and are counted in the chart only; group their names "
            "with name=... in the locustfile"
        )
    return Recorded(
        requests=len(requests),
        failures=int(requests.failed.sum()),
        timeline=line,
        endpoints=tuple(by_endpoint(requests, line.seconds, names).values()),
        around=around(requests, windows, names),
        errors=tuple(errors(requests)),
        notes=tuple(told),
    )


def timeline(requests: Columns, most: int) -> Timeline:
    """The load in at most about ``most`` steps of time, until its last answer: silence belongs to the picture."""
    first, finish = int(requests.start.min()), int(requests.end.max())
    step = step_for(max(finish - first, 1) / 1e9, len(requests), most)
    width = round(step * 1e9)
    count = max((finish - first - 1) // width, (int(requests.start.max()) - first) // width) + 1
    sent = _keys((requests.start - first) // width, requests)
    edges = np.searchsorted(sent, np.arange(count + 1, dtype=np.int64) << _BITS)
    failed = sent[:0]
    if bool(requests.failed.any()):
        bad = requests.where(requests.failed)
        failed = _keys((bad.start - first) // width, bad)
    # The last answer stands on the edge of the last bucket, not behind it.
    ended = np.minimum((requests.end - first) // width, count - 1)
    answered = np.bincount(ended, minlength=count)
    refused = np.bincount(ended[requests.failed], minlength=count)
    under_way = np.cumsum(np.diff(edges)) - np.cumsum(answered)
    failures = np.diff(np.searchsorted(failed, np.arange(count + 1, dtype=np.int64) << _BITS))
    found = []
    for number, (a, b) in enumerate(pairwise(edges.tolist())):
        p50, p95, p99 = _percentiles(sent[a:b])
        found.append(
            Bucket(
                sent=b - a,
                failed=int(failures[number]),
                answered=int(answered[number]),
                refused=int(refused[number]),
                under_way=int(under_way[number]),
                p50=p50,
                p95=p95,
                p99=p99,
            )
        )
    axis = latency_axis(int(requests.took.min()) / 1e9, int(requests.took.max()) / 1e9)
    return Timeline(
        began_ns=first,
        step=step,
        buckets=tuple(found),
        axis=axis,
        heat=_heat(sent, count, axis),
        failed_heat=_heat(failed, count, axis) if len(failed) else (),
    )


def by_endpoint(requests: Columns, seconds: float, names: Sequence[str]) -> dict[str, Summary]:
    """A summary for each of ``names`` that occurs, with the rate over ``seconds``."""
    keys = _keys(requests.name, requests)
    numbers = np.flatnonzero(np.bincount(requests.name))
    failures = np.bincount(requests.name, weights=requests.failed)
    edges = np.searchsorted(keys, np.append(numbers, numbers[-1:] + 1).astype(np.int64) << _BITS).tolist()
    found = {}
    parts: dict[str, list[tuple[Ints, int]]] = {}
    for number, (a, b) in zip(numbers.tolist(), pairwise(edges), strict=True):
        name = requests.name_texts.get(number, f"(name {number})")
        parts.setdefault(name, []).append((keys[a:b], int(failures[number])))
    for name in sorted(set(names) & set(parts)):
        mine = [latencies for latencies, _ in parts[name]]
        # Two numbers of one name: a writer that began anew.
        ordered = mine[0] if len(mine) == 1 else np.sort(np.concatenate([part & _LATENCY for part in mine]))
        found[name] = _summary(name, ordered, sum(bad for _, bad in parts[name]), seconds)
    return found


def around(
    requests: Columns, windows: Sequence[Window], names: Sequence[str]
) -> tuple[tuple[str, tuple[Around, ...]], ...]:
    """What was felt before, during and after each fault, by the rules by which objectives are judged."""
    observed = Observed(requests, windows)
    began, ended = observed.span or (0, 0)
    near = [w for w in windows if w.began_ns < ended and (w.ended_ns is None or w.ended_ns >= began)]
    told = []
    for window in near[:FAULTS]:
        phases: list[dict[str, Summary]] = []
        for phase in ("before", "during", "after"):
            part = observed.phase(phase, window)
            found = by_endpoint(part.requests, part.seconds, names) if len(part.requests) else {}
            if len(part.requests) and len(names) > 1:
                took = np.sort(part.requests.took // 1000)
                found["all"] = _summary("all", took, int(part.requests.failed.sum()), part.seconds)
            phases.append(found)
        rows = (["all"] if len(names) > 1 else []) + sorted(names)
        lines = (Around(name, *(phase.get(name) for phase in phases)) for name in rows)
        told.append((window.fault_id, tuple(line for line in lines if any(line[1:]))))
    return tuple(told)


def _keys(group: NDArray[Any], requests: Columns) -> Ints:
    """Group and latency in µs as one number each, in ascending order."""
    keys = group.astype(np.int64) << _BITS
    keys |= requests.took // 1000
    keys.sort()
    return keys


def _percentiles(keys: Ints) -> tuple[float | None, float | None, float | None]:
    p50, p95, p99 = (percentile(keys, percent) for percent in (50, 95, 99))
    return _latency(p50), _latency(p95), _latency(p99)


def _latency(key: float | None) -> float | None:
    return None if key is None else (int(key) & _LATENCY) / 1e6


def _summary(name: str, keys: Ints, failures: int, seconds: float) -> Summary:
    p50, p95, p99 = _percentiles(keys)
    rate = len(keys) / seconds if seconds else 0.0
    return Summary(name, len(keys), failures, rate, p50, p95, p99, _latency(percentile(keys, 100)))


def _heat(keys: Ints, count: int, axis: LatencyAxis) -> tuple[tuple[int, ...], ...]:
    """For each of ``count`` groups of sorted ``keys`` how many lie in each row of the axis."""
    borders = np.array([0, *(edge * 1e6 for edge in axis.edges(ROWS)), 0]).astype(np.int64)
    wanted = (np.arange(count + 1, dtype=np.int64)[:, None] << _BITS) + borders[None, :-1]
    found = np.searchsorted(keys, wanted.ravel()[: count * ROWS + 1])
    return tuple(map(tuple, np.diff(found).reshape(count, ROWS).tolist()))


def _most_frequent(requests: Columns) -> tuple[list[str], int]:
    """The names that a table tells, and how many it does not."""
    counts: dict[str, int] = {}
    for number, count in enumerate(np.bincount(requests.name).tolist()):
        if count:
            name = requests.name_texts.get(number, f"(name {number})")
            counts[name] = counts.get(name, 0) + count
    order = sorted(counts, key=lambda name: (-counts[name], name))
    return order[:ENDPOINTS], max(len(order) - ENDPOINTS, 0)
