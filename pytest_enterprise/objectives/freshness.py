"""How old what users read is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from pytest_enterprise.objectives.base import Bound, Objective, Verdict, check_number
from pytest_enterprise.objectives.latency import judge_percentile
from pytest_enterprise.objectives.message import doing
from pytest_enterprise.objectives.phases import Observed, Window


@dataclass(frozen=True, kw_only=True)
class Freshness(Objective):
    """A percentile of the ages of what users read is at most so many seconds.

    Users note each age with ``self.saw(key, age=seconds)``: the time since a change that the answer did not show yet, 0
    when it showed all. With ``endpoint``, only those noted with ``endpoint="GET /tasks"``. Judged from as many reads on
    as a latency percentile is of requests.
    """

    by_notes: ClassVar[bool] = True

    percentile: float = 99
    """Above 0 and up to 100; 100 is the oldest that was read."""
    at_most: float
    """Seconds."""

    def _default_name(self) -> str:
        return f"freshness-p{self.percentile:g}-{self.phase}"

    def _check(self) -> None:
        check_number("Freshness", "percentile", self.percentile, 0, 100)
        check_number("Freshness", "at_most", self.at_most, 0, 366 * 86400)

    @property
    def bound(self) -> Bound:
        return Bound(self.at_most, "<=", "s")

    def judge(self, observed: Observed, window: Window | None) -> Verdict:
        reads = [
            entry
            for entry in observed.noted(self.phase, window)
            if isinstance(entry.get("age"), (int, float)) and self.endpoint in (None, entry.get("endpoint"))
        ]
        if not reads:
            where = f" of {self.endpoint!r}" if self.endpoint else ""
            why = f'no age was noted{where} in this phase: users note it with self.saw("order-17", age=0.4)'
            return self.verdict(window, "not judged", None, 0, why)
        ages = sorted(float(entry["age"]) for entry in reads)
        found = judge_percentile(ages, self.percentile, self.at_most, "reads", "oldest")
        detail = found.detail
        if found.outcome != "held":
            oldest = max(reads, key=lambda entry: entry["age"])
            when = doing(oldest["t"], observed.windows)
            detail += (
                f"; the oldest, {oldest['key']!r}, was read {when}" if when else f"; the oldest is {oldest['key']!r}"
            )
        return self.verdict(
            window,
            found.outcome,
            found.value,
            len(reads),
            detail,
            interval=found.interval,
            detectable=found.detectable,
        )
