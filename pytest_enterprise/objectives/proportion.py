"""What objectives on a share of requests have in common."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from pytest_enterprise.objectives import intervals
from pytest_enterprise.objectives.base import WORST, Bound, Objective, Outcome, Verdict, check_number, too_few
from pytest_enterprise.objectives.phases import Observed, Window
from pytest_enterprise.objectives.text import between, errors, quantity

if TYPE_CHECKING:
    from pytest_enterprise.load.columns import Columns


@dataclass(frozen=True, kw_only=True)
class Proportion(Objective):
    """At least a share of some requests is good."""

    what: ClassVar[str] = "requests"
    bad: ClassVar[str] = "failed"

    at_least: float
    """Share, above 0 and up to 1."""

    def _check(self) -> None:
        check_number(type(self).__name__, "at_least", self.at_least, 0, 1)

    @property
    def bound(self) -> Bound:
        return Bound(self.at_least, ">=", "share")

    @abstractmethod
    def _judged(self, requests: Columns) -> Columns:
        """Those of a phase that count; the ones that failed are the bad ones."""

    def judge(self, observed: Observed, window: Window | None) -> Verdict:
        phase = observed.phase(self.phase, window, self.endpoint).requests
        if not len(phase):
            return self.nothing(observed, window)
        requests = self._judged(phase)
        total = len(requests)
        if not total:
            why = f"none of {len(phase):,} requests was answered ({errors(phase)}): there is nothing to judge"
            return self.verdict(window, "not judged", None, 0, why, worst=phase.slowest(WORST))
        failed = requests.where(requests.failed)
        good = total - len(failed)
        interval = intervals.wilson(good, total)
        kinds = errors(failed)
        detail = f"{len(failed):,} of {total:,} {self.what} {self.bad}{f' ({kinds})' if kinds else ''}"
        detail += f"; 95 % interval {between(interval, 'share')}"
        required = intervals.needed(self.at_least)
        outcome: Outcome = "held" if good / total >= self.at_least else "broken"
        if total < required and not intervals.surely_below(good, total, self.at_least):
            outcome = "not judged"
            most = quantity(max(0.0, 1 - intervals.PER_ALLOWED / total), "share")
            shown = f"cannot support a claim above {most}, even if all are good"
            detail = f"{too_few(total, required, self.what, shown)}; {detail}"
        return self.verdict(
            window,
            outcome,
            good / total,
            total,
            detail,
            interval=interval,
            worst=failed.slowest(WORST),
            detectable=intervals.detectable(total, 1 - self.at_least),
        )
