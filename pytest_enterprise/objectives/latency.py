"""How long requests take."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from pytest_enterprise.errors import ConfigurationError
from pytest_enterprise.objectives import intervals
from pytest_enterprise.objectives.base import WORST, Bound, Objective, Outcome, Verdict, check_number, too_few
from pytest_enterprise.objectives.phases import Observed, Window
from pytest_enterprise.objectives.text import between, quantity

if TYPE_CHECKING:
    from numpy.typing import NDArray


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
        requests = everything.where(~everything.failed) if self.of == "successes" else everything
        if not len(requests):
            if len(everything):
                why = f"all {len(everything):,} requests failed: there is no successful one to take the latency of"
                return self.verdict(window, "not judged", None, 0, why, worst=everything.slowest(WORST))
            return self.nothing(observed, window)
        left_out = len(everything) - len(requests)
        what = f"requests ({left_out:,} failed ones left out)" if left_out else "requests"
        found = judge_percentile(requests.seconds(), self.percentile, self.at_most, what)
        return self.verdict(
            window,
            found.outcome,
            found.value,
            len(requests),
            found.detail,
            interval=found.interval,
            worst=requests.slowest(WORST),
            detectable=found.detectable,
        )


class Judged(NamedTuple):
    """What was found of a percentile."""

    outcome: Outcome
    value: float
    interval: tuple[float, float]
    detectable: float | None
    detail: str


def judge_percentile(
    ordered: Sequence[float] | NDArray[Any], percent: float, at_most: float, what: str, highest: str = "slowest"
) -> Judged:
    """A percentile of values in ascending order, seconds, against its limit."""
    total = len(ordered)
    value = intervals.percentile(ordered, percent)
    interval = intervals.percentile_interval(ordered, percent)
    middle = quantity(intervals.percentile(ordered, 50), "s")
    detail = f"p{percent:g} of {total:,} {what}, median {middle}, {highest} {quantity(float(ordered[-1]), 's')}"
    detail += f"; 95 % interval {between(interval, 's')}"
    share = percent / 100
    required = intervals.needed(share)
    outcome: Outcome = "held" if value <= at_most else "broken"
    if total < required and not intervals.surely_below(bisect_right(ordered, at_most), total, share):
        outcome = "not judged"
        most = max(0.0, 100 * (1 - intervals.PER_ALLOWED / total))
        shown = f"cannot support a claim beyond the {most:.4g}th percentile"
        detail = f"{too_few(total, required, what, shown)}; {detail}"
    return Judged(outcome, value, interval, _detectable(ordered, percent, value), detail)


def _detectable(ordered: Sequence[float] | NDArray[Any], percent: float, value: float) -> float | None:
    """How far the percentile must lie beyond the limit for the excess to show.

    So many more values would then exceed the limit as can be told from chance; from that share on, the values that were
    found say how far apart the two percentiles lie.
    """
    more = intervals.detectable(len(ordered), 1 - percent / 100)
    if more is None or percent - 100 * more <= 0:
        return None
    # Values that are all alike tell nothing of it.
    return value - intervals.percentile(ordered, percent - 100 * more) or None
