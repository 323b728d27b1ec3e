"""Nothing that was acknowledged is lost."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from typing import ClassVar

from pytest_enterprise.errors import ConfigurationError
from pytest_enterprise.objectives import intervals
from pytest_enterprise.objectives.base import WORST, Bound, Objective, Outcome, Verdict, too_few, would_show
from pytest_enterprise.objectives.message import doing
from pytest_enterprise.objectives.phases import Observed, Phase, Window


@dataclass(frozen=True, kw_only=True)
class Durability(Objective):
    """Every operation that the system acknowledged in the phase is among those that it kept.

    Users note what they were told with ``self.acknowledged(key)``; the test reads what the system kept when all is
    over, past every cache. An operation whose outcome a user never heard may be kept or not. Held from 300 acknowledged
    operations on, as a claim that not one request fails is; a single loss breaks it however few they are.
    """

    by_notes: ClassVar[bool] = True

    kept: Collection[object] = field(repr=False)
    """The keys that the system still has, compared as text."""
    at_most: int = 0
    """Losses that are allowed."""
    phase: Phase = "whole"

    def _default_name(self) -> str:
        return f"durability-{self.phase}"

    def _check(self) -> None:
        if not _keys(self.kept):
            raise ConfigurationError(f"Durability: kept={self.kept!r}; give the keys that the system kept, as a set")
        if self.at_most < 0:
            raise ConfigurationError(f"Durability: at_most={self.at_most!r}; give a whole number, 0 for no loss at all")

    @property
    def bound(self) -> Bound:
        return Bound(self.at_most, "<=", "operations")

    def judge(self, observed: Observed, window: Window | None) -> Verdict:
        acknowledged = [
            entry
            for entry in observed.noted(self.phase, window)
            if entry.get("status") == "ok" and self.endpoint in (None, entry.get("endpoint"))
        ]
        total = len(acknowledged)
        if not total:
            why = 'no operation was acknowledged in this phase: users note it with self.acknowledged("order-17")'
            return self.verdict(window, "not judged", None, 0, why)
        kept = {str(key) for key in self.kept}
        lost = [entry for entry in acknowledged if str(entry["key"]) not in kept]
        detail = f"{len(lost):,} of {total:,} acknowledged operations lost"
        if lost:
            told = [f"{entry['key']}, acknowledged {doing(entry['t'], observed.windows)}".rstrip() for entry in lost]
            detail += f": {'; '.join(told[:WORST])}{'; ...' if len(lost) > WORST else ''}"
        else:
            detail += f"; {would_show(total, 'been lost')}"
        outcome: Outcome = "held" if len(lost) <= self.at_most else "broken"
        required = intervals.needed(1.0)
        if outcome == "held" and total < required:
            outcome, detail = "not judged", f"{too_few(total, required, 'acknowledged operations')}; {detail}"
        return self.verdict(window, outcome, len(lost), total, detail)


def _keys(value: object) -> bool:
    return isinstance(value, Collection) and not isinstance(value, str)
