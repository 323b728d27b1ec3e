"""CPU over time from the events ``load.sampled``: what tells whether the generator was the limit, or an engine."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import pairwise

from pytest_enterprise.events import Event
from pytest_enterprise.report.parts import Cpu

BUSIEST = 4
"""Engines that are named."""


def read(sampled: Sequence[Event]) -> tuple[tuple[Cpu, ...], tuple[tuple[str, float], ...]]:
    """Cores used between each two samples, and the busiest engines over all of them; empty of fewer than two."""
    samples = [(event["t"], *_totals(event)) for event in sampled]
    spans = [(a, b) for a, b in pairwise(samples) if b[0] > a[0]]
    found = tuple(
        Cpu(b[0], max(b[1] - a[1], 0.0) / ((b[0] - a[0]) / 1e9), _used(a[2], b[2]) / ((b[0] - a[0]) / 1e9))
        for a, b in spans
    )
    used: dict[str, float] = {}
    for a, b in spans:
        for name in b[2]:
            used[name] = used.get(name, 0.0) + _used(a[2], b[2], name)
    seconds = math.fsum(b[0] - a[0] for a, b in spans) / 1e9
    order = sorted(used.items(), key=lambda entry: -entry[1])
    return found, tuple((name, cpu / seconds) for name, cpu in order[:BUSIEST] if cpu / seconds >= 0.005)


def _totals(event: Event) -> tuple[float, dict[str, float]]:
    """CPU seconds of the generator and of each engine since they began."""
    engines = event.get("engines")
    told = engines if isinstance(engines, Mapping) else {}
    return _seconds(event.get("generator")), {str(name): _seconds(value) for name, value in told.items()}


def _seconds(value: object) -> float:
    good = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    return float(value) if good and isinstance(value, int | float) else 0.0


def _used(before: Mapping[str, float], after: Mapping[str, float], name: str | None = None) -> float:
    """What was used between two samples by one engine, or by all."""
    return math.fsum(_more(before.get(one), after[one]) for one in (after if name is None else (name,)))


def _more(before: float | None, after: float) -> float:
    if before is None:  # what it took to start belongs to no span
        return 0.0
    return after - before if after >= before else after  # else it began anew
