"""Objectives while a load runs: of the last seconds, and during each fault."""

from __future__ import annotations

import dataclasses
import time
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pytest_enterprise.errors import ConfigurationError, nearest
from pytest_enterprise.load import checks
from pytest_enterprise.load.web.series import Series
from pytest_enterprise.objectives.availability import Availability
from pytest_enterprise.objectives.base import Objective, Verdict
from pytest_enterprise.objectives.latency import Latency
from pytest_enterprise.objectives.phases import Observed, Window
from pytest_enterprise.objectives.text import quantity
from pytest_enterprise.objectives.throughput import Throughput

KINDS: Mapping[str, type[Objective]] = {"availability": Availability, "latency": Latency, "throughput": Throughput}
DEFAULT = (Availability(at_least=0.99, phase="whole"), Latency(percentile=99, at_most=0.5, phase="whole"))
WINDOW = 60.0
_SETTLED = 15_000_000_000
"""ns after the end of a fault by which whoever waited for an answer in it has given up."""
_SHARE = 0.2
"""Of the observer's time that judging may take; with more requests it judges less often."""


def read(path: str | Path | None) -> tuple[tuple[Objective, ...], float]:
    """The objectives of a TOML file and the seconds of the window in which they are judged; defaults for None.

    .. code-block:: toml

        window = 30

        [[objectives]]
        kind = "latency"
        percentile = 99
        at_most = 0.25
        endpoint = "POST /tasks"

    Raises ConfigurationError that names the place.
    """
    if path is None:
        return DEFAULT, WINDOW
    try:
        document = tomllib.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigurationError(f"objectives {path}: {error.strerror}") from None
    except ValueError as error:
        raise ConfigurationError(f"objectives {path}: no TOML: {error}") from None
    if extra := set(document) - {"objectives", "window"}:
        raise ConfigurationError(f"objectives {path}: unknown key {min(extra)!r}; known: [[objectives]], window")
    tables = document.get("objectives")
    if not isinstance(tables, list) or not tables:
        raise ConfigurationError(f"objectives {path}: there is none; write [[objectives]] with kind = ...")
    window = float(checks.number("window", document.get("window", WINDOW)))
    if window > 600:
        raise ConfigurationError(f"objectives {path}: window={window:g} is too long; give seconds up to 600")
    found = tuple(_one(f"objectives {path}: objectives[{number}]", table) for number, table in enumerate(tables))
    names = [objective.name for objective in found]
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise ConfigurationError(f"objectives {path}: two are named {twice!r}; give one of them another name")
    return found, window


def _one(where: str, table: Any) -> Objective:
    given = dict(table) if isinstance(table, dict) else {}
    kind = given.pop("kind", None)
    if kind not in KINDS:
        raise ConfigurationError(f"{where}: kind={kind!r} is unknown. {nearest(str(kind), KINDS)}")
    known = {field.name for field in dataclasses.fields(KINDS[kind])} - {"phase"}
    if extra := set(given) - known:
        raise ConfigurationError(f"{where}: {kind} has no setting {min(extra)!r}. {nearest(min(extra), known)}")
    for text in ("name", "endpoint"):
        if not isinstance(given.get(text, ""), str):
            raise ConfigurationError(f"{where}: {text}={given[text]!r} is no text")
    try:
        return KINDS[kind](**given, phase="whole")
    except ConfigurationError as error:
        raise ConfigurationError(f"{where}: {error}") from None
    except TypeError:
        raise ConfigurationError(f"{where}: {kind} needs {'at_most' if kind == 'latency' else 'at_least'}") from None


class Judge:
    """Judges the objectives of a load again and again, no oftener than its share of the time allows."""

    def __init__(self, objectives: Sequence[Objective], window: float) -> None:
        self.objectives = objectives
        self.window = window
        self._during = [dataclasses.replace(objective, phase="during") for objective in objectives]
        self.clear()

    def clear(self) -> None:
        """Forget what was judged: another load begins."""
        self._next = 0.0
        self._now: list[Verdict] = []
        self._of_fault: dict[str, list[Verdict]] = {}
        self._settled: set[str] = set()

    def judge(
        self, series: Series, windows: Sequence[Window], now: int
    ) -> tuple[list[Verdict], dict[str, list[Verdict]]]:
        """The verdicts of the last seconds before ``now`` (ns), and those during each fault by its id."""
        if time.monotonic() < self._next:
            return self._now, self._of_fault
        began = time.monotonic()
        first = max(series.began, now - round(self.window * 1e9))
        recent = Observed(series.between(first, None), (), (first, max(first, now)))
        self._now = [objective.judge(recent, None) for objective in self.objectives]
        for window in windows:
            self._judge_fault(series, window, now)
        took = time.monotonic() - began
        self._next = began + max(0.5, took / _SHARE)
        return self._now, self._of_fault

    def _judge_fault(self, series: Series, window: Window, now: int) -> None:
        if window.fault_id in self._settled:
            return
        ended = now if window.ended_ns is None else window.ended_ns
        if ended < series.began or (window.fault_id not in self._of_fault and window.began_ns < series.complete_from):
            self._settled.add(window.fault_id)  # before the load, or of a time whose requests are gone
            return
        requests = series.between(window.began_ns, window.ended_ns)
        observed = Observed(requests, (window,), (max(series.began, window.began_ns), max(ended, window.began_ns)))
        self._of_fault[window.fault_id] = [objective.judge(observed, window) for objective in self._during]
        if window.ended_ns is not None and now > window.ended_ns + _SETTLED:
            self._settled.add(window.fault_id)


def told(objective: Objective, verdict: Verdict) -> dict[str, Any]:
    """A verdict as the page shows it."""
    limit = objective.bound
    words = "at least" if limit.comparison == ">=" else "at most"
    return {
        "name": objective.name.removesuffix("-whole"),
        "endpoint": objective.endpoint,
        "limit": f"{words} {quantity(limit.limit, limit.unit)}",
        "outcome": verdict.outcome,
        "value": None if verdict.value is None else quantity(verdict.value, limit.unit),
        "samples": verdict.samples,
        "detail": verdict.detail,
    }
