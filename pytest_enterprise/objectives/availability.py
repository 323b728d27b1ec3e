"""The share of requests that succeed."""

from __future__ import annotations

from dataclasses import dataclass

from pytest_enterprise.objectives import intervals
from pytest_enterprise.objectives.base import Bound, Objective, Outcome, Verdict, check_number, too_few
from pytest_enterprise.objectives.phases import Observed, Window
from pytest_enterprise.objectives.text import between, errors


@dataclass(frozen=True, kw_only=True)
class Availability(Objective):
    """At least this share of the requests succeeds. ``at_least=1.0`` means that not one fails.

    Judged from ``3 / (1 - at_least)`` requests on (600 for 99.5 %, 300 for 100 %); with fewer it is broken when so
    many failures are beyond chance, and otherwise not judged.
    """

    at_least: float
    """Share, above 0 and up to 1."""

    def _default_name(self) -> str:
        return f"availability-{self.phase}"

    def _check(self) -> None:
        check_number("Availability", "at_least", self.at_least, 0, 1)

    @property
    def bound(self) -> Bound:
        return Bound(self.at_least, ">=", "share")

    def judge(self, observed: Observed, window: Window | None) -> Verdict:
        requests = observed.phase(self.phase, window, self.endpoint).requests
        total = len(requests)
        if total == 0:
            return self.nothing(observed, window)
        failed = sorted((r for r in requests if r.error), key=lambda r: -r.latency)
        good = total - len(failed)
        interval = intervals.wilson(good, total)
        kinds = errors(failed)
        detail = f"{len(failed):,} of {total:,} requests failed{f' ({kinds})' if kinds else ''}"
        detail += f"; 95 % interval {between(interval, 'share')}"
        required = intervals.needed(self.at_least)
        outcome: Outcome = "held" if good / total >= self.at_least else "broken"
        if total < required and not intervals.surely_below(good, total, self.at_least):
            outcome = "not judged"
            detail = f"{too_few(total, required, 'requests')}; {detail}"
        return self.verdict(window, outcome, good / total, total, detail, interval=interval, worst=failed)
