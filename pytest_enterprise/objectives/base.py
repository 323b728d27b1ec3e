"""What an objective is: a limit on what users feel, named, judged from recorded requests alone."""

from __future__ import annotations

import math
import re
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, NamedTuple

from pytest_enterprise.errors import ConfigurationError, nearest
from pytest_enterprise.load.records import Request
from pytest_enterprise.objectives import intervals
from pytest_enterprise.objectives.phases import PHASES, Observed, Phase, Window
from pytest_enterprise.objectives.text import quantity

Comparison = Literal["<=", ">="]
Outcome = Literal["held", "broken", "not judged"]
_NAME = re.compile(r"[a-z0-9][a-z0-9.-]*")
WORST = 3
"""How many of the worst requests a verdict shows."""


class Bound(NamedTuple):
    """What a value is compared with."""

    limit: float
    comparison: Comparison
    unit: str
    """``share`` (0 to 1), ``s``, ``requests/s`` or a fact's own."""


class Verdict(NamedTuple):
    """What was found of one objective in one phase around one fault."""

    objective: str
    """The objective's name."""
    phase: str
    fault: str | None
    """The fault's id; None for the whole load and for facts."""
    value: float | None
    """None where none was found: nothing to measure, or not recovered."""
    limit: float
    comparison: Comparison
    unit: str
    outcome: Outcome
    samples: int
    """Requests (or other things) that it was judged from."""
    detail: str
    interval: tuple[float, float] | None = None
    """Between which the value lies at 95 % confidence; the upper end may be infinite."""
    worst: tuple[Request, ...] = ()
    """The requests that spoke most against it, where it did not hold."""
    traces: tuple[str, ...] = ()
    """The trace ids of those, as many as there are; empty where the load kept none."""
    detectable: float | None = None
    """The least change for the worse, in ``unit``, that would have been told from chance: with a probability of 80 %,
    at 95 % confidence. None where that means nothing, or where no change would have shown."""
    moment: int | None = None
    """CLOCK_MONOTONIC in ns at which what is measured happened, for charts; None where it has no moment."""

    def event(self, test: str) -> dict[str, Any]:
        """The fields of the event ``objective.judged``."""
        fields = self._asdict()
        fields["interval"] = self.interval and [x if math.isfinite(x) else None for x in self.interval]
        traces = fields.pop("traces") or [""] * len(self.worst)
        fields["worst"] = [
            {**request._asdict(), "trace": trace} for request, trace in zip(self.worst, traces, strict=True)
        ]
        return {"test": test, **fields}


@dataclass(frozen=True, kw_only=True)
class Objective(ABC):
    """A limit on what users feel. Subclasses are frozen data: limits only, no measurements."""

    measured: ClassVar[bool] = True
    """Judged by requests, so that it needs a load."""
    by_notes: ClassVar[bool] = False
    """Judged by what users noted, which is read only where that is so."""

    name: str = ""
    """A stable word for it (``availability-during``), which ``sabotage`` refers to; made from the rest if empty."""
    endpoint: str | None = None
    """Only requests of this name (``POST /tasks``); None: all."""
    phase: Phase = "during"
    """``whole`` is judged once, the others once for each fault."""

    def __post_init__(self) -> None:
        if self.phase not in PHASES:
            raise ConfigurationError(f"{type(self).__name__}: phase={self.phase!r}. {nearest(self.phase, PHASES)}")
        self._check()
        if not self.name:
            suffix = re.sub(r"[^a-z0-9]+", "-", (self.endpoint or "").lower()).strip("-")
            object.__setattr__(self, "name", "-".join(part for part in (self._default_name(), suffix) if part))
        if not _NAME.fullmatch(self.name):
            raise ConfigurationError(
                f"objective name {self.name!r}: use lower-case letters, digits, '-' and '.', a letter or digit first"
            )

    @abstractmethod
    def _default_name(self) -> str:
        """The name without the endpoint."""

    @abstractmethod
    def _check(self) -> None:
        """Raise ConfigurationError for settings that cannot be meant."""

    @property
    @abstractmethod
    def bound(self) -> Bound:
        """What the value is compared with."""

    @abstractmethod
    def judge(self, observed: Observed, window: Window | None) -> Verdict:
        """The verdict for one fault, or for the whole load when ``window`` is None."""

    def verdict(
        self,
        window: Window | None,
        outcome: Outcome,
        value: float | None,
        samples: int,
        detail: str,
        *,
        interval: tuple[float, float] | None = None,
        worst: Sequence[Request] = (),
        detectable: float | None = None,
        moment: int | None = None,
    ) -> Verdict:
        """A verdict of this objective; the worst requests are kept only where it did not hold."""
        return Verdict(
            objective=self.name,
            phase=self.phase,
            fault=window.fault_id if window else None,
            value=value,
            limit=self.bound.limit,
            comparison=self.bound.comparison,
            unit=self.bound.unit,
            outcome=outcome,
            samples=samples,
            detail=detail if detectable is None else f"{detail}; {told(detectable, self.bound.unit)}",
            interval=interval,
            worst=() if outcome == "held" else tuple(worst[:WORST]),
            detectable=detectable,
            moment=moment,
        )

    def nothing(self, observed: Observed, window: Window | None) -> Verdict:
        """Not judged, because there is no request in the phase; says which of the possible reasons it was."""
        if not len(observed.requests):
            why = "the load made no request at all: see its log, its host and its number of users"
        elif self.endpoint is not None and not len(observed.endpoint(self.endpoint)):
            why = f"no request is named {self.endpoint!r}. {nearest(self.endpoint, observed.columns.names())}"
        elif window and self.phase == "after" and window.ended_ns is None:
            why = f"{window.label} never ended, so there is no after: end it while the load runs"
        elif window:
            way = {
                "before": "let the load run before the first fault begins",
                "during": "keep the fault on while the load runs",
                "after": "let the load run on after the fault has ended",
            }[self.phase]
            why = f"no request {self.phase} {window.label}: {way}"
        else:
            why = "no request"
        return self.verdict(window, "not judged", None, 0, why)


def too_few(samples: int, required: int, what: str, shown: str = "") -> str:
    """Why a verdict was withheld, and the way out; ``shown`` says what so few could show at best."""
    longer = math.ceil(required / max(samples, 1) * 10) / 10
    return (
        f"{samples:,} {what}{f' {shown};' if shown else ','} {required:,} needed to judge this limit: let the phase "
        f"last about {longer:g} times as long, or use more users"
    )


def would_show(total: int, what: str) -> str:
    """What share of so many could hardly (5 %) have been bad without one of them being seen, in words."""
    return f"had {quantity(min(1.0, intervals.PER_ALLOWED / total), 'share')} or more {what}, it would have shown"


def told(change: float, unit: str) -> str:
    """The minimum detectable change in words."""
    amount = quantity(change, unit)
    # Of a share "1 %" could be taken for a part of the share itself.
    return f"minimum detectable change {amount.replace('%', 'percentage points') if unit == 'share' else amount}"


def check_number(objective: str, setting: str, value: Any, low: float, high: float) -> None:
    """Raise ConfigurationError unless ``value`` is a number with ``low < value <= high``."""
    number = isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
    if not number or not low < value <= high:
        raise ConfigurationError(
            f"{objective}: {setting}={value!r} is out of range; give a number above {low:g} and up to {high:g}"
        )
