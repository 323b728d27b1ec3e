"""Error budgets: how much of what a service level allows in a month the failures of a load would have used up.

A target of 99.9 % leaves 0.1 % of a period for failures: 43.2 minutes of 30 days. The *burn rate* is how many times as
fast as that failures come: at 1 the budget lasts just the period, at 14.4 an hour takes a fiftieth of 30 days' budget.
Both say what an alert on the real service would have made of the load, so they are judged as if the service had met the
load's traffic all the time, and had served it before and after.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from pytest_enterprise.errors import ConfigurationError
from pytest_enterprise.objectives import intervals
from pytest_enterprise.objectives.base import WORST, Bound, Objective, Outcome, Verdict, check_number, too_few
from pytest_enterprise.objectives.phases import Observed, Phase, Window
from pytest_enterprise.objectives.text import between, errors, quantity

if TYPE_CHECKING:
    from pytest_enterprise.load.columns import Columns

DAY = 86_400


def _check_target(objective: str, target: float) -> None:
    check_number(objective, "target", target, 0, 1)
    if target == 1:
        raise ConfigurationError(f"{objective}: target=1 leaves no budget; use Availability(at_least=1.0) for it")


@dataclass(frozen=True, kw_only=True)
class ErrorBudget(Objective):
    """The failures of the phase use up at most this share of the budget of a whole period.

    The value is their share of the requests, times the length of the phase, over what ``target`` leaves of the period.
    Not judged where not even a phase in which everything fails could use up so much.
    """

    target: float
    """The service level, as a share: 0.999."""
    at_most: float
    """Share of the period's budget."""
    days: float = 30
    """The period."""
    phase: Phase = "whole"

    def _default_name(self) -> str:
        return f"error-budget-{self.phase}"

    def _check(self) -> None:
        _check_target("ErrorBudget", self.target)
        check_number("ErrorBudget", "at_most", self.at_most, 0, 1)
        check_number("ErrorBudget", "days", self.days, 0, 3660)

    @property
    def bound(self) -> Bound:
        return Bound(self.at_most, "<=", "share")

    def judge(self, observed: Observed, window: Window | None) -> Verdict:
        part = observed.phase(self.phase, window, self.endpoint)
        total = len(part.requests)
        if not total or not part.seconds:
            return self.nothing(observed, window)
        budget = (1 - self.target) * self.days * DAY
        scale = part.seconds / budget
        allowed = self.at_most / scale
        if allowed >= 1:
            why = (
                f"{part.seconds:.1f} s use up {quantity(scale, 'share')} of the budget at most, even if every request "
                f"fails, so this limit cannot be broken: set at_most below that, or let the phase last longer"
            )
            return self.verdict(window, "not judged", None, total, why)
        failed = part.requests.where(part.requests.failed)
        bad = len(failed)
        value = bad / total * scale
        low, high = (share * scale for share in intervals.wilson(bad, total))
        detail = (
            f"{bad:,} of {total:,} requests failed in {part.seconds:.1f} s{f' ({errors(failed)})' if bad else ''}, "
            f"a burn rate of {bad / total / (1 - self.target):.3g}; {self.target * 100:g} % leave "
            f"{budget / 60:.3g} min of {self.days:g} days; 95 % interval {between((low, high), 'share')}"
        )
        required = intervals.needed(1 - allowed)
        outcome: Outcome = "held" if value <= self.at_most else "broken"
        if total < required and not intervals.surely_below(total - bad, total, 1 - allowed):
            outcome, detail = "not judged", f"{too_few(total, required, 'requests')}; {detail}"
        more = intervals.detectable(total, allowed)
        return self.verdict(
            window,
            outcome,
            value,
            total,
            detail,
            interval=(low, high),
            worst=failed.slowest(WORST),
            detectable=None if more is None else more * scale,
        )


