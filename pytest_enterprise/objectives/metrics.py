"""What is compared: one figure of one block of work, by which two versions are set against each other."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import fmean
from typing import Literal

from pytest_enterprise.errors import ConfigurationError, nearest
from pytest_enterprise.objectives.intervals import percentile

ALL = "all"
"""The name under which the requests of every endpoint are taken together."""


@dataclass(frozen=True, kw_only=True)
class Block:
    """What one block of work showed: a few seconds of load, or a series of calls."""

    samples: Mapping[str, Sequence[float]]
    """Ascending values (latencies in s) of what succeeded, by endpoint; under ``all`` those of every endpoint."""
    seconds: float
    failed: Mapping[str, int] = field(default_factory=dict)
    """How many failed, by the same names."""
    cpu_seconds: float | None = None
    """CPU time that the measured side took; None where nobody looked."""
    behind: str = ""
    """Why the generator did not keep to its arrivals, so that the figures are its own; empty where it did."""

    def attempts(self, endpoint: str) -> int:
        """How often it was tried, with and without success."""
        return len(self.samples.get(endpoint, ())) + self.failed.get(endpoint, 0)


@dataclass(frozen=True, kw_only=True)
class Metric:
    """A figure of a block. ``of`` takes the ascending values; other figures come from :func:`named`."""

    name: str
    unit: str = "s"
    better: Literal["lower", "higher"] = "lower"
    of: Callable[[Sequence[float]], float] = lambda values: percentile(values, 50)
    whole: Callable[[Block, str], float | None] | None = None
    """In place of ``of`` for what is not a figure of the values alone; None where the block does not tell."""

    def value(self, block: Block, endpoint: str = ALL) -> float | None:
        """The figure, above 0; None where the block shows none."""
        if self.whole is not None:
            found = self.whole(block, endpoint)
        else:
            values = block.samples.get(endpoint, ())
            found = self.of(values) if len(values) else None
        return found if found is not None and 0 < found < math.inf else None


def _rate(block: Block, endpoint: str) -> float | None:
    return len(block.samples.get(endpoint, ())) / block.seconds if block.seconds > 0 else None


def _cost(block: Block, endpoint: str) -> float | None:
    done = len(block.samples.get(ALL, ()))
    return block.cpu_seconds / done if endpoint == ALL and done and block.cpu_seconds is not None else None


_KNOWN = {
    "median": Metric(name="median"),
    "mean": Metric(name="mean", of=fmean),
    "throughput": Metric(name="throughput", unit="requests/s", better="higher", whole=_rate),
    "cpu": Metric(name="cpu", unit="CPU s/request", whole=_cost),
}


def named(metric: str | Metric) -> Metric:
    """The metric of that name: ``median``, ``mean``, ``p99`` (any percentile), ``throughput``, ``cpu`` per request."""
    if isinstance(metric, Metric):
        return metric
    if metric in _KNOWN:
        return _KNOWN[metric]
    found = re.fullmatch(r"p(\d{1,2}(?:\.\d+)?)", metric)
    if found and float(found[1]) > 0:
        percent = float(found[1])
        return Metric(name=metric, of=lambda values: percentile(values, percent))
    raise ConfigurationError(
        f"metric={metric!r}: no such metric. {nearest(metric, [*_KNOWN, 'p95', 'p99'])} "
        "Or give a Metric(name=..., unit=..., better=...) of your own"
    )
