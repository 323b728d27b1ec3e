"""No regression: a comparison as an objective, so that it fails a test and stands in reports like any other."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import ClassVar

from pytest_enterprise.errors import ConfigurationError
from pytest_enterprise.objectives.base import Bound, Objective, Outcome, Verdict
from pytest_enterprise.objectives.comparison import Compared
from pytest_enterprise.objectives.metrics import ALL
from pytest_enterprise.objectives.phases import Observed, Phase, Window

_OUTCOMES: dict[str, Outcome] = {
    "regression": "broken",
    "improved": "held",
    "no change": "held",
    "not decided": "not judged",
}


@dataclass(frozen=True, kw_only=True)
class NoRegression(Objective):
    """b is not worse than a beyond the margin. Named ``no-regression-<metric>``, with what tells it from others."""

    measured: ClassVar[bool] = False

    compared: Compared
    label: str = ""
    """Tells comparisons of one test apart; part of the name."""
    phase: Phase = field(default="whole", init=False)

    def __post_init__(self) -> None:
        if self.endpoint is None and self.compared.endpoint != ALL:
            object.__setattr__(self, "endpoint", self.compared.endpoint)
        super().__post_init__()

    def _default_name(self) -> str:
        words = f"no-regression-{self.compared.metric}-{self.label}".lower()
        return re.sub(r"[^a-z0-9.]+", "-", words).strip("-")

    def _check(self) -> None:
        if not isinstance(self.compared, Compared):
            raise ConfigurationError(f"NoRegression: {self.compared!r} is no result of a comparison")

    @property
    def bound(self) -> Bound:
        if self.compared.better == "lower":
            return Bound(1 + self.compared.margin, "<=", "times")
        return Bound(1 / (1 + self.compared.margin), ">=", "times")

    def judge(self, observed: Observed, window: Window | None) -> Verdict:  # noqa: ARG002
        found = self.compared
        pairs = sum(a is not None and b is not None for a, b in found.blocks)
        detail = f"b against a over {pairs} pairs of blocks, {found.confidence:.4g} confidence: {found.detail}"
        return self.verdict(None, _OUTCOMES[found.outcome], found.ratio, pairs, detail, interval=found.interval)
