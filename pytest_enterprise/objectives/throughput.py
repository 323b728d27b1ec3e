"""How many requests are served per second."""

from __future__ import annotations

import math
from dataclasses import dataclass

from pytest_enterprise.objectives import intervals
from pytest_enterprise.objectives.base import WORST, Bound, Objective, Outcome, Verdict, check_number
from pytest_enterprise.objectives.phases import Observed, Phase, Window
from pytest_enterprise.objectives.text import between

EXPECTED = 100
"""Successes that the limit must promise for the phase's length: below, chance alone moves the rate by a fifth."""


@dataclass(frozen=True, kw_only=True)
class Throughput(Objective):
    """At least so many successful requests per second *end* within the phase (counted once, unlike what overlaps it).

    Judged when the phase is long enough for the limit to promise 100 successes; a shorter one is broken when so few
    are beyond chance, and otherwise not judged. A closed loop offers less while the system is slow: then this says
    what users got done, not what the system could have done.
    """

    at_least: float
    """Per second."""
    phase: Phase = "whole"

    def _default_name(self) -> str:
        return f"throughput-{self.phase}"

    def _check(self) -> None:
        check_number("Throughput", "at_least", self.at_least, 0, 1e9)

    @property
    def bound(self) -> Bound:
        return Bound(self.at_least, ">=", "requests/s")

    def judge(self, observed: Observed, window: Window | None) -> Verdict:
        part = observed.phase(self.phase, window, self.endpoint)
        every = observed.endpoint(self.endpoint)
        if not len(every) or part.seconds == 0:
            return self.nothing(observed, window)
        # The last request's end may be the end of the load itself, so that end belongs to the phase.
        count = int((~every.failed & (every.end >= part.began_ns) & (every.end <= part.ended_ns)).sum())
        value = count / part.seconds
        interval = intervals.rate_interval(count, part.seconds)
        detail = f"{count:,} successes in {part.seconds:.1f} s; 95 % interval {between(interval, 'requests/s')}"
        outcome: Outcome = "held" if value >= self.at_least else "broken"
        if self.at_least * part.seconds < EXPECTED and not interval[1] < self.at_least:
            outcome = "not judged"
            least = math.ceil(EXPECTED / self.at_least * 10) / 10
            detail = f"{part.seconds:.1f} s are too short to judge this limit, {least:g} s needed; {detail}"
        failed = part.requests.where(part.requests.failed)
        worst = (failed if len(failed) else part.requests).slowest(WORST)
        least_drop = intervals.detectable_rate(self.at_least * part.seconds, part.seconds)
        return self.verdict(
            window, outcome, value, count, detail, interval=interval, worst=worst, detectable=least_drop
        )
