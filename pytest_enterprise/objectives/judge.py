"""Every objective against what was observed: data in, verdicts out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from pytest_enterprise.load.records import Request
from pytest_enterprise.objectives.base import Objective, Verdict
from pytest_enterprise.objectives.phases import Observed, Window


def judge(
    objectives: Iterable[Objective],
    requests: Sequence[Request],
    windows: Sequence[Window],
    *,
    span: tuple[int, int] | None = None,
    around: Sequence[Window] = (),
    operations: Sequence[Mapping[str, Any]] = (),
) -> list[Verdict]:
    """The verdicts of ``objectives``: one for each fault in ``windows``, or one for what concerns the whole load.

    ``span`` is when the load began and ended (CLOCK_MONOTONIC, ns); without it, the first request's start and the last
    one's end. ``around`` are further faults that were on, which end what comes before and after those in ``windows``.
    ``operations`` are what users noted.
    """
    chosen = sorted(windows, key=lambda window: window.began_ns)
    every = [*chosen, *(window for window in around if window not in chosen)]
    observed = Observed(requests, every, span, operations)
    verdicts = []
    for objective in objectives:
        if objective.phase == "whole":
            verdicts.append(objective.judge(observed, None))
        elif chosen:
            verdicts += [objective.judge(observed, window) for window in chosen]
        else:
            why = f"there was no fault, so there is no {objective.phase!r} phase: give faults=[...] or phase='whole'"
            verdicts.append(objective.verdict(None, "not judged", None, 0, why))
    return verdicts