@dataclass(frozen=True, kw_only=True)
class BurnRate(Objective):
    """At no time is the budget burned faster than this over both a long and a short window.

    The rule by which services are alerted on (Google's SRE workbook): the long window says that it matters, the short
    one that it still goes on. ``BurnRate.workbook(0.999)`` gives the three rules of that book. The value is the highest
    rate that both windows reached at once. Requests count when they end; what a window holds of the time before the
    load counts as served, at the load's mean rate. Not judged where not even a load in which everything fails could
    burn so fast.
    """

    target: float
    """The service level, as a share: 0.999."""
    at_most: float = 14.4
    """Times the rate at which the budget lasts just its period."""
    long: float = 3600
    """Seconds."""
    short: float = 300
    """Seconds."""
    phase: Phase = field(default="whole", init=False)

    @classmethod
    def workbook(cls, target: float, *, endpoint: str | None = None) -> tuple[BurnRate, ...]:
        """The rules for a period of 30 days: two that wake somebody, and one that opens a ticket."""
        rules = ((14.4, 1, 5), (6.0, 6, 30), (1.0, 72, 360))
        return tuple(
            cls(target=target, at_most=rate, long=hours * 3600, short=minutes * 60, endpoint=endpoint)
            for rate, hours, minutes in rules
        )

    def _default_name(self) -> str:
        return f"burn-rate-{self.long:g}s"

    def _check(self) -> None:
        _check_target("BurnRate", self.target)
        check_number("BurnRate", "at_most", self.at_most, 0, 1 / (1 - self.target))
        check_number("BurnRate", "long", self.long, 0, 366 * DAY)
        check_number("BurnRate", "short", self.short, 0, self.long)

    @property
    def bound(self) -> Bound:
        return Bound(self.at_most, "<=", "×")

    def judge(self, observed: Observed, window: Window | None) -> Verdict:
        part = observed.phase(self.phase, window, self.endpoint)
        requests, total = part.requests, len(part.requests)
        if not total or not part.seconds:
            return self.nothing(observed, window)
        fastest = min(part.seconds / self.long, 1.0) / (1 - self.target)
        if fastest <= self.at_most:
            why = (
                f"{part.seconds:.1f} s burn at {quantity(fastest, '×')} at most over {self.long:g} s, even if every "
                "request fails, so this limit cannot be broken: let the load run longer, or give shorter windows"
            )
            return self.verdict(window, "not judged", None, total, why)
        bad, counted, at = _fastest(requests, part.began_ns, total / part.seconds, self.long, self.short)
        value = bad / counted / (1 - self.target)
        low, high = (share / (1 - self.target) for share in intervals.wilson(bad, round(counted)))
        detail = f"{int(requests.failed.sum()):,} of {total:,} requests failed"
        if bad:
            detail += (
                f", {bad:,} of about {counted:,.0f} in the window that decides, up to {at / 1e9:.3f} s of the load"
            )
        detail += f"; windows of {self.long:g} s and {self.short:g} s; 95 % interval {between((low, high), '×')}"
        share = 1 - self.at_most * (1 - self.target)
        required = intervals.needed(share)
        outcome: Outcome = "held" if value <= self.at_most else "broken"
        if total < required and not intervals.surely_below(round(counted) - bad, round(counted), share):
            outcome, detail = "not judged", f"{too_few(total, required, 'requests')}; {detail}"
        worst = requests.where(requests.failed).slowest(WORST)
        return self.verdict(window, outcome, value, total, detail, interval=(low, high), worst=worst)


def _fastest(requests: Columns, began: int, rate: float, long: float, short: float) -> tuple[int, float, int]:
    """Failures and requests of the window that decides when both burn fastest, and that time in ns after ``began``."""
    import numpy as np

    ends = np.sort(requests.end)
    bad = np.sort(requests.end[requests.failed])
    if not len(bad):
        return 0, max(rate * long, 1.0), 0
    # Both windows hold the most failures just when one has come in.
    shares, counts = [], []
    for seconds in (long, short):
        width = round(seconds * 1e9)
        failed = np.searchsorted(bad, bad, "right") - np.searchsorted(bad, bad - width, "right")
        made = np.searchsorted(ends, bad, "right") - np.searchsorted(ends, bad - width, "right")
        earlier = np.maximum(width - (bad - began), 0) / 1e9 * rate
        shares.append(failed / (made + earlier))
        counts.append((failed, made + earlier))
    at = int(np.argmax(np.minimum(*shares)))
    failed, counted = counts[0 if shares[0][at] <= shares[1][at] else 1]
    return int(failed[at]), float(counted[at]), int(bad[at]) - began
