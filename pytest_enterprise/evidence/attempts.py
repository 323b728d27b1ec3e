"""One attempt of a scenario as a record, and the attempts of a test joined into one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pytest_enterprise.events import Event
from pytest_enterprise.report import reading, words
from pytest_enterprise.report.parts import Fault, Judgement, Scenario

WORST = ("broken", "error", "unfinished", "not-judged", "skipped", "held")
"""Outcomes of scenarios, the worst first."""
_WORST_OF_SABOTAGE = ("wrong", "survived", "not-judged", "caught")
FAILED = ("broken", "error", "unfinished", "wrong", "survived")
"""Outcomes to which a waiver may apply."""
Record = dict[str, Any]


def outcome(scenario: Scenario) -> str:
    """The outcome of one attempt, in the words of records."""
    if scenario.switch:
        return scenario.verdict if scenario.verdict in _WORST_OF_SABOTAGE else "not-judged"
    if scenario.answer == "broken":
        return "broken"
    if scenario.outcome in ("error", "unfinished", "skipped"):
        return scenario.outcome
    return "held" if scenario.answer == "held" else "not-judged"


def time_of(value: Any) -> str:
    """A time of an event in RFC 3339 with ``Z``; empty where it is none."""
    text = str(value or "").removesuffix("+00:00").removesuffix("Z")
    whole, _, part = text.partition(".")
    if len(whole) != 19 or whole[10] != "T":
        return ""
    return f"{whole}.{(part + '000')[:3]}Z"


def joined(before: Record, last: Record) -> Record:
    """One record of all attempts of a test: what it is from the last, the outcome from the worst."""
    order = _WORST_OF_SABOTAGE if last["kind"] == "sabotage" else WORST
    worst = min(before, last, key=lambda record: order.index(record["outcome"]))
    number = len(before["attempts"]) + 1
    last["attempts"][0]["number"] = number
    whole = dict(last)
    for key in ("measurements", "faults", "loads"):
        whole[key] = before[key] + [{**entry, "attempt": number} for entry in last[key]]
    whole["attempts"] = before["attempts"] + last["attempts"]
    seconds = [record["seconds"] for record in (before, last) if record["seconds"] is not None]
    artefacts = {entry["path"]: entry for record in (before, last) for entry in record["artefacts"]}
    return whole | {
        "artefacts": list(artefacts.values()),
        "flaky": len({attempt["outcome"] for attempt in whole["attempts"]}) > 1,
        "outcome": worst["outcome"],
        "reason": worst["reason"],
        "began": before["began"],
        "seconds": round(sum(seconds), 3) if seconds else None,
    }


def measurement(judged: Judgement) -> Record:
    """A measurement with its limit and what that came to."""
    return {
        "attempt": 1,
        "objective": judged.objective,
        "phase": judged.phase,
        "fault": judged.fault,
        "value": judged.value,
        "unit": judged.unit,
        "comparison": judged.comparison,
        "limit": judged.limit,
        "interval": list(judged.interval) if judged.interval else None,
        "samples": judged.samples,
        "outcome": judged.outcome.replace(" ", "-"),
        "detail": judged.detail,
    }


def fault(one: Fault) -> Record:
    """A fault with its proof."""
    return {
        "attempt": 1,
        "id": one.id,
        "kind": one.kind,
        "target": one.target,
        "targets": list(one.targets),
        "settings": one.settings,
        "seconds": one.seconds,
        "proof": one.proof,
        "acted": one.acted,
        "evidence": one.evidence,
    }


def load(started: Event, events: Sequence[Event]) -> Record:
    """A load with what it made, from its ``load.started`` and the other events of the attempt."""
    end = next((e for e in events if e["kind"] == "load.finished" and e.get("load") == started.get("load")), {})
    behind = next((e for e in events if e["kind"] == "load.behind" and e.get("load") == started.get("load")), {})
    requests, seconds = reading.integer(end.get("requests")), reading.number(end.get("seconds"))
    closed = started.get("closed_loop") is not False
    return {
        "attempt": 1,
        "id": str(started.get("load") or ""),
        "loop": "closed" if closed else "open",
        "users": reading.integer(started.get("users")),
        "arrivals": "" if closed else words.loop(started).removesuffix(", open loop"),
        "rate": round(requests / seconds, 3) if requests is not None and seconds else None,
        "requests": requests,
        "failures": reading.integer(end.get("failures")),
        "seconds": seconds,
        "source": str(started.get("locustfile") or ""),
        "host": str(started.get("host") or ""),
        "link": str(started.get("link") or ""),
        "behind": str(end.get("behind") or behind.get("reason") or ""),
    }
