"""JUnit properties of one test, for ``item.user_properties``."""

from __future__ import annotations

from collections.abc import Iterable

from pytest_enterprise.events import Event
from pytest_enterprise.report import reading, words


def properties(test_events: Iterable[Event]) -> list[tuple[str, str]]:
    """Names and values from the events of one run of one test, in order; a control, fault or load each has its own.

    Characters that XML forbids are pytest's to replace.
    """
    found: list[tuple[str, str]] = []
    for event in test_events:
        match event["kind"]:
            case "test.started":
                found += [
                    (f"enterprise.{name}", str(event[name]))
                    for name in ("suite", "claim", "sabotage")
                    if event.get(name)
                ]
                found += [("enterprise.control", control) for control in reading.texts(event.get("controls"))]
            case "load.started":
                loop = "open" if event.get("closed_loop") is False else "closed"
                found.append(("enterprise.load", f"{event.get('load')}: {event.get('users')} users, {loop} loop"))
            case "fault.ended":
                acted = "acted" if event.get("acted") else "acted on nothing"
                did = words.plain(event.get("evidence"))
                found.append(("enterprise.fault", f"{event.get('fault')}: {acted}; {did}"))
            case "objective.judged":
                judged = reading.judgement(event)
                of = f".{judged.fault}" if judged.fault else ""
                told = f"{judged.outcome}: {words.value(judged)}, limit {words.limit(judged)}, {judged.samples} samples"
                found.append((f"enterprise.objective.{judged.objective}.{judged.phase}{of}", told))
            case "scenario.sabotaged":
                told = f"{event.get('outcome')}: {event.get('detail') or ''}".rstrip(": ")
                found.append((f"enterprise.sabotage.{event.get('switch')}", told))
    return found
