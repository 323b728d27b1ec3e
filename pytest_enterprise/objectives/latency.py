"""How long requests take."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from pytest_enterprise.errors import ConfigurationError
from pytest_enterprise.load.records import Request
from pytest_enterprise.objectives import intervals
from pytest_enterprise.objectives.base import Bound, Objective, Outcome, Verdict, check_number, too_few
from pytest_enterprise.objectives.phases import Observed, Window
from pytest_enterprise.objectives.text import between, quantity


@dataclass(frozen=True, kw_only=True)
class Latency(Objective):
    """A percentile of the latencies is at most so many seconds.

    Of successful requests, because quick refusals would flatter it; what fails is for :class:`Availability` to judge.
    ``of="all"`` takes every request with the time that it took. Judged from ``3 / (1 - percentile/100)`` requests on
    (300 for the 99th); with fewer it is broken when so many slow ones are beyond chance, and otherwise not judged.
    """

    percentile: float = 99
    """Above 0 and up to 100; 100 is the slowest of those that were made."""
    at_most: float
    """Seconds."""
    of: Literal["successes", "all"] = "successes"

    def _default_name(self) -> str:
        return f"latency-p{self.percentile:g}-{self.phase}"

    def _check(self) -> None:
        check_number("Latency", "percentile", self.percentile, 0, 100)
        check_number("Latency", "at_most", self.at_most, 0, 86400)
        if self.of not in ("successes", "all"):
            raise ConfigurationError(f"Latency: of={self.of!r} is neither 'successes' nor 'all'")

    @property
    def bound(self) -> Bound:
        return Bound(self.at_most, "<=", "s")

    def judge(self, observed: Observed, window: Window | None) -> Verdict:
        everything = observed.phase(self.phase, window, self.endpoint).requests
        requests = [r for r in everything if not r.error] if self.of == "successes" else list(everything)
        if not requests:
            if everything:
                why = f"all {len(everything):,} requests failed: there is no successful one to take the latency of"
                return self.verdict(window, "not judged", None, 0, why, worst=_slowest(everything))
            return self.nothing(observed, window)
        ordered = sorted(r.latency for r in requests)
        total = len(ordered)
        value = intervals.percentile(ordered, self.percentile)
        interval = intervals.percentile_interval(ordered, self.percentile)
        middle = quantity(intervals.percentile(ordered, 50), "s")
        detail = f"p{self.percentile:g} of {total:,} requests"
        if len(everything) > total:
            detail += f" ({len(everything) - total:,} failed ones left out)"
        detail += f", median {middle}, slowest {quantity(ordered[-1], 's')}; 95 % interval {between(interval, 's')}"
        share = self.percentile / 100
        required = intervals.needed(share)
        outcome: Outcome = "held" if value <= self.at_most else "broken"
        if total < required and not intervals.surely_below(bisect_right(ordered, self.at_most), total, share):
            outcome = "not judged"
            detail = f"{too_few(total, required, 'requests')}; {detail}"
        return self.verdict(window, outcome, value, total, detail, interval=interval, worst=_slowest(requests))


def _slowest(requests: Sequence[Request]) -> list[Request]:
    return sorted(requests, key=lambda r: -r.latency)
