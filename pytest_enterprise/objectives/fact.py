"""What a test has measured itself: tasks lost, duplicates, seconds until a new replica serves."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import ClassVar

from pytest_enterprise.errors import ConfigurationError
from pytest_enterprise.objectives.base import Bound, Comparison, Objective, Outcome, Verdict
from pytest_enterprise.objectives.phases import Observed, Phase, Window


@dataclass(frozen=True)
class Fact(Objective):
    """A value that the test measured, against a limit: ``Fact("lost", 0, 0, "<=", "tasks", samples=812)``.

    ``value=None`` and ``samples=0`` say that there was nothing to measure: not judged.
    """

    measured: ClassVar[bool] = False

    name: str = field()
    value: float | None
    limit: float
    comparison: Comparison = "<="
    unit: str = ""
    """As it stands behind the value: ``s``, ``tasks``; ``share`` is shown in per cent."""
    samples: int | None = field(default=None, kw_only=True)
    """From how many things it was measured (acknowledged tasks looked up); None where that means nothing."""
    detail: str = field(default="", kw_only=True)
    """What else a reader should know."""
    phase: Phase = field(default="whole", init=False)

    def _default_name(self) -> str:
        raise ConfigurationError("Fact: give it a name, such as 'lost'")

    def _check(self) -> None:
        if self.comparison not in ("<=", ">="):
            raise ConfigurationError(f"Fact: comparison={self.comparison!r} is neither '<=' nor '>='")
        if not math.isfinite(self.limit):
            raise ConfigurationError(f"Fact: limit={self.limit!r} is not a number that a value can be compared with")

    @property
    def bound(self) -> Bound:
        return Bound(self.limit, self.comparison, self.unit)

    def judge(self, observed: Observed, window: Window | None) -> Verdict:  # noqa: ARG002
        samples = 1 if self.samples is None else self.samples
        if self.value is None or math.isnan(self.value):
            why = "the test measured no value"
            return self.verdict(None, "not judged", None, 0, f"{why}: {self.detail}" if self.detail else why)
        if samples <= 0:
            why = f"measured on nothing (samples={samples}): see that the load did what the fact is about"
            return self.verdict(None, "not judged", None, 0, f"{why}; {self.detail}" if self.detail else why)
        held = self.value <= self.limit if self.comparison == "<=" else self.value >= self.limit
        outcome: Outcome = "held" if held else "broken"
        counted = "" if self.samples is None else f"of {self.samples:,} looked at"
        return self.verdict(None, outcome, self.value, samples, "; ".join(p for p in (counted, self.detail) if p))
