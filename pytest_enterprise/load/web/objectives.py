"""Objectives while a load runs: of the last seconds, and during each fault."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pytest_enterprise.errors import ConfigurationError
from pytest_enterprise.load.web.series import Series
from pytest_enterprise.objectives import written
from pytest_enterprise.objectives.availability import Availability
from pytest_enterprise.objectives.base import Objective, Verdict
from pytest_enterprise.objectives.correctness import Correctness
from pytest_enterprise.objectives.latency import Latency
from pytest_enterprise.objectives.phases import Observed, Window
from pytest_enterprise.objectives.refusals import Refusals
from pytest_enterprise.objectives.text import quantity
from pytest_enterprise.objectives.throughput import Throughput

DEFAULT = (
    Availability(name="availability", at_least=0.99, phase="whole"),
    Latency(name="latency-p99", percentile=99, at_most=0.5, phase="whole"),
)
NOTE = "These are defaults; give your own with --objectives NAME."
WINDOW = 60.0
LIVE = (Availability, Correctness, Latency, Refusals, Throughput)
"""Kinds that can be judged by a part of a load; the others need it whole."""
OfFaults = dict[str, list[tuple[Objective, Verdict]]]
_SETTLED = 15_000_000_000
"""ns after the end of a fault by which whoever waited for an answer in it has given up."""
_SHARE = 0.2
"""Of the observer's time that judging may take; with more requests it judges less often."""


def read(names: Sequence[str], root: Path) -> tuple[Objective, ...]:
    """The objectives of these groups and documents (see :mod:`pytest_enterprise.objectives.written`), or defaults.

    Raises ConfigurationError.
    """
    return tuple(objective for name in names for objective in written.read(name, root)) or DEFAULT


def seconds(text: str | None) -> float:
    """The window of a setting. Raises ConfigurationError."""
    try:
        window = WINDOW if text is None else float(text)
    except ValueError:
        window = 0.0
    if not 0 < window <= 600:
        raise ConfigurationError(f"the window {text!r} is no number of seconds above 0, up to 600")
    return window


class Judge:
    """Judges the objectives of a load again and again, no oftener than its share of the time allows.

    Now: ``whole`` is always judged, ``during`` by what was felt of the faults that were on in the last seconds,
    ``before`` and ``after`` only while none was.
    """

    def __init__(self, objectives: Sequence[Objective], window: float) -> None:
        self.objectives = objectives
        self.window = window
        self._whole = [
            dataclasses.replace(objective, phase="whole") if isinstance(objective, LIVE) else None
            for objective in objectives
        ]
        self._during = [
            dataclasses.replace(objective, phase="during")
            for objective in objectives
            if isinstance(objective, LIVE) and objective.phase in ("during", "whole")
        ]
        self.clear()

    def clear(self) -> None:
        """Forget what was judged: another load begins."""
        self._next = 0.0
        self._now: list[Verdict] = []
        self._of_fault: OfFaults = {}
        self._settled: set[str] = set()

    def judge(self, series: Series, windows: Sequence[Window], now: int) -> tuple[list[Verdict], OfFaults]:
        """The verdicts of the last seconds before ``now`` (ns), one for each objective, and those during each fault."""
        if time.monotonic() < self._next:
            return self._now, self._of_fault
        began = time.monotonic()
        first = max(series.began, now - round(self.window * 1e9))
        on = [w for w in windows if w.began_ns < now and (w.ended_ns is None or w.ended_ns > first)]
        recent = Observed(series.between(first, now), (), (first, max(first, now)))
        self._now = [
            self._judge_now(objective, whole, recent, on)
            for objective, whole in zip(self.objectives, self._whole, strict=True)
        ]
        for window in windows:
            self._judge_fault(series, window, now)
        took = time.monotonic() - began
        self._next = began + max(0.5, took / _SHARE)
        return self._now, self._of_fault

    def _judge_now(
        self, objective: Objective, whole: Objective | None, recent: Observed, on: Sequence[Window]
    ) -> Verdict:
        def not_judged(why: str) -> Verdict:
            return objective.verdict(None, "not judged", None, 0, why)

        if whole is None:
            return not_judged("judged when the load has ended, by a test or by pytest-enterprise load")
        if objective.phase == "during":
            if not on:
                return not_judged(f"for the time of a fault, and none was on in the last {self.window:g} s")
            ends = [window.ended_ns for window in on]
            felt = Window("", "", "", min(w.began_ns for w in on), None if None in ends else max(filter(None, ends)))
            part = recent.phase("during", felt)
            return whole.judge(Observed(part.requests, (), (part.began_ns, part.ended_ns)), None)
        if objective.phase != "whole" and on:
            return not_judged(f"for times without a fault, and one was on in the last {self.window:g} s")
        return whole.judge(recent, None)

    def _judge_fault(self, series: Series, window: Window, now: int) -> None:
        if window.fault_id in self._settled:
            return
        ended = now if window.ended_ns is None else window.ended_ns
        if ended < series.began or (window.fault_id not in self._of_fault and window.began_ns < series.complete_from):
            self._settled.add(window.fault_id)  # before the load, or of a time whose requests are gone
            return
        requests = series.between(window.began_ns, window.ended_ns)
        observed = Observed(requests, (window,), (max(series.began, window.began_ns), max(ended, window.began_ns)))
        self._of_fault[window.fault_id] = [(limit, limit.judge(observed, window)) for limit in self._during]
        if window.ended_ns is not None and now > window.ended_ns + _SETTLED:
            self._settled.add(window.fault_id)


def told(objective: Objective, verdict: Verdict) -> dict[str, Any]:
    """A verdict as the page shows it."""
    limit = objective.bound
    words = "at least" if limit.comparison == ">=" else "at most"
    return {
        "name": objective.name,
        "endpoint": objective.endpoint,
        "phase": objective.phase,
        "limit": f"{words} {quantity(limit.limit, limit.unit)}",
        "outcome": verdict.outcome,
        "value": None if verdict.value is None else quantity(verdict.value, limit.unit),
        "samples": verdict.samples,
        "detail": verdict.detail,
    }
