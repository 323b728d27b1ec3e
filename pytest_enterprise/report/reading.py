"""The events of one run of one test, made into a :class:`Scenario`; a field of the wrong type reads as missing."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pytest_enterprise import claims
from pytest_enterprise.claims import Claim
from pytest_enterprise.errors import ConfigurationError
from pytest_enterprise.events import Event
from pytest_enterprise.load import notation
from pytest_enterprise.load.arrivals import from_document
from pytest_enterprise.objectives.phases import Window
from pytest_enterprise.report import comparison, saturation, traffic
from pytest_enterprise.report.parts import Fault, Judgement, Load, Sabotage, Scenario, Worst

_OF_LOADS = ("load.finished", "load.behind", "load.sampled")


def number(value: Any) -> float | None:
    """A finite number, else None."""
    good = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    return float(value) if good else None


def integer(value: Any) -> int | None:
    """An int, else None."""
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def mapping(value: Any) -> dict[str, Any]:
    """A mapping, else an empty one."""
    return {str(key): entry for key, entry in value.items()} if isinstance(value, Mapping) else {}


def texts(value: Any) -> tuple[str, ...]:
    """A list of texts, else an empty one."""
    return tuple(str(entry) for entry in value) if isinstance(value, list | tuple) else ()


def strengths(started: Event) -> dict[str, tuple[str, str]]:
    """For each control that ``test.started`` names the kind of test and its strength; empty in an older run."""
    pairs = {id: texts(pair) for id, pair in mapping(started.get("strengths")).items()}
    return {id: (pair[0], pair[1]) for id, pair in pairs.items() if len(pair) == 2}


def scenario(directory: Path, events: Sequence[Event], buckets: int) -> Scenario:
    """What ``events`` tell, the first of which is ``test.started``; with 0 ``buckets`` no record file is read."""
    started = events[0]
    test = str(started.get("test", ""))
    by_kind: dict[str, list[Event]] = {}
    for event in events:
        by_kind.setdefault(event["kind"], []).append(event)
    finished: Event = by_kind.get("test.finished", [{}])[-1]
    plain = [{**event, "sabotage": None} if event is started else event for event in events]
    answered = claims.answer([Claim(id="-", text="", scenarios=(test,))], plain)[0].scenarios[0]
    sabotaged = by_kind.get("scenario.sabotaged", [])
    faults = _faults(by_kind.get("fault.began", ()), by_kind.get("fault.ended", ()))
    return Scenario(
        test=test,
        title=str(started.get("title") or ""),
        line=integer(started.get("line")),
        suite=str(started.get("suite") or ""),
        # A test that judged something tells users something, marked or not.
        is_scenario=bool(started.get("scenario", started.get("claim")) or by_kind.get("objective.judged")),
        claim=str(started.get("claim") or ""),
        controls=texts(started.get("controls")),
        strengths=strengths(started),
        switch=str(started.get("sabotage") or ""),
        outcome=str(finished.get("outcome", "unfinished")),
        seconds=number(finished.get("seconds")),
        message=str(finished.get("message") or "").strip(),
        answer=answered.answer,
        reason=answered.reason,
        judgements=tuple(judgement(event) for event in by_kind.get("objective.judged", ())),
        faults=faults,
        loads=tuple(_load(directory, event, by_kind, buckets, faults) for event in by_kind.get("load.started", ())),
        sabotage=_sabotage(sabotaged[-1]) if sabotaged else None,
        compared=tuple(comparison.read(event) for event in by_kind.get("comparison.judged", ())),
    )


def judgement(event: Event) -> Judgement:
    """One ``objective.judged``."""
    return Judgement(
        objective=str(event.get("objective", "")),
        phase=str(event.get("phase") or "whole"),
        fault=event.get("fault") if isinstance(event.get("fault"), str) else None,
        value=number(event.get("value")),
        limit=number(event.get("limit")),
        comparison=str(event.get("comparison") or "<="),
        unit=str(event.get("unit") or ""),
        outcome=str(event.get("outcome", "not judged")),
        samples=integer(event.get("samples")) or 0,
        detail=str(event.get("detail") or ""),
        interval=interval(event.get("interval")),
        worst=tuple(_worst(entry) for entry in event.get("worst") or () if isinstance(entry, Mapping)),
        moment_ns=integer(event.get("moment")),
    )


def interval(value: Any) -> tuple[float, float] | None:
    """A pair of numbers, the upper of which may be infinite (null), else None."""
    if not isinstance(value, list | tuple) or len(value) != 2:
        return None
    low, high = number(value[0]), number(value[1])
    return None if low is None else (low, math.inf if high is None else high)


def _worst(entry: Mapping[str, Any]) -> Worst:
    return Worst(
        start_ns=integer(entry.get("start")) or 0,
        latency=number(entry.get("latency")) or 0.0,
        name=str(entry.get("name", "")),
        error=str(entry.get("error") or ""),
        trace=str(entry.get("trace") or ""),
    )


def _faults(began: Sequence[Event], ended: Sequence[Event]) -> tuple[Fault, ...]:
    faults = []
    for count, event in enumerate(began, 1):
        end: Event = next((e for e in ended if e.get("fault") == event.get("fault")), {})
        faults.append(
            Fault(
                id=str(event.get("fault", "")),
                number=count,
                kind=str(event.get("fault_kind") or "fault"),
                target=str(event.get("target") or ""),
                targets=texts(event.get("targets")) or (str(event.get("target") or ""),),
                settings=mapping(event.get("settings")),
                began_ns=integer(event.get("began")) or event["t"],
                ended_ns=integer(end.get("ended")) or end.get("t"),
                proof=str(end.get("proof") or ""),
                acted=end.get("acted") is True,
                evidence=mapping(end.get("evidence")),
            )
        )
    return tuple(faults)


def _load(
    directory: Path, event: Event, by_kind: Mapping[str, Sequence[Event]], buckets: int, faults: Sequence[Fault]
) -> Load:
    id = str(event.get("load", ""))
    mine = {kind: [e for e in by_kind.get(kind, ()) if e.get("load") == event.get("load")] for kind in _OF_LOADS}
    end: Event = next(iter(mine["load.finished"]), {})
    if not buckets:
        recorded = traffic.Recorded()
    elif directory.resolve() not in (path := (directory / str(event.get("file") or f"load/{id}")).resolve()).parents:
        recorded = traffic.Recorded(notes=("its record file lies outside the run directory and was not read",))
    else:
        windows = [Window(f.id, f.kind, f.target, f.began_ns, f.ended_ns) for f in faults]
        recorded = traffic.read(path, buckets=buckets, windows=windows)
    notes = list(recorded.notes)
    told = integer(end.get("requests"))
    if not end:
        notes.append("its end was never seen")
    elif buckets and told is not None and told > recorded.requests:
        notes.append(f"{told:,} requests were made, of which {recorded.requests:,} could be read")
    if (reason := str(end.get("reason") or "")).startswith("load "):  # not asked for: an accident, in a sentence
        notes.append(reason)
    errors = mapping(end.get("user_errors"))
    notes += [f"the locustfile raised {error} ({count} times)" for error, count in errors.items()]
    behind = end.get("behind") or next((event.get("reason") for event in mine["load.behind"]), "")
    cpu, busiest = saturation.read(mine["load.sampled"])
    return Load(
        id=id,
        locustfile=str(event.get("locustfile") or ""),
        users=integer(event.get("users")),
        host=str(event.get("host") or ""),
        link=str(event.get("link") or ""),
        closed_loop=event.get("closed_loop") is not False,
        seconds=number(end.get("seconds")),
        cpu_seconds=number(end.get("cpu_seconds")),
        recorded=recorded,
        notes=tuple(notes),
        arrivals=_arrivals(event.get("arrivals")),
        behind=str(behind or ""),
        cpu=cpu,
        busiest=busiest,
    )


def _arrivals(value: Any) -> str:
    """A pattern of arrivals in a few words; empty for a closed loop, and for one of another version."""
    try:
        return notation.words(from_document(value))
    except (ConfigurationError, KeyError, TypeError, ValueError):
        return ""


def _sabotage(event: Event) -> Sabotage:
    return Sabotage(
        switch=str(event.get("switch", "")),
        objective=str(event.get("objective", "")),
        outcome=str(event.get("outcome", "")),
        detail=str(event.get("detail") or ""),
    )
